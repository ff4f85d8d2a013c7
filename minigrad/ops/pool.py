"""Pooling: the maximum or the mean of windows, of fixed size or of a fixed number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..backend import array_module
from ..capture import readable
from ..op import primitive, wrap
from .elementwise import abs as absolute
from .elementwise import choose, mul, pow_arrays, sign
from .index import gather_along
from .pad import pad_constant
from .reduce import max_along, put_along, reduce_mean, reduce_sum, take_along
from .shape import cat, reshape_to, slice_along, windows

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "avg_pool1d", "avg_pool2d",
    "lp_pool1d", "max_pool1d", "max_pool2d",
]  # fmt: skip


@primitive(name="MaxPool2DWithIndices")
def pick(xp, x, *, index):
    """x[..., index] along the last dimension, no place picked twice: windows that don't overlap."""
    return xp.take_along_axis(x, index, -1)


pick.vjp(
    x=lambda g, x_shape, index: put_along(g, index=index, dim=len(x_shape) - 1, size=x_shape[-1])
)
pick.samples(lambda rand: [(rand(3, 6), {"index": rand.ints(3, 3, 2) + [[0, 3]]})])


def _tuple(name, value, n):
    value = (value,) * n if isinstance(value, int) else tuple(value)
    if len(value) == 1:
        value = value * n
    if len(value) != n or any(isinstance(v, bool) for v in value):
        raise RuntimeError(f"{name}: expected one integer or {n} of them, got {value}")
    return value


def _count(name, size, k, s, p, d, ceil_mode):
    """How many windows fit; with ceil_mode also one that hangs over the end."""
    span = size + 2 * p - d * (k - 1) - 1
    count = (-(-span // s) if ceil_mode else span // s) + 1
    if ceil_mode and (count - 1) * s >= size + p:
        count -= 1  # the last window must start inside the input or the padding before it
    if count < 1:
        raise RuntimeError(
            f"{name}: Given input size: {size}. Calculated output size: {count}. Output size is too "
            f"small for kernel size {k}"
        )
    return count


def _geometry(name, input, n, kernel_size, stride, padding, dilation=1):
    shape = input.array.shape
    if len(shape) not in (n + 1, n + 2):
        raise RuntimeError(
            f"{name}: Expected {n + 1}D or {n + 2}D input, but got input of shape {tuple(shape)}"
        )
    kernel = _tuple(name, kernel_size, n)
    stride = kernel if stride is None or stride == [] else _tuple(name, stride, n)
    padding, dilation = _tuple(name, padding, n), _tuple(name, dilation, n)
    if min(kernel) < 1 or min(stride) < 1:
        raise RuntimeError(f"{name}: kernel size and stride must be greater than zero")
    for p, k in zip(padding, kernel, strict=True):
        if p < 0 or p > k // 2:
            raise RuntimeError(
                f"{name}: pad should be at most half of effective kernel size, but got pad={p}, "
                f"kernel_size={k}"
            )
    return kernel, stride, padding, dilation


def _max_pool(name, n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    kernel, stride, padding, dilation = _geometry(
        name, input, n, kernel_size, stride, padding, dilation
    )
    xp = array_module(input.array)
    shape = input.array.shape
    head, sizes = shape[:-n], shape[-n:]
    flat = reshape_to(input, shape=(*head, math.prod(sizes)))
    if n == 1 and kernel == sizes and padding == (0,) and dilation == (1,):  # over all time
        values, index = max_along(flat, dim=len(head), keepdim=True)
        return (values, index) if return_indices else values
    counts = [
        _count(name, *args, ceil_mode)
        for args in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]
    # the place of every number of every window, per dimension; -1 where it lies outside
    places = []
    for size, k, s, p, d, count in zip(
        sizes, kernel, stride, padding, dilation, counts, strict=True
    ):
        at = xp.arange(count)[:, None] * s - p + xp.arange(k) * d
        places.append(xp.where((at >= 0) & (at < size), at, -1))
    if n == 1:
        outside = places[0] < 0
        index = xp.where(outside, 0, places[0])
    else:
        rows, columns = places[0][:, None, :, None], places[1][None, :, None, :]
        outside = (rows < 0) | (columns < 0)
        index = xp.where(outside, 0, rows * sizes[1] + columns).reshape(*counts, -1)
        outside = outside.reshape(*counts, -1)
    lowest = -math.inf if input.array.dtype.kind in "fV" else -(2**31)
    gathered = xp.where(outside, xp.asarray(lowest, input.array.dtype), flat.array[..., index])
    best = gathered.argmax(-1)
    chosen = xp.take_along_axis(xp.broadcast_to(index, gathered.shape), best[..., None], -1)
    chosen = chosen.reshape(*head, math.prod(counts))
    apart = all(s >= d * (k - 1) + 1 for k, s, d in zip(kernel, stride, dilation, strict=True))
    values = pick(flat, index=chosen) if apart else gather_along(flat, index=chosen, dim=len(head))
    empty = outside.all(-1).reshape(-1)  # a dilated window may lie in the padding altogether
    if not readable(empty) or empty.any():
        values = choose(empty, lowest, values)
    values = reshape_to(values, shape=(*head, *counts))
    if not return_indices:
        return values
    return values, wrap(chosen.reshape(*head, *counts).astype("int64"))


def max_pool1d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    """The maximum of each window: (B, C, L) -> (B, C, L'); the gradient goes to where it stood."""
    return _max_pool(
        "max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool2d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    """The maximum of each two-dimensional window: (B, C, H, W) -> (B, C, H', W')."""
    return _max_pool(
        "max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def _avg_pool(name, n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor):
    kernel, stride, padding, _ = _geometry(name, input, n, kernel_size, stride, padding)
    xp = array_module(input.array)
    ndim = input.array.ndim
    sizes = input.array.shape[-n:]
    divisors = xp.ones((1,) * n, input.array.dtype)
    x = input
    widths = [(0, 0)] * ndim
    for i, (size, k, s, p) in enumerate(zip(sizes, kernel, stride, padding, strict=True)):
        count = _count(name, size, k, s, p, 1, ceil_mode)
        beyond = max((count - 1) * s + k - size - 2 * p, 0)
        widths[ndim - n + i] = (p, p + beyond)
        start = xp.arange(count) * s - p
        low = start if count_include_pad else xp.maximum(start, 0)
        high = xp.minimum(start + k, size + p if count_include_pad else size)
        span = (high - low).reshape([-1 if d == i else 1 for d in range(n)])
        divisors = divisors * span.astype(input.array.dtype)
    if any(w != (0, 0) for w in widths):
        x = pad_constant(x, widths=tuple(widths))
    for i, (k, s) in enumerate(zip(kernel, stride, strict=True)):
        x = reduce_sum(windows(x, dim=ndim - n + i, size=k, step=s), dim=(ndim,))
        count = divisors.shape[i]
        x = slice_along(x, dim=ndim - n + i, start=0, stop=count)
    return x / (wrap(divisors) if divisor is None else divisor)


def avg_pool1d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window: (B, C, L) -> (B, C, L')."""
    return _avg_pool(
        "avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None
    )


def avg_pool2d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override=None,
) -> Tensor:
    """The mean of each two-dimensional window: (B, C, H, W) -> (B, C, H', W')."""
    return _avg_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size, stride=None, ceil_mode: bool = False
) -> Tensor:
    """(sum x^p)^(1/p) of each window, p = norm_type."""
    (k,) = _tuple("lp_pool1d", kernel_size, 1)
    mean = avg_pool1d(pow_arrays(input, norm_type), k, stride, 0, ceil_mode)
    return pow_arrays(mul(sign(mean) * absolute(mean), k), 1.0 / norm_type)


def _bins(size, count):
    """Where each of `count` nearly equal windows begins and ends."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _adaptive_avg(input, dim, count):
    size = input.array.shape[dim]
    if size % count == 0:
        shape = input.array.shape
        split = reshape_to(input, shape=(*shape[:dim], count, size // count, *shape[dim + 1 :]))
        return reduce_mean(split, dim=(dim + 1,))
    parts = [
        reduce_mean(slice_along(input, dim=dim, start=a, stop=b), dim=(dim,), keepdim=True)
        for a, b in _bins(size, count)
    ]
    return cat(parts, dim)


def adaptive_avg_pool1d(input: Tensor, output_size) -> Tensor:
    """The means of `output_size` nearly equal windows: (B, C, L) -> (B, C, output_size)."""
    (count,) = _tuple("adaptive_avg_pool1d", output_size, 1)
    return _adaptive_avg(input, input.array.ndim - 1, count)


def adaptive_avg_pool2d(input: Tensor, output_size) -> Tensor:
    """The means of a grid of nearly equal windows: (B, C, H, W) -> (B, C, *output_size)."""
    sizes = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
    out = input
    for k, count in enumerate(sizes):
        if count is not None:
            out = _adaptive_avg(out, input.array.ndim - 2 + k, count)
    return out


def adaptive_max_pool1d(input: Tensor, output_size, return_indices: bool = False):
    """The maxima of `output_size` nearly equal windows: (B, C, L) -> (B, C, output_size)."""
    (count,) = _tuple("adaptive_max_pool1d", output_size, 1)
    xp = array_module(input.array)
    dim = input.array.ndim - 1
    picks = [
        input.array[..., a:b].argmax(-1)[..., None] + a
        for a, b in _bins(input.array.shape[-1], count)
    ]
    index = xp.concatenate(picks, -1)
    apart = input.array.shape[-1] % count == 0
    values = (
        take_along(input, index=index, dim=dim)
        if apart
        else gather_along(input, index=index, dim=dim)
    )
    return (values, wrap(index.astype("int64"))) if return_indices else values
