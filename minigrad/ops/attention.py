"""Scaled dot-product attention: softmax(Q K^T / sqrt(d)) V.  Vaswani et al. 2017, eq. 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..backend import array_module
from ..op import primitive, wrap
from .elementwise import choose, mul
from .linalg import matmul
from .random import keep_mask
from .reduce import reduce_sum
from .shape import repeat_interleave, transpose

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["scaled_dot_product_attention"]


@primitive(name="Softmax")
def attention_weights(xp, scores):
    """Softmax over the last dimension, in which a row of -inf alone gives zeros instead of NaN."""
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


def _check(query, key, value):
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
    weights = attend(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
    if enable_gqa:
        value = _share_heads(value, query)
    return matmul(weights, value)


def attend(query, key, value, attn_mask, dropout_p, is_causal, scale=None, enable_gqa=False):
    """The attention weights (..., L, S) of `scaled_dot_product_attention`."""
    _check(query, key, value)
    if attn_mask is not None and is_causal:
        raise RuntimeError(
            "scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
        )
    if enable_gqa:
        key = _share_heads(key, query)
    width = query.array.shape[-1]
    scale = (1 / math.sqrt(width) if width else 1.0) if scale is None else scale
    scores = matmul(mul(query, scale), transpose(key, -2, -1))
    xp = array_module(scores.array)
    if is_causal:
        rows, columns = scores.array.shape[-2:]
        scores = choose(xp.tri(rows, columns, dtype=bool), scores, -math.inf)
    elif attn_mask is not None:
        try:
            xp.broadcast_shapes(attn_mask.array.shape, scores.array.shape)
        except ValueError:
            raise RuntimeError(
                f"scaled_dot_product_attention: attn_mask {tuple(attn_mask.array.shape)} does not "
                f"broadcast to the scores' shape {tuple(scores.array.shape)}"
            ) from None
        if attn_mask.array.dtype.kind == "b":
            scores = choose(attn_mask.array, scores, -math.inf)
        else:
            scores = scores + attn_mask
    weights = attention_weights(scores)
    if dropout_p > 0:
        keep = keep_mask(weights.array.shape, dropout_p, weights.array.dtype, xp)
        weights = mul(weights, wrap(keep * (1 / (1 - dropout_p)) if dropout_p < 1 else keep))
    return weights


def _share_heads(x, query):
    """Heads repeated until there are as many as the query has."""
    heads, wanted = x.array.shape[-3], query.array.shape[-3]
    if wanted % heads:
        raise RuntimeError(
            f"scaled_dot_product_attention: {wanted} query heads can't share {heads} key/value heads"
        )
    return x if heads == wanted else repeat_interleave(x, wanted // heads, dim=-3)
