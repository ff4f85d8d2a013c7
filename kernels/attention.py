"""Attention without its L x S matrix: out = softmax(scale Q K^T + mask) V, by blocks.

q (B, H, L, d), k (B, H', S, d), v (B, H', S, e) -> out (B, H, L, e); H' divides H, and H / H' heads of
queries share a head of keys and values. The scores of a block of queries and a block of keys fit into
a core's cache, and the softmax is corrected as more keys come (Milakov & Gimelshein 2018; Rabe & Staats
2021; Dao et al. 2022, "FlashAttention"). With m the largest score so far, s the sum of e^(score - m):

    m' = max(m, scores);  p = e^(scores - m');  s' = e^(m - m') s + sum p;  O' = e^(m - m') O + p V

and in the end out = O / s. Kept for the way back are out and, for each query, log sum e^score = m + log s
(inf for a query that may attend to nothing), from which P = e^(scores - it), block by block, and

    D = P-dropped^T:  dV = D g;   dP = (g V^T) dropped;   dS = scale P (dP - rowsum(g out));
    dQ = dS K;   dK = dS^T Q

Forward, a piece of work is a block of queries of one head; backward, a head of keys, or, if heads are
few, half of it, with a dQ of its own that is added to the other's. So who does what depends on the
shapes, and the numbers are the same for any number of threads.
"""

import math
from math import log

import numpy

from ..backend import array_module
from .cublas import matmul
from .kernel import Kernel, Late, Loop, compiled, inlined
from .matmul import address, blas, gemm, one_blas_thread
from .random_bits import keep_mask, keeps, threshold
from .threads import get_threads, share
from .vector_math import exp

address_of = Late("blas_call", "address")
ROWS = 64  # queries a block
SHORT, FEW_ROWS = (
    256,
    16,
)  # of up to so many queries that look back, so many: fewer keys are in vain
KEYS = 512  # keys a block, forward; backward it is a panel
SMALL = 10**6  # OpenBLAS does products of so many multiplications without copying: 20 % faster
TURN = 96  # from so many queries on it pays to transpose keys and values for their products
FEW = 8  # so many heads of keys or more are not split


# -- the definition --------------------------------------------------------------------------------


def _weights(q, k, mask, scale, causal):
    """(softmax(scale q k^T + mask), log of the softmax's denominator, inf where that is 0)."""
    xp = array_module(q)
    scores = matmul(q * scale, k.swapaxes(-1, -2))
    if causal:
        scores = xp.where(xp.tri(*scores.shape[-2:], dtype=bool), scores, -math.inf)
    if mask is not None and mask.dtype.kind == "b":
        scores = xp.where(mask, scores, -math.inf)
    elif mask is not None:
        scores = scores + mask
    scores = scores.astype(q.dtype, copy=False)
    if scores.shape[-1]:
        top = scores.max(-1, keepdims=True)
        top = xp.where(xp.isfinite(top), top, 0).astype(q.dtype)
    else:
        top = xp.zeros((*scores.shape[:-1], 1), q.dtype)
    weights = xp.exp(scores - top)
    total = weights.sum(-1, keepdims=True)
    nothing = total == 0
    weights /= xp.where(nothing, 1, total).astype(q.dtype)
    logs = xp.where(nothing, math.inf, top + xp.log(xp.where(nothing, 1, total)))
    return weights, logs[..., 0].astype(q.dtype)


def _dropped(weights, dropout, seed):
    keep = keep_mask(seed, weights.size, dropout, array_module(weights)).reshape(weights.shape)
    return weights * keep * (1 / (1 - dropout) if dropout < 1 else 0.0)


def _shared(x, q):
    """The heads of x, repeated until they are as many as the query's."""
    if not x.shape[1]:
        return x
    return array_module(x).repeat(x, q.shape[1] // x.shape[1], 1)


def attention(q, k, v, mask, scale, causal, dropout, seed):
    """(out, logs): softmax(scale q k^T + mask) v, and the log of the softmax's denominator (B, H, L).

    mask: None, or bools (True = may attend) or numbers, broadcast to (B, H, L, S). causal: query i sees
    the keys up to i. dropout: the probability of dropping a weight, the places by a hash of the seed. A
    query that may attend to nothing gives zeros.
    """
    weights, logs = _weights(q, _shared(k, q), mask, scale, causal)
    if dropout:
        weights = _dropped(weights, dropout, seed)
    return matmul(weights, _shared(v, q)), logs


def attention_backward(g, out, logs, q, k, v, mask, scale, causal, dropout, seed):
    """(dq, dk, dv) from g, the gradient with respect to out."""
    used, ds = _slopes(g, q, k, v, mask, scale, causal, dropout, seed)
    dv = matmul(used.swapaxes(-1, -2), g)
    ds = ds * scale
    dq, dk = matmul(ds, _shared(k, q)), matmul(ds.swapaxes(-1, -2), q)
    return dq, _summed(dk, k), _summed(dv, v)


def mask_gradient(g, q, k, v, mask, scale, causal, dropout, seed):
    """The gradient (B, H, L, S) with respect to a mask of numbers. It is a matrix of that size anyway."""
    return _slopes(g, q, k, v, mask, scale, causal, dropout, seed)[1]


def _slopes(g, q, k, v, mask, scale, causal, dropout, seed):
    """(the weights that multiplied v, the gradient with respect to scale q k^T + mask)."""
    weights, _ = _weights(q, _shared(k, q), mask, scale, causal)
    used = _dropped(weights, dropout, seed) if dropout else weights
    weighted = used * matmul(g, _shared(v, q).swapaxes(-1, -2))
    return used, weighted - weights * weighted.sum(-1, keepdims=True)


def _summed(dx, x):
    """The gradient of shared heads: the sum over those that shared them."""
    if dx.shape == x.shape or not x.shape[1]:
        return dx
    return dx.reshape(*x.shape[:2], -1, *x.shape[2:]).sum(2)


attention = Kernel(attention)
attention_backward = Kernel(attention_backward)


# -- the loops -------------------------------------------------------------------------------------


def _larger(x, y):
    return x if x > y else y


# Flagged to not care about NaN, or it would not vectorise. It may lose one: exp finds that again.
larger = Loop(_larger, {"nnan", "nsz"}, inline=True)


@inlined
def masked(row, factor, lowest, kind, allowed, bias, at, step):
    """row * factor, and the mask: none (kind 0), bools (1) or numbers (2), beginning at `at`."""
    if kind == 1 and step == 1:
        part = allowed[at : at + row.size]
        for j in range(row.size):
            row[j] = row[j] * factor if part[j] else lowest
    elif kind == 1:
        for j in range(row.size):
            row[j] = row[j] * factor if allowed[at + j * step] else lowest
    elif kind == 0:
        for j in range(row.size):
            row[j] *= factor
    elif step == 1:
        part = bias[at : at + row.size]
        for j in range(row.size):
            row[j] = row[j] * factor + part[j]
    else:
        for j in range(row.size):
            row[j] = row[j] * factor + bias[at + j * step]


@inlined
def largest(row, factor, top):
    """The largest of row * factor and top. Four quarters at once, for one would wait for itself."""
    n = row.size >> 2
    a, b, c, d = row[:n], row[n : 2 * n], row[2 * n : 3 * n], row[3 * n : 4 * n]
    for j in range(n):
        one, two = larger(a[j] * factor, b[j] * factor), larger(c[j] * factor, d[j] * factor)
        top = larger(larger(one, two), top)
    for j in range(4 * n, row.size):
        top = larger(row[j] * factor, top)
    return top


@inlined
def transpose(x, at, row, n, width, into):
    """into (width, n) = the transpose of n rows of x, the first at `at`, `row` numbers apart."""
    for i0 in range(0, n, 16):  # so many rows that they stay in the cache
        i1 = min(i0 + 16, n)
        for j in range(width):
            line = into[j * n + i0 : j * n + i1]
            for i in range(i1 - i0):
                line[i] = x[at + (i0 + i) * row + j]


@inlined
def turn(i, slots, slot):
    """The i-th piece of work of a slot: up and down in turn, for later queries see more keys."""
    return i * slots + (slots - 1 - slot if i & 1 else slot)


# numbers that the loops need, in one array: first these, then strides
_NUMBERS = 18
(_BLAS, _HEADS, _GROUP, _L, _S, _D, _E, _ROWS, _KEYS, _SLOTS, _ITEMS, _CAUSAL, _KIND, _SEED, _LEAST,
 _PARTS, _PANEL, _TURNED) = range(_NUMBERS)  # fmt: skip
# (address, strides of batch, head and row) each; of mask and parts other things
_Q, _K, _V, _OUT, _MASK, _G, _DQ, _DK, _DV = range(_NUMBERS, _NUMBERS + 36, 4)


@compiled
def _transpose(begin, end, x, batch, head, row, heads, count, width, panel, out):
    """Panels begin .. end of x (batch, heads, count, width): each of `panel` rows, transposed."""
    panels = -(-count // panel)
    for item in range(begin, end):
        where, first = item // panels, item % panels * panel
        n = min(panel, count - first)
        at = where // heads * batch + where % heads * head + first * row
        into = (where * count + first) * width
        transpose(x, at, row, n, width, out[into : into + n * width])


@compiled
def _forward(begin, end, plan, scale, kept, allowed, bias, k_panels, out, logs, work):
    """Slots begin .. end: blocks of queries, with a slot of `work` for scores and sums.

    kept: what the weights that dropout keeps are multiplied by.
    """
    one, zero = out.dtype.type(1), out.dtype.type(0)
    size, highest = out.itemsize, out.dtype.type(math.inf)
    lowest = -highest
    heads, group, queries, every = plan[_HEADS], plan[_GROUP], plan[_L], plan[_S]
    d, e, rows, keys = plan[_D], plan[_E], plan[_ROWS], plan[_KEYS]
    call, causal, kind, least, seed = (
        plan[_BLAS], plan[_CAUSAL], plan[_KIND], plan[_LEAST], plan[_SEED],
    )  # fmt: skip
    blocks = -(-queries // rows)
    slots, items = plan[_SLOTS], plan[_ITEMS]
    q_row, k_row, v_row, out_row = plan[_Q + 3], plan[_K + 3], plan[_V + 3], plan[_OUT + 3]
    panel, turned = plan[_PANEL], plan[_TURNED] != 0
    first_scaled = kind or scale <= zero
    for slot in range(begin, end):
        scores = work[slot, : rows * keys]
        tops = work[slot, rows * keys : rows * keys + rows]
        sums = work[slot, rows * keys + rows : rows * keys + 2 * rows]
        place = address_of(scores)
        for i_item in range(-(-items // slots)):
            item = turn(i_item, slots, slot)
            if item >= items:
                continue
            head, r0 = item // blocks, item % blocks * rows
            b, h = head // heads, head % heads
            m = min(rows, queries - r0)
            reach = min(every, r0 + m) if causal else every
            q_at = plan[_Q] + size * (b * plan[_Q + 1] + h * plan[_Q + 2] + r0 * q_row)
            if turned:
                k_at = address_of(k_panels) + size * (head // group) * every * d
            else:
                k_at = plan[_K] + size * (b * plan[_K + 1] + h // group * plan[_K + 2])
            v_at = plan[_V] + size * (b * plan[_V + 1] + h // group * plan[_V + 2])
            out_at = b * plan[_OUT + 1] + h * plan[_OUT + 2] + r0 * out_row
            mask_at = b * plan[_MASK] + h * plan[_MASK + 1]
            for k0 in range(0, reach, keys):
                n = min(keys, reach - k0)
                for j in range(k0, k0 + n, panel):
                    w = min(panel, k0 + n - j)
                    k_block = k_at + size * j * (d if turned else k_row)
                    ld = min(panel, every - j) if turned else k_row
                    gemm(call, False, not turned, m, w, d, q_at, q_row, k_block, ld, zero,
                         place + size * (j - k0), n)  # fmt: skip
                for r in range(m):
                    i = r0 + r
                    row = scores[r * n : r * n + n]
                    factor = scale
                    if first_scaled:
                        at = mask_at + i * plan[_MASK + 2] + k0 * plan[_MASK + 3]
                        masked(row, scale, lowest, kind, allowed, bias, at, plan[_MASK + 3])
                        factor = one
                    if causal and i + 1 < k0 + n:
                        for j in range(n):
                            row[j] = row[j] if j <= i - k0 else lowest
                    top = largest(row, factor, tops[r] if k0 else lowest)
                    shift = top if lowest < top and top < highest else zero
                    total = zero
                    for j in range(n):
                        p = exp(row[j] * factor - shift)
                        row[j] = p
                        total += p
                    if least:
                        first = (head * queries + i) * every + k0
                        for j in range(n):
                            p = row[j]
                            row[j] = p if keeps(seed, first + j, least) else zero
                    if k0:
                        fade = exp(tops[r] - shift)
                        total += fade * sums[r]
                        if fade != one:
                            into = out[out_at + r * out_row : out_at + r * out_row + e]
                            for j in range(e):
                                into[j] *= fade
                    tops[r] = top
                    sums[r] = total
                for j in range(k0, k0 + n, panel):
                    w = min(panel, k0 + n - j)
                    gemm(call, False, False, m, e, w, place + size * (j - k0), n,
                         v_at + size * j * v_row, v_row, one if j else zero,
                         plan[_OUT] + size * out_at, out_row)  # fmt: skip
            for r in range(m):
                top, total = tops[r], sums[r]
                shift = top if lowest < top and top < highest else zero
                nothing = total == zero
                kept_log = highest if nothing else shift + log(total)
                if total == highest:  # of an infinite score: no number, and none in the gradients
                    kept_log = out.dtype.type(math.nan)
                logs[head * queries + r0 + r] = kept_log
                inverse = zero if nothing else kept / total
                into = out[out_at + r * out_row : out_at + r * out_row + e]
                for j in range(e):
                    into[j] *= inverse


@compiled
def _backward(
    begin, end, plan, scale, kept, allowed, bias, k, v, logs, g, out, dq, more, dk, dv, work
):
    """Slots begin .. end: heads of keys, or parts of them, with a slot of `work` for P and dS."""
    one, zero = out.dtype.type(1), out.dtype.type(0)
    size, lowest = out.itemsize, out.dtype.type(-math.inf)
    heads, group, queries, every = plan[_HEADS], plan[_GROUP], plan[_L], plan[_S]
    d, e, rows, keys = plan[_D], plan[_E], plan[_ROWS], plan[_KEYS]
    call, causal, kind, least, seed = (
        plan[_BLAS], plan[_CAUSAL], plan[_KIND], plan[_LEAST], plan[_SEED],
    )  # fmt: skip
    slots, items, parts = plan[_SLOTS], plan[_ITEMS], plan[_PARTS]
    turned = plan[_TURNED] != 0
    q_row, k_row, v_row, g_row = plan[_Q + 3], plan[_K + 3], plan[_V + 3], plan[_G + 3]
    dq_row, dk_row, dv_row, out_row = plan[_DQ + 3], plan[_DK + 3], plan[_DV + 3], plan[_OUT + 3]
    dk_at, dv_at = address_of(dk), address_of(dv)
    first_scaled = kind or scale <= zero
    for slot in range(begin, end):
        weights = work[slot, : rows * keys]
        slopes = work[slot, rows * keys : 2 * rows * keys]
        first = 2 * rows * keys
        k_turned = work[slot, first : first + keys * d]
        first += keys * d
        v_turned = work[slot, first : first + keys * e]
        deltas = work[slot, first + keys * e :]
        p_at, ds_at = address_of(weights), address_of(slopes)
        for i_item in range(-(-items // slots)):
            item = turn(i_item, slots, slot)
            if item >= items:
                continue
            part = item % parts
            dq_part = more if part else dq
            dq_at = address_of(dq_part)
            b, h_shared = item // parts // (heads // group), item // parts % (heads // group)
            k_first = b * plan[_K + 1] + h_shared * plan[_K + 2]
            v_first = b * plan[_V + 1] + h_shared * plan[_V + 2]
            dk_first = b * plan[_DK + 1] + h_shared * plan[_DK + 2]
            dv_first = b * plan[_DV + 1] + h_shared * plan[_DV + 2]
            for k0 in range(part * keys, every, parts * keys):
                for j in range(k0, min(k0 + keys, every)):
                    dk[dk_first + j * dk_row : dk_first + j * dk_row + d] = zero
                    dv[dv_first + j * dv_row : dv_first + j * dv_row + e] = zero
            for h in range(h_shared * group, h_shared * group + group):
                head = b * heads + h
                q_at = plan[_Q] + size * (b * plan[_Q + 1] + h * plan[_Q + 2])
                g_first = b * plan[_G + 1] + h * plan[_G + 2]
                out_first = b * plan[_OUT + 1] + h * plan[_OUT + 2]
                dq_first = b * plan[_DQ + 1] + h * plan[_DQ + 2]
                mask_at = b * plan[_MASK] + h * plan[_MASK + 1]
                for i in range(queries):
                    x = g[g_first + i * g_row : g_first + i * g_row + e]
                    y = out[out_first + i * out_row : out_first + i * out_row + e]
                    total = zero
                    for j in range(e):
                        total += x[j] * y[j]
                    deltas[i] = total
                    dq_part[dq_first + i * dq_row : dq_first + i * dq_row + d] = zero
                for k0 in range(part * keys, every, parts * keys):
                    k_block = plan[_K] + size * (k_first + k0 * k_row)
                    width = min(keys, every - k0)
                    kt, vt, k_ld, v_ld = (
                        k_block,
                        plan[_V] + size * (v_first + k0 * v_row),
                        k_row,
                        v_row,
                    )
                    if turned:
                        kt, vt, k_ld, v_ld = (
                            address_of(k_turned),
                            address_of(v_turned),
                            width,
                            width,
                        )
                        transpose(k, k_first + k0 * k_row, k_row, width, d, k_turned)
                        transpose(v, v_first + k0 * v_row, v_row, width, e, v_turned)
                    for r0 in range(k0 // rows * rows if causal else 0, queries, rows):
                        m = min(rows, queries - r0)
                        n = min(width, r0 + m - k0) if causal else width
                        q_block = q_at + size * r0 * q_row
                        g_block = address_of(g) + size * (g_first + r0 * g_row)
                        gemm(
                            call,
                            False,
                            not turned,
                            m,
                            n,
                            d,
                            q_block,
                            q_row,
                            kt,
                            k_ld,
                            zero,
                            p_at,
                            n,
                        )
                        gemm(
                            call,
                            False,
                            not turned,
                            m,
                            n,
                            e,
                            g_block,
                            g_row,
                            vt,
                            v_ld,
                            zero,
                            ds_at,
                            n,
                        )
                        for r in range(m):
                            i = r0 + r
                            row, slope = weights[r * n : r * n + n], slopes[r * n : r * n + n]
                            factor = scale
                            if first_scaled:
                                at = mask_at + i * plan[_MASK + 2] + k0 * plan[_MASK + 3]
                                masked(row, scale, lowest, kind, allowed, bias, at, plan[_MASK + 3])
                                factor = one
                            if causal and i + 1 < k0 + n:
                                for j in range(n):
                                    row[j] = row[j] if j <= i - k0 else lowest
                            shift, delta = logs[head * queries + i], deltas[i]
                            if least:
                                first = (head * queries + i) * every + k0
                                for j in range(n):
                                    p = exp(row[j] * factor - shift)
                                    keep = kept if keeps(seed, first + j, least) else zero
                                    slope[j] = p * (slope[j] * keep - delta) * scale
                                    row[j] = p * keep
                            else:
                                for j in range(n):
                                    p = exp(row[j] * factor - shift)
                                    slope[j] = p * (slope[j] - delta) * scale
                                    row[j] = p
                        gemm(call, True, False, n, e, m, p_at, n, g_block, g_row, one,
                             dv_at + size * (dv_first + k0 * dv_row), dv_row)  # fmt: skip
                        gemm(call, True, False, n, d, m, ds_at, n, q_block, q_row, one,
                             dk_at + size * (dk_first + k0 * dk_row), dk_row)  # fmt: skip
                        gemm(call, False, False, m, d, n, ds_at, n, k_block, k_row, one,
                             dq_at + size * (dq_first + r0 * dq_row), dq_row)  # fmt: skip


# -- on arrays -------------------------------------------------------------------------------------


def _readable(x):
    """x (B, H, n, width), or a copy, whose rows BLAS can read where they lie."""
    size = x.itemsize
    batch, head, row, column = x.strides
    plain = column == size and (row >= x.shape[3] * size or x.shape[2] == 1)
    if plain and batch >= 0 and head >= 0 and not (batch | head | row) % size:
        return x
    return numpy.ascontiguousarray(x)


def _place(x):
    """Where x begins, and its strides of batch, head and row, counted in numbers."""
    size = x.itemsize
    batch, head, row, _ = x.strides
    return address(x), batch // size, head // size, max(row // size, x.shape[3])


def _flat(x):
    """The memory that x lies in, from its first number on, as one row."""
    size, base = x.itemsize, x.base
    if x.flags.c_contiguous:
        return x.reshape(-1)
    if type(base) is numpy.ndarray and base.dtype == x.dtype and base.flags.c_contiguous:
        return base.reshape(-1)[(address(x) - address(base)) // size :]
    last = sum((n - 1) * stride for n, stride in zip(x.shape, x.strides, strict=True))
    return numpy.lib.stride_tricks.as_strided(x, (last // size + 1,), (size,))


def _empty(shape, dtype, order):
    """(its memory as one row, the array itself): an array with its axes in memory in that order."""
    array = numpy.empty([*[shape[axis] for axis in order], shape[3]], dtype)
    flat = array.reshape(-1)
    if order == [0, 1, 2]:
        return flat, array
    return flat, array.transpose([*[order.index(axis) for axis in range(3)], 3])


def _neighbours(q, k, v):
    """True for thirds of one array (B, n, 3, H, width), as a single product for all three makes them."""
    if not q.shape == k.shape == v.shape or not q.strides == k.strides == v.strides:
        return False
    _, heads, count, width = q.shape
    third = heads * width * q.itemsize
    strides = count * 3 * third, width * q.itemsize, 3 * third, q.itemsize
    return q.strides == strides and address(k) - address(q) == address(v) - address(k) == third


def _empty_neighbours(q):
    """`_empty` of three such thirds: who joins them again finds them side by side."""
    batch, heads, count, width = q.shape
    whole = numpy.empty((batch, count, 3, heads, width), q.dtype)
    flat, third = whole.reshape(-1), heads * width
    return [(flat[i * third :], whole[:, :, i].transpose(0, 2, 1, 3)) for i in range(3)]


def _order(x):
    """The axes batch, head, row by their strides, the largest first."""
    strides = x.strides
    return sorted(range(3), key=lambda axis: -strides[axis])


def _panels(x, panel):
    """The heads of x (B, H, n, width) in panels of so many rows, each transposed: (width, rows)."""
    batch, heads, count, width = x.shape
    out = numpy.empty(x.size, x.dtype)
    _, *strides = _place(x)
    share(_transpose, batch * heads * -(-count // panel), _flat(x), *strides, heads, count, width,
          panel, out, grain=1 + 8192 // (panel * width))  # fmt: skip
    return out


def _mask_arguments(mask):
    """(kind, bools, numbers, strides) of a mask that broadcasts to (B, H, L, S)."""
    if mask is None:
        return 0, _NO_BOOLS, None, (0, 0, 0, 0)
    kind = 1 if mask.dtype.kind == "b" else 2
    mask = numpy.ascontiguousarray(mask)
    lead = (1,) * (4 - mask.ndim) + mask.shape
    strides, step = [], 1
    for n in reversed(lead):
        strides.append(step if n > 1 else 0)
        step *= n
    flat = mask.reshape(-1)
    if kind == 1:
        return kind, flat.view(numpy.uint8), None, strides[::-1]
    return kind, _NO_BOOLS, flat, strides[::-1]


_NO_BOOLS = numpy.zeros(0, numpy.uint8)


def _unfit(q, k, v, mask):
    """True where the reference must answer: dtypes that are not BLAS's, nothing to do, another BLAS."""
    dtype = q.dtype
    if dtype not in (numpy.float32, numpy.float64) or k.dtype != dtype or v.dtype != dtype:
        return True
    if mask is not None and mask.dtype.kind != "b" and mask.dtype != dtype:
        return True
    return not (q.size and k.size and v.size) or blas() is None


def _numbers(q, k, v, mask, causal, dropout, seed):
    """(the numbers that both loops need, bools and numbers of the mask)."""
    heads, (_, shared, every, e) = q.shape[1], v.shape
    kind, allowed, bias, mask_strides = _mask_arguments(mask)
    bias = numpy.zeros(0, q.dtype) if bias is None else bias
    queries, d = q.shape[2:]
    rows = FEW_ROWS if causal and queries <= SHORT else ROWS
    rows = -(-queries // -(-queries // rows))
    panel = min(256, max(64, SMALL // (rows * max(d, e)) // 32 * 32), every)
    plan = numpy.array(
        (blas().gemm[q.dtype], heads, heads // shared, queries, every, d, e, rows,
         min(KEYS // panel * panel, every), 0, 0, causal, kind, seed, threshold(dropout), 1, panel,
         queries >= TURN,
         *_place(q), *_place(k), *_place(v), 0, 0, 0, 0, *mask_strides, *[0] * 16),
        numpy.int64,
    )  # fmt: skip
    return plan, allowed, bias


@attention.implement("numpy")
def attention_numba(q, k, v, mask, scale, causal, dropout, seed):
    """Blocks of queries on all threads; the output lies in memory as (B, L, H, e), or as the query."""
    if _unfit(q, k, v, mask):
        return attention.reference(q, k, v, mask, scale, causal, dropout, seed)
    q, k, v = _readable(q), _readable(k), _readable(v)
    batch, heads, queries, _ = q.shape
    plan, allowed, bias = _numbers(q, k, v, mask, causal, dropout, seed)
    words_first = q.strides[2] > q.strides[0] and batch > 1
    shape = (batch, heads, queries, v.shape[3])
    flat, out = _empty(shape, q.dtype, [2, 0, 1] if words_first else [0, 2, 1])
    rows = int(plan[_ROWS])
    plan[_ITEMS] = items = batch * heads * -(-queries // rows)
    plan[_SLOTS] = slots = min(items, 4 * get_threads())
    plan[_OUT : _OUT + 4] = _place(out)
    logs = numpy.empty((batch, heads, queries), q.dtype)
    work = numpy.empty((slots, rows * int(plan[_KEYS]) + 2 * rows), q.dtype)
    number = q.dtype.type
    kept = number(1 / (1 - dropout) if dropout < 1 else 0)
    k_panels = _panels(k, int(plan[_PANEL])) if plan[_TURNED] else flat[:0]
    with one_blas_thread():
        share(_forward, slots, plan, number(scale), kept, allowed, bias, k_panels, flat,
              logs.reshape(-1), work)  # fmt: skip
    return out, logs


@attention_backward.implement("numpy")
def attention_backward_numba(g, out, logs, q, k, v, mask, scale, causal, dropout, seed):
    """Heads of keys, or halves of them, on all threads; gradients lie in memory as what they are of."""
    if _unfit(q, k, v, mask) or g.dtype != q.dtype:
        return attention_backward.reference(
            g, out, logs, q, k, v, mask, scale, causal, dropout, seed
        )
    q, k, v, g, out = _readable(q), _readable(k), _readable(v), _readable(g), _readable(out)
    plan, allowed, bias = _numbers(q, k, v, mask, causal, dropout, seed)
    plan[_KEYS] = plan[_PANEL]
    rows, keys = int(plan[_ROWS]), int(plan[_KEYS])
    heads = k.shape[0] * k.shape[1]
    plan[_PARTS] = parts = 2 if heads < FEW and k.shape[2] > keys else 1
    plan[_ITEMS] = items = heads * parts
    plan[_SLOTS] = slots = min(items, 4 * get_threads())
    if parts == 1 and _neighbours(q, k, v):
        (dq_flat, dq), (dk_flat, dk), (dv_flat, dv) = _empty_neighbours(q)
    else:
        (dq_flat, dq), (dk_flat, dk), (dv_flat, dv) = (
            _empty(x.shape, x.dtype, _order(x)) for x in (q, k, v)
        )
    more = numpy.empty_like(dq_flat) if parts == 2 else dq_flat
    for where, array in ((_OUT, out), (_G, g), (_DQ, dq), (_DK, dk), (_DV, dv)):
        plan[where : where + 4] = _place(array)
    width = 2 * rows * keys + keys * (q.shape[3] + v.shape[3]) + q.shape[2]
    work = numpy.empty((slots, width), q.dtype)
    number = q.dtype.type
    kept = number(1 / (1 - dropout) if dropout < 1 else 0)
    with one_blas_thread():
        share(
            _backward, slots, plan, number(scale), kept, allowed, bias, _flat(k), _flat(v),
            logs.reshape(-1), _flat(g), _flat(out), dq_flat, more, dk_flat, dv_flat, work,
        )  # fmt: skip
    if parts == 2:
        dq_flat += more
    return dq, dk, dv
