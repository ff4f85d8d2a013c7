"""The norm of many arrays taken together, and all of them scaled: what clipping of gradients needs."""

import numpy

from ..backend import array_module
from . import cuda_parts, cuda_source
from .kernel import Kernel, compiled
from .parts import PART, array_at, elementwise, grain, run, table
from .threads import share


def total_norm(arrays):
    """sqrt of the sum of the squares of all numbers, in the dtype of the first array: a 0-d array."""
    xp = array_module(arrays[0])
    norms = xp.stack([xp.asarray(xp.linalg.norm(x)) for x in arrays])
    return xp.asarray(xp.linalg.norm(norms), arrays[0].dtype)


total_norm = Kernel(total_norm)


@compiled
def _squares(begin, end, table, like, sums):
    """sums[part] = sum of the squares of one part."""
    row = 0
    for part in range(begin, end):
        while table[row + 1, 0] <= part:
            row += 1
        first = (part - table[row, 0]) * PART
        size = min(PART, table[row, 1] - first)
        x = array_at(table[row, 2] + first * like.itemsize, size, like)
        total = like.dtype.type(0)
        for i in range(size):
            total += x[i] * x[i]
        sums[part] = total


@total_norm.implement("numpy")
def total_norm_numba(arrays):
    """The squares of parts of fixed size, added up in their order."""
    tables, left, kept = table([(x,) for x in arrays])
    if left:
        return total_norm.reference(arrays)
    total = 0.0
    for lines, parts, size, like in tables:
        sums = numpy.empty(parts)
        share(_squares, parts, lines, like, sums, grain=grain(parts, size))
        total += sums.sum()
    del kept
    return numpy.array(numpy.sqrt(total), arrays[0].dtype)


def scale_all(arrays, factor):
    """Multiply every array by a number, in place; on the GPU by an array of no dimensions."""
    for x in arrays:
        x *= factor


scale_all = Kernel(scale_all)


@elementwise
def _scale(x, a, b, c, d, factor):
    for i in range(x.size):
        x[i] *= factor


@scale_all.implement("numpy")
def scale_all_numba(arrays, factor):
    """All arrays in one launch."""
    scale_all.reference([x for (x,) in run(_scale, [(x,) for x in arrays], (factor,))], factor)


# -- on the GPU: optimizers.cu ---------------------------------------------------------------------


@total_norm.implement("cupy")
def total_norm_cuda(arrays):
    """The squares of parts of fixed size in one launch, then their sum."""
    xp = array_module(arrays[0])
    lined = (x.T if x.flags.f_contiguous else xp.ascontiguousarray(x) for x in arrays)
    made, left, kept = cuda_parts.tables([(x,) for x in lined])
    if left or not made:
        return total_norm.reference(arrays)
    sums = []
    for dtype, lines, parts in made:
        squares = xp.empty(parts, "float64")
        cuda_source.launch(
            "optimizers.cu", "squares", dtype, parts, cuda_source.THREADS, lines, squares
        )
        sums.append(squares.sum())
    del kept  # until here the table knew them by their addresses
    return xp.sqrt(sum(sums[1:], sums[0])).astype(arrays[0].dtype)


@scale_all.implement("cupy")
def scale_all_cuda(arrays, factor):
    """All arrays in one launch; the factor is read on the GPU."""
    factor = array_module(arrays[0]).asarray(factor, "float64")
    rows = [(x,) for x in arrays]
    left = cuda_parts.run("optimizers.cu", "scale_all", rows, (factor,))
    scale_all.reference([x for (x,) in left], factor)
