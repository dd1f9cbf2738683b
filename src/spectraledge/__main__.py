"""`python -m spectraledge` is the command."""

from spectraledge.cli import main

main()
