"""Few rows times a large matrix, y = x W^T, each row of W read once: what a decoder's single step is.

x (R, k), W (n, k) -> y (R, n). With R = 1 every number of W is used once, so the time is that of
reading W from memory. Weights of 8 bits, each row with a scale of its own, are a quarter of float32:

    W[i] = scales[i] q[i],   q[i] whole numbers from -127 to 127,   scales[i] = max |W[i]| / 127

x and y stay floating. Dettmers et al. 2022, "LLM.int8(): 8-bit Matrix Multiplication for Transformers
at Scale" (NeurIPS), section 2, has more on such scales.

`three_rows` is three such products of one x side by side, a layer's queries, keys and values.
`gated_rows` is the first half of a gated layer, in one pass: y = silu(x G^T) * (x U^T), with
silu(z) = z / (1 + e^-z). Shazeer 2020.
"""

import numpy

from ..backend import array_module
from . import cuda_source
from .cublas import matmul
from .kernel import FLOATS, Kernel, compiled
from .matmul import product
from .threads import share
from .vector_math import sigmoid

FEW = 8  # so many rows are worth it: beyond, products in tiles are faster
GRAIN = 1 << 15  # multiplications that are not worth a thread of their own
WHOLE = numpy.dtype("int8")
_NONE = {dtype: numpy.empty(0, dtype) for dtype in FLOATS}


def widened(w, scales):
    """W as floating numbers."""
    return w if scales is None else w * scales[:, None]


def few_rows(x, w, scales=None):
    """x (R, k) times w (n, k) transposed, (R, n); scales (n): of the rows of a w of 8 bits."""
    return matmul(x, widened(w, scales).T)


def gated_rows(x, gate, gate_scales, up, up_scales):
    """silu(x gate^T) * (x up^T): x (R, k), gate and up (n, k) -> (R, n)."""
    g = x @ widened(gate, gate_scales).T
    return g / (1 + numpy.exp(-g)) * (x @ widened(up, up_scales).T)


def quantise_rows(w):
    """(q int8 (n, k), scales (n)) of w (n, k): see the top of this file. A row of zeros has scale 0."""
    scales = abs(w).max(1, initial=0) / w.dtype.type(127)
    safe = numpy.where(scales > 0, scales, 1).astype(w.dtype)
    return numpy.rint(w / safe[:, None]).astype(numpy.int8), scales


def three_rows(x, ws, scales):
    """x (R, k) times each of three ws (n_i, k) transposed, side by side: (R, n_1 + n_2 + n_3)."""
    return x @ numpy.concatenate([widened(*pair) for pair in zip(ws, scales, strict=True)]).T


few_rows = Kernel(few_rows)
three_rows = Kernel(three_rows)
gated_rows = Kernel(gated_rows)


@compiled
def _rows(begin, end, x, w, scales, y):
    f = x.dtype.type
    for i in range(begin, end):
        row = w[i]
        scale = scales[i] if scales.size else f(1)
        for r in range(x.shape[0]):
            one, total = x[r], f(0)
            for j in range(row.size):
                total += f(row[j]) * one[j]
            y[r, i] = total * scale


@compiled
def _three(begin, end, x, w0, w1, w2, scales0, scales1, scales2, y):
    first, second = w0.shape[0], w0.shape[0] + w1.shape[0]
    if begin < first:
        _rows(begin, min(end, first), x, w0, scales0, y)
    if begin < second and end > first:
        _rows(max(begin, first) - first, min(end, second) - first, x, w1, scales1, y[:, first:])
    if end > second:
        _rows(max(begin, second) - second, end - second, x, w2, scales2, y[:, second:])


@compiled
def _gated(begin, end, x, gate, gate_scales, up, up_scales, y):
    f = x.dtype.type
    for i in range(begin, end):
        row, other = gate[i], up[i]
        scale = gate_scales[i] if gate_scales.size else f(1)
        other_scale = up_scales[i] if up_scales.size else f(1)
        for r in range(x.shape[0]):
            one, g, u = x[r], f(0), f(0)
            for j in range(row.size):
                g += f(row[j]) * one[j]
            for j in range(row.size):
                u += f(other[j]) * one[j]
            g *= scale
            y[r, i] = g * sigmoid(g) * (u * other_scale)


@compiled
def _gate(begin, end, g, u):
    for i in range(begin, end):
        row, other = g[i], u[i]
        for j in range(row.size):
            z = row[j]
            row[j] = z * sigmoid(z) * other[j]


@compiled
def _widen(begin, end, w, scales, out):
    f = out.dtype.type
    for i in range(begin, end):
        row, into, scale = w[i], out[i], scales[i]
        for j in range(row.size):
            into[j] = f(row[j]) * scale


def _fits(x, w, scales) -> bool:
    """Whether the loops can do it."""
    if x.dtype not in FLOATS or not w.flags.c_contiguous or not w.size or not x.size:
        return False
    if scales is None:
        return w.dtype == x.dtype
    return w.dtype == WHOLE and scales.dtype == x.dtype and scales.flags.c_contiguous


def _grain(x, w):
    return 1 + GRAIN // (w.shape[1] * len(x))


@few_rows.implement("numpy")
def few_rows_numba(x, w, scales=None):
    """Rows of w on all threads; for many rows of x a product in tiles, of w made floating first."""
    if not _fits(x, w, scales):
        return few_rows.reference(x, w, scales)
    given = _NONE[x.dtype] if scales is None else scales
    if len(x) > FEW:
        wide = w
        if scales is not None:
            wide = numpy.empty(w.shape, x.dtype)
            share(_widen, len(w), w, scales, wide, grain=1 + GRAIN // w.shape[1])
        return product[numpy](x, wide.T)
    x = numpy.ascontiguousarray(x)
    y = numpy.empty((len(x), len(w)), x.dtype)
    share(_rows, len(w), x, w, given, y, grain=_grain(x, w))
    return y


@gated_rows.implement("numpy")
def gated_rows_numba(x, gate, gate_scales, up, up_scales):
    """As few_rows, with both products of a row at once."""
    if not _fits(x, gate, gate_scales) or not _fits(x, up, up_scales):
        return gated_rows.reference(x, gate, gate_scales, up, up_scales)
    if len(x) > FEW:
        g, u = few_rows_numba(x, gate, gate_scales), few_rows_numba(x, up, up_scales)
        share(_gate, len(x), g, u, grain=1 + GRAIN // (8 * len(gate)))
        return g
    none = _NONE[x.dtype]
    x = numpy.ascontiguousarray(x)
    y = numpy.empty((len(x), len(gate)), x.dtype)
    share(
        _gated, len(gate), x, gate, none if gate_scales is None else gate_scales, up,
        none if up_scales is None else up_scales, y, grain=_grain(x, gate),
    )  # fmt: skip
    return y


@three_rows.implement("numpy")
def three_rows_numba(x, ws, scales):
    """As few_rows, the rows of all three shared out together."""
    pairs = list(zip(ws, scales, strict=True))
    if not all(_fits(x, *pair) for pair in pairs):
        return three_rows.reference(x, ws, scales)
    if len(x) > FEW:
        return numpy.concatenate([few_rows_numba(x, *pair) for pair in pairs], 1)
    none = _NONE[x.dtype]
    x = numpy.ascontiguousarray(x)
    count = sum(map(len, ws))
    y = numpy.empty((len(x), count), x.dtype)
    given = [none if s is None else s for s in scales]
    share(_three, count, x, *ws, *given, y, grain=_grain(x, ws[0]))
    return y


# -- on the GPU: few_rows.cu -------------------------------------------------------------------------


@few_rows.implement("cupy")
def few_rows_cuda(x, w, scales=None):
    """Rows of bytes as they are, a warp for four of them; other matrices are the library's business."""
    fits = scales is not None and w.dtype == WHOLE and cuda_source.known(x, scales)
    if not fits or not 0 < len(x) <= FEW or not w.size:
        return few_rows.reference(x, w, scales)
    xp = array_module(x)
    x, w, scales = (xp.ascontiguousarray(a) for a in (x, w, scales))
    y = xp.empty((len(x), len(w)), x.dtype)
    cuda_source.launch(
        "few_rows.cu", "few_rows_of_bytes", x.dtype, cuda_source.blocks(len(w), 32),
        cuda_source.THREADS, x, w, scales, y, *y.shape, w.shape[1],
    )  # fmt: skip
    return y
