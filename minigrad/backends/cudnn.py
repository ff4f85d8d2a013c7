"""torch's switches for cuDNN. minigrad has kernels of its own: scripts may set these, and nothing follows.

Its kernels give the same numbers at each run, and are not chosen by trying them out.
"""

benchmark = False
deterministic = False
enabled = True


def is_available() -> bool:
    """False: cuDNN is not used."""
    return False


def version() -> None:
    """None: cuDNN is not used."""
