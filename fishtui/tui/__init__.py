"""The full-screen interface: it shows what the core reads, and calls what the command line calls."""
