"""Scatter-add of rows: out[ids[k]] += rows[k], the gradient of an embedding lookup."""

import numpy

from .kernel import Kernel, compiled


def scatter_add_rows(rows, ids, size):
    """out (size, ...) with out[i] the sum of rows[k] (n, ...) over all k with ids[k] == i."""
    out = numpy.zeros((size, *rows.shape[1:]), rows.dtype)
    numpy.add.at(out, ids, rows)
    return out


scatter_add_rows = Kernel(scatter_add_rows)


@compiled
def _add_rows(rows, ids, out):
    for k in range(ids.shape[0]):
        i = ids[k]
        for d in range(rows.shape[1]):
            out[i, d] += rows[k, d]


@scatter_add_rows.implement("numpy")
def scatter_add_rows_numba(rows, ids, size):
    """One pass over the rows, in the order that they come in: the same sums on every run."""
    if rows.dtype not in (numpy.float32, numpy.float64) or not rows.size:
        return scatter_add_rows.reference(rows, ids, size)
    flat = numpy.ascontiguousarray(rows).reshape(len(rows), -1)
    out = numpy.zeros((size, flat.shape[1]), rows.dtype)
    if not _add_rows(flat, numpy.ascontiguousarray(ids, numpy.int64), out):
        return scatter_add_rows.reference(rows, ids, size)
    return out.reshape(size, *rows.shape[1:])


@scatter_add_rows.implement("cupy")
def scatter_add_rows_cupy(rows, ids, size):
    """The same by CuPy's atomic scatter."""
    import cupy

    out = cupy.zeros((size, *rows.shape[1:]), rows.dtype)
    cupy.add.at(out, ids, rows)
    return out
