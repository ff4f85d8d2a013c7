"""GRU over whole sequences, forward and backward (Cho et al. 2014, r multiplied into W h as in cuDNN).

    r = s(W_ir x_t + b_ir + W_hr h + b_hr)             z = s(W_iz x_t + b_iz + W_hz h + b_hz)
    n = tanh(W_in x_t + b_in + r q),  q = W_hn h + b_hn              h_t = (1 - z) n + z h

s the logistic function, h = h_{t-1}. x (N, I): the rows of all steps; h0 (B, H); W_ih (3 H, I),
W_hh (3 H, H), b_ih and b_hh (3 H); N, B, sizes and the order of rows as in recurrent.py.

With dh_t what reaches h_t from the outputs and from step t + 1:

    dn = dh_t (1 - z) (1 - n^2)    dz = dh_t (h - n) z (1 - z)    dr = dn q r (1 - r)    dq = dn r
    dh = dh_t z + (dr, dz, dq) W_hh        dx_t = (dr, dz, dn) W_ih

All four are kept in one array in the order dq, dr, dz, dn: a part of it meets W_ih and another W_hh.
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


def gru_forward(x, h0, w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse, keep):
    """-> h of all steps (N, H), the last h (B, H), gates (N, 4 H): r, z, n and q; empty without `keep`."""
    xp = array_module(x)
    n, size = len(x), w_hh.shape[1]
    out = xp.empty((n, size), x.dtype)
    gates = xp.empty((n if keep else 0, 4 * size), x.dtype)
    h = h0.copy()
    rows = rows_of(sizes, batch_first)
    for t, _ in walk(sizes, reverse):
        count = sizes[t]
        from_x = x[rows[t]] @ w_ih.T + b_ih
        from_h = h[:count] @ w_hh.T + b_hh
        r = _sigmoid(from_x[:, :size] + from_h[:, :size])
        z = _sigmoid(from_x[:, size : 2 * size] + from_h[:, size : 2 * size])
        q = from_h[:, 2 * size :]
        new = xp.tanh(from_x[:, 2 * size :] + r * q)
        h[:count] = new + z * (h[:count] - new)
        out[rows[t]] = h[:count]
        if keep:
            gates[rows[t]] = xp.concatenate([r, z, new, q], 1)
    return out, h, gates


def gru_backward(g_out, g_h, out, gates, x, h0, w_ih, w_hh, sizes, batch_first, reverse, wanted):
    """-> the gradients of x, h0, W_ih, W_hh, b_ih, b_hh; `wanted`: which of x, W_ih, W_hh are needed."""
    xp = array_module(x)
    size = w_hh.shape[1]
    dh = g_h.copy()
    rows = rows_of(sizes, batch_first)
    from_x = xp.empty((len(x), 3 * size), x.dtype)
    from_h = xp.empty_like(from_x)
    before = previous(out, h0, sizes, batch_first, reverse)
    for t, _ in reversed(list(walk(sizes, reverse))):
        count = sizes[t]
        r, z, n, q = (gates[rows[t], k * size : (k + 1) * size] for k in range(4))
        dh_t = dh[:count] + g_out[rows[t]]
        dn = dh_t * (1 - z) * (1 - n * n)
        dz = dh_t * (before[rows[t]] - n) * z * (1 - z)
        dr = dn * q * r * (1 - r)
        from_x[rows[t]] = xp.concatenate([dr, dz, dn], 1)
        from_h[rows[t]] = xp.concatenate([dr, dz, dn * r], 1)
        dh[:count] = dh_t * z + from_h[rows[t]] @ w_hh
    dx = from_x @ w_ih if wanted[0] else None
    dw_ih = from_x.T @ x if wanted[1] else None
    dw_hh = from_h.T @ before if wanted[2] else None
    return dx, dh, dw_ih, dw_hh, from_x.sum(0), from_h.sum(0)


gru_forward = Kernel(gru_forward)
gru_backward = Kernel(gru_backward)


@compiled
def _forward(
    begin, end, block, x, sizes, starts, hop, reverse, keep, packed, packed_x, packed_h, b_ih, b_hh,
    xh, sums, out, gates,
):  # fmt: skip
    one = x.dtype.type(1)
    batch, size = xh.shape[0], out.shape[1]
    inputs, steps = x.shape[1], sizes.size
    at_n = packed.shape[0] * packed.shape[2]  # r and z stand before, x's part of n, h's part of n
    at_q = at_n + packed_x.shape[0] * packed.shape[2]
    for at in range(begin, end):
        first = at * block
        for s in range(steps):
            t = steps - 1 - s if reverse else s
            last = min(first + block, batch, sizes[t])
            for b in range(first, last):
                copy_row(x[starts[t] + b * hop], xh[b, :inputs])
            times(first, last, xh, 0, packed, sums, 0)
            times(first, last, xh, 0, packed_x, sums, at_n)
            times(first, last, xh, inputs, packed_h, sums, at_q)
            for b in range(first, last):
                made, h = sums[b], xh[b, inputs:]
                r, z = made[:size], made[size : 2 * size]
                n, q = made[at_n : at_n + size], made[at_q : at_q + size]
                bias_n, bias_q = b_ih[2 * size :], b_hh[2 * size :]
                rz = made[: 2 * size]
                for j in range(rz.size):
                    rz[j] = sigmoid(rz[j] + b_ih[j] + b_hh[j])
                for j in range(size):
                    q[j] += bias_q[j]
                for j in range(size):
                    n[j] = tanh(n[j] + bias_n[j] + r[j] * q[j])
                for j in range(size):
                    h[j] = (one - z[j]) * n[j] + z[j] * h[j]
                row = starts[t] + b * hop
                copy_row(h, out[row])
                if keep:
                    gate = gates[row]
                    copy_row(rz, gate[: 2 * size])
                    copy_row(n, gate[2 * size : 3 * size])
                    copy_row(q, gate[3 * size :])


@gru_forward.implement("numpy")
def gru_forward_numba(x, h0, w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse, keep):
    """Blocks of sequences on all threads."""
    if not compilable(x, h0, w_ih, w_hh, b_ih, b_hh):
        return gru_forward.reference(
            x, h0, w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse, keep
        )
    n, inputs = x.shape
    batch, size = h0.shape
    counts, starts, hop = layout(sizes, batch_first)
    out = numpy.empty((n, size), x.dtype)
    gates = numpy.empty((n if keep else 0, 4 * size), x.dtype)
    both, width = panels(x.dtype, 2 * size)
    one, _ = panels(x.dtype, size)
    xh = numpy.empty((batch, inputs + size), x.dtype)
    xh[:, inputs:] = h0
    run(
        _forward, sizes, blocks_of(sizes), numpy.ascontiguousarray(x), counts, starts, hop, reverse,
        keep, pack_transposed(w_ih[: 2 * size], w_hh[: 2 * size]), pack_transposed(w_ih[2 * size :]),
        pack_transposed(w_hh[2 * size :]), numpy.ascontiguousarray(b_ih),
        numpy.ascontiguousarray(b_hh), xh, numpy.empty((batch, (both + 2 * one) * width), x.dtype),
        out, gates,
    )  # fmt: skip
    return out, xh[:, inputs:].copy(), gates


@compiled
def _backward(
    begin, end, block, sizes, starts, hop, reverse, want_x, g_out, gates, out, h0, packed_hh,
    packed_ih, dh, product_h, made, dx_t, dx, d_gates, before, d_bias,
):  # fmt: skip
    one = dh.dtype.type(1)
    batch, size = dh.shape
    steps = sizes.size
    for at in range(begin, end):
        first = at * block
        for s in range(steps):
            t = s if reverse else steps - 1 - s
            t_before = t + 1 if reverse else t - 1
            last = min(first + block, batch, sizes[t])
            for b in range(first, last):
                row = starts[t] + b * hop
                h = h0[b]
                if 0 <= t_before < steps and b < sizes[t_before]:
                    h = out[starts[t_before] + b * hop]
                copy_row(h, before[row])
                gate, d, bias = gates[row], made[b], d_bias[b]
                r, z = gate[:size], gate[size : 2 * size]
                n, q = gate[2 * size : 3 * size], gate[3 * size :]
                dq, dr = d[:size], d[size : 2 * size]
                dz, dn = d[2 * size : 3 * size], d[3 * size :]
                arriving, dh_t = g_out[row], dh[b]
                for j in range(size):
                    dh_t[j] += arriving[j]
                for j in range(size):
                    dn[j] = dh_t[j] * (one - z[j]) * (one - n[j] * n[j])
                for j in range(size):
                    dz[j] = dh_t[j] * (h[j] - n[j]) * z[j] * (one - z[j])
                for j in range(size):
                    dq[j] = dn[j] * r[j]
                for j in range(size):
                    dr[j] = dn[j] * q[j] * r[j] * (one - r[j])
                for j in range(size):
                    dh_t[j] *= z[j]
                for j in range(d.size):
                    bias[j] += d[j]
                pack_row(d, d_gates, row)
            if 0 <= t_before < steps:
                for b in range(first, min(last, sizes[t_before])):
                    fetch_row(d_gates, starts[t_before] + b * hop)
            times(first, last, made, 0, packed_hh, product_h, 0)
            for b in range(first, last):
                dh_t, more = dh[b], product_h[b]
                for j in range(size):
                    dh_t[j] += more[j]
            if want_x:
                times(first, last, made, size, packed_ih, dx_t, 0)
                for b in range(first, last):
                    into = dx[starts[t] + b * hop]
                    copy_row(dx_t[b, : into.size], into)


@gru_backward.implement("numpy")
def gru_backward_numba(
    g_out, g_h, out, gates, x, h0, w_ih, w_hh, sizes, batch_first, reverse, wanted
):
    """Blocks of sequences on all threads, then the gradients of the weights, panel by panel."""
    if not compilable(x, h0, w_ih, w_hh, g_out, g_h):
        return gru_backward.reference(
            g_out, g_h, out, gates, x, h0, w_ih, w_hh, sizes, batch_first, reverse, wanted
        )
    n, inputs = x.shape
    batch, size = h0.shape
    dtype = x.dtype
    counts, starts, hop = layout(sizes, batch_first)
    dh = g_h.copy("C")
    packed_hh = pack(numpy.concatenate([w_hh[2 * size :], w_hh[: 2 * size]]))
    packed_ih = pack(w_ih if wanted[0] else w_ih[:1, :1])
    width = packed_hh.shape[2]
    dx = numpy.empty((n if wanted[0] else 0, inputs), dtype)
    d_gates = panels_of_rows(dtype, 4 * size, n)
    before = numpy.empty((n, size), dtype)
    d_bias = numpy.zeros((batch, 4 * size), dtype)
    run(
        _backward, sizes, blocks_of(sizes), counts, starts, hop, reverse, wanted[0],
        numpy.ascontiguousarray(g_out), gates, out, numpy.ascontiguousarray(h0), packed_hh,
        packed_ih, dh, numpy.empty((batch, packed_hh.shape[0] * width), dtype),
        numpy.empty((batch, 4 * size), dtype),
        numpy.empty((batch, packed_ih.shape[0] * width), dtype), dx, d_gates, before, d_bias,
    )  # fmt: skip
    d_bias = row_sums(d_bias)
    return (
        dx if wanted[0] else None,
        dh,
        weight_gradient(wanted[1], d_gates, x, size, 4 * size),
        weight_gradient(wanted[2], d_gates, before, 0, 3 * size, 2 * size),
        d_bias[size:],
        numpy.concatenate([d_bias[size : 3 * size], d_bias[:size]]),
    )
