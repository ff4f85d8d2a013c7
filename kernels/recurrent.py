"""What the recurrent kernels share: who walks through time how, and weights packed for all time steps.

The sequences of a batch know nothing of each other, so each thread takes some of them through all
time steps, and no thread waits for another before the end. In each step a block of b sequences makes

    [x_t h_{t-1}] (b, I + H)  times  [W_ih W_hh]^T (I + H, G H)

(T steps, B sequences, N rows in all, I inputs, H hidden units, G gates) by `tile`, whose sums stay in
registers and whose weights were packed once per call. Backward walks the other way, and makes
d_gates times W_hh, and times W_ih for the gradient of x. The gradients of the weights are products
over the rows of all steps, made at the end. The numbers of a row depend on no other row, so they are
the same whatever blocks the batch is cut into.

Steps may have fewer and fewer sequences, as in a PackedSequence: `sizes` says how many. A sequence
that has ended keeps its state, so the rows of the running state are in the end the last states.
"""

import functools

import numpy

from ..backend import array_module
from .kernel import FLOATS, Late, compiled
from .panels import panels
from .threads import get_threads, share

address = Late("blas_call", "address")
fetch = Late("tile", "fetch")
tile = Late("tile", "tile")
ROWS = Late("tile", "ROWS")
BLOCK = 64  # the most sequences that go through time together


@functools.lru_cache(maxsize=256)
def layout(sizes: tuple, batch_first: bool):
    """(sizes, starts, hop): sequence b has the row starts[t] + b hop at step t.

    batch_first: the rows are in order (b, t) rather than (t, b); all sizes are equal then.
    """
    counts = numpy.array(sizes, numpy.int64)
    if batch_first:
        return counts, numpy.arange(len(sizes), dtype=numpy.int64), len(sizes)
    return counts, numpy.cumsum(counts) - counts, 1


def walk(sizes, reverse):
    """The steps in the order in which they are made, each with the one before it (None at first)."""
    steps = range(len(sizes) - 1, -1, -1) if reverse else range(len(sizes))
    return zip(steps, (None, *steps[:-1]), strict=True)


def rows_of(sizes, batch_first):
    """A slice for each step: where its rows stand."""
    counts, starts, hop = layout(sizes, batch_first)
    return [
        slice(start, start + (count - 1) * hop + 1, hop) if count else slice(0, 0)
        for start, count in zip(starts.tolist(), counts.tolist(), strict=True)
    ]


def previous(state, first, sizes, batch_first, reverse):
    """The rows (N, H) of the state before each step; `first` (B, H) is the one before all."""
    before = array_module(state).empty_like(state)
    rows = rows_of(sizes, batch_first)
    for t, last in walk(sizes, reverse):
        into = before[rows[t]]
        into[...] = first[: len(into)]
        if last is not None:
            both = min(sizes[t], sizes[last])
            into[:both] = state[rows[last]][:both]
    return before


def compilable(x, *others):
    """True if compiled loops can do it: one floating dtype, no empty array."""
    dtype = x.dtype
    return dtype in FLOATS and x.size > 0 and all(y.dtype == dtype and y.size for y in others)


def blocks_of(sizes):
    """How many sequences go through time together."""
    parts = get_threads() if sizes[-1] == sizes[0] else 4 * get_threads()
    return min(BLOCK, max(4, -(-sizes[0] // parts)))


def run(loop, sizes, block, *arguments):
    """The loop over all blocks of the batch."""
    share(loop, -(-sizes[0] // block), block, *arguments)


@compiled
def times(begin, end, a, first, packed, c, into):
    """c[begin:end, into:] = a[begin:end, first:] times packed (panels, k, width)."""
    zero = a.dtype.type(0)
    size = a.itemsize
    count, k, width = packed.shape
    lda, ldc = a.shape[1], c.shape[1]
    from_a = address(a) + first * size
    panel = address(packed)
    into_c = address(c) + into * size
    for _ in range(count):
        row = begin
        while row < end:
            rows = min(ROWS, end - row)
            tile(zero, rows, False, k, from_a + row * lda * size, lda, 1, panel,
                 into_c + row * ldc * size, ldc)  # fmt: skip
            row += rows
        panel += k * width * size
        into_c += width * size


def panels_of_rows(dtype, columns, n):
    """Room for n rows in panels: (panels, n or n + 1, width). An odd number of rows a panel keeps
    panels from competing for the same places of the cache.
    """
    count, width = panels(dtype, columns)
    return numpy.empty((count, n | 1, width), dtype)


@compiled
def fetch_row(packed, row):
    """Ask for the memory of a row in panels that will be written after the next product."""
    for p in range(packed.shape[0]):
        part = packed[p, row]
        for j in range(0, part.size, 64 // packed.itemsize):
            fetch(part, j)


@compiled
def pack_row(values, packed, row):
    """A row in panels, from its values."""
    width = packed.shape[2]
    for p in range(packed.shape[0]):
        part = values[p * width : min(p * width + width, values.size)]
        into = packed[p, row]
        for j in range(part.size):
            into[j] = part[j]


@compiled
def copy_row(row, into):
    """into[:] = row, for rows of one length."""
    for j in range(row.size):
        into[j] = row[j]


def row_sums(rows):
    """The sum over the sequences of each one's part of the biases' gradient."""
    return rows.sum(0)


CHUNK = 256  # rows of a panel that stay in the first cache while all columns of x meet them


@compiled
def _weight_gradient(begin, end, x, packed, begin_panel, low, high, turn, sums, out):
    """For some panels: sums = x^T panel, then the columns from low to high of all as rows of out."""
    zero = x.dtype.type(0)
    size = x.itemsize
    n, columns = x.shape
    width = packed.shape[2]
    for p in range(begin, end):
        from_panel = address(packed[begin_panel + p])
        into = sums[p]
        for start in range(0, n, CHUNK):
            from_x = address(x) + start * columns * size
            for r in range(0, columns, ROWS):
                tile(zero, min(ROWS, columns - r), start > 0, min(CHUNK, n - start),
                     from_x + r * size, 1, columns, from_panel + start * width * size,
                     address(into) + r * width * size, width)  # fmt: skip
        first = (begin_panel + p) * width
        for j in range(max(low - first, 0), min(high - first, width)):
            row = out[(first + j - low + turn) % (high - low)]
            for r in range(columns):
                row[r] = into[r, j]


def weight_gradient(wanted, packed, rows, low, high, turn=0):
    """d_gates^T rows (high - low, columns), for the rows (N, columns) that met a weight, or None.

    packed: d_gates (N, all gates) in panels, of which the columns from low to high are meant; they
    are the rows of the result, turned: the first one is its row `turn`.
    """
    if not wanted:
        return None
    rows = numpy.ascontiguousarray(rows)
    columns, width = rows.shape[1], packed.shape[2]
    first, end = low // width, -(-high // width)
    sums = numpy.empty((end - first, columns, width), rows.dtype)
    out = numpy.empty((high - low, columns), rows.dtype)
    share(_weight_gradient, end - first, rows, packed, first, low, high, turn, sums, out)
    return out
