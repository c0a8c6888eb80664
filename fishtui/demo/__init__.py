"""The demo: a small generated dataset, a tiny random model, and every stage on them."""
