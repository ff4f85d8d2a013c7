"""python -m minigrad.cli: the same as the command `minigrad`."""

from . import main

main()
