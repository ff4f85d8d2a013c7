"""Apple's GPUs, which minigrad does not use: scripts that look for a device ask whether they are there."""


def is_available() -> bool:
    """False."""
    return False


def is_built() -> bool:
    """False."""
    return False
