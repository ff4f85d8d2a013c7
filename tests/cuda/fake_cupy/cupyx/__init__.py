"""cupyx of the stand-in: the error state of linear algebra and scatter operations."""

import contextlib

from cupy._functions import LINALG


@contextlib.contextmanager
def errstate(*, divide=None, over=None, under=None, invalid=None, linalg=None, fallback_mode=None):
    """Inside, linalg="raise" lets a failed decomposition raise LinAlgError."""
    before = LINALG["mode"]
    LINALG["mode"] = linalg or before
    try:
        yield
    finally:
        LINALG["mode"] = before


def scatter_add(a, slices, value):
    """a[slices] += value, adding up where an index occurs twice."""
    a.scatter_add(slices, value)


def scatter_max(a, slices, value):
    """As scatter_add with the maximum."""
    a.scatter_max(slices, value)


def scatter_min(a, slices, value):
    """As scatter_add with the minimum."""
    a.scatter_min(slices, value)
