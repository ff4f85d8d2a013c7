"""The operations: forward and gradient side by side, one family a file."""
