"""Batch norm on the GPU: how batch_norm.cu is launched. The definitions stand in batch_norm.py."""

from ..backend import array_module
from . import cuda_source
from .batch_norm import channel_affine, channel_combine, channel_moments, channel_products


def _arrays(*arrays):
    """All contiguous, if kernels can do it; else None."""
    if not arrays[0].size or not cuda_source.known(*arrays):
        return None
    contiguous = array_module(arrays[0]).ascontiguousarray
    return [contiguous(x) for x in arrays]


def _lanes(width):
    """How many threads read a row: a power of two, a warp at most."""
    return min(32, 1 << max(0, width - 1).bit_length())


def _sums(kernel, x, *arguments):
    """A block a channel; where L = 1, a block 32 channels."""
    batch, channels, length = x.shape
    if length == 1:
        blocks, lanes, numbers = -(-channels // 32), 32, 32 * batch
    else:
        blocks, lanes, numbers = channels, _lanes(length), batch * length
    threads = cuda_source.row_threads(numbers)
    places = batch, channels, length, lanes
    before, after = arguments
    cuda_source.launch("batch_norm.cu", kernel, x.dtype, blocks, threads, *before, *places, *after)


def _elementwise(kernel, x, *arrays):
    """A new array like x, written in one pass."""
    batch, channels, length = x.shape
    out = array_module(x).empty(x.shape, x.dtype)
    lanes = _lanes(channels if length == 1 else length)
    rows = batch if length == 1 else batch * channels
    cuda_source.launch(
        "batch_norm.cu", kernel, x.dtype, cuda_source.blocks(rows * lanes), cuda_source.THREADS,
        *arrays, out, batch, channels, length, lanes,
    )  # fmt: skip
    return out


@channel_moments.implement("cupy")
def channel_moments_cuda(x, eps):
    """The mean, then the squares of the distances from it; what is read twice lies in the cache."""
    arrays = _arrays(x)
    if arrays is None:
        return channel_moments.reference(x, eps)
    xp = array_module(x)
    mean, rstd = xp.empty(x.shape[1], x.dtype), xp.empty(x.shape[1], x.dtype)
    _sums("channel_moments", x, (*arrays, mean, rstd), (float(eps),))
    return mean, rstd


@channel_affine.implement("cupy")
def channel_affine_cuda(x, mean, scale, shift):
    """One pass."""
    arrays = _arrays(x, mean, scale, shift)
    if arrays is None:
        return channel_affine.reference(x, mean, scale, shift)
    return _elementwise("channel_affine", x, *arrays)


@channel_products.implement("cupy")
def channel_products_cuda(g, x, mean):
    """Both sums in one pass."""
    arrays = _arrays(g, x, mean)
    if arrays is None:
        return channel_products.reference(g, x, mean)
    xp = array_module(x)
    total, along = xp.empty(x.shape[1], x.dtype), xp.empty(x.shape[1], x.dtype)
    _sums("channel_products", x, (*arrays, total, along), ())
    return total, along


@channel_combine.implement("cupy")
def channel_combine_cuda(g, x, mean, a, b, c):
    """One pass."""
    arrays = _arrays(g, x, mean, a, b, c)
    if arrays is None:
        return channel_combine.reference(g, x, mean, a, b, c)
    return _elementwise("channel_combine", x, *arrays)
