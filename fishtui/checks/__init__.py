"""Checks of clips and speakers: one small function each, declared with the decorator `registry.check`."""

from importlib import import_module

# The modules that declare checks, in the order in which their findings are listed.
MODULES = ("files", "audio", "text", "notspeech", "labels", "group")
for _name in MODULES:
    import_module(f"{__name__}.{_name}")
