"""Activations by the names that configurations give them."""

from functools import partial

from ..nn import functional as F

ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu_fast": partial(F.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "swish": F.silu,
    "tanh": F.tanh,
    "sigmoid": F.sigmoid,
    "mish": F.mish,
}


def activation(name: str):
    """The function of this name; ValueError, naming all, where there is none."""
    if name not in ACTIVATIONS:
        raise ValueError(f"there is no activation {name!r}; there are: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
