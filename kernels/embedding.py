"""Sums of rows that have the same id: out[ids[k]] += rows[k], the gradient of an embedding lookup.

The positions are grouped by id first, by counting, which takes a hundredth of the time that moving
the rows takes. Then every row of the table is written once, by one thread: the sum of its group, or
zeros. Each sum is taken in the order of the positions, so it is the same for any number of threads.
"""

import numpy

from ..backend import array_module
from .kernel import FLOATS, Kernel, compiled
from .threads import share

FEW = 64  # rows of a table that are too few to be shared out; then columns are


def scatter_add_rows(rows, ids, size):
    """out (size, ...) with out[i] the sum of rows[k] (n, ...) over all k with ids[k] == i."""
    xp = array_module(rows)
    out = xp.zeros((size, *rows.shape[1:]), rows.dtype)
    xp.add.at(out, ids, rows)
    return out


def sum_equal_rows(rows, ids, size):
    """(the ids in `ids` once each, ascending; for each the sum of its rows); all ids < size."""
    xp = array_module(rows)
    found, place = xp.unique(ids, return_inverse=True)
    sums = xp.zeros((len(found), *rows.shape[1:]), rows.dtype)
    xp.add.at(sums, place, rows)
    return found, sums


scatter_add_rows = Kernel(scatter_add_rows)
sum_equal_rows = Kernel(sum_equal_rows)


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


@scatter_add_rows.implement("cupy")
def scatter_add_rows_cupy(rows, ids, size):
    """The same by CuPy's atomic scatter."""
    import cupy

    out = cupy.zeros((size, *rows.shape[1:]), rows.dtype)
    cupy.add.at(out, ids, rows)
    return out
