"""Activation functions and softmax: each is its formula, and its derivative beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..dtypes import to_numpy
from ..kernels import activations as kernels
from ..op import primitive
from .axes import one_axis
from .elementwise import choose, exp, tanh
from .reduce import cast, reduce_sum
from .special import erf

if TYPE_CHECKING:
    from ..dtypes import dtype
    from ..tensor import Tensor

__all__ = ["log_softmax", "prelu", "relu", "softmax"]


# -- piecewise linear --------------------------------------------------------------------------


@primitive(cast="promote")
def relu(xp, x):
    """max(x, 0); its derivative is 1 where x > 0, else 0."""
    return kernels.relu[xp](x)


@primitive(name="ReluBackward")
def relu_gradient(xp, g, y):
    """g where y > 0, else 0."""
    return kernels.relu_gradient[xp](g, y)


relu.vjp(x=lambda g, out: relu_gradient(g, out))
relu_gradient.vjp(g=lambda gg, y: relu_gradient(gg, y))


@primitive(name="LeakyRelu")
def leaky(xp, x, *, slope):
    """x where x > 0, else slope * x."""
    return xp.where(x > 0, x, x * slope)


leaky.vjp(x=lambda g, x, slope: choose(x > 0, g, g * slope))


@primitive(name="Hardtanh")
def clip_between(xp, x, *, low, high):
    """x held between low and high; the gradient is 0 at the bounds and beyond."""
    return xp.clip(x, low, high)


clip_between.vjp(x=lambda g, x, low, high: choose((x > low) & (x < high), g, 0))


@primitive(name="Threshold")
def keep_above(xp, x, *, threshold, value):
    """x where x > threshold, else `value`."""
    return xp.where(x <= threshold, xp.asarray(value, x.dtype), x)


keep_above.vjp(x=lambda g, x, threshold: choose(x <= threshold, 0, g))


@primitive(name="Hardshrink")
def cut_small(xp, x, *, lambd):
    """x where |x| > lambd, else 0."""
    return xp.where(xp.abs(x) <= lambd, xp.zeros((), x.dtype), x)


cut_small.vjp(x=lambda g, out: choose(out == 0, 0, g))


@primitive(name="Softshrink")
def shrink(xp, x, *, lambd):
    """x moved towards 0 by lambd, and 0 within lambd of it."""
    return xp.sign(x) * xp.maximum(xp.abs(x) - lambd, 0)


shrink.vjp(x=lambda g, out: choose(out == 0, 0, g))


@primitive(name="Hardsigmoid")
def hard_sigmoid(xp, x):
    """(x + 3) / 6 held between 0 and 1."""
    return xp.clip(x / 6 + 0.5, 0, 1)


hard_sigmoid.vjp(x=lambda g, x: choose((x > -3) & (x < 3), g / 6, 0))


@primitive(name="Hardswish")
def hard_swish(xp, x):
    """x hardsigmoid(x); its derivative is x / 3 + 1/2 between -3 and 3."""
    return x * xp.clip(x / 6 + 0.5, 0, 1)


hard_swish.vjp(x=lambda g, x: choose(x <= -3, 0, choose(x < 3, g * (x / 3 + 0.5), g)))

relu.samples(lambda rand: [(rand(3, 4),), (rand(),), (rand(0, 2),)])
leaky.samples(lambda rand: [(rand(3, 4), {"slope": 0.01}), (rand(), {"slope": 0.2})])
clip_between.samples(lambda rand: [(rand(3, 4), {"low": -1, "high": 1})])
keep_above.samples(lambda rand: [(rand(3, 4), {"threshold": 0.3, "value": 5.0})])
cut_small.samples(lambda rand: [(rand(3, 4), {"lambd": 0.5})])
shrink.samples(lambda rand: [(rand(3, 4), {"lambd": 0.5})])
hard_sigmoid.samples(lambda rand: [(rand(3, 4, low=-5, high=5),)])
hard_swish.samples(lambda rand: [(rand(3, 4, low=-5, high=5),)])


# -- smooth --------------------------------------------------------------------------------------


@primitive(name="Elu")
def exponential_linear(xp, x, *, alpha, scale=1.0, input_scale=1.0):
    """scale x where x > 0, else scale alpha (e^(input_scale x) - 1)."""
    low = alpha * scale * xp.expm1(xp.minimum(x, 0) * input_scale)
    return xp.where(x > 0, x * scale, low)


exponential_linear.vjp(
    x=lambda g, x, out, alpha, scale, input_scale: choose(
        x > 0, g * scale, g * input_scale * (out + alpha * scale)
    )
)
exponential_linear.samples(
    lambda rand: [
        (rand(3, 4), {"alpha": 1.0}),
        (rand(), {"alpha": 1.673, "scale": 1.05}),
        (rand(3), {"alpha": 0.7, "input_scale": 1 / 0.7}),
    ]
)


def _sigmoid(xp, x):
    """1 / (1 + e^-x) without overflow in either tail."""
    return 0.5 * (xp.tanh(0.5 * x) + 1)


@primitive(name="Silu")
def swish(xp, x):
    """x sigmoid(x)."""
    return kernels.silu[xp](x)


@primitive(name="SiluBackward")
def swish_gradient(xp, g, x):
    """g s (1 + x (1 - s)), s = sigmoid(x)."""
    return kernels.silu_gradient[xp](g, x)


def _swish_gradient_in_ops(g, x):
    s = 0.5 * (tanh(0.5 * x) + 1)
    return g * s * (1 + x * (1 - s))


swish.vjp(x=lambda g, x: swish_gradient(g, x))
swish_gradient.fused(None, _swish_gradient_in_ops)


@primitive(name="Gelu")
def gelu_exact(xp, x):
    """x Phi(x), Phi the normal distribution function: x/2 (1 + erf(x / sqrt 2))."""
    return kernels.gelu[xp](x)


@primitive(name="GeluBackward")
def gelu_exact_gradient(xp, g, x):
    """g (Phi(x) + x e^(-x^2/2) / sqrt(2 pi))."""
    return kernels.gelu_gradient[xp](g, x)


def _gelu_gradient_in_ops(g, x):
    density = exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
    return g * (0.5 * (1 + erf(x * math.sqrt(0.5))) + x * density)


gelu_exact.vjp(x=lambda g, x: gelu_exact_gradient(g, x))
gelu_exact_gradient.fused(None, _gelu_gradient_in_ops)


@primitive(name="Gelu")
def gelu_tanh(xp, x):
    """x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), the approximation that GPT-2 uses."""
    return kernels.gelu_tanh[xp](x)


@primitive(name="GeluBackward")
def gelu_tanh_gradient(xp, g, x):
    """g (1 + t + x (1 - t^2) u') / 2, t = tanh(u), u = sqrt(2/pi) (x + 0.044715 x^3)."""
    return kernels.gelu_tanh_gradient[xp](g, x)


def _gelu_tanh_gradient_in_ops(g, x):
    c = math.sqrt(2 / math.pi)
    t = tanh(c * (x + 0.044715 * x * x * x))
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x))


gelu_tanh.vjp(x=lambda g, x: gelu_tanh_gradient(g, x))
gelu_tanh_gradient.fused(None, _gelu_tanh_gradient_in_ops)

for op in (swish, gelu_exact, gelu_tanh):
    op.samples(lambda rand: [(rand(3, 4),), (rand(),)])
for op in (relu_gradient, swish_gradient, gelu_exact_gradient, gelu_tanh_gradient):
    op.samples(lambda rand: [(rand(3, 4), rand(3, 4)), (rand(), rand())])


@primitive(name="Softplus")
def soft_plus(xp, x, *, beta=1.0, threshold=20.0):
    """log(1 + e^(beta x)) / beta, and x itself where beta x > threshold."""
    scaled = x * beta
    return xp.where(scaled > threshold, x, xp.logaddexp(scaled, xp.zeros((), x.dtype)) / beta)


soft_plus.vjp(
    x=lambda g, x, beta, threshold: choose(
        x * beta > threshold, g, g * (0.5 * (tanh(x * (0.5 * beta)) + 1))
    )
)
soft_plus.samples(lambda rand: [(rand(3, 4),), (rand(3), {"beta": 2.0, "threshold": 1.0})])


@primitive(name="LogSigmoid")
def log_of_sigmoid(xp, x):
    """log(1 / (1 + e^-x)) = min(x, 0) - log(1 + e^-|x|)."""
    return xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.abs(x)))


log_of_sigmoid.vjp(x=lambda g, x: g * (0.5 * (1 - tanh(0.5 * x))))
log_of_sigmoid.samples(lambda rand: [(rand(3, 4),), (rand(),)])


@primitive(name="Mish")
def mish_of(xp, x):
    """x tanh(softplus(x))."""
    return x * xp.tanh(xp.logaddexp(x, xp.zeros((), x.dtype)))


def _mish_gradient(g, x):
    t = tanh(soft_plus(x, beta=1.0, threshold=math.inf))
    return g * (t + x * (1 - t * t) * (0.5 * (tanh(0.5 * x) + 1)))


mish_of.vjp(x=_mish_gradient)
mish_of.samples(lambda rand: [(rand(3, 4),), (rand(),)])


@primitive(name="Prelu")
def parametric_relu(xp, x, weight):
    """x where x > 0, else weight x; the weight is learned."""
    return xp.where(x > 0, x, x * weight)


parametric_relu.vjp(
    x=lambda g, x, weight: choose(x > 0, g, g * weight),
    weight=lambda g, x: choose(x > 0, 0, g * x),
)
parametric_relu.samples(lambda rand: [(rand(3, 4), rand(4)), (rand(2, 3), rand(1))])


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight x, with one weight for all or one per channel (dimension 1)."""
    if weight.array.size != 1:
        channels = input.array.shape[1] if input.array.ndim > 1 else 1
        if weight.array.ndim != 1 or weight.array.size != channels:
            raise RuntimeError(
                f"prelu: Mismatch of parameter numbers and input channel size. Found parameter "
                f"numbers = {weight.array.size}, and channel size = {channels}."
            )
        weight = weight.reshape([-1] + [1] * (input.array.ndim - 2))
    return parametric_relu(input, weight)


# -- softmax -------------------------------------------------------------------------------------


@primitive(name="Softmax")
def softmax_along(xp, x, *, dim):
    """e^x / sum e^x along dim, shifted by the maximum; dx = out (g - sum g out)."""
    out = xp.exp(x - x.max(dim, keepdims=True)) if x.shape[dim] else x.copy()
    out /= out.sum(dim, keepdims=True)
    return out


def _softmax_gradient(g, out, dim):
    weighted = g * out
    return weighted - out * reduce_sum(weighted, dim=(dim,), keepdim=True)


softmax_along.vjp(x=_softmax_gradient)


@primitive(name="LogSoftmax")
def log_softmax_along(xp, x, *, dim):
    """x - log sum e^x along dim; dx = g - softmax(x) sum g."""
    if not x.shape[dim]:
        return x.copy()
    shifted = x - x.max(dim, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(dim, keepdims=True))


log_softmax_along.vjp(x=lambda g, out, dim: g - exp(out) * reduce_sum(g, dim=(dim,), keepdim=True))
for op in (softmax_along, log_softmax_along):
    op.samples(
        lambda rand: [
            (rand(3, 4), {"dim": 1}),
            (rand(2, 3, 4), {"dim": 1}),
            (rand(3, 4), {"dim": 0}),
            (rand(0, 3), {"dim": 1}),
        ]
    )


def _softmax(name, op, input, dim, dtype):
    if dtype is not None and input.array.dtype != to_numpy(dtype):
        input = cast(input, dtype=to_numpy(dtype))
    if input.array.dtype.kind not in "fV":
        raise RuntimeError(
            f"\"{name}\" not implemented for '{input.dtype}': convert with .float() first"
        )
    dim = one_axis(name, dim, input.array.ndim)
    if input.array.ndim == 0:
        shaped = input.reshape(1)
        return op(shaped, dim=0).reshape(())
    out = op(input, dim=dim)
    if dtype is not None and out.array.dtype != to_numpy(dtype):
        out = cast(out, dtype=to_numpy(dtype))  # autocast has its own opinion
    return out


def softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """e^x_i / sum_j e^x_j along dim: positive numbers that sum to 1."""
    return _softmax("softmax", softmax_along, input, dim, dtype)


def log_softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """log softmax(x) = x - log sum_j e^x_j along dim, without overflow."""
    return _softmax("log_softmax", log_softmax_along, input, dim, dtype)
