"""A recurrent layer's steps in one launch: how lstm_sequence.cu and gru_sequence.cu are launched.

A step by the library and recurrent.cu is two launches, and their overhead, some ten microseconds, is
most of it where hidden units are few. Above WIDEST a step is work for the whole GPU, and the library's.
"""

import functools

import numpy

from ..backend import array_module
from ..capture import keep, outside
from . import cuda_source
from .recurrent import layout

WIDEST = 256  # hidden units: 4 threads each
SEQUENCES = 4  # of a block: sequence.cuh
ROUNDS = 4  # blocks a processor, one after the other


def fits(x, batch, size):
    """True where the kernels can do it, and a block a processor does not take too many rounds."""
    return (
        size % 4 == 0
        and size <= WIDEST
        and -(-batch // SEQUENCES) <= ROUNDS * cuda_source.gpu().processors
        and _room(size, x.dtype) <= cuda_source.gpu().shared
    )


def _room(size, dtype):
    """Bytes of shared memory beside W_hh: states or slopes, 4 to 16 H numbers, and parts, 64 H at most."""
    return 80 * size * cuda_source.wider(dtype).itemsize


def _kept(size, dtype, across):
    """(how many of its H / 4 rows each part of W_hh keeps in shared memory, their bytes in all).

    across: of all parts together a row is `across` times H numbers.
    """
    row = across * size * cuda_source.wider(dtype).itemsize
    kept = min(size // 4, (cuda_source.gpu().shared - _room(size, dtype)) // row)
    return kept, kept * row


def _launch(file, kernel, dtype, batch, size, across, *arguments):
    kept, more = _kept(size, dtype, across)
    cuda_source.launch(
        file, kernel, dtype, -(-batch // SEQUENCES), (size, SEQUENCES), *arguments, kept,
        shared=_room(size, dtype) + more,
    )  # fmt: skip


@functools.lru_cache(64)
def _tables(sizes, device, xp):
    """(sequences, first row) of each step, on a device."""
    counts, starts, _ = layout(sizes, False)
    with outside():
        return xp.asarray(numpy.stack([counts, starts]))


def _walk(x, sizes, batch_first, reverse):
    """What the kernels take for the steps."""
    batch = sizes[0]
    if all(size == batch for size in sizes):
        return None, None, len(sizes), batch, len(sizes) if batch_first else 1, reverse
    table = _tables(tuple(sizes), str(x.device), array_module(x))
    keep(table)
    return table[0], table[1], len(sizes), batch, 1, reverse


def _packed(w_hh, gates):
    """W_hh (G H, H) as (H, H, 4): the gates' numbers side by side, 0 for a fourth of three."""
    xp, size = array_module(w_hh), w_hh.shape[1]
    packed = xp.zeros((size, size, 4), cuda_source.wider(w_hh.dtype))
    packed[..., :gates] = w_hh.reshape(gates, size, size).transpose(2, 1, 0)
    return packed


def _wide(w_hh):
    return array_module(w_hh).ascontiguousarray(w_hh, cuda_source.wider(w_hh.dtype))


def lstm(from_x, w_hh, h, c, out, gates, cells, *order):
    """Fills out, gates and cells (or None), and turns h and c (B, H) into the last ones."""
    size, walk = w_hh.shape[1], _walk(from_x, *order)
    _launch(
        "lstm_sequence.cu", "lstm_sequence", from_x.dtype, len(h), size, 16, from_x, _packed(w_hh, 4), h,
        c, out, gates, cells, *walk,
    )  # fmt: skip


def lstm_backward(g_out, gates, cells, c0, w_hh, dh, dc, d_gates, *order):
    """Fills d_gates, and turns dh and dc (B, H) into the gradients for h0 and c0."""
    size, walk = w_hh.shape[1], _walk(g_out, *order)
    _launch(
        "lstm_sequence.cu", "lstm_sequence_backward", g_out.dtype, len(dh), size, 16, g_out, gates, cells,
        c0, _wide(w_hh), dh, dc, d_gates, *walk,
    )  # fmt: skip


def gru(from_x, w_hh, b_hh, h, out, gates, *order):
    """Fills out and gates (or None), and turns h (B, H) into the last one."""
    size, walk = w_hh.shape[1], _walk(from_x, *order)
    _launch(
        "gru_sequence.cu", "gru_sequence", from_x.dtype, len(h), size, 16, from_x, _packed(w_hh, 3), b_hh,
        h, out, gates, *walk,
    )  # fmt: skip


def gru_backward(g_out, gates, before, w_hh, dh, d_x, d_h, *order):
    """Fills d_x and d_h, and turns dh (B, H) into the gradient for h0."""
    size, walk = w_hh.shape[1], _walk(g_out, *order)
    _launch(
        "gru_sequence.cu", "gru_sequence_backward", g_out.dtype, len(dh), size, 12, g_out, gates, before,
        _wide(w_hh), dh, d_x, d_h, *walk,
    )  # fmt: skip
