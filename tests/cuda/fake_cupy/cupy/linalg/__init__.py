"""cupy.linalg of the stand-in."""

from numpy.linalg import LinAlgError  # noqa: F401

from .._functions import within as _within

globals().update(_within("linalg"))
