"""Operations that work number by number: arithmetic, powers, logarithms, trigonometry, rounding.

Every rule is the chain rule for one number, dL/dx = dL/dy * dy/dx, with g = dL/dy. Broadcasting is
not their business: the engine sums a gradient over the axes along which its input was repeated.
"""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING

from ..capture import readable
from ..op import primitive

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "addcdiv",
    "addcmul",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "ceil",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "copysign",
    "cos",
    "cosh",
    "deg2rad",
    "div",
    "divide",
    "exp",
    "exp2",
    "expm1",
    "fix",
    "float_power",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "frac",
    "heaviside",
    "hypot",
    "ldexp",
    "lerp",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logaddexp2",
    "maximum",
    "minimum",
    "mul",
    "multiply",
    "nan_to_num",
    "neg",
    "negative",
    "positive",
    "pow",
    "rad2deg",
    "reciprocal",
    "remainder",
    "round",
    "rsqrt",
    "rsub",
    "sgn",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "sub",
    "subtract",
    "tan",
    "tanh",
    "true_divide",
    "trunc",
]


# -- arithmetic --------------------------------------------------------------------------------


@primitive(name="Add", cast="promote")
def add_arrays(xp, x, y):
    return x + y


add_arrays.vjp(x=lambda g: g, y=lambda g: g)
add_arrays.samples(
    lambda rand: [
        (rand(3, 4), rand(3, 4)),
        (rand(3, 1, 2), rand(4, 1)),
        (rand(), rand(3)),
        (rand(0, 3), rand(3)),
        (rand(2, 3), 1.5),
    ]
)
add_arrays.errors(
    lambda rand: [((rand(3), rand(4)), RuntimeError, r"add.*tensor a \(3\).*tensor b \(4\)")]
)


@primitive(name="Sub", cast="promote")
def sub_arrays(xp, x, y):
    if xp.result_type(x, y).kind == "b":
        raise RuntimeError(
            "sub: Subtraction, the `-` operator, with two bool tensors is not supported. Use "
            "logical_xor, or `^`, instead."
        )
    return x - y


sub_arrays.vjp(x=lambda g: g, y=lambda g: -g)
sub_arrays.samples(
    lambda rand: [(rand(3, 4), rand(3, 4)), (rand(3, 1), rand(4)), (rand(), rand()), (2.0, rand(3))]
)
sub_arrays.errors(lambda rand: [((rand.bools(3), rand.bools(3)), RuntimeError, "bool tensor")])


@primitive(cast="promote")
def mul(xp, x, y):
    """x * y, element by element: dL/dx = g y, dL/dy = g x."""
    return x * y


mul.vjp(x=lambda g, y: g * y, y=lambda g, x: g * x)
mul.samples(
    lambda rand: [
        (rand(3, 4), rand(3, 4)),
        (rand(2, 1, 3), rand(4, 1)),
        (rand(), rand(3)),
        (rand(3, 0), rand(3, 1)),
        (rand(3), 2.0),
    ]
)
mul.errors(lambda rand: [((rand(2, 3), rand(4)), RuntimeError, r"mul: .*\(3\).*\(4\)")])


@primitive(name="Div", cast="float")
def div_arrays(xp, x, y):
    return x / y


div_arrays.vjp(x=lambda g, y: g / y, y=lambda g, out, y: -g * out / y)
div_arrays.samples(
    lambda rand: [(rand(3, 4), rand(3, 4)), (rand(3, 1), rand(4)), (1.0, rand(3)), (rand(), 3.0)]
)


@primitive(cast="promote")
def neg(xp, x):
    """-x; dL/dx = -g."""
    if x.dtype == bool:
        raise RuntimeError(
            "neg: Negation, the `-` operator, on a bool tensor is not supported. Use ~"
        )
    return -x


neg.vjp(x=lambda g: -g)
neg.samples(lambda rand: [(rand(3, 4),), (rand(),), (rand(0),)])


@primitive(name="FloorDivide", cast="promote")
def floor_divide(xp, x, y):
    """floor(x / y). Its gradient is zero wherever it exists."""
    _no_zero_division("floor_divide", x, y)
    return xp.floor_divide(x, y)


@primitive(name="Trunc", cast="promote")
def trunc_divide(xp, x, y):
    _no_zero_division("div", x, y)
    if _all_integers(x, y):
        quotient = xp.floor_divide(x, y)
        return quotient + ((quotient < 0) & (quotient * y != x))
    return xp.trunc(x / y)


@primitive(cast="promote")
def remainder(xp, x, y):
    """x - floor(x / y) y, with the sign of y (Python's %): dx = g, dy = -g floor(x / y)."""
    _no_zero_division("remainder", x, y)
    return xp.remainder(x, y)


remainder.vjp(x=lambda g: g, y=lambda g, x, y: -g * floor_divide(x, y))
remainder.samples(lambda rand: [(rand(3, 4), rand(4)), (rand(3), 0.7), (rand(), rand())])


@primitive(cast="promote")
def fmod(xp, x, y):
    """x - trunc(x / y) y, with the sign of x (C's fmod): dx = g, dy = -g trunc(x / y)."""
    _no_zero_division("fmod", x, y)
    return xp.fmod(x, y)


fmod.vjp(x=lambda g: g, y=lambda g, x, y: -g * trunc_divide(x, y))
fmod.samples(lambda rand: [(rand(3, 4), rand(4)), (rand(3), 0.7), (rand(), rand())])


for op in (floor_divide, trunc_divide):
    op.vjp(x=lambda g: g * 0, y=lambda g: g * 0)
    op.samples(lambda rand: [(rand(3, 4), rand(4)), (rand(3), 0.7), (rand.ints(9, 3), 2)])


def _no_zero_division(name, x, y):
    """Integer division by zero raises, as in torch; floating-point division gives inf or nan."""
    if _all_integers(x, y) and readable(y) and builtins.bool(_any(y == 0)):
        raise RuntimeError(f"{name}: ZeroDivisionError: an integer divisor is 0")


def _all_integers(*operands):
    return all(
        v.dtype.kind in "iub" if hasattr(v, "dtype") else isinstance(v, builtins.int)
        for v in operands
    )


def _any(condition):
    return condition.any() if hasattr(condition, "any") else condition


# -- powers, exponentials, logarithms ----------------------------------------------------------


@primitive(name="Pow", cast="promote")
def pow_arrays(xp, x, y):
    if _all_integers(x, y) and readable(y) and builtins.bool(_any(y < 0)):
        raise RuntimeError("pow: Integers to negative integer powers are not allowed.")
    return xp.power(x, y)


def _pow_x(g, x, y):
    if isinstance(y, (builtins.int, builtins.float)):
        if y == 0:
            return g * 0
        return g * (y * pow_arrays(x, y - 1)) if y != 2 else g * (2 * x)
    return g * choose(y == 0, 0, y * pow_arrays(x, choose(y == 0, 1, y) - 1))


def _pow_y(g, out, x, y):
    # d x^y / dy = x^y log x, taken as 0 where x = 0 and y >= 0
    if isinstance(x, (builtins.int, builtins.float)):
        return g * out * math.log(x) if x > 0 else g * choose(y >= 0, 0, out * log(x + 0 * y))
    safe = choose((x == 0) & (y >= 0), 1, x)
    return g * out * log(safe)


pow_arrays.vjp(x=_pow_x, y=_pow_y)
pow_arrays.samples(
    lambda rand: [
        (rand(3, 4, low=0.2, high=2), rand(4)),
        (rand(3), 3),
        (rand(3), 2),
        (rand(3), 0),
        (rand(3, low=0.5, high=2), -1.5),
        (2.0, rand(3)),
        (rand(), 2),
    ]
)


@primitive(cast="float")
def exp(xp, x):
    """e^x; its own derivative."""
    return xp.exp(x)


exp.vjp(x=lambda g, out: g * out)


@primitive(cast="float")
def exp2(xp, x):
    """2^x; (2^x)' = 2^x log 2."""
    return xp.exp2(x)


exp2.vjp(x=lambda g, out: g * out * math.log(2))


@primitive(cast="float")
def expm1(xp, x):
    """e^x - 1, exact also for tiny x; (e^x - 1)' = e^x."""
    return xp.expm1(x)


expm1.vjp(x=lambda g, out: g * (out + 1))


@primitive(cast="float")
def log(xp, x):
    """The natural logarithm; (log x)' = 1 / x."""
    return xp.log(x)


log.vjp(x=lambda g, x: g / x)


@primitive(cast="float")
def log2(xp, x):
    """The logarithm to base 2; (log2 x)' = 1 / (x log 2)."""
    return xp.log2(x)


log2.vjp(x=lambda g, x: g / (x * math.log(2)))


@primitive(cast="float")
def log10(xp, x):
    """The logarithm to base 10; (log10 x)' = 1 / (x log 10)."""
    return xp.log10(x)


log10.vjp(x=lambda g, x: g / (x * math.log(10)))


@primitive(cast="float")
def log1p(xp, x):
    """log(1 + x), exact also for tiny x; its derivative is 1 / (1 + x)."""
    return xp.log1p(x)


log1p.vjp(x=lambda g, x: g / (x + 1))


@primitive(cast="float")
def sqrt(xp, x):
    """The square root; (sqrt x)' = 1 / (2 sqrt x)."""
    return xp.sqrt(x)


sqrt.vjp(x=lambda g, out: g / (2 * out))


@primitive(cast="float")
def rsqrt(xp, x):
    """1 / sqrt(x); its derivative is -1/2 (1 / sqrt x)^3."""
    return 1 / xp.sqrt(x)


rsqrt.vjp(x=lambda g, out: -0.5 * g * out * out * out)


@primitive(cast="float")
def reciprocal(xp, x):
    """1 / x; (1/x)' = -1 / x^2."""
    return 1 / x


reciprocal.vjp(x=lambda g, out: -g * out * out)


@primitive(name="Pow", cast="promote")
def square(xp, x):
    """x^2; its derivative is 2 x."""
    return x * x


square.vjp(x=lambda g, x: g * (2 * x))


@primitive(cast="float")
def logaddexp(xp, x, y):
    """log(e^x + e^y); the gradients are softmax weights, e^(x - out) and e^(y - out)."""
    return xp.logaddexp(x, y)


logaddexp.vjp(x=lambda g, x, out: g * exp(x - out), y=lambda g, y, out: g * exp(y - out))


@primitive(cast="float")
def logaddexp2(xp, x, y):
    """log2(2^x + 2^y)."""
    return xp.logaddexp2(x, y)


logaddexp2.vjp(x=lambda g, x, out: g * exp2(x - out), y=lambda g, y, out: g * exp2(y - out))

for op in (exp, exp2, expm1, reciprocal, square):
    op.samples(lambda rand: [(rand(3, 4),), (rand(),), (rand(0, 2),)])
for op in (log, log2, log10, log1p, sqrt, rsqrt):
    op.samples(lambda rand: [(rand(3, 4, low=0.2, high=3),), (rand(low=0.2, high=3),), (rand(0),)])
for op in (logaddexp, logaddexp2):
    op.samples(lambda rand: [(rand(3, 4), rand(4)), (rand(), rand(2))])


# -- trigonometry and hyperbolic functions -----------------------------------------------------


@primitive(cast="float")
def sin(xp, x):
    """sin x; sin' = cos."""
    return xp.sin(x)


@primitive(cast="float")
def cos(xp, x):
    """cos x; cos' = -sin."""
    return xp.cos(x)


sin.vjp(x=lambda g, x: g * cos(x))
cos.vjp(x=lambda g, x: -g * sin(x))


@primitive(cast="float")
def tan(xp, x):
    """tan x; tan' = 1 + tan^2."""
    return xp.tan(x)


tan.vjp(x=lambda g, out: g * (1 + out * out))


@primitive(cast="float")
def asin(xp, x):
    """arcsin x; its derivative is 1 / sqrt(1 - x^2)."""
    return xp.arcsin(x)


asin.vjp(x=lambda g, x: g / sqrt(1 - x * x))


@primitive(cast="float")
def acos(xp, x):
    """arccos x; its derivative is -1 / sqrt(1 - x^2)."""
    return xp.arccos(x)


acos.vjp(x=lambda g, x: -g / sqrt(1 - x * x))


@primitive(cast="float")
def atan(xp, x):
    """arctan x; its derivative is 1 / (1 + x^2)."""
    return xp.arctan(x)


atan.vjp(x=lambda g, x: g / (1 + x * x))


@primitive(cast="float")
def atan2(xp, x, y):
    """The angle of the point (y, x): d/dx = y / (x^2 + y^2), d/dy = -x / (x^2 + y^2)."""
    return xp.arctan2(x, y)


atan2.vjp(x=lambda g, x, y: g * y / (x * x + y * y), y=lambda g, x, y: -g * x / (x * x + y * y))


@primitive(cast="float")
def hypot(xp, x, y):
    """sqrt(x^2 + y^2); the gradients are x / out and y / out."""
    return xp.hypot(x, y)


hypot.vjp(x=lambda g, x, out: g * x / out, y=lambda g, y, out: g * y / out)


@primitive(cast="float")
def sinh(xp, x):
    """sinh x; sinh' = cosh."""
    return xp.sinh(x)


@primitive(cast="float")
def cosh(xp, x):
    """cosh x; cosh' = sinh."""
    return xp.cosh(x)


sinh.vjp(x=lambda g, x: g * cosh(x))
cosh.vjp(x=lambda g, x: g * sinh(x))


@primitive(cast="float")
def tanh(xp, x):
    """tanh x; tanh' = 1 - tanh^2."""
    return xp.tanh(x)


tanh.vjp(x=lambda g, out: g * (1 - out * out))


@primitive(cast="float")
def asinh(xp, x):
    """The inverse of sinh; its derivative is 1 / sqrt(x^2 + 1)."""
    return xp.arcsinh(x)


asinh.vjp(x=lambda g, x: g / sqrt(x * x + 1))


@primitive(cast="float")
def acosh(xp, x):
    """The inverse of cosh, for x >= 1; its derivative is 1 / sqrt(x^2 - 1)."""
    return xp.arccosh(x)


acosh.vjp(x=lambda g, x: g / sqrt(x * x - 1))


@primitive(cast="float")
def atanh(xp, x):
    """The inverse of tanh, for |x| < 1; its derivative is 1 / (1 - x^2)."""
    return xp.arctanh(x)


atanh.vjp(x=lambda g, x: g / (1 - x * x))

for op in (sin, cos, sinh, cosh, tanh, atan, asinh):
    op.samples(lambda rand: [(rand(3, 4),), (rand(),), (rand(2, 0),)])
for op in (tan, asin, acos, atanh):
    op.samples(lambda rand: [(rand(3, 4, low=-0.9, high=0.9),), (rand(low=-0.9, high=0.9),)])
acosh.samples(lambda rand: [(rand(3, 4, low=1.2, high=3),), (rand(low=1.2, high=3),)])
for op in (atan2, hypot):
    op.samples(lambda rand: [(rand(3, 4), rand(4)), (rand(), rand(2))])


# -- choosing, clipping, rounding --------------------------------------------------------------


@primitive(name="Where", cast=None)
def choose(xp, condition, x, y):
    """x where the condition holds, else y; each gets the gradient where it was chosen."""
    if isinstance(condition, bool):
        condition = xp.asarray(condition)
    return xp.where(condition, x, y)


choose.vjp(
    x=lambda g, condition: choose(condition, g, 0),
    y=lambda g, condition: choose(condition, 0, g),
)
choose.samples(
    lambda rand: [
        (rand.bools(3, 4), rand(3, 4), rand(3, 4)),
        (rand.bools(3, 1), rand(4), rand()),
        (rand.bools(3), rand(3), 2.0),
    ]
)


def _split_ties(g, chosen, tied):
    """The gradient of max or min: all of it where this input was chosen, half at a tie."""
    return choose(tied, g / 2, choose(chosen, g, 0))


@primitive(cast="promote")
def maximum(xp, x, y):
    """The larger of x and y (NaN if either is NaN); at a tie each gets half the gradient."""
    return xp.maximum(x, y)


maximum.vjp(
    x=lambda g, x, y: _split_ties(g, x > y, x == y),
    y=lambda g, x, y: _split_ties(g, y > x, x == y),
)


@primitive(cast="promote")
def minimum(xp, x, y):
    """The smaller of x and y (NaN if either is NaN); at a tie each gets half the gradient."""
    return xp.minimum(x, y)


minimum.vjp(
    x=lambda g, x, y: _split_ties(g, x < y, x == y),
    y=lambda g, x, y: _split_ties(g, y < x, x == y),
)


@primitive(cast="promote")
def fmax(xp, x, y):
    """The larger of x and y; a number wins over NaN. At a tie x gets the gradient."""
    return xp.fmax(x, y)


fmax.vjp(
    x=lambda g, x, y: choose((x >= y) | (y != y), g, 0),
    y=lambda g, x, y: choose((x >= y) | (y != y), 0, g),
)


@primitive(cast="promote")
def fmin(xp, x, y):
    """The smaller of x and y; a number wins over NaN. At a tie x gets the gradient."""
    return xp.fmin(x, y)


fmin.vjp(
    x=lambda g, x, y: choose((x <= y) | (y != y), g, 0),
    y=lambda g, x, y: choose((x <= y) | (y != y), 0, g),
)

for op in (maximum, minimum, fmax, fmin):
    op.samples(lambda rand: [(rand(3, 4), rand(3, 4)), (rand(3, 1), rand(4)), (rand(), rand(2))])


@primitive(cast="promote")
def clamp_min(xp, x, min):
    """max(x, min): the gradient goes to x where x >= min, to `min` elsewhere."""
    return xp.maximum(x, min)


clamp_min.vjp(
    x=lambda g, x, min: choose(x >= min, g, 0), min=lambda g, x, min: choose(x < min, g, 0)
)


@primitive(cast="promote")
def clamp_max(xp, x, max):
    """min(x, max): the gradient goes to x where x <= max, to `max` elsewhere."""
    return xp.minimum(x, max)


clamp_max.vjp(
    x=lambda g, x, max: choose(x <= max, g, 0), max=lambda g, x, max: choose(x > max, g, 0)
)
for op in (clamp_min, clamp_max):
    op.samples(lambda rand: [(rand(3, 4), 0.0), (rand(3, 4), rand(4)), (rand(), 0.5)])


@primitive(name="Clamp", cast="promote")
def clamp_between(xp, x, min, max):
    """min(max(x, min), max) for numbers min and max; where they cross, max wins."""
    return xp.minimum(xp.maximum(x, min), max)


clamp_between.vjp(x=lambda g, x, min, max: choose((x >= min) & (x <= max), g, 0))
clamp_between.samples(lambda rand: [(rand(3, 4), -1.0, 1.0), (rand(), -0.5, 0.5)])


@primitive(cast="promote")
def abs(xp, x):
    """|x|; its derivative is sign(x), taken as 0 at 0."""
    return xp.abs(x)


abs.vjp(x=lambda g, x: g * sign(x))


@primitive(cast="promote")
def sign(xp, x):
    """-1, 0 or 1; its gradient is zero."""
    return xp.sign(x) if x.dtype != bool else x.copy()


sign.vjp(x=lambda g: g * 0)


@primitive(cast="promote")
def floor(xp, x):
    """The largest integer not above x; its gradient is zero."""
    return x.copy() if x.dtype.kind in "iub" else xp.floor(x)


@primitive(cast="promote")
def ceil(xp, x):
    """The smallest integer not below x; its gradient is zero."""
    return x.copy() if x.dtype.kind in "iub" else xp.ceil(x)


@primitive(cast="promote")
def trunc(xp, x):
    """x without its fraction, rounded towards zero; its gradient is zero."""
    return x.copy() if x.dtype.kind in "iub" else xp.trunc(x)


@primitive(name="Round", cast="promote")
def round_array(xp, x, *, decimals=0):
    return x.copy() if x.dtype.kind in "iub" else xp.round(x, decimals)


for op in (floor, ceil, trunc, round_array):
    op.vjp(x=lambda g: g * 0)
    op.samples(lambda rand: [(rand(3, 4),), (rand(),)])
for op in (abs, sign):
    op.samples(lambda rand: [(rand(3, 4),), (rand(),), (rand(0),)])


@primitive(cast="promote")
def frac(xp, x):
    """x - trunc(x); its derivative is 1."""
    return x - xp.trunc(x)


frac.vjp(x=lambda g: g)
frac.samples(lambda rand: [(rand(3, 4),), (rand(),)])


@primitive(cast="float")
def copysign(xp, x, y):
    """|x| with the sign of y; dL/dx = g where the sign is kept, -g where it changes."""
    return xp.copysign(x, y)


copysign.vjp(x=lambda g, x, y: g * sign(x) * copysign(1.0, y + 0.0 * x), y=lambda g: g * 0)
copysign.samples(lambda rand: [(rand(3, 4), rand(4)), (rand(), rand(2))])


@primitive(cast="promote")
def heaviside(xp, x, values):
    """0 for x < 0, `values` at x = 0, 1 for x > 0; no gradient."""
    return xp.where(x == 0, values, (x > 0).astype(x.dtype)).astype(x.dtype)


heaviside.samples(lambda rand: [(rand(3, 4), rand(4)), (rand(), rand())])


@primitive(name="NanToNum", cast="promote")
def replace_nonfinite(xp, x, *, nan=0.0, posinf=None, neginf=None):
    return xp.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


replace_nonfinite.vjp(x=lambda g, x: choose((x == x) & (abs(x) != math.inf), g, 0))
replace_nonfinite.samples(lambda rand: [(rand(3, 4),), (rand(),)])


# -- the public names whose signatures say more ------------------------------------------------


def add(
    input: Tensor | float, other: Tensor | float, *, alpha: float = 1, out: Tensor | None = None
) -> Tensor:
    """input + alpha * other."""
    return _into(add_arrays(input, other if alpha == 1 else mul(other, alpha)), out, "add")


def sub(
    input: Tensor | float, other: Tensor | float, *, alpha: float = 1, out: Tensor | None = None
) -> Tensor:
    """input - alpha * other."""
    for operand in (input, other):
        if getattr(getattr(operand, "array", operand), "dtype", None) == "bool":
            raise RuntimeError(
                "sub: Subtraction, the `-` operator, with a bool tensor is not supported. Use "
                "logical_xor, `^`, or `~` to invert a mask."
            )
    return _into(sub_arrays(input, other if alpha == 1 else mul(other, alpha)), out, "sub")


def rsub(input: Tensor | float, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """other - alpha * input."""
    return sub(other, input, alpha=alpha)


def div(
    input: Tensor | float,
    other: Tensor | float,
    *,
    rounding_mode: str | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """input / other; rounding_mode "floor" rounds down, "trunc" towards zero.

    Without a rounding mode integers divide to the default floating dtype.
    """
    if rounding_mode is None:
        result = div_arrays(input, other)
    elif rounding_mode == "floor":
        result = floor_divide(input, other)
    elif rounding_mode == "trunc":
        result = trunc_divide(input, other)
    else:
        raise RuntimeError(
            "div: expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    return _into(result, out, "div")


def pow(input: Tensor | float, exponent, *, out: Tensor | None = None) -> Tensor:
    """input ** exponent."""
    return _into(pow_arrays(input, exponent), out, "pow")


def float_power(input: Tensor | float, exponent) -> Tensor:
    """input ** exponent, computed in float64."""
    return pow_arrays(_to_double(input), _to_double(exponent))


def _to_double(x):
    return x.double() if hasattr(x, "double") else builtins.float(x)


def clamp(input: Tensor, min=None, max=None, *, out: Tensor | None = None) -> Tensor:
    """Each number brought into [min, max]; either bound may be missing, a number or a tensor."""
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    numbers = (builtins.int, builtins.float)
    if isinstance(min, numbers) and isinstance(max, numbers):
        return _into(clamp_between(input, min, max), out, "clamp")
    result = input
    if min is not None:
        result = clamp_min(result, min)
    if max is not None:
        result = clamp_max(result, max)
    return _into(result, out, "clamp")


def round(input: Tensor, *, decimals: int = 0, out: Tensor | None = None) -> Tensor:
    """The nearest number with that many decimals; halves go to the even neighbour."""
    return _into(round_array(input, decimals=decimals), out, "round")


def nan_to_num(
    input: Tensor, nan=0.0, posinf=None, neginf=None, *, out: Tensor | None = None
) -> Tensor:
    """NaN replaced by `nan`, infinities by the dtype's largest and smallest number or those given."""
    nan = 0.0 if nan is None else nan
    result = replace_nonfinite(input, nan=nan, posinf=posinf, neginf=neginf)
    return _into(result, out, "nan_to_num")


def lerp(input: Tensor | float, end, weight: float | Tensor) -> Tensor:
    """input + weight (end - input): a straight line from input (weight 0) to end (weight 1)."""
    return add_arrays(input, mul(weight, sub_arrays(end, input)))


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return add_arrays(input, mul(mul(tensor1, tensor2), value))


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 / tensor2."""
    return add_arrays(input, mul(div_arrays(tensor1, tensor2), value))


def ldexp(input: Tensor, other: Tensor | float) -> Tensor:
    """input * 2^other."""
    return mul(input, pow_arrays(2.0, other))


def deg2rad(input: Tensor) -> Tensor:
    """Degrees to radians."""
    return mul(input, math.pi / 180)


def rad2deg(input: Tensor) -> Tensor:
    """Radians to degrees."""
    return mul(input, 180 / math.pi)


def positive(input: Tensor) -> Tensor:
    """The input itself."""
    return input


def _into(result, out, name):
    """Write a result into the tensor that the caller gave as `out=`."""
    return result if out is None else out._assign_out(result, name)


absolute = abs
arccos, arccosh, arcsin, arcsinh = acos, acosh, asin, asinh
arctan, arctan2, arctanh = atan, atan2, atanh
clip = clamp
divide = true_divide = div
fix = trunc
multiply = mul
negative = neg
sgn = sign
subtract = sub
