"""Where a word stands, as numbers added to its vector: waves of fixed lengths, or a learned table.

Vaswani et al. 2017, section 3.5; Gehring et al. 2017, "Convolutional Sequence to Sequence Learning",
for learned positions.

T words, D model width.
"""

import math

import minigrad as torch
from minigrad import nn


def sinusoids(first: int, length: int, width: int, device=None):
    """Positions first, first + 1, ... as (length, width), in float64.

    PE(p, 2i) = sin(p / 10000^(2i / D)), PE(p, 2i + 1) = cos(p / 10000^(2i / D)).
    """
    where = dict(dtype=torch.float64, device=device)
    place = torch.arange(first, first + length, **where).unsqueeze(1)  # (T, 1)
    rate = torch.exp(torch.arange(0, width, 2, **where) * (-math.log(10000.0) / width))  # (D / 2)
    angle = place * rate
    return torch.stack([torch.sin(angle), torch.cos(angle)], dim=2).flatten(1)


class SinusoidalPositions(nn.Module):
    """x (B, T, D) -> x + PE, for positions of any size; D must be even."""

    def __init__(self, width: int):
        super().__init__()
        if width % 2:
            raise ValueError(f"SinusoidalPositions: the width must be even, not {width}")
        self.width = width

    def forward(self, x, first: int = 0):
        """first: the position of x's first word."""
        return x + sinusoids(first, x.shape[1], self.width, x.device).to(x.dtype)


class LearnedPositions(nn.Module):
    """x (B, T, D) -> x + table[position], for max_length positions."""

    def __init__(self, width: int, max_length: int):
        super().__init__()
        self.table = nn.Embedding(max_length, width)

    def forward(self, x, first: int = 0):
        """first: the position of x's first word."""
        end = first + x.shape[1]
        if end > self.table.num_embeddings:
            raise ValueError(
                f"LearnedPositions: there are {self.table.num_embeddings} positions, and the text "
                f"has {end} words: cut it, or build the model with max_length={end}"
            )
        return x + self.table(torch.arange(first, end, device=x.device))
