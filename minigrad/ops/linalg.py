"""Products of vectors, matrices and stacks of matrices, down to one op: matmul.

For Y = A B: dA = G B^T and dB = A^T G. Everything else here (einsum, bmm, outer, addmm, norms ...)
is a few lines on top of it.
"""

from __future__ import annotations

import math
import string
from typing import TYPE_CHECKING

from ..autocasting import applies, runs_under_autocast
from ..kernels.few_rows import FEW, few_rows
from ..kernels.matmul import product
from ..op import Variable, primitive
from .axes import axes, one_axis
from .elementwise import abs as absolute
from .elementwise import add_arrays, choose, mul, pow_arrays, sub_arrays
from .reduce import (
    _in_dtype,
    amax,
    amin,
    expand_to,
    kept_shape,
    reduce_sum,
    restore,
    sum_to,
)
from .shape import (
    broadcast_shapes,
    cat,
    insert_dim,
    permute_dims,
    remove_dim,
    reshape,
    reshape_to,
    take_diagonal,
    unsqueeze,
)

if TYPE_CHECKING:
    from ..dtypes import dtype
    from ..tensor import Tensor

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "cdist", "chain_matmul", "cross", "dist",
    "dot", "einsum", "frobenius_norm", "ger", "inner", "kron", "matmul", "mm", "mv", "norm", "outer",
    "tensordot", "trace", "vdot",
]  # fmt: skip


LARGE = 1 << 16  # numbers of a matrix that is worth reading once alone

# -- matmul ------------------------------------------------------------------------------------


def _product(xp, x, y, bias=None):
    """x @ y + bias, with a stack of matrices times one matrix done as a single product.

    The result lies in memory in the order of x: batch first or length first, nothing is copied.
    """
    if y.ndim != 2:
        return product[xp](x, y, bias=bias)
    if x.ndim < 3:
        return _of_rows(xp, x, y, bias)
    order = _as_in_memory(x)
    lined = x if order is None else x.transpose(*order, x.ndim - 1)
    rows = math.prod(lined.shape[:-1])
    out = _of_rows(xp, lined.reshape(rows, x.shape[-1]), y, bias)
    out = out.reshape(*lined.shape[:-1], y.shape[-1])
    if order is None:
        return out
    return out.transpose(*[order.index(axis) for axis in range(x.ndim - 1)], x.ndim - 1)


def _of_rows(xp, x, y, bias):
    """x (R, k) @ y (k, n) + bias. Two to FEW - 1 rows are a decoder's step with beams or several texts:
    BLAS takes up to five times as long as for one. Where y^T lies in memory, as a Linear's weight does,
    it is read once; where y does (GPT-2), up to four rows are multiplied one by one."""
    few = x.ndim == 2 and 1 < len(x) < FEW and y.size >= LARGE and x.dtype == y.dtype
    if few and y.T.flags.c_contiguous:
        out = few_rows[xp](x, y.T)
    elif few and y.flags.c_contiguous and len(x) < 5 and y.size >= 1 << 20:
        out = xp.empty((len(x), y.shape[1]), x.dtype)
        for row, into in zip(x, out, strict=True):
            into[...] = product[xp](row, y)
    else:
        return product[xp](x, y, bias=bias)
    if bias is not None:
        out += bias
    return out


def _as_in_memory(x):
    """The axes of x but the last one, the largest stride first; None where they are in that order."""
    if x.flags.c_contiguous:
        return None
    return sorted(range(x.ndim - 1), key=lambda axis: -x.strides[axis])


@primitive(name="Mm")
def multiply_matrices(xp, x, y):
    """x @ y for matrices (..., n, k) and (..., k, m), stacks broadcasting."""
    return _product(xp, x, y)


@primitive(name="Mm")
def times_transposed(xp, x, y):
    """x @ y^T for (..., n, k) and (..., m, k): the gradient of a product's left factor."""
    return _product(xp, x, y.swapaxes(-1, -2))


@primitive(name="Mm")
def transposed_times(xp, x, y, *, to_matrix=False):
    """x^T @ y for (..., k, n) and (..., k, m): the gradient of a product's right factor.

    to_matrix: summed over the stack as well, which is one product of the flattened stacks.
    """
    if to_matrix and x.ndim > 2:
        order = _as_in_memory(x)
        if order is not None:
            x, y = (z.transpose(*order, z.ndim - 1) for z in (x, y))
        rows = math.prod(x.shape[:-1])
        return product[xp](x.reshape(rows, x.shape[-1]).T, y.reshape(rows, y.shape[-1]))
    return product[xp](x.swapaxes(-1, -2), y)


def _flat(x_shape, y_shape):
    """True where one matrix multiplied a stack, so that its gradient is one product too."""
    return len(y_shape) == 2 and len(x_shape) > 2


multiply_matrices.vjp(
    x=lambda g, y: times_transposed(g, y),
    y=lambda g, x, x_shape, y_shape: transposed_times(x, g, to_matrix=_flat(x_shape, y_shape)),
)
times_transposed.vjp(
    x=lambda g, y: multiply_matrices(g, y),
    y=lambda g, x, x_shape, y_shape: transposed_times(g, x, to_matrix=_flat(x_shape, y_shape)),
)
transposed_times.vjp(
    x=lambda g, y: times_transposed(y, g),
    y=lambda g, x: multiply_matrices(x, g),
)
multiply_matrices.samples(
    lambda rand: [
        (rand(3, 4), rand(4, 2)),
        (rand(2, 3, 4), rand(4, 2)),
        (rand(2, 1, 3, 4), rand(5, 4, 2)),
        (rand(0, 4), rand(4, 2)),
    ]
)
times_transposed.samples(lambda rand: [(rand(3, 4), rand(2, 4)), (rand(2, 3, 4), rand(2, 4))])
transposed_times.samples(
    lambda rand: [
        (rand(4, 3), rand(4, 2)),
        (rand(2, 4, 3), rand(2, 4, 2)),
        (rand(2, 4, 3), rand(2, 4, 2), {"to_matrix": True}),
    ]
)


@primitive(name="Addmm")
def affine(xp, x, w, b):
    """x w^T + b for x (..., in), w (out, in), b (out): a linear layer."""
    return _product(xp, x, w.T, b)


affine.vjp(
    x=lambda g, w: multiply_matrices(g, w),
    w=lambda g, x, x_shape: transposed_times(g, x, to_matrix=len(x_shape) > 2),
    b=lambda g, x_shape: reduce_sum(g, dim=tuple(range(len(x_shape) - 1))),
)
affine.samples(
    lambda rand: [
        (rand(3, 4), rand(2, 4), rand(2)),
        (rand(2, 3, 4), rand(5, 4), rand(5)),
        (rand(0, 4), rand(2, 4), rand(2)),
    ]
)


@primitive(name="Dot")
def dot_vectors(xp, x, y):
    """sum x_i y_i."""
    return product[xp](x, y)


dot_vectors.vjp(x=lambda g, y: g * y, y=lambda g, x: g * x)
dot_vectors.samples(lambda rand: [(rand(4), rand(4)), (rand(0), rand(0))])


@primitive(name="Mv")
def matrix_times_vector(xp, x, y):
    """x @ y for a matrix (..., n, k) and a vector (k)."""
    return product[xp](x, y)


matrix_times_vector.vjp(
    x=lambda g, y: insert_dim(g, dim=-1) * y,
    y=lambda g, x: sum_to(insert_dim(g, dim=-1) * x, shape=(x.shape[-1],)),
)


matrix_times_vector.samples(lambda rand: [(rand(3, 4), rand(4)), (rand(2, 3, 4), rand(4))])


def _same_dtype(name, x, y):
    for operand in (x, y):
        if not isinstance(operand, Variable):
            raise TypeError(f"{name}(): argument must be Tensor, not {type(operand).__name__}")
    if x.array.dtype != y.array.dtype and not applies("multiply_matrices", x.array):
        raise RuntimeError(
            f"{name}: expected m1 and m2 to have the same dtype, but got: {x.dtype} != {y.dtype}"
        )


def _mismatch(name, a, b):
    if len(a) == len(b) == 2:
        return RuntimeError(
            f"{name}: mat1 and mat2 shapes cannot be multiplied ({a[0]}x{a[1]} and {b[0]}x{b[1]})"
        )
    return RuntimeError(f"{name}: shapes {tuple(a)} and {tuple(b)} cannot be multiplied")


def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The matrix product: vectors, matrices, or stacks of matrices, which broadcast.

    (n) (n) -> (); (n, k) (k) -> (n); (k) (k, m) -> (m); (..., n, k) (..., k, m) -> (..., n, m).
    """
    _same_dtype("matmul", input, other)
    a, b = input.array.shape, other.array.shape
    if not a or not b:
        raise RuntimeError(
            "matmul: both arguments to matmul need to be at least 1D, but they are "
            f"{len(a)}D and {len(b)}D"
        )
    if a[-1] != (b[-2] if len(b) > 1 else b[0]):
        if len(a) == len(b) == 1:
            raise RuntimeError(
                f"matmul: inconsistent tensor size, expected tensor {list(a)} and src {list(b)} to "
                "have the same number of elements"
            )
        raise _mismatch("matmul", a, b)
    if len(a) > 2 and len(b) > 2:
        broadcast_shapes(a[:-2], b[:-2])
    if len(a) == 1 and len(b) == 1:
        result = dot_vectors(input, other)
    elif len(b) == 1:
        result = matrix_times_vector(input, other)
    elif len(a) == 1:
        result = remove_dim(multiply_matrices(insert_dim(input, dim=0), other), dim=-2)
    else:
        result = multiply_matrices(input, other)
    return result if out is None else out._assign_out(result, "matmul")


def _needs_dims(name, tensors, dims):
    for i, (x, n) in enumerate(zip(tensors, dims, strict=True)):
        if x.array.ndim != n:
            raise RuntimeError(
                f"{name}: argument {i + 1} must be a {n}-D tensor, got shape {tuple(x.array.shape)}"
            )


def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of two matrices."""
    _needs_dims("mm", (input, mat2), (2, 2))
    _same_dtype("mm", input, mat2)
    if input.array.shape[1] != mat2.array.shape[0]:
        raise _mismatch("mm", input.array.shape, mat2.array.shape)
    return matmul(input, mat2, out=out)


def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The products of two stacks of matrices, one by one: (b, n, k) (b, k, m) -> (b, n, m)."""
    _needs_dims("bmm", (input, mat2), (3, 3))
    a, b = input.array.shape, mat2.array.shape
    if a[0] != b[0] or a[2] != b[1]:
        raise RuntimeError(
            f"bmm: Expected size for first two dimensions of batch2 tensor to be: [{a[0]}, {a[2]}] "
            f"but got: [{b[0]}, {b[1]}]."
        )
    return matmul(input, mat2, out=out)


@runs_under_autocast
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector."""
    _needs_dims("mv", (input, vec), (2, 1))
    if input.array.shape[1] != vec.array.shape[0]:
        raise RuntimeError(
            f"mv: size mismatch, got input {tuple(input.array.shape)}, vec {tuple(vec.array.shape)}"
        )
    return matmul(input, vec)


@runs_under_autocast
def dot(input: Tensor, tensor) -> Tensor:
    """The sum of products of two vectors."""
    if input.array.ndim != 1 or tensor.array.ndim != 1:
        raise RuntimeError(
            f"dot: 1D tensors expected, but got {input.array.ndim}D and {tensor.array.ndim}D tensors"
        )
    return matmul(input, tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of two vectors' numbers, x_i y_j."""
    _needs_dims("outer", (input, vec2), (1, 1))
    return mul(insert_dim(input, dim=1), vec2)


def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over the last dimensions: (..., n) (..., n) -> (..., ...)."""
    if input.array.ndim == 0 or other.array.ndim == 0:
        return mul(input, other)
    if input.array.shape[-1] != other.array.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.array.shape)} and {list(other.array.shape)}"
        )
    return tensordot(input, other, dims=([-1], [-1]))


# -- beta input + alpha product ------------------------------------------------------------------


def _blend(input, product, beta, alpha):
    product = product if alpha == 1 else mul(product, alpha)
    if beta == 0:
        return product  # NaN in the input does not count, as in torch
    return add_arrays(input if beta == 1 else mul(input, beta), product)


@runs_under_autocast
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """beta input + alpha mat1 @ mat2."""
    return _blend(input, mm(mat1, mat2), beta, alpha)


@runs_under_autocast
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha mat @ vec."""
    return _blend(input, mv(mat, vec), beta, alpha)


@runs_under_autocast
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha vec1 vec2^T."""
    return _blend(input, outer(vec1, vec2), beta, alpha)


@runs_under_autocast
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """beta input + alpha sum_b batch1_b @ batch2_b."""
    return _blend(input, reduce_sum(bmm(batch1, batch2), dim=(0,)), beta, alpha)


@runs_under_autocast
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """beta input_b + alpha batch1_b @ batch2_b."""
    return _blend(input, bmm(batch1, batch2), beta, alpha)


# -- einsum ----------------------------------------------------------------------------------------


@runs_under_autocast
def einsum(equation, *operands) -> Tensor:
    """Sums of products written with letters: einsum("bik,bkj->bij", x, y) is bmm.

    Letters that the output lacks are summed over; without `->` the output has the letters that occur
    once, in alphabetical order; `...` stands for leading dimensions that broadcast. Also in the form
    einsum(x, [0, 1], y, [1, 2], [0, 2]).
    """
    if not isinstance(equation, str):
        equation, operands = _letters_from_numbers((equation, *operands))
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = operands[0]
    terms, output, sizes = _parse(equation, operands)
    current, letters = _own_letters(operands[0], terms[0], sizes)
    for i, operand in enumerate(operands[1:], start=1):
        operand, its_letters = _own_letters(operand, terms[i], sizes)
        later = set("".join(terms[i + 1 :])) | set(output)
        current, letters = _contract(current, letters, operand, its_letters, later)
    gone = tuple(i for i, letter in enumerate(letters) if letter not in output)
    if gone:
        current = reduce_sum(current, dim=gone)
        letters = [letter for letter in letters if letter in output]
    order = tuple(letters.index(letter) for letter in output)
    return permute_dims(current, dims=order) if order != tuple(range(len(order))) else current


def _letters_from_numbers(arguments):
    operands = list(arguments[0 : len(arguments) // 2 * 2 : 2])
    lists = list(arguments[1::2])
    output = arguments[-1] if len(arguments) % 2 else None
    name = lambda ls: "".join("..." if n is Ellipsis else string.ascii_letters[n] for n in ls)  # noqa: E731
    equation = ",".join(map(name, lists))
    return (equation if output is None else f"{equation}->{name(output)}"), operands


def _parse(equation, operands):
    """Letters for every dimension: `...` becomes capital letters that are not in use."""
    equation = equation.replace(" ", "")
    left, arrow, output = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise RuntimeError(
            f"einsum(): the equation has {len(terms)} operands, but {len(operands)} were provided"
        )
    unused = [c for c in reversed(string.ascii_letters) if c not in equation]
    widest = 0
    for term, x in zip(terms, operands, strict=True):
        named = len(term.replace("...", ""))
        if "..." in term:
            widest = max(widest, x.array.ndim - named)
        if x.array.ndim < named or ("..." not in term and x.array.ndim != named):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named} in '{term}') does not "
                f"match the number of dimensions ({x.array.ndim}) of its operand, shape {tuple(x.shape)}"
            )
    dots = "".join(unused[:widest])
    full = []
    sizes = {}
    for k, (term, x) in enumerate(zip(terms, operands, strict=True)):
        if "..." in term:
            extra = x.array.ndim - len(term.replace("...", ""))
            term = term.replace("...", dots[len(dots) - extra :])
        full.append(term)
        for letter, n in zip(term, x.array.shape, strict=True):
            if sizes.get(letter, 1) != 1 and n not in (1, sizes[letter]):
                raise RuntimeError(
                    f"einsum(): subscript {letter} has size {n} for operand {k} which does not "
                    f"broadcast with previously seen size {sizes[letter]}"
                )
            sizes[letter] = n if sizes.get(letter, 1) == 1 else sizes[letter]
    if not arrow:
        joined = "".join(full)
        output = dots + "".join(sorted(c for c in set(joined) - set(dots) if joined.count(c) == 1))
    output = output.replace("...", dots)
    for letter in output:
        if letter not in sizes:
            raise RuntimeError(
                f"einsum(): output subscript {letter} does not appear in the equation for any input"
            )
    return full, output, sizes


def _own_letters(x, term, sizes):
    """A letter that occurs twice in one term means the diagonal; returns (tensor, its letters)."""
    letters = list(term)
    for letter in dict.fromkeys(term):
        while letters.count(letter) > 1:
            i = letters.index(letter)
            j = letters.index(letter, i + 1)
            x = take_diagonal(x, offset=0, dim1=i, dim2=j)
            letters = [c for k, c in enumerate(letters) if k not in (i, j)] + [letter]
    return x, letters


def _contract(x, x_letters, y, y_letters, later):
    """One product of two tensors as a stack of matrix products.

    Letters of both that are needed later index the stack; letters of both that aren't are summed
    over, as the inner dimension; the rest are rows of x and columns of y.
    """
    both = [c for c in x_letters if c in y_letters]
    # a dimension of size 1 that broadcasts against a larger one is expanded first
    shape = {
        c: max(x.array.shape[x_letters.index(c)], y.array.shape[y_letters.index(c)]) for c in both
    }
    x = _widen(x, x_letters, shape)
    y = _widen(y, y_letters, shape)
    stack = [c for c in both if c in later]
    inner_letters = [c for c in both if c not in later]
    rows = [c for c in x_letters if c not in both]
    columns = [c for c in y_letters if c not in both]
    size = lambda t, ls, group: math.prod(t.array.shape[ls.index(c)] for c in group)  # noqa: E731
    dims = lambda t, ls, group: [t.array.shape[ls.index(c)] for c in group]  # noqa: E731
    stack_sizes = dims(x, x_letters, stack)
    n, k, m = (
        size(x, x_letters, rows),
        size(x, x_letters, inner_letters),
        size(y, y_letters, columns),
    )
    final = (*stack_sizes, *dims(x, x_letters, rows), *dims(y, y_letters, columns))
    a = permute_dims(x, dims=tuple(map(x_letters.index, stack + rows + inner_letters)))
    b = permute_dims(y, dims=tuple(map(y_letters.index, stack + inner_letters + columns)))
    a = reshape_to(a, shape=(math.prod(stack_sizes), n, k))
    b = reshape_to(b, shape=(math.prod(stack_sizes), k, m))
    if math.prod(stack_sizes) == 1:
        a, b = remove_dim(a, dim=0), remove_dim(b, dim=0)
    return reshape_to(matmul(a, b), shape=final), stack + rows + columns


def _widen(x, letters, sizes):
    shape = tuple(sizes.get(c, n) for c, n in zip(letters, x.array.shape, strict=True))
    return x if shape == x.array.shape else expand_to(x, shape=shape)


@runs_under_autocast
def tensordot(a, b, dims=2, out: Tensor | None = None) -> Tensor:
    """Sums of products over some dimensions of a and of b: the last of a, the first of b, or lists."""
    if isinstance(dims, Variable):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        dims = (list(range(a.array.ndim - dims, a.array.ndim)), list(range(dims)))
    of_a = [one_axis("tensordot", d, a.array.ndim) for d in dims[0]]
    of_b = [one_axis("tensordot", d, b.array.ndim) for d in dims[1]]
    for i, j in zip(of_a, of_b, strict=True):
        if a.array.shape[i] != b.array.shape[j]:
            raise RuntimeError(
                f"tensordot: contracted dimensions need to match, but first has size "
                f"{a.array.shape[i]} in dim {i} and second has size {b.array.shape[j]} in dim {j}"
            )
    free_a = [d for d in range(a.array.ndim) if d not in of_a]
    free_b = [d for d in range(b.array.ndim) if d not in of_b]
    k = math.prod(a.array.shape[d] for d in of_a)
    left = permute_dims(a, dims=(*free_a, *of_a))
    right = permute_dims(b, dims=(*of_b, *free_b))
    shape_a = tuple(a.array.shape[d] for d in free_a)
    shape_b = tuple(b.array.shape[d] for d in free_b)
    left = reshape_to(left, shape=(math.prod(shape_a), k))
    right = reshape_to(right, shape=(k, math.prod(shape_b)))
    return reshape_to(matmul(left, right), shape=shape_a + shape_b)


def kron(input: Tensor, other: Tensor) -> Tensor:
    """Every number of the input times the whole of the other, laid out as blocks."""
    ndim = max(input.array.ndim, other.array.ndim)
    a = (1,) * (ndim - input.array.ndim) + input.array.shape
    b = (1,) * (ndim - other.array.ndim) + other.array.shape
    wide_a = reshape(input, [v for n in a for v in (n, 1)])
    wide_b = reshape(other, [v for n in b for v in (1, n)])
    return reshape(mul(wide_a, wide_b), [n * m for n, m in zip(a, b, strict=True)])


@runs_under_autocast
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if input.array.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.array.ndim}")
    return take_diagonal(input).sum()


@runs_under_autocast
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of three numbers along a dimension."""
    if dim is None:
        dim = next((d for d, n in enumerate(input.array.shape) if n == 3), -1)
    dim = one_axis("cross", dim, input.array.ndim)
    if input.array.shape[dim] != 3 or other.array.shape[dim] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got "
            f"{input.array.shape[dim]} and {other.array.shape[dim]}"
        )
    a, b = input.unbind(dim), other.unbind(dim)
    parts = [sub_arrays(mul(a[i], b[j]), mul(a[j], b[i])) for i, j in ((1, 2), (2, 0), (0, 1))]
    return cat([unsqueeze(part, dim) for part in parts], dim)


@runs_under_autocast
def chain_matmul(*matrices) -> Tensor:
    """The product of several matrices, in the order of fewest multiplications."""
    matrices = (
        matrices[0] if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)) else matrices
    )
    sizes = [m.array.shape[0] for m in matrices] + [matrices[-1].array.shape[1]]
    best = {(i, i): (0, None) for i in range(len(matrices))}
    for length in range(1, len(matrices)):
        for i in range(len(matrices) - length):
            j = i + length
            best[i, j] = min(
                (best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )

    def multiply(i, j):
        if i == j:
            return matrices[i]
        k = best[i, j][1]
        return matmul(multiply(i, k), multiply(k + 1, j))

    return multiply(0, len(matrices) - 1)


# -- norms -----------------------------------------------------------------------------------------


@primitive(name="LinalgVectorNorm")
def euclidean_norm(xp, x, *, dim, keepdim=False):
    """sqrt(sum x^2) over dim; dx = g x / norm, and 0 where the norm is 0."""
    return xp.sqrt((x * x).sum(dim, keepdims=keepdim))


def _euclidean_gradient(g, out, x, x_shape, dim):
    shape = kept_shape(x_shape, dim)
    length = restore(out, shape=shape)
    return x * (restore(g, shape=shape) / choose(length == 0, 1, length))


euclidean_norm.vjp(x=_euclidean_gradient)
euclidean_norm.samples(
    lambda rand: [(rand(3, 4), {"dim": (0, 1)}), (rand(3, 4), {"dim": (1,), "keepdim": True})]
)


@runs_under_autocast
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """(sum |x|^ord)^(1/ord) over dim; inf and -inf give max |x| and min |x|, 0 counts non-zeros."""
    x = _in_dtype(x, dtype)
    if x.array.dtype.kind not in "fV":
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {x.dtype}"
        )
    dim = axes("linalg.vector_norm", dim, x.array.ndim)
    if ord == 2:
        return euclidean_norm(x, dim=dim, keepdim=keepdim)
    size = absolute(x)
    if ord == math.inf:
        return amax(size, dim, keepdim)
    if ord == -math.inf:
        return amin(size, dim, keepdim)
    if ord == 0:
        return reduce_sum(mul(x != 0, 1.0 + 0 * x.detach()), dim=dim, keepdim=keepdim)
    if ord == 1:
        return reduce_sum(size, dim=dim, keepdim=keepdim)
    total = reduce_sum(pow_arrays(size, ord), dim=dim, keepdim=keepdim)
    return pow_arrays(total, 1.0 / ord)


def norm(
    input: Tensor,
    p: float | str = "fro",
    dim: int | None = None,
    keepdim: bool = False,
    out: Tensor | None = None,
    dtype: dtype | None = None,
) -> Tensor:
    """The p-norm over some dimensions (all of them by default); "fro" is p = 2 over all."""
    if isinstance(p, str):
        if p == "nuc":
            raise RuntimeError('norm: p="nuc" is linalg.matrix_norm(input, "nuc")')
        if p != "fro":
            raise RuntimeError(f"norm: unknown norm '{p}'")
        p = 2
    return vector_norm(input, 2 if p is None else p, dim, keepdim, dtype=dtype)


def frobenius_norm(input: Tensor, dim: int | tuple[int, ...] = (), keepdim: bool = False) -> Tensor:
    """sqrt(sum x^2)."""
    return vector_norm(input, 2, dim, keepdim)


@runs_under_autocast
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of the difference."""
    return vector_norm(sub_arrays(input, other), p)


@runs_under_autocast
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode=None) -> Tensor:
    """The p-norm distances between all rows: (..., n, d) (..., m, d) -> (..., n, m)."""
    if x1.array.shape[-1] != x2.array.shape[-1]:
        raise RuntimeError(
            f"cdist: X1 and X2 must have the same number of columns. X1: {x1.array.shape[-1]} X2: "
            f"{x2.array.shape[-1]}"
        )
    return vector_norm(sub_arrays(unsqueeze(x1, -2), unsqueeze(x2, -3)), p, -1)


ger = outer
vdot = dot
