"""The norm of many arrays taken together, and all of them scaled: what clipping of gradients needs."""

import numpy

from ..backend import array_module
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
    """Multiply every array by a number, in place."""
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
