"""The demo: recordings of digits, a small model that says digits, and every stage on them."""
