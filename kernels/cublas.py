"""Matrix products that CuPy does not make well: cuBLAS, called directly.

CuPy does not call cuBLAS on a stream that is captured, though cuBLAS can be captured: it only needs
memory of the graph's own to work in (cublasSetWorkspace). And stacks of matrices of 16 bits CuPy 14.2
casts to float32 first, or refuses (bfloat16), though tensor cores multiply them as they are and add up
in float32. There, and only there, cuBLAS is called by ctypes, with CuPy's own handle. It takes matrices
by columns; read so, a row-major C = A B is C^T = B^T A^T, and B, row-major (k, n), is B^T, (n, k) by
columns: nothing is transposed in memory.
"""

import ctypes
import functools
import math
import os

import numpy

from ..backend import array_module, require_cupy
from ..capture import now

NAMES = "libcublas.so.13", "libcublas.so.12"
KINDS = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}  # cudaDataType
NARROW = "float16", "bfloat16"
IN_FLOATS, IN_DOUBLES, IN_TF32 = 68, 70, 77  # cublasComputeType_t
ANY_ALGORITHM = -1  # CUBLAS_GEMM_DEFAULT
CUPYS_TF32 = 7  # COMPUTE_TYPE_TF32 of cupy._core

_HANDLE, _INT, _LONG, _PLACE = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p
SIGNATURES = {
    "cublasSetStream_v2": (_HANDLE, ctypes.c_void_p),
    "cublasSetWorkspace_v2": (_HANDLE, _PLACE, ctypes.c_size_t),
    # (handle, op, op, m, n, k, alpha, A, type, lda, stride, B, type, ldb, stride, beta, C, type, ldc,
    #  stride, count, compute type, algorithm)
    "cublasGemmStridedBatchedEx": (
        _HANDLE, *[_INT] * 5, _PLACE, *[_PLACE, _INT, _INT, _LONG] * 2, _PLACE, _PLACE, _INT, _INT,
        _LONG, _INT, _INT, _INT,
    ),
}  # fmt: skip


@functools.cache
def library():
    """The cuBLAS that CuPy has loaded."""
    import cupy_backends.cuda.libs.cublas  # noqa: F401 (this loads it)

    for name in NAMES:
        try:
            return ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
        except OSError:
            continue
    raise RuntimeError(f"matmul: none of {', '.join(NAMES)} is loaded; CuPy should have")


def _call(name, *arguments):
    function = getattr(library(), name)
    function.argtypes, function.restype = SIGNATURES[name], ctypes.c_int
    status = function(*arguments)
    if status:
        raise RuntimeError(f"{name}: cuBLAS error {status}")


def matmul(a, b, out=None):
    """As `xp.matmul`, also in a captured graph and for stacks of 16-bit floats; there `out` is a matrix."""
    ours = now.capture is not None or (a.dtype.name in NARROW and max(a.ndim, b.ndim) > 2)
    ours = ours and not isinstance(a, numpy.ndarray)
    if not ours or a.dtype.name not in KINDS or a.dtype != b.dtype:
        return array_module(a).matmul(a, b, out=out)
    wide_a = a[None] if a.ndim == 1 else a
    wide_b = b[:, None] if b.ndim == 1 else b
    if wide_a.shape[-1] != wide_b.shape[-2]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} don't fit")
    found = _products(wide_a, wide_b, out)
    if out is None:
        lead = found.shape[:-2]
        rows = found.shape[-2:-1] if a.ndim > 1 else ()
        found = found.reshape(*lead, *rows, *(found.shape[-1:] if b.ndim > 1 else ()))
    return found


def tensordot(a, b, axes):
    """As `xp.tensordot` for pairs of axes, also in a captured graph."""
    if now.capture is None or isinstance(a, numpy.ndarray):
        return array_module(a).tensordot(a, b, axes)
    of_a, of_b = axes
    rows = [axis for axis in range(a.ndim) if axis not in of_a]
    columns = [axis for axis in range(b.ndim) if axis not in of_b]
    depth = math.prod(a.shape[axis] for axis in of_a)
    left = a.transpose(*rows, *of_a).reshape(-1 if depth else 0, depth)
    right = b.transpose(*of_b, *columns).reshape(depth, -1 if depth else 0)
    shape = *(a.shape[axis] for axis in rows), *(b.shape[axis] for axis in columns)
    if not depth:
        return array_module(a).zeros(shape, a.dtype)
    return matmul(left, right).reshape(shape)


def _products(a, b, out):
    """a (..., m, k) times b (..., k, n), stacks broadcasting."""
    xp = array_module(a)
    lead = numpy.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    (m, k), n = a.shape[-2:], b.shape[-1]
    into = out
    if out is None or out.strides[-1] != out.itemsize or out.strides[-2] < n * out.itemsize:
        into = xp.empty((*lead, m, n), a.dtype)
    count = math.prod(lead)
    if not k:
        into[...] = 0
    elif into.size:
        (a, a_turned, lda, next_a), (b, b_turned, ldb, next_b) = (
            _stack(xp, x, lead) for x in (a, b)
        )
        wide = a.dtype == "float64"
        one, zero = map(ctypes.c_double if wide else ctypes.c_float, (1, 0))
        kind = KINDS[a.dtype.name]
        cuda = xp.cuda
        handle = cuda.Device().cublas_handle
        _call("cublasSetStream_v2", handle, cuda.get_current_stream().ptr)
        if now.capture is not None:
            room = now.capture.workspace()
            _call("cublasSetWorkspace_v2", handle, room.data.ptr, room.nbytes)
        _call(
            "cublasGemmStridedBatchedEx", handle, b_turned, a_turned, n, m, k, ctypes.addressof(one),
            b.data.ptr, kind, ldb, next_b, a.data.ptr, kind, lda, next_a, ctypes.addressof(zero),
            into.data.ptr, kind, into.strides[-2] // into.itemsize if m > 1 else n, m * n, count,
            _compute_type(a.dtype), ANY_ALGORITHM,
        )  # fmt: skip
    if out is not None and into is not out:
        out[...] = into
    return into if out is None else out


def _compute_type(dtype):
    if dtype == "float64":
        return IN_DOUBLES
    if dtype == "float32" and require_cupy()._core.get_compute_type(dtype) == CUPYS_TF32:
        return IN_TF32
    return IN_FLOATS


def _stack(xp, x, lead):
    """(the array or a copy, 1 if its columns lie together, leading dimension, steps between matrices)."""
    found = _leading(x)
    if found is None:
        x = xp.ascontiguousarray(x)
        found = _leading(x)
    if math.prod(x.shape[:-2]) == 1:
        return x, *found, 0
    step = x.shape[-2] * x.shape[-1]
    if x.shape[:-2] != lead or not _evenly(x):
        x = xp.ascontiguousarray(xp.broadcast_to(x, (*lead, *x.shape[-2:])))
        found = _leading(x)
    elif x.ndim > 2:
        step = next(
            s // x.itemsize
            for n, s in zip(x.shape[-3::-1], x.strides[-3::-1], strict=True)
            if n > 1
        )
    return x, *found, step


def _leading(x):
    """(1 if columns lie together, how far apart they or the rows are), None for other layouts."""
    rows, columns = x.shape[-2:]
    down, right = (s // x.itemsize for s in x.strides[-2:])
    if (right == 1 or columns == 1) and (down >= columns or rows == 1):
        return 0, max(down if rows > 1 else columns, 1)
    if (down == 1 or rows == 1) and (right >= rows or columns == 1):
        return 1, max(right if columns > 1 else rows, 1)
    return None


def _evenly(x):
    """True if the matrices of a stack follow each other at one distance."""
    dims = [(n, s) for n, s in zip(x.shape[:-2], x.strides[:-2], strict=True) if n > 1]
    return all(
        before == n * step for (_, before), (n, step) in zip(dims[:-1], dims[1:], strict=True)
    )
