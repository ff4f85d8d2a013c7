"""The Transformer's layers: what goes in, the encoder's layer, the decoder's, the ways around.

Vaswani et al. 2017, "Attention Is All You Need" (NIPS), section 3. Norms before the sub-layers: Xiong
et al. 2020, "On Layer Normalization in the Transformer Architecture" (ICML).

B texts, S source words, T target words, D model width, A heads, K = D / A.
"""

import math
from typing import NamedTuple

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from .multihead import MultiHeadAttention, look_back
from .positions import LearnedPositions, SinusoidalPositions


class Cache(NamedTuple):
    """What a layer of the decoder keeps from word to word."""

    keys: torch.Tensor  # (B, A, t, K) of the t target words so far
    values: torch.Tensor
    source_keys: torch.Tensor  # (B, A, S, K) made once
    source_values: torch.Tensor


class Input(nn.Module):
    """Word vectors times sqrt(D), plus positions, then dropout: (B, T, D) -> (B, T, D)."""

    def __init__(self, d_model: int, positions: str, max_length: int, dropout: float):
        super().__init__()
        if positions not in ("sinusoidal", "learned"):
            raise ValueError(f"positions must be 'sinusoidal' or 'learned', not {positions!r}")
        self.scale = math.sqrt(d_model)
        learned = positions == "learned"
        self.positions = (
            LearnedPositions(d_model, max_length) if learned else SinusoidalPositions(d_model)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, words, first: int = 0):
        return self.dropout(self.positions(words * self.scale, first))


class FeedForward(nn.Module):
    """W2 relu(W1 x + b1) + b2, for every word by itself."""

    def __init__(self, d_model: int, hidden_size: int, dropout: float = 0.0):
        super().__init__()
        self.linear1 = nn.Linear(d_model, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.linear2 = nn.Linear(hidden_size, d_model)

    def forward(self, x):
        return self.linear2(self.dropout(F.relu(self.linear1(x))))


class Residual(nn.Module):
    """The way around a sub-layer f, and its norm.

    norm_first False: norm(x + dropout(f(x))), the paper's; True: x + dropout(f(norm(x))).
    """

    def __init__(self, d_model: int, dropout: float, norm_first: bool):
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def before(self, x):
        """What f gets."""
        return self.norm(x) if self.norm_first else x

    def after(self, x, change):
        """x with what f gave."""
        x = x + self.dropout(change)
        return x if self.norm_first else self.norm(x)


class EncoderLayer(nn.Module):
    """Self-attention, then the feed-forward layer: (B, S, D) -> (B, S, D), weights (B, A, S, S)."""

    def __init__(self, d_model, heads, feedforward, dropout, inner_dropout, norm_first):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, heads, inner_dropout)
        self.feedforward = FeedForward(d_model, feedforward, inner_dropout)
        self.around_attention = Residual(d_model, dropout, norm_first)
        self.around_feedforward = Residual(d_model, dropout, norm_first)

    def forward(self, x, mask, want_weights=False):
        h = self.around_attention.before(x)
        keys, values = self.attention.keys_and_values(h)
        change, weights = self.attention(h, keys, values, mask, want_weights=want_weights)
        x = self.around_attention.after(x, change)
        h = self.around_feedforward.before(x)
        return self.around_feedforward.after(x, self.feedforward(h)), weights


class DecoderLayer(nn.Module):
    """Self-attention to the words so far, attention to the source, the feed-forward layer."""

    def __init__(self, d_model, heads, feedforward, dropout, inner_dropout, norm_first):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, heads, inner_dropout)
        self.cross_attention = MultiHeadAttention(d_model, heads, inner_dropout)
        self.feedforward = FeedForward(d_model, feedforward, inner_dropout)
        self.around_attention = Residual(d_model, dropout, norm_first)
        self.around_cross_attention = Residual(d_model, dropout, norm_first)
        self.around_feedforward = Residual(d_model, dropout, norm_first)

    def start(self, memory) -> Cache:
        """The cache before the first word, of the encoder's outputs (B, S, D)."""
        keys, values = self.cross_attention.keys_and_values(memory)
        return Cache(keys[:, :, :0], values[:, :, :0], keys, values)

    def forward(self, x, cache: Cache, source_mask, want_weights=False):
        """x (B, T, D): the words after those in the cache -> x, the cache with them, both weights."""
        past, length = cache.keys.shape[2], x.shape[1]
        h = self.around_attention.before(x)
        keys, values = self.attention.keys_and_values(h)
        if past:
            keys = torch.cat([cache.keys, keys], dim=2)
            values = torch.cat([cache.values, values], dim=2)
        mask = look_back(length, past, x.device) if past and length > 1 else None
        causal = past == 0 and length > 1  # a single word sees all that is there
        change, own = self.attention(h, keys, values, mask, causal, want_weights)
        x = self.around_attention.after(x, change)
        h = self.around_cross_attention.before(x)
        source = cache.source_keys, cache.source_values
        change, cross = self.cross_attention(h, *source, source_mask, want_weights=want_weights)
        x = self.around_cross_attention.after(x, change)
        h = self.around_feedforward.before(x)
        x = self.around_feedforward.after(x, self.feedforward(h))
        return x, Cache(keys, values, *source), own, cross
