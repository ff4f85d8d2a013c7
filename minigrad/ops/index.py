"""Reading and writing parts of tensors: x[...], gather and scatter, masks, where.

Reading gives a gradient that is added back where the numbers came from; writing gives the written
numbers the gradient of the places they went to. Each pair of ops is the other's rule.
"""

from __future__ import annotations

import builtins
import math
import operator
from typing import TYPE_CHECKING

import numpy

from ..backend import add_at, array_module, combine_at, device_of, host, to_device
from ..capture import readable
from ..dtypes import common, default_numpy
from ..engine import state
from ..op import Variable, primitive, wrap
from .axes import one_axis
from .elementwise import add_arrays, choose, mul
from .reduce import cast, expand_to
from .shape import (
    add_slices,
    expand,
    ravel,
    reshape,
    reshape_to,
    take_slices,
)

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "argwhere", "gather", "index_add", "index_copy", "index_fill", "index_put", "index_select",
    "masked_fill", "masked_scatter", "masked_select", "nonzero", "scatter", "scatter_add",
    "scatter_reduce", "take", "take_along_dim", "where",
]  # fmt: skip


# -- x[index] ----------------------------------------------------------------------------------


@primitive(name="Slice", view=True)
def get_basic(xp, x, *, index):
    """x[index] for ints, slices, None and Ellipsis: a view."""
    return x[index]


@primitive(name="SliceBackward")
def put_basic(xp, x, *, index, shape):
    """Zeros of a shape, but for x at index: transposes `get_basic`."""
    out = xp.zeros(shape, x.dtype)
    out[index] = x
    return out


get_basic.vjp(x=lambda g, x_shape, index: put_basic(g, index=index, shape=x_shape))
put_basic.vjp(x=lambda g, index: get_basic(g, index=index))
get_basic.samples(
    lambda rand: [
        (rand(3, 4), {"index": (1, ...)}),
        (rand(3, 4), {"index": (slice(None, None, 2), None, slice(1, 3), ...)}),
        (rand(3), {"index": (0, ...)}),
    ]
)
put_basic.samples(lambda rand: [(rand(4), {"index": (1, ...), "shape": (3, 4)})])


@primitive(name="Index")
def get_advanced(xp, x, *, index):
    """x[index] where the index holds integer or bool arrays: a copy."""
    return x[index]


@primitive(name="IndexPut")
def add_advanced(xp, x, *, index, shape):
    """Zeros of a shape with x added at index, repeatedly where it repeats: `get_advanced` transposed."""
    out = xp.zeros(shape, x.dtype)
    add_at(xp, out, index, x)
    return out


get_advanced.vjp(x=lambda g, x_shape, index: add_advanced(g, index=index, shape=x_shape))
add_advanced.vjp(x=lambda g, index: get_advanced(g, index=index))
get_advanced.samples(
    lambda rand: [
        (rand(3, 4), {"index": (rand.ints(3, 5), ...)}),
        (rand(3, 4), {"index": (rand.bools(3), slice(None))}),
        (rand(3, 4, 2), {"index": (slice(None), rand.ints(4, 2, 2), 1)}),
    ]
)
add_advanced.samples(
    lambda rand: [(rand(5, 4), {"index": (rand.ints(3, 5), ...), "shape": (3, 4)})]
)


@primitive(name="IndexPut")
def set_advanced(xp, x, value, *, index):
    """x with the numbers at index replaced by `value`."""
    out = x.copy()
    out[index] = value
    return out


@primitive(name="IndexPut")
def clear_advanced(xp, x, *, index):
    """x with zeros at index."""
    out = x.copy()
    out[index] = 0
    return out


set_advanced.vjp(
    x=lambda g, index: clear_advanced(g, index=index),
    value=lambda g, index: get_advanced(g, index=index),
)
clear_advanced.vjp(x=lambda g, index: clear_advanced(g, index=index))
set_advanced.samples(
    lambda rand: [
        (rand(3, 4), rand(2, 4), {"index": (numpy.array([2, 0]),)}),
        (rand(3, 4), rand(), {"index": (rand.bools(3, 4),)}),
    ]
)
clear_advanced.samples(lambda rand: [(rand(3, 4), {"index": (numpy.array([2, 0]),)})])


def _normalise(index, x):
    """(the index as a tuple that NumPy takes, whether it is basic); checks every bound."""
    parts = index if isinstance(index, tuple) else (index,)
    cleaned = []
    basic = True
    for part in parts:
        if isinstance(part, Variable):
            part = part.array
            if part.ndim == 0 and part.dtype.kind in "iu":
                part = int(part)
        if isinstance(part, (list, builtins.range)):
            part = _list_index(part)
        if isinstance(part, (numpy.generic, numpy.ndarray)) and part.ndim == 0:
            part = part.item()
        if isinstance(part, slice):
            step = part.step
            if step is not None and operator.index(step) <= 0:
                raise ValueError("step must be greater than zero; use flip() to go backwards")
            part = slice(_bound(part.start), _bound(part.stop), _bound(step))
        elif part is None or part is Ellipsis:
            pass
        elif isinstance(part, builtins.bool) or hasattr(part, "dtype"):
            basic = False
            if hasattr(part, "dtype"):
                part = _array_index(part)
        else:
            try:
                part = operator.index(part)
            except TypeError:
                raise TypeError(
                    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables "
                    f"are valid indices (got {type(part).__name__})"
                ) from None
        cleaned.append(part)
    _check_bounds(cleaned, x.shape)
    if not basic:
        cleaned = _beside(cleaned, x)
    if basic and not any(part is Ellipsis for part in cleaned):
        cleaned.append(Ellipsis)  # so that a single number stays a view of its memory
    return tuple(cleaned), basic


def _beside(parts, x):
    """The index with its arrays on the device of x, where they may come to it from main memory."""
    xp = array_module(x)
    for i, part in enumerate(parts):
        if hasattr(part, "dtype") and not isinstance(part, xp.ndarray):
            if xp is numpy:
                raise RuntimeError(
                    "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
                )
            parts[i] = to_device(part, device_of(x))
    return parts


def _bound(value):
    return None if value is None else operator.index(value)


def _list_index(part):
    part = [p.array if isinstance(p, Variable) else p for p in part]
    array = numpy.asarray(part)
    return array.astype(numpy.int64) if array.size == 0 else array


def _array_index(part):
    if part.dtype.kind == "b":
        return part
    if part.dtype == numpy.uint8:
        return part.astype(builtins.bool)  # torch reads bytes as a mask
    if part.dtype.kind not in "iu":
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, not {part.dtype}"
        )
    return part


def _consumed(part):
    """How many dimensions of x an index part takes up."""
    if part is None or isinstance(part, builtins.bool):
        return 0
    if hasattr(part, "dtype") and part.dtype.kind == "b":
        return part.ndim
    return 1


def _check_bounds(parts, shape):
    used = builtins.sum(_consumed(p) for p in parts if p is not Ellipsis)
    if used > len(shape):
        raise IndexError(
            f"too many indices for tensor of dimension {len(shape)} (got {used} for shape "
            f"{tuple(shape)})"
        )
    dim = 0
    for part in parts:
        if part is Ellipsis:
            dim += len(shape) - used
            continue
        if isinstance(part, builtins.int) and not isinstance(part, builtins.bool):
            size = shape[dim]
            if not -size <= part < size:
                raise IndexError(
                    f"index {part} is out of bounds for dimension {dim} with size {size}"
                )
        elif hasattr(part, "dtype") and part.dtype.kind in "iu":
            check_index("index", part, shape[dim], dim)
        elif hasattr(part, "dtype"):
            for k, n in enumerate(part.shape):
                if shape[dim + k] != n:
                    raise IndexError(
                        f"The shape of the mask {list(part.shape)} at index {k} does not match the "
                        f"shape of the indexed tensor {list(shape)} at index {dim + k}"
                    )
        dim += _consumed(part)


def check_index(name, index, size, dim):
    """IndexError for the first index outside [-size, size)."""
    if index.size == 0 or not readable(index):
        return
    low, high = index.min(), index.max()
    if low < -size or high >= size:
        worst = high if high >= size else low
        raise IndexError(
            f"{name}: index {int(worst)} is out of bounds for dimension {dim} with size {size}"
        )


def _ints_first(parts):
    """An index with arrays and ints as two: the ints alone (a view), then the rest.

    NumPy would count an int among the arrays, and move dimensions to the front; torch does not.
    """
    ints = []
    rest = []
    for part in parts:
        if isinstance(part, builtins.int) and not isinstance(part, builtins.bool):
            ints.append(part)
            continue
        rest.append(part)
        ints += [part] if part is Ellipsis else [slice(None)] * _consumed(part)
    return (*ints, *(() if any(p is Ellipsis for p in ints) else (Ellipsis,))), tuple(rest)


def _has_ints(parts):
    return any(isinstance(p, builtins.int) and not isinstance(p, builtins.bool) for p in parts)


def getitem(x, index):
    """x[index]: a view for ints, slices, None and `...`; a copy for lists, arrays and masks."""
    cleaned, basic = _normalise(index, x.array)
    if basic:
        return get_basic(x, index=cleaned)
    if _has_ints(cleaned):
        ints, cleaned = _ints_first(cleaned)
        x = get_basic(x, index=ints)
    return get_advanced(x, index=cleaned)


def assign(x, index, value):
    """x[index] = value, recorded where gradients need it."""
    cleaned, basic = _normalise(index, x.array)
    if not basic and _has_ints(cleaned):
        ints, cleaned = _ints_first(cleaned)
        x = get_basic(x, index=ints)
    value_array = value.array if isinstance(value, Variable) else value
    region = x.array[cleaned].shape
    given = getattr(value_array, "shape", ())
    while len(given) > len(region) and given[0] == 1:
        given = given[1:]  # leading ones fall away, as in torch
    if not _broadcasts(given, region):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(getattr(value_array, 'shape', ()))} cannot "
            f"be broadcast to indexing result of shape {list(region)}"
        )
    recorded = state.grad and (
        x.requires_grad or isinstance(value, Variable) and value.requires_grad
    )
    if not recorded:
        x.array[cleaned] = value_array.reshape(given) if given else value_array
        x.bump()
        return
    if isinstance(value, Variable) and value.array.shape != given:
        value = reshape(value, given)
    if isinstance(value, Variable) and value.array.dtype != x.array.dtype:
        value = cast(value, dtype=x.array.dtype)
    if basic:
        part = get_basic(x, index=cleaned)
        if isinstance(value, Variable):
            part.copy_(value)
        else:
            part.fill_(value)
    else:
        x._assign(set_advanced(x, value, index=cleaned), "__setitem__")


def _broadcasts(shape, target):
    if len(shape) > len(target):
        return False
    pairs = zip(reversed(shape), reversed(target), strict=False)
    return builtins.all(n in (1, m) for n, m in pairs)


# -- gather and scatter --------------------------------------------------------------------------


def _along(xp, index, dim):
    """Index arrays that pick x[i, ..., index[i, ..., k], ...] along dim, for indices of any size."""
    grid = list(xp.ogrid[tuple(slice(n) for n in index.shape)]) if index.ndim else []
    grid[dim] = index
    return tuple(grid)


@primitive(name="Gather")
def gather_along(xp, x, *, index, dim):
    """out[i][j] = x[i][index[i][j]] for dim = 1, and likewise for every dim."""
    return x[_along(xp, index, dim)]


@primitive(name="ScatterAdd")
def scatter_add_along(xp, x, *, index, dim, shape):
    """Zeros of a shape with x[i][j] added at [i][index[i][j]]: `gather_along` transposed."""
    out = xp.zeros(shape, x.dtype)
    region = tuple(slice(n) for n in index.shape)
    add_at(xp, out, _along(xp, index, dim), x[region])
    return out


gather_along.vjp(
    x=lambda g, x_shape, index, dim: scatter_add_along(g, index=index, dim=dim, shape=x_shape)
)
scatter_add_along.vjp(
    x=lambda g, x_shape, index, dim: pad_to(gather_along(g, index=index, dim=dim), shape=x_shape)
)


@primitive(name="ConstantPadNd")
def pad_to(xp, x, *, shape):
    """x in the first corner of zeros of a shape."""
    out = xp.zeros(shape, x.dtype)
    out[tuple(slice(n) for n in x.shape)] = x
    return out


@primitive(name="Slice", view=True)
def corner(xp, x, *, shape):
    """The first corner of x, of that shape: transposes `pad_to`."""
    return x[tuple(slice(n) for n in shape)]


pad_to.vjp(x=lambda g, x_shape: corner(g, shape=x_shape))
corner.vjp(x=lambda g, x_shape: pad_to(g, shape=x_shape))
pad_to.samples(lambda rand: [(rand(2, 3), {"shape": (3, 3)})])
corner.samples(lambda rand: [(rand(3, 3), {"shape": (2, 3)})])
gather_along.samples(
    lambda rand: [
        (rand(3, 4), {"index": rand.ints(4, 3, 6), "dim": 1}),
        (rand(3, 4), {"index": rand.ints(3, 2, 4), "dim": 0}),
    ]
)
scatter_add_along.samples(
    lambda rand: [(rand(3, 6), {"index": rand.ints(4, 2, 5), "dim": 1, "shape": (3, 4)})]
)


def _index_array(name, x, dim, index, src_shape=None):
    """The dimension and the index array of a gather or scatter, checked."""
    dim = one_axis(name, dim, x.array.ndim)
    array = index.array
    if array.dtype.kind not in "iu" or array.dtype == numpy.uint8:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index, got {array.dtype}")
    if array.size == 0:
        return dim, array
    if max(array.ndim, 1) != max(x.array.ndim, 1):
        raise RuntimeError(
            f"{name}(): Index tensor must have the same number of dimensions as input tensor; got "
            f"index {tuple(array.shape)} and input {tuple(x.array.shape)}"
        )
    for d, n in enumerate(array.shape):
        too_long = d != dim and n > x.array.shape[d]
        if too_long or (src_shape is not None and n > src_shape[d]):
            raise RuntimeError(
                f"{name}(): Expected index {list(array.shape)} to be no larger than self "
                f"{list(x.array.shape)} apart from dimension {dim}"
                + (
                    ""
                    if src_shape is None
                    else f" and to be no larger size than src {list(src_shape)}"
                )
            )
    size = x.array.shape[dim] if x.array.ndim else 1
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= size:
        worst = high if high >= size else low
        raise IndexError(
            f"{name}: index {worst} is out of bounds for dimension {dim} with size {size}"
        )
    return dim, array


def gather(
    input: Tensor, dim: int, index: Tensor, *, sparse_grad=False, out: Tensor | None = None
) -> Tensor:
    """out[i][j] = input[i][index[i][j]] for dim = 1, and likewise for every dim."""
    dim, array = _index_array("gather", input, dim, index)
    if input.array.ndim == 0:
        return reshape(input, array.shape)
    if array.size == 0:
        return wrap(array_module(input.array).empty(array.shape, input.array.dtype))
    return gather_along(input, index=array, dim=dim)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """NumPy's take_along_axis: index and input broadcast but along dim; flat without dim."""
    if dim is None:
        return gather(ravel(input), 0, ravel(indices))
    dim = one_axis("take_along_dim", dim, input.array.ndim)
    shape, wanted = list(input.array.shape), list(indices.array.shape)
    for d in range(len(shape)):
        if d != dim:
            shape[d] = wanted[d] = max(shape[d], wanted[d])
    return gather(expand(input, shape), dim, expand(indices, wanted))


@primitive(name="Scatter")
def scatter_along(xp, x, src, *, index, dim):
    """x with src[i][j] written at [i][index[i][j]] (which of two writes wins is not defined)."""
    out = x.copy()
    region = tuple(slice(n) for n in index.shape)
    out[_along(xp, index, dim)] = src[region] if getattr(src, "ndim", 0) else src
    return out


def _scatter_src_gradient(g, src_shape, index, dim):
    found = gather_along(g, index=index, dim=dim)
    return pad_to(found, shape=src_shape) if src_shape and src_shape != index.shape else found


scatter_along.vjp(
    x=lambda g, index, dim: scatter_along(g, 0, index=index, dim=dim), src=_scatter_src_gradient
)
scatter_along.samples(
    lambda rand: [
        (rand(3, 4), rand(3, 2), {"index": numpy.array([[0, 2], [1, 3], [3, 0]]), "dim": 1}),
        (rand(3, 4), 1.5, {"index": numpy.array([[0], [1], [3]]), "dim": 1}),
    ]
)


def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor | None = None,
    *,
    value: float | None = None,
    reduce: str | bool | None = None,
) -> Tensor:
    """input with src[i][j] (or a number) written at [i][index[i][j]] for dim = 1."""
    src = value if src is None else src
    src_shape = src.array.shape if isinstance(src, Variable) and src.array.ndim else None
    dim, array = _index_array("scatter", input, dim, index, src_shape)
    if array.size == 0:
        return mul(input, 1)
    if isinstance(src, Variable) and src.array.dtype != input.array.dtype:
        raise RuntimeError(
            f"scatter(): Expected self.dtype to be equal to src.dtype, got {input.dtype} and {src.dtype}"
        )
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise RuntimeError("reduce argument must be either add or multiply.")
        if not isinstance(src, Variable):
            xp = array_module(input.array)
            src = wrap(xp.full(array.shape, src, input.array.dtype))
        name = {"add": "sum", "multiply": "prod"}[reduce]
        return scatter_reduce(input, dim, index, src, name)
    return scatter_along(input, src, index=array, dim=dim)


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input with src[i][j] added at [i][index[i][j]] for dim = 1."""
    dim, array = _index_array("scatter_add", input, dim, index, src.array.shape)
    if array.size == 0:
        return mul(input, 1)
    return add_arrays(input, scatter_add_along(src, index=array, dim=dim, shape=input.array.shape))


@primitive(name="ScatterReduce")
def scatter_extremum(xp, x, src, *, index, dim, largest):
    """x with the largest (or smallest) of itself and the numbers scattered to each place."""
    out = x.copy()
    region = tuple(slice(n) for n in index.shape)
    name = "maximum" if largest else "minimum"
    combine_at(xp, name, out, _along(xp, index, dim), src[region])
    return out


def _extremum_parts(out, x, src, index, dim, src_shape, x_shape):
    """Where x and src attain the extremum, and how many share each place."""
    mine = x == out
    theirs = src == pad_to(gather_along(out, index=index, dim=dim), shape=src_shape)
    mine, theirs = mul(mine, 1.0 + 0 * x), mul(theirs, 1.0 + 0 * src)
    count = mine + scatter_add_along(theirs, index=index, dim=dim, shape=x_shape)
    return mine, theirs, count


def _extremum_x(g, out, x, src, index, dim, src_shape, x_shape):
    mine, _, count = _extremum_parts(out, x, src, index, dim, src_shape, x_shape)
    return g * mine / count


def _extremum_src(g, out, x, src, index, dim, src_shape, x_shape):
    _, theirs, count = _extremum_parts(out, x, src, index, dim, src_shape, x_shape)
    share = pad_to(gather_along(g / count, index=index, dim=dim), shape=src_shape)
    return theirs * share


scatter_extremum.vjp(x=_extremum_x, src=_extremum_src)
scatter_extremum.samples(
    lambda rand: [
        (rand(3, 4), rand(3, 2), {"index": rand.ints(4, 3, 2), "dim": 1, "largest": True}),
        (rand(3, 4), rand(3, 2), {"index": rand.ints(4, 3, 2), "dim": 1, "largest": False}),
    ]
)


@primitive(name="ScatterReduce")
def scatter_product(xp, x, src, *, index, dim):
    """x times the product of the numbers scattered to each place (none of them zero)."""
    region = tuple(slice(n) for n in index.shape)
    if xp is numpy:
        out = x.copy()
        xp.multiply.at(out, _along(xp, index, dim), src[region])
        return out
    # CUDA has no atomic product: in main memory
    out, index = host(x), host(index)
    numpy.multiply.at(out, _along(numpy, index, dim), host(src[region]))
    return xp.asarray(out)


scatter_product.vjp(
    x=lambda g, out, x: g * out / x,
    src=lambda g, out, src, src_shape, index, dim: (
        pad_to(gather_along(g * out, index=index, dim=dim), shape=src_shape) / src
    ),
)
scatter_product.samples(
    lambda rand: [(rand(3, 4), rand(3, 2), {"index": rand.ints(4, 3, 2), "dim": 1})]
)


def scatter_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str | bool,
    *,
    include_self: bool = True,
) -> Tensor:
    """Numbers scattered as by scatter_add, joined by sum, prod, mean, amax or amin."""
    dim, array = _index_array("scatter_reduce", input, dim, index, src.array.shape)
    xp = array_module(input.array)
    base = input
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "reduce argument must be either sum, prod, mean, amax or amin, got " + str(reduce)
        )
    if array.size == 0:
        return mul(input, 1)
    hit = xp.zeros(input.array.shape, builtins.bool)
    hit[_along(xp, array, dim)] = True
    if not include_self:
        neutral = {"sum": 0, "mean": 0, "prod": 1, "amax": -math.inf, "amin": math.inf}[reduce]
        if input.array.dtype.kind in "iu" and math.isinf(neutral):
            info = numpy.iinfo(input.array.dtype)
            neutral = info.min if neutral < 0 else info.max
        base = choose(hit, neutral, input)
    if reduce in ("sum", "mean"):
        out = add_arrays(
            base, scatter_add_along(src, index=array, dim=dim, shape=input.array.shape)
        )
        if reduce == "sum":
            return out
        ones = xp.ones(src.array.shape, input.array.dtype)
        count = scatter_add_along(ones, index=array, dim=dim, shape=input.array.shape)
        count = count + 1 if include_self else xp.maximum(count, 1)
        if input.array.dtype.kind in "iu":
            return wrap(out.array // count)
        return out / wrap(count)
    if reduce == "prod":
        return scatter_product(base, src, index=array, dim=dim)
    return scatter_extremum(base, src, index=array, dim=dim, largest=reduce == "amax")


# -- whole slices ----------------------------------------------------------------------------------


def _vector_index(name, x, dim, index):
    dim = one_axis(name, dim, x.array.ndim)
    array = index.array.reshape(-1) if index.array.ndim == 0 else index.array
    if array.ndim != 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, got shape {tuple(array.shape)}"
        )
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index, got {array.dtype}")
    size = x.array.shape[dim] if x.array.ndim else 1
    if array.size and (array.min() < 0 or array.max() >= size):
        worst = array.max() if array.max() >= size else array.min()
        raise IndexError(
            f"{name}(): index {int(worst)} out of range for dimension {dim} of size {size}"
        )
    return dim, array


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along dim that a vector of indices names, in its order."""
    dim, array = _vector_index("index_select", input, dim, index)
    if input.array.ndim == 0:
        return mul(input, 1)
    return take_slices(input, index=array, dim=dim)


def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """input with alpha * source[k] added to slice index[k] along dim."""
    dim, array = _vector_index("index_add", input, dim, index)
    if source.array.shape[dim : dim + 1] != array.shape:
        raise RuntimeError(
            f"index_add(): Number of indices ({array.size}) should be equal to source.size(dim): "
            f"{tuple(source.array.shape)}, for dim: {dim}"
        )
    added = add_slices(source, index=array, dim=dim, size=input.array.shape[dim])
    return add_arrays(input, added if alpha == 1 else mul(added, alpha))


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """input with slice index[k] along dim replaced by source[k]."""
    dim, array = _vector_index("index_copy", input, dim, index)
    return set_advanced(input, source, index=(slice(None),) * dim + (array,))


def index_fill(input: Tensor, dim: int, index: Tensor, value: float) -> Tensor:
    """input with the slices that a vector of indices names filled with a number."""
    dim, array = _vector_index("index_fill", input, dim, index)
    return set_advanced(input, value, index=(slice(None),) * dim + (array,))


def index_put(input: Tensor, indices: Tensor, values, accumulate: bool = False) -> Tensor:
    """input with `values` written (or added) at a tuple of index tensors."""
    cleaned, _ = _normalise(tuple(indices), input.array)
    if not accumulate:
        return set_advanced(input, values, index=cleaned)
    region = input.array[cleaned].shape
    values = expand_to(values, shape=region) if values.array.shape != region else values
    return add_arrays(input, add_advanced(values, index=cleaned, shape=input.array.shape))


def take(input: Tensor, index: Tensor) -> Tensor:
    """The numbers at these positions of the flattened tensor, in the shape of `index`."""
    check_index("take", index.array, input.array.size, 0)
    return get_advanced(ravel(input), index=(index.array,))


# -- masks -----------------------------------------------------------------------------------------


def _mask(name, mask):
    if not isinstance(mask, Variable):
        raise TypeError(f"{name}(): argument 'mask' must be Tensor, not {type(mask).__name__}")
    if mask.array.dtype.kind != "b":
        raise RuntimeError(
            f"{name}: expected self.dtype to be Bool but got {mask.dtype}: mask with a comparison, "
            "or mask.bool()"
        )
    return mask.array


def masked_fill(input: Tensor, mask: Tensor, value: float | Tensor) -> Tensor:
    """input with a number wherever the mask is True (which may broadcast)."""
    array = _mask("masked_fill", mask)
    if isinstance(value, Variable) and value.array.ndim:
        raise RuntimeError(
            "masked_fill only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.array.ndim} dimension(s)."
        )
    if input.array.dtype.kind in "iu" and isinstance(value, builtins.float) and value != int(value):
        raise RuntimeError("value cannot be converted to type int64_t without overflow")
    if not isinstance(value, Variable):
        value = input.array.dtype.type(value)
        value = wrap(array_module(input.array).asarray(value))
    elif value.array.dtype != input.array.dtype:
        value = cast(value, dtype=input.array.dtype)
    return choose(array, value, input)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The numbers where the mask is True, as a vector."""
    array = _mask("masked_select", mask)
    xp = array_module(array)
    shape = numpy.broadcast_shapes(input.array.shape, array.shape)
    input = input if input.array.shape == shape else expand_to(input, shape=shape)
    return get_advanced(input, index=(xp.broadcast_to(array, shape),))


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """input with the True places of the mask filled from `source`, in order."""
    array = _mask("masked_scatter", mask)
    xp = array_module(array)
    array = xp.broadcast_to(array, input.array.shape)
    count = int(array.sum())
    if source.array.size < count:
        raise RuntimeError(
            "masked_scatter: expected self to have at least as many elements as the mask selects: "
            f"{count} places, {source.array.size} numbers"
        )
    values = get_basic(reshape_to(source, shape=(source.array.size,)), index=(slice(count), ...))
    return set_advanced(input, values, index=(array,))


def where(
    condition: Tensor,
    input: Tensor | None = None,
    other: Tensor | float | None = None,
    *,
    out: Tensor | None = None,
):
    """`input` where the condition holds, else `other`; alone, the indices where it holds."""
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    if not isinstance(condition, Variable):
        raise TypeError(f"where(): condition must be a Tensor, not {type(condition).__name__}")
    if condition.array.dtype.kind != "b" and condition.array.dtype != numpy.uint8:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
        )
    mask = condition.array if condition.array.dtype.kind == "b" else condition.array != 0
    if not isinstance(input, Variable) and not isinstance(other, Variable):
        kind = builtins.float if builtins.float in (type(input), type(other)) else type(input)
        xp = array_module(mask)
        input = wrap(xp.asarray(input, None if kind is not builtins.float else default_numpy()))
    result = choose_promoted(mask, input, other)
    return result if out is None else out._assign_out(result, "where")


def choose_promoted(mask, x, y):
    """`choose` with x and y brought to torch's common dtype first."""
    arrays = [v.array if isinstance(v, Variable) else v for v in (x, y)]
    wanted = common(arrays)
    x, y = (
        cast(v, dtype=wanted) if isinstance(v, Variable) and v.array.dtype != wanted else v
        for v in (x, y)
    )
    return choose(mask, x, y)


def nonzero(input: Tensor, *, as_tuple: bool = False):
    """Where the numbers are not zero: an n x ndim tensor, or a tuple of ndim vectors."""
    xp = array_module(input.array)
    if as_tuple:
        return tuple(wrap(i.astype("int64")) for i in xp.nonzero(xp.atleast_1d(input.array)))
    if input.array.ndim == 0:
        return wrap(xp.zeros((int(input.array != 0), 0), "int64"))
    return wrap(xp.stack(xp.nonzero(input.array), 1).astype("int64"))


def argwhere(input: Tensor) -> Tensor:
    """Where the numbers are not zero, as an n x ndim tensor."""
    return nonzero(input)
