"""Multi-head attention, step by step: every head looks at the words in its own way.

Vaswani et al. 2017, "Attention Is All You Need" (NIPS), section 3.2.

B texts, T words that look, S words that are looked at, D model width, A heads, K = D / A.
"""

import math

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn


def attention_weights(query, keys, mask=None):
    """softmax(Q K^T / sqrt(K)): (B, A, T, K), (B, A, S, K) -> (B, A, T, S).

    mask: bool, broadcast to the result, True where a word may be looked at.
    """
    scores = query @ keys.transpose(2, 3) / math.sqrt(query.shape[3])
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return F.softmax(scores, dim=3)


def look_back(length: int, past: int = 0, device=None):
    """(length, past + length), True where word past + t may look: at itself and at words before it."""
    return torch.ones(length, past + length, dtype=torch.bool, device=device).tril(past)


class MultiHeadAttention(nn.Module):
    """out(concat_a(softmax(Q_a K_a^T / sqrt(K)) V_a)), Q = W_q x, and K, V made of the words looked at.

    Keys and values are made by `keys_and_values`, apart from forward, so that they can be kept from
    word to word. dropout: of attention weights.
    """

    def __init__(self, d_model: int, heads: int, dropout: float = 0.0):
        super().__init__()
        if d_model % heads:
            raise ValueError(
                f"MultiHeadAttention: a width of {d_model} can't be shared by {heads} heads"
            )
        self.heads = heads
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def keys_and_values(self, words):
        """(B, S, D) -> keys and values, (B, A, S, K) each."""
        return self._split(self.key(words)), self._split(self.value(words))

    def forward(self, x, keys, values, mask=None, causal=False, want_weights=False):
        """x (B, T, D) -> (B, T, D), and the weights (B, A, T, S) if wanted, else None.

        mask: bool, broadcast to (B, A, T, S), True where a word may be looked at. causal: instead of
        a mask, each of T = S words looks at itself and at those before it.
        """
        query = self._split(self.query(x))
        if want_weights:
            if causal:
                mask = look_back(x.shape[1], device=x.device)
            weights = attention_weights(query, keys, mask)
            heads = self.dropout(weights) @ values
        else:  # the same in one call, which never holds the weights
            weights = None
            dropout = self.dropout.p if self.training else 0.0
            heads = F.scaled_dot_product_attention(query, keys, values, mask, dropout, causal)
        return self.out(self._join(heads)), weights

    def _split(self, x):
        """(B, T, D) -> (B, A, T, K)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _join(self, heads):
        """(B, A, T, K) -> (B, T, D)."""
        return heads.transpose(1, 2).flatten(2)
