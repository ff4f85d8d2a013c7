"""Looking up rows of a table: embedding and its sum over bags of words.

take_rows reads rows; its gradient adds each row's gradient back where the row came from, which is
scatter_rows. Each is the other's rule. Two equal ids add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

from ..backend import array_module
from ..capture import readable
from ..engine import no_grad
from ..kernels.embedding import gather_rows, scatter_add_rows
from ..op import Variable, primitive, wrap
from ..sparse import RowSparse, UnreadRows
from .elementwise import choose, mul
from .reduce import expand_to
from .shape import reshape, unsqueeze

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["embedding", "embedding_bag"]


@primitive(name="Embedding")
def take_rows(xp, x, *, ids, sparse=False):
    """x[ids]: for ids of any shape, the rows of x in that shape."""
    return gather_rows[xp](x, ids)


@primitive(name="EmbeddingBackward")
def scatter_rows(xp, x, *, ids, size):
    """A table of `size` rows, zeros but for the rows of x added at ids: transposes `take_rows`."""
    rows = x.reshape(-1, *x.shape[ids.ndim :])
    return scatter_add_rows[xp](rows, ids.reshape(-1), size)


def _table_gradient(g, x_shape, ids, sparse):
    if sparse and not isinstance(g, Variable):
        return RowSparse(ids.reshape(-1), g.reshape(-1, *x_shape[1:]), x_shape)
    if type(g) is numpy.ndarray and ids.size and ids.size < x_shape[0]:
        return UnreadRows([(ids.reshape(-1), g.reshape(-1, *x_shape[1:]))], x_shape)
    return scatter_rows(g, ids=ids, size=x_shape[0])


take_rows.vjp(x=_table_gradient)
scatter_rows.vjp(x=lambda g, ids: take_rows(g, ids=ids))
take_rows.samples(
    lambda rand: [
        (rand(5, 3), {"ids": rand.ints(5, 2, 4)}),
        (rand(5, 3), {"ids": rand.ints(5, 0)}),
        (rand(4, 2, 3), {"ids": rand.ints(4, 6)}),
    ]
)
scatter_rows.samples(lambda rand: [(rand(2, 4, 3), {"ids": rand.ints(5, 2, 4), "size": 5})])


def check_ids(name, ids, rows):
    """IndexError for the first id that is not a row of the table, and where it stands."""
    if ids.dtype.kind not in "iu":
        raise RuntimeError(
            f"{name}: Expected tensor for argument 'indices' to have scalar type Long or Int; but "
            f"got {ids.dtype} instead"
        )
    if ids.size and readable(ids) and (ids.min() < 0 or ids.max() >= rows):
        xp = array_module(ids)
        place = tuple(int(i[0]) for i in xp.nonzero((ids < 0) | (ids >= rows)))
        raise IndexError(
            f"{name}: index out of range in self: id {int(ids[place])} at position {place}, but the "
            f"table has {rows} rows (ids 0 to {rows - 1})"
        )


def _padding_index(name, padding_idx, rows):
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise AssertionError(f"{name}: Padding_idx must be within num_embeddings ({rows})")
    return padding_idx % rows


def _renormalise(weight, ids, max_norm, norm_type):
    """Shorten, in place, the rows that are looked up and longer than max_norm."""
    xp = array_module(ids)
    used = xp.unique(ids)
    rows = weight.array[used]
    norms = (xp.abs(rows) ** norm_type).sum(-1) ** (1 / norm_type)
    scale = xp.where(norms > max_norm, max_norm / (norms + 1e-7), 1).astype(rows.dtype)
    with no_grad():
        weight.array[used] = rows * scale[:, None]
        weight.bump()


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input]: the row of the table (V, D) for every id; input (*) gives (*, D).

    padding_idx: this row gets no gradient. max_norm: longer rows that are looked up are first
    shortened to it, in place. scale_grad_by_freq: gradients divided by how often the id occurs in
    the input. sparse: the table's gradient holds just the rows that were looked up.
    """
    ids = input.array
    rows = weight.array.shape[0]
    check_ids("embedding", ids, rows)
    padding_idx = _padding_index("embedding", padding_idx, rows)
    if max_norm is not None:
        _renormalise(weight, ids, max_norm, norm_type)
    out = take_rows(weight, ids=ids, sparse=sparse)
    keep = _gradient_weights(ids, rows, padding_idx, scale_grad_by_freq, weight.array.dtype)
    if keep is not None and weight.requires_grad:
        # the forward is the identity, so it is applied to the gradient alone
        out = weigh_gradient(out, keep=keep.reshape(*ids.shape, *[1] * (weight.array.ndim - 1)))
    return out


@primitive(name="Embedding", view=True)
def weigh_gradient(xp, x, *, keep):
    """x itself; backward multiplies its gradient by `keep`."""
    return x


weigh_gradient.vjp(x=lambda g, keep: weigh(g, keep=keep))


@primitive(name="Mul")
def weigh(xp, x, *, keep):
    """x times an array of constants."""
    return x * keep


weigh_gradient.samples(lambda rand: [(rand(3, 2), {"keep": numpy.ones((3, 1))})])
weigh.vjp(x=lambda g, keep: weigh(g, keep=keep))
weigh.samples(lambda rand: [(rand(3, 2), {"keep": rand(3, 1)})])


def _gradient_weights(ids, rows, padding_idx, by_frequency, dtype):
    xp = array_module(ids)
    keep = None
    if by_frequency:
        counts = xp.bincount(ids.reshape(-1), minlength=rows)
        keep = (1.0 / counts[ids]).astype(dtype)
    if padding_idx is not None and not (readable(ids) and not (ids == padding_idx).any()):
        live = (ids != padding_idx).astype(dtype)
        keep = live if keep is None else keep * live
    return keep


@primitive(name="EmbeddingBag")
def sum_bags(xp, x, *, bags, count):
    """Rows of x added into `count` bags; bags[i] is the bag of row i."""
    return scatter_add_rows[xp](x, bags, count)


@primitive(name="EmbeddingBagBackward")
def spread_bags(xp, x, *, bags):
    """Each row's bag: transposes `sum_bags`."""
    return xp.take(x, bags, 0)


sum_bags.vjp(x=lambda g, bags: spread_bags(g, bags=bags))
spread_bags.vjp(x=lambda g, bags, x_shape: sum_bags(g, bags=bags, count=x_shape[0]))
sum_bags.samples(lambda rand: [(rand(6, 3), {"bags": rand.ints(3, 6), "count": 3})])
spread_bags.samples(lambda rand: [(rand(3, 2), {"bags": rand.ints(3, 6)})])


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows of each bag of ids, without keeping the rows.

    input (B, L): a bag a row; or input (N) with offsets (B): bag b holds ids offsets[b] up to the
    next offset. Ids equal to padding_idx don't count. Empty bags give zeros. -> (B, D)
    """
    if isinstance(weight, Variable) and weight.array.dtype.kind not in "fV":
        input, weight = weight, input  # torch once took them the other way round
    ids = input.array
    xp = array_module(ids)
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"embedding_bag: mode has to be one of sum, mean or max, not {mode!r}")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}')."
        )
    if per_sample_weights is not None and per_sample_weights.array.shape != ids.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({tuple(per_sample_weights.array.shape)}) is not "
            f"None, then it must have the same shape as the input ({tuple(ids.shape)})"
        )
    if ids.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "embedding_bag: if input is 2D, then offsets has to be None, as input is treated is "
                f"a mini-batch of fixed length sequences. However, found offsets of type {type(offsets)}"
            )
        count = ids.shape[0]
        bags = xp.repeat(xp.arange(count), ids.shape[1])
    elif ids.ndim == 1:
        if offsets is None:
            raise ValueError("embedding_bag: offsets has to be a 1D Tensor but got None")
        starts = offsets.array
        if starts.ndim != 1:
            raise ValueError("embedding_bag: offsets has to be a 1D Tensor")
        if starts.size and int(starts[0]) != 0:
            raise ValueError(
                f"embedding_bag: offsets[0] has to be 0, i.e., the first sequence in the mini-batch "
                f"has to start from position 0. However, got {int(starts[0])}"
            )
        if starts.size and int(starts[-1]) > ids.size:
            raise ValueError(
                f"embedding_bag: offsets[-1] can not be greater than input's length {ids.size} but "
                f"got offsets[-1] of {int(starts[-1])}"
            )
        starts = starts[:-1] if include_last_offset else starts
        count = starts.size
        ends = xp.append(starts[1:], ids.size)
        bags = xp.repeat(xp.arange(count), ends - starts)
    else:
        raise ValueError(f"embedding_bag: input has to be 1D or 2D Tensor, but got {ids.ndim}D")
    ids = ids.reshape(-1)
    rows = weight.array.shape[0]
    check_ids("embedding_bag", ids, rows)
    padding_idx = _padding_index("embedding_bag", padding_idx, rows)
    weights = None if per_sample_weights is None else reshape(per_sample_weights, (-1,))
    if padding_idx is not None:
        live = ids != padding_idx
        weights = None if weights is None else weights[wrap(live)]
        ids, bags = ids[live], bags[live]
    if max_norm is not None:
        _renormalise(weight, ids, max_norm, norm_type)
    looked_up = take_rows(weight, ids=ids, sparse=sparse)
    if scale_grad_by_freq:
        keep = _gradient_weights(ids, rows, None, True, weight.array.dtype)
        looked_up = weigh_gradient(looked_up, keep=keep[:, None])
    if mode == "max":
        return _max_bags(looked_up, bags, count)
    if weights is not None:
        looked_up = mul(looked_up, unsqueeze(weights, 1))
    total = sum_bags(looked_up, bags=bags, count=count)
    if mode == "sum":
        return total
    sizes = xp.maximum(xp.bincount(bags, minlength=count), 1).astype(weight.array.dtype)
    return total / wrap(sizes[:, None])


def _max_bags(rows, bags, count):
    """The maximum of each bag, by putting the bags side by side padded with -inf."""
    xp = array_module(bags)
    sizes = xp.bincount(bags, minlength=count)
    longest = int(sizes.max()) if count else 0
    starts = xp.cumsum(sizes) - sizes
    place = xp.arange(longest)
    inside = place < sizes[:, None]
    index = xp.where(inside, starts[:, None] + place, 0)
    if longest == 0:
        return expand_to(wrap(xp.zeros((), rows.array.dtype)), shape=(count, rows.array.shape[1]))
    padded = choose(inside[:, :, None], take_rows(rows, ids=index), -float("inf"))
    best = padded.max(1).values
    return choose((sizes > 0)[:, None], best, 0)
