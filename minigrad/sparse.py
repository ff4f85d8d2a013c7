"""RowSparse: a table of which only some rows are not zero, as the gradient of an embedding is.

It holds the ids of the rows and the rows themselves; an id may occur several times, and then its
rows add up. torch's name for this is a sparse COO tensor with one sparse dimension, and the same
methods are here: indices, values, coalesce, to_dense.
"""

import sys

import numpy

from .backend import array_module
from .kernels.embedding import scatter_add_rows, sum_equal_rows
from .kernels.row_updates import sgd_rows


class RowSparse:
    """Rows of a table of shape `shape`: row ids[k] has rows[k] added to it, all others are zero."""

    def __init__(self, ids, rows, shape, coalesced=False):
        self.ids = ids
        self.rows = rows
        self.shape = tuple(shape)
        self.coalesced = coalesced

    @property
    def parts(self):
        """[(ids, rows)]: what UnreadRows has several of."""
        return [(self.ids, self.rows)]

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
        sgd_rows[array_module(table)](table, self.ids, self.rows, -1.0)
        return table

    __array_ufunc__ = None  # array + self is for __radd__

    def __add__(self, other):
        return self.add_into(other if isinstance(other, RowSparse) else other.copy())

    __radd__ = __add__

    def __mul__(self, factor):
        return RowSparse(self.ids, self.rows * factor, self.shape, self.coalesced)


def _owned(rows):
    """The rows if they are a view of an array that only they refer to, else a copy."""
    alone = rows.base is not None and sys.getrefcount(rows.base) == _BY_ONE_VIEW
    return rows if alone else rows.copy()


def _count_of_a_base():
    """What sys.getrefcount says of an array that only one view refers to."""
    view = numpy.zeros(2).reshape(1, 2)
    return sys.getrefcount(view.base)


_BY_ONE_VIEW = _count_of_a_base()


class UnreadRows:
    """The dense gradient of a table that rows were looked up in, as long as nobody looks at it.

    A table of 30,000 rows of which a step uses 5,000 has a gradient that is mostly zeros. `.grad` shows
    it as the dense array it is; but until somebody asks it is kept as parts (ids, rows), which add up.
    An optimizer that would leave the other rows alone updates just these.
    """

    __array_ufunc__ = None  # array + self is for __radd__

    def __init__(self, parts, shape):
        self.parts = parts
        self.shape = tuple(shape)

    @property
    def dtype(self):
        return self.parts[0][1].dtype

    @property
    def ndim(self):
        return len(self.shape)

    def to_dense(self):
        """The whole table as an array."""
        (ids, rows), *others = self.parts
        xp = array_module(rows)
        table = scatter_add_rows[xp](rows, ids, self.shape[0])
        for ids, rows in others:
            sgd_rows[xp](table, ids, rows, -1.0)
        return table

    def coalesce(self):
        """The rows that are not zero, each once, as RowSparse."""
        ids, rows = zip(*self.parts, strict=True)
        xp = array_module(rows[0])
        return RowSparse(xp.concatenate(ids), xp.concatenate(rows), self.shape).coalesce()

    def owned(self):
        """The same, in memory that nobody else can change: copied where somebody refers to it."""
        return UnreadRows([(ids.copy(), _owned(rows)) for ids, rows in self.parts], self.shape)

    def __add__(self, other):
        if isinstance(other, UnreadRows):
            return UnreadRows([*self.parts, *other.parts], self.shape)
        if isinstance(other, RowSparse):
            return UnreadRows([*self.parts, (other.ids, other.rows)], self.shape)
        return self.to_dense() + other

    def __radd__(self, other):
        return other + self.to_dense()
