"""The stages of the pipeline: each a function of settings and a reporter that returns a ledger."""
