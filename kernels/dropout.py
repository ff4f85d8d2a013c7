"""Dropout: x / (1 - p) where a number is kept, with probability 1 - p, else 0.  Srivastava et al. 2014.

Which are kept follows from a seed and the place (random_bits.py), so the gradient is the same function
of g, and no mask is stored.
"""

import numpy

from ..backend import array_module
from . import cuda_source
from .kernel import FLOATS, Kernel, compiled
from .random_bits import keep_mask, keeps, threshold
from .threads import share


def dropout(x, p, seed):
    """x scaled by 1 / (1 - p) where kept, 0 elsewhere."""
    xp = array_module(x)
    keep = keep_mask(seed, x.size, p, xp).reshape(x.shape)
    scale = 1 / (1 - p) if p < 1 else 0.0
    return xp.where(keep, x * x.dtype.type(scale), xp.zeros((), x.dtype))


dropout = Kernel(dropout)


@compiled
def _dropout(begin, end, x, scale, seed, least, out):
    x, out = x[begin:end], out[begin:end]
    zero = x.dtype.type(0)
    for i in range(x.size):
        out[i] = x[i] * scale if keeps(seed, begin + i, least) else zero


@dropout.implement("numpy")
def dropout_numba(x, p, seed):
    """One pass, the bits made on the way."""
    if x.dtype not in FLOATS:
        return dropout.reference(x, p, seed)
    out = numpy.empty(x.shape, x.dtype)
    x = numpy.ascontiguousarray(x)
    scale = x.dtype.type(1 / (1 - p) if p < 1 else 0.0)
    share(
        _dropout, x.size, x.reshape(-1), scale, seed, threshold(p), out.reshape(-1), grain=1 << 13
    )
    return out


@dropout.implement("cupy")
def dropout_cuda(x, p, seed):
    """One pass: dropout.cu."""
    if not cuda_source.known(x) or not x.size:
        return dropout.reference(x, p, seed)
    xp = array_module(x)
    x = xp.ascontiguousarray(x)
    out = xp.empty(x.shape, x.dtype)
    scale = 1 / (1 - p) if p < 1 else 0.0
    cuda_source.launch(
        "dropout.cu", "dropout", x.dtype, cuda_source.blocks(x.size), cuda_source.THREADS,
        x, out, x.size, scale, int(seed), threshold(p),
    )  # fmt: skip
    return out
