"""Padding at the edges: with a constant, or with the tensor's own numbers."""

from ..backend import array_module
from ..op import primitive
from .shape import slice_along, take_slices

__all__ = []


@primitive(name="ConstantPadNd")
def pad_constant(xp, x, *, widths, value=0):
    """x with widths[d] = (before, after) numbers `value` added along every dimension d."""
    return xp.pad(x, widths, constant_values=value)


@primitive(name="Slice", view=True)
def crop(xp, x, *, widths):
    """x without widths[d] = (before, after) numbers along every dimension d: undoes `pad_constant`."""
    return x[tuple(slice(a, n - b) for (a, b), n in zip(widths, x.shape, strict=True))]


pad_constant.vjp(x=lambda g, widths: crop(g, widths=widths))
crop.vjp(x=lambda g, widths: pad_constant(g, widths=widths))
pad_constant.samples(lambda rand: [(rand(2, 3), {"widths": ((0, 0), (1, 2)), "value": 1.5})])
crop.samples(lambda rand: [(rand(2, 5), {"widths": ((0, 0), (1, 2))})])

MODES = ("constant", "reflect", "replicate", "circular")


def pad(input, pad, mode="constant", value=None):
    """Numbers added at both ends of the last dimensions.

    pad: (before, after) of the last dimension, then of the one before it, and so on; negative widths
    cut off. mode: "constant" (`value`, 0 by default), "reflect" (mirrored, without the edge),
    "replicate" (the edge repeated), "circular" (the other end).
    """
    shape = input.array.shape
    if len(pad) % 2:
        raise RuntimeError(f"pad: Padding length must be divisible by 2, got {list(pad)}")
    if len(pad) // 2 > len(shape):
        raise RuntimeError(
            "pad: Padding length should be less than or equal to two times the input dimension but "
            f"got padding length {len(pad)} and input of dimension {len(shape)}"
        )
    if mode not in MODES:
        raise NotImplementedError(f"pad: Unrecognised padding mode {mode}; it is one of {MODES}")
    widths = [(0, 0)] * len(shape)
    for k in range(len(pad) // 2):
        widths[len(shape) - 1 - k] = (int(pad[2 * k]), int(pad[2 * k + 1]))
    if mode != "constant":
        if value is not None and value != 0:
            raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
        return _pad_with_own(input, widths, mode)
    if any(a < 0 or b < 0 for a, b in widths):
        out = input
        for dim, (a, b) in enumerate(widths):
            n = out.array.shape[dim]
            if n + a + b < 0:
                raise RuntimeError(
                    f"pad: The input size {n}, plus negative padding {a} and {b}, resulted in a "
                    f"negative output size at dimension {dim} of input {list(shape)}"
                )
            if a < 0 or b < 0:
                out = slice_along(out, dim=dim, start=max(-a, 0), stop=n - max(-b, 0))
        input, widths = out, [(max(a, 0), max(b, 0)) for a, b in widths]
    return pad_constant(input, widths=tuple(widths), value=0 if value is None else value)


def _pad_with_own(input, widths, mode):
    xp = array_module(input.array)
    for dim, (a, b) in enumerate(widths):
        if (a, b) == (0, 0):
            continue
        n = input.array.shape[dim]
        limit = {"reflect": n - 1, "circular": n, "replicate": max(a, b)}[mode]
        if max(a, b) > limit or n == 0:
            raise RuntimeError(
                f"pad: Padding size should be {'less than' if mode == 'reflect' else 'at most'} the "
                f"corresponding input dimension, but got: padding ({a}, {b}) at dimension {dim} of "
                f"input {list(input.array.shape)}"
            )
        if mode == "circular" and n + a + b == 0:
            input = slice_along(input, dim=dim, start=0, stop=0)
            continue
        first, last = max(-a, 0), n - max(-b, 0)  # what negative widths leave
        if n + a + b < 1 or (mode == "circular" and first >= last):
            raise RuntimeError(
                f"pad: input {list(input.array.shape)} is too small at dimension {dim} for padding "
                f"({a}, {b}): calculated output size {n + a + b}"
            )
        place = xp.arange(-a, n + b)
        if mode == "reflect":
            place = xp.abs(place)
            place = n - 1 - xp.abs(n - 1 - place)
        elif mode == "replicate":
            place = xp.clip(place, 0, n - 1)
        else:
            place = first + (place - first) % (last - first)
        input = take_slices(input, index=place, dim=dim)
    return input
