"""Matrices packed in panels, the order in which `tile` reads the right factor of a product.

A panel is WIDTH bytes of columns, row after row: (panels, rows, width), the last one filled up with
zeros.
"""

import numpy

from .kernel import Late, compiled
from .threads import share

address = Late("blas_call", "address")
turn = Late("tile", "turn")
WIDTH = 128  # bytes of one row of a panel: see tile.py


def panels(dtype, columns):
    """(how many panels hold so many columns, the columns of one)."""
    width = WIDTH // dtype.itemsize
    return -(-columns // width), width


def pack_transposed(*parts):
    """[part_1 part_2 ...]^T in panels, for parts (columns, rows_i): (panels, all rows, width)."""
    count, width = panels(parts[0].dtype, parts[0].shape[0])
    packed = numpy.empty((count, sum(part.shape[1] for part in parts), width), parts[0].dtype)
    first = 0
    for part in parts:
        share(_pack_transposed, count, numpy.ascontiguousarray(part), first, packed)
        first += part.shape[1]
    return packed


def pack(matrix):
    """A matrix (rows, columns) in panels: (panels, rows, width)."""
    count, width = panels(matrix.dtype, matrix.shape[1])
    packed = numpy.empty((count, matrix.shape[0], width), matrix.dtype)
    share(_pack, count, numpy.ascontiguousarray(matrix), packed)
    return packed


@compiled
def _pack_transposed(begin, end, matrix, first, packed):
    """By squares that are transposed in registers, as far as there are whole ones."""
    zero = matrix.dtype.type(0)
    columns, rows = matrix.shape
    width, size = packed.shape[2], matrix.itemsize
    side = 64 // size
    for p in range(begin, end):
        count = min(width, columns - p * width)
        part = matrix[p * width : p * width + count]
        into = packed[p, first : first + rows]
        squares, whole = count // side * side, rows // side * side
        for k in range(0, whole, side):
            for j in range(0, squares, side):
                turn(zero, address(part) + (j * rows + k) * size, rows,
                     address(into) + (k * width + j) * size, width)  # fmt: skip
        for j in range(count):
            row = part[j]
            for k in range(whole if j < squares else 0, rows):
                into[k, j] = row[k]
        for j in range(count, width):
            for k in range(rows):
                into[k, j] = zero


@compiled
def _pack(begin, end, matrix, packed):
    zero = matrix.dtype.type(0)
    rows, columns = matrix.shape
    width = packed.shape[2]
    for p in range(begin, end):
        count = min(width, columns - p * width)
        for k in range(rows):
            into, row = packed[p, k], matrix[k, p * width : p * width + count]
            for j in range(count):
                into[j] = row[j]
            for j in range(count, width):
                into[j] = zero
