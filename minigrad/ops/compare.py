"""Comparisons, tests and logic: results are bools (or bits), and no gradient flows through them."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING

from ..op import Variable, primitive, wrap

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "eq",
    "equal",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "le",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "ne",
    "not_equal",
    "signbit",
]


@primitive(cast="promote")
def eq(xp, x, y):
    """True where x == y."""
    return x == y


@primitive(cast="promote")
def ne(xp, x, y):
    """True where x != y."""
    return x != y


@primitive(cast="promote")
def lt(xp, x, y):
    """True where x < y."""
    return x < y


@primitive(cast="promote")
def le(xp, x, y):
    """True where x <= y."""
    return x <= y


@primitive(cast="promote")
def gt(xp, x, y):
    """True where x > y."""
    return x > y


@primitive(cast="promote")
def ge(xp, x, y):
    """True where x >= y."""
    return x >= y


@primitive
def logical_and(xp, x, y):
    """True where both are non-zero."""
    return xp.logical_and(x, y)


@primitive
def logical_or(xp, x, y):
    """True where one of the two is non-zero, or both are."""
    return xp.logical_or(x, y)


@primitive
def logical_xor(xp, x, y):
    """True where exactly one of the two is non-zero."""
    return xp.logical_xor(x, y)


@primitive
def logical_not(xp, x):
    """True where x is zero."""
    return xp.logical_not(x)


for op in (eq, ne, lt, le, gt, ge, logical_and, logical_or, logical_xor):
    op.samples(
        lambda rand: [
            (rand(3, 4), rand(3, 4)),
            (rand(3, 1), rand(4)),
            (rand(), 0.5),
            (rand.ints(3, 5), rand.ints(3, 5)),
            (rand(0), rand(0)),
        ]
    )
logical_not.samples(lambda rand: [(rand(3, 4),), (rand.bools(3),), (rand(),)])


def _integers(name, *operands):
    for x in operands:
        if isinstance(x, builtins.float) or getattr(x, "dtype", None) and x.dtype.kind in "fV":
            kind = getattr(x, "dtype", "float")
            raise RuntimeError(f"{name}: needs integers or bools, not {kind}")


@primitive(cast="promote")
def bitwise_and(xp, x, y):
    """The bits that both have; logical and on bools."""
    _integers("bitwise_and", x, y)
    return x & y


@primitive(cast="promote")
def bitwise_or(xp, x, y):
    """The bits that one of the two has; logical or on bools."""
    _integers("bitwise_or", x, y)
    return x | y


@primitive(cast="promote")
def bitwise_xor(xp, x, y):
    """The bits that exactly one of the two has."""
    _integers("bitwise_xor", x, y)
    return x ^ y


@primitive(cast="promote")
def bitwise_left_shift(xp, x, y):
    """x * 2^y on integers."""
    _integers("bitwise_left_shift", x, y)
    return x << y


@primitive(cast="promote")
def bitwise_right_shift(xp, x, y):
    """floor(x / 2^y) on integers."""
    _integers("bitwise_right_shift", x, y)
    return x >> y


@primitive
def bitwise_not(xp, x):
    """Every bit turned over; logical not on bools."""
    _integers("bitwise_not", x)
    return ~x


for op in (bitwise_and, bitwise_or, bitwise_xor, bitwise_left_shift, bitwise_right_shift):
    op.samples(lambda rand: [(rand.ints(8, 3, 4), rand.ints(8, 4)), (rand.ints(8, 3), 2)])
    op.errors(lambda rand: [((rand(3), rand(3)), RuntimeError, "bitwise_.*integers or bools")])
bitwise_not.samples(lambda rand: [(rand.ints(8, 3, 4),), (rand.bools(3),)])
bitwise_not.errors(lambda rand: [((rand(3),), RuntimeError, "bitwise_not.*integers or bools")])


@primitive
def isnan(xp, x):
    """True where x is NaN."""
    return x != x


@primitive
def isinf(xp, x):
    """True where x is infinite."""
    return xp.isinf(x)


@primitive
def isfinite(xp, x):
    """True where x is neither infinite nor NaN."""
    return xp.isfinite(x)


@primitive
def isposinf(xp, x):
    """True where x is +infinity."""
    return x == math.inf


@primitive
def isneginf(xp, x):
    """True where x is -infinity."""
    return x == -math.inf


@primitive
def isreal(xp, x):
    """True everywhere: minigrad has no complex numbers."""
    return xp.ones(x.shape, bool)


@primitive
def signbit(xp, x):
    """True where x is negative, -0.0 included."""
    return xp.signbit(x) if x.dtype.kind == "f" else x < 0


for op in (isnan, isinf, isfinite, isposinf, isneginf, isreal, signbit):
    op.samples(lambda rand: [(rand(3, 4),), (rand(),), (rand(0),)])


@primitive(cast="promote")
def is_close(xp, x, y, *, rtol=1e-5, atol=1e-8, equal_nan=False):
    """|x - y| <= atol + rtol |y|; equal infinities are close."""
    near = xp.abs(x - y) <= atol + rtol * xp.abs(y)
    close = (x == y) | (near & xp.isfinite(x) & xp.isfinite(y))
    if equal_nan:
        close = close | ((x != x) & (y != y))
    return close


is_close.samples(lambda rand: [(rand(3, 4), rand(4)), (rand(), rand())])


def _same_dtype(name, input, other):
    if input.dtype != other.dtype:
        raise RuntimeError(f"{name}: {input.dtype} did not match {other.dtype}")


def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """True where |input - other| <= atol + rtol |other|."""
    _same_dtype("isclose", input, other)
    return is_close(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> builtins.bool:
    """True if |input - other| <= atol + rtol |other| everywhere."""
    _same_dtype("allclose", input, other)
    close = is_close(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)
    return builtins.bool(close.array.all())


def equal(input: Tensor, other: Tensor) -> builtins.bool:
    """True if shapes are the same and so is every number."""
    if not isinstance(input, Variable) or not isinstance(other, Variable):
        raise TypeError("equal(): both arguments must be Tensors; compare numbers with ==")
    if input.array.shape != other.array.shape:
        return False
    return builtins.bool(eq(wrap(input.array), wrap(other.array)).array.all())


greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
