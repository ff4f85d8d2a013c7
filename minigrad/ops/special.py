"""The special functions: error function, gamma function, normal distribution, Bessel, entropy.

How their values are computed stands in special_values.py; here are the functions and derivatives.
"""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING

import numpy

from ..kernels import activations as kernels
from ..op import primitive
from . import special_values as values
from .elementwise import choose, cos, exp, log, sign

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "i0",
    "lgamma",
    "logit",
    "mvlgamma",
    "polygamma",
    "sigmoid",
    "sinc",
    "xlogy",
]


def _into(result, out, name):
    """Write a result into the tensor that the caller gave as `out=`."""
    return result if out is None else out._assign_out(result, name)


# -- the logistic function --------------------------------------------------------------------


@primitive(cast="float")
def sigmoid(xp, x):
    """1 / (1 + e^-x); its derivative is out (1 - out)."""
    return kernels.sigmoid_of[xp](x)


sigmoid.vjp(x=lambda g, out: g * out * (1 - out))
sigmoid.samples(lambda rand: [(rand(3, 4),), (rand(),), (rand(0, 2),), (rand(3, low=-8, high=8),)])


@primitive(name="Logit", cast="float")
def logit_clamped(xp, x, *, eps=None):
    if eps is not None:
        x = xp.clip(x, eps, 1 - eps)
    with numpy.errstate(all="ignore"):
        return xp.log(x / (1 - x))


def _logit_rule(g, x, eps):
    """d log(x / (1 - x)) / dx = 1 / (x (1 - x)); 0 where x was clamped, nan outside [0, 1]."""
    low, high = (0, 1) if eps is None else (eps, 1 - eps)
    outside = math.nan if eps is None else 0.0
    inside = (x >= low) & (x <= high)
    return choose(inside, g / (x * (1 - x)), outside)


logit_clamped.vjp(x=_logit_rule)
logit_clamped.samples(
    lambda rand: [
        (rand(3, 4, low=0.1, high=0.9),),
        (rand(low=0.1, high=0.9),),
        (rand(8, low=0.1, high=0.9), {"eps": 0.3}),
        (rand(0),),
    ]
)


def logit(input: Tensor, eps: float | None = None, *, out: Tensor | None = None) -> Tensor:
    """log(x / (1 - x)), the inverse of sigmoid; with eps, x is first clamped to [eps, 1 - eps]."""
    return _into(logit_clamped(input, eps=eps), out, "logit")


# -- the error function and the normal distribution -------------------------------------------


@primitive(cast="float")
def erf(xp, x):
    """2 / sqrt(pi) * integral of e^(-t^2) from 0 to x; its derivative is 2 / sqrt(pi) e^(-x^2)."""
    if x.dtype == "float32":
        return kernels.erf_of[xp](x)
    return values.erf(xp, x)


erf.vjp(x=lambda g, x: g * (2 / math.sqrt(math.pi)) * exp(-x * x))


@primitive(cast="float")
def erfc(xp, x):
    """1 - erf(x), with full precision for large x; its derivative is -2 / sqrt(pi) e^(-x^2)."""
    return values.erfc(xp, x)


erfc.vjp(x=lambda g, x: g * (-2 / math.sqrt(math.pi)) * exp(-x * x))


@primitive(name="SpecialErfcx", cast="float")
def erfcx(xp, x):
    """e^(x^2) erfc(x); its derivative is 2 x erfcx(x) - 2 / sqrt(pi)."""
    return values.erfcx(xp, x)


erfcx.vjp(x=lambda g, x, out: g * (2 * x * out - 2 / math.sqrt(math.pi)))

for op in (erf, erfc, erfcx):
    op.samples(lambda rand: [(rand(3, 4),), (rand(),), (rand(0, 2),), (rand(6, low=-5, high=5),)])


@primitive(cast="float")
def erfinv(xp, x):
    """The y with erf(y) = x; dy/dx = sqrt(pi) / 2 e^(y^2)."""
    return values.erfinv(xp, x)


erfinv.vjp(x=lambda g, out: g * (math.sqrt(math.pi) / 2) * exp(out * out))
erfinv.samples(
    lambda rand: [
        (rand(3, 4, low=-0.9, high=0.9),),
        (rand(low=-0.9, high=0.9),),
        (rand(0),),
        (rand(3, low=0.93, high=0.98),),
    ]
)


@primitive(name="SpecialNdtr", cast="float")
def ndtr(xp, x):
    """The normal distribution function, erfc(-x / sqrt 2) / 2; its derivative is the density."""
    return values.ndtr(xp, x)


ndtr.vjp(x=lambda g, x: g * exp(-0.5 * x * x) / math.sqrt(2 * math.pi))


@primitive(name="SpecialLogNdtr", cast="float")
def log_ndtr(xp, x):
    """log ndtr(x), also far out in the left tail.

    Its derivative, density / ndtr, is sqrt(2 / pi) / erfcx(-x / sqrt 2).
    """
    return values.log_ndtr(xp, x)


log_ndtr.vjp(x=lambda g, x: g * math.sqrt(2 / math.pi) / erfcx(x * -math.sqrt(0.5)))

for op in (ndtr, log_ndtr):
    op.samples(lambda rand: [(rand(3, 4),), (rand(),), (rand(0, 2),), (rand(6, low=-7, high=3),)])


@primitive(name="SpecialNdtri", cast="float")
def ndtri(xp, x):
    """The inverse of ndtr; its derivative is sqrt(2 pi) e^(out^2 / 2)."""
    return values.ndtri(xp, x)


ndtri.vjp(x=lambda g, out: g * math.sqrt(2 * math.pi) * exp(0.5 * out * out))
ndtri.samples(
    lambda rand: [(rand(3, 4, low=0.1, high=0.9),), (rand(low=0.1, high=0.9),), (rand(0),)]
)


# -- the gamma function -----------------------------------------------------------------------


@primitive(cast="float")
def lgamma(xp, x):
    """log |gamma(x)|; its derivative is digamma."""
    return values.lgamma(xp, x)


@primitive(cast="float")
def digamma(xp, x):
    """gamma'(x) / gamma(x), the derivative of lgamma; its own is polygamma(1, x)."""
    return values.digamma(xp, x)


@primitive(name="Polygamma", cast="float")
def polygamma_of_order(xp, x, *, n):
    return values.polygamma(xp, x, n)


lgamma.vjp(x=lambda g, x: g * digamma(x))
digamma.vjp(x=lambda g, x: g * polygamma_of_order(x, n=1))
polygamma_of_order.vjp(x=lambda g, x, n: g * polygamma_of_order(x, n=n + 1))

for op in (lgamma, digamma):
    op.samples(
        lambda rand: [
            (rand(3, 4, low=0.3, high=3),),
            (rand(low=0.3, high=3),),
            (rand(0, 2),),
            (rand(4, low=5, high=40),),
            (rand(4, low=-1.9, high=-1.1),),
        ]
    )
polygamma_of_order.samples(
    lambda rand: [
        (rand(3, 4, low=0.5, high=3), {"n": 1}),
        (rand(low=0.5, high=3), {"n": 3}),
        (rand(4, low=-1.8, high=-1.2), {"n": 2}),
        (rand(0), {"n": 1}),
    ]
)


def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The n-th derivative of digamma, (-1)^(n+1) n! times the sum of (input + k)^-(n+1)."""
    if n < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n, got n={n}")
    if n == 0:
        return _into(digamma(input), out, "polygamma")
    return _into(polygamma_of_order(input, n=n), out, "polygamma")


def mvlgamma(input: Tensor, p: int, *, out: Tensor | None = None) -> Tensor:
    """The log of the p-dimensional gamma function, log pi p (p-1) / 4 + sum lgamma(x - j/2)."""
    if p < 1:
        raise RuntimeError(f"mvlgamma: p has to be greater than or equal to 1, got p={p}")
    total = lgamma(input) + p * (p - 1) / 4 * math.log(math.pi)
    for j in range(1, p):
        total = total + lgamma(input - j / 2)
    return _into(total, out, "mvlgamma")


# -- Bessel functions -------------------------------------------------------------------------


def _over(y, x, at_zero):
    """y / x, and `at_zero` where x is 0."""
    return choose(x == 0, at_zero, y / choose(x == 0, 1, x))


@primitive(cast="float")
def i0(xp, x):
    """The modified Bessel function I_0; I_0' = I_1."""
    return values.i0(xp, x)


@primitive(name="SpecialI1", cast="float")
def i1(xp, x):
    """The modified Bessel function I_1; I_1' = I_0 - I_1 / x."""
    return values.i1(xp, x)


@primitive(name="SpecialI0E", cast="float")
def i0e(xp, x):
    """e^-|x| I_0(x); its derivative is i1e(x) - sign(x) i0e(x)."""
    return values.i0e(xp, x)


@primitive(name="SpecialI1E", cast="float")
def i1e(xp, x):
    """e^-|x| I_1(x); its derivative is i0e(x) - i1e(x) (sign(x) + 1 / x)."""
    return values.i1e(xp, x)


i0.vjp(x=lambda g, x: g * i1(x))
i1.vjp(x=lambda g, x, out: g * (i0(x) - _over(out, x, 0.5)))
i0e.vjp(x=lambda g, x, out: g * (i1e(x) - sign(x) * out))
i1e.vjp(x=lambda g, x, out: g * (i0e(x) - sign(x) * out - _over(out, x, 0.5)))

for op in (i0, i1, i0e, i1e):
    op.samples(lambda rand: [(rand(3, 4),), (rand(),), (rand(0),), (rand(6, low=-25, high=25),)])


# -- products with a logarithm, sinc ----------------------------------------------------------


def _log_product(xp, x, log, y):
    """x log(y), but 0 where x is 0 (and nan where y is)."""
    with numpy.errstate(all="ignore"):
        log_y = log(y)
        if isinstance(y, numbers.Number):
            log_y = float(log_y)  # a Python number leaves x its dtype
        return xp.where((x == 0) & (y == y), 0, x * log_y)


@primitive(name="Xlogy", cast="float")
def xlogy_arrays(xp, x, y):
    return _log_product(xp, x, xp.log, y)


@primitive(name="SpecialXlog1Py", cast="float")
def xlog1py_arrays(xp, x, y):
    return _log_product(xp, x, xp.log1p, y)


xlogy_arrays.vjp(
    x=lambda g, x, y: choose((x == 0) & (y <= 0), 0.0, xlogy_arrays(g, y)),
    y=lambda g, x, y: g * x / y,
)
xlog1py_arrays.vjp(
    x=lambda g, x, y: choose((x == 0) & (y <= -1), 0.0, xlog1py_arrays(g, y)),
    y=lambda g, x, y: g * x / (y + 1),
)
for op in (xlogy_arrays, xlog1py_arrays):
    op.samples(
        lambda rand: [
            (rand(3, 4), rand.positive(3, 4)),
            (rand(3, 1), rand.positive(4)),
            (rand(), rand.positive(3)),
            (2.0, rand.positive(3)),
            (rand(3), 1.5),
            (rand(0, 3), rand.positive(3)),
        ]
    )
    op.errors(lambda rand: [((rand(3), rand(4)), RuntimeError, r"tensor a \(3\).*tensor b \(4\)")])


def _two_operands(op, name, input, other, out):
    """torch's rule: either may be a number, but not both."""
    if isinstance(input, numbers.Number) and isinstance(other, numbers.Number):
        raise TypeError(f"{name}: at least one of input and other must be a Tensor")
    return _into(op(input, other), out, name)


def xlogy(input: Tensor, other: Tensor | float, *, out: Tensor | None = None) -> Tensor:
    """input * log(other), and 0 where input is 0: the terms of an entropy."""
    return _two_operands(xlogy_arrays, "xlogy", input, other, out)


def xlog1py(input, other, *, out=None):
    """input * log(1 + other), and 0 where input is 0."""
    return _two_operands(xlog1py_arrays, "xlog1py", input, other, out)


@primitive(name="SpecialEntr", cast="float")
def entr(xp, x):
    """-x log x, 0 at 0, -inf below; its derivative is -log x - 1."""
    safe = xp.where(x > 0, x, 1)
    return xp.where(x > 0, -safe * xp.log(safe), xp.where(x < 0, -math.inf, x)).astype(x.dtype)


entr.vjp(x=lambda g, x: -g * (log(x) + 1))
entr.samples(lambda rand: [(rand.positive(3, 4),), (rand.positive(),), (rand.positive(0),)])


@primitive(cast="float")
def sinc(xp, x):
    """sin(pi x) / (pi x), 1 at 0; its derivative is (cos(pi x) - out) / x."""
    angle = x * math.pi
    with numpy.errstate(all="ignore"):
        return xp.where(x == 0, 1, xp.sin(angle) / angle).astype(x.dtype)


sinc.vjp(x=lambda g, x, out: g * _over(cos(x * math.pi) - out, x, 0.0))
sinc.samples(lambda rand: [(rand(3, 4),), (rand(),), (rand(0),)])
