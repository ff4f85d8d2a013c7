"""A strict stand-in for CuPy on machines without a GPU: what minigrad needs of it, for tests only.

The numbers live in NumPy arrays that stay hidden. Names, signatures and dtypes are those that
`record_cupy.py` wrote down from the real package (recorded.json); a name that CuPy doesn't have is an
AttributeError here too. Kernels are compiled for the CPU: see `_raw.py`.
"""

from numpy import (  # noqa: F401
    bool_,
    complex64,
    complex128,
    dtype,
    e,
    euler_gamma,
    finfo,
    float16,
    float32,
    float64,
    floating,
    generic,
    iinfo,
    inexact,
    inf,
    int8,
    int16,
    int32,
    int64,
    integer,
    intp,
    nan,
    ndindex,
    newaxis,
    number,
    pi,
    s_,
    signedinteger,
    uint8,
    uint16,
    uint32,
    uint64,
    unsignedinteger,
)

from . import _core, cuda, lib, linalg  # noqa: F401
from ._array import RECORDED, ndarray  # noqa: F401
from ._functions import FUNCTIONS as _FUNCTIONS
from ._functions import asnumpy, get_array_module, mgrid, ogrid  # noqa: F401
from ._memory import pool as _pool
from ._raw import RawKernel, RawModule  # noqa: F401
from ._ufunc import NAMED as _UFUNCS
from ._ufunc import ufunc  # noqa: F401

__version__ = RECORDED["version"]
globals().update({name: f for name, f in _FUNCTIONS.items() if "." not in name})
globals().update(_UFUNCS)
bool = bool_
del RECORDED


def get_default_memory_pool():
    """The pool that arrays take their memory from."""
    return _pool


class PinnedMemoryPool:
    """As cupy.cuda.PinnedMemoryPool, of which minigrad asks for no more than this."""

    def malloc(self, size):
        """Nothing is needed here."""


_pinned_pool = PinnedMemoryPool()


def get_default_pinned_memory_pool():
    """The pool of main memory that copies go through."""
    return _pinned_pool
