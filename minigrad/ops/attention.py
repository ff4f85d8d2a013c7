"""Scaled dot-product attention: softmax(Q K^T / sqrt(d)) V.  Vaswani et al. 2017, eq. 1.

By the kernel of kernels/attention.py, which never holds the L x S weights; in plain ops where they are
asked for, and for derivatives of derivatives.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy

from ..autocasting import runs_under_autocast
from ..backend import array_module
from ..kernels import attention_cuda  # noqa: F401 (it adds the GPU to the kernels of attention)
from ..kernels.attention import attention, attention_backward, mask_gradient
from ..kernels.random_bits import keep_mask
from ..op import primitive, wrap
from .elementwise import choose, mul
from .linalg import matmul
from .random import draw_seed
from .reduce import reduce_sum
from .shape import repeat_interleave, transpose

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["scaled_dot_product_attention"]


@primitive(name="Softmax")
def attention_weights(xp, scores):
    """Softmax over the last dimension, in which a row of -inf alone gives zeros instead of NaN."""
    if not scores.size:
        return scores.copy()
    top = scores.max(-1, keepdims=True)
    out = xp.exp(scores - xp.where(xp.isfinite(top), top, xp.zeros((), top.dtype)))
    total = out.sum(-1, keepdims=True)
    out /= xp.where(total == 0, xp.ones((), total.dtype), total)
    return out


def _weights_gradient(g, out):
    weighted = g * out
    return weighted - out * reduce_sum(weighted, dim=(len(out.shape) - 1,), keepdim=True)


attention_weights.vjp(scores=_weights_gradient)
attention_weights.samples(lambda rand: [(rand(3, 4),), (rand(2, 3, 4),)])


def _check(query, key, value, attn_mask, is_causal):
    shapes = [tuple(x.array.shape) for x in (query, key, value)]
    if min(map(len, shapes)) < 2:
        raise RuntimeError(
            "scaled_dot_product_attention: query, key and value need at least 2 dimensions, got "
            f"{shapes}"
        )
    if shapes[0][-1] != shapes[1][-1]:
        raise RuntimeError(
            "scaled_dot_product_attention: query and key must have the same last dimension, got "
            f"query {shapes[0]} and key {shapes[1]}"
        )
    if shapes[1][-2] != shapes[2][-2]:
        raise RuntimeError(
            "scaled_dot_product_attention: key and value must have the same length, got key "
            f"{shapes[1]} and value {shapes[2]}"
        )
    if attn_mask is not None and is_causal:
        raise RuntimeError(
            "scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
        )


@runs_under_autocast
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V.  Vaswani et al. 2017, eq. 1.

    query (..., L, d), key (..., S, d), value (..., S, e) -> (..., L, e)
    attn_mask broadcasts to (..., L, S): bool, True = may attend; or float, added to the scores.
    is_causal: position i attends to positions up to i. scale replaces 1 / sqrt(d). enable_gqa: fewer
    heads of keys and values than of queries, each shared by several. A row that may attend to
    nothing gives zeros and passes back zeros (torch 2.4 and earlier: NaN).
    """
    _check(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        key, value = _share_heads(key, query, value), _share_heads(value, query, key)
    scale = _scale(query) if scale is None else scale
    seed = draw_seed(query.array) if dropout_p > 0 else 0
    options = {"scale": scale, "causal": is_causal, "dropout": dropout_p, "seed": seed}
    mask = 0 if attn_mask is None else attn_mask
    if _fits(query, key, value, attn_mask):
        return attention_fused(query, key, value, mask, **options)[0]
    return _in_plain_ops(query, key, value, mask, **options)[0]


def attend(query, key, value, attn_mask, dropout_p, is_causal):
    """The attention weights (..., L, S) of `scaled_dot_product_attention`."""
    _check(query, key, value, attn_mask, is_causal)
    seed = draw_seed(query.array) if dropout_p > 0 else 0
    mask = 0 if attn_mask is None else attn_mask
    return _weights(query, key, mask, _scale(query), is_causal, dropout_p, seed)


def _scale(query):
    width = query.array.shape[-1]
    return 1 / math.sqrt(width) if width else 1.0


def _share_heads(x, query, other):
    """Heads repeated until there are as many as the query has, where the kernel doesn't do that."""
    heads, wanted = x.array.shape[-3], query.array.shape[-3]
    if not heads or wanted % heads:
        raise RuntimeError(
            f"scaled_dot_product_attention: {wanted} query heads can't share {heads} key/value heads"
        )
    if heads == wanted or _direct(query.array, x.array, other.array):
        return x
    return repeat_interleave(x, wanted // heads, dim=-3)


# -- in plain ops ----------------------------------------------------------------------------------


def _weights(query, key, mask, scale, causal, dropout, seed):
    scores = matmul(mul(query, scale), transpose(key, -2, -1))
    xp = array_module(scores.array)
    shape = scores.array.shape
    if causal:
        scores = choose(xp.tri(*shape[-2:], dtype=bool), scores, -math.inf)
    elif hasattr(mask, "shape"):
        try:
            xp.broadcast_shapes(mask.array.shape, shape)
        except ValueError:
            raise RuntimeError(
                f"scaled_dot_product_attention: attn_mask {tuple(mask.array.shape)} does not "
                f"broadcast to the scores' shape {tuple(shape)}"
            ) from None
        if mask.array.dtype.kind == "b":
            scores = choose(mask.array, scores, -math.inf)
        else:
            scores = scores + mask
    weights = attention_weights(scores)
    if dropout > 0:
        keep = keep_mask(seed, weights.array.size, dropout, xp).reshape(weights.array.shape)
        keep = keep.astype(weights.array.dtype)
        weights = mul(weights, wrap(keep * (1 / (1 - dropout)) if dropout < 1 else keep))
    return weights


def _in_plain_ops(query, key, value, mask, *, scale, causal, dropout, seed):
    if _direct(query.array, key.array, value.array):
        group = query.array.shape[1] // key.array.shape[1]
        if group > 1:
            key, value = (repeat_interleave(x, group, dim=1) for x in (key, value))
    weights = _weights(query, key, mask, scale, causal, dropout, seed)
    return (matmul(weights, value),)


# -- by the kernel ---------------------------------------------------------------------------------


def _direct(query, key, value):
    """True for (B, H, L, d) and twice (B, H', S, .), H' a divisor of H: the kernel's own layout."""
    return (
        query.ndim == key.ndim == value.ndim == 4
        and query.shape[0] == key.shape[0] == value.shape[0]
        and key.shape[1] == value.shape[1] > 0
        and query.shape[1] % key.shape[1] == 0
    )


def _lead(query, key, value):
    """The leading dimensions of the result."""
    if _direct(query, key, value):
        return query.shape[:2]
    return numpy.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])


def _fits(query, key, value, mask):
    """True where the kernel can do it; what it can't includes all that is an error."""
    q, k, v = query.array, key.array, value.array
    if not _has_kernel(q) or not q.dtype == k.dtype == v.dtype:
        return False
    try:
        lead = _lead(q, k, v)
        if mask is None:
            return True
        scores = (*lead, q.shape[-2], k.shape[-2])
        if numpy.broadcast_shapes(mask.array.shape, scores) != scores:
            return False
    except ValueError:
        return False
    return mask.array.dtype.kind == "b" or mask.array.dtype == q.dtype


def _has_kernel(array):
    """True for dtypes that a kernel of this array's device takes; of 16 bits only on a GPU."""
    small = ("float16", "bfloat16") if array_module(array) is not numpy else ()
    return array.dtype.name in ("float32", "float64", *small)


def _as_heads(query, key, value, mask):
    """The arrays as the kernel takes them: (batch, heads, length, width), broadcast where they differ."""
    given = hasattr(mask, "shape")
    if _direct(query, key, value):
        return query, key, value, mask if given else None
    lead = _lead(query, key, value)
    xp = array_module(query)
    wide = [xp.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (query, key, value)]
    if given and len(lead) > 2:
        mask = xp.broadcast_to(mask, (*lead, query.shape[-2], key.shape[-2]))
        mask = mask.reshape(-1, lead[-1], *mask.shape[-2:])
    four = (math.prod(lead[:-1]), lead[-1]) if lead else (1, 1)
    return *(x.reshape(*four, *x.shape[-2:]) for x in wide), mask if given else None


@primitive(name="ScaledDotProductAttention")
def attention_fused(xp, query, key, value, mask, *, scale, causal, dropout, seed):
    """(out, logs): the logs of the softmax's denominators, for the way back, as the integers of their
    bits, which gradients leave alone."""
    heads = _as_heads(query, key, value, mask)
    out, logs = attention[xp](*heads, scale, causal, dropout, seed)
    if out.ndim != query.ndim or not _direct(query, key, value):
        out = out.reshape(*_lead(query, key, value), *out.shape[2:])
    return out, logs.view(f"i{logs.itemsize}")


def _attention_gradient(g, out, wanted, query, key, value, mask, *, scale, causal, dropout, seed):
    q, k, v, mask = _as_heads(query, key, value, mask)
    (g, _), (out, logs) = g, out
    g, out = (x.reshape(*q.shape[:3], v.shape[3]) for x in (g, out))
    given = q, k, v, mask, scale, causal, dropout, seed
    found = [None] * 3
    if any(wanted[:3]):
        logs = logs.view(q.dtype if logs.itemsize == q.itemsize else "float32")
        found = attention_backward[array_module(q)](g, out, logs, *given)
    found = [*found, mask_gradient(g, *given) if wanted[3] else None]
    if not _direct(query, key, value):
        lead = _lead(query, key, value)
        found = [None if dx is None else dx.reshape(*lead, *dx.shape[2:]) for dx in found]
    return found


attention_fused.fused(_attention_gradient, _in_plain_ops)


def _samples(rand):
    def case(query, key, value, mask=0, causal=False, dropout=0.0, scale=0.4):
        return query, key, value, mask, dict(scale=scale, causal=causal, dropout=dropout, seed=5)

    tall = rand(2, 2, 3, 4), rand(2, 2, 5, 4), rand(2, 2, 5, 3)
    shared = rand(2, 4, 3, 2), rand(2, 2, 4, 2), rand(2, 2, 4, 2)
    hidden = rand.bools(2, 1, 3, 5)
    hidden[0, 0, 1] = False  # a query that may attend to nothing
    return [
        case(rand(3, 2), rand(4, 2), rand(4, 3)),
        case(*tall, causal=True, scale=-0.3),
        case(*tall, hidden),
        case(*tall, rand(2, 1, 1, 5), dropout=0.3),
        case(*shared, causal=True),
        case(rand(2, 3, 4), rand(3, 4), rand(1, 3, 2)),
        case(rand(0, 3, 2), rand(0, 4, 2), rand(0, 4, 2)),
    ]


attention_fused.samples(_samples)
