"""LSTM and GRU on the GPU: the library's matrix products, and recurrent.cu for the rest of each step.

The products with the inputs are made for all steps at once before, those of the weights' gradients
after; within the steps there remain the product of the state with W_hh and one launch. Layers of few
hidden units take all their steps in one launch: sequence_cuda.py.
"""

import functools

import numpy

from ..backend import array_module
from ..capture import keep as keep_for_graph
from ..capture import outside
from . import cuda_source, sequence_cuda
from .cublas import matmul
from .gru import gru_backward, gru_forward
from .lstm import lstm_backward, lstm_forward
from .recurrent import layout, rows_of, walk


def _fits(*arrays):
    """True for arrays of one dtype, none of them empty."""
    return cuda_source.known(*arrays) and all(x.size for x in arrays)


def _steps(sizes, batch_first, reverse):
    """(its first row, hop, sequences, first row and sequences of the step before) of each step."""
    counts, starts, hop = layout(sizes, batch_first)
    counts, starts = counts.tolist(), starts.tolist()
    for t, before in walk(sizes, reverse):
        if counts[t]:
            first, count = (0, 0) if before is None else (starts[before], counts[before])
            yield starts[t], hop, counts[t], first, count


def _launch(kernel, count, size, *arguments):
    cuda_source.launch(
        "recurrent.cu", kernel, arguments[0].dtype, cuda_source.blocks(count * size),
        cuda_source.THREADS, *arguments, count, size,
    )  # fmt: skip


def _empty(xp, keep, *shapes):
    """Arrays that the backward pass needs: (what the kernel gets, what is given back) of each."""
    made = [xp.empty((shape[0] if keep else 0, *shape[1:]), dtype) for dtype, *shape in shapes]
    return [x if keep else None for x in made], made


@functools.lru_cache(64)
def _rows_before(sizes, reverse, device, xp):
    """For each row of packed sequences the row of [first states; states] that is the state before it."""
    rows = rows_of(sizes, False)
    found = numpy.empty(sum(sizes), numpy.int64)
    numbers = numpy.arange(len(found)) + sizes[0]
    for t, last in walk(sizes, reverse):
        found[rows[t]] = numpy.arange(sizes[t])
        if last is not None:
            both = min(sizes[t], sizes[last])
            found[rows[t]][:both] = numbers[rows[last]][:both]
    with outside():
        return xp.asarray(found)


def _previous(state, first, sizes, batch_first, reverse):
    """The rows (N, H) of the state before each step, as recurrent.previous gives them, in two launches."""
    xp = array_module(state)
    batch = sizes[0]
    if any(size != batch for size in sizes):
        rows = _rows_before(tuple(sizes), reverse, str(state.device), xp)
        keep_for_graph(rows)
        return xp.concatenate([first, state])[rows]
    before = xp.empty(state.shape, state.dtype)
    shape = (batch, len(sizes)) if batch_first else (len(sizes), batch)
    into, states = (x.reshape(*shape, x.shape[-1]) for x in (before, state))
    if batch_first:
        into, states = into.swapaxes(0, 1), states.swapaxes(0, 1)
    late, early = (into[:-1], states[1:]) if reverse else (into[1:], states[:-1])
    late[...] = early
    into[-1 if reverse else 0] = first
    return before


@lstm_forward.implement("cupy")
def lstm_forward_cuda(x, h0, c0, w_ih, w_hh, bias, sizes, batch_first, reverse, keep):
    """One product and one launch a step."""
    if not _fits(x, h0, c0, w_ih, w_hh, bias):
        return lstm_forward.reference(
            x, h0, c0, w_ih, w_hh, bias, sizes, batch_first, reverse, keep
        )
    xp, n, size = array_module(x), len(x), w_hh.shape[1]
    out = xp.empty((n, size), x.dtype)
    kept, (gates, cells) = _empty(xp, keep, (x.dtype, n, 4 * size), (x.dtype, n, size))
    h, c = h0.copy("C"), c0.copy("C")
    from_x = matmul(x, w_ih.T)
    from_x += bias
    if sequence_cuda.fits(x, len(h), size):
        sequence_cuda.lstm(from_x, w_hh, h, c, out, *kept, sizes, batch_first, reverse)
        return out, h, c, gates, cells
    w_hh = w_hh.T
    from_h = xp.empty((len(h), 4 * size), x.dtype)
    for start, hop, count, _, _ in _steps(sizes, batch_first, reverse):
        matmul(h[:count], w_hh, out=from_h[:count])
        _launch("lstm_step", count, size, from_x, from_h, h, c, out, *kept, start, hop)
    return out, h, c, gates, cells


@lstm_backward.implement("cupy")
def lstm_backward_cuda(
    g_out, g_h, g_c, out, gates, cells, x, h0, c0, w_ih, w_hh, sizes, batch_first, reverse, wanted
):
    """One launch and one product a step, then the gradients of the weights."""
    if not _fits(x, h0, c0, w_ih, w_hh, g_out, g_h, g_c, gates):
        return lstm_backward.reference(
            g_out, g_h, g_c, out, gates, cells, x, h0, c0, w_ih, w_hh, sizes, batch_first, reverse,
            wanted,
        )  # fmt: skip
    xp, size = array_module(x), w_hh.shape[1]
    dh, dc = g_h.copy("C"), g_c.copy("C")
    d_gates = xp.empty((len(x), 4 * size), x.dtype)
    order = sizes, batch_first, reverse
    given = [xp.ascontiguousarray(a) for a in (g_out, gates, cells, c0)]
    if sequence_cuda.fits(x, len(dh), size):
        sequence_cuda.lstm_backward(*given, w_hh, dh, dc, d_gates, *order)
    else:
        step = xp.empty((len(dh), 4 * size), x.dtype)
        for start, hop, count, *before in reversed(list(_steps(*order))):
            _launch(
                "lstm_step_backward",
                count,
                size,
                *given,
                dh,
                dc,
                d_gates,
                step,
                start,
                *before,
                hop,
            )
            matmul(step[:count], w_hh, out=dh[:count])
    before = _previous(out, h0, *order)
    dx = matmul(d_gates, w_ih) if wanted[0] else None
    dw_ih = matmul(d_gates.T, x) if wanted[1] else None
    dw_hh = matmul(d_gates.T, before) if wanted[2] else None
    return dx, dh, dc, dw_ih, dw_hh, d_gates.sum(0)


@gru_forward.implement("cupy")
def gru_forward_cuda(x, h0, w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse, keep):
    """One product and one launch a step."""
    if not _fits(x, h0, w_ih, w_hh, b_ih, b_hh):
        return gru_forward.reference(
            x, h0, w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse, keep
        )
    xp, n, size = array_module(x), len(x), w_hh.shape[1]
    out = xp.empty((n, size), x.dtype)
    kept, (gates,) = _empty(xp, keep, (x.dtype, n, 4 * size))
    h, b_hh = h0.copy("C"), xp.ascontiguousarray(b_hh)
    from_x = matmul(x, w_ih.T)
    from_x += b_ih
    if sequence_cuda.fits(x, len(h), size):
        sequence_cuda.gru(from_x, w_hh, b_hh, h, out, *kept, sizes, batch_first, reverse)
        return out, h, gates
    w_hh = w_hh.T
    from_h = xp.empty((len(h), 3 * size), x.dtype)
    for start, hop, count, _, _ in _steps(sizes, batch_first, reverse):
        matmul(h[:count], w_hh, out=from_h[:count])
        _launch("gru_step", count, size, from_x, from_h, b_hh, h, out, *kept, start, hop)
    return out, h, gates


@gru_backward.implement("cupy")
def gru_backward_cuda(
    g_out, g_h, out, gates, x, h0, w_ih, w_hh, sizes, batch_first, reverse, wanted
):
    """One launch and one product a step, then the gradients of the weights."""
    if not _fits(x, h0, w_ih, w_hh, g_out, g_h, gates):
        return gru_backward.reference(
            g_out, g_h, out, gates, x, h0, w_ih, w_hh, sizes, batch_first, reverse, wanted
        )
    xp, size = array_module(x), w_hh.shape[1]
    dh = g_h.copy("C")
    from_x, from_h = (xp.empty((len(x), 3 * size), x.dtype) for _ in range(2))
    order = sizes, batch_first, reverse
    before = _previous(out, h0, *order)
    given = *(xp.ascontiguousarray(a) for a in (g_out, gates)), before
    if sequence_cuda.fits(x, len(dh), size):
        sequence_cuda.gru_backward(*given, w_hh, dh, from_x, from_h, *order)
    else:
        step = xp.empty((len(dh), 3 * size), x.dtype)
        for start, hop, count, _, _ in reversed(list(_steps(*order))):
            _launch("gru_step_backward", count, size, *given, dh, from_x, from_h, step, start, hop)
            dh[:count] += matmul(step[:count], w_hh)
    dx = matmul(from_x, w_ih) if wanted[0] else None
    dw_ih = matmul(from_x.T, x) if wanted[1] else None
    dw_hh = matmul(from_h.T, before) if wanted[2] else None
    return dx, dh, dw_ih, dw_hh, from_x.sum(0), from_h.sum(0)
