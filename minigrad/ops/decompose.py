"""Inverses, determinants and factorisations of matrices (or stacks of them), with their gradients.

Giles 2008, "An extended collection of matrix derivative results", derives most of these rules.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy

from ..backend import array_module
from ..op import primitive, wrap
from .elementwise import choose
from .linalg import matmul, multiply_matrices, times_transposed, transposed_times
from .shape import insert_dim, lower_triangle, swap_axes

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "cholesky",
    "det",
    "inverse",
    "logdet",
    "matrix_power",
    "pinverse",
    "qr",
    "slogdet",
    "svd",
]


def transpose_last(x):
    """The transpose of the last two dimensions, of arrays and tensors."""
    ndim = len(x.shape)
    return swap_axes(x, a=ndim - 2, b=ndim - 1)


def _spread(x):
    """A vector (..., n) as a column and as a row, for differences of all pairs."""
    return insert_dim(x, dim=-1), insert_dim(x, dim=-2)


def _square(name, shape):
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but it has shape {tuple(shape)}"
        )


def _guarded(name, xp, function, *arguments):
    """NumPy's LinAlgError as torch's, with the op's name."""
    try:
        return function(*arguments)
    except xp.linalg.LinAlgError as error:
        raise RuntimeError(
            f"{name}: {error} (the matrix is singular or not of the needed kind)"
        ) from error


@primitive(name="LinalgInv")
def invert(xp, x):
    """A^-1; dA = -Y^T G Y^T for Y = A^-1."""
    _square("linalg.inv", x.shape)
    return _guarded("linalg.inv", xp, xp.linalg.inv, x)


invert.vjp(x=lambda g, out: -transposed_times(out, times_transposed(g, out)))
invert.samples(lambda rand: [(rand(3, 3),), (rand(2, 2, 2),)])


@primitive(name="LinalgDet")
def determinant(xp, x):
    """det A; dA = g det(A) A^-T."""
    _square("linalg.det", x.shape)
    return xp.linalg.det(x)


determinant.vjp(x=lambda g, out, x: _as_scalars(g * out) * transpose_last(invert(x)))
determinant.samples(lambda rand: [(rand(3, 3),), (rand(2, 2, 2),)])


def _as_scalars(x):
    """One number a matrix, with two dimensions of size 1 after it."""
    return insert_dim(insert_dim(x, dim=-1), dim=-1)


@primitive(name="LinalgSlogdet")
def sign_and_log_determinant(xp, x):
    """(sign, log |det A|); the gradient of the logarithm is A^-T."""
    _square("linalg.slogdet", x.shape)
    return tuple(xp.linalg.slogdet(x))


sign_and_log_determinant.vjp(x=lambda g, x: _as_scalars(g[1]) * transpose_last(invert(x)))
sign_and_log_determinant.samples(lambda rand: [(rand(3, 3),), (rand(2, 2, 2),)])


@primitive(name="LinalgSolve")
def solve_matrices(xp, a, b):
    """X with A X = B; dB = A^-T G, dA = -dB X^T."""
    return _guarded("linalg.solve", xp, xp.linalg.solve, a, b)


solve_matrices.vjp(
    a=lambda g, a, out: -times_transposed(solve_matrices(transpose_last(a), g), out),
    b=lambda g, a: solve_matrices(transpose_last(a), g),
)
solve_matrices.samples(lambda rand: [(rand(3, 3), rand(3, 2)), (rand(2, 2, 2), rand(2, 2, 3))])


@primitive(name="LinalgCholesky")
def cholesky_factor(xp, x):
    """Lower triangular L with L L^T = (A + A^T) / 2, for symmetric positive definite A."""
    _square("linalg.cholesky", x.shape)
    return _guarded("linalg.cholesky", xp, xp.linalg.cholesky, 0.5 * (x + x.swapaxes(-1, -2)))


def _half_diagonal(x):
    """The lower triangle with its diagonal halved."""
    return 0.5 * (lower_triangle(x) + lower_triangle(x, diagonal=-1))


def _cholesky_gradient(g, out):
    middle = _half_diagonal(transposed_times(out, g))
    inverse_factor = invert(out)
    s = transposed_times(inverse_factor, multiply_matrices(middle, inverse_factor))
    return 0.5 * (s + transpose_last(s))


cholesky_factor.vjp(x=_cholesky_gradient)
cholesky_factor.samples(
    lambda rand: [(0.1 * rand(3, 3) + 3 * numpy.eye(3),), (0.1 * rand(2, 2, 2) + numpy.eye(2),)]
)


@primitive(name="LinalgQr")
def qr_factors(xp, x):
    """Q (m, n) with orthonormal columns and upper triangular R (n, n), Q R = A, for m >= n."""
    return tuple(xp.linalg.qr(x))


def _qr_gradient(g, out0, out1):
    g_q, g_r = g
    m = times_transposed(out1, g_r) - transposed_times(g_q, out0)
    below = lower_triangle(m, diagonal=-1)
    symmetric = lower_triangle(m) + transpose_last(below)
    left = g_q + multiply_matrices(out0, symmetric)
    return times_transposed(left, invert(out1))


qr_factors.vjp(x=_qr_gradient)
qr_factors.samples(lambda rand: [(rand(4, 3),), (rand(2, 3, 3),)])


@primitive(name="LinalgSvd")
def singular_values_and_vectors(xp, x):
    """U (m, k), S (k), V^T (k, n) with U diag(S) V^T = A and k = min(m, n)."""
    return tuple(xp.linalg.svd(x, full_matrices=False))


def _svd_gradient(g, out0, out1, out2):
    g_u, g_s, g_vh = g
    u, s, vh = out0, out1, out2
    column, row = _spread(s)
    squares = row * row - column * column
    equal = squares == 0
    f = choose(equal, 0, 1 / choose(equal, 1, squares))
    in_u = transposed_times(u, g_u)
    in_v = times_transposed(vh, g_vh)
    middle = (f * (in_u - transpose_last(in_u))) * row + column * (
        f * (in_v - transpose_last(in_v))
    )
    middle = choose(_diagonal(s), insert_dim(g_s, dim=-1) + 0 * middle, middle)
    inside = multiply_matrices(u, multiply_matrices(middle, vh))
    rest_u = g_u - multiply_matrices(u, in_u)
    rest_v = g_vh - multiply_matrices(transpose_last(in_v), vh)
    return inside + multiply_matrices(rest_u / row, vh) + multiply_matrices(u / row, rest_v)


def _diagonal(s):
    """True on the diagonal of an n x n matrix, n the length of s."""
    xp = array_module(getattr(s, "array", s))
    return xp.eye(s.shape[-1], dtype=bool)


singular_values_and_vectors.vjp(x=_svd_gradient)
singular_values_and_vectors.samples(lambda rand: [(rand(4, 3),), (rand(3, 3),)])


@primitive(name="LinalgEigh")
def symmetric_eigen(xp, x):
    """Ascending eigenvalues (n) and eigenvectors (n, n, as columns) of (A + A^T) / 2."""
    _square("linalg.eigh", x.shape)
    return tuple(xp.linalg.eigh(0.5 * (x + x.swapaxes(-1, -2))))


def _eigh_gradient(g, out0, out1):
    g_w, g_v = g
    column, row = _spread(out0)
    gaps = row - column
    equal = gaps == 0
    f = choose(equal, 0, 1 / choose(equal, 1, gaps))
    middle = f * transposed_times(out1, g_v)
    a = multiply_matrices(out1, times_transposed(middle, out1))
    a = a + multiply_matrices(out1 * insert_dim(g_w, dim=-2), transpose_last(out1))
    return 0.5 * (a + transpose_last(a))


symmetric_eigen.vjp(x=_eigh_gradient)
symmetric_eigen.samples(lambda rand: [(rand(3, 3),), (rand(2, 2, 2),)])


# -- the public functions --------------------------------------------------------------------------


def inverse(input: Tensor) -> Tensor:
    """The inverse of a square matrix."""
    return invert(input)


def det(input: Tensor) -> Tensor:
    """The determinant of a square matrix."""
    return determinant(input)


def slogdet(input: Tensor) -> tuple[Tensor, Tensor]:
    """(sign, logarithm of the absolute value) of the determinant."""
    return sign_and_log_determinant(input)


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN where it is negative."""
    sign, log = sign_and_log_determinant(input)
    return choose(sign.array < 0, math.nan, log)


def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """The Cholesky factor L with L L^T = A (or its transpose)."""
    factor = cholesky_factor(input)
    return transpose_last(factor) if upper else factor


def qr(input: Tensor, some: bool = True) -> tuple[Tensor, Tensor]:
    """Q and R with Q R = A; R is upper triangular."""
    m, n = input.array.shape[-2:]
    if m < n:
        raise RuntimeError(
            f"qr: gradients and factors are for m >= n, got {tuple(input.array.shape)}"
        )
    return qr_factors(input)


def svd(input: Tensor, some: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """U, S, V with U diag(S) V^T = A (torch.svd's V is not transposed)."""
    u, s, vh = singular_values_and_vectors(input)
    return u, s, transpose_last(vh)


def pinverse(input: Tensor, rcond=1e-15) -> Tensor:
    """The Moore-Penrose inverse, V diag(1/S) U^T over the singular values above rcond max(S)."""
    u, s, vh = singular_values_and_vectors(input)
    small = s.array <= rcond * s.array.max(-1, keepdims=True)
    inverted = choose(small, 0, 1 / choose(small, 1, s))
    return multiply_matrices(transpose_last(vh) * insert_dim(inverted, dim=-2), transpose_last(u))


def matrix_power(input: Tensor, n) -> Tensor:
    """A A ... A (n factors), the identity for 0, powers of the inverse for negative n."""
    _square("matrix_power", input.array.shape)
    if n < 0:
        return matrix_power(invert(input), -n)
    result, power = None, input
    while n:
        if n & 1:
            result = power if result is None else matmul(result, power)
        n >>= 1
        if n:
            power = matmul(power, power)
    if result is not None:
        return result
    xp = array_module(input.array)
    identity = xp.broadcast_to(
        xp.eye(input.array.shape[-1], dtype=input.array.dtype), input.array.shape
    )
    return wrap(identity.copy())
