"""Padding of sequences on both sides, as layers: (B, C, T) or (C, T) -> (..., left + T + right)."""

from ..tensor import Tensor
from . import functional as F
from .conv import tuple_of
from .module import Module


class _Pad(Module):
    mode: str

    def __init__(self, padding: int | tuple[int, int]):
        super().__init__()
        self.padding = tuple_of(padding, 2)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ReflectionPad1d(_Pad):
    """Pads with the sequence mirrored at its ends: c b | a b c d | c b."""

    mode = "reflect"


class ReplicationPad1d(_Pad):
    """Pads with the first and the last value: a a | a b c d | d d."""

    mode = "replicate"


class CircularPad1d(_Pad):
    """Pads with the other end of the sequence: c d | a b c d | a b."""

    mode = "circular"


class ConstantPad1d(Module):
    """Pads with one value. Padding (k - 1, 0) makes a convolution of width k causal."""

    def __init__(self, padding: int | tuple[int, int], value: float):
        super().__init__()
        self.padding = tuple_of(padding, 2)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ZeroPad1d(ConstantPad1d):
    """Pads with zeros."""

    def __init__(self, padding: int | tuple[int, int]):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"
