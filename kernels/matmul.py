"""Matrix products: C = A B. One product in tiles of our own, a stack of small ones by BLAS.

BLAS could use threads itself, but its pool and ours would fight for the cores. For one product B is
packed in panels, and then each piece of C is some rows of A times some panels, `tile` by `tile`
(tile.py): at the sizes of these models that takes 0.7 to 1.0 of OpenBLAS's time, most where A or B is
transposed. The numbers of C are sums over k in one order, whatever the pieces: they depend neither on
how many threads there are nor on how the rows are cut.
"""

import functools

import numpy

from ..backend import array_module
from . import cublas
from .kernel import FLOATS, Kernel, Late, compiled, numba
from .panels import pack, pack_transposed
from .threads import share

gemm = Late("blas_call", "gemm")
address_of = Late("blas_call", "address")
tile = Late("tile", "tile")
ROWS = Late("tile", "ROWS")
_NONE = {dtype: numpy.zeros(0, dtype) for dtype in FLOATS}
ALONE = 1 << 19  # multiplications that are not worth a thread of their own
TALL = 1 << 17  # numbers of A that stay in the second-level cache
PIECES = 32  # into which a product is cut, at least
DEPTH = 512  # rows of a panel that go through the first-level cache at once


def product(a, b, out=None, add=False, bias=None):
    """a (..., m, k) times b (..., k, n) -> (..., m, n), plus a bias (n); stacks broadcast.

    out: where the result goes; add: what is there is added to.
    """
    if add:
        out += a @ b
    else:
        out = array_module(a).matmul(a, b, out=out)
    if bias is not None:
        out += bias
    return out


product = Kernel(product)


class _Blas:
    """What is needed of the OpenBLAS that NumPy brought along, by ctypes."""

    def __init__(self, library):
        import ctypes

        self.threads = library.scipy_openblas_get_num_threads64_
        self.set_threads = library.scipy_openblas_set_num_threads64_
        self.set_threads.restype = None
        self.gemm = {
            numpy.dtype(dtype): ctypes.cast(function, ctypes.c_void_p).value
            for dtype, function in (
                ("float32", library.scipy_cblas_sgemm64_),
                ("float64", library.scipy_cblas_dgemm64_),
            )
        }


@functools.cache
def blas():
    """NumPy's OpenBLAS, or None where NumPy was built with another library or numba is missing."""
    import ctypes
    import pathlib

    if numba() is None:
        return None
    root = pathlib.Path(numpy.__file__).parent
    for folder in (root.parent / "numpy.libs", root / ".dylibs"):
        for path in sorted(folder.glob("libscipy_openblas64_*")):
            try:
                return _Blas(ctypes.CDLL(str(path)))
            except (AttributeError, OSError):
                continue
    return None


class one_blas_thread:
    """Inside, BLAS uses only the thread that calls it; its own pool, which spins too, stays asleep."""

    def __enter__(self):
        library = blas()
        self.before = library.threads()
        if self.before != 1:
            library.set_threads(1)

    def __exit__(self, *exc):
        if self.before != 1:
            blas().set_threads(self.before)


def address(array):
    """Where the numbers of an array begin."""
    return array.__array_interface__["data"][0]


def as_matrix(x):
    """(x or a copy that BLAS can read, True if its columns are contiguous, the leading dimension)."""
    size = x.itemsize
    rows, columns = x.strides
    if columns == size and rows % size == 0 and rows >= x.shape[1] * size:
        return x, False, rows // size
    if rows == size and columns % size == 0 and columns >= x.shape[0] * size:
        return x, True, columns // size
    x = numpy.ascontiguousarray(x)
    return x, False, max(x.shape[1], 1)


@compiled
def _tiles(begin, end, zero, a, lda, step, packed, c, k, more, bias, tall, wide):
    """Pieces of C (m, n) += A packed: each `tall` rows times `wide` panels, DEPTH rows of them at once.

    a: the address of A, whose number (i, j) is at a + i lda + j step numbers.
    """
    m, n = c.shape
    count, rows_packed, width = packed.shape
    size = c.itemsize
    edge = numpy.empty((ROWS, width), c.dtype)  # for the last panel, where C is not so wide
    across = (m + tall - 1) // tall
    for piece in range(begin, end):
        first, last = piece % across * tall, min((piece % across + 1) * tall, m)
        left, right = piece // across * wide, min((piece // across + 1) * wide, count)
        for depth in range(0, k, DEPTH):
            deep = min(DEPTH, k - depth)
            adding = more or depth > 0
            for p in range(left, right):
                panel = address_of(packed) + (p * rows_packed + depth) * width * size
                whole = (p + 1) * width <= n
                for i in range(first, last, ROWS):
                    rows = min(ROWS, last - i)
                    from_a = a + (i * lda + depth * step) * size
                    if whole:
                        into = address_of(c) + (i * n + p * width) * size
                        tile(zero, rows, adding, deep, from_a, lda, step, panel, into, n)
                    else:
                        into = address_of(edge)
                        tile(zero, rows, False, deep, from_a, lda, step, panel, into, width)
                        for r in range(rows):
                            for j in range(n - p * width):
                                before = c[i + r, p * width + j] if adding else zero
                                c[i + r, p * width + j] = before + edge[r, j]
                    if bias.size and depth + deep == k:
                        some = bias[p * width : min((p + 1) * width, n)]
                        for r in range(rows):
                            row = c[i + r, p * width : min((p + 1) * width, n)]
                            for j in range(row.size):
                                row[j] += some[j]


@compiled
def _stack(begin, end, blas, zero, size, a, a_t, lda, b, b_t, ldb, c, m, n, k):
    for i in range(begin, end):
        into = c + i * m * n * size
        gemm(blas, a_t, b_t, m, n, k, a[i], lda, b[i], ldb, zero, into, n)


@product.implement("numpy")
def product_numba(a, b, out=None, add=False, bias=None):
    """Blocks of a large product, or the products of a stack, on all threads."""
    if a.ndim < 2 or b.ndim < 2 or a.dtype != b.dtype or a.shape[-1] != b.shape[-2]:
        return product.reference(a, b, out, add, bias)
    m, k = a.shape[-2:]
    n = b.shape[-1]
    work = m * n * k
    if a.ndim == b.ndim == 2:
        if work < ALONE or min(m, n, k) < 8 or a.dtype not in FLOATS:
            return product.reference(a, b, out, add, bias)
        return _matrix_product(a, b, out, m, n, k, add, bias)
    if a.size * n < 2 * ALONE or a.dtype not in FLOATS or blas() is None or out is not None:
        return product.reference(a, b, out, add, bias)
    out = _stack_product(a, b, m, n, k)
    if bias is not None:
        out += bias
    return out


@product.implement("cupy")
def product_cuda(a, b, out=None, add=False, bias=None):
    """By the library, which a captured graph calls in its own way: cublas.py."""
    if add:
        out += cublas.matmul(a, b)
    else:
        out = cublas.matmul(a, b, out)
    if bias is not None:
        out += bias
    return out


def _matrix_product(a, b, out, m, n, k, add, bias):
    """B is packed in panels; then pieces of C are made, each of as many rows of A as a cache holds."""
    c = out
    if out is None or not out.flags.c_contiguous:
        c = numpy.empty((m, n), a.dtype)
        if add:
            c[...] = out
    size = a.itemsize
    if any(stride % size for stride in a.strides):
        a = numpy.ascontiguousarray(a)
    packed = pack(b) if b.flags.c_contiguous or not b.T.flags.c_contiguous else pack_transposed(b.T)
    bias = _NONE[a.dtype] if bias is None else numpy.ascontiguousarray(bias, a.dtype)
    tall = max(8, min(m, TALL // k // 8 * 8))
    across = -(-m // tall)
    wide = max(1, min(len(packed), len(packed) * across // PIECES))
    share(
        _tiles, across * -(-len(packed) // wide), a.dtype.type(0), address(a), a.strides[0] // size,
        a.strides[1] // size, packed, c, k, add, bias, tall, wide,
    )  # fmt: skip
    if out is not None and c is not out:
        out[...] = c
    return c if out is None else out


def _addresses(x, lead):
    """Where each matrix of a stack begins, the stack broadcast to the leading dimensions `lead`."""
    first = numpy.full((), address(x), numpy.int64)
    for size, stride in zip(x.shape[:-2], x.strides[:-2], strict=True):
        first = first[..., None] + numpy.arange(size, dtype=numpy.int64) * stride
    return numpy.ascontiguousarray(numpy.broadcast_to(first, lead)).reshape(-1)


def _stack_product(a, b, m, n, k):
    lead = numpy.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = numpy.empty((*lead, m, n), a.dtype)
    (a, a_t, lda), (b, b_t, ldb) = _as_stack(a), _as_stack(b)
    count = out.size // (m * n) if m * n else 0
    grain = max(1, ALONE // 8 // max(m * n * k, 1))
    with one_blas_thread():
        share(
            _stack, count, blas().gemm[a.dtype], a.dtype.type(0), a.itemsize, _addresses(a, lead),
            a_t, lda, _addresses(b, lead), b_t, ldb, address(out), m, n, k, grain=grain,
        )  # fmt: skip
    return out


def _as_stack(x):
    """As `as_matrix`, for a stack of matrices."""
    if x.size == 0 or 0 in x.strides[-2:]:
        x = numpy.ascontiguousarray(x)
    first = x[(0,) * (x.ndim - 2)]
    matrix, transposed, leading = as_matrix(first)
    if matrix is not first:
        x = numpy.ascontiguousarray(x)
        transposed, leading = False, max(x.shape[-1], 1)
    return x, transposed, leading
