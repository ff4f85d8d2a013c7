"""Softmax and cross-entropy in one: of rows of logits x with one right class t each,

    loss = (1 - s) w_t (L - x_t) + s / C sum_c w_c (L - x_c)          L = log sum_c e^x_c
    dx_c = A e^(x_c - L) - (1 - s) w_t [c = t] - s / C w_c,   A = (1 - s) w_t + s / C sum_c w_c

with class weights w and label smoothing s (Szegedy et al. 2016). Probabilities are never stored: the
forward reads the logits once, the backward reads them again.

`linear_cross_entropy` goes further: logits x = h W^T + b are made, used and forgotten some rows at a
time, together with their gradients, so that those of a large vocabulary never exist at once.
"""

import numpy

from ..backend import array_module
from . import cuda_source
from .kernel import FLOATS, Kernel, compiled, inlined
from .matmul import product
from .threads import share
from .vector_math import exp

ROWS = 1 << 23  # logits that are held at once by linear_cross_entropy


def _weights(classes, target, weight, smoothing, ignored, dtype):
    """Per row: the weight of its class, times 1 - s; 0 for rows that are ignored. And s w_c / C."""
    xp = array_module(target)
    safe = xp.where(ignored, 0, target)
    own = xp.ones(len(target), dtype) if weight is None else weight[safe]
    own = xp.where(ignored, 0, own * (1 - smoothing)).astype(dtype)
    each = xp.ones(classes, dtype) if weight is None else weight
    return own, (each * (smoothing / max(classes, 1))).astype(dtype)


def cross_entropy(logits, target, weight, smoothing, ignore_index):
    """(losses (N), log sum e^x (N)) of logits (N, C) and classes (N); weight (C) or None."""
    xp = array_module(logits)
    ignored = target == ignore_index
    own, each = _weights(logits.shape[1], target, weight, smoothing, ignored, logits.dtype)
    top = logits.max(1)
    total = xp.log(xp.exp(logits - top[:, None]).sum(1)) + top
    picked = logits[xp.arange(len(target)), xp.where(ignored, 0, target)]
    losses = own * (total - picked)
    if smoothing:
        losses = losses + xp.where(ignored, 0, ((total[:, None] - logits) * each).sum(1))
    return xp.where(ignored, 0, losses).astype(logits.dtype), total


def cross_entropy_backward(scale, logits, total, target, weight, smoothing, ignore_index, out=None):
    """The gradient for the logits of sum_n scale[n] losses[n]; into `out` (it may be the logits)."""
    xp = array_module(logits)
    ignored = target == ignore_index
    own, each = _weights(logits.shape[1], target, weight, smoothing, ignored, logits.dtype)
    amount = own + each.sum() if smoothing else own
    g = xp.exp(logits - total[:, None]) * amount[:, None]
    g[xp.arange(len(target)), xp.where(ignored, 0, target)] -= own
    if smoothing:
        g -= each
    g = xp.where(ignored[:, None], 0, g * scale[:, None]).astype(logits.dtype)
    if out is None:
        return g
    out[...] = g
    return out


cross_entropy = Kernel(cross_entropy)
cross_entropy_backward = Kernel(cross_entropy_backward)


@inlined
def largest(row, lanes):
    """The largest number of a row, 64 at a time."""
    n = row.size
    whole = n - n % 64
    top = row[0]
    if whole:
        for k in range(64):
            lanes[k] = row[k]
        for j in range(64, whole, 64):
            part = row[j : j + 64]
            for k in range(64):
                lanes[k] = part[k] if part[k] > lanes[k] else lanes[k]
        for k in range(64):
            top = lanes[k] if lanes[k] > top else top
    for j in range(whole, n):
        top = row[j] if row[j] > top else top
    return top


@compiled
def _forward(begin, end, logits, target, own, each, smooth, losses, total):
    lanes = numpy.empty(64, logits.dtype)
    for i in range(begin, end):
        row = logits[i]
        top = largest(row, lanes)
        sum_ = top - top
        for c in range(row.size):
            sum_ += exp(row[c] - top)
        total[i] = numpy.log(sum_) + top
        t = target[i]
        if t < 0:
            losses[i] = 0
            continue
        losses[i] = own[i] * (total[i] - row[t])
        if smooth:
            spread = losses.dtype.type(0)
            for c in range(row.size):
                spread += (total[i] - row[c]) * each[c]
            losses[i] += spread


@compiled
def _backward(begin, end, scale, logits, total, target, own, each, smooth, sum_each, out):
    for i in range(begin, end):
        row, g, t = logits[i], out[i], target[i]
        if t < 0:
            for c in range(row.size):
                g[c] = 0
            continue
        log_sum, factor = total[i], scale[i]
        amount = (own[i] + sum_each) * factor
        if smooth:
            for c in range(row.size):
                g[c] = exp(row[c] - log_sum) * amount - each[c] * factor
        else:
            for c in range(row.size):
                g[c] = exp(row[c] - log_sum) * amount
        g[t] -= own[i] * factor


def _prepared(logits, target, weight, smoothing, ignore_index):
    """What both loops need; ignored rows have class -1."""
    ignored = target == ignore_index
    own, each = _weights(logits.shape[1], target, weight, smoothing, ignored, logits.dtype)
    return numpy.where(ignored, -1, target).astype(numpy.int64, copy=False), own, each


def _grain(classes):
    return 1 + 8192 // classes


@cross_entropy.implement("numpy")
def cross_entropy_numba(logits, target, weight, smoothing, ignore_index):
    """A row at a time, while it is in the cache."""
    if logits.dtype not in FLOATS or not logits.size:
        return cross_entropy.reference(logits, target, weight, smoothing, ignore_index)
    logits = numpy.ascontiguousarray(logits)
    target, own, each = _prepared(logits, target, weight, smoothing, ignore_index)
    losses, total = numpy.empty((2, len(target)), logits.dtype)
    share(
        _forward, len(target), logits, target, own, each, smoothing > 0, losses, total,
        grain=_grain(logits.shape[1]),
    )  # fmt: skip
    return losses, total


@cross_entropy_backward.implement("numpy")
def cross_entropy_backward_numba(
    scale, logits, total, target, weight, smoothing, ignore_index, out=None
):
    """The probabilities again, from the logits and the sums."""
    if logits.dtype not in FLOATS or not logits.size:
        return cross_entropy_backward.reference(
            scale, logits, total, target, weight, smoothing, ignore_index, out
        )
    logits = numpy.ascontiguousarray(logits)
    target, own, each = _prepared(logits, target, weight, smoothing, ignore_index)
    out = numpy.empty_like(logits) if out is None else out
    sum_each = each.sum() if smoothing else logits.dtype.type(0)
    share(
        _backward, len(target), numpy.ascontiguousarray(scale), logits, total, target, own, each,
        smoothing > 0, sum_each, out, grain=_grain(logits.shape[1]),
    )  # fmt: skip
    return out


def linear_cross_entropy(h, w, bias, target, weight, smoothing, ignore_index, scale, gradients):
    """Losses (N) of logits h w^T + bias, h (N, D), w (C, D), bias (C) or None.

    gradients: also those of sum_n scale[n] losses[n] for h, w and bias (each None otherwise).
    """
    times = product[array_module(h)]
    logits = times(h, w.T, bias=bias)
    options = target, weight, smoothing, ignore_index
    losses, total = cross_entropy.reference(logits, *options)
    if not gradients:
        return losses, None, None, None
    g = cross_entropy_backward.reference(scale, logits, total, *options)
    return losses, times(g, w), times(g.T, h), None if bias is None else g.sum(0)


linear_cross_entropy = Kernel(linear_cross_entropy)


@linear_cross_entropy.implement("numpy")
def linear_cross_entropy_numba(
    h, w, bias, target, weight, smoothing, ignore_index, scale, gradients
):
    """Some rows at a time: their logits turn into their gradients in the same memory."""
    count, classes = len(h), len(w)
    losses = numpy.empty(count, h.dtype)
    of_h = numpy.empty(h.shape, h.dtype) if gradients else None
    of_w = numpy.zeros(w.shape, w.dtype) if gradients else None
    of_bias = numpy.zeros(classes, h.dtype) if gradients and bias is not None else None
    rows = max(1, ROWS // max(classes, 1))
    room = numpy.empty((min(rows, count), classes), h.dtype)
    for first in range(0, count, rows):
        part = slice(first, min(first + rows, count))
        logits = room[: part.stop - first]
        product[numpy](h[part], w.T, out=logits)
        if bias is not None:
            logits += bias
        options = target[part], weight, smoothing, ignore_index
        losses[part], total = cross_entropy[numpy](logits, *options)
        if not gradients:
            continue
        cross_entropy_backward[numpy](scale[part], logits, total, *options, out=logits)
        product[numpy](logits, w, out=of_h[part])
        product[numpy](logits.T, h[part], out=of_w, add=True)
        if bias is not None:
            of_bias += logits.sum(0)
    return losses, of_h, of_w, of_bias


# -- on the GPU: cross_entropy.cu ------------------------------------------------------------------


def _gpu_options(logits, target, weight, smoothing):
    """(target, weight, the sum of all s w_c / C) as the kernels take them, None for what is absent."""
    xp, wide = array_module(logits), cuda_source.wider(logits.dtype)
    sum_each = None
    if smoothing:
        each = xp.ones(1, wide) if weight is None else weight.astype(wide) * (1 / logits.shape[1])
        sum_each = (each.sum() * smoothing).reshape(1).astype(wide)
    if weight is not None:
        weight = xp.ascontiguousarray(weight)
    return xp.ascontiguousarray(target, "int64"), weight, sum_each


def _fits_gpu(logits, *others):
    return logits.size and cuda_source.known(logits, *(x for x in others if x is not None))


@cross_entropy.implement("cupy")
def cross_entropy_cuda(logits, target, weight, smoothing, ignore_index):
    """A block a row, which it reads once."""
    if not _fits_gpu(logits, weight):
        return cross_entropy.reference(logits, target, weight, smoothing, ignore_index)
    xp = array_module(logits)
    rows, classes = logits.shape
    losses, total = xp.empty(rows, logits.dtype), xp.empty(rows, logits.dtype)
    cuda_source.launch(
        "cross_entropy.cu", "cross_entropy", logits.dtype, cuda_source.blocks(rows, 1),
        cuda_source.row_threads(classes), xp.ascontiguousarray(logits),
        *_gpu_options(logits, target, weight, smoothing), losses, total, rows, classes,
        float(smoothing), int(ignore_index),
    )  # fmt: skip
    return losses, total


@cross_entropy_backward.implement("cupy")
def cross_entropy_backward_cuda(
    scale, logits, total, target, weight, smoothing, ignore_index, out=None
):
    """The probabilities again, from the logits and the sums."""
    if not _fits_gpu(logits, scale, total, weight, out):
        return cross_entropy_backward.reference(
            scale, logits, total, target, weight, smoothing, ignore_index, out
        )
    xp = array_module(logits)
    rows, classes = logits.shape
    room = (
        out if out is not None and out.flags.c_contiguous else xp.empty(logits.shape, logits.dtype)
    )
    arrays = (xp.ascontiguousarray(x) for x in (scale, logits, total))
    cuda_source.launch(
        "cross_entropy.cu", "cross_entropy_backward", logits.dtype, cuda_source.blocks(rows, 1),
        cuda_source.row_threads(classes), *arrays,
        *_gpu_options(logits, target, weight, smoothing), room, rows, classes, float(smoothing),
        int(ignore_index),
    )  # fmt: skip
    if out is None or room is out:
        return room
    out[...] = room
    return out
