"""Judges of speech: each measures one property of spoken text, declared with the decorator `registry.judge`."""

from importlib import import_module

# The modules that declare judges, in the order of their figures in tables.
MODULES = ("failures", "intelligibility", "similarity", "voice", "quality")
for _name in MODULES:
    import_module(f"{__name__}.{_name}")
