"""Order statistics: sort, topk, median, unique, counting, searching."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

import numpy

from ..backend import array_module, host, to_device
from ..op import Variable, wrap
from .axes import one_axis
from .index import gather_along
from .reduce import take_along
from .results import return_type
from .shape import ravel, reshape

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "argsort", "bincount", "bucketize", "cummax", "cummin", "histc", "isin", "kthvalue", "median",
    "mode", "msort", "nanmedian", "quantile", "searchsorted", "sort", "topk", "unique",
    "unique_consecutive",
]  # fmt: skip


def _order(array, dim, descending):
    """Indices that sort along dim, equal numbers in their order; NaN counts as the largest."""
    xp = array_module(array)
    if not descending:
        return xp.argsort(array, dim, kind="stable")
    flipped = xp.argsort(xp.flip(array, dim), dim, kind="stable")
    return array.shape[dim] - 1 - xp.flip(flipped, dim)


def _taken(name, input, index, dim):
    """(values, indices) along dim, with the gradient of the values."""
    values = take_along(input, index=index, dim=dim)
    return return_type(name, values=values, indices=wrap(index.astype("int64", copy=False)))


def _zero_dim(name, input):
    return return_type(name, values=input.clone(), indices=wrap(numpy.zeros((), numpy.int64)))


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False):
    """(values, indices) in ascending or descending order along dim; equal numbers keep their order."""
    dim = one_axis("sort", dim, input.array.ndim)
    if input.array.ndim == 0:
        return _zero_dim("sort", input)
    return _taken("sort", input, _order(input.array, dim, descending), dim)


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that would sort the tensor along dim."""
    return sort(input, dim, descending).indices


def msort(input: Tensor) -> Tensor:
    """Sorted along the first dimension."""
    return sort(input, 0).values


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True):
    """(values, indices) of the k largest (or smallest) numbers along dim, the extreme one first."""
    dim = one_axis("topk", dim, input.array.ndim)
    size = input.array.shape[dim] if input.array.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(
            f"topk: selected index k out of range: k={k} of {size} along dimension {dim}"
        )
    if input.array.ndim == 0:
        return _zero_dim("topk", input)
    return _taken("topk", input, _topmost(input.array, dim, k, largest), dim)


def _topmost(array, dim, k, largest):
    """The first k of `_order`: few of many are found by partition, without sorting all."""
    xp = array_module(array)
    size = array.shape[dim]
    if 0 < k <= size // 8:
        rows = xp.moveaxis(array, dim, -1)
        place = size - k if largest else k - 1
        limit = xp.partition(rows, place, -1)[..., place : place + 1]  # the k-th of each row
        among = rows >= limit if largest else rows <= limit
        if (among.sum(-1) == k).all():  # neither NaN nor others equal to the k-th
            index = xp.nonzero(among)[-1].reshape(*rows.shape[:-1], k)
            order = _order(xp.take_along_axis(rows, index, -1), rows.ndim - 1, largest)
            return xp.moveaxis(xp.take_along_axis(index, order, -1), -1, dim)
    return _order(array, dim, largest)[(slice(None),) * dim + (slice(k),)]


def _pick(name, input, dim, keepdim, place):
    """The number at one place of the order along dim."""
    if input.array.ndim == 0:
        return _zero_dim(name, input)
    order = _order(input.array, dim, False)
    xp = array_module(order)
    place = xp.broadcast_to(xp.asarray(place), order.shape[:dim] + (1,) + order.shape[dim + 1 :])
    index = xp.take_along_axis(order, place, dim)
    values = take_along(input, index=index, dim=dim)
    index = wrap(index.astype("int64", copy=False))
    if not keepdim:
        values, index = values.squeeze(dim), index.squeeze(dim)
    return return_type(name, values=values, indices=index)


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False):
    """(values, indices) of the k-th smallest number along dim, counting from 1."""
    dim = one_axis("kthvalue", dim, input.array.ndim)
    size = input.array.shape[dim] if input.array.ndim else 1
    if not 1 <= k <= size:
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {dim}: k={k} of {size}"
        )
    return _pick("kthvalue", input, dim, keepdim, k - 1)


def median(input: Tensor, dim: int | None = None, keepdim: bool = False):
    """The lower median of all numbers; with dim, (values, indices) along it. NaN wins."""
    if dim is None:
        flat = ravel(input)
        if flat.array.size == 0:
            raise RuntimeError("median: an empty tensor has no median")
        return _median("median", flat, 0, False).values
    return _median("median", input, one_axis("median", dim, input.array.ndim), keepdim)


def _median(name, input, dim, keepdim, skip_nan=False):
    xp = array_module(input.array)
    size = input.array.shape[dim] if input.array.ndim else 1
    nan = (input.array != input.array).sum(dim, keepdims=True) if input.array.ndim else 0
    place = (size - nan - 1) // 2 if skip_nan else xp.where(nan > 0, size - nan, (size - 1) // 2)
    return _pick(name, input, dim, keepdim, xp.maximum(place, 0))


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False):
    """The lower median of the numbers that are not NaN."""
    if dim is None:
        return _median("nanmedian", ravel(input), 0, False, skip_nan=True).values
    dim = one_axis("nanmedian", dim, input.array.ndim)
    return _median("nanmedian", input, dim, keepdim, skip_nan=True)


def quantile(
    input: Tensor,
    q,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The q-quantile(s) along dim, or of all numbers; interpolated between neighbours."""
    shape = input.array.ndim
    flat = dim is None
    x = ravel(input) if flat else input
    dim = one_axis("quantile", 0 if flat else dim, x.array.ndim)
    fractions = host(q.array) if isinstance(q, Variable) else numpy.asarray(q, x.array.dtype)
    if ((fractions < 0) | (fractions > 1)).any():
        raise RuntimeError("quantile() q must be in the range [0, 1]")
    ordered = sort(x, dim).values.movedim(dim, 0)
    place = fractions.reshape(-1) * (ordered.array.shape[0] - 1)
    low = numpy.floor(place)
    modes = {"lower": low, "higher": numpy.ceil(place), "nearest": numpy.round(place)}
    if interpolation in modes:
        out = ordered[wrap(modes[interpolation].astype("int64"))]
    elif interpolation in ("linear", "midpoint"):
        weight = place - low if interpolation == "linear" else numpy.where(place > low, 0.5, 0.0)
        weight = weight.astype(x.array.dtype).reshape(-1, *[1] * (ordered.array.ndim - 1))
        high = numpy.ceil(place).astype("int64")
        lower, upper = ordered[wrap(low.astype("int64"))], ordered[wrap(high)]
        out = lower + (upper - lower) * wrap(to_device(weight, x.device))
    else:
        raise RuntimeError(
            "quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but "
            f"got {interpolation}"
        )
    if keepdim:
        out = out.unsqueeze(dim + 1) if not flat else reshape(out, (-1, *[1] * shape))
    return out if fractions.ndim else out[0]


def mode(input: Tensor, dim: int = -1, keepdim: bool = False):
    """(values, indices) of the most frequent number along dim, the smallest of equally frequent ones."""
    dim = one_axis("mode", dim, input.array.ndim)
    if input.array.ndim == 0:
        return _zero_dim("mode", input)
    xp = array_module(input.array)
    rows = xp.moveaxis(input.array, dim, -1)
    found = xp.empty(rows.shape[:-1], "int64")
    for place in numpy.ndindex(rows.shape[:-1]):
        values, counts = xp.unique(rows[place], return_counts=True)
        found[place] = xp.nonzero(rows[place] == values[counts.argmax()])[0][-1]
    index = xp.expand_dims(found, dim)
    values = take_along(input, index=index, dim=dim)
    if not keepdim:
        values, index = values.squeeze(dim), found
    return return_type("mode", values=values, indices=wrap(index))


def _cumulative(name, input, dim, better):
    dim = one_axis(name, dim, input.array.ndim)
    if input.array.ndim == 0:
        return _zero_dim(name, input)
    xp = array_module(input.array)
    rows = xp.moveaxis(input.array, dim, 0)
    index = xp.zeros(rows.shape, "int64")
    best = rows[0].copy() if len(rows) else rows
    for i in builtins.range(1, len(rows)):
        take = better(rows[i], best) | (rows[i] != rows[i])
        index[i] = xp.where(take, i, index[i - 1])
        best = xp.where(take, rows[i], best)
    index = xp.moveaxis(index, 0, dim)
    values = gather_along(input, index=index, dim=dim)
    return return_type(name, values=values, indices=wrap(xp.ascontiguousarray(index)))


def cummax(input: Tensor, dim: int):
    """(values, indices) of the largest number so far along dim, the latest of equal ones."""
    return _cumulative("cummax", input, dim, lambda new, best: new >= best)


def cummin(input: Tensor, dim: int):
    """(values, indices) of the smallest number so far along dim, the latest of equal ones."""
    return _cumulative("cummin", input, dim, lambda new, best: new <= best)


# -- sets and counts -------------------------------------------------------------------------------


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
):
    """The different numbers (or slices along dim), in ascending order."""
    xp = array_module(input.array)
    found = xp.unique(input.array, return_inverse=True, return_counts=True, axis=dim)
    values, inverse, counts = found
    shape = input.array.shape if dim is None else (-1,)
    out = [wrap(values)]
    if return_inverse:
        out.append(wrap(inverse.reshape(shape).astype("int64")))
    if return_counts:
        out.append(wrap(counts.astype("int64")))
    return out[0] if len(out) == 1 else tuple(out)


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
):
    """Runs of equal numbers (or slices along dim) reduced to one each."""
    xp = array_module(input.array)
    rows = input.array.reshape(-1) if dim is None else xp.moveaxis(input.array, dim, 0)
    flat = rows.reshape(len(rows), -1)
    new = xp.ones(len(rows), builtins.bool)
    new[1:] = (flat[1:] != flat[:-1]).any(1)
    values = rows[new]
    if dim is not None:
        values = xp.moveaxis(values, 0, dim)
    inverse = xp.cumsum(new) - 1
    out = [wrap(values)]
    if return_inverse:
        shape = input.array.shape if dim is None else (-1,)
        out.append(wrap(inverse.reshape(shape).astype("int64")))
    if return_counts:
        out.append(wrap(xp.bincount(inverse, minlength=0).astype("int64")))
    return out[0] if len(out) == 1 else tuple(out)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often every number from 0 up occurs in a vector of integers, or the sum of its weights."""
    if input.array.ndim != 1 or input.array.dtype.kind not in "iu":
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if input.array.size and input.array.min() < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    xp = array_module(input.array)
    given = None if weights is None else weights.array
    out = xp.bincount(input.array, given, minlength)
    return wrap(out.astype("int64" if weights is None else "float64"))


def histc(input: Tensor, bins: int = 100, min=0, max=0) -> Tensor:
    """How many numbers fall in each of `bins` equal intervals from min to max."""
    low, high = builtins.float(min), builtins.float(max)
    if low == high and input.array.size:
        low, high = builtins.float(input.array.min()), builtins.float(input.array.max())
    if low == high:
        low, high = low - 1, high + 1
    counts, _ = array_module(input.array).histogram(input.array, bins, (low, high))
    return wrap(counts.astype(input.array.dtype))


def searchsorted(
    sorted_sequence: Tensor,
    input: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    side=None,
) -> Tensor:
    """Where each number would have to go in a sorted sequence (each row in its own)."""
    right = right if side is None else side == "right"
    xp = array_module(sorted_sequence.array)
    values = input.array if isinstance(input, Variable) else xp.asarray(input)
    steps = sorted_sequence.array
    where = "right" if right else "left"
    if steps.ndim == 1:
        found = xp.searchsorted(steps, values, where)
    else:
        if steps.shape[:-1] != values.shape[:-1]:
            raise RuntimeError(
                "searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions "
                f"must match, got {list(steps.shape)} and {list(values.shape)}"
            )
        pairs = zip(
            steps.reshape(-1, steps.shape[-1]), values.reshape(-1, values.shape[-1]), strict=True
        )
        found = xp.stack([xp.searchsorted(s, v, where) for s, v in pairs]).reshape(values.shape)
    return wrap(xp.asarray(found).astype("int32" if out_int32 else "int64"))


def bucketize(
    input: Tensor, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Which interval between sorted boundaries each number falls into."""
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def isin(elements, test_elements, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """True where a number is among the test elements."""
    arrays = [x.array if isinstance(x, Variable) else x for x in (elements, test_elements)]
    xp = array_module(*arrays)
    return wrap(xp.asarray(xp.isin(*arrays, invert=invert)))
