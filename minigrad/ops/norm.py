"""Normalisation: subtract the mean, divide by the spread, with the gradient in closed form.

For y = (x - m) r with r = 1 / sqrt(var + eps) over n numbers:
dx = r (g - mean(g) - y mean(g y)), because m and r depend on every x.
"""

import math

from ..backend import array_module
from ..kernels import batch_norm_cuda  # noqa: F401 (it adds the GPU to the kernels of batch norm)
from ..kernels.batch_norm import (
    channel_affine,
    channel_combine,
    channel_moments,
    channel_products,
)
from ..kernels.norm import normalise_rows, normalise_rows_backward
from ..op import primitive, wrap
from .elementwise import add_arrays, mul, rsqrt, square
from .reduce import reduce_mean
from .shape import reshape

__all__ = []


@primitive(name="NativeLayerNorm")
def standardise(xp, x, *, dim, eps):
    """(x - mean) / sqrt(var + eps) over dim; also the mean and 1 / sqrt(var + eps), kept as 1s.

    Ba, Kiros & Hinton 2016 (layer norm); Ioffe & Szegedy 2015 (batch norm, over the batch instead).
    """
    count = math.prod(x.shape[i] for i in dim)
    scale = x.dtype.type(1 / count) if count else x.dtype.type(math.nan)
    mean = x.sum(dim, keepdims=True) * scale
    centred = x - mean
    variance = (centred * centred).sum(dim, keepdims=True) * scale
    rstd = 1 / xp.sqrt(variance + x.dtype.type(eps))
    centred *= rstd
    return centred, mean, rstd


def _standardise_gradient(g, out0, out2, x_shape, dim):
    g_y, g_mean, g_rstd = g
    count = math.prod(x_shape[i] for i in dim)
    along = reduce_mean(g_y * out0, dim=dim, keepdim=True)
    dx = out2 * (g_y - reduce_mean(g_y, dim=dim, keepdim=True) - out0 * along)
    # the mean and 1/std are outputs too: dm/dx = 1/n, dr/dx = -r^2 y / n
    return dx + (g_mean - g_rstd * out2 * out2 * out0) * (1 / count)


standardise.vjp(x=_standardise_gradient)
standardise.samples(
    lambda rand: [
        (rand(3, 4), {"dim": (1,), "eps": 1e-5}),
        (rand(3, 2, 4), {"dim": (0, 2), "eps": 1e-3}),
    ]
)


@primitive(name="FusedRmsNorm")
def divide_by_rms(xp, x, *, dim, eps):
    """x / sqrt(mean(x^2) + eps) over dim. Zhang & Sennrich 2019."""
    count = math.prod(x.shape[i] for i in dim)
    mean = (x * x).sum(dim, keepdims=True) * x.dtype.type(1 / count)
    return x / xp.sqrt(mean + x.dtype.type(eps))


def _rms_gradient(g, x, dim, eps):
    r = rsqrt(reduce_mean(square(x), dim=dim, keepdim=True) + eps)
    y = x * r
    return r * (g - y * reduce_mean(g * y, dim=dim, keepdim=True))


divide_by_rms.vjp(x=_rms_gradient)
divide_by_rms.samples(
    lambda rand: [
        (rand(3, 4), {"dim": (1,), "eps": 1e-5}),
        (rand(2, 3, 4), {"dim": (1, 2), "eps": 0.1}),
    ]
)


@primitive(name="NativeLayerNorm")
def normalise(xp, x, weight, bias, *, ndim, eps, centred=True):
    """x, its last `ndim` dimensions standardised (or, not centred, divided by rms) * weight + bias.

    weight and bias have the shape of those dimensions, or are the number 0 where there are none.
    """
    n = math.prod(x.shape[x.ndim - ndim :])
    weight, bias = (v.reshape(-1) if hasattr(v, "shape") else 0 for v in (weight, bias))
    y = normalise_rows[xp](x.reshape(-1, n) if n else x.reshape(0, 0), weight, bias, eps, centred)
    return y.reshape(x.shape)


def _normalise_gradients(g, out, wanted, x, weight, bias, *, ndim, eps, centred):
    rows, shape = x.shape[: x.ndim - ndim], x.shape[x.ndim - ndim :]
    n = math.prod(shape)
    if not n:
        zeros = g.sum(tuple(range(len(rows))))
        return g, zeros, zeros
    flat = weight.reshape(-1) if hasattr(weight, "shape") else 0
    backward = normalise_rows_backward[array_module(x)]
    summed = wanted[1] or wanted[2]
    dx, dw, db = backward(g.reshape(-1, n), x.reshape(-1, n), flat, eps, centred, summed)
    if not summed:
        return dx.reshape(x.shape), None, None
    return dx.reshape(x.shape), dw.reshape(shape), db.reshape(shape)


def _normalise_composite(x, weight, bias, *, ndim, eps, centred):
    dim = tuple(range(len(x.shape) - ndim, len(x.shape)))
    if centred:
        out, _, _ = standardise(x, dim=dim, eps=eps)
    else:
        out = divide_by_rms(x, dim=dim, eps=eps)
    if hasattr(weight, "shape"):
        out = mul(out, weight)
    return add_arrays(out, bias) if hasattr(bias, "shape") else out


normalise.fused(_normalise_gradients, _normalise_composite, saved=())
normalise.samples(
    lambda rand: [
        (rand(3, 4), rand(4), rand(4), {"ndim": 1, "eps": 1e-5}),
        (rand(2, 3, 4), rand(3, 4), 0, {"ndim": 2, "eps": 0.1}),
        (rand(2, 2, 5), 0, 0, {"ndim": 1, "eps": 1e-3}),
        (rand(3, 2), 0, rand(2), {"ndim": 1, "eps": 0.1}),
        (rand(2, 3, 4), rand(4), 0, {"ndim": 1, "eps": 1e-5, "centred": False}),
        (rand(0, 4), rand(4), rand(4), {"ndim": 1, "eps": 1e-5}),
    ]
)


@primitive(name="NativeBatchNorm")
def normalise_channels(xp, x, weight, bias, *, eps, mean=None, rstd=None):
    """(y, mean, rstd): (x - mean) rstd weight + bias for each channel, dimension 1; each (C) or 0.

    mean, rstd: the batch's, or as given. rstd = 1 / sqrt(var + eps).
    """
    cube = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    if mean is None:
        mean, rstd = channel_moments[xp](cube, eps)
    scale = rstd * weight if hasattr(weight, "shape") else rstd
    shift = bias if hasattr(bias, "shape") else xp.zeros_like(mean)
    return channel_affine[xp](cube, mean, scale, shift).reshape(x.shape), mean, rstd


def _channel_gradients(g, out, wanted, x, weight, bias, *, eps, mean, rstd):
    g, g_mean, g_rstd = g
    xp = array_module(x)
    constant = mean is not None
    _, mean, rstd = out
    cube = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    g = g.reshape(cube.shape)
    count = cube.shape[0] * cube.shape[2]
    total, along = channel_products[xp](g, cube, mean)
    scale = rstd * weight if hasattr(weight, "shape") else rstd
    if constant:
        b = c = xp.zeros_like(mean)
    else:  # the mean and 1/std are outputs too: dm/dx = 1/n, dr/dx = -r^3 (x - m) / n
        b = -(scale * along * rstd**2 + g_rstd * rstd**3) / count
        c = (g_mean - scale * total) / count
    dx = channel_combine[xp](g, cube, mean, scale, b, c).reshape(x.shape)
    return dx, along * rstd, total


def _channels_composite(x, weight, bias, *, eps, mean, rstd):
    per_channel = (1, -1, *[1] * (len(x.shape) - 2))
    if mean is None:
        dim = (0, *range(2, len(x.shape)))
        out, mean, rstd = standardise(x, dim=dim, eps=eps)
        mean, rstd = reshape(mean, (-1,)), reshape(rstd, (-1,))
    else:
        mean, rstd = wrap(mean), wrap(rstd)
        out = mul(x - reshape(mean, per_channel), reshape(rstd, per_channel))
    if hasattr(weight, "shape"):
        out = mul(out, reshape(weight, per_channel))
    if hasattr(bias, "shape"):
        out = add_arrays(out, reshape(bias, per_channel))
    return out, mean, rstd


normalise_channels.fused(_channel_gradients, _channels_composite, saved=(1, 2))
normalise_channels.samples(
    lambda rand: [
        (rand(5, 3), rand(3), rand(3), {"eps": 1e-5}),
        (rand(2, 3, 4), rand(3), 0, {"eps": 0.1}),
        (rand(2, 2, 3, 2), 0, 0, {"eps": 1e-3}),
        (rand(3, 2, 2), rand(2), rand(2), {"eps": 0, "mean": rand(2), "rstd": rand(2)}),
    ]
)
