"""LSTM over whole sequences, forward and backward (Hochreiter & Schmidhuber 1997, Gers et al. 2000).

    i, f, g, o = W_ih x_t + W_hh h_{t-1} + b          c_t = s(f) c_{t-1} + s(i) tanh(g)
                                                      h_t = s(o) tanh(c_t)

s the logistic function. x (N, I): the rows of all steps; h0, c0 (B, H); W_ih (4 H, I), W_hh (4 H, H),
b (4 H) the sum of both biases; N, B, sizes and the order of rows as in recurrent.py.

With dh_t, dc_t what reaches h_t and c_t from the outputs and from step t + 1, and i, f, g, o from here
on what the gates are after s and tanh:

    dc_t += dh_t o (1 - tanh(c_t)^2)                   dc_{t-1} = dc_t f
    d_gates = (dc_t g i (1 - i), dc_t c_{t-1} f (1 - f), dc_t i (1 - g^2), dh_t tanh(c_t) o (1 - o))
    dh_{t-1} = d_gates W_hh        dx_t = d_gates W_ih        dW_ih = d_gates^T x, and so on
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
from .vector_math import sigmoid, tanh


def _sigmoid(x):
    return 0.5 * (array_module(x).tanh(0.5 * x) + 1)


def lstm_forward(x, h0, c0, w_ih, w_hh, bias, sizes, batch_first, reverse, keep):
    """-> h of all steps (N, H), the last h and c (B, H), gates (N, 4 H), cells (N, H).

    Gates, after s and tanh, and cells are for the backward pass; without `keep` they are empty.
    """
    xp = array_module(x)
    n, size = len(x), w_hh.shape[1]
    out = xp.empty((n, size), x.dtype)
    gates = xp.empty((n if keep else 0, 4 * size), x.dtype)
    cells = xp.empty((n if keep else 0, size), x.dtype)
    h, c = h0.copy(), c0.copy()
    rows = rows_of(sizes, batch_first)
    for t, _ in walk(sizes, reverse):
        count = sizes[t]
        made = x[rows[t]] @ w_ih.T + h[:count] @ w_hh.T + bias
        i, f, o = (_sigmoid(made[:, k * size : (k + 1) * size]) for k in (0, 1, 3))
        g = xp.tanh(made[:, 2 * size : 3 * size])
        c[:count] = f * c[:count] + i * g
        h[:count] = o * xp.tanh(c[:count])
        out[rows[t]] = h[:count]
        if keep:
            gates[rows[t]] = xp.concatenate([i, f, g, o], 1)
            cells[rows[t]] = c[:count]
    return out, h, c, gates, cells


def lstm_backward(
    g_out, g_h, g_c, out, gates, cells, x, h0, c0, w_ih, w_hh, sizes, batch_first, reverse, wanted
):
    """-> the gradients of x, h0, c0, W_ih, W_hh and b; `wanted`: which of x, W_ih, W_hh are needed."""
    xp = array_module(x)
    size = w_hh.shape[1]
    dh, dc = g_h.copy(), g_c.copy()
    d_gates = xp.empty_like(gates)
    rows = rows_of(sizes, batch_first)
    c_before = previous(cells, c0, sizes, batch_first, reverse)
    for t, _ in reversed(list(walk(sizes, reverse))):
        count = sizes[t]
        i, f, g, o = (gates[rows[t], k * size : (k + 1) * size] for k in range(4))
        tanh_c = xp.tanh(cells[rows[t]])
        dh_t = dh[:count] + g_out[rows[t]]
        dc_t = dc[:count] + dh_t * o * (1 - tanh_c * tanh_c)
        di = dc_t * g * i * (1 - i)
        df = dc_t * c_before[rows[t]] * f * (1 - f)
        dg = dc_t * i * (1 - g * g)
        do = dh_t * tanh_c * o * (1 - o)
        d_gates[rows[t]] = xp.concatenate([di, df, dg, do], 1)
        dh[:count] = d_gates[rows[t]] @ w_hh
        dc[:count] = dc_t * f
    before = previous(out, h0, sizes, batch_first, reverse)
    dx = d_gates @ w_ih if wanted[0] else None
    dw_ih = d_gates.T @ x if wanted[1] else None
    dw_hh = d_gates.T @ before if wanted[2] else None
    return dx, dh, dc, dw_ih, dw_hh, d_gates.sum(0)


lstm_forward = Kernel(lstm_forward)
lstm_backward = Kernel(lstm_backward)


@compiled
def _activate(gate, bias):
    """s(gate + bias), in place."""
    for j in range(gate.size):
        gate[j] = sigmoid(gate[j] + bias[j])


@compiled
def _parts(row):
    """The four gates of a row (4 H)."""
    size = row.size // 4
    return row[:size], row[size : 2 * size], row[2 * size : 3 * size], row[3 * size :]


@compiled
def _forward(
    begin, end, block, x, sizes, starts, hop, reverse, keep, packed, bias, xh, c, sums, out, gates,
    cells,
):  # fmt: skip
    batch, size = c.shape
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
                made, cell, h = sums[b, : 4 * size], c[b], xh[b, inputs:]
                _activate(made[: 2 * size], bias[: 2 * size])
                i, f, g, o = _parts(made)
                b_g, b_o = bias[2 * size : 3 * size], bias[3 * size :]
                for j in range(size):
                    g[j] = tanh(g[j] + b_g[j])
                _activate(o, b_o)
                for j in range(size):
                    cell[j] = f[j] * cell[j] + i[j] * g[j]
                for j in range(size):
                    h[j] = o[j] * tanh(cell[j])
                row = starts[t] + b * hop
                copy_row(h, out[row])
                if keep:
                    copy_row(made, gates[row])
                    copy_row(cell, cells[row])


@lstm_forward.implement("numpy")
def lstm_forward_numba(x, h0, c0, w_ih, w_hh, bias, sizes, batch_first, reverse, keep):
    """Blocks of sequences on all threads."""
    if not compilable(x, h0, c0, w_ih, w_hh, bias):
        return lstm_forward.reference(
            x, h0, c0, w_ih, w_hh, bias, sizes, batch_first, reverse, keep
        )
    n, inputs = x.shape
    batch, size = h0.shape
    counts, starts, hop = layout(sizes, batch_first)
    out = numpy.empty((n, size), x.dtype)
    gates = numpy.empty((n if keep else 0, 4 * size), x.dtype)
    cells = numpy.empty((n if keep else 0, size), x.dtype)
    count, width = panels(x.dtype, 4 * size)
    xh = numpy.empty((batch, inputs + size), x.dtype)
    xh[:, inputs:] = h0
    c = c0.copy("C")
    run(
        _forward, sizes, blocks_of(sizes), numpy.ascontiguousarray(x), counts, starts, hop, reverse,
        keep, pack_transposed(w_ih, w_hh), numpy.ascontiguousarray(bias), xh, c,
        numpy.empty((batch, count * width), x.dtype), out, gates, cells,
    )  # fmt: skip
    return out, xh[:, inputs:].copy(), c, gates, cells


@compiled
def _backward(
    begin, end, block, sizes, starts, hop, reverse, want_x, g_out, gates, cells, out, h0, c0,
    packed_hh, packed_ih, dh, dc, made, dx_t, dx, d_gates, before, d_bias,
):  # fmt: skip
    one = dc.dtype.type(1)
    batch, size = dc.shape
    steps = sizes.size
    for at in range(begin, end):
        first = at * block
        for s in range(steps):
            t = s if reverse else steps - 1 - s
            t_before = t + 1 if reverse else t - 1
            last = min(first + block, batch, sizes[t])
            for b in range(first, last):
                row = starts[t] + b * hop
                h_before, c_before = h0[b], c0[b]
                if 0 <= t_before < steps and b < sizes[t_before]:
                    row_before = starts[t_before] + b * hop
                    h_before, c_before = out[row_before], cells[row_before]
                copy_row(h_before, before[row])
                i, f, g, o = _parts(gates[row])
                di, df, dg, do = _parts(made[b])
                cell, arriving, dh_t, dc_t = cells[row], g_out[row], dh[b], dc[b]
                for j in range(size):  # one result a loop: more would not be vectorised
                    do[j] = tanh(cell[j])
                for j in range(size):
                    dh_t[j] += arriving[j]
                for j in range(size):
                    dc_t[j] += dh_t[j] * o[j] * (one - do[j] * do[j])
                for j in range(size):
                    do[j] = dh_t[j] * do[j] * o[j] * (one - o[j])
                for j in range(size):
                    di[j] = dc_t[j] * g[j] * i[j] * (one - i[j])
                for j in range(size):
                    dg[j] = dc_t[j] * i[j] * (one - g[j] * g[j])
                for j in range(size):
                    df[j] = dc_t[j] * c_before[j] * f[j] * (one - f[j])
                for j in range(size):
                    dc_t[j] *= f[j]
                d, bias = made[b], d_bias[b]
                for j in range(d.size):
                    bias[j] += d[j]
                pack_row(d, d_gates, row)
            if 0 <= t_before < steps:
                for b in range(first, min(last, sizes[t_before])):
                    fetch_row(d_gates, starts[t_before] + b * hop)
            times(first, last, made, 0, packed_hh, dh, 0)
            if want_x:
                times(first, last, made, 0, packed_ih, dx_t, 0)
                for b in range(first, last):
                    into = dx[starts[t] + b * hop]
                    copy_row(dx_t[b, : into.size], into)


@lstm_backward.implement("numpy")
def lstm_backward_numba(
    g_out, g_h, g_c, out, gates, cells, x, h0, c0, w_ih, w_hh, sizes, batch_first, reverse, wanted
):
    """Blocks of sequences on all threads, then the gradients of the weights, panel by panel."""
    if not compilable(x, h0, c0, w_ih, w_hh, g_out, g_h, g_c):
        return lstm_backward.reference(
            g_out, g_h, g_c, out, gates, cells, x, h0, c0, w_ih, w_hh, sizes, batch_first, reverse,
            wanted,
        )  # fmt: skip
    n, inputs = x.shape
    batch, size = h0.shape
    dtype = x.dtype
    counts, starts, hop = layout(sizes, batch_first)
    count, width = panels(dtype, size)
    dh = numpy.zeros((batch, count * width), dtype)
    dh[:, :size] = g_h
    dc = g_c.copy("C")
    packed_ih = pack(w_ih if wanted[0] else w_ih[:1, :1])
    dx = numpy.empty((n if wanted[0] else 0, inputs), dtype)
    d_gates = panels_of_rows(dtype, 4 * size, n)
    before = numpy.empty((n, size), dtype)
    d_bias = numpy.zeros((batch, 4 * size), dtype)
    run(
        _backward, sizes, blocks_of(sizes), counts, starts, hop, reverse, wanted[0],
        numpy.ascontiguousarray(g_out), gates, cells, out, numpy.ascontiguousarray(h0),
        numpy.ascontiguousarray(c0), pack(w_hh), packed_ih, dh, dc,
        numpy.empty((batch, 4 * size), dtype),
        numpy.empty((batch, packed_ih.shape[0] * width), dtype), dx, d_gates, before, d_bias,
    )  # fmt: skip
    return (
        dx if wanted[0] else None,
        dh[:, :size],
        dc,
        weight_gradient(wanted[1], d_gates, x, 0, 4 * size),
        weight_gradient(wanted[2], d_gates, before, 0, 4 * size),
        row_sums(d_bias),
    )
