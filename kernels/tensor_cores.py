"""Whether products of float32 may be done as TF32, 8 bits of exponent and 11 of mantissa, on tensor cores.

minigrad.backends.cuda.matmul.allow_tf32 is the switch. CuPy's products follow it too.
"""

import numpy

from .. import backend

_allowed = False


def allowed() -> bool:
    """True if TF32 may be used."""
    return _allowed


def allow(flag: bool) -> None:
    """Let kernels use TF32, and CuPy when it is there: it is told as soon as it is loaded."""
    global _allowed
    _allowed = bool(flag)
    backend.when_loaded(_tell_cupy)


def _tell_cupy(cupy):
    """CuPy's own switch, for products by cuBLAS: CUPY_TF32 says how it stands in the beginning.

    GPUs before sm_80 have no TF32; there it warns.
    """
    capability = int(cupy.cuda.Device().compute_capability)
    kind = cupy._core._routines_linalg
    use = kind.COMPUTE_TYPE_TF32 if _allowed and capability >= 80 else kind.COMPUTE_TYPE_DEFAULT
    cupy._core.set_compute_type(numpy.dtype("float32"), use)
