"""T5's layers: relative positions in the scores, norms without a mean, no biases.

Raffel, Shazeer, Roberts, Lee, Narang, Matena, Zhou, Li and Liu 2020, "Exploring the Limits of
Transfer Learning with a Unified Text-to-Text Transformer" (JMLR). Parameters have the names of
Hugging Face's files.

B texts, T tokens that ask, S tokens that are asked, H = d_model, A heads of K = d_kv each, F = d_ff.
"""

import math

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from ..pretrained import activation


def drawn(layer, std: float):
    """The layer, its weights to be drawn from N(0, (std * initializer_factor)^2)."""
    layer.std = std
    return layer


class T5LayerNorm(nn.RMSNorm):
    """x / sqrt(mean(x^2) + eps) * weight: no mean is taken away, no bias added."""

    def __init__(self, hidden_size: int, eps: float = 1e-6):
        super().__init__(hidden_size, eps=eps)


# -- positions -------------------------------------------------------------------------------------


def relative_position_bucket(
    relative_position, bidirectional: bool = True, num_buckets: int = 32, max_distance: int = 128
):
    """The bucket, 0 to num_buckets - 1, of each whole number j - i: how far token j is from token i.

    Of n buckets the first n/2 hold one distance each; the rest grow, d in bucket
    n/2 + floor(log(d / (n/2)) / log(max_distance / (n/2)) * n/2), and the last holds all farther ones.
    bidirectional: n = num_buckets / 2 for what stands before, as many for what comes behind;
    otherwise n = num_buckets, and what comes behind counts as distance 0. Raffel et al. 2020, 2.1.
    """
    first = 0
    if bidirectional:
        num_buckets //= 2
        first = num_buckets * (relative_position > 0).long()
        distance = relative_position.abs()
    else:
        distance = (-relative_position).clamp(min=0)
    exact = num_buckets // 2
    far = distance.clamp(min=exact).float()
    grown = (far / exact).log() / math.log(max_distance / exact) * (num_buckets - exact)
    grown = (exact + grown.long()).clamp(max=num_buckets - 1)
    return first + torch.where(distance < exact, distance, grown)


# -- attention -------------------------------------------------------------------------------------


def attend(q, k, v, mask, dropout: float, want_weights: bool):
    """softmax(Q K^T + mask) V of (B, A, T, K): (B, A, T, K), and the weights (B, A, T, S) or None.

    mask: numbers, -inf where a token may not look, or bool, True where it may; (B or 1, A or 1, T, S).
    There is no 1 / sqrt(K): the matrix of the queries is drawn that much smaller. A token that may
    look at none gets zeros.
    """
    if not want_weights:
        return F.scaled_dot_product_attention(q, k, v, mask, dropout, scale=1.0), None
    scores = q @ k.mT
    if mask is None:
        weights = F.softmax(scores, dim=-1)
    else:
        if not mask.is_floating_point():
            mask = torch.where(mask, 0.0, -math.inf).to(scores.dtype)
        scores = (scores + mask).clamp(min=torch.finfo(scores.dtype).min)
        weights = F.softmax(scores, dim=-1).masked_fill(mask == -math.inf, 0)
    return F.dropout(weights, dropout) @ v, weights


class T5Attention(nn.Module):
    """Attention of x (B, T, H) at itself or, given `source` (B, S, H), at that.

    The first layer of a stack has the table of all its layers: relative_attention_bias gives a number
    to every bucket and head, which is added to the scores.
    """

    def __init__(self, config, layer: int, has_relative_attention_bias: bool = False):
        super().__init__()
        width, self.heads, self.layer = config.d_model, config.num_heads, layer
        inner = self.heads * config.d_kv
        self.bidirectional = not config.is_decoder
        self.num_buckets = config.relative_attention_num_buckets
        self.max_distance = config.relative_attention_max_distance
        self.dropout = config.dropout_rate
        self.q = drawn(nn.Linear(width, inner, bias=False), (width * config.d_kv) ** -0.5)
        self.k = drawn(nn.Linear(width, inner, bias=False), width**-0.5)
        self.v = drawn(nn.Linear(width, inner, bias=False), width**-0.5)
        self.o = drawn(nn.Linear(inner, width, bias=False), inner**-0.5)
        if has_relative_attention_bias:
            table = nn.Embedding(self.num_buckets, self.heads)
            self.relative_attention_bias = drawn(table, width**-0.5)

    def compute_bias(self, length: int, past: int = 0):
        """What positions add to the scores of `length` tokens after `past`: (1, A, T, past + T)."""
        device = self.relative_attention_bias.weight.device
        places = torch.arange(past + length, device=device)
        apart = places[None, :] - places[past:, None]  # (T, S)
        buckets = relative_position_bucket(
            apart, self.bidirectional, self.num_buckets, self.max_distance
        )
        return self.relative_attention_bias(buckets).permute(2, 0, 1).unsqueeze(0)

    def split(self, x):
        """(B, T, A K) -> (B, A, T, K)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_and_values(self, x, source, cache):
        """Those of x and all tokens before it, or those of the source, made only once."""
        if source is None:
            keys, values = self.split(self.k(x)), self.split(self.v(x))
            return (keys, values) if cache is None else cache.update(keys, values, self.layer)
        kept = None if cache is None else cache.source(self.layer)
        if kept is not None:
            return kept
        keys, values = self.split(self.k(source)), self.split(self.v(source))
        return (keys, values) if cache is None else cache.keep_source(keys, values, self.layer)

    def forward(self, x, mask=None, source=None, cache=None, want_weights=False):
        q = self.split(self.q(x))
        k, v = self.keys_and_values(x, source, cache)
        p = self.dropout if self.training else 0.0
        out, weights = attend(q, k, v, mask, p, want_weights)
        return self.o(out.transpose(1, 2).flatten(2)), weights


class T5LayerSelfAttention(nn.Module):
    """x + dropout(attention(norm(x)))."""

    def __init__(self, config, layer: int, has_relative_attention_bias: bool = False):
        super().__init__()
        self.SelfAttention = T5Attention(config, layer, has_relative_attention_bias)
        self.layer_norm = T5LayerNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x, mask, cache=None, want_weights=False):
        out, weights = self.SelfAttention(
            self.layer_norm(x), mask, cache=cache, want_weights=want_weights
        )
        return x + self.dropout(out), weights


class T5LayerCrossAttention(nn.Module):
    """x + dropout(attention of norm(x) at the source)."""

    def __init__(self, config, layer: int):
        super().__init__()
        self.EncDecAttention = T5Attention(config, layer)
        self.layer_norm = T5LayerNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x, source, mask=None, cache=None, want_weights=False):
        out, weights = self.EncDecAttention(self.layer_norm(x), mask, source, cache, want_weights)
        return x + self.dropout(out), weights


# -- feed-forward ----------------------------------------------------------------------------------


class T5DenseActDense(nn.Module):
    """W_o dropout(act(W_i x)): the published models of 2020, with ReLU."""

    def __init__(self, config):
        super().__init__()
        self.wi = drawn(nn.Linear(config.d_model, config.d_ff, bias=False), config.d_model**-0.5)
        self.wo = drawn(nn.Linear(config.d_ff, config.d_model, bias=False), config.d_ff**-0.5)
        self.dropout = nn.Dropout(config.dropout_rate)
        self.act = activation(config.dense_act_fn)

    def forward(self, x):
        return self.wo(self.dropout(self.act(self.wi(x))))


class T5DenseGatedActDense(nn.Module):
    """W_o dropout(act(W_0 x) * W_1 x): a gated layer (Shazeer 2020, arXiv:2002.05202), of T5 1.1."""

    def __init__(self, config):
        super().__init__()
        self.wi_0 = drawn(nn.Linear(config.d_model, config.d_ff, bias=False), config.d_model**-0.5)
        self.wi_1 = drawn(nn.Linear(config.d_model, config.d_ff, bias=False), config.d_model**-0.5)
        self.wo = drawn(nn.Linear(config.d_ff, config.d_model, bias=False), config.d_ff**-0.5)
        self.dropout = nn.Dropout(config.dropout_rate)
        self.act = activation(config.dense_act_fn)

    def forward(self, x):
        return self.wo(self.dropout(self.act(self.wi_0(x)) * self.wi_1(x)))


class T5LayerFF(nn.Module):
    """x + dropout(dense(norm(x)))."""

    def __init__(self, config):
        super().__init__()
        dense = T5DenseGatedActDense if config.is_gated_act else T5DenseActDense
        self.DenseReluDense = dense(config)
        self.layer_norm = T5LayerNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x):
        return x + self.dropout(self.DenseReluDense(self.layer_norm(x)))


class T5Block(nn.Module):
    """Self-attention, in a decoder attention at the source, and the feed-forward layer."""

    def __init__(self, config, layer: int):
        super().__init__()
        parts = [T5LayerSelfAttention(config, layer, has_relative_attention_bias=layer == 0)]
        if config.is_decoder:
            parts.append(T5LayerCrossAttention(config, layer))
        self.layer = nn.ModuleList([*parts, T5LayerFF(config)])

    def forward(self, x, mask, source=None, source_mask=None, cache=None, want_weights=False):
        x, weights = self.layer[0](x, mask, cache, want_weights)
        cross = None
        if source is not None:
            x, cross = self.layer[1](x, source, source_mask, cache, want_weights)
        return self.layer[-1](x), weights, cross
