"""The demo: recordings of digits, a small model that speaks digits, and every stage on them."""
