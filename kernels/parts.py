"""One launch for many arrays: elementwise updates of all parameters of a model together.

A model has many small parameters, and to start threads for each, or even to call compiled code for
each, would cost more than the arithmetic. So the parameters' addresses go into one table, every
parameter is cut into parts of PART numbers, and the threads share the parts:

    @elementwise
    def update(w, g, a, b, c, lr, decay):   # one part: 1-d arrays of the same length, and numbers
        for i in range(w.size): ...

    left = run(update, rows, numbers)       # rows: [(w, g, state, ...), ...], at most 5 arrays each

`numbers` are the constants of the formula; the loop gets them in the parameters' dtype. The cuts
depend on the sizes alone, so the results do not depend on how many threads there are.
"""

import ctypes
import types

import numpy

from .kernel import FAST, Late, Loop
from .threads import share

PART = 8192  # numbers; five such arrays of float32 fit a second-level cache
ALONE = 8192  # numbers that are not worth a thread of their own
WIDTH = 5  # arrays a row
DIVIDING = FAST - {"arcp", "afn"}

array_at = Late("array_at", "array_at")
_LIKE = {numpy.dtype(name): numpy.empty(0, name) for name in ("float32", "float64")}


def dividing(function) -> Loop:
    """`compiled`, without the estimates of 1 / x and 1 / sqrt(x), which give NaN for infinity."""
    return Loop(function, DIVIDING)


def _walk(begin, end, table, like, numbers):
    row = 0
    for part in range(begin, end):
        while table[row + 1, 0] <= part:
            row += 1
        first = (part - table[row, 0]) * PART
        size = min(PART, table[row, 1] - first)
        at = first * like.itemsize
        update(  # noqa: F821
            array_at(table[row, 2] + at, size, like),
            array_at(table[row, 3] + at, size, like),
            array_at(table[row, 4] + at, size, like),
            array_at(table[row, 5] + at, size, like),
            array_at(table[row, 6] + at, size, like),
            *numbers,
        )


def elementwise(update) -> Loop:
    """The loop over parts of all arrays that calls update(w, g, a, b, c, *numbers) for each part."""
    names = dict(globals(), update=Loop(update, DIVIDING, inline=True))
    walk = types.FunctionType(_walk.__code__, names, update.__name__)
    walk.__module__, walk.__qualname__ = update.__module__, f"{update.__name__}.parts"
    walk.__doc__ = update.__doc__
    return Loop(walk, FAST)


def address(array, _of=ctypes.addressof, _from=ctypes.c_char.from_buffer):
    """Where a writable contiguous array begins; TypeError, ValueError or BufferError for others.

    ndarray.ctypes and __array_interface__ say the same in five times the time.
    """
    return _of(_from(array))


def _prepared(row):
    """(row with arrays that a loop can run along in step, their addresses), or None.

    The parameter and its state must lie in memory in the same gapless order, for they are changed
    in place; the gradient is copied into that order where it has another.
    """
    if not isinstance(row[-1], numpy.ndarray):
        return None
    if not row[0].flags.c_contiguous:
        row = [x.T for x in row]
    if len(row) > 1:
        row = (row[0], numpy.array(row[1], order="C"), *row[2:])
    try:
        return row, [address(x) for x in row]
    except (TypeError, ValueError, BufferError):
        return None


def table(rows):
    """([(table, number of parts, of numbers, an array of the dtype)], rows that no loop can do, and
    arrays to keep alive as long as the table is in use).

    A table has a line a row: number of the first part, size, addresses; the last line ends the parts.
    """
    left, kept, found = [], [], {}
    for row in rows:
        w = row[0]
        dtype, shape = w.dtype, w.shape
        if dtype not in _LIKE:
            left.append(row)
            continue
        for x in row:
            if x.dtype != dtype or x.shape != shape:
                break
        else:
            size = w.size
            if size == 0:
                continue
            try:
                places = [address(x) for x in row]
            except (TypeError, ValueError, BufferError):
                prepared = _prepared(row)
                if prepared is None:
                    left.append(row)
                    continue
                row, places = prepared
                kept.append(row)
            lines = found.get(dtype)
            if lines is None:
                lines = found[dtype] = [0, 0, []]
            lines[2] += (lines[0], size, *places, *places[:1] * (WIDTH - len(places)))
            lines[0] += -(-size // PART)
            lines[1] += size
            continue
        left.append(row)
    tables = []
    for dtype, (parts, size, lines) in found.items():
        lines += (parts, *[0] * (WIDTH + 1))
        lines = numpy.array(lines, numpy.int64).reshape(-1, WIDTH + 2)
        tables.append((lines, parts, size, _LIKE[dtype]))
    return tables, left, kept


def grain(parts, size):
    """How many of so many parts, of `size` numbers in all, are worth a thread of their own."""
    return max(1, parts * ALONE // size)


def run(loop, rows, numbers):
    """Run an elementwise loop over rows of arrays; gives back the rows that it can't do."""
    if len({id(row[0]) for row in rows}) < len(rows):  # one after the other then
        return [left for row in rows for left in run(loop, [row], numbers)]
    tables, left, kept = table(rows)
    for lines, parts, size, like in tables:
        given = tuple(map(like.dtype.type, numbers))
        share(loop, parts, lines, like, given, grain=grain(parts, size))
    del kept  # until here the table knew them by their addresses
    return left
