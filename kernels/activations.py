"""Activation functions and their derivatives, each in one pass over its numbers.

NumPy makes a pass over memory for every operation of a formula, and has no error function. Here a
formula is one loop, and exp, tanh and erf in it vectorise (vector_math.py); it runs over a slice from
its start, for an index that could be negative would keep it from vectorising.

Each function has a kernel for its value and one for g times its derivative at x.
"""

import math

import numpy

from ..backend import array_module, error_function
from . import cuda_source
from .kernel import FLOATS, Kernel, compiled
from .threads import share
from .vector_math import erf, normal, sigmoid, tanh

GRAIN = 1 << 13  # numbers worth a piece of their own


def _erf(x):
    return error_function(array_module(x))(x)


def _like(x, value):
    return array_module(x).asarray(value).astype(x.dtype, copy=False).reshape(x.shape)


def _elementwise(name, reference, loop, least=1):
    """A kernel from an array function and a loop with the same inputs, then out.

    Arrays of fewer than `least` numbers are left to the reference.
    """
    reference.__name__ = name
    kernel = Kernel(reference)

    @kernel.implement("numpy")
    def one_pass(*arrays):
        x = arrays[-1]
        if x.size < least or x.dtype not in FLOATS or any(a.dtype != x.dtype for a in arrays):
            return reference(*arrays)
        flat, out = _flat(arrays)
        share(loop, x.size, *flat, out.ravel("K"), grain=GRAIN)
        return out

    @kernel.implement("cupy")
    def one_pass_on_the_gpu(*arrays):
        x = arrays[-1]
        if not x.size or not cuda_source.known(*arrays) or any(a.shape != x.shape for a in arrays):
            return reference(*arrays)
        xp = array_module(x)
        out = xp.empty(x.shape, x.dtype)
        arrays = [xp.ascontiguousarray(a) for a in arrays]
        cuda_source.launch(
            "activations.cu", name, x.dtype, cuda_source.blocks(x.size), cuda_source.THREADS,
            *arrays, out, x.size,
        )  # fmt: skip
        return out

    return kernel


def _flat(arrays):
    """The arrays as rows of numbers in one order, and an empty result; copied only if they differ."""
    x = arrays[-1]
    if not x.flags.c_contiguous:
        rows = [a.ravel("K") for a in arrays]
        same = all(a.strides == x.strides for a in arrays)
        if same and all(numpy.may_share_memory(r, a) for r, a in zip(rows, arrays, strict=True)):
            return rows, numpy.empty_like(x)
    rows = [numpy.ascontiguousarray(a).reshape(-1) for a in arrays]
    return rows, numpy.empty(x.shape, x.dtype)


# -- values ------------------------------------------------------------------------------------------


@compiled
def _relu(begin, end, x, out):
    x, out = x[begin:end], out[begin:end]
    zero = x.dtype.type(0)
    for i in range(x.size):
        out[i] = zero if x[i] < zero else x[i]


@compiled
def _sigmoid(begin, end, x, out):
    x, out = x[begin:end], out[begin:end]
    for i in range(x.size):
        out[i] = sigmoid(x[i])


@compiled
def _erf_loop(begin, end, x, out):
    x, out = x[begin:end], out[begin:end]
    for i in range(x.size):
        out[i] = erf(x[i])


@compiled
def _silu(begin, end, x, out):
    x, out = x[begin:end], out[begin:end]
    for i in range(x.size):
        out[i] = x[i] * sigmoid(x[i])


@compiled
def _gelu(begin, end, x, out):
    x, out = x[begin:end], out[begin:end]
    half, one, root = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(0.7071067811865476)
    for i in range(x.size):
        out[i] = half * x[i] * (one + erf(x[i] * root))


@compiled
def _gelu_tanh(begin, end, x, out):
    x, out = x[begin:end], out[begin:end]
    half, one, c = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(0.7978845608028654)
    cube = x.dtype.type(0.044715)
    for i in range(x.size):
        v = x[i]
        out[i] = half * v * (one + tanh(c * (v + cube * v * v * v)))


# -- g times the derivative ----------------------------------------------------------------------------


@compiled
def _relu_gradient(begin, end, g, x, out):
    g, x, out = g[begin:end], x[begin:end], out[begin:end]
    zero = x.dtype.type(0)
    for i in range(x.size):
        out[i] = g[i] if x[i] > zero else zero


@compiled
def _silu_gradient(begin, end, g, x, out):
    g, x, out = g[begin:end], x[begin:end], out[begin:end]
    one = x.dtype.type(1)
    for i in range(x.size):
        s = sigmoid(x[i])
        out[i] = g[i] * s * (one + x[i] * (one - s))


@compiled
def _gelu_gradient(begin, end, g, x, out):
    g, x, out = g[begin:end], x[begin:end], out[begin:end]
    density = x.dtype.type(0.3989422804014327)
    for i in range(x.size):
        below, e = normal(x[i])
        out[i] = g[i] * (below + x[i] * density * e)


@compiled
def _gelu_tanh_gradient(begin, end, g, x, out):
    g, x, out = g[begin:end], x[begin:end], out[begin:end]
    half, one, c = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(0.7978845608028654)
    cube, three = x.dtype.type(0.044715), x.dtype.type(3 * 0.044715)
    for i in range(x.size):
        v = x[i]
        t = tanh(c * (v + cube * v * v * v))
        out[i] = g[i] * half * (one + t + v * (one - t * t) * c * (one + three * v * v))


# -- the kernels ---------------------------------------------------------------------------------------


def _relu_reference(x):
    """max(x, 0)."""
    return array_module(x).maximum(x, 0)


def _relu_gradient_reference(g, x):
    """g where x > 0, else 0; x may be relu(x), too."""
    xp = array_module(x)
    return xp.where(x > 0, g, xp.zeros((), x.dtype))


def _sigmoid_reference(x):
    """1 / (1 + e^-x)."""
    with numpy.errstate(over="ignore"):  # to inf, and 1 / inf = 0 is right
        return _like(x, 1 / (1 + array_module(x).exp(-x)))


def _erf_reference(x):
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    return _like(x, _erf(x))


def _silu_reference(x):
    """x sigmoid(x)."""
    return _like(x, x * _sigmoid_reference(x))


def _gelu_reference(x):
    """x Phi(x), Phi the normal distribution function."""
    return _like(x, 0.5 * x * (1 + _erf(x * math.sqrt(0.5))))


def _gelu_tanh_reference(x):
    """x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))."""
    t = array_module(x).tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
    return _like(x, 0.5 * x * (1 + t))


def _silu_gradient_reference(g, x):
    """g s (1 + x (1 - s)), s = sigmoid(x)."""
    s = _sigmoid_reference(x)
    return _like(x, g * s * (1 + x * (1 - s)))


def _gelu_gradient_reference(g, x):
    """g (Phi(x) + x e^(-x^2/2) / sqrt(2 pi))."""
    density = array_module(x).exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
    return _like(x, g * (0.5 * (1 + _erf(x * math.sqrt(0.5))) + x * density))


def _gelu_tanh_gradient_reference(g, x):
    """g (1 + t + x (1 - t^2) u') / 2, t = tanh(u), u = sqrt(2/pi) (x + 0.044715 x^3)."""
    c = math.sqrt(2 / math.pi)
    t = array_module(x).tanh(c * (x + 0.044715 * x * x * x))
    return _like(x, 0.5 * g * (1 + t + x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)))


relu = _elementwise("relu", _relu_reference, _relu, 1 << 13)
relu_gradient = _elementwise("relu_gradient", _relu_gradient_reference, _relu_gradient, 1 << 13)
sigmoid_of = _elementwise("sigmoid_of", _sigmoid_reference, _sigmoid)
erf_of = _elementwise("erf_of", _erf_reference, _erf_loop)
silu = _elementwise("silu", _silu_reference, _silu)
silu_gradient = _elementwise("silu_gradient", _silu_gradient_reference, _silu_gradient)
gelu = _elementwise("gelu", _gelu_reference, _gelu)
gelu_gradient = _elementwise("gelu_gradient", _gelu_gradient_reference, _gelu_gradient)
gelu_tanh = _elementwise("gelu_tanh", _gelu_tanh_reference, _gelu_tanh)
gelu_tanh_gradient = _elementwise(
    "gelu_tanh_gradient", _gelu_tanh_gradient_reference, _gelu_tanh_gradient
)
