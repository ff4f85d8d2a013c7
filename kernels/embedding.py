"""Scatter-add of rows: out[ids[k]] += rows[k], the gradient of an embedding lookup."""

import numpy

from .kernel import Kernel, compiled
from .threads import share


def scatter_add_rows(rows, ids, size):
    """out (size, ...) with out[i] the sum of rows[k] (n, ...) over all k with ids[k] == i."""
    out = numpy.zeros((size, *rows.shape[1:]), rows.dtype)
    numpy.add.at(out, ids, rows)
    return out


scatter_add_rows = Kernel(scatter_add_rows)


@compiled
def _add_rows(begin, end, rows, ids, out):
    """For the columns from 8 begin to 8 end, rows in the order that they come in."""
    first, last = 8 * begin, min(8 * end, rows.shape[1])
    for k in range(ids.shape[0]):
        row, into = rows[k, first:last], out[ids[k], first:last]
        for d in range(last - first):
            into[d] += row[d]


@scatter_add_rows.implement("numpy")
def scatter_add_rows_numba(rows, ids, size):
    """Each thread has columns of its own: the same sums for any number of threads."""
    if rows.dtype not in (numpy.float32, numpy.float64) or not rows.size:
        return scatter_add_rows.reference(rows, ids, size)
    flat = numpy.ascontiguousarray(rows).reshape(len(rows), -1)
    out = numpy.zeros((size, flat.shape[1]), rows.dtype)
    ids = numpy.ascontiguousarray(ids, numpy.int64)
    share(_add_rows, -(-flat.shape[1] // 8), flat, ids, out, grain=1 + 4096 // len(ids))
    return out.reshape(size, *rows.shape[1:])


@scatter_add_rows.implement("cupy")
def scatter_add_rows_cupy(rows, ids, size):
    """The same by CuPy's atomic scatter."""
    import cupy

    out = cupy.zeros((size, *rows.shape[1:]), rows.dtype)
    cupy.add.at(out, ids, rows)
    return out
