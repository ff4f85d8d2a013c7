"""Matrix products: C = A B, cut into blocks that the threads share, each block one call of BLAS.

BLAS could use threads itself, but its pool and ours would fight for the cores, and who splits a
product of 2^21 multiplications or so does better with ours. The blocks depend on the shapes alone, so
the numbers do not depend on how many threads there are.
"""

import functools

import numpy

from .kernel import Kernel, Late, compiled, numba
from .threads import share

gemm = Late("blas_call", "gemm")
gemm_float32 = Late("blas_call", "gemm_float32")
gemm_float64 = Late("blas_call", "gemm_float64")
FLOATS = (numpy.dtype("float32"), numpy.dtype("float64"))
ALONE = 1 << 19  # multiplications that are not worth a block of their own
DEPTHS = 4  # blocks that a deep product is cut into


def product(a, b, out=None, add=False):
    """a (..., m, k) times b (..., k, n) -> (..., m, n); stacks broadcast.

    out: where the result goes; add: what is there is added to.
    """
    if not add:
        return numpy.matmul(a, b, out=out)
    out += a @ b
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


def cut(m, n, k):
    """(number of blocks, True if rows are cut rather than columns, rows or columns a block)."""
    rows = m >= n
    size = m if rows else n
    work = m * n * k
    blocks = min(8 if work >> 28 else 4, work // ALONE, -(-size // 32))
    blocks = 1 << (blocks.bit_length() - 1) if blocks > 0 else 1
    step = -(-size // blocks)
    step += -step % 16
    return -(-size // step), rows, step


@compiled
def _blocks(begin, end, blas, beta, size, a, a_t, lda, b, b_t, ldb, c, ldc, m, n, k, rows, step):
    for block in range(begin, end):
        at = block * step
        if rows:
            part = a + at * size * (1 if a_t else lda)
            into = c + at * size * ldc
            gemm(blas, a_t, b_t, min(step, m - at), n, k, part, lda, b, ldb, beta, into, ldc)
        else:
            part = b + at * size * (ldb if b_t else 1)
            into = c + at * size
            gemm(blas, a_t, b_t, m, min(step, n - at), k, a, lda, part, ldb, beta, into, ldc)


@compiled
def _depths(begin, end, blas, zero, size, a, a_t, lda, b, b_t, ldb, c, m, n, k, step):
    """Products of some columns of A with as many rows of B, each into a matrix of its own."""
    for block in range(begin, end):
        at = block * step
        left = a + at * size * (lda if a_t else 1)
        right = b + at * size * (1 if b_t else ldb)
        into = c + block * m * n * size
        gemm(blas, a_t, b_t, m, n, min(step, k - at), left, lda, right, ldb, zero, into, n)


@compiled
def _stack(begin, end, blas, zero, size, a, a_t, lda, b, b_t, ldb, c, m, n, k):
    for i in range(begin, end):
        into = c + i * m * n * size
        gemm(blas, a_t, b_t, m, n, k, a[i], lda, b[i], ldb, zero, into, n)


@product.implement("numpy")
def product_numba(a, b, out=None, add=False):
    """Blocks of a large product, or the products of a stack, on all threads."""
    if a.ndim < 2 or b.ndim < 2 or a.dtype != b.dtype or a.shape[-1] != b.shape[-2]:
        return product.reference(a, b, out, add)
    m, k = a.shape[-2:]
    n = b.shape[-1]
    work = m * n * k
    if a.ndim == b.ndim == 2:
        if work < 2 * ALONE or a.dtype not in FLOATS or blas() is None:
            return product.reference(a, b, out, add)
        return _matrix_product(a, b, out, m, n, k, add)
    if a.size * n < 2 * ALONE or a.dtype not in FLOATS or blas() is None or out is not None:
        return product.reference(a, b, out, add)
    return _stack_product(a, b, m, n, k)


def _matrix_product(a, b, out, m, n, k, add=False):
    if out is None:
        out = numpy.empty((m, n), a.dtype)
    elif out.strides[1] != out.itemsize:
        return product.reference(a, b, out, add)
    a, a_t, lda = as_matrix(a)
    b, b_t, ldb = as_matrix(b)
    call = blas().gemm[a.dtype]
    if k >= 4 * max(m, n):  # deep: to cut rows or columns would read all of A or B several times
        step = -(-k // DEPTHS)
        parts = numpy.empty((DEPTHS, m, n), a.dtype)
        with one_blas_thread():
            share(
                _depths, -(-k // step), call, a.dtype.type(0), a.itemsize, address(a), a_t, lda,
                address(b), b_t, ldb, address(parts), m, n, k, step,
            )  # fmt: skip
        parts = parts[: -(-k // step)]
        if add:
            out += parts.sum(0)
        else:
            numpy.sum(parts, 0, out=out)
        return out
    blocks, rows, step = cut(m, n, k)
    ldc = out.strides[0] // out.itemsize
    with one_blas_thread():
        share(
            _blocks, blocks, call, a.dtype.type(add), a.itemsize, address(a), a_t, lda,
            address(b), b_t, ldb, address(out), ldc, m, n, k, rows, step,
        )  # fmt: skip
    return out


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
