"""cupyx.scipy.special of the stand-in: the error function."""

import math

import numpy
from cupy._array import check_device, ndarray, wrap

_erf = numpy.vectorize(math.erf, otypes=["d"])


def erf(x):
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x, in the dtype of x."""
    if type(x) is not ndarray:
        raise TypeError(f"Unsupported type {type(x)}")
    check_device(x)
    kind = x.dtype if x.dtype.kind == "f" else "float64"
    return wrap(numpy.asarray(_erf(x._host), kind))
