"""Attention of a decoder's states over an encoder's outputs: additive, dot, general, concat.

Bahdanau, Cho & Bengio 2015, "Neural Machine Translation by Jointly Learning to Align and Translate"
(ICLR); Luong, Pham & Manning 2015, "Effective Approaches to Attention-based Neural Machine
Translation" (EMNLP), section 3.1.

B batch, T target words, S source words, H size of a decoder state, M size of an encoder output,
A size of the space in which additive attention compares the two.
"""

from typing import NamedTuple

import minigrad as torch
from minigrad import nn


class Memory(NamedTuple):
    """What a decoder sees of the source: the outputs, their keys, where padding is, a summary."""

    values: torch.Tensor  # (B, S, M) the encoder's outputs
    keys: torch.Tensor | None  # what the score compares queries with; made once a sentence
    padding: torch.Tensor  # (B, S) True at padding
    summary: torch.Tensor  # (B, H) the decoder's first state: the whole sentence in one vector


class DotScore(nn.Module):
    """score(q, m) = q . m; the sizes H and M must be equal."""

    def __init__(self, query_size: int, memory_size: int):
        super().__init__()
        if query_size != memory_size:
            raise ValueError(
                f"dot attention: decoder states have {query_size} numbers and encoder outputs "
                f"{memory_size}; use attention='general', or an encoder with bidirectional=False"
            )

    def keys(self, values):
        return values

    def forward(self, query, keys):
        return query @ keys.transpose(1, 2)  # (B, T, H) (B, H, S) -> (B, T, S)


class GeneralScore(nn.Module):
    """score(q, m) = q . W m."""

    def __init__(self, query_size: int, memory_size: int):
        super().__init__()
        self.weight = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, values):
        return self.weight(values)  # (B, S, H)

    def forward(self, query, keys):
        return query @ keys.transpose(1, 2)


class AdditiveScore(nn.Module):
    """score(q, m) = v . tanh(W q + U m + b): Bahdanau's, and Luong's concat, whose W is [W U] here."""

    def __init__(self, query_size: int, memory_size: int, size: int | None = None):
        super().__init__()
        size = size or query_size
        self.query = nn.Linear(query_size, size, bias=False)
        self.memory = nn.Linear(memory_size, size)
        self.v = nn.Linear(size, 1, bias=False)

    def keys(self, values):
        return self.memory(values)  # (B, S, A)

    def forward(self, query, keys):
        both = self.query(query).unsqueeze(2) + keys.unsqueeze(1)  # (B, T, S, A)
        return self.v(torch.tanh(both)).squeeze(3)


SCORES = {
    "bahdanau": AdditiveScore,
    "concat": AdditiveScore,
    "dot": DotScore,
    "general": GeneralScore,
}


class SourceAttention(nn.Module):
    """weights = softmax(scores) over the words of the source; context = sum of weight x value.

    query (B, T, H) -> context (B, T, M), weights (B, T, S). Padding gets exactly zero.
    """

    def __init__(self, kind: str, query_size: int, memory_size: int):
        super().__init__()
        if kind not in SCORES:
            raise ValueError(f"attention must be one of {', '.join(SCORES)}, not {kind!r}")
        self.score = SCORES[kind](query_size, memory_size)

    def keys(self, values):
        """What stays the same over all target words."""
        return self.score.keys(values)

    def forward(self, query, memory: Memory):
        scores = self.score(query, memory.keys)
        weights = scores.masked_fill(memory.padding.unsqueeze(1), float("-inf")).softmax(-1)
        return weights @ memory.values, weights
