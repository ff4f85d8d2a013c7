"""Optimizers' updates for gradients of which only some rows are not zero: only those rows are touched.

The gradient is (ids, rows): the table's row ids[k] has rows[k]. Formulas stand with the optimizers.
"""

from math import sqrt

import numpy

from ..backend import add_at, array_module
from . import cuda_source, embedding
from .embedding import present
from .kernel import FLOATS, Kernel
from .parts import dividing
from .threads import share


def sgd_rows(w, ids, rows, lr):
    """w[ids[k]] -= lr rows[k] for every k; ids may occur several times."""
    add_at(array_module(w), w, ids, -lr * rows)


def adagrad_rows(w, s, ids, rows, lr, eps):
    """s += g^2;  w -= lr g / (sqrt(s) + eps), for the rows ids, each of which occurs once."""
    xp = array_module(w)
    s[ids] += rows * rows
    w[ids] -= lr * rows / (xp.sqrt(s[ids]) + eps)


def adam_rows(w, m, v, ids, rows, lr, b1, b2, eps):
    """m += (1 - b1) (g - m);  v += (1 - b2) (g^2 - v);  w -= lr m / (sqrt(v) + eps); ids as above."""
    xp = array_module(w)
    mean = m[ids] + (1 - b1) * (rows - m[ids])
    square = v[ids] + (1 - b2) * (rows * rows - v[ids])
    m[ids], v[ids] = mean, square
    w[ids] -= lr * (mean / (xp.sqrt(square) + eps))


sgd_rows = Kernel(sgd_rows)
adagrad_rows = Kernel(adagrad_rows)
adam_rows = Kernel(adam_rows)


@dividing
def _sgd(begin, end, w, found, starts, order, rows, lr):
    lr = w.dtype.type(lr)
    for i in range(begin, end):
        into = w[found[i]]
        for k in range(starts[i], starts[i + 1]):
            row = rows[order[k]]
            for d in range(into.size):
                into[d] -= lr * row[d]


@dividing
def _adagrad(begin, end, w, s, ids, rows, lr, eps):
    f = w.dtype.type
    lr, eps = f(lr), f(eps)
    for i in range(begin, end):
        into, total, row = w[ids[i]], s[ids[i]], rows[i]
        for d in range(into.size):
            x = total[d] + row[d] * row[d]
            total[d] = x
            into[d] -= lr * (row[d] / (sqrt(x) + eps))


@dividing
def _adam(begin, end, w, m, v, ids, rows, lr, b1, b2, eps):
    f = w.dtype.type
    lr, c1, c2, eps = f(lr), f(1 - b1), f(1 - b2), f(eps)
    for i in range(begin, end):
        into, means, squares, row = w[ids[i]], m[ids[i]], v[ids[i]], rows[i]
        for d in range(into.size):
            g = row[d]
            mean = means[d] + c1 * (g - means[d])
            square = squares[d] + c2 * (g * g - squares[d])
            means[d] = mean
            squares[d] = square
            into[d] -= lr * (mean / (sqrt(square) + eps))


def _matrices(ids, rows, *tables):
    """(tables as matrices that share their memory, ids, rows as a matrix), or None."""
    dtype = rows.dtype
    if dtype not in FLOATS or not rows.size:
        return None
    if any(x.dtype != dtype or not x.flags.c_contiguous for x in tables):
        return None
    rows = numpy.ascontiguousarray(rows).reshape(len(rows), -1)
    tables = [x.reshape(len(x), -1) for x in tables]
    return tables, numpy.ascontiguousarray(ids, numpy.int64), rows


def _grain(rows):
    return 1 + 8192 // rows.shape[1]


@sgd_rows.implement("numpy")
def sgd_rows_numba(w, ids, rows, lr):
    """Rows grouped by id, each group taken straight to the table."""
    matrices = _matrices(ids, rows, w)
    if matrices is None:
        sgd_rows.reference(w, ids, rows, lr)
        return
    (w,), ids, rows = matrices
    found, starts, order = present(ids, len(w))
    share(_sgd, len(found), w, found, starts, order, rows, float(lr), grain=_grain(rows))


@adagrad_rows.implement("numpy")
def adagrad_rows_numba(w, s, ids, rows, lr, eps):
    """One pass over the rows."""
    matrices = _matrices(ids, rows, w, s)
    if matrices is None:
        adagrad_rows.reference(w, s, ids, rows, lr, eps)
        return
    tables, ids, rows = matrices
    share(_adagrad, len(ids), *tables, ids, rows, float(lr), float(eps), grain=_grain(rows))


@adam_rows.implement("numpy")
def adam_rows_numba(w, m, v, ids, rows, lr, b1, b2, eps):
    """One pass over the rows."""
    matrices = _matrices(ids, rows, w, m, v)
    if matrices is None:
        adam_rows.reference(w, m, v, ids, rows, lr, b1, b2, eps)
        return
    tables, ids, rows = matrices
    numbers = map(float, (lr, b1, b2, eps))
    share(_adam, len(ids), *tables, ids, rows, *numbers, grain=_grain(rows))


# -- on the GPU: row_updates.cu --------------------------------------------------------------------


def _on_gpu(kernel, tables, ids, rows, *numbers):
    """Launch a kernel, if it can do it: True then."""
    xp = array_module(rows)
    fits = cuda_source.known(rows, *tables) and all(x.flags.c_contiguous for x in tables)
    if not rows.size or not fits:
        return False
    ids, rows = xp.ascontiguousarray(ids.reshape(-1), "int64"), xp.ascontiguousarray(rows)
    cuda_source.launch(
        "row_updates.cu", kernel, rows.dtype, cuda_source.blocks(ids.size, 8), cuda_source.THREADS,
        *tables, ids, rows, ids.size, rows.size // ids.size, *map(float, numbers),
    )  # fmt: skip
    return True


@sgd_rows.implement("cupy")
def sgd_rows_cuda(w, ids, rows, lr):
    """Rows of equal ids summed first, in a fixed order; or atomic additions, where those are allowed."""
    kernel = "sgd_rows_atomic"
    if embedding.deterministic and rows.size:
        ids, rows = embedding.sum_equal_rows[array_module(w)](rows, ids.reshape(-1), len(w))
        kernel = "sgd_rows"
    if not _on_gpu(kernel, (w,), ids, rows, lr):
        sgd_rows.reference(w, ids, rows, lr)


@adagrad_rows.implement("cupy")
def adagrad_rows_cuda(w, s, ids, rows, lr, eps):
    """One launch."""
    if not _on_gpu("adagrad_rows", (w, s), ids, rows, lr, eps):
        adagrad_rows.reference(w, s, ids, rows, lr, eps)


@adam_rows.implement("cupy")
def adam_rows_cuda(w, m, v, ids, rows, lr, b1, b2, eps):
    """One launch."""
    if not _on_gpu("adam_rows", (w, m, v), ids, rows, lr, 1 - b1, 1 - b2, eps):
        adam_rows.reference(w, m, v, ids, rows, lr, b1, b2, eps)
