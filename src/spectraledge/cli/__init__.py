"""The command `spectraledge`: arguments, progress and exit codes; no logic of its own."""

from spectraledge.cli.app import main

__all__ = ["main"]
