"""Layer norm and RMS norm: every row brought to mean 0 and size 1, then scaled and shifted.

    y = (x - m) r w + b,   m = mean(x),   r = 1 / sqrt(mean((x - m)^2) + eps)

x (rows, n), weight w and bias b (n) or the number 0 for none. centred=False is RMS norm: m = 0.
Backward, with h = (x - m) r and u = g w:

    dx = r (u - mean(u) - h mean(u h)),   dw = sum over rows of g h,   db = sum over rows of g

(RMS norm: without mean(u)). Ba, Kiros & Hinton 2016; Zhang & Sennrich 2019. In array code each step
reads and writes the whole of x; here a row stays in the first-level cache until it is done, and m and
r are cheaper to compute again than to keep.
"""

from math import sqrt

import numpy

from ..backend import array_module
from . import cuda_source
from .kernel import FLOATS, Kernel
from .parts import dividing
from .threads import share

GRAIN = 4096  # numbers that are not worth a thread of their own
BLOCK = 8192  # numbers whose rows are added up by one thread, for the gradients of weight and bias


def _standardised(x, eps, centred):
    xp = array_module(x)
    scale = x.dtype.type(1 / max(x.shape[1], 1))
    h = x - x.sum(1, keepdims=True) * scale if centred else x
    r = 1 / xp.sqrt((h * h).sum(1, keepdims=True) * scale + x.dtype.type(eps))
    return h * r, r


def normalise_rows(x, weight, bias, eps, centred):
    """y (rows, n): see the top of this file."""
    y, _ = _standardised(x, eps, centred)
    if hasattr(weight, "shape"):
        y = y * weight
    return y + bias if hasattr(bias, "shape") else y


def normalise_rows_backward(g, x, weight, eps, centred, summed=True):
    """(dx, dw, db) for a gradient g (rows, n): see the top of this file. Not summed: dx, None, None."""
    h, r = _standardised(x, eps, centred)
    u = g * weight if hasattr(weight, "shape") else g
    scale = x.dtype.type(1 / max(x.shape[1], 1))
    dx = u - h * ((u * h).sum(1, keepdims=True) * scale)
    if centred:
        dx = dx - u.sum(1, keepdims=True) * scale
    return (dx * r, (g * h).sum(0), g.sum(0)) if summed else (dx * r, None, None)


normalise_rows = Kernel(normalise_rows)
normalise_rows_backward = Kernel(normalise_rows_backward)


@dividing
def _forward(begin, end, x, weight, bias, y, eps, centred):
    f = x.dtype.type
    n = x.shape[1]
    count, least = f(n), f(eps)
    scaled, shifted = weight.size > 0, bias.size > 0
    for i in range(begin, end):
        row, out = x[i], y[i]
        mean = f(0)
        if centred:
            for j in range(n):
                mean += row[j]
            mean /= count
        square = f(0)
        for j in range(n):
            d = row[j] - mean
            square += d * d
        r = f(1) / sqrt(square / count + least)
        if scaled and shifted:
            for j in range(n):
                out[j] = (row[j] - mean) * r * weight[j] + bias[j]
        elif scaled:
            for j in range(n):
                out[j] = (row[j] - mean) * r * weight[j]
        elif shifted:
            for j in range(n):
                out[j] = (row[j] - mean) * r + bias[j]
        else:
            for j in range(n):
                out[j] = (row[j] - mean) * r


@dividing
def _backward(begin, end, g, x, weight, dx, sums, step, eps, centred):
    """sums[0, block] and sums[1, block]: what `step` rows add to the gradients of weight and bias."""
    f = x.dtype.type
    rows, n = x.shape
    count, least = f(n), f(eps)
    summed = sums.size > 0
    for block in range(begin, end):
        if summed:
            dw, db = sums[0, block], sums[1, block]
            for j in range(n):
                dw[j] = f(0)
                db[j] = f(0)
        for i in range(block * step, min(block * step + step, rows)):
            row, up, out = x[i], g[i], dx[i]
            mean = f(0)
            if centred:
                for j in range(n):
                    mean += row[j]
                mean /= count
            square = f(0)
            for j in range(n):
                d = row[j] - mean
                square += d * d
            r = f(1) / sqrt(square / count + least)
            total, along = f(0), f(0)
            if summed:
                for j in range(n):
                    h = (row[j] - mean) * r
                    u = up[j]
                    dw[j] += u * h
                    db[j] += u
                    u = u * weight[j]
                    total += u
                    along += u * h
            else:
                for j in range(n):
                    u = up[j] * weight[j]
                    total += u
                    along += u * ((row[j] - mean) * r)
            total = total / count if centred else f(0)
            along /= count
            for j in range(n):
                out[j] = (up[j] * weight[j] - total - (row[j] - mean) * r * along) * r


def _arrays(x, *vectors):
    """The vectors, empty where they are the number 0, if loops can do x with them; else None."""
    if x.dtype not in FLOATS or not x.size:
        return None
    given = [v if hasattr(v, "shape") else _NONE[x.dtype] for v in vectors]
    if any(v.dtype != x.dtype for v in given):
        return None
    return [v if v.flags.c_contiguous else numpy.ascontiguousarray(v) for v in given]


_NONE = {dtype: numpy.empty(0, dtype) for dtype in FLOATS}


@normalise_rows.implement("numpy")
def normalise_rows_numba(x, weight, bias, eps, centred):
    """Each row while it is in the cache."""
    vectors = _arrays(x, weight, bias)
    if vectors is None:
        return normalise_rows.reference(x, weight, bias, eps, centred)
    x = numpy.ascontiguousarray(x)
    y = numpy.empty_like(x)
    share(_forward, x.shape[0], x, *vectors, y, eps, centred, grain=1 + GRAIN // x.shape[1])
    return y


@normalise_rows_backward.implement("numpy")
def normalise_rows_backward_numba(g, x, weight, eps, centred, summed=True):
    """Each row while it is in the cache; sums over rows by blocks, which are then added in order."""
    vectors = _arrays(x, weight, g)
    if vectors is None:
        return normalise_rows_backward.reference(g, x, weight, eps, centred, summed)
    weight, g = vectors
    x = numpy.ascontiguousarray(x)
    rows, n = x.shape
    if not weight.size:
        weight = numpy.ones(n, x.dtype)
    dx = numpy.empty_like(x)
    step = -(-rows // min(64, -(-rows * n // BLOCK)))
    blocks = -(-rows // step)
    sums = numpy.empty((2, blocks if summed else 0, n), x.dtype)
    share(_backward, blocks, g, x, weight, dx, sums, step, eps, centred)
    dw, db = numpy.add.reduce(sums, 1) if summed else (None, None)
    return dx, dw, db


# -- on the GPU: norm.cu ---------------------------------------------------------------------------


def _gpu_arrays(x, *vectors):
    """All contiguous, None for the number 0, if kernels can do x with them; else None."""
    given = [v if hasattr(v, "shape") else None for v in vectors]
    if not x.size or not cuda_source.known(x, *(v for v in given if v is not None)):
        return None
    contiguous = array_module(x).ascontiguousarray
    return [v if v is None else contiguous(v) for v in (x, *given)]


@normalise_rows.implement("cupy")
def normalise_rows_cuda(x, weight, bias, eps, centred):
    """A block a row."""
    arrays = _gpu_arrays(x, weight, bias)
    if arrays is None:
        return normalise_rows.reference(x, weight, bias, eps, centred)
    rows, n = x.shape
    y = array_module(x).empty(x.shape, x.dtype)
    cuda_source.launch(
        "norm.cu", "normalise_rows", x.dtype, cuda_source.blocks(rows, 1),
        cuda_source.row_threads(n), *arrays, y, rows, n, float(eps), centred,
    )  # fmt: skip
    return y


@normalise_rows_backward.implement("cupy")
def normalise_rows_backward_cuda(g, x, weight, eps, centred, summed=True):
    """A block a row for dx; then parts of columns for the sums over rows, which are added in order."""
    arrays = _gpu_arrays(g, x, weight)
    if arrays is None:
        return normalise_rows_backward.reference(g, x, weight, eps, centred, summed)
    rows, n = x.shape
    g, x, weight = arrays
    xp, wide = array_module(x), cuda_source.wider(x.dtype)
    dx = xp.empty(x.shape, x.dtype)
    stats = xp.empty((rows, 2), wide) if summed else None
    cuda_source.launch(
        "norm.cu", "normalise_rows_dx", x.dtype, cuda_source.blocks(rows, 1),
        cuda_source.row_threads(n), g, x, weight, dx, stats, rows, n, float(eps), centred,
    )  # fmt: skip
    if not summed:
        return dx, None, None
    step = max(64, -(-rows // 64))
    parts = -(-rows // step)
    sums = xp.empty((2, parts, n), wide)
    cuda_source.launch(
        "norm.cu", "normalise_rows_sums", x.dtype, (-(-n // 32), parts), (32, 8),
        g, x, stats, sums, rows, n, step,
    )  # fmt: skip
    dw, db = sums.sum(1).astype(x.dtype)
    return dx, dw, db
