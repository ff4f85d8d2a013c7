"""Linear algebra under the names of torch.linalg."""

import math

from .backend import array_module
from .op import wrap
from .ops.decompose import (
    cholesky,
    det,
    inverse,
    matrix_power,
    pinverse,
    qr_factors,
    singular_values_and_vectors,
    slogdet,
    solve_matrices,
    symmetric_eigen,
    transpose_last,
)
from .ops.linalg import chain_matmul, cross, matmul, vector_norm
from .ops.reduce import amax, amin
from .ops.results import return_type
from .ops.shape import diagonal

__all__ = [
    "cholesky", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "lstsq", "matmul",
    "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet",
    "solve", "svd", "svdvals", "vector_norm",
]  # fmt: skip

inv = inverse


def qr(A, mode="reduced"):
    """(Q, R) with Q R = A, Q's columns orthonormal, R upper triangular."""
    if mode == "reduced":
        q, r = qr_factors(A)
    elif mode in ("complete", "r"):
        q, r = (wrap(x) for x in array_module(A.array).linalg.qr(A.array, "complete"))
    else:
        raise RuntimeError(f"qr received unrecognized mode '{mode}'")
    return return_type("linalg_qr", Q=q, R=r)


def svd(A, full_matrices=True):
    """(U, S, Vh) with U diag(S) Vh = A; gradients flow with full_matrices=False."""
    if full_matrices and A.array.shape[-1] != A.array.shape[-2]:
        u, s, vh = (wrap(x) for x in array_module(A.array).linalg.svd(A.array))
    else:
        u, s, vh = singular_values_and_vectors(A)
    return return_type("linalg_svd", U=u, S=s, Vh=vh)


def svdvals(A):
    """The singular values, largest first."""
    return singular_values_and_vectors(A)[1]


def eigh(A, UPLO="L"):
    """(eigenvalues, eigenvectors) of a symmetric matrix, ascending."""
    values, vectors = symmetric_eigen(A)
    return return_type("linalg_eigh", eigenvalues=values, eigenvectors=vectors)


def eigvalsh(A, UPLO="L"):
    """The eigenvalues of a symmetric matrix, ascending."""
    return symmetric_eigen(A)[0]


def solve(A, B, *, left=True):
    """X with A X = B (left) or X A = B; B may be a vector."""
    if A.array.ndim < 2 or A.array.shape[-1] != A.array.shape[-2]:
        raise RuntimeError(
            f"linalg.solve: A must be batches of square matrices, but it has shape {tuple(A.shape)}"
        )
    if not left:
        return transpose_last(solve(transpose_last(A), transpose_last(B)))
    vector = B.array.ndim == A.array.ndim - 1 and B.array.shape == A.array.shape[:-1]
    b = B.unsqueeze(-1) if vector else B
    if b.array.shape[-2] != A.array.shape[-1]:
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A {tuple(A.shape)} and B {tuple(B.shape)}"
        )
    x = solve_matrices(A, b)
    return x.squeeze(-1) if vector else x


def pinv(A, *, rtol=None):
    """The Moore-Penrose inverse; singular values below rtol max(S) count as zero."""
    if rtol is None:
        eps = float(array_module(A.array).finfo(A.array.dtype).eps)
        rtol = max(A.array.shape[-2:]) * eps
    return pinverse(A, rtol)


def lstsq(A, B, rcond=None, *, driver=None):
    """(solution, ...) of least |A X - B|, by the pseudo-inverse."""
    return return_type("linalg_lstsq", solution=matmul(pinv(A, rtol=rcond), B))


def matrix_rank(A, *, tol=None):
    """How many singular values are not (nearly) zero."""
    s = svdvals(A).array
    if tol is None:
        xp = array_module(s)
        tol = s.max(-1, keepdims=True) * max(A.array.shape[-2:]) * xp.finfo(s.dtype).eps
    return wrap(array_module(s).asarray((s > tol).sum(-1), "int64"))


def multi_dot(tensors):
    """The product of several matrices, in the order of fewest multiplications."""
    return chain_matmul(*tensors)


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False):
    """The norm of matrices: "fro", "nuc", inf, 1, 2 and their negatives."""
    if ord == "fro":
        return vector_norm(A, 2, dim, keepdim)
    rows, columns = (d % A.array.ndim for d in dim)
    if ord in (2, -2, "nuc"):
        values = svdvals(A.movedim((rows, columns), (-2, -1)))
        found = values.sum(-1) if ord == "nuc" else (amax if ord == 2 else amin)(values, -1)
        return (
            found.unsqueeze(min(rows, columns)).unsqueeze(max(rows, columns)) if keepdim else found
        )
    if abs(ord) not in (1, math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    summed, other = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = A.abs().sum(summed, keepdim=True)
    found = (amax if ord > 0 else amin)(sums, other, True)
    return found if keepdim else found.squeeze((rows, columns))


def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """A vector norm, or a matrix norm where two dims (or an order for a matrix) are given."""
    A = A if dtype is None else A.to(dtype)
    if dim is None and ord is None:
        return vector_norm(A.reshape(-1), 2)
    is_matrix = (isinstance(dim, tuple) and len(dim) == 2) or (dim is None and A.array.ndim == 2)
    if is_matrix and not (ord is None and dim is not None and not isinstance(dim, tuple)):
        return matrix_norm(A, "fro" if ord is None else ord, dim or (-2, -1), keepdim)
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim)


def cond(A, p=None):
    """The condition number: largest over smallest singular value, or |A| |A^-1| in a norm."""
    if p in (None, 2):
        s = svdvals(A)
        return amax(s, -1) / amin(s, -1)
    return matrix_norm(A, p) * matrix_norm(inverse(A), p)
