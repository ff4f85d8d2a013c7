"""The figures that papers report beside ours: one experiment a row, run and written down by command."""
