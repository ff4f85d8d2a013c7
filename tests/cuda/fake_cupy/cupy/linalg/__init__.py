"""cupy.linalg of the stand-in."""

from numpy.linalg import LinAlgError  # noqa: F401

from .._functions import within

globals().update(within("linalg"))
