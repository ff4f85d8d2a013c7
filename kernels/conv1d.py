"""Convolution over time, its two gradients, and with ReLU and the maximum over time.

    out[b, t, o] = sum_{k, c} x[b, stride t + dilation k, c] w[k, c, o]        x padded, channels last

For one text this is a sum over k of matrix products, of rows of x that lie stride x C numbers apart
with w[k]: BLAS reads them where they are, so no windows are copied (no im2col).

The maximum over time (Collobert et al. 2011; Kim 2014) passes its gradient to one time step of each
filter, all others get zero. So gradients that are mostly zeros, wherever they come from, are not
multiplied as matrices: each number that isn't zero adds a window of x to dw and a row of w to dx,
fifty times less work for texts of fifty words. A dense gradient has nothing to skip: there the gain
over windows and BLAS is small, 0.9 to 1.4 times.

x (B, L, C) is padded already; w (O, C, K) as torch keeps it; out (B, T, O).
"""

import numpy

from ..backend import array_module
from .cublas import matmul, tensordot
from .kernel import FLOATS, Kernel, Late, compiled
from .matmul import address, blas, gemm, one_blas_thread, product
from .threads import share

address_of = Late("blas_call", "address")
SPARSE = 16  # a gradient with fewer than one number in so many that is not zero counts as sparse


def _windows(x, kernel, stride, dilation):
    """(B, L, C) -> (B, T, K, C), every window, as a view."""
    steps = (x.shape[1] - dilation * (kernel - 1) - 1) // stride + 1
    b, t, c = x.strides
    shape = (x.shape[0], steps, kernel, x.shape[2])
    strides = b, t * stride, t * dilation, c
    return array_module(x).lib.stride_tricks.as_strided(x, shape, strides)


def conv1d(x, w, stride, dilation, bias=None):
    """out[b, t, o] = sum_{k, c} x[b, stride t + dilation k, c] w[o, c, k] (+ bias[o])."""
    windows = _windows(x, w.shape[2], stride, dilation)
    out = tensordot(windows, w, ([2, 3], [2, 1]))
    return out if bias is None else out + bias


def conv1d_input(g, w, length, stride, dilation):
    """The gradient for x (B, L, C), from that of the output, g (B, T, O)."""
    steps = g.shape[1]
    out = array_module(g).zeros((g.shape[0], length, w.shape[1]), g.dtype)
    for k in range(w.shape[2]):
        first = dilation * k
        out[:, first : first + stride * (steps - 1) + 1 : stride] += matmul(g, w[:, :, k])
    return out


def conv1d_weight(g, x, kernel, stride, dilation):
    """The gradient for w (O, C, K), from that of the output, g (B, T, O)."""
    windows = _windows(x, kernel, stride, dilation)[:, : g.shape[1]]
    return tensordot(g, windows, ([0, 1], [0, 1])).transpose(0, 2, 1)


def conv1d_relu_max(x, w, bias, stride, dilation):
    """(max over t of relu(out + bias) (B, O), the time step where it stands (B, O))."""
    out = array_module(x).maximum(conv1d.reference(x, w, stride, dilation) + bias, 0)
    return out.max(1), out.argmax(1)


def conv1d_relu_max_backward(g, where, x, w, length, stride, dilation, wanted):
    """(dx (B, L, C), dw (O, C, K)) from g (B, O), the gradient of the maxima, which stood at `where`.

    g is zero where the ReLU let nothing through. wanted: which of both; what isn't is None. Without
    dw, x may be None: `length` is its L.
    """
    xp = array_module(g)
    steps = (length - dilation * (w.shape[2] - 1) - 1) // stride + 1
    dense = xp.where(where[:, None] == xp.arange(steps)[:, None], g[:, None], g.dtype.type(0))
    dx = conv1d_input.reference(dense, w, length, stride, dilation) if wanted[0] else None
    dw = conv1d_weight.reference(dense, x, w.shape[2], stride, dilation) if wanted[1] else None
    return dx, dw


conv1d = Kernel(conv1d)
conv1d_input = Kernel(conv1d_input)
conv1d_weight = Kernel(conv1d_weight)
conv1d_relu_max = Kernel(conv1d_relu_max)
conv1d_relu_max_backward = Kernel(conv1d_relu_max_backward)


def _suits(*arrays):
    """True for what the compiled versions take: floats of one dtype, not empty, where BLAS is known."""
    dtype = arrays[0].dtype
    return (
        dtype in FLOATS and all(a.dtype == dtype and a.size for a in arrays) and blas() is not None
    )


# -- forward ---------------------------------------------------------------------------------------


@compiled
def _products(
    begin, end, blas, one, size, x, length, channels, w, kernel, stride, dilation, out, steps, filters
):  # fmt: skip
    """The convolutions of texts begin to end: addresses of x (B, L, C), w (K, C, O), out (B, T, O)."""
    for b in range(begin, end):
        into = out + b * steps * filters * size
        for k in range(kernel):
            rows = x + (b * length + k * dilation) * channels * size
            part = w + k * channels * filters * size
            beta = one if k else one - one
            gemm(
                blas, False, False, steps, filters, channels,
                rows, stride * channels, part, filters, beta, into, filters,
            )  # fmt: skip


def _matrices(w):
    """(O, C, K) -> (K, C, O), contiguous."""
    return numpy.ascontiguousarray(w.transpose(2, 1, 0))


def _steps(x, w, stride, dilation):
    return (x.shape[1] - dilation * (w.shape[2] - 1) - 1) // stride + 1


@conv1d.implement("numpy")
def conv1d_numba(x, w, stride, dilation, bias=None):
    """A product per text and place of the kernel, adding up in `out`."""
    if not _suits(x, w):
        return conv1d.reference(x, w, stride, dilation, bias)
    x, w_k = numpy.ascontiguousarray(x), _matrices(w)
    (batch, length, channels), (filters, _, kernel) = x.shape, w.shape
    steps = _steps(x, w, stride, dilation)
    out = numpy.empty((batch, steps, filters), x.dtype)
    with one_blas_thread():
        share(
            _products, batch, blas().gemm[x.dtype], x.dtype.type(1), x.itemsize, address(x), length,
            channels, address(w_k), kernel, stride, dilation, address(out), steps, filters,
            grain=_grain(steps * filters * channels * kernel),
        )  # fmt: skip
    if bias is not None:
        out += bias
    return out


def _grain(work):
    """How many texts make a piece worth handing to a thread."""
    return 1 + (1 << 18) // max(work, 1)


@compiled
def _relu_max(
    begin, end, blas, one, size, x, length, channels, w, kernel, stride, dilation, steps, bias, best,
    where,
):  # fmt: skip
    """As `_products`, each text's followed by ReLU and maximum while it is in the cache."""
    filters = best.shape[1]
    room = numpy.empty((steps, filters), best.dtype)
    for b in range(begin, end):
        for k in range(kernel):
            rows = x + (b * length + k * dilation) * channels * size
            part = w + k * channels * filters * size
            beta = one if k else one - one
            gemm(
                blas, False, False, steps, filters, channels,
                rows, stride * channels, part, filters, beta, address_of(room), filters,
            )  # fmt: skip
        top, at = best[b], where[b]
        for o in range(filters):
            top[o] = room[0, o]
            at[o] = 0
        for t in range(1, steps):
            row = room[t]
            for o in range(filters):
                better = row[o] > top[o] or row[o] != row[o]
                top[o] = row[o] if better else top[o]
                at[o] = t if better else at[o]
        for o in range(filters):
            value = top[o] + bias[o]
            top[o] = value - value if value < 0 else value


@conv1d_relu_max.implement("numpy")
def conv1d_relu_max_numba(x, w, bias, stride, dilation):
    """A text's convolution never leaves the cache."""
    if not _suits(x, w, bias):
        return conv1d_relu_max.reference(x, w, bias, stride, dilation)
    x, w_k = numpy.ascontiguousarray(x), _matrices(w)
    (batch, length, channels), (filters, _, kernel) = x.shape, w.shape
    steps = _steps(x, w, stride, dilation)
    best = numpy.empty((batch, filters), x.dtype)
    where = numpy.empty((batch, filters), numpy.int32)
    with one_blas_thread():
        share(
            _relu_max, batch, blas().gemm[x.dtype], x.dtype.type(1), x.itemsize, address(x), length,
            channels, address(w_k), kernel, stride, dilation, steps, numpy.ascontiguousarray(bias),
            best, where, grain=_grain(steps * filters * channels * kernel),
        )  # fmt: skip
    return best, where.astype(numpy.int64)


# -- backward, of gradients that are mostly zeros ----------------------------------------------------


@compiled
def _find(g, place, limit):
    """The places in g (flat) of numbers that are not zero; how many, or -1 if more than limit."""
    count = 0
    for i in range(g.size):
        if g[i] != 0:
            if count == limit:
                return -1
            place[count] = i
            count += 1
    return count


def _sparse(g):
    """(text, time step, filter, value) of the numbers in g that are not zero; None if they are many."""
    g = numpy.ascontiguousarray(g)
    place = numpy.empty(g.size // SPARSE, numpy.int64)
    count = _find(g.reshape(-1), place, place.size)
    if count < 0:
        return None
    place = place[:count]
    b, rest = numpy.divmod(place, g.shape[1] * g.shape[2])
    t, o = numpy.divmod(rest, g.shape[2])
    return b, t, o, g.reshape(-1)[place]


@compiled
def _scatter_input(begin, end, starts, times, filters, values, w, out, stride, dilation):
    """out (B, L, C) += value w[filter] (w (O, K, C)) for the numbers of texts begin to end."""
    for b in range(begin, end):
        for i in range(starts[b], starts[b + 1]):
            value = values[i]
            for k in range(w.shape[1]):
                row, part = out[b, times[i] * stride + k * dilation], w[filters[i], k]
                for c in range(row.size):
                    row[c] += value * part[c]


@compiled
def _scatter_weight(begin, end, texts, times, filters, values, x, out, stride, dilation):
    """out (O, K, C) += value x[text, window] for the numbers of filters begin to end."""
    for i in range(values.size):
        o, value = filters[i], values[i]
        if begin <= o < end:
            for k in range(out.shape[1]):
                row, part = out[o, k], x[texts[i], times[i] * stride + k * dilation]
                for c in range(row.size):
                    row[c] += value * part[c]


def input_from_few(few, w, shape, stride, dilation):
    """The gradient for x of `shape`, from the few numbers of a sparse one."""
    texts, times, filters, values = few
    out = numpy.zeros(shape, w.dtype)
    starts = numpy.searchsorted(texts, numpy.arange(shape[0] + 1))
    w = numpy.ascontiguousarray(w.transpose(0, 2, 1))
    share(
        _scatter_input, shape[0], starts, times, filters, values, w, out, stride, dilation, grain=1
    )
    return out


def weight_from_few(few, x, shape, stride, dilation):
    """The gradient for w of `shape`, from the few numbers of a sparse one."""
    filters, channels, kernel = shape
    out = numpy.zeros((filters, kernel, channels), x.dtype)
    share(_scatter_weight, filters, *few, x, out, stride, dilation, grain=8)
    return numpy.ascontiguousarray(out.transpose(0, 2, 1))


@conv1d_relu_max_backward.implement("numpy")
def conv1d_relu_max_backward_numba(g, where, x, w, length, stride, dilation, wanted):
    """One row of dx and one window of x per number of g that is not zero."""
    arrays = (g, w, x) if wanted[1] else (g, w)
    if not _suits(*arrays):
        return conv1d_relu_max_backward.reference(g, where, x, w, length, stride, dilation, wanted)
    texts, filters = g.nonzero()
    few = texts, where[texts, filters], filters, g[texts, filters]
    shape = len(g), length, w.shape[1]
    dx = input_from_few(few, w, shape, stride, dilation) if wanted[0] else None
    dw = weight_from_few(few, x, w.shape, stride, dilation) if wanted[1] else None
    return dx, dw


# -- backward, of any gradient -----------------------------------------------------------------------


@compiled
def _products_back(
    begin, end, blas, one, size, g, steps, filters, w, kernel, stride, dilation, out, length, channels
):  # fmt: skip
    """out (B, L, C) += g (B, T, O) w[k] (w (K, O, C)) at every stride-th row from dilation k on."""
    for b in range(begin, end):
        rows = g + b * steps * filters * size
        for k in range(kernel):
            part = w + k * filters * channels * size
            into = out + (b * length + k * dilation) * channels * size
            gemm(
                blas, False, False, steps, channels, filters,
                rows, filters, part, channels, one, into, stride * channels,
            )  # fmt: skip


@conv1d_input.implement("numpy")
def conv1d_input_numba(g, w, length, stride, dilation):
    """A product per text and place of the kernel; or one row per number that is not zero."""
    if not _suits(g, w):
        return conv1d_input.reference(g, w, length, stride, dilation)
    (batch, steps, filters), (_, channels, kernel) = g.shape, w.shape
    few = _sparse(g)
    if few is not None:
        return input_from_few(few, w, (batch, length, channels), stride, dilation)
    g = numpy.ascontiguousarray(g)
    w_k = numpy.ascontiguousarray(w.transpose(2, 0, 1))
    out = numpy.zeros((batch, length, channels), g.dtype)
    with one_blas_thread():
        share(
            _products_back, batch, blas().gemm[g.dtype], g.dtype.type(1), g.itemsize, address(g),
            steps, filters, address(w_k), kernel, stride, dilation, address(out), length, channels,
            grain=_grain(steps * filters * channels * kernel),
        )  # fmt: skip
    return out


@conv1d_weight.implement("numpy")
def conv1d_weight_numba(g, x, kernel, stride, dilation):
    """One product with all windows; or one window per number that is not zero."""
    if not _suits(g, x):
        return conv1d_weight.reference(g, x, kernel, stride, dilation)
    (channels, filters), x = (x.shape[2], g.shape[2]), numpy.ascontiguousarray(x)
    few = _sparse(g)
    if few is not None:
        return weight_from_few(few, x, (filters, channels, kernel), stride, dilation)
    windows = _windows(x, kernel, stride, dilation)[:, : g.shape[1]].reshape(-1, kernel * channels)
    out = product[numpy](g.reshape(-1, filters).T, windows)
    return numpy.ascontiguousarray(out.reshape(filters, kernel, channels).transpose(0, 2, 1))
