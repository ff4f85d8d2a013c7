"""Reductions and running sums: sum, mean, variance, extrema, products, log-sum-exp, norms' base.

Inside, `dim` is a sorted tuple of axis numbers and `keepdim` a bool. A rule first puts the reduced
dimensions of g back as ones (`restore`), so that g broadcasts against the input.
"""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING

import numpy

from .. import dtypes
from ..capture import joined
from ..op import Variable, primitive, wrap
from .axes import axes, kept_shape, one_axis
from .elementwise import choose, div_arrays, exp, mul
from .elementwise import maximum as maximum_of_two
from .elementwise import minimum as minimum_of_two
from .results import return_type

if TYPE_CHECKING:
    from ..dtypes import dtype
    from ..tensor import Tensor

__all__ = [
    "all",
    "amax",
    "amin",
    "aminmax",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "logcumsumexp",
    "logsumexp",
    "max",
    "mean",
    "min",
    "nanmean",
    "nansum",
    "prod",
    "std",
    "std_mean",
    "sum",
    "var",
    "var_mean",
]


# -- the linear family: sum <-> expand, and the dtype change -----------------------------------


@primitive(name="Expand", view=True)
def expand_to(xp, x, *, shape):
    """x repeated along new or size-1 dimensions, without a copy."""
    if not x.shape and xp is numpy:  # one number everywhere: what every sum() sends back
        spread = numpy.ndarray(shape, x.dtype, numpy.asarray(x), 0, (0,) * len(shape))
        spread.flags.writeable = False
        return spread
    return xp.broadcast_to(x, shape)


@primitive(name="SumToSize")
def sum_to(xp, x, *, shape):
    """x summed over the dimensions that broadcasting `shape` to x.shape would repeat."""
    extra = x.ndim - len(shape)
    ones = tuple(i + extra for i, n in enumerate(shape) if n == 1 and x.shape[i + extra] != 1)
    return x.sum(tuple(range(extra)) + ones, keepdims=True).reshape(shape)


expand_to.vjp(x=lambda g, x_shape: sum_to(g, shape=x_shape))
sum_to.vjp(x=lambda g, x_shape: expand_to(g, shape=x_shape))
expand_to.samples(
    lambda rand: [
        (rand(3, 1), {"shape": (3, 4)}),
        (rand(), {"shape": (2, 3)}),
        (rand(1, 3), {"shape": (2, 5, 3)}),
        (rand(1), {"shape": (0,)}),
    ]
)
sum_to.samples(
    lambda rand: [
        (rand(3, 4), {"shape": (3, 1)}),
        (rand(2, 3), {"shape": ()}),
        (rand(2, 5, 3), {"shape": (1, 3)}),
        (rand(0, 3), {"shape": (1, 3)}),
    ]
)


@primitive(name="ToCopy")
def cast(xp, x, *, dtype):
    """x in another dtype; the gradient comes back in x's own."""
    return x.astype(dtype)


cast.vjp(x=lambda g, x_dtype: cast(g, dtype=x_dtype) if g.dtype != x_dtype else g)
cast.samples(lambda rand: [(rand(3, 4), {"dtype": "float64"}), (rand(), {"dtype": "float64"})])


@primitive(name="UnsafeView")
def restore(xp, g, *, shape):
    """The same numbers in another shape: puts reduced dimensions back as ones."""
    return g.reshape(shape)


restore.vjp(g=lambda g, g_shape: restore(g, shape=g_shape))
restore.samples(lambda rand: [(rand(3, 4), {"shape": (3, 1, 4)}), (rand(), {"shape": (1, 1)})])


@primitive(name="Sum")
def reduce_sum(xp, x, *, dim, keepdim=False):
    """The sum over dim; every number gets the gradient of its sum."""
    return x.sum(dim, keepdims=keepdim)


def _sum_gradient(g, x_shape, dim):
    if g.shape:  # a single sum needs no dimensions put back
        g = restore(g, shape=kept_shape(x_shape, dim))
    return expand_to(g, shape=x_shape)


reduce_sum.vjp(x=_sum_gradient)


@primitive(name="Mean")
def reduce_mean(xp, x, *, dim, keepdim=False):
    """The mean over dim, sum / n; NaN where n = 0."""
    count = math.prod(x.shape[i] for i in dim)
    return x.sum(dim, keepdims=keepdim) / (count or math.nan)


reduce_mean.vjp(
    x=lambda g, x_shape, dim: expand_to(
        restore(g, shape=kept_shape(x_shape, dim))
        / (math.prod(x_shape[i] for i in dim) or math.nan),
        shape=x_shape,
    )
)
for op in (reduce_sum, reduce_mean):
    op.samples(
        lambda rand: [
            (rand(3, 4), {"dim": (0, 1)}),
            (rand(3, 4), {"dim": (1,), "keepdim": True}),
            (rand(2, 3, 4), {"dim": (0, 2)}),
            (rand(), {"dim": ()}),
            (rand(0, 3), {"dim": (1,)}),
        ]
    )


# -- variance ----------------------------------------------------------------------------------


@primitive(name="Var")
def reduce_var(xp, x, *, dim, correction=1, keepdim=False):
    """sum (x - mean)^2 / (n - correction) over dim; dx = 2 g (x - mean) / (n - correction)."""
    count = math.prod(x.shape[i] for i in dim)
    centred = x - x.sum(dim, keepdims=True) / (count or math.nan)
    freedom = builtins.max(count - correction, 0)
    squares = (centred * centred).sum(dim, keepdims=keepdim)
    return squares / freedom if freedom else squares * math.nan


def _var_gradient(g, x, x_shape, dim, correction):
    count = math.prod(x_shape[i] for i in dim)
    centred = x - reduce_mean(x, dim=dim, keepdim=True)
    freedom = builtins.max(count - correction, 0) or math.nan
    return restore(g, shape=kept_shape(x_shape, dim)) * (2 / freedom) * centred


reduce_var.vjp(x=_var_gradient)
reduce_var.samples(
    lambda rand: [
        (rand(3, 4), {"dim": (0, 1)}),
        (rand(3, 4), {"dim": (1,), "keepdim": True, "correction": 0}),
        (rand(2, 3, 4), {"dim": (0, 2)}),
    ]
)


@primitive(name="Std")
def reduce_std(xp, x, *, dim, correction=1, keepdim=False):
    """The square root of the variance; where it is 0 the gradient is 0."""
    return xp.sqrt(reduce_var.forward(xp, x, dim=dim, correction=correction, keepdim=keepdim))


reduce_std.vjp(
    x=lambda g, out, x, x_shape, dim, correction: _var_gradient(
        choose(out == 0, 0, g / choose(out == 0, 1, 2 * out)), x, x_shape, dim, correction
    )
)
reduce_std.samples(
    lambda rand: [
        (rand(3, 4), {"dim": (0, 1)}),
        (rand(3, 4), {"dim": (1,), "keepdim": True, "correction": 0}),
    ]
)


# -- extrema -----------------------------------------------------------------------------------


def _extremum_gradient(g, out, x, x_shape, dim):
    """The gradient, shared equally between all places that attain the extremum."""
    shape = kept_shape(x_shape, dim)
    attained = x == restore(out, shape=shape)
    weight = cast(attained, dtype=g.dtype if not isinstance(g, Variable) else g.array.dtype)
    return weight * (restore(g, shape=shape) / reduce_sum(weight, dim=dim, keepdim=True))


@primitive(name="Amax")
def reduce_max(xp, x, *, dim, keepdim=False):
    """The largest number over dim; equal ones share the gradient."""
    return x.max(dim, keepdims=keepdim)


@primitive(name="Amin")
def reduce_min(xp, x, *, dim, keepdim=False):
    """The smallest number over dim; equal ones share the gradient."""
    return x.min(dim, keepdims=keepdim)


for op in (reduce_max, reduce_min):
    op.vjp(x=_extremum_gradient)
    op.samples(
        lambda rand: [
            (rand(3, 4), {"dim": (0, 1)}),
            (rand(3, 4), {"dim": (1,), "keepdim": True}),
            (rand(2, 3, 4), {"dim": (0, 2)}),
            (rand(), {"dim": ()}),
        ]
    )


@primitive(name="Gather")
def take_along(xp, x, *, index, dim):
    """x[i, index[i, j], k]-style lookup along dim; index has x's shape but for dim."""
    return xp.take_along_axis(x, index, dim)


@primitive(name="ScatterAdd")
def put_along(xp, x, *, index, dim, size):
    """The transpose of `take_along` for indices without repetition: x put into zeros."""
    shape = x.shape[:dim] + (size,) + x.shape[dim + 1 :]
    out = xp.zeros(shape, x.dtype)
    xp.put_along_axis(out, index, x, dim)
    return out


take_along.vjp(
    x=lambda g, x_shape, index, dim: put_along(g, index=index, dim=dim, size=x_shape[dim])
)
put_along.vjp(x=lambda g, index, dim: take_along(g, index=index, dim=dim))
take_along.samples(lambda rand: [(rand(3, 4), {"index": rand.ints(4, 3, 1), "dim": 1})])
put_along.samples(lambda rand: [(rand(3, 1), {"index": rand.ints(4, 3, 1), "dim": 1, "size": 4})])


@primitive(name="Max")
def max_along(xp, x, *, dim, keepdim=False):
    """(values, indices) of the largest number along one dimension, the first at a tie."""
    return _extremum_along(xp, x, x.argmax(dim), dim, keepdim)


@primitive(name="Min")
def min_along(xp, x, *, dim, keepdim=False):
    """(values, indices) of the smallest number along one dimension, the first at a tie."""
    return _extremum_along(xp, x, x.argmin(dim), dim, keepdim)


def _extremum_along(xp, x, index, dim, keepdim):
    index = xp.expand_dims(index, dim)
    values = xp.take_along_axis(x, index, dim)
    if not keepdim:
        index, values = index.squeeze(dim), values.squeeze(dim)
    return values, index


def _extremum_along_gradient(g, out1, x_shape, dim):
    shape = x_shape[:dim] + (1,) + x_shape[dim + 1 :]
    index = getattr(out1, "array", out1).reshape(shape)
    return put_along(restore(g[0], shape=shape), index=index, dim=dim, size=x_shape[dim])


for op in (max_along, min_along):
    op.vjp(x=_extremum_along_gradient)
    op.samples(
        lambda rand: [
            (rand(3, 4), {"dim": 1}),
            (rand(3, 4), {"dim": 0, "keepdim": True}),
            (rand(2, 3, 4), {"dim": 1}),
        ]
    )


@primitive
def arg_extremum(xp, x, *, largest, dim, keepdim=False):
    """The index of the largest or smallest number along dim (of the flat array if dim is None)."""
    find = x.argmax if largest else x.argmin
    return xp.asarray(find(dim, keepdims=keepdim)).astype("int64", copy=False)


arg_extremum.samples(
    lambda rand: [
        (rand(3, 4), {"largest": True, "dim": 1}),
        (rand(3, 4), {"largest": False, "dim": None}),
    ]
)


# -- products, sums of exponentials, running sums ----------------------------------------------


@primitive(name="Prod")
def reduce_prod(xp, x, *, dim, keepdim=False):
    """The product over one dimension."""
    return x.prod(dim, keepdims=keepdim)


def _prod_gradient(g, x, x_shape, dim):
    """dL/dx_i = g times the product of all others: of those before i and those after i."""
    g = restore(g, shape=kept_shape(x_shape, (dim,)))
    before = exclusive_cumprod(x, dim=dim)
    after = reverse(exclusive_cumprod(reverse(x, dim=dim), dim=dim), dim=dim)
    return g * before * after


reduce_prod.vjp(x=_prod_gradient)
reduce_prod.samples(
    lambda rand: [(rand(3, 4), {"dim": 1}), (rand(3, 4), {"dim": 0, "keepdim": True})]
)


@primitive(name="Flip")
def reverse(xp, x, *, dim):
    """x with one dimension in reverse order."""
    return xp.flip(x, dim).copy()


reverse.vjp(x=lambda g, dim: reverse(g, dim=dim))
reverse.samples(lambda rand: [(rand(3, 4), {"dim": 1}), (rand(2, 0), {"dim": 0})])


@primitive(name="Cumsum")
def running_sum(xp, x, *, dim):
    """out_i = x_0 + ... + x_i; every number gets the gradients of all sums from its own on."""
    return xp.cumsum(x, dim, dtype=x.dtype)


running_sum.vjp(x=lambda g, dim: reverse(running_sum(reverse(g, dim=dim), dim=dim), dim=dim))
running_sum.samples(lambda rand: [(rand(3, 4), {"dim": 1}), (rand(3, 4), {"dim": 0})])


@primitive(name="Cumprod")
def running_product(xp, x, *, dim):
    """out_i = x_0 ... x_i."""
    return xp.cumprod(x, dim, dtype=x.dtype)


def _running_product_gradient(g, x, x_shape, dim):
    """dL/dx_i = before_i * sum_{k >= i} g_k * (x_{i+1} ... x_k): a backward recursion in k,

    s_i = g_i + x_{i+1} s_{i+1}, which needs no division and so is right at zeros too.
    """
    before = exclusive_cumprod(x, dim=dim)
    size = x_shape[dim]
    sums = []
    following = None
    for i in reversed(range(size)):
        here = slice_at(g, dim=dim, index=i)
        if following is not None:
            here = here + slice_at(x, dim=dim, index=i + 1) * following
        following = here
        sums.append(here)
    if not sums:
        return g
    return before * join(*reversed(sums), dim=dim)


running_product.vjp(x=_running_product_gradient)
running_product.samples(lambda rand: [(rand(3, 4), {"dim": 1}), (rand(4), {"dim": 0})])


@primitive(name="Cumprod")
def exclusive_cumprod(xp, x, *, dim):
    """out_i = x_0 ... x_{i-1}, and out_0 = 1."""
    out = xp.ones_like(x)
    if x.shape[dim] > 1:
        head = (builtins.slice(None),) * dim
        products = xp.cumprod(x, dim)
        out[(*head, builtins.slice(1, None))] = products[(*head, builtins.slice(None, -1))]
    return out


def _exclusive_gradient(g, x, x_shape, dim):
    """out_i is the running product up to i - 1: its gradient is that of i - 1."""
    size = x_shape[dim]
    if size < 2:
        return g * 0
    shifted = [slice_at(g, dim=dim, index=i) for i in range(1, size)]
    shifted.append(slice_at(g, dim=dim, index=0) * 0)
    return _running_product_gradient(join(*shifted, dim=dim), x, x_shape, dim)


exclusive_cumprod.vjp(x=_exclusive_gradient)
exclusive_cumprod.samples(lambda rand: [(rand(3, 4), {"dim": 1}), (rand(1), {"dim": 0})])


@primitive(name="Select", view=True)
def slice_at(xp, x, *, dim, index):
    """One slice along dim, which stays as a dimension of size 1."""
    return x[(builtins.slice(None),) * dim + (builtins.slice(index, index + 1),)]


@primitive(name="SelectBackward")
def place_at(xp, x, *, dim, index, size):
    """Zeros, but for one slice along dim: the transpose of `slice_at`."""
    out = xp.zeros(x.shape[:dim] + (size,) + x.shape[dim + 1 :], x.dtype)
    out[(builtins.slice(None),) * dim + (builtins.slice(index, index + 1),)] = x
    return out


slice_at.vjp(x=lambda g, x_shape, dim, index: place_at(g, dim=dim, index=index, size=x_shape[dim]))
place_at.vjp(x=lambda g, dim, index: slice_at(g, dim=dim, index=index))
slice_at.samples(lambda rand: [(rand(3, 4), {"dim": 1, "index": 2})])
place_at.samples(lambda rand: [(rand(3, 1), {"dim": 1, "index": 2, "size": 4})])


@primitive(name="Cat")
def join(xp, *xs, dim):
    """Slices of size 1 put side by side along dim."""
    return joined(xp, xs, dim)


join.vjp(
    xs=lambda g, xs_shapes, dim: [slice_at(g, dim=dim, index=i) for i in range(len(xs_shapes))]
)
join.samples(lambda rand: [(rand(3, 1), rand(3, 1), {"dim": 1})])


@primitive(name="Logsumexp")
def reduce_logsumexp(xp, x, *, dim, keepdim=False):
    """log sum exp(x) over dim, shifted by the maximum; its gradient is softmax(x)."""
    if any_empty(x.shape, dim):
        return xp.full(_reduced(x.shape, dim, keepdim), -math.inf, x.dtype)
    top = x.max(dim, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0)
    out = xp.log(xp.exp(x - top).sum(dim, keepdims=True)) + top
    return out if keepdim else out.squeeze(dim)


def any_empty(shape, dim) -> bool:
    """True if a reduction over dim has nothing to reduce."""
    return 0 in [shape[i] for i in dim]


def _reduced(shape, dim, keepdim):
    if keepdim:
        return kept_shape(shape, dim)
    return tuple(n for i, n in enumerate(shape) if i not in dim)


def _logsumexp_gradient(g, out, x, x_shape, dim):
    shape = kept_shape(x_shape, dim)
    out = restore(out, shape=shape)
    return restore(g, shape=shape) * exp(x - choose(out == -math.inf, 0, out))


reduce_logsumexp.vjp(x=_logsumexp_gradient)
reduce_logsumexp.samples(
    lambda rand: [
        (rand(3, 4), {"dim": (1,)}),
        (rand(2, 3, 4), {"dim": (0, 2), "keepdim": True}),
        (rand(), {"dim": ()}),
    ]
)


@primitive(name="Logcumsumexp")
def running_logsumexp(xp, x, *, dim):
    """out_i = log(e^{x_0} + ... + e^{x_i})."""
    if xp is numpy:
        return xp.logaddexp.accumulate(x, dim)
    out, reach = xp.moveaxis(x, dim, 0).copy(), 1
    while reach < len(out):  # out_i covers the last `reach` numbers up to i (Hillis & Steele 1986)
        out[reach:] = xp.logaddexp(out[reach:], out[:-reach])
        reach *= 2
    return xp.moveaxis(out, 0, dim)


running_logsumexp.vjp(
    x=lambda g, out, x, dim: (
        exp(x) * reverse(running_sum(reverse(g * exp(-out), dim=dim), dim=dim), dim=dim)
    )
)
running_logsumexp.samples(lambda rand: [(rand(3, 4), {"dim": 1}), (rand(4), {"dim": 0})])


# -- tests and counts --------------------------------------------------------------------------


@primitive
def reduce_any(xp, x, *, dim, keepdim=False):
    """True where any number over dim is non-zero."""
    return (x != 0).any(dim, keepdims=keepdim)


@primitive
def reduce_all(xp, x, *, dim, keepdim=False):
    """True where every number over dim is non-zero."""
    return (x != 0).all(dim, keepdims=keepdim)


@primitive
def count_nonzeros(xp, x, *, dim):
    """How many numbers over dim are non-zero."""
    return (x != 0).sum(dim).astype("int64")


for op in (reduce_any, reduce_all, count_nonzeros):
    op.samples(lambda rand: [(rand.bools(3, 4), {"dim": (1,)}), (rand(3), {"dim": (0,)})])


# -- the public functions ----------------------------------------------------------------------


def _in_dtype(input, dtype):
    if dtype is None or input.array.dtype == dtypes.to_numpy(dtype):
        return input
    return cast(input, dtype=dtypes.to_numpy(dtype))


def _floating(name, input):
    if input.array.dtype.kind not in "fV":
        raise RuntimeError(
            f"{name}(): could not infer output dtype. Input dtype must be either a floating point "
            f"or complex dtype. Got: {_scalar_name(input)}; convert with .float()"
        )


def _scalar_name(tensor):
    names = {"float64": "Double", "float32": "Float", "float16": "Half", "int64": "Long"}
    names |= {"int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool"}
    return names.get(tensor.array.dtype.name, tensor.array.dtype.name)


def _numeric_names(dim, keepdim, axis, keepdims):
    """torch takes NumPy's `axis=` and `keepdims=` for `dim=` and `keepdim=`."""
    return (dim if axis is None else axis), (keepdim if keepdims is None else keepdims)


def sum(
    input: Tensor,
    dim: int | tuple[int, ...] | None = None,
    keepdim: bool = False,
    *,
    axis=None,
    keepdims=None,
    dtype: dtype | None = None,
) -> Tensor:
    """The sum over `dim` (all dimensions if None); integers and bools sum to int64."""
    dim, keepdim = _numeric_names(dim, keepdim, axis, keepdims)
    if dtype is None and input.array.dtype.kind in "iub":
        dtype = dtypes.int64
    input = _in_dtype(input, dtype)
    total = reduce_sum(input, dim=axes("sum", dim, input.array.ndim), keepdim=keepdim)
    return _in_dtype(total, dtype)  # autocast may have added up in another


def nansum(
    input: Tensor,
    dim: int | tuple[int, ...] | None = None,
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
) -> Tensor:
    """The sum over `dim`, counting NaN as zero."""
    return sum(choose(input != input, 0, input), dim, keepdim, dtype=dtype)


def mean(
    input: Tensor,
    dim: int | tuple[int, ...] | None = None,
    keepdim: bool = False,
    *,
    axis=None,
    keepdims=None,
    dtype: dtype | None = None,
) -> Tensor:
    """The mean over `dim` (all dimensions if None), of floating-point numbers."""
    dim, keepdim = _numeric_names(dim, keepdim, axis, keepdims)
    input = _in_dtype(input, dtype)
    _floating("mean", input)
    return reduce_mean(input, dim=axes("mean", dim, input.array.ndim), keepdim=keepdim)


def nanmean(
    input: Tensor,
    dim: int | tuple[int, ...] | None = None,
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
) -> Tensor:
    """The mean over `dim` of the numbers that are not NaN."""
    count = sum((input == input), dim, keepdim)
    return div_arrays(nansum(input, dim, keepdim, dtype=dtype), count)


def _moments_arguments(name, input, dim, unbiased, correction):
    """torch lets the second argument be `unbiased`: var(x, False), var(x, 1, False)."""
    if isinstance(dim, builtins.bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else builtins.int(unbiased)
    if input.array.dtype.kind not in "fV":
        raise RuntimeError(
            f"{name} and its gradient only support floating point dtypes; use .float()"
        )
    return axes(name, dim, input.array.ndim), correction


def var(
    input: Tensor,
    dim: int | tuple[int, ...] | None = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | None = None,
) -> Tensor:
    """The variance over `dim`: sum (x - mean)^2 / (n - correction), correction 1 by default."""
    dim, correction = _moments_arguments("var", input, dim, unbiased, correction)
    return reduce_var(input, dim=dim, correction=correction, keepdim=keepdim)


def std(
    input: Tensor,
    dim: int | tuple[int, ...] | None = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | None = None,
) -> Tensor:
    """The standard deviation over `dim`, the square root of `var`."""
    dim, correction = _moments_arguments("std", input, dim, unbiased, correction)
    return reduce_std(input, dim=dim, correction=correction, keepdim=keepdim)


def var_mean(
    input: Tensor,
    dim: int | tuple[int, ...] | None = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(variance, mean) over `dim`."""
    mean_dim = None if isinstance(dim, builtins.bool) else dim
    return (
        var(input, dim, unbiased, keepdim, correction=correction),
        mean(input, mean_dim, keepdim),
    )


def std_mean(
    input: Tensor,
    dim: int | tuple[int, ...] | None = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(standard deviation, mean) over `dim`."""
    mean_dim = None if isinstance(dim, builtins.bool) else dim
    return (
        std(input, dim, unbiased, keepdim, correction=correction),
        mean(input, mean_dim, keepdim),
    )


def _not_empty(name, input, dim):
    for i in dim:
        if input.array.shape[i] == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim {i} to have non-zero size; "
                f"got shape {tuple(input.array.shape)}"
            )


def amax(input: Tensor, dim: int | tuple[int, ...] = (), keepdim: bool = False) -> Tensor:
    """The largest number over `dim`; equal ones share the gradient."""
    dim = axes("amax", dim, input.array.ndim)
    _not_empty("amax", input, dim)
    return reduce_max(input, dim=dim, keepdim=keepdim)


def amin(input: Tensor, dim: int | tuple[int, ...] = (), keepdim: bool = False) -> Tensor:
    """The smallest number over `dim`; equal ones share the gradient."""
    dim = axes("amin", dim, input.array.ndim)
    _not_empty("amin", input, dim)
    return reduce_min(input, dim=dim, keepdim=keepdim)


def aminmax(input: Tensor, *, dim: int | tuple[int, ...] | None = None, keepdim: bool = False):
    """(smallest, largest) over `dim`, or over all."""
    return return_type(
        "aminmax",
        min=amin(input, () if dim is None else dim, keepdim),
        max=amax(input, () if dim is None else dim, keepdim),
    )


def max(
    input: Tensor,
    dim: int | tuple[int, ...] | None = None,
    keepdim: bool = False,
    *,
    other: Tensor | float | None = None,
    axis=None,
):
    """The largest number of all; with `dim`, (values, indices) along it; with a tensor, pairwise."""
    dim = axis if dim is None else dim
    return _extremum("max", input, dim, keepdim, other, amax, max_along, maximum_of_two)


def min(
    input: Tensor,
    dim: int | tuple[int, ...] | None = None,
    keepdim: bool = False,
    *,
    other: Tensor | float | None = None,
    axis=None,
):
    """The smallest number of all; with `dim`, (values, indices) along it; with a tensor, pairwise."""
    dim = axis if dim is None else dim
    return _extremum("min", input, dim, keepdim, other, amin, min_along, minimum_of_two)


def _extremum(name, input, dim, keepdim, other, over_all, along, pairwise):
    if isinstance(dim, Variable):
        dim, other = None, dim
    if other is not None:
        return pairwise(input, other)
    if dim is None:
        if input.array.size == 0:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
        return over_all(input)
    if input.array.ndim == 0:
        one_axis(name, dim, 0)
        return return_type(
            name, values=input.clone(), indices=wrap(input.array.astype("int64") * 0)
        )
    dim = one_axis(name, dim, input.array.ndim)
    _not_empty(name, input, (dim,))
    values, indices = along(input, dim=dim, keepdim=keepdim)
    return return_type(name, values=values, indices=indices)


def argmax(
    input: Tensor, dim: int | tuple[int, ...] | None = None, keepdim: bool = False
) -> Tensor:
    """The index of the largest number along `dim`, or in the flattened tensor; the first at a tie."""
    return _arg("argmax", True, input, dim, keepdim)


def argmin(
    input: Tensor, dim: int | tuple[int, ...] | None = None, keepdim: bool = False
) -> Tensor:
    """The index of the smallest number along `dim`, or in the flattened tensor; the first at a tie."""
    return _arg("argmin", False, input, dim, keepdim)


def _arg(name, largest, input, dim, keepdim):
    if dim is None:
        if input.array.size == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim to be specified for an empty tensor"
            )
    else:
        dim = one_axis(name, dim, input.array.ndim)
        if input.array.ndim:
            _not_empty(name, input, (dim,))
        else:
            dim = None
    return arg_extremum(input, largest=largest, dim=dim, keepdim=keepdim)


def prod(
    input: Tensor,
    dim: int | tuple[int, ...] | None = None,
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
) -> Tensor:
    """The product over one dimension, or over all; integers and bools multiply to int64."""
    if dtype is None and input.array.dtype.kind in "iub":
        dtype = dtypes.int64
    input = _in_dtype(input, dtype)
    if dim is None:
        return _in_dtype(reduce_prod(restore(input, shape=(input.array.size,)), dim=0), dtype)
    dim = one_axis("prod", dim, input.array.ndim)
    if input.array.ndim == 0:
        return mul(input, 1)
    return _in_dtype(reduce_prod(input, dim=dim, keepdim=keepdim), dtype)


def _running(name, op, input, dim, dtype):
    if dtype is None and input.array.dtype.kind in "iub":
        dtype = dtypes.int64
    input = _in_dtype(input, dtype)
    dim = one_axis(name, dim, input.array.ndim)
    return _in_dtype(op(input, dim=dim) if input.array.ndim else mul(input, 1), dtype)


def cumsum(input: Tensor, dim: int | tuple[int, ...], *, dtype: dtype | None = None) -> Tensor:
    """Running sums along `dim`."""
    return _running("cumsum", running_sum, input, dim, dtype)


def cumprod(input: Tensor, dim: int | tuple[int, ...], *, dtype: dtype | None = None) -> Tensor:
    """Running products along `dim`."""
    return _running("cumprod", running_product, input, dim, dtype)


def logcumsumexp(input: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Running log-sum-exps along `dim`."""
    return _running("logcumsumexp", running_logsumexp, input, dim, None)


def logsumexp(input: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """log sum exp(input) over `dim`, computed without overflow."""
    if input.array.dtype.kind not in "fV":
        input = _in_dtype(input, dtypes.get_default_dtype())
    dim = axes("logsumexp", dim, input.array.ndim)
    return reduce_logsumexp(input, dim=dim, keepdim=keepdim)


def any(input: Tensor, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Tensor:
    """True where some number over `dim` is non-zero."""
    return reduce_any(input, dim=axes("any", dim, input.array.ndim), keepdim=keepdim)


def all(input: Tensor, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Tensor:
    """True where every number over `dim` is non-zero."""
    return reduce_all(input, dim=axes("all", dim, input.array.ndim), keepdim=keepdim)


def count_nonzero(input: Tensor, dim: int | tuple[int, ...] | None = None) -> Tensor:
    """How many numbers over `dim` are non-zero, as int64."""
    return count_nonzeros(input, dim=axes("count_nonzero", dim, input.array.ndim))
