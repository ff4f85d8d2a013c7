"""The plain recurrent layer over whole sequences, forward and backward (Elman 1990).

    h_t = f(W_ih x_t + W_hh h_{t-1} + b),  f = tanh or relu

x (N, I): the rows of all steps; h0 (B, H); W_ih (H, I), W_hh (H, H), b (H) the sum of both biases;
N, B, sizes and the order of rows as in recurrent.py. With dh_t what reaches h_t from the outputs and
from step t + 1, d_t = dh_t f', where f' is 1 - h_t^2 for tanh and 1 or 0 for relu:

    dh_{t-1} = d_t W_hh        dx_t = d_t W_ih        dW_ih = sum_t d_t^T x_t, and so on
"""

import numpy

from ..backend import array_module
from .kernel import Kernel, compiled
from .panels import pack, pack_transposed, panels
from .recurrent import (
    blocks_of,
    compilable,
    copy_row,
    fetch_row,
    layout,
    pack_row,
    panels_of_rows,
    previous,
    row_sums,
    rows_of,
    run,
    times,
    walk,
    weight_gradient,
)
from .vector_math import tanh


def rnn_forward(x, h0, w_ih, w_hh, bias, sizes, batch_first, reverse, relu):
    """-> h of all steps (N, H), the last h (B, H); f is relu or else tanh."""
    xp = array_module(x)
    out = xp.empty((len(x), w_hh.shape[1]), x.dtype)
    h = h0.copy()
    rows = rows_of(sizes, batch_first)
    for t, _ in walk(sizes, reverse):
        count = sizes[t]
        made = x[rows[t]] @ w_ih.T + h[:count] @ w_hh.T + bias
        h[:count] = xp.maximum(made, 0) if relu else xp.tanh(made)
        out[rows[t]] = h[:count]
    return out, h


def rnn_backward(g_out, g_h, out, x, h0, w_ih, w_hh, sizes, batch_first, reverse, relu, wanted):
    """-> the gradients of x, h0, W_ih, W_hh and b; `wanted`: which of x, W_ih, W_hh are needed."""
    dh = g_h.copy()
    d = array_module(x).empty_like(out)
    rows = rows_of(sizes, batch_first)
    for t, _ in reversed(list(walk(sizes, reverse))):
        count = sizes[t]
        h = out[rows[t]]
        slope = h > 0 if relu else 1 - h * h
        d[rows[t]] = (dh[:count] + g_out[rows[t]]) * slope
        dh[:count] = d[rows[t]] @ w_hh
    before = previous(out, h0, sizes, batch_first, reverse)
    dx = d @ w_ih if wanted[0] else None
    dw_ih = d.T @ x if wanted[1] else None
    dw_hh = d.T @ before if wanted[2] else None
    return dx, dh, dw_ih, dw_hh, d.sum(0)


rnn_forward = Kernel(rnn_forward)
rnn_backward = Kernel(rnn_backward)


@compiled
def _forward(
    begin, end, block, x, sizes, starts, hop, reverse, relu, packed, bias, xh, sums, out
):  # fmt: skip
    zero = x.dtype.type(0)
    batch, size = xh.shape[0], out.shape[1]
    inputs, steps = x.shape[1], sizes.size
    for at in range(begin, end):
        first = at * block
        for s in range(steps):
            t = steps - 1 - s if reverse else s
            last = min(first + block, batch, sizes[t])
            for b in range(first, last):
                copy_row(x[starts[t] + b * hop], xh[b, :inputs])
            times(first, last, xh, 0, packed, sums, 0)
            for b in range(first, last):
                made, h = sums[b], xh[b, inputs:]
                if relu:
                    for j in range(size):
                        total = made[j] + bias[j]
                        h[j] = zero if total < zero else total  # so written, NaN stays NaN
                else:
                    for j in range(size):
                        h[j] = tanh(made[j] + bias[j])
                copy_row(h, out[starts[t] + b * hop])


@rnn_forward.implement("numpy")
def rnn_forward_numba(x, h0, w_ih, w_hh, bias, sizes, batch_first, reverse, relu):
    """Blocks of sequences on all threads."""
    if not compilable(x, h0, w_ih, w_hh, bias):
        return rnn_forward.reference(x, h0, w_ih, w_hh, bias, sizes, batch_first, reverse, relu)
    n, inputs = x.shape
    batch, size = h0.shape
    counts, starts, hop = layout(sizes, batch_first)
    out = numpy.empty((n, size), x.dtype)
    count, width = panels(x.dtype, size)
    xh = numpy.empty((batch, inputs + size), x.dtype)
    xh[:, inputs:] = h0
    run(
        _forward, sizes, blocks_of(sizes), numpy.ascontiguousarray(x), counts, starts, hop, reverse,
        relu, pack_transposed(w_ih, w_hh), numpy.ascontiguousarray(bias), xh,
        numpy.empty((batch, count * width), x.dtype), out,
    )  # fmt: skip
    return out, xh[:, inputs:].copy()


@compiled
def _backward(
    begin, end, block, sizes, starts, hop, reverse, relu, want_x, g_out, out, h0, packed_hh,
    packed_ih, dh, made, dx_t, dx, d, before, d_bias,
):  # fmt: skip
    zero, one = dh.dtype.type(0), dh.dtype.type(1)
    batch, size = made.shape
    steps = sizes.size
    for at in range(begin, end):
        first = at * block
        for s in range(steps):
            t = s if reverse else steps - 1 - s
            t_before = t + 1 if reverse else t - 1
            last = min(first + block, batch, sizes[t])
            for b in range(first, last):
                row = starts[t] + b * hop
                h_before = h0[b]
                if 0 <= t_before < steps and b < sizes[t_before]:
                    h_before = out[starts[t_before] + b * hop]
                copy_row(h_before, before[row])
                h, arriving, dh_t, d_t, bias = out[row], g_out[row], dh[b], made[b], d_bias[b]
                if relu:
                    for j in range(size):
                        d_t[j] = dh_t[j] + arriving[j] if h[j] > zero else zero
                else:
                    for j in range(size):
                        d_t[j] = (dh_t[j] + arriving[j]) * (one - h[j] * h[j])
                for j in range(size):
                    bias[j] += d_t[j]
                pack_row(d_t, d, row)
            if 0 <= t_before < steps:
                for b in range(first, min(last, sizes[t_before])):
                    fetch_row(d, starts[t_before] + b * hop)
            times(first, last, made, 0, packed_hh, dh, 0)
            if want_x:
                times(first, last, made, 0, packed_ih, dx_t, 0)
                for b in range(first, last):
                    into = dx[starts[t] + b * hop]
                    copy_row(dx_t[b, : into.size], into)


@rnn_backward.implement("numpy")
def rnn_backward_numba(
    g_out, g_h, out, x, h0, w_ih, w_hh, sizes, batch_first, reverse, relu, wanted
):
    """Blocks of sequences on all threads, then the gradients of the weights, panel by panel."""
    if not compilable(x, h0, w_ih, w_hh, g_out, g_h):
        return rnn_backward.reference(
            g_out, g_h, out, x, h0, w_ih, w_hh, sizes, batch_first, reverse, relu, wanted
        )
    n, inputs = x.shape
    batch, size = h0.shape
    dtype = x.dtype
    counts, starts, hop = layout(sizes, batch_first)
    packed_hh = pack(w_hh)
    packed_ih = pack(w_ih if wanted[0] else w_ih[:1, :1])
    width = packed_hh.shape[2]
    dh = numpy.zeros((batch, packed_hh.shape[0] * width), dtype)
    dh[:, :size] = g_h
    dx = numpy.empty((n if wanted[0] else 0, inputs), dtype)
    d, before = panels_of_rows(dtype, size, n), numpy.empty_like(out)
    d_bias = numpy.zeros((batch, size), dtype)
    run(
        _backward, sizes, blocks_of(sizes), counts, starts, hop, reverse, relu, wanted[0],
        numpy.ascontiguousarray(g_out), out, numpy.ascontiguousarray(h0), packed_hh, packed_ih, dh,
        numpy.empty((batch, size), dtype),
        numpy.empty((batch, packed_ih.shape[0] * width), dtype), dx, d, before, d_bias,
    )  # fmt: skip
    return (
        dx if wanted[0] else None,
        dh[:, :size],
        weight_gradient(wanted[1], d, x, 0, size),
        weight_gradient(wanted[2], d, before, 0, size),
        row_sums(d_bias),
    )
