"""Convolution over one or two dimensions, and its two gradients: a closed family of three.

    out[b, o, t] = sum_{c, k} w[o, c, k] x[b, c, stride t + dilation k - padding]

is linear in x and in w. `convolve` computes it, `convolve_back` is its gradient for x (and is the
transposed convolution), `correlate` its gradient for w; the gradients of each of the three are the
other two, so derivatives of any order need nothing more.

Over one dimension they are kernels (kernels/conv1d.py). Else, and with groups, all three go through one
matrix product: every window of x becomes a row (im2col; the channels come last in memory, so that a
window is a few contiguous blocks) and the weights become a matrix.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..autocasting import applies, runs_under_autocast
from ..backend import array_module
from ..kernels import conv1d as kernels
from ..kernels import conv1d_cuda  # noqa: F401 (it adds the GPU to the kernels of conv1d)
from ..kernels.matmul import product
from ..op import primitive
from .activation import relu
from .pad import pad_constant
from .reduce import max_along, reduce_sum
from .shape import insert_dim, remove_dim

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["conv1d", "conv1d_relu_max", "conv2d", "conv_transpose1d"]


def _channels_last(xp, x, padding):
    """(B, C, *S) padded, as contiguous (B, *S, C)."""
    x = xp.moveaxis(x, 1, -1)
    if not any(before or after for before, after in padding):
        return xp.ascontiguousarray(x)
    sides = list(zip(x.shape[1:-1], padding, strict=True))
    out = xp.zeros((len(x), *(n + sum(both) for n, both in sides), x.shape[-1]), x.dtype)
    out[(slice(None), *(slice(before, before + n) for n, (before, _) in sides))] = x
    return out


def _windows(xp, x, kernel, stride, dilation):
    """(B, *S, C) -> (B, *O, *K, C), every window, as a view."""
    n = len(kernel)
    count = [
        (size - d * (k - 1) - 1) // s + 1
        for size, k, s, d in zip(x.shape[1:-1], kernel, stride, dilation, strict=True)
    ]
    steps = x.strides[1:-1]
    strides = (
        x.strides[0],
        *(step * s for step, s in zip(steps, stride, strict=True)),
        *(step * d for step, d in zip(steps, dilation, strict=True)),
        x.strides[-1],
    )
    shape = (x.shape[0], *count, *kernel, x.shape[-1])
    return xp.lib.stride_tricks.as_strided(x, shape, strides), tuple(count[:n])


def _rows(xp, g):
    """(B, O, *S) -> (B * S, O): one row a place."""
    return xp.moveaxis(g, 1, -1).reshape(math.prod(g.shape[2:], start=g.shape[0]), g.shape[1])


def _weight_matrix(xp, w):
    """(O, C, *K) -> (K * C, O), in the order of a window's numbers."""
    return xp.moveaxis(w, (0, 1), (-1, -2)).reshape(-1, w.shape[0])


def _per_group(groups, array, axis=1):
    """The channels of each group."""
    size = array.shape[axis] // groups
    head = (slice(None),) * axis
    return [array[(*head, slice(k * size, (k + 1) * size))] for k in range(groups)]


@primitive(name="Convolution")
def convolve(xp, x, w, bias, *, stride, padding, dilation, groups):
    """x (B, C, *S), w (O, C / groups, *K), bias (O) or 0 -> (B, O, *T)."""
    kernel = w.shape[2:]
    if len(kernel) == groups == 1:
        bias = bias if hasattr(bias, "shape") else None
        out = kernels.conv1d[xp](_channels_last(xp, x, padding), w, *stride, *dilation, bias)
        return out.swapaxes(1, 2)
    outs = []
    for x_part, w_part in zip(_per_group(groups, x), _per_group(groups, w, 0), strict=True):
        windows, count = _windows(xp, _channels_last(xp, x_part, padding), kernel, stride, dilation)
        columns = windows.reshape(x.shape[0] * math.prod(count), math.prod(w_part.shape[1:]))
        outs.append(product[xp](columns, _weight_matrix(xp, w_part)))
    out = outs[0] if groups == 1 else xp.concatenate(outs, -1)
    if hasattr(bias, "shape"):
        out += bias
    return xp.moveaxis(out.reshape(x.shape[0], *count, w.shape[0]), -1, 1)


@primitive(name="ConvolutionBackward")
def convolve_back(xp, g, w, *, size, stride, padding, dilation, groups):
    """The gradient for x, (B, C, *size), from that of the output, g (B, O, *T)."""
    batch, kernel, count = g.shape[0], w.shape[2:], g.shape[2:]
    padded = tuple(n + a + b for n, (a, b) in zip(size, padding, strict=True))
    if len(kernel) == groups == 1:
        out = kernels.conv1d_input[xp](g.swapaxes(1, 2), w, *padded, *stride, *dilation)
        first = padding[0][0]
        return out[:, first : first + size[0]].swapaxes(1, 2)
    outs = []
    for g_part, w_part in zip(_per_group(groups, g), _per_group(groups, w, 0), strict=True):
        columns = product[xp](_rows(xp, g_part), _weight_matrix(xp, w_part).T)
        columns = columns.reshape(batch, *count, *kernel, w.shape[1])
        out = xp.zeros((batch, *padded, w.shape[1]), g.dtype)
        for place in xp.ndindex(*kernel):  # each tap of the kernel adds to every stride-th place
            where = tuple(
                slice(d * k, d * k + s * (n - 1) + 1, s) if n else slice(0, 0)
                for k, d, s, n in zip(place, dilation, stride, count, strict=True)
            )
            out[(slice(None), *where)] += columns[(slice(None),) * (1 + len(count)) + place]
        inside = tuple(slice(a, a + n) for n, (a, _) in zip(size, padding, strict=True))
        outs.append(out[(slice(None), *inside)])
    out = outs[0] if groups == 1 else xp.concatenate(outs, -1)
    return xp.moveaxis(out, -1, 1)


@primitive(name="ConvolutionBackward")
def correlate(xp, g, x, *, kernel, stride, padding, dilation, groups):
    """The gradient for w, (O, C / groups, *kernel), from that of the output, g (B, O, *T)."""
    if len(kernel) == groups == 1:
        x = _channels_last(xp, x, padding)
        return kernels.conv1d_weight[xp](g.swapaxes(1, 2), x, *kernel, *stride, *dilation)
    outs = []
    for g_part, x_part in zip(_per_group(groups, g), _per_group(groups, x), strict=True):
        windows, count = _windows(xp, _channels_last(xp, x_part, padding), kernel, stride, dilation)
        # a stride may leave numbers at the end that no window of g reaches
        windows = windows[(slice(None), *(slice(n) for n in g.shape[2:]))]
        columns = windows.reshape(
            x.shape[0] * math.prod(g.shape[2:]), math.prod(kernel) * x_part.shape[1]
        )
        weights = product[xp](_rows(xp, g_part).T, columns)
        weights = weights.reshape(g_part.shape[1], *kernel, x_part.shape[1])
        outs.append(xp.moveaxis(weights, -1, 1))
    return outs[0] if groups == 1 else xp.concatenate(outs, 0)


convolve.vjp(
    x=lambda g, w, x_shape, stride, padding, dilation, groups: convolve_back(
        g, w, size=x_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    w=lambda g, x, w_shape, stride, padding, dilation, groups: correlate(
        g, x, kernel=w_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    bias=lambda g, x_shape: reduce_sum(g, dim=(0, *range(2, len(x_shape)))),
)
convolve_back.vjp(
    g=lambda gg, w, stride, padding, dilation, groups: convolve(
        gg, w, 0, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    w=lambda gg, g, w_shape, stride, padding, dilation, groups: correlate(
        g, gg, kernel=w_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
)
correlate.vjp(
    g=lambda gw, x, stride, padding, dilation, groups: convolve(
        x, gw, 0, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    x=lambda gw, g, x_shape, stride, padding, dilation, groups: convolve_back(
        g, gw, size=x_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
)

_PLAIN = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
_FULL = {"stride": (2,), "padding": ((1, 2),), "dilation": (2,), "groups": 2}
_TWO = {"stride": (1, 2), "padding": ((1, 1), (0, 0)), "dilation": (1, 1), "groups": 1}
convolve.samples(
    lambda rand: [
        (rand(2, 3, 7), rand(4, 3, 3), rand(4), _PLAIN),
        (rand(2, 4, 8), rand(6, 2, 2), 0, _FULL),
        (rand(2, 1, 4, 5), rand(3, 1, 2, 3), rand(3), _TWO),
        (rand(0, 3, 7), rand(4, 3, 3), rand(4), _PLAIN),
    ]
)
convolve_back.samples(
    lambda rand: [
        (rand(2, 4, 5), rand(4, 3, 3), _PLAIN | {"size": (7,)}),
        (rand(2, 6, 5), rand(6, 2, 2), _FULL | {"size": (8,)}),
    ]
)
correlate.samples(
    lambda rand: [
        (rand(2, 4, 5), rand(2, 3, 7), _PLAIN | {"kernel": (3,)}),
        (rand(2, 6, 5), rand(2, 4, 8), _FULL | {"kernel": (2,)}),
    ]
)


# -- with ReLU and the maximum over time -----------------------------------------------------------


@primitive(name="ConvolutionReluMax")
def convolve_relu_max(xp, x, w, bias, *, stride, padding, dilation):
    """(max over t of relu(convolve(x, w, bias)) (B, O), the time step where it stands)."""
    bias = bias if hasattr(bias, "shape") else xp.zeros(w.shape[0], w.dtype)
    x = _channels_last(xp, x, padding)
    return kernels.conv1d_relu_max[xp](x, w, bias, *stride, *dilation)


def _relu_max_gradients(g, out, wanted, x, w, bias, stride, padding, dilation):
    """What arrives goes to one window of x and one filter of w each, if it passed the ReLU."""
    best, where = out
    g = g[0] * (best > 0)
    before, after = padding[0]
    length = x.shape[2] + before + after
    given = _channels_last(array_module(x), x, padding) if wanted[1] else None
    of_x, of_w = kernels.conv1d_relu_max_backward[array_module(x)](
        g, where, given, w, length, *stride, *dilation, wanted[:2]
    )
    if wanted[0]:
        of_x = of_x[:, before : before + x.shape[2]].swapaxes(1, 2)
    return of_x, of_w, g.sum(0)


def _relu_max_in_ops(x, w, bias, stride, padding, dilation):
    out = convolve(x, w, bias, stride=stride, padding=padding, dilation=dilation, groups=1)
    return (max_along(relu(out), dim=2, keepdim=False)[0],)


convolve_relu_max.fused(_relu_max_gradients, _relu_max_in_ops, outputs=1)
convolve_relu_max.samples(
    lambda rand: [
        (rand(2, 3, 7), rand(4, 3, 3), rand(4), {k: _PLAIN[k] for k in _PLAIN if k != "groups"}),
        (rand(2, 3, 8), rand(4, 3, 2), 0, {k: _FULL[k] for k in _FULL if k != "groups"}),
    ]
)


def conv1d_relu_max(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, dilation=1
) -> Tensor:
    """max over t of relu(conv1d(input, weight, bias)): input (B, C, L), weight (O, C, K) -> (B, O).

    What a text CNN does with each width of filters (Kim 2014), in one pass: nothing of the size of
    the convolution is ever stored. Not in torch, where it is `conv1d(...).relu().amax(2)`.
    """
    x_shape = input.array.shape
    if len(x_shape) != 3:
        raise RuntimeError(f"conv1d_relu_max: expected input (B, C, L), got shape {tuple(x_shape)}")
    stride, dilation, widths = _checked(
        "conv1d_relu_max", 1, input, weight, bias, stride, padding, dilation, 1
    )
    bias = 0 if bias is None else bias
    return convolve_relu_max(input, weight, bias, stride=stride, padding=widths, dilation=dilation)[
        0
    ]


# -- the public functions --------------------------------------------------------------------------


def _tuple(name, what, value, n):
    """One number for every dimension, or one each."""
    if isinstance(value, int):
        return (value,) * n
    value = tuple(value)
    if len(value) == 1:
        return value * n
    if len(value) != n:
        raise RuntimeError(
            f"{name}: expected {what} to be a single integer or {n} of them, got {value}"
        )
    return value


def _side_widths(name, padding, kernel, stride, dilation):
    """Padding as (before, after) per dimension, from a number, "valid" or "same"."""
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding == "same":
        if any(s != 1 for s in stride):
            raise RuntimeError(f"{name}: padding='same' is not supported for strided convolutions")
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    if isinstance(padding, str):
        raise ValueError(
            f"{name}: Invalid padding string {padding!r}, should be one of 'valid', 'same'"
        )
    padding = _tuple(name, "padding", padding, len(kernel))
    if min(padding) < 0:
        raise RuntimeError(f"{name}: negative padding is not supported, got {padding}")
    return tuple((p, p) for p in padding)


def _checked(name, n, input, weight, bias, stride, padding, dilation, groups):
    """(stride, dilation, widths of the padding) per dimension, or an error that names the shapes."""
    x_shape, w_shape = input.array.shape, weight.array.shape
    if len(w_shape) != n + 2:
        raise RuntimeError(f"{name}: expected a {n + 2}D weight, got shape {tuple(w_shape)}")
    stride = _tuple(name, "stride", stride, n)
    dilation = _tuple(name, "dilation", dilation, n)
    if min(stride) < 1 or min(dilation) < 1:
        raise RuntimeError(f"{name}: non-positive stride or dilation: {stride}, {dilation}")
    if groups < 1 or w_shape[0] % groups:
        raise RuntimeError(
            f"{name}: expected weight to be at least {groups} at dimension 0 and divisible by "
            f"{groups}, but got weight of size {list(w_shape)} instead"
        )
    if x_shape[1] != w_shape[1] * groups:
        raise RuntimeError(
            f"{name}: Given groups={groups}, weight of size {list(w_shape)}, expected "
            f"input{list(x_shape)} to have {w_shape[1] * groups} channels, but got {x_shape[1]} "
            "channels instead"
        )
    if input.array.dtype != weight.array.dtype and not applies("convolve", input.array):
        raise RuntimeError(
            f"{name}: Input type ({input.dtype}) and weight type ({weight.dtype}) should be the same"
        )
    if bias is not None and bias.array.shape != w_shape[:1]:
        raise RuntimeError(
            f"{name}: Given weight of size {list(w_shape)}, expected bias to be 1-dimensional with "
            f"{w_shape[0]} elements, but got bias of size {list(bias.array.shape)} instead"
        )
    widths = _side_widths(name, padding, w_shape[2:], stride, dilation)
    for size, (a, b), k, d in zip(x_shape[2:], widths, w_shape[2:], dilation, strict=True):
        if size + a + b < d * (k - 1) + 1:
            raise RuntimeError(
                f"{name}: Calculated padded input size per channel: ({size + a + b}). Kernel size: "
                f"({d * (k - 1) + 1}). Kernel size can't be greater than actual input size (input of "
                f"shape {list(x_shape)})"
            )
    return stride, dilation, widths


def _convolution(name, n, input, weight, bias, stride, padding, dilation, groups):
    x_shape = input.array.shape
    if len(x_shape) not in (n + 1, n + 2):
        raise RuntimeError(
            f"{name}: Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got "
            f"input of size: {list(x_shape)}"
        )
    if len(x_shape) == n + 1:
        batched = insert_dim(input, dim=0)
        out = _convolution(name, n, batched, weight, bias, stride, padding, dilation, groups)
        return remove_dim(out, dim=0)
    stride, dilation, widths = _checked(
        name, n, input, weight, bias, stride, padding, dilation, groups
    )
    bias = 0 if bias is None else bias
    return convolve(
        input, weight, bias, stride=stride, padding=widths, dilation=dilation, groups=groups
    )


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride=1,
    padding=0,
    dilation=1,
    groups: int = 1,
) -> Tensor:
    """out[b, o, t] = bias[o] + sum_{c, k} weight[o, c, k] input[b, c, stride t + dilation k - padding].

    input (B, C, L) or (C, L), weight (O, C / groups, K), bias (O) -> (B, O, L') with
    L' = (L + 2 padding - dilation (K - 1) - 1) // stride + 1; padding "same" keeps L, "valid" adds
    none. Raises RuntimeError, naming the shapes, where they do not fit.
    """
    return _convolution("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride=1,
    padding=0,
    dilation=1,
    groups: int = 1,
) -> Tensor:
    """The same over two dimensions: input (B, C, H, W), weight (O, C / groups, K, M)."""
    return _convolution("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@runs_under_autocast
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride=1,
    padding=0,
    output_padding=0,
    groups: int = 1,
    dilation=1,
) -> Tensor:
    """The transpose of conv1d as a matrix: input (B, C, L), weight (C, O / groups, K) -> (B, O, L').

    L' = (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.
    """
    x_shape, w_shape = input.array.shape, weight.array.shape
    if len(x_shape) == 2:
        out = conv_transpose1d(
            insert_dim(input, dim=0),
            weight,
            bias,
            stride,
            padding,
            output_padding,
            groups,
            dilation,
        )
        return remove_dim(out, dim=0)
    if len(x_shape) != 3 or x_shape[1] != w_shape[0]:
        raise RuntimeError(
            f"conv_transpose1d: Given transposed=1, weight of size {list(w_shape)}, expected "
            f"input{list(x_shape)} to have {w_shape[0]} channels"
        )
    stride, dilation = (_tuple("conv_transpose1d", "stride", v, 1) for v in (stride, dilation))
    (p,) = _tuple("conv_transpose1d", "padding", padding, 1)
    (extra,) = _tuple("conv_transpose1d", "output_padding", output_padding, 1)
    if extra >= max(stride[0], dilation[0]):
        raise RuntimeError(
            "conv_transpose1d: output padding must be smaller than either stride or dilation, but "
            f"got output_padding: {extra}, stride: {stride[0]}, dilation: {dilation[0]}"
        )
    whole = (x_shape[2] - 1) * stride[0] + dilation[0] * (w_shape[2] - 1) + 1
    if whole - 2 * p + extra < 1:
        raise RuntimeError(
            f"conv_transpose1d: Given input of shape {list(x_shape)}, calculated output length: "
            f"{whole - 2 * p + extra}. Output size is too small"
        )
    # output_padding gives back what the padding cuts off at the end, and zeros beyond that
    cut, beyond = max(p - extra, 0), max(extra - p, 0)
    out = convolve_back(
        input,
        weight,
        size=(whole - p - cut,),
        stride=stride,
        padding=((p, cut),),
        dilation=dilation,
        groups=groups,
    )
    if beyond:
        out = pad_constant(out, widths=((0, 0), (0, 0), (0, beyond)))
    return out if bias is None else out + bias.reshape(-1, 1)
