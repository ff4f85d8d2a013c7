"""Batch norm: every channel brought to mean 0 and size 1, in few passes over the batch.

x (N, C, L), with m_c and r_c = 1 / sqrt(var + eps) taken over all N L numbers of channel c:

    y = (x - m) r w + b

    dx = r w (g - mean(g) - h mean(g h)),  h = (x - m) r,   dw = sum of g h,   db = sum of g

Ioffe & Szegedy 2015. Forward is `channel_moments` and `channel_affine`; backward is `channel_products`
and `channel_combine`. A channel's sums are taken by one thread, in the order of the batch. Where L = 1
the loops run along the channels, else along L.
"""

from math import sqrt

import numpy

from .kernel import FLOATS, Kernel
from .parts import dividing
from .threads import share

GRAIN = 8192  # numbers that are not worth a thread of their own
COLUMNS = 64  # channels that a thread does side by side where L = 1


def channel_moments(x, eps):
    """(m, r), each (C)."""
    mean = x.mean((0, 2))
    variance = ((x - mean[:, None]) ** 2).mean((0, 2))
    return mean, (variance + eps) ** -0.5


def channel_affine(x, mean, scale, shift):
    """(x - mean) scale + shift, by channel."""
    return (x - mean[:, None]) * scale[:, None] + shift[:, None]


def channel_products(g, x, mean):
    """(sum of g, sum of g (x - mean)), each (C)."""
    return g.sum((0, 2)), (g * (x - mean[:, None])).sum((0, 2))


def channel_combine(g, x, mean, a, b, c):
    """a g + b (x - mean) + c, by channel."""
    return a[:, None] * g + b[:, None] * (x - mean[:, None]) + c[:, None]


channel_moments = Kernel(channel_moments)
channel_affine = Kernel(channel_affine)
channel_products = Kernel(channel_products)
channel_combine = Kernel(channel_combine)


@dividing
def _moments(begin, end, x, mean, rstd, eps):
    zero = x.dtype.type(0)
    count = x.shape[0] * x.shape[2]
    for c in range(begin, end):
        total = 0.0
        for i in range(x.shape[0]):
            row, part = x[i, c], zero
            for j in range(row.size):
                part += row[j]
            total += part
        middle = x.dtype.type(total / count)
        total = 0.0
        for i in range(x.shape[0]):
            row, part = x[i, c], zero
            for j in range(row.size):
                d = row[j] - middle
                part += d * d
            total += part
        mean[c] = middle
        rstd[c] = 1.0 / sqrt(total / count + eps)


@dividing
def _moments_of_columns(begin, end, x, mean, rstd, eps, sums):
    for block in range(begin, end):
        first, last = block * COLUMNS, min(block * COLUMNS + COLUMNS, x.shape[1])
        total, middle = sums[first:last], mean[first:last]
        total[:] = 0
        for i in range(x.shape[0]):
            row = x[i, first:last]
            for c in range(row.size):
                total[c] += row[c]
        for c in range(total.size):
            middle[c] = total[c] / x.shape[0]
            total[c] = 0
        for i in range(x.shape[0]):
            row = x[i, first:last]
            for c in range(row.size):
                d = row[c] - middle[c]
                total[c] += d * d
        for c in range(total.size):
            rstd[first + c] = 1.0 / sqrt(total[c] / x.shape[0] + eps)


@dividing
def _affine(begin, end, x, mean, scale, shift, y):
    channels = mean.size
    for i in range(begin, end):
        row, out, c = x[i], y[i], i % channels
        middle, factor, more = mean[c], scale[c], shift[c]
        for j in range(row.size):
            out[j] = (row[j] - middle) * factor + more


@dividing
def _affine_of_columns(begin, end, x, mean, scale, shift, y):
    for i in range(begin, end):
        row, out = x[i], y[i]
        for c in range(row.size):
            out[c] = (row[c] - mean[c]) * scale[c] + shift[c]


@dividing
def _products(begin, end, g, x, mean, sums):
    zero = x.dtype.type(0)
    for c in range(begin, end):
        middle = mean[c]
        total, along = 0.0, 0.0
        for i in range(x.shape[0]):
            row, up = x[i, c], g[i, c]
            one, two = zero, zero
            for j in range(row.size):
                one += up[j]
                two += up[j] * (row[j] - middle)
            total += one
            along += two
        sums[0, c] = total
        sums[1, c] = along


@dividing
def _products_of_columns(begin, end, g, x, mean, sums):
    for block in range(begin, end):
        first, last = block * COLUMNS, min(block * COLUMNS + COLUMNS, x.shape[1])
        total, along, middle = sums[0, first:last], sums[1, first:last], mean[first:last]
        total[:] = 0
        along[:] = 0
        for i in range(x.shape[0]):
            row, up = x[i, first:last], g[i, first:last]
            for c in range(row.size):
                total[c] += up[c]
                along[c] += up[c] * (row[c] - middle[c])


@dividing
def _combine(begin, end, g, x, mean, a, b, c, out):
    channels = mean.size
    for i in range(begin, end):
        up, row, into, k = g[i], x[i], out[i], i % channels
        middle, first, second, third = mean[k], a[k], b[k], c[k]
        for j in range(row.size):
            into[j] = first * up[j] + second * (row[j] - middle) + third


@dividing
def _combine_of_columns(begin, end, g, x, mean, a, b, c, out):
    for i in range(begin, end):
        up, row, into = g[i], x[i], out[i]
        for k in range(row.size):
            into[k] = a[k] * up[k] + b[k] * (row[k] - mean[k]) + c[k]


def _fits(x, *others):
    return x.dtype in FLOATS and x.size and all(v.dtype == x.dtype for v in others)


def _channels(x):
    """How many channels, or blocks of them where L = 1, make a piece worth a thread."""
    columns = COLUMNS if x.shape[2] == 1 else 1
    return 1 + GRAIN // (x.shape[0] * x.shape[2] * columns)


def _rows(x):
    """(x as rows that lie in memory one after the other, how many make a piece worth a thread)."""
    n, channels, length = x.shape
    width = channels if length == 1 else length
    return x.reshape(-1, width), 1 + GRAIN // width


@channel_moments.implement("numpy")
def channel_moments_numba(x, eps):
    """Two passes over each channel."""
    if not _fits(x):
        return channel_moments.reference(x, eps)
    x = numpy.ascontiguousarray(x)
    n, channels, length = x.shape
    mean, rstd = numpy.empty((2, channels), x.dtype)
    eps = float(eps)
    if length == 1:
        sums = numpy.empty(channels, x.dtype)
        blocks = -(-channels // COLUMNS)
        rows = x.reshape(n, channels)
        share(_moments_of_columns, blocks, rows, mean, rstd, eps, sums, grain=_channels(x))
    else:
        share(_moments, channels, x, mean, rstd, eps, grain=_channels(x))
    return mean, rstd


@channel_affine.implement("numpy")
def channel_affine_numba(x, mean, scale, shift):
    """One pass."""
    if not _fits(x, mean, scale, shift):
        return channel_affine.reference(x, mean, scale, shift)
    vectors = [numpy.ascontiguousarray(v) for v in (mean, scale, shift)]
    rows, grain = _rows(numpy.ascontiguousarray(x))
    y = numpy.empty_like(rows)
    loop = _affine_of_columns if x.shape[2] == 1 else _affine
    share(loop, len(rows), rows, *vectors, y, grain=grain)
    return y.reshape(x.shape)


@channel_products.implement("numpy")
def channel_products_numba(g, x, mean):
    """One pass."""
    if not _fits(x, g, mean):
        return channel_products.reference(g, x, mean)
    g, x, mean = (numpy.ascontiguousarray(v) for v in (g, x, mean))
    n, channels, length = x.shape
    sums = numpy.empty((2, channels), x.dtype)
    if length == 1:
        rows = g.reshape(n, channels), x.reshape(n, channels)
        blocks = -(-channels // COLUMNS)
        share(_products_of_columns, blocks, *rows, mean, sums, grain=_channels(x))
    else:
        share(_products, channels, g, x, mean, sums, grain=_channels(x))
    total, along = sums
    return total, along


@channel_combine.implement("numpy")
def channel_combine_numba(g, x, mean, a, b, c):
    """One pass."""
    if not _fits(x, g, mean, a, b, c):
        return channel_combine.reference(g, x, mean, a, b, c)
    vectors = [numpy.ascontiguousarray(v) for v in (mean, a, b, c)]
    up, _ = _rows(numpy.ascontiguousarray(g))
    rows, grain = _rows(numpy.ascontiguousarray(x))
    out = numpy.empty_like(rows)
    loop = _combine_of_columns if x.shape[2] == 1 else _combine
    share(loop, len(rows), up, rows, *vectors, out, grain=grain)
    return out.reshape(x.shape)
