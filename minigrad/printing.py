"""How a tensor prints: the same text as torch, to the last space.

All numbers of one tensor share a format. A first pass finds it (integers print as `3.`, a wide
range as `1.0000e-05`, else four decimals, padded to one width); a second lays them out in nested
brackets, at most 80 columns wide, with `...` in the middle of dimensions when there are over 1,000
numbers.
"""

import contextlib
import math
from typing import NamedTuple

import numpy

from . import dtypes
from .backend import CPU, to_device


class _Options(NamedTuple):
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors print: decimals, numbers before `...` appears, how many then stay, width.

    profile: "default", "short" (2 decimals, 2 edge items) or "full" (never `...`).
    """
    global _options
    if profile is not None:
        profiles = {
            "default": _Options(),
            "short": _Options(precision=2, edgeitems=2),
            "full": _Options(threshold=math.inf),
        }
        if profile not in profiles:
            raise ValueError(
                f"set_printoptions: no profile '{profile}'; there are {', '.join(profiles)}"
            )
        _options = profiles[profile]
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    _options = _options._replace(**changes, sci_mode=sci_mode)


def get_printoptions() -> dict:
    """The print options in force, by name."""
    return _options._asdict()


@contextlib.contextmanager
def printoptions(**options):
    """Print options for a `with` block."""
    global _options
    before = _options
    set_printoptions(**options)
    try:
        yield
    finally:
        _options = before


class _Formatter:
    """The one format that all numbers of a tensor share, found from those finite and not 0."""

    def __init__(self, numbers: numpy.ndarray):
        self.floating = numbers.dtype.kind in "fV"
        self.integers = True  # every number is whole: print `3.`
        self.scientific = False
        self.width = 1
        flat = numbers.reshape(-1)
        if self.floating:
            flat = flat.astype(numpy.float64)
            flat = flat[numpy.isfinite(flat) & (flat != 0)]
            if flat.size == 0:
                return
            size = numpy.abs(flat)
            smallest, largest = float(size.min()), float(size.max())
            self.integers = bool((flat == numpy.ceil(flat)).all())
            self.scientific = (
                largest / smallest > 1000.0
                or largest > 1.0e8
                or (smallest < 1.0e-4 and not self.integers)
            )
            if _options.sci_mode is not None:
                self.scientific = _options.sci_mode
        self.width = max((len(self.text(value)) for value in flat.tolist()), default=1)

    def text(self, value) -> str:
        """The number without padding."""
        if not self.floating:
            return f"{value}"
        if not math.isfinite(value):
            return _nonfinite(value)
        if self.scientific:
            return f"{value:.{_options.precision}e}"
        if self.integers:
            return f"{value:.0f}."
        return f"{value:.{_options.precision}f}"

    def __call__(self, value) -> str:
        return self.text(value).rjust(self.width)


def _nonfinite(value: float) -> str:
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def _shortened(array: numpy.ndarray) -> numpy.ndarray:
    """The numbers that stay visible when a large tensor is abbreviated."""
    edge = _options.edgeitems
    for dim, size in enumerate(array.shape):
        if size > 2 * edge:
            kept = numpy.r_[0:edge, size - edge : size]
            array = numpy.take(array, kept, dim)
    return array


def _lay_out(array, indent, abbreviate, show) -> str:
    """Nested brackets: vectors wrapped at the line width, matrices one row a line."""
    if array.ndim == 0:
        return show(array.item())
    edge = _options.edgeitems
    long = abbreviate and array.shape[0] > 2 * edge
    if array.ndim == 1:
        values = array.tolist()
        texts = (
            [*map(show, values[:edge]), " ...", *map(show, values[-edge:])]
            if long
            else [show(v) for v in values]
        )
        per_line = max(1, (_options.linewidth - indent) // (show.width + 2))
        lines = [texts[i : i + per_line] for i in range(0, len(texts), per_line)] or [[]]
        return "[" + (",\n" + " " * (indent + 1)).join(", ".join(line) for line in lines) + "]"
    if long:
        rows = [_lay_out(array[i], indent + 1, abbreviate, show) for i in range(edge)]
        rows.append("...")
        rows += [
            _lay_out(array[i], indent + 1, abbreviate, show)
            for i in range(array.shape[0] - edge, array.shape[0])
        ]
    else:
        rows = [_lay_out(row, indent + 1, abbreviate, show) for row in array]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(rows) + "]"


def tensor_repr(tensor) -> str:
    """The text that `print(tensor)` shows."""
    kinds = [kind.__name__ for kind in type(tensor).__mro__]
    prefix = ("tensor" if kinds[0] in ("Tensor", "Parameter") else kinds[0]) + "("
    array = to_device(tensor.array, CPU)
    suffixes = []
    if tensor.device != CPU:
        suffixes.append(f"device='{tensor.device}'")
    dtype = tensor.dtype
    usual = dtype in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool)
    if array.size == 0:
        contents = "[]"
        usual = dtype is dtypes.get_default_dtype()
        if array.ndim != 1:
            suffixes.append(f"size={tuple(array.shape)}")
    else:
        abbreviate = array.size > _options.threshold
        if _options.edgeitems == 0:
            suffixes.append(f"size={tuple(array.shape)}")
        if abbreviate and _options.edgeitems == 0:
            contents = "[...]"
        else:
            show = _Formatter(_shortened(array) if abbreviate else array)
            contents = _lay_out(array, len(prefix), abbreviate, show)
    if not usual:
        suffixes.append(f"dtype={dtype}")
    node = tensor.grad_fn
    if node is not None:
        suffixes.append(f"grad_fn=<{node.name()}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    text = _append(prefix + contents, suffixes, len(prefix))
    return "Parameter containing:\n" + text if "Parameter" in kinds else text


def _append(text, suffixes, indent) -> str:
    """The suffixes after the numbers, on a line of their own where they would pass the width."""
    last = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if last + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            last = indent + len(suffix)
        else:
            text += ", " + suffix
            last += len(suffix) + 2
    return text + ")"


def format_tensor(tensor, spec: str) -> str:
    """`f"{x:.3f}"` formats the number in a 0-d tensor; any other prints as itself, without a spec."""
    if tensor.array.ndim == 0 and type(tensor).__name__ == "Tensor":
        return format(tensor.item(), spec)
    return object.__format__(tensor, spec)
