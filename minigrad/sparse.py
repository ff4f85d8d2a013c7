"""RowSparse: a table of which only some rows are not zero, as the gradient of an embedding is.

It holds the ids of the rows and the rows themselves; an id may occur several times, and then its
rows add up. torch's name for this is a sparse COO tensor with one sparse dimension, and the same
methods are here: indices, values, coalesce, to_dense.
"""

import numpy

from .backend import array_module
from .kernels.embedding import scatter_add_rows, sum_equal_rows


class RowSparse:
    """Rows of a table of shape `shape`: row ids[k] has rows[k] added to it, all others are zero."""

    def __init__(self, ids, rows, shape, coalesced=False):
        self.ids = ids
        self.rows = rows
        self.shape = tuple(shape)
        self.coalesced = coalesced

    @property
    def dtype(self):
        return self.rows.dtype

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        return int(numpy.prod(self.shape))

    def astype(self, dtype):
        """The same rows in another dtype."""
        return RowSparse(self.ids, self.rows.astype(dtype), self.shape, self.coalesced)

    def copy(self):
        """The same rows in memory of their own."""
        return RowSparse(self.ids.copy(), self.rows.copy(), self.shape, self.coalesced)

    def coalesce(self):
        """Each id once, in ascending order, with its rows added up."""
        if self.coalesced:
            return self
        xp = array_module(self.rows)
        ids, rows = sum_equal_rows[xp](self.rows, self.ids, self.shape[0])
        return RowSparse(ids, rows, self.shape, coalesced=True)

    def to_dense(self):
        """The whole table as an array."""
        xp = array_module(self.rows)
        return scatter_add_rows[xp](self.rows, self.ids, self.shape[0])

    def add_into(self, table):
        """table + self, into the table's own memory if it is a dense array."""
        if isinstance(table, RowSparse):
            xp = array_module(self.rows)
            ids = xp.concatenate([table.ids, self.ids])
            return RowSparse(ids, xp.concatenate([table.rows, self.rows]), self.shape)
        array_module(table).add.at(table, self.ids, self.rows)
        return table

    def __add__(self, other):
        return self.add_into(other if isinstance(other, RowSparse) else other.copy())

    __radd__ = __add__

    def __mul__(self, factor):
        return RowSparse(self.ids, self.rows * factor, self.shape, self.coalesced)
