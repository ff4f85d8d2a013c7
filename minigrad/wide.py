"""bfloat16 on the CPU: sums and functions are computed in float32 and rounded once, as torch does it.

NumPy would round after every addition, and 256 + 1 is 256 in bfloat16: a sum of ones would never pass
256. The ops concerned learn of it when bfloat16 is first asked for; before, nothing costs anything.
"""

import functools

import numpy

from . import dtypes
from .op import REGISTRY

FLOAT32 = numpy.dtype("float32")
MODULES = (
    "activation", "attention", "conv", "elementwise", "linalg", "loss", "norm", "rnn", "special"
)  # fmt: skip
NAMES = (
    "add_advanced", "reduce_logsumexp", "reduce_mean", "reduce_prod", "reduce_std", "reduce_sum",
    "reduce_var", "running_logsumexp", "running_product", "running_sum", "scatter_add_along",
    "scatter_rows", "sum_bags", "sum_to",
)  # fmt: skip


def _is_bfloat16(x) -> bool:
    return isinstance(x, numpy.ndarray) and x.dtype.name == "bfloat16"


def _widen(x):
    if type(x) is tuple:
        return tuple(map(_widen, x))
    return x.astype(FLOAT32) if _is_bfloat16(x) else x


def _narrow(x, dtype):
    return x.astype(dtype) if getattr(x, "dtype", None) == FLOAT32 else x


def _wide_forward(op, forward):
    """The forward in float32; its result is bfloat16 if the first input that holds fractions is."""

    @functools.wraps(forward)
    def run(xp, *arrays, **options):
        if xp is not numpy or not any(map(_is_bfloat16, arrays)):
            return forward(xp, *arrays, **options)
        first = next(x for x in arrays if hasattr(x, "dtype") and x.dtype.kind in "fV")
        out = forward(xp, *map(_widen, arrays), **options)
        if not _is_bfloat16(first):
            return out
        if type(out) is not tuple:
            return _narrow(out, first.dtype)
        count = len(out) if op.outputs is None else op.outputs  # those after them help backward
        return *(_narrow(x, first.dtype) for x in out[:count]), *out[count:]

    return run


def _wide_rule(rule):
    """A fused op's rule in float32; the engine brings each gradient to its input's dtype."""

    @functools.wraps(rule)
    def run(g, out, wanted, *inputs, **options):
        return rule(_widen(g), _widen(out), wanted, *map(_widen, inputs), **options)

    return run


def compute_in_float32() -> None:
    """Let the ops that add up or compute in several steps do so in float32 for bfloat16 arrays."""
    for name, op in REGISTRY.items():
        if name in NAMES or op.__module__.rpartition(".")[2] in MODULES:
            op.forward = _wide_forward(op, op.forward)
            if op.joint is not None:
                op.joint = _wide_rule(op.joint)


dtypes.when_bfloat16_appears.append(compute_in_float32)
