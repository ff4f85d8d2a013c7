"""Convolution over time on the GPU: how conv1d.cu and conv1d_max.cu are launched; see conv1d.py.

Numbers of 16 bits are multiplied on tensor cores, and so are float32: each as the sum of two TF32, which
is as exact as float32, or, where minigrad.backends.cuda.matmul.allow_tf32 says so, as one. float64, and
GPUs without TF32, take ordinary arithmetic.
"""

import math

from ..backend import array_module
from . import cuda_source
from .conv1d import conv1d, conv1d_input, conv1d_relu_max, conv1d_relu_max_backward, conv1d_weight
from .tensor_cores import allowed as tf32

TILE = 64  # rows and columns of a product that a block takes
THREADS = 128
MANY = 256  # blocks that keep a GPU busy; sums are cut into parts where there would be fewer
LEAST = 256  # rows that are worth a part of their own
GRID_HEIGHT, ROWS_AT_MOST = 65535, 2**31 - 1
SHARED = 48 << 10  # bytes of shared memory that every GPU gives a block


def _tiles(n):
    return -(-n // TILE)


def _fits(rows, columns, *arrays):
    """True where the kernels can do it: one dtype, something to do, indices of 32 bits."""
    return (
        rows > 0
        and all(x.size for x in arrays)
        and cuda_source.known(*arrays)
        and rows <= ROWS_AT_MOST
        and _tiles(columns) <= GRID_HEIGHT
    )


def _launch(kernel, dtype, grid, *arguments, threads=THREADS):
    macros = _macros(dtype, cuda_source.gpu().capability)
    cuda_source.launch("conv1d.cu", kernel, dtype, grid, threads, *arguments, macros=macros)


def _macros(dtype, capability):
    """How products are done: by ordinary arithmetic, on tensor cores (1), or as exactly as floats (3)."""
    if capability < 80 or dtype.name == "float64":
        return ()
    return ("-DTENSOR=1",) if dtype.itemsize == 2 or tf32() else ("-DTENSOR=3",)


def _steps(x, kernel, stride, dilation):
    return (x.shape[1] - dilation * (kernel - 1) - 1) // stride + 1


def _windows(x, kernel, stride, dilation, steps):
    """(what the kernels take as SOURCE, taps): windows of x (B, L, C), as conv1d.cu counts them."""
    _, length, channels = x.shape
    taps, width = (1, kernel * channels) if dilation == 1 else (kernel, channels)
    source = x, length * channels, steps, stride * channels, 0, dilation * channels, width
    return source, taps


def _contiguous(*arrays):
    xp = array_module(arrays[0])
    return [xp.ascontiguousarray(x) for x in arrays]


@conv1d.implement("cupy")
def conv1d_cuda(x, w, stride, dilation, bias=None):
    """Tiles of 64 steps and 64 filters, the bias added in registers."""
    filters, channels, kernel = w.shape
    steps = _steps(x, kernel, stride, dilation)
    given = () if bias is None else (bias,)
    if not _fits(len(x) * steps, filters, x, w, *given):
        return conv1d.reference(x, w, stride, dilation, bias)
    x, matrix, *given = _contiguous(x, w.transpose(2, 1, 0), *given)
    rows = len(x) * steps
    out = array_module(x).empty((len(x), steps, filters), x.dtype)
    source, taps = _windows(x, kernel, stride, dilation, steps)
    _launch(
        "conv1d", x.dtype, (_tiles(rows), _tiles(filters)), *source, matrix, channels * filters, taps,
        *given or (None,), out, steps * filters, filters, rows, filters,
    )  # fmt: skip
    return out


@conv1d_input.implement("cupy")
def conv1d_input_cuda(g, w, length, stride, dilation):
    """The convolution of g with the weights turned round.

    x[l] gets from g[t] through tap k if stride t + dilation k = l. So the places l = phase + stride i
    get from the taps k of one phase, dilation k = phase modulo stride, at t = i + (phase - dilation k) /
    stride: a convolution with stride 1 for each phase, without a multiplication by zeros between.
    """
    (batch, steps, filters), (_, channels, kernel) = g.shape, w.shape
    if not _fits(batch * length, channels, g, w):
        return conv1d_input.reference(g, w, length, stride, dilation)
    g, matrix = _contiguous(g, w.transpose(2, 0, 1))
    out = array_module(g).empty((batch, length, channels), g.dtype)
    period = stride // math.gcd(stride, dilation)
    for phase in range(min(stride, length)):
        taps = [k for k in range(min(period, kernel)) if (phase - dilation * k) % stride == 0]
        taps = range(taps[0], kernel, period) if taps else range(0)
        first = (phase - dilation * taps[0]) // stride if taps else 0
        count = -(-(length - phase) // stride)
        _launch(
            "conv1d", g.dtype, (_tiles(batch * count), _tiles(channels)),
            g, steps * filters, count, filters, first * filters,
            -dilation * period // stride * filters, filters,
            matrix[taps[0] if taps else 0 :], period * filters * channels, len(taps),
            None, out.reshape(-1)[phase * channels :], length * channels, stride * channels,
            batch * count, channels,
        )  # fmt: skip
    return out


@conv1d_weight.implement("cupy")
def conv1d_weight_cuda(g, x, kernel, stride, dilation):
    """One product with all windows, in parts of their rows, which are added in order."""
    (batch, steps, filters), channels = g.shape, x.shape[2]
    rows, size = batch * steps, kernel * channels
    if not _fits(rows, filters, g, x):
        return conv1d_weight.reference(g, x, kernel, stride, dilation)
    g, x = _contiguous(g, x)
    xp = array_module(x)
    tiles = _tiles(size), _tiles(filters)
    parts = max(1, min(rows // LEAST, 2 * MANY // math.prod(tiles)))
    span = -(-rows // parts)
    parts = -(-rows // span)
    sums = xp.empty((parts, filters, size), cuda_source.wider(x.dtype))
    source, taps = _windows(x, kernel, stride, dilation, steps)
    _launch("conv1d_weight", x.dtype, (*tiles, parts), *source, g, sums, taps, rows, filters, span)
    out = xp.empty((filters, channels, kernel), x.dtype)
    _launch(
        "conv1d_weight_sum", x.dtype, cuda_source.blocks(out.size), sums, out, parts, filters, channels,
        kernel, threads=cuda_source.THREADS,
    )  # fmt: skip
    return out


@conv1d_relu_max.implement("cupy")
def conv1d_relu_max_cuda(x, w, bias, stride, dilation):
    """Tiles as for conv1d, whose maxima are taken in shared memory: nothing else is written."""
    filters, channels, kernel = w.shape
    batch, steps = len(x), _steps(x, kernel, stride, dilation)
    if not _fits(batch * steps, filters, x, w, bias):
        return conv1d_relu_max.reference(x, w, bias, stride, dilation)
    x, matrix, bias = _contiguous(x, w.transpose(2, 1, 0), bias)
    xp, dtype = array_module(x), x.dtype
    best, where = xp.empty((batch, filters), dtype), xp.empty((batch, filters), "int64")
    texts = max(1, TILE // steps)  # so many fit into a tile
    columns = _tiles(filters)
    parts = max(1, min(_tiles(steps), MANY // (batch * columns)))
    span = -(-_tiles(steps) // parts) * TILE
    parts = -(-steps // span)
    tops, places = None, where
    if parts > 1:
        tops = xp.empty((parts, batch, filters), cuda_source.wider(dtype))
        places = xp.empty((parts, batch, filters), "int64")
    source, taps = _windows(x, kernel, stride, dilation, steps)
    _launch(
        "conv1d_relu_max", dtype, (-(-batch // texts), columns, parts), *source, matrix, taps, bias,
        best, tops, places, batch, filters, texts, span,
    )  # fmt: skip
    if parts > 1:
        _launch(
            "conv1d_best_part", dtype, cuda_source.blocks(best.size), tops, places, best, where, parts,
            best.size, threads=cuda_source.THREADS,
        )  # fmt: skip
    return best, where


@conv1d_relu_max_backward.implement("cupy")
def conv1d_relu_max_backward_cuda(g, where, x, w, length, stride, dilation, wanted):
    """Only windows that have a maximum are looked at; nobody waits to learn how many they are."""
    filters, channels, kernel = w.shape
    batch, steps = len(g), (length - dilation * (kernel - 1) - 1) // stride + 1
    room = filters * (cuda_source.wider(g.dtype).itemsize + 8) + 4 * steps
    heights = -(-length // 32), -(-kernel * channels // THREADS)
    arrays = (g, w, x) if wanted[1] else (g, w)
    if not _fits(batch, 1, *arrays) or room > SHARED or max(heights) > GRID_HEIGHT:
        return conv1d_relu_max_backward.reference(g, where, x, w, length, stride, dilation, wanted)
    xp, dtype, dx, dw = array_module(g), g.dtype, None, None
    g, where = _contiguous(g, where)
    shape = channels, kernel, stride, dilation
    if wanted[0]:
        dx = xp.empty((batch, length, channels), dtype)
        matrix = xp.ascontiguousarray(w.transpose(2, 0, 1))
        cuda_source.launch(
            "conv1d_max.cu", "conv1d_max_input", dtype, (batch, heights[0]), cuda_source.THREADS,
            g, where, matrix, dx, filters, steps, length, *shape, shared=room,
        )  # fmt: skip
    if wanted[1]:
        dw = xp.empty(w.shape, dtype)
        cuda_source.launch(
            "conv1d_max.cu", "conv1d_max_weight", dtype, (filters, heights[1]), THREADS,
            g, where, xp.ascontiguousarray(x), dw, batch, filters, length, *shape,
        )  # fmt: skip
    return dx, dw
