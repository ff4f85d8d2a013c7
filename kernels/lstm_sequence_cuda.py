"""An LSTM's steps in one launch, where the recurrent weights are small: how lstm_sequence.cu is launched.

A step by the library and recurrent.cu is two launches, and their overhead, some ten microseconds, is
most of it. Above WIDEST hidden units a step is work for the whole GPU, and the library is faster.
"""

import functools

import numpy

from ..backend import array_module
from ..capture import keep, outside
from . import cuda_source
from .recurrent import layout

WIDEST = 256  # hidden units: 4 threads each
SEQUENCES, PARTS = 4, 16  # as in lstm_sequence.cu
ROUNDS = 4  # blocks a processor, one after the other


def fits(x, batch, size):
    """True where the kernels can do it, and a block a processor does not take too many rounds."""
    dtype = x.dtype
    return (
        cuda_source.wider(dtype) == dtype
        and size % 4 == 0
        and size <= WIDEST
        and -(-batch // SEQUENCES) <= ROUNDS * cuda_source.gpu().processors
        and _room(size, dtype) <= cuda_source.gpu().shared
    )


def _room(size, dtype):
    """Bytes of shared memory beside W_hh: states or slopes (4 to 16 H numbers), and parts (64 H)."""
    return (4 * SEQUENCES + 4 * PARTS) * size * dtype.itemsize


def _kept(size, dtype, parts):
    """How many rows of each of the parts of W_hh fit into shared memory, and their bytes in all."""
    every = 4 * size * size * dtype.itemsize
    rows = (size if parts == SEQUENCES else 4 * size) // parts
    free = cuda_source.gpu().shared - _room(size, dtype)
    kept = min(rows, free * rows // every)
    return kept, kept * every // rows


@functools.lru_cache(64)
def _tables(sizes, device, xp):
    """(sequences, first row) of each step, on a device."""
    counts, starts, _ = layout(sizes, False)
    with outside():
        return xp.asarray(numpy.stack([counts, starts]))


def _walk(xp, x, sizes, batch_first, reverse):
    """What the kernels take for the steps."""
    batch = sizes[0]
    if all(size == batch for size in sizes):
        return None, None, len(sizes), batch, len(sizes) if batch_first else 1, reverse
    table = _tables(tuple(sizes), str(x.device), xp)
    keep(table)
    return table[0], table[1], len(sizes), batch, 1, reverse


def _launch(kernel, x, batch, size, parts, *arguments):
    kept, more = _kept(size, x.dtype, parts)
    cuda_source.launch(
        "lstm_sequence.cu", kernel, x.dtype, -(-batch // SEQUENCES), (size, SEQUENCES), *arguments, kept,
        shared=_room(size, x.dtype) + more,
    )  # fmt: skip


def forward(from_x, w_hh, h, c, out, gates, cells, sizes, batch_first, reverse):
    """Fills out, gates and cells (or None), and turns h and c (B, H) into the last ones."""
    xp, size = array_module(from_x), w_hh.shape[1]
    packed = xp.ascontiguousarray(w_hh.reshape(4, size, size).transpose(2, 1, 0))
    walk = _walk(xp, from_x, sizes, batch_first, reverse)
    _launch(
        "lstm_sequence", from_x, len(h), size, SEQUENCES, from_x, packed, h, c, out, gates, cells, *walk
    )  # fmt: skip


def backward(g_out, gates, cells, c0, w_hh, dh, dc, d_gates, sizes, batch_first, reverse):
    """Fills d_gates, and turns dh and dc (B, H) into the gradients for h0 and c0."""
    xp, size = array_module(g_out), w_hh.shape[1]
    walk = _walk(xp, g_out, sizes, batch_first, reverse)
    _launch(
        "lstm_sequence_backward", g_out, len(dh), size, PARTS, g_out, gates, cells,
        c0, xp.ascontiguousarray(w_hh), dh, dc, d_gates, *walk,
    )  # fmt: skip
