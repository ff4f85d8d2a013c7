"""One launch for many arrays on the GPU, as parts.py does it with threads: see optimizers.cu.

A kernel gets a table with a line for each part of at most PART numbers: how many they are, and the
addresses of the five arrays there. Copying the table to the GPU takes longer than a small update, but
parameters, states and mostly gradients too stay where they are, so the last tables are kept.
"""

import functools

import numpy

from ..backend import array_module
from ..capture import keep, outside
from . import cuda_source

PART = 1 << 14  # numbers that a block updates
WIDTH = 5  # arrays a row


def address(array) -> int:
    """Where an array begins in the GPU's memory."""
    return array.data.ptr


def _contiguous(row):
    """The row with a contiguous gradient, or None if another array is not contiguous."""
    w = row[0]
    if not cuda_source.known(*row) or any(x.shape != w.shape for x in row):
        return None
    if not all(x.flags.c_contiguous for i, x in enumerate(row) if i != 1):
        return None
    if len(row) == 1 or row[1].flags.c_contiguous:
        return row
    return w, array_module(w).ascontiguousarray(row[1]), *row[2:]


@functools.lru_cache(64)
def _table(lines, itemsize, xp, device):
    """The parts of the arrays of all lines (size, addresses) on a device, and how many they are."""
    lines = numpy.array(lines, numpy.int64)
    size = lines[:, :1]
    parts = -(-size[:, 0] // PART)
    which = numpy.repeat(numpy.arange(len(lines)), parts)
    first = (numpy.arange(len(which)) - numpy.repeat(parts.cumsum() - parts, parts))[:, None] * PART
    table = lines[which]
    table[:, :1] = numpy.minimum(PART, size[which] - first)
    table[:, 1 : WIDTH + 1] += first * itemsize
    with outside():
        return xp.asarray(table), len(table)


def tables(rows, counts=None):
    """([(dtype, table, number of parts)], rows that kernels can't do, arrays to keep alive).

    counts: for each row an array whose address goes into the last column of its lines.
    """
    left, kept, found = [], [], {}
    for i, row in enumerate(rows):
        prepared = _contiguous(row)
        if prepared is None:
            left.append(row)
        elif row[0].size:
            places = [address(x) for x in prepared]
            line = (row[0].size, *places, *places[:1] * (WIDTH - len(places)))
            if counts is not None:
                line += (address(counts[i]),)
            found.setdefault((row[0].dtype, str(row[0].device)), []).append(line)
            kept.append(prepared)
    made = []
    for (dtype, device), lines in found.items():
        xp = array_module(kept[0][0])
        table, parts = _table(tuple(lines), dtype.itemsize, xp, device)
        keep(table, kept)
        made.append((dtype, table, parts))
    return made, left, kept


def run(file, kernel, rows, numbers, counts=None):
    """Run a kernel over rows of arrays; gives back the rows that it can't do.

    numbers: the kernel's further arguments; arrays among them are read on the GPU. counts: see `tables`.
    """
    if len({id(row[0]) for row in rows}) < len(rows):  # one after the other then
        counts = [None] * len(rows) if counts is None else [[count] for count in counts]
        pairs = zip(rows, counts, strict=True)
        return [left for row, count in pairs for left in run(file, kernel, [row], numbers, count)]
    made, left, kept = tables(rows, counts)
    given = [x if x is None or hasattr(x, "dtype") else float(x) for x in numbers]
    for dtype, table, parts in made:
        cuda_source.launch(file, kernel, dtype, parts, cuda_source.THREADS, table, *given)
    del kept  # until here the table knew them by their addresses
    return left
