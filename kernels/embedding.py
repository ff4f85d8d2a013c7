"""Sums of rows that have the same id: out[ids[k]] += rows[k], the gradient of an embedding lookup.

The positions are grouped by id first, by counting, which takes a hundredth of the time that moving
the rows takes. Then every row of the table is written once, by one thread: the sum of its group, or
zeros. Each sum is taken in the order of the positions, so it is the same for any number of threads.
"""

import numpy

from ..backend import add_at, array_module
from ..capture import now
from . import cuda_source
from .kernel import FLOATS, Kernel, compiled
from .threads import share

FEW = 64  # rows of a table that are too few to be shared out; then columns are


def scatter_add_rows(rows, ids, size):
    """out (size, ...) with out[i] the sum of rows[k] (n, ...) over all k with ids[k] == i."""
    xp = array_module(rows)
    out = xp.zeros((size, *rows.shape[1:]), rows.dtype)
    add_at(xp, out, ids, rows)
    return out


def sum_equal_rows(rows, ids, size):
    """(the ids in `ids` once each, ascending; for each the sum of its rows); all ids < size."""
    xp = array_module(rows)
    found, place = xp.unique(ids, return_inverse=True)
    sums = xp.zeros((len(found), *rows.shape[1:]), rows.dtype)
    add_at(xp, sums, place, rows)
    return found, sums


def gather_rows(table, ids):
    """table[ids] for ids of any shape, all from 0 to below the number of rows."""
    return array_module(table).take(table, ids, 0)


scatter_add_rows = Kernel(scatter_add_rows)
sum_equal_rows = Kernel(sum_equal_rows)
gather_rows = Kernel(gather_rows)


@compiled
def _group(ids, starts, order):
    """order[starts[i] : starts[i + 1]] = the positions of id i in ids, ascending."""
    size = starts.size - 1
    starts[:] = 0
    for k in range(ids.size):
        starts[ids[k] + 1] += 1
    for i in range(size):
        starts[i + 1] += starts[i]
    for k in range(ids.size):
        i = ids[k]
        order[starts[i]] = k
        starts[i] += 1
    for i in range(size, 0, -1):  # every start has moved to the next one's place
        starts[i] = starts[i - 1]
    starts[0] = 0


@compiled
def _sum_groups(begin, end, rows, starts, order, out):
    for i in range(begin, end):
        into = out[i]
        first, last = starts[i], starts[i + 1]
        if first == last:
            for d in range(into.size):
                into[d] = 0
        else:
            row = rows[order[first]]
            for d in range(into.size):
                into[d] = row[d]
            for k in range(first + 1, last):
                row = rows[order[k]]
                for d in range(into.size):
                    into[d] += row[d]


@compiled
def _add_rows(begin, end, rows, ids, out):
    """For the columns from 8 begin to 8 end, rows in the order that they come in."""
    first, last = 8 * begin, min(8 * end, rows.shape[1])
    for k in range(ids.shape[0]):
        row, into = rows[k, first:last], out[ids[k], first:last]
        for d in range(last - first):
            into[d] += row[d]


def grouped(ids, size):
    """(starts, order): see `_group`. ids: int64, contiguous."""
    starts, order = numpy.empty(size + 1, numpy.int64), numpy.empty(ids.size, numpy.int64)
    _group(ids, starts, order)
    return starts, order


def present(ids, size):
    """(the ids that occur, ascending, the starts of their groups and the end, the order)."""
    if size <= 16 * ids.size:
        starts, order = grouped(ids, size)
        found = numpy.flatnonzero(starts[1:] > starts[:-1])
        return found, numpy.append(starts[found], ids.size), order
    keys = numpy.sort(ids * ids.size + numpy.arange(ids.size))  # faster than a stable argsort
    inorder, order = numpy.divmod(keys, ids.size)
    starts = numpy.flatnonzero(inorder[1:] != inorder[:-1]) + 1
    starts = numpy.concatenate([[0], starts, [ids.size]])
    return inorder[starts[:-1]], starts, order


def _sums(rows, starts, order, count):
    out = numpy.empty((count, rows.shape[1]), rows.dtype)
    grain = 1 + 16384 * count // (out.size + rows.size)
    share(_sum_groups, count, rows, starts, order, out, grain=grain)
    return out


@scatter_add_rows.implement("numpy")
def scatter_add_rows_numba(rows, ids, size):
    """A large table by rows, a small one by columns."""
    if rows.dtype not in FLOATS or not rows.size:
        return scatter_add_rows.reference(rows, ids, size)
    flat = numpy.ascontiguousarray(rows).reshape(len(rows), -1)
    ids = numpy.ascontiguousarray(ids, numpy.int64)
    if size < FEW:
        out = numpy.zeros((size, flat.shape[1]), rows.dtype)
        share(_add_rows, -(-flat.shape[1] // 8), flat, ids, out, grain=1 + 4096 // len(ids))
    else:
        out = _sums(flat, *grouped(ids, size), size)
    return out.reshape(size, *rows.shape[1:])


@sum_equal_rows.implement("numpy")
def sum_equal_rows_numba(rows, ids, size):
    """Groups by counting, or by sorting where the table is far larger than the number of ids."""
    if rows.dtype not in FLOATS or not rows.size:
        return sum_equal_rows.reference(rows, ids, size)
    flat = numpy.ascontiguousarray(rows).reshape(len(rows), -1)
    found, starts, order = present(numpy.ascontiguousarray(ids, numpy.int64), size)
    return found, _sums(flat, starts, order, len(found)).reshape(-1, *rows.shape[1:])


# -- on the GPU: embedding.cu ----------------------------------------------------------------------

PIECE = 32  # rows that one sum takes; longer segments are summed in several steps
deterministic = True  # False: sums of rows by atomic additions, in whatever order they come


def _flat_on_gpu(rows, ids):
    """(rows (n, width), ids as int64, both contiguous, the array module)."""
    xp = array_module(rows)
    flat = xp.ascontiguousarray(rows.reshape(len(rows), rows.size // len(rows)))
    return flat, xp.ascontiguousarray(ids.reshape(-1), "int64"), xp


@gather_rows.implement("cupy")
def gather_rows_cuda(table, ids):
    """Rows copied 16 bytes a thread."""
    if not cuda_source.known(table) or not ids.size or not table.size:
        return gather_rows.reference(table, ids)
    flat, places, xp = _flat_on_gpu(table, ids)
    out = xp.empty((*ids.shape, *table.shape[1:]), table.dtype)
    cuda_source.launch(
        "embedding.cu", "gather_rows", table.dtype, cuda_source.blocks(out.size),
        cuda_source.THREADS, flat, places, out, places.size, flat.shape[1],
    )  # fmt: skip
    return out


@scatter_add_rows.implement("cupy")
def scatter_add_rows_cuda(rows, ids, size):
    """Ids sorted and their segments summed; or atomic additions, where those are allowed.

    Sorting waits for the GPU, so in a captured graph the sums are found by comparing all ids.
    """
    if not cuda_source.known(rows) or not rows.size:
        return scatter_add_rows.reference(rows, ids, size)
    flat, ids, xp = _flat_on_gpu(rows, ids)
    out = xp.zeros((size, flat.shape[1]), rows.dtype)
    if deterministic and now.capture is not None:
        cuda_source.launch(
            "embedding.cu", "scatter_add_in_order", rows.dtype, (ids.size, -(-flat.shape[1] // 256)),
            256, flat, ids, out, *flat.shape,
        )  # fmt: skip
    elif deterministic:
        found, *segments = _segments(ids, xp)
        _sum_segments(flat, *segments, found, out)
    else:
        cuda_source.launch(
            "embedding.cu", "scatter_add_atomic", rows.dtype, cuda_source.blocks(flat.size),
            cuda_source.THREADS, flat, ids, out, *flat.shape,
        )  # fmt: skip
    return out.reshape(size, *rows.shape[1:])


@sum_equal_rows.implement("cupy")
def sum_equal_rows_cuda(rows, ids, size):
    """Ids sorted, their segments summed."""
    if not cuda_source.known(rows) or not rows.size:
        return sum_equal_rows.reference(rows, ids, size)
    flat, ids, xp = _flat_on_gpu(rows, ids)
    found, *segments = _segments(ids, xp)
    out = xp.empty((len(found), flat.shape[1]), rows.dtype)
    _sum_segments(flat, *segments, None, out)
    return found, out.reshape(len(found), *rows.shape[1:])


def _segments(ids, xp):
    """(the ids once each, ascending; an order that brings equal ids together; where each begins and
    ends in it). Sorting id and place as one number keeps the order of equal ids."""
    keys = xp.sort(ids * ids.size + xp.arange(ids.size))
    inorder, order = keys // ids.size, keys % ids.size
    begins = xp.concatenate([xp.ones(1, bool), inorder[1:] != inorder[:-1]])
    starts = xp.flatnonzero(begins)
    ends = xp.concatenate([starts[1:], xp.full(1, ids.size, starts.dtype)])
    return inorder[starts], order, starts, ends


def _sum_segments(rows, order, starts, ends, into, out):
    """out[into[s]] = sum of rows[order[starts[s] : ends[s]]], by pieces of pieces."""
    xp, dtype, width = array_module(rows), rows.dtype, rows.shape[1]
    columns = -(-width // 32)
    kernel, given = "sum_pieces", (rows, order)
    longest = PIECE + 1  # so that the first step, which follows the order, is always taken
    while longest > PIECE:
        pieces = -(-(ends - starts) // PIECE)
        last = xp.cumsum(pieces)
        count, longest = int(last[-1]), int(pieces.max())
        segment = xp.searchsorted(last, xp.arange(count), side="right")
        first = starts[segment] + (xp.arange(count) - (last - pieces)[segment]) * PIECE
        sums = xp.empty((count, width), cuda_source.wider(dtype))
        cuda_source.launch(
            "embedding.cu", kernel, dtype, (cuda_source.blocks(count, 8), columns), (32, 8), *given,
            first, xp.minimum(first + PIECE, ends[segment]), sums, count, width,
        )  # fmt: skip
        starts, ends = last - pieces, last
        kernel, given = "sum_sums", (sums,)
    cuda_source.launch(
        "embedding.cu", "sum_into_rows", dtype, (cuda_source.blocks(len(starts), 8), columns),
        (32, 8), sums, starts, ends, into, out, len(starts), width,
    )  # fmt: skip
