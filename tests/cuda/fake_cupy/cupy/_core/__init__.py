"""cupy._core of the stand-in: how products are done, which it writes down and does not do."""

import numpy

from . import _routines_linalg
from ._routines_linalg import COMPUTE_TYPE_DEFAULT

_chosen: dict = {}


def set_compute_type(dtype, compute_type):
    """As cupy._core.set_compute_type."""
    known = [n for name, n in vars(_routines_linalg).items() if name.startswith("COMPUTE_TYPE_")]
    if compute_type not in known:
        raise ValueError(f"Unknown compute type: {compute_type}")
    _chosen[numpy.dtype(dtype)] = compute_type


def get_compute_type(dtype):
    """What was chosen for a dtype."""
    return _chosen.get(numpy.dtype(dtype), COMPUTE_TYPE_DEFAULT)
