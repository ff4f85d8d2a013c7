"""Operations that move numbers without changing them: views, joins, splits, repeats, flips.

The rules come in pairs: the gradient of one movement is the movement back. A view shares memory with
its input; where that is impossible, reshape copies and view refuses.
"""

from __future__ import annotations

import builtins
import itertools
import math
import operator
from typing import TYPE_CHECKING

import numpy

from .. import dtypes
from ..backend import add_at, array_module
from ..capture import joined
from ..op import Variable, primitive, wrap
from ..size import Size
from .axes import axes, one_axis
from .elementwise import sub_arrays
from .reduce import expand_to

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "as_strided", "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes",
    "broadcast_tensors", "broadcast_to", "cat", "chunk", "clone", "column_stack", "concat",
    "concatenate", "contiguous", "diag", "diag_embed", "diagflat", "diagonal", "diff", "dsplit",
    "dstack", "expand", "expand_as", "flatten", "flip", "fliplr", "flipud", "hsplit", "hstack",
    "is_floating_point", "is_tensor", "is_nonzero", "moveaxis", "movedim", "narrow", "numel",
    "permute", "ravel", "repeat", "repeat_interleave", "reshape", "reshape_as", "roll", "rot90",
    "row_stack", "select", "split", "squeeze", "stack", "swapaxes", "swapdims", "t",
    "tensor_split", "tile", "transpose", "tril", "triu", "unbind", "unflatten", "unfold",
    "unsqueeze", "view", "view_as", "vsplit", "vstack",
]  # fmt: skip


def sizes_of(name: str, given) -> tuple[int, ...]:
    """Sizes written as separate numbers or as one tuple, list or Size."""
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = given[0]
    try:
        return tuple(operator.index(n) for n in given)
    except TypeError:
        kinds = ", ".join(type(n).__name__ for n in given)
        raise TypeError(f"{name}(): sizes must be ints, got ({kinds})") from None


# -- reshape -----------------------------------------------------------------------------------


@primitive(name="View", view=True)
def reshape_to(xp, x, *, shape):
    """The same numbers in row-major order under another shape."""
    return x.reshape(shape)


reshape_to.vjp(x=lambda g, x_shape: reshape_to(g, shape=x_shape))
reshape_to.samples(
    lambda rand: [
        (rand(3, 4), {"shape": (2, 6)}),
        (rand(2, 3), {"shape": (6,)}),
        (rand(), {"shape": (1, 1)}),
        (rand(0, 3), {"shape": (3, 0)}),
    ]
)


def _full_shape(name, x, shape):
    """The shape with its one -1, if any, worked out."""
    size = x.array.size
    unknown = [i for i, n in enumerate(shape) if n == -1]
    known = math.prod(n for n in shape if n != -1)
    listed = list(shape)
    if len(unknown) > 1:
        raise RuntimeError(f"{name}: only one dimension can be inferred, got {listed}")
    if any(n < -1 for n in shape):
        raise RuntimeError(f"{name}: invalid shape dimension {builtins.min(shape)}")
    if unknown:
        if known == 0:
            raise RuntimeError(
                f"{name}: cannot reshape tensor of {size} elements into shape {listed} because "
                "the unspecified dimension size -1 can be any value and is ambiguous"
            )
        if size % known == 0:
            i = unknown[0]
            return shape[:i] + (size // known,) + shape[i + 1 :]
    elif known == size:
        return shape
    raise RuntimeError(
        f"{name}: shape '{listed}' is invalid for input of size {size} (shape {list(x.shape)})"
    )


def reshape(input: Tensor, *shape) -> Tensor:
    """The same numbers, in row-major order, in another shape; a view where that is possible."""
    shape = _full_shape("reshape", input, sizes_of("reshape", shape))
    return reshape_to(input, shape=shape)


def view(input: Tensor, *shape) -> Tensor:
    """As reshape, but never a copy: RuntimeError where the memory's order does not allow it.

    With a dtype instead of a shape: the same bytes read as numbers of that dtype.
    """
    if len(shape) == 1 and isinstance(shape[0], dtypes.dtype):
        out = wrap(input.array.view(shape[0].numpy))
        out._version = input._version
        return out
    shape = _full_shape("view", input, sizes_of("view", shape))
    out = reshape_to(input, shape=shape)
    if out._base is None and out.array.size:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead. "
            f"Got shape {list(input.shape)} and wanted {list(shape)}"
        )
    return out


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """The input viewed in the shape of another tensor."""
    return view(input, other.shape)


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """The input reshaped to the shape of another tensor."""
    return reshape(input, other.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim joined into one."""
    ndim = input.array.ndim
    start, end = one_axis("flatten", start_dim, ndim), one_axis("flatten", end_dim, ndim)
    if ndim == 0:
        return reshape(input, (1,))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if start == end:
        return input
    shape = input.array.shape
    joined = math.prod(shape[start : end + 1])
    return reshape(input, shape[:start] + (joined,) + shape[end + 1 :])


def ravel(input: Tensor) -> Tensor:
    """All numbers in one dimension."""
    return reshape(input, (input.array.size,))


def unflatten(input: Tensor, dim: int, sizes) -> Tensor:
    """One dimension split into several; one of the sizes may be -1."""
    dim = one_axis("unflatten", dim, input.array.ndim)
    sizes = sizes_of("unflatten", (tuple(sizes),))
    shape = input.array.shape
    known = math.prod(n for n in sizes if n != -1)
    if -1 in sizes and known and shape[dim] % known == 0:
        sizes = tuple(shape[dim] // known if n == -1 else n for n in sizes)
    if math.prod(sizes) != shape[dim]:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} "
            f"({shape[dim]}) in the input tensor"
        )
    return reshape(input, shape[:dim] + sizes + shape[dim + 1 :])


# -- the order of dimensions ---------------------------------------------------------------------


@primitive(name="Permute", view=True)
def permute_dims(xp, x, *, dims):
    """out[i_dims[0], i_dims[1], ...] = x[i_0, i_1, ...]."""
    return x.transpose(dims)


def _inverse(dims):
    order = [0] * len(dims)
    for place, d in enumerate(dims):
        order[d] = place
    return tuple(order)


permute_dims.vjp(x=lambda g, dims: permute_dims(g, dims=_inverse(dims)))
permute_dims.samples(
    lambda rand: [
        (rand(2, 3, 4), {"dims": (2, 0, 1)}),
        (rand(), {"dims": ()}),
        (rand(0, 2), {"dims": (1, 0)}),
    ]
)


@primitive(name="Transpose", view=True)
def swap_axes(xp, x, *, a, b):
    """Two dimensions exchanged."""
    return x.swapaxes(a, b)


swap_axes.vjp(x=lambda g, a, b: swap_axes(g, a=a, b=b))
swap_axes.samples(lambda rand: [(rand(2, 3, 4), {"a": 0, "b": 2}), (rand(2, 0), {"a": 0, "b": 1})])


@primitive(name="T", view=True)
def transpose_matrix(xp, x):
    """The transpose of a matrix."""
    return x.T


transpose_matrix.vjp(x=lambda g: transpose_matrix(g))
transpose_matrix.samples(lambda rand: [(rand(2, 3),), (rand(3),)])


def permute(input: Tensor, *dims) -> Tensor:
    """The dimensions in another order."""
    dims = sizes_of("permute", dims)
    ndim = input.array.ndim
    if len(dims) != ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {ndim} is not equal "
            f"to len(dims) = {len(dims)}"
        )
    order = tuple(one_axis("permute", d, ndim) for d in dims)
    if len(set(order)) < ndim:
        raise RuntimeError(f"permute(): duplicate dims are not allowed, got {dims}")
    return permute_dims(input, dims=order)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    ndim = input.array.ndim
    a, b = one_axis("transpose", dim0, ndim), one_axis("transpose", dim1, ndim)
    return swap_axes(input, a=a, b=b) if ndim else input


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; vectors and 0-d tensors stay as they are."""
    if input.array.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {input.array.ndim}D; use .mT"
        )
    return transpose_matrix(input)


def movedim(input: Tensor, source: Tensor, destination) -> Tensor:
    """Dimensions moved from some places to others, the rest staying in order."""
    source = (source,) if isinstance(source, int) else tuple(source)
    destination = (destination,) if isinstance(destination, int) else tuple(destination)
    ndim = input.array.ndim
    if len(source) != len(destination):
        raise RuntimeError("movedim: source and destination must have the same number of dims")
    source = [one_axis("movedim", d, ndim) for d in source]
    destination = [one_axis("movedim", d, ndim) for d in destination]
    if len(set(source)) < len(source) or len(set(destination)) < len(destination):
        raise RuntimeError("movedim: repeated dim in source or destination")
    order = [d for d in range(ndim) if d not in source]
    for to, d in sorted(zip(destination, source, strict=True)):
        order.insert(to, d)
    return permute(input, order)


# -- dimensions of size 1, repetition ------------------------------------------------------------


def squeeze(input: Tensor, dim: int | None = None) -> Tensor:
    """Dimensions of size 1 removed: all of them, or those named if they are of size 1."""
    shape = input.array.shape
    if dim is None:
        gone = {i for i, n in enumerate(shape) if n == 1}
    else:
        named = axes("squeeze", (dim,) if isinstance(dim, int) else dim or (), len(shape))
        gone = {i for i in named if shape[i] == 1} if dim != () else set()
    return squeeze_dims(input, shape=tuple(n for i, n in enumerate(shape) if i not in gone))


@primitive(name="Squeeze", view=True)
def squeeze_dims(xp, x, *, shape):
    """The numbers under a shape without some dimensions of size 1."""
    return x.reshape(shape)


@primitive(name="Unsqueeze", view=True)
def insert_dim(xp, x, *, dim):
    """The numbers with a new dimension of size 1 at dim."""
    return xp.expand_dims(x, dim)


@primitive(name="Squeeze", view=True)
def remove_dim(xp, x, *, dim):
    """The numbers without the dimension dim, which has size 1."""
    return x.squeeze(dim)


squeeze_dims.vjp(x=lambda g, x_shape: squeeze_dims(g, shape=x_shape))
insert_dim.vjp(x=lambda g, dim: remove_dim(g, dim=dim))
remove_dim.vjp(x=lambda g, dim: insert_dim(g, dim=dim))
squeeze_dims.samples(lambda rand: [(rand(3, 1, 2), {"shape": (3, 2)}), (rand(1), {"shape": ()})])
insert_dim.samples(lambda rand: [(rand(3, 2), {"dim": 1}), (rand(), {"dim": 0})])
remove_dim.samples(lambda rand: [(rand(3, 1, 2), {"dim": 1}), (rand(1), {"dim": 0})])


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new dimension of size 1 at `dim`."""
    return insert_dim(input, dim=one_axis("unsqueeze", dim, input.array.ndim + 1))


def expand(input: Tensor, *sizes) -> Tensor:
    """Dimensions of size 1 repeated, and new ones added in front, without a copy; -1 keeps a size."""
    sizes = sizes_of("expand", sizes)
    shape = input.array.shape
    extra = len(sizes) - len(shape)
    if extra < 0:
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(sizes)}) must be greater or equal to the "
            f"number of dimensions in the tensor ({len(shape)})"
        )
    full = list(sizes)
    for i, n in enumerate(sizes):
        have = shape[i - extra] if i >= extra else None
        if n == -1 and have is None:
            raise RuntimeError(
                f"expand: The expanded size of the tensor (-1) isn't allowed in a leading, "
                f"non-existing dimension {i}"
            )
        if n == -1:
            full[i] = have
        elif have is not None and have not in (1, n):
            raise RuntimeError(
                f"expand: The expanded size of the tensor ({n}) must match the existing size "
                f"({have}) at non-singleton dimension {i}. Target sizes: {list(sizes)}. "
                f"Tensor sizes: {list(shape)}"
            )
    return expand_to(input, shape=tuple(full))


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """The input expanded to the shape of another tensor."""
    return expand(input, other.shape)


def broadcast_to(input: Tensor, size) -> Tensor:
    """The input expanded to a shape."""
    return expand(input, tuple(size))


def broadcast_shapes(*shapes) -> Size:
    """The shape that tensors of these shapes broadcast to."""
    shapes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    longest = builtins.max((len(s) for s in shapes), default=0)
    out = [1] * longest
    for shape in shapes:
        for i, n in enumerate(shape, start=longest - len(shape)):
            if n != 1 and out[i] not in (1, n):
                raise RuntimeError(
                    "Shape mismatch: objects cannot be broadcast to a single shape: "
                    f"{', '.join(map(str, shapes))}"
                )
            out[i] = n if n != 1 else out[i]
    return Size(out)


def broadcast_tensors(*tensors) -> tuple[Tensor, ...]:
    """The tensors expanded to the shape that they share."""
    tensors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    shape = broadcast_shapes(*(x.array.shape for x in tensors))
    return tuple(expand(x, shape) for x in tensors)


def repeat(input: Tensor, *repeats) -> Tensor:
    """The tensor laid side by side with itself, repeats[i] times along dimension i (a copy)."""
    repeats = sizes_of("repeat", repeats)
    ndim = input.array.ndim
    if len(repeats) < ndim:
        raise RuntimeError(
            f"repeat: Number of dimensions of repeat dims ({len(repeats)}) can not be smaller than "
            f"number of dimensions of tensor ({ndim})"
        )
    shape = (1,) * (len(repeats) - ndim) + input.array.shape
    spread = tuple(v for n in shape for v in (1, n))
    wide = tuple(v for r, n in zip(repeats, shape, strict=True) for v in (r, n))
    final = tuple(r * n for r, n in zip(repeats, shape, strict=True))
    return copy(reshape_to(expand_to(reshape_to(input, shape=spread), shape=wide), shape=final))


def tile(input: Tensor, *dims) -> Tensor:
    """As repeat; missing repeats in front count as 1."""
    dims = sizes_of("tile", dims)
    return repeat(input, (1,) * (input.array.ndim - len(dims)) + dims)


@primitive(name="IndexSelect")
def take_slices(xp, x, *, index, dim):
    """x[..., index[k], ...] along dim."""
    return xp.take(x, index, dim)


@primitive(name="IndexAdd")
def add_slices(xp, x, *, index, dim, size):
    """Zeros of that size along dim, with slice k of x added at index[k]: transposes `take_slices`."""
    moved = xp.moveaxis(x, dim, 0)
    out = xp.zeros((size, *moved.shape[1:]), x.dtype)
    add_at(xp, out, index, moved)
    return xp.moveaxis(out, 0, dim)


take_slices.vjp(
    x=lambda g, x_shape, index, dim: add_slices(g, index=index, dim=dim, size=x_shape[dim])
)
add_slices.vjp(x=lambda g, index, dim: take_slices(g, index=index, dim=dim))
take_slices.samples(lambda rand: [(rand(3, 4), {"index": rand.ints(4, 6), "dim": 1})])
add_slices.samples(lambda rand: [(rand(3, 6), {"index": rand.ints(4, 6), "dim": 1, "size": 4})])


def repeat_interleave(
    input: Tensor, repeats, dim: int | None = None, *, output_size=None
) -> Tensor:
    """Each slice along dim (each number, if dim is None) repeated `repeats` times (or repeats[i])."""
    if dim is None:
        input, dim = ravel(input), 0
    dim = one_axis("repeat_interleave", dim, input.array.ndim)
    counts = repeats.array if isinstance(repeats, Variable) else repeats
    size = input.array.shape[dim]
    if getattr(counts, "ndim", 0) and counts.shape != (size,) and counts.size != 1:
        raise RuntimeError(
            f"repeat_interleave: repeats must have the same size as input along dim, but "
            f"repeats.size(0) = {counts.size} and input.size({dim}) = {size}"
        )
    xp = array_module(input.array)
    index = xp.repeat(xp.arange(size), counts)
    return take_slices(input, index=index, dim=dim)


# -- copies ----------------------------------------------------------------------------------------


@primitive(name="Clone")
def copy(xp, x):
    """The same numbers in memory of their own."""
    return xp.array(x, order="K")


copy.vjp(x=lambda g: g)
copy.samples(lambda rand: [(rand(3, 4),), (rand(),), (rand(0),)])


@primitive(name="Clone")
def row_major(xp, x):
    """The same numbers in row-major order in memory."""
    return xp.array(x, order="C")


row_major.vjp(x=lambda g: g)
row_major.samples(lambda rand: [(rand(3, 4),)])


def clone(input: Tensor, *, memory_format=None) -> Tensor:
    """A copy with memory of its own; gradients flow through it."""
    return copy(input)


def contiguous(input: Tensor, memory_format=None) -> Tensor:
    """The tensor itself if its numbers lie in row-major order, else a copy where they do."""
    return input if input.array.flags.c_contiguous else row_major(input)


# -- joining and splitting -------------------------------------------------------------------------


@primitive(name="Cat", cast="promote")
def join_along(xp, *xs, dim):
    """The tensors one after the other along dim."""
    return joined(xp, xs, dim)


def _pieces(g):
    """The gradients of an op's outputs, however many they are: one comes without its tuple."""
    return g if type(g) is tuple else (g,)


@primitive(name="Split", view=True)
def split_along(xp, x, *, dim, sections):
    """The pieces of x of these sizes along dim: one op, so that their gradients need one copy."""
    ends = list(itertools.accumulate(sections))
    before = (builtins.slice(None),) * dim
    return tuple(
        x[(*before, builtins.slice(end - n, end))] for n, end in zip(sections, ends, strict=True)
    )


def _side_by_side(pieces, dim):
    """The array of which these are the slices along dim, first to last; None if there is none."""
    first = pieces[0]
    base = getattr(first, "base", None)
    if len(pieces) < 2 or type(base) is not numpy.ndarray or not base.flags.c_contiguous:
        return None
    size = builtins.sum(piece.shape[dim] for piece in pieces)
    shape = (*first.shape[:dim], size, *first.shape[dim + 1 :])
    if base.size != math.prod(shape) or base.dtype != first.dtype:
        return None
    whole, at = base.reshape(shape), 0
    for piece in pieces:
        part = whole[(*(builtins.slice(None),) * dim, builtins.slice(at, at + piece.shape[dim]))]
        mine = type(piece) is numpy.ndarray and piece.base is base and piece.dtype == base.dtype
        if not mine or part.__array_interface__ != piece.__array_interface__:
            return None
        at += piece.shape[dim]
    return whole


def _rejoined(g, dim):
    """The gradient of a split: a copy of its pieces, or where they already lie in a row, that row."""
    pieces = _pieces(g)
    whole = _side_by_side(pieces, dim)
    return join_along(*pieces, dim=dim) if whole is None else whole


split_along.vjp(x=lambda g, dim: _rejoined(g, dim))
split_along.samples(
    lambda rand: [
        (rand(2, 5), {"dim": 1, "sections": (2, 0, 3)}),
        (rand(3), {"dim": 0, "sections": (1, 1, 1)}),
        (rand(3), {"dim": 0, "sections": (3,)}),
    ]
)
join_along.vjp(
    xs=lambda g, xs_shapes, dim: split_along(
        g, dim=dim, sections=tuple(shape[dim] for shape in xs_shapes)
    )
)
join_along.samples(
    lambda rand: [
        (rand(2, 3), rand(1, 3), {"dim": 0}),
        (rand(2, 3), rand(2, 0), rand(2, 2), {"dim": 1}),
    ]
)


@primitive(name="Slice", view=True)
def slice_along(xp, x, *, dim, start, stop, step=1):
    """x[start:stop:step] along dim."""
    return x[(builtins.slice(None),) * dim + (builtins.slice(start, stop, step),)]


@primitive(name="SliceBackward")
def unslice_along(xp, x, *, dim, start, stop, step, size):
    """Zeros of that size along dim, but for x at start:stop:step: transposes `slice_along`."""
    out = xp.zeros(x.shape[:dim] + (size,) + x.shape[dim + 1 :], x.dtype)
    out[(builtins.slice(None),) * dim + (builtins.slice(start, stop, step),)] = x
    return out


slice_along.vjp(
    x=lambda g, x_shape, dim, start, stop, step: unslice_along(
        g, dim=dim, start=start, stop=stop, step=step, size=x_shape[dim]
    )
)
unslice_along.vjp(
    x=lambda g, dim, start, stop, step: slice_along(g, dim=dim, start=start, stop=stop, step=step)
)
slice_along.samples(
    lambda rand: [
        (rand(3, 5), {"dim": 1, "start": 1, "stop": 4}),
        (rand(5), {"dim": 0, "start": 0, "stop": 5, "step": 2}),
    ]
)
unslice_along.samples(
    lambda rand: [(rand(3, 2), {"dim": 1, "start": 1, "stop": 4, "step": 2, "size": 5})]
)


def _list_of_tensors(name, tensors):
    if isinstance(tensors, Variable) or not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' must be tuple of Tensors, not {type(tensors).__name__}"
        )
    for i, x in enumerate(tensors):
        if not isinstance(x, Variable):
            raise TypeError(
                f"{name}(): expected Tensor as element {i} in argument 0, but got {type(x).__name__}"
            )
    if not tensors:
        raise RuntimeError(f"{name}(): expected a non-empty list of Tensors")
    return list(tensors)


def cat(tensors, dim: int = 0, *, axis=None, out: Tensor | None = None) -> Tensor:
    """The tensors one after the other along an existing dimension."""
    tensors = _list_of_tensors("cat", tensors)
    dim = dim if axis is None else axis
    # a 1-d empty tensor joins anything, as in torch
    kept = [x for x in tensors if x.array.shape != (0,)] or tensors[:1]
    first = kept[0].array.shape
    if not first:
        raise RuntimeError(
            "cat: zero-dimensional tensor (at position 0) cannot be concatenated; use stack"
        )
    dim = one_axis("cat", dim, len(first))
    for i, x in enumerate(kept):
        shape = x.array.shape
        if len(shape) != len(first):
            raise RuntimeError(
                f"cat: Tensors must have same number of dimensions: got {len(first)} and {len(shape)}"
            )
        for d, (a, b) in enumerate(zip(first, shape, strict=True)):
            if a != b and d != dim:
                raise RuntimeError(
                    f"cat: Sizes of tensors must match except in dimension {dim}. Expected size "
                    f"{a} but got size {b} for tensor number {i} in the list (shapes "
                    f"{[tuple(t.array.shape) for t in kept]})."
                )
    result = join_along(*kept, dim=dim)
    return result if out is None else out._assign_out(result, "cat")


def stack(tensors, dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """The tensors, all of one shape, one after the other along a new dimension."""
    tensors = _list_of_tensors("stack", tensors)
    first = tensors[0].array.shape
    for i, x in enumerate(tensors):
        if x.array.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and "
                f"{list(x.array.shape)} at entry {i}"
            )
    dim = one_axis("stack", dim, len(first) + 1)
    result = join_along(*[insert_dim(x, dim=dim) for x in tensors], dim=dim)
    return result if out is None else out._assign_out(result, "stack")


def atleast_1d(*tensors):
    """0-d tensors with one dimension; several give a tuple."""
    return _atleast(tensors, lambda x: reshape(x, (1,)) if x.array.ndim == 0 else x)


def atleast_2d(*tensors):
    """Tensors with at least two dimensions, new ones in front."""
    return _atleast(tensors, lambda x: x if x.array.ndim > 1 else reshape(x, (1, x.array.size)))


def atleast_3d(*tensors):
    """Tensors with at least three dimensions; matrices get theirs at the end."""

    def deepen(x):
        if x.array.ndim >= 3:
            return x
        return unsqueeze(x, -1) if x.array.ndim == 2 else reshape(x, (1, x.array.size, 1))

    return _atleast(tensors, deepen)


def _atleast(tensors, change):
    if len(tensors) == 1 and isinstance(tensors[0], Variable):
        return change(tensors[0])
    tensors = tensors[0] if len(tensors) == 1 else tensors
    return tuple(change(x) for x in tensors)


def hstack(tensors) -> Tensor:
    """Side by side: along dimension 1, vectors along 0."""
    tensors = [atleast_1d(x) for x in _list_of_tensors("hstack", tensors)]
    return cat(tensors, 0 if tensors[0].array.ndim == 1 else 1)


def vstack(tensors) -> Tensor:
    """One below the other, vectors as rows."""
    return cat([atleast_2d(x) for x in _list_of_tensors("vstack", tensors)], 0)


def dstack(tensors) -> Tensor:
    """One behind the other, along dimension 2."""
    return cat([atleast_3d(x) for x in _list_of_tensors("dstack", tensors)], 2)


def column_stack(tensors) -> Tensor:
    """Side by side, vectors as columns."""
    tensors = _list_of_tensors("column_stack", tensors)
    return hstack([reshape(x, (x.array.size, 1)) if x.array.ndim < 2 else x for x in tensors])


def split(input: Tensor, split_size_or_sections, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces along dim: of one size (the last may be smaller), or of the sizes in a list."""
    dim = one_axis("split", dim, input.array.ndim)
    if input.array.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    total = input.array.shape[dim]
    if isinstance(split_size_or_sections, int):
        each = split_size_or_sections
        if each < 0 or (each == 0 and total):
            raise RuntimeError(
                f"split expects split_size be non-negative, but got split_size={each}"
            )
        count = builtins.max(-(-total // each), 1) if each else 1
        sections = [builtins.min(each, total - i * each) for i in range(count)]
    else:
        sections = [operator.index(n) for n in split_size_or_sections]
        if builtins.sum(sections) != total or builtins.min(sections, default=0) < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {total} (input tensor's "
                f"size at dimension {dim}), but got split_sizes={sections}"
            )
    return split_along(input, dim=dim, sections=tuple(sections))


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size along dim, the last one possibly smaller."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim = one_axis("chunk", dim, input.array.ndim)
    return split(input, builtins.max(-(-input.array.shape[dim] // chunks), 1), dim)


def tensor_split(input: Tensor, indices_or_sections, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces along dim: that many, as equal as can be, or cut at the given indices."""
    dim = one_axis("tensor_split", dim, input.array.ndim)
    total = input.array.shape[dim]
    if isinstance(indices_or_sections, Variable):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count <= 0:
            raise RuntimeError(
                f"tensor_split: number of sections must be larger than 0, got {count}"
            )
        each, rest = divmod(total, count)
        cuts = [i * each + builtins.min(i, rest) for i in range(count + 1)]
    else:
        ends = (builtins.min(i, total) if i >= 0 else total + i for i in indices_or_sections)
        cuts = [0, *ends, total]
    return tuple(
        slice_along(input, dim=dim, start=a, stop=builtins.max(a, b))
        for a, b in zip(cuts, cuts[1:], strict=False)
    )


def hsplit(input: Tensor, indices_or_sections) -> tuple[Tensor, ...]:
    """tensor_split along dimension 1 (0 for vectors)."""
    return tensor_split(input, indices_or_sections, 0 if input.array.ndim == 1 else 1)


def vsplit(input: Tensor, indices_or_sections) -> tuple[Tensor, ...]:
    """tensor_split along dimension 0."""
    return tensor_split(input, indices_or_sections, 0)


def dsplit(input: Tensor, indices_or_sections) -> tuple[Tensor, ...]:
    """tensor_split along dimension 2."""
    return tensor_split(input, indices_or_sections, 2)


@primitive(name="Select", view=True)
def select_at(xp, x, *, dim, index):
    """x[index] along dim, which disappears."""
    return x[(builtins.slice(None),) * dim + (index, ...)]


@primitive(name="SelectBackward")
def unselect_at(xp, x, *, dim, index, size):
    """Zeros of that size along a new dimension dim, but for x at index: transposes `select_at`."""
    out = xp.zeros(x.shape[:dim] + (size,) + x.shape[dim:], x.dtype)
    out[(builtins.slice(None),) * dim + (index, ...)] = x
    return out


select_at.vjp(
    x=lambda g, x_shape, dim, index: unselect_at(g, dim=dim, index=index, size=x_shape[dim])
)
unselect_at.vjp(x=lambda g, dim, index: select_at(g, dim=dim, index=index))
select_at.samples(
    lambda rand: [(rand(3, 4), {"dim": 1, "index": 2}), (rand(3), {"dim": 0, "index": 0})]
)
unselect_at.samples(lambda rand: [(rand(3), {"dim": 1, "index": 2, "size": 4})])


def select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slice at `index` along dim, without that dimension."""
    dim = one_axis("select", dim, input.array.ndim)
    size = input.array.shape[dim] if input.array.ndim else 0
    index = operator.index(index)
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.array.shape)} at "
            f"dimension {dim}"
        )
    return select_at(input, dim=dim, index=index % size)


@primitive(name="Unbind", view=True)
def unbind_along(xp, x, *, dim):
    """All slices of x along dim: one op, so that their gradients need one copy."""
    before = (builtins.slice(None),) * dim
    return tuple(x[(*before, i, ...)] for i in range(x.shape[dim]))


unbind_along.vjp(
    x=lambda g, dim: join_along(*[insert_dim(x, dim=dim) for x in _pieces(g)], dim=dim)
)
unbind_along.samples(
    lambda rand: [(rand(3, 2), {"dim": 0}), (rand(2, 3), {"dim": 1}), (rand(1, 2), {"dim": 0})]
)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along dim, as a tuple."""
    dim = one_axis("unbind", dim, input.array.ndim)
    if input.array.ndim == 0:
        raise RuntimeError("unbind: Dimension specified as 0 but tensor has no dimensions")
    return unbind_along(input, dim=dim) if input.array.shape[dim] else ()


def narrow(input: Tensor, dim: int, start, length) -> Tensor:
    """`length` slices along dim, from `start` on."""
    dim = one_axis("narrow", dim, input.array.ndim)
    size = input.array.shape[dim]
    start = int(start)
    begin = start + size if start < 0 else start
    if not 0 <= begin <= size:
        raise IndexError(f"narrow: start (={start}) is out of range for a dimension of size {size}")
    if length < 0 or begin + length > size:
        raise RuntimeError(
            f"narrow: start ({start}) + length ({length}) exceeds dimension size ({size})."
        )
    return slice_along(input, dim=dim, start=begin, stop=begin + length)


# -- flips, rolls, diagonals -----------------------------------------------------------------------


@primitive(name="Flip")
def reverse_dims(xp, x, *, dims):
    """x with some dimensions in reverse order (a copy)."""
    return xp.flip(x, dims).copy()


reverse_dims.vjp(x=lambda g, dims: reverse_dims(g, dims=dims))
reverse_dims.samples(lambda rand: [(rand(2, 3), {"dims": (0, 1)}), (rand(3), {"dims": (0,)})])


def flip(input: Tensor, *dims) -> Tensor:
    """Some dimensions in reverse order (a copy)."""
    dims = sizes_of("flip", dims)
    return reverse_dims(input, dims=axes("flip", dims, input.array.ndim) if dims else ())


def fliplr(input: Tensor) -> Tensor:
    """Columns in reverse order."""
    if input.array.ndim < 2:
        raise RuntimeError("fliplr: Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """Rows in reverse order."""
    if input.array.ndim < 1:
        raise RuntimeError("flipud: Input must be >= 1-d.")
    return flip(input, 0)


def rot90(input: Tensor, k: int = 1, dims=(0, 1)) -> Tensor:
    """Turned by k quarter turns in the plane of two dimensions, from the first to the second."""
    a, b = (one_axis("rot90", d, input.array.ndim) for d in dims)
    if a == b:
        raise RuntimeError("rot90: expected both dims to be different")
    k %= 4
    if k == 0:
        return clone(input)
    if k == 2:
        return flip(input, a, b)
    return transpose(flip(input, b), a, b) if k == 1 else flip(transpose(input, a, b), b)


@primitive(name="Roll")
def roll_dims(xp, x, *, shifts, dims):
    """The numbers moved along dims, those that fall out coming in at the other end."""
    return xp.roll(x, shifts, dims)


roll_dims.vjp(x=lambda g, shifts, dims: roll_dims(g, shifts=tuple(-s for s in shifts), dims=dims))
roll_dims.samples(lambda rand: [(rand(3, 4), {"shifts": (1, -2), "dims": (0, 1)})])


def roll(input: Tensor, shifts, dims=None) -> Tensor:
    """The numbers moved along dims; without dims, in row-major order."""
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if dims is None or dims == ():
        flat = roll_dims(ravel(input), shifts=(builtins.sum(shifts),), dims=(0,))
        return reshape(flat, input.shape)
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(shifts) != len(dims):
        raise RuntimeError(
            f"roll: shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}"
        )
    dims = tuple(one_axis("roll", d, input.array.ndim) for d in dims)
    return roll_dims(input, shifts=shifts, dims=dims)


@primitive(name="Diagonal", view=True)
def take_diagonal(xp, x, *, offset=0, dim1=0, dim2=1):
    """The numbers x[..., i, i + offset, ...], along a new last dimension."""
    out = xp.diagonal(x, offset, dim1, dim2)
    if xp.__name__ == "numpy" and x.flags.writeable:
        out.flags.writeable = True  # as every view: the memory is x's own
    return out


@primitive(name="DiagonalBackward")
def put_diagonal(xp, x, *, shape, offset=0, dim1=0, dim2=1):
    """Zeros of a shape with x along a diagonal: transposes `take_diagonal`."""
    out = xp.zeros(shape, x.dtype)
    take_diagonal.forward(xp, out, offset=offset, dim1=dim1, dim2=dim2)[...] = x
    return out


take_diagonal.vjp(
    x=lambda g, x_shape, offset, dim1, dim2: put_diagonal(
        g, shape=x_shape, offset=offset, dim1=dim1, dim2=dim2
    )
)
put_diagonal.vjp(
    x=lambda g, offset, dim1, dim2: take_diagonal(g, offset=offset, dim1=dim1, dim2=dim2)
)
take_diagonal.samples(
    lambda rand: [(rand(3, 4), {"offset": 1}), (rand(2, 3, 3), {"dim1": 1, "dim2": 2})]
)
put_diagonal.samples(lambda rand: [(rand(3), {"shape": (3, 4), "offset": 1})])


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal in the plane of two dimensions, as the last dimension of a view."""
    ndim = input.array.ndim
    dim1, dim2 = one_axis("diagonal", dim1, ndim), one_axis("diagonal", dim2, ndim)
    if dim1 == dim2:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return take_diagonal(input, offset=offset, dim1=dim1, dim2=dim2)


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """A matrix with each vector of the last dimension along its diagonal."""
    ndim = input.array.ndim + 1
    dim1, dim2 = one_axis("diag_embed", dim1, ndim), one_axis("diag_embed", dim2, ndim)
    size = input.array.shape[-1] + builtins.abs(offset)
    shape = list(input.array.shape[:-1])
    for d in sorted((dim1, dim2)):
        shape.insert(d, size)
    return put_diagonal(input, shape=tuple(shape), offset=offset, dim1=dim1, dim2=dim2)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    if input.array.ndim == 1:
        return diag_embed(input, diagonal)
    if input.array.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.array.ndim}D")
    return clone(take_diagonal(input, offset=diagonal))


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with all numbers of the input on its diagonal."""
    return diag_embed(ravel(input), offset)


@primitive(name="Tril")
def lower_triangle(xp, x, *, diagonal=0):
    """x below and on a diagonal, zeros above it."""
    return xp.tril(x, diagonal)


@primitive(name="Triu")
def upper_triangle(xp, x, *, diagonal=0):
    """x above and on a diagonal, zeros below it."""
    return xp.triu(x, diagonal)


lower_triangle.vjp(x=lambda g, diagonal: lower_triangle(g, diagonal=diagonal))
upper_triangle.vjp(x=lambda g, diagonal: upper_triangle(g, diagonal=diagonal))
for op in (lower_triangle, upper_triangle):
    op.samples(lambda rand: [(rand(3, 4),), (rand(2, 3, 3), {"diagonal": 1})])


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of each matrix, the rest zero."""
    _is_matrix("tril", input)
    return lower_triangle(input, diagonal=diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of each matrix, the rest zero."""
    _is_matrix("triu", input)
    return upper_triangle(input, diagonal=diagonal)


def _is_matrix(name, input):
    if input.array.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


def block_diag(*tensors) -> Tensor:
    """A matrix with the given matrices along its diagonal."""
    blocks = [atleast_2d(x) for x in tensors]
    width = builtins.sum(b.array.shape[1] for b in blocks)
    rows = []
    left = 0
    for b in blocks:
        n = b.array.shape[1]
        rows.append(unslice_along(b, dim=1, start=left, stop=left + n, step=1, size=width))
        left += n
    return cat(rows, 0)


# -- windows ---------------------------------------------------------------------------------------


@primitive(name="Unfold", view=True)
def windows(xp, x, *, dim, size, step):
    """Windows of `size` numbers every `step` along dim, as a new last dimension."""
    count = (x.shape[dim] - size) // step + 1
    shape = x.shape[:dim] + (count,) + x.shape[dim + 1 :] + (size,)
    strides = x.strides[:dim] + (x.strides[dim] * step,) + x.strides[dim + 1 :] + (x.strides[dim],)
    return xp.lib.stride_tricks.as_strided(x, shape, strides)


@primitive(name="UnfoldBackward")
def add_windows(xp, x, *, dim, size, step, length):
    """Overlapping windows added back to a dimension of that length: transposes `windows`."""
    out = xp.zeros(x.shape[:dim] + (length,) + x.shape[dim + 1 : -1], x.dtype)
    count = x.shape[dim]
    head = (builtins.slice(None),) * dim
    for k in range(size):
        out[(*head, builtins.slice(k, k + step * (count - 1) + 1, step))] += x[..., k]
    return out


windows.vjp(
    x=lambda g, x_shape, dim, size, step: add_windows(
        g, dim=dim, size=size, step=step, length=x_shape[dim]
    )
)
add_windows.vjp(x=lambda g, dim, size, step: windows(g, dim=dim, size=size, step=step))
windows.samples(
    lambda rand: [
        (rand(2, 7), {"dim": 1, "size": 3, "step": 2}),
        (rand(5, 2), {"dim": 0, "size": 2, "step": 1}),
    ]
)
add_windows.samples(lambda rand: [(rand(2, 3, 3), {"dim": 1, "size": 3, "step": 2, "length": 7})])


def unfold(input: Tensor, dimension, size, step) -> Tensor:
    """All windows of `size` numbers every `step` along a dimension (a view)."""
    dim = one_axis("unfold", dimension, input.array.ndim)
    length = input.array.shape[dim]
    if size > length or size < 0:
        raise RuntimeError(
            f"unfold: maximum size for tensor at dimension {dim} is {length} but size is {size}"
        )
    if step <= 0:
        raise RuntimeError(f"unfold: step is {step} but must be > 0")
    return windows(input, dim=dim, size=size, step=step)


@primitive(name="AsStrided")
def take_strided(xp, x, *, size, stride, offset):
    """Numbers at offset + sum i_k stride_k of the row-major x."""
    index = xp.asarray(offset)
    for n, s in zip(size, stride, strict=True):
        index = index[..., None] + xp.arange(n) * s
    return x.reshape(-1)[index]


@primitive(name="AsStridedBackward")
def add_strided(xp, x, *, size, stride, offset, shape):
    """Numbers added back to where `take_strided` found them."""
    out = xp.zeros(math.prod(shape), x.dtype)
    index = xp.asarray(offset)
    for n, s in zip(size, stride, strict=True):
        index = index[..., None] + xp.arange(n) * s
    add_at(xp, out, index.reshape(-1), x.reshape(-1))
    return out.reshape(shape)


take_strided.vjp(
    x=lambda g, x_shape, size, stride, offset: add_strided(
        g, size=size, stride=stride, offset=offset, shape=x_shape
    )
)
add_strided.vjp(
    x=lambda g, size, stride, offset: take_strided(g, size=size, stride=stride, offset=offset)
)
take_strided.samples(lambda rand: [(rand(9), {"size": (2, 3), "stride": (3, 1), "offset": 1})])
add_strided.samples(
    lambda rand: [(rand(2, 3), {"size": (2, 3), "stride": (2, 1), "offset": 1, "shape": (9,)})]
)


def as_strided(input: Tensor, size, stride, storage_offset=0) -> Tensor:
    """Numbers at regular distances in memory. Unlike torch's, a copy; out of bounds is an error."""
    last = storage_offset + builtins.sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if math.prod(size) and last >= input.array.size:
        raise RuntimeError(
            f"as_strided: size {list(size)}, stride {list(stride)} and offset {storage_offset} reach "
            f"number {last}, beyond the {input.array.size} that there are"
        )
    return take_strided(
        contiguous(input), size=tuple(size), stride=tuple(stride), offset=storage_offset
    )


def diff(
    input: Tensor, n=1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Differences of neighbours along dim, taken n times."""
    dim = one_axis("diff", dim, input.array.ndim)
    pieces = [x for x in (prepend, input, append) if x is not None]
    out = cat(pieces, dim) if len(pieces) > 1 else input
    for _ in range(n):
        size = out.array.shape[dim]
        out = sub_arrays(
            slice_along(out, dim=dim, start=1, stop=size),
            slice_along(out, dim=dim, start=0, stop=builtins.max(size - 1, 0)),
        )
    return out


# -- questions -------------------------------------------------------------------------------------


def numel(input: Tensor) -> int:
    """The number of elements."""
    return input.array.size


def is_tensor(obj) -> bool:
    """True for a Tensor."""
    return isinstance(obj, Variable)


def is_floating_point(input: Tensor) -> bool:
    """True for floating dtypes."""
    return input.array.dtype.kind in "fV"


def is_nonzero(input: Tensor) -> bool:
    """True if the single number in the tensor is not zero."""
    return builtins.bool(input)


concat = concatenate = cat
moveaxis = movedim
row_stack = vstack
swapaxes = swapdims = transpose
