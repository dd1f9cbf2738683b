"""The tasks and bases that come with the package: each module registers its own, in this order."""

from importlib import import_module

MODULES = ("additive", "multiplicative", "squares", "answers", "groups", "controls")
for name in MODULES:
    import_module(f"{__name__}.{name}")
