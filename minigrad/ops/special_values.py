"""The values of the special functions, from NumPy or CuPy's elementary ones; arrays only.

Each function takes (xp, x) with x a floating array and returns an array of the same dtype. All but
`sigmoid` and the float32 `erf` compute in double precision, to a few units in the last place.
Coefficients without a source were fitted for this file: rational minimax fits, made in 40 digits.
"""

import functools
import math

import numpy

BLOCK = 16384  # elements worked on at once: the temporaries stay in the cache


def in_double(function):
    """Let a function on float64 arrays take any floating dtype, and be silent about inf and nan."""

    @functools.wraps(function)
    def outer(xp, x, *numbers):
        x = xp.asarray(x)
        with numpy.errstate(all="ignore"):
            result = function(xp, x.astype(numpy.float64, copy=False), *numbers)
        return xp.asarray(result).astype(x.dtype, copy=False)

    return outer


def horner(x, coefficients):
    """c[0] + c[1] x + c[2] x^2 + ..."""
    total = x * coefficients[-1]
    for c in coefficients[-2:0:-1]:
        total += c
        total *= x
    total += coefficients[0]
    return total


def by_region(xp, x, *regions):
    """One array from several formulas, each used only where it holds: (mask, function) pairs."""
    out = xp.full(x.shape, numpy.nan)
    for mask, function in regions:
        if mask.any():
            out[mask] = function(x[mask])
    return out


def sigmoid(xp, x):
    """1 / (1 + e^-x). For very negative x, e^-x overflows to inf, and 1 / inf = 0 is right."""
    x = xp.asarray(x)
    out = xp.empty_like(x)
    with numpy.errstate(over="ignore"):
        xp.negative(x, out=out)
        xp.exp(out, out=out)
        out += 1
        return xp.divide(1, out, out=out)


# -- the error function -----------------------------------------------------------------------

# W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969):
# erf x = x P(x^2) / Q(x^2) for |x| <= 0.46875,
_NEAR_P = (
    3.20937758913846947e03,
    3.77485237685302021e02,
    1.13864154151050156e02,
    3.16112374387056560e00,
    1.85777706184603153e-1,
)
_NEAR_Q = (
    2.84423683343917062e03,
    1.28261652607737228e03,
    2.44024637934444173e02,
    2.36012909523441209e01,
    1.0,
)
# erfc x = e^(-x^2) P(x) / Q(x) for 0.46875 <= x <= 4,
_MIDDLE_P = (
    1.23033935479799725e03,
    2.05107837782607147e03,
    1.71204761263407058e03,
    8.81952221241769090e02,
    2.98635138197400131e02,
    6.61191906371416295e01,
    8.88314979438837594e00,
    5.64188496988670089e-1,
    2.15311535474403846e-8,
)
_MIDDLE_Q = (
    1.23033935480374942e03,
    3.43936767414372164e03,
    4.36261909014324716e03,
    3.29079923573345963e03,
    1.62138957456669019e03,
    5.37181101862009858e02,
    1.17693950891312499e02,
    1.57449261107098347e01,
    1.0,
)
# erfc x = e^(-x^2) / x (1 / sqrt(pi) - P(1 / x^2) / (x^2 Q(1 / x^2))) for x >= 4.
_FAR_P = (
    6.58749161529837803e-4,
    1.60837851487422766e-2,
    1.25781726111229246e-1,
    3.60344899949804439e-1,
    3.05326634961232344e-1,
    1.63153871373020978e-2,
)
_FAR_Q = (
    2.33520497626869185e-3,
    6.05183413124413191e-2,
    5.27905102951428412e-1,
    1.87295284992346725e00,
    2.56852019228982242e00,
    1.0,
)
# erf x = x P(x^2) / Q(x^2) for |x| <= 3.92, beyond which erf is 1 in float32; fitted to 2e-8.
_SINGLE_P = (
    1.128379148,
    0.1901726872,
    0.05271630055,
    3.755278423e-3,
    2.84595105e-4,
    2.051079035e-6,
)
_SINGLE_Q = (1.0, 0.5018689468, 0.1140111302, 0.01494843487, 1.159934141e-3, 3.808715229e-5)
_SINGLE_END = 3.92


def erf(xp, x):
    """2 / sqrt(pi) * integral of e^(-t^2) from 0 to x."""
    x = xp.asarray(x)
    return _erf_single(xp, x) if x.dtype == numpy.float32 else _erf_double(xp, x)


def _erf_single(xp, x):
    """One rational formula for every x, in blocks; within 0.9 units in the last place."""
    out = xp.empty(x.shape, x.dtype)
    flat_x = x.reshape(-1)
    flat_out = out.reshape(-1)
    block = BLOCK if xp is numpy else max(x.size, 1)
    buffers = xp.empty((4, min(block, x.size)))
    for start in range(0, x.size, block):
        part = flat_x[start : start + block]
        clipped, squared, p, q = buffers[:, : part.size]
        xp.minimum(part, _SINGLE_END, out=clipped)
        xp.maximum(clipped, -_SINGLE_END, out=clipped)
        xp.multiply(clipped, clipped, out=squared)
        for total, coefficients in ((p, _SINGLE_P), (q, _SINGLE_Q)):
            xp.multiply(squared, coefficients[-1], out=total)
            for c in coefficients[-2:0:-1]:
                total += c
                total *= squared
            total += coefficients[0]
        p *= clipped
        xp.divide(p, q, out=flat_out[start : start + block], casting="same_kind")
    return out


def _near(x):
    squared = x * x
    return x * horner(squared, _NEAR_P) / horner(squared, _NEAR_Q)


def _middle(x):
    return horner(x, _MIDDLE_P) / horner(x, _MIDDLE_Q)


def _far(x):
    inverse = 1 / (x * x)
    rest = inverse * horner(inverse, _FAR_P) / horner(inverse, _FAR_Q)
    return (1 / math.sqrt(math.pi) - rest) / x


def _exp_of_minus_square(xp, x):
    """e^(-x^2) without the rounding error of x^2, which the exponential would magnify."""
    x = xp.minimum(x, 1e150)  # the square of an infinity has no rest
    coarse = xp.trunc(x * 16) / 16
    return xp.exp(-coarse * coarse) * xp.exp(-(x - coarse) * (x + coarse))


def _erfcx_positive(xp, x):
    """e^(x^2) erfc(x) for x >= 0."""
    return by_region(
        xp,
        x,
        (x <= 0.46875, lambda x: xp.exp(x * x) * (1 - _near(x))),
        ((x > 0.46875) & (x <= 4), _middle),
        (x > 4, _far),
    )


@in_double
def _erf_double(xp, x):
    size = xp.abs(x)
    tail = lambda x: xp.copysign(1 - _tail(xp, xp.abs(x)), x)
    return by_region(xp, x, (size <= 0.46875, _near), (size > 0.46875, tail))


def _tail(xp, x):
    """erfc(x) for x > 0.46875."""
    return _exp_of_minus_square(xp, x) * _erfcx_positive(xp, x)


@in_double
def erfc(xp, x):
    """1 - erf(x), with its full precision where erf(x) is nearly 1."""
    return by_region(
        xp,
        x,
        (xp.abs(x) <= 0.46875, lambda x: 1 - _near(x)),
        (x > 0.46875, lambda x: _tail(xp, x)),
        (x < -0.46875, lambda x: 2 - _tail(xp, -x)),
    )


@in_double
def erfcx(xp, x):
    """e^(x^2) erfc(x): what is left of erfc when its fast decay is taken out."""
    return by_region(
        xp,
        x,
        (x >= 0, lambda x: _erfcx_positive(xp, x)),
        (x < 0, lambda x: 2 / _exp_of_minus_square(xp, -x) - _erfcx_positive(xp, -x)),
    )


# S. Winitzki, "A handy approximation for the error function and its inverse" (2008): with this a,
# right to 0.2 %, and each of Halley's steps then triples the number of right digits.
_WINITZKI = 0.147


def _erfinv_start(xp, log_of_product):
    """About erfinv(x), for x >= 0, from log((1 - x)(1 + x))."""
    half = 2 / (math.pi * _WINITZKI) + log_of_product / 2
    root = xp.sqrt(half * half - log_of_product / _WINITZKI)
    small = -log_of_product / _WINITZKI / (root + half)  # root - half, without cancellation
    return xp.sqrt(xp.where(half > 0, small, root - half))


def _erfinv_near(xp, x):
    """The solution of erf(y) = x for |x| <= 1/2."""
    y = xp.copysign(_erfinv_start(xp, xp.log1p(-x * x)), x)
    for _ in range(2):
        step = (_erf_double(xp, y) - x) * (math.sqrt(math.pi) / 2) * xp.exp(y * y)
        y = y - step / (1 + y * step)
    return y


def _erfcinv(xp, q):
    """The solution y >= 0 of erfc(y) = q for 0 < q <= 1/2."""
    y = _erfinv_start(xp, xp.log(q) + xp.log(2 - q))
    for _ in range(3):
        scaled = q / _exp_of_minus_square(xp, y)
        step = (_erfcx_positive(xp, y) - scaled) * (math.sqrt(math.pi) / 2)
        y = y + step / (1 - y * step)
    return y


@in_double
def erfinv(xp, x):
    """The y with erf(y) = x; +-inf at +-1, nan beyond."""
    size = xp.abs(x)
    return by_region(
        xp,
        x,
        (size <= 0.5, lambda x: _erfinv_near(xp, x)),
        ((size > 0.5) & (size < 1), lambda x: xp.copysign(_erfcinv(xp, 1 - xp.abs(x)), x)),
        (size == 1, lambda x: x * numpy.inf),
    )


# -- the normal distribution ------------------------------------------------------------------


def ndtr(xp, x):
    """The standard normal distribution function, erfc(-x / sqrt 2) / 2."""
    return erfc(xp, x * -math.sqrt(0.5)) / 2


@in_double
def log_ndtr(xp, x):
    """log ndtr(x), also where ndtr(x) is too small for a number."""
    return by_region(
        xp,
        x,
        (x < -1, lambda x: xp.log(erfcx(xp, -x * math.sqrt(0.5)) / 2) - x * x / 2),
        (x >= -1, lambda x: xp.log1p(-erfc(xp, x * math.sqrt(0.5)) / 2)),
    )


@in_double
def ndtri(xp, p):
    """The x with ndtr(x) = p; +-inf at 1 and 0, nan outside [0, 1]."""
    return by_region(
        xp,
        p,
        ((p > 0) & (p <= 0.25), lambda p: -math.sqrt(2) * _erfcinv(xp, 2 * p)),
        ((p > 0.25) & (p < 0.75), lambda p: math.sqrt(2) * _erfinv_near(xp, 2 * p - 1)),
        ((p >= 0.75) & (p < 1), lambda p: math.sqrt(2) * _erfcinv(xp, 2 * (1 - p))),
        (p == 0, lambda p: p - numpy.inf),
        (p == 1, lambda p: p + numpy.inf),
    )


# -- the gamma function -----------------------------------------------------------------------

# log gamma(x) = (x - 1)(x - 2) P(x - 3/2) / Q(x - 3/2) for 1 <= x <= 2; fitted to 1e-20
_LGAMMA_P = (
    0.483128950540980889,
    1.06590003537863624,
    0.917964430482068971,
    0.388381564156949296,
    0.0830923642516271964,
    0.00822595677111716467,
    0.000282577408656776073,
    7.89239872904710351e-7,
)
_LGAMMA_Q = (
    1.0,
    2.5083570958353232,
    2.52763277519208457,
    1.30569449095092085,
    0.365099721123553735,
    0.0534053367977049787,
    0.00357559104593543049,
    0.0000758464290824918269,
)
# digamma(x) = (x - root) P(x - 3/2) / Q(x - 3/2) for 1 <= x <= 2; fitted to 2e-20
_DIGAMMA_ROOT = 1.4616321449683622  # rounded; the rest of it is
_DIGAMMA_ROOT_REST = 1.2412626595423257e-16
_DIGAMMA_P = (
    0.95105587603183288,
    1.16794612614585238,
    0.515447429272368331,
    0.100437753441946103,
    0.00838338878029258754,
    0.000230112998990082424,
    4.3359415663667361e-7,
)
_DIGAMMA_Q = (
    1.0,
    1.67348058882508936,
    1.03446835904644999,
    0.299171340866338003,
    0.0416915746408387952,
    0.00253290446632106934,
    0.0000474950691228077747,
)
# The Bernoulli numbers B_2, B_4, ... of Euler and Maclaurin's series.
_BERNOULLI = (
    1 / 6,
    -1 / 30,
    1 / 42,
    -1 / 30,
    5 / 66,
    -691 / 2730,
    7 / 6,
    -3617 / 510,
    43867 / 798,
    -174611 / 330,
)


def _to_one_two(xp, x, combine, start):
    """Bring 0 < x < 10 into [1, 2] by unit steps; `combine` collects what each step costs."""
    collected = xp.full(x.shape, start)
    x = x.copy()
    for _ in range(8):
        above = x > 2
        x = xp.where(above, x - 1, x)
        collected = xp.where(above, combine(collected, x), collected)
    return x, collected


def _lgamma_small(xp, x):
    below = x < 1
    lifted = xp.where(below, x + 1, x)
    reduced, product = _to_one_two(xp, lifted, lambda product, x: product * x, 1.0)
    middle = reduced - 1.5
    value = (reduced - 1) * (reduced - 2) * horner(middle, _LGAMMA_P) / horner(middle, _LGAMMA_Q)
    return value + xp.log(xp.where(below, 1 / x, product))


def _lgamma_large(xp, x):
    """(x - 1/2) log x - x + log(2 pi) / 2 + sum of B_2k / (2k (2k-1) x^(2k-1)): Stirling."""
    inverse = 1 / x
    terms = [b / ((2 * k + 2) * (2 * k + 1)) for k, b in enumerate(_BERNOULLI[:8])]
    series = inverse * horner(inverse * inverse, terms)
    return x * (xp.log(x) - 1) - xp.log(x) / 2 + math.log(2 * math.pi) / 2 + series


def _lgamma_positive(xp, x):
    return by_region(
        xp,
        x,
        ((x > 0) & (x < 1e-300), lambda x: -xp.log(x)),
        ((x >= 1e-300) & (x < 10), lambda x: _lgamma_small(xp, x)),
        ((x >= 10) & (x < numpy.inf), lambda x: _lgamma_large(xp, x)),
        (x == numpy.inf, lambda x: x),
    )


def _lgamma_negative(xp, x):
    """gamma(x) gamma(1 - x) = pi / sin(pi x), where sin loses no digits to the large x."""
    sine = xp.abs(xp.sin(math.pi * (x - xp.round(x))))
    return xp.log(math.pi / sine) - _lgamma_positive(xp, 1 - x)


@in_double
def lgamma(xp, x):
    """log |gamma(x)|; inf at 0, -1, -2, ..."""
    return by_region(
        xp,
        x,
        (x > 0, lambda x: _lgamma_positive(xp, x)),
        ((x <= 0) & (x > -numpy.inf), lambda x: _lgamma_negative(xp, x)),
        (x == -numpy.inf, lambda x: -x),
    )


def _digamma_small(xp, x):
    below = x < 1
    lifted = xp.where(below, x + 1, x)
    reduced, total = _to_one_two(xp, lifted, lambda total, x: total + 1 / x, 0.0)
    middle = reduced - 1.5
    distance = (reduced - _DIGAMMA_ROOT) - _DIGAMMA_ROOT_REST
    value = distance * horner(middle, _DIGAMMA_P) / horner(middle, _DIGAMMA_Q)
    return value + xp.where(below, -1 / x, total)


def _digamma_large(xp, x):
    """log x - 1 / 2x - sum of B_2k / (2k x^2k)."""
    inverse = 1 / (x * x)
    terms = [b / (2 * k + 2) for k, b in enumerate(_BERNOULLI[:8])]
    return xp.log(x) - 0.5 / x - inverse * horner(inverse, terms)


def _digamma_positive(xp, x):
    return by_region(
        xp,
        x,
        (x < 10, lambda x: _digamma_small(xp, x)),
        (x >= 10, lambda x: _digamma_large(xp, x)),
    )


def _digamma_negative(xp, x):
    """digamma(1 - x) - digamma(x) = pi / tan(pi x); nan at -1, -2, ..."""
    offset = x - xp.round(x)
    cotangent = xp.where(offset == 0, numpy.nan, 1 / xp.tan(math.pi * offset))
    return _digamma_positive(xp, 1 - x) - math.pi * cotangent


@in_double
def digamma(xp, x):
    """The derivative of lgamma; -+inf at +-0, nan at -1, -2, ..."""
    return by_region(
        xp,
        x,
        (x > 0, lambda x: _digamma_positive(xp, x)),
        (x < 0, lambda x: _digamma_negative(xp, x)),
        (x == 0, lambda x: xp.copysign(numpy.inf, -x)),
    )


def _zeta_positive(xp, s, q):
    """The sum of (q + k)^-s over k >= 0, for q > 0: 16 terms, then Euler and Maclaurin's series."""
    total = xp.zeros(q.shape)
    for k in range(16):
        total += (q + k) ** -s
    far = q + 16
    total += far ** (1 - s) / (s - 1) + far**-s / 2
    factor = s * far ** (-s - 1) / 2  # s (s + 1) ... (s + 2k) / (2k + 2)! far^(-s - 2k - 1)
    for k, b in enumerate(_BERNOULLI):
        total += b * factor
        j = 2 * k
        factor = factor * ((s + j + 1) * (s + j + 2)) / ((j + 3) * (j + 4)) / (far * far)
    return total


def _zeta_negative(xp, s, q):
    """The same sum for q < 0 and an integer s: its terms lie on both sides of the pole at 0."""
    a = q - xp.floor(q)
    other_side = _zeta_positive(xp, s, 1 - a) - _zeta_positive(xp, s, 1 - q)
    return _zeta_positive(xp, s, a) + (-1) ** s * other_side


@in_double
def polygamma(xp, x, n):
    """The n-th derivative of digamma, (-1)^(n+1) n! zeta(n + 1, x), for n >= 1."""
    zeta = by_region(
        xp,
        x,
        (x > 0, lambda x: _zeta_positive(xp, n + 1, x)),
        (x <= 0, lambda x: _zeta_negative(xp, n + 1, x)),
    )
    return (-1.0) ** (n + 1) * math.factorial(n) * zeta


# -- Bessel functions -------------------------------------------------------------------------

_BESSEL_SWITCH = 20.0  # the power series below, the asymptotic one above


def _bessel_series(xp, x, order):
    """I_n(x) = (x/2)^n sum of (x^2/4)^k / (k! (k+n)!): all terms positive, nothing cancels."""
    terms = [1 / (math.factorial(k) * math.factorial(k + order)) for k in range(40)]
    return (x / 2) ** order * horner(x * x / 4, terms)


def _bessel_asymptotic(xp, x, order):
    """e^-x I_n(x), from Hankel's expansion in 1 / 8x."""
    terms = [1.0]
    for k in range(1, 28):
        terms.append(terms[-1] * ((2 * k - 1) ** 2 - 4 * order**2) / k)
    return horner(1 / (8 * x), terms) / xp.sqrt(2 * math.pi * x)


def _bessel_scaled(xp, x, order):
    """e^-|x| I_n(x)."""
    size = xp.abs(x)
    value = by_region(
        xp,
        size,
        (size <= _BESSEL_SWITCH, lambda x: xp.exp(-x) * _bessel_series(xp, x, order)),
        (size > _BESSEL_SWITCH, lambda x: _bessel_asymptotic(xp, x, order)),
    )
    return xp.copysign(value, x) if order % 2 else value


@in_double
def i0e(xp, x):
    """e^-|x| I_0(x)."""
    return _bessel_scaled(xp, x, 0)


@in_double
def i1e(xp, x):
    """e^-|x| I_1(x)."""
    return _bessel_scaled(xp, x, 1)


@in_double
def i0(xp, x):
    """The modified Bessel function I_0."""
    return _scaled_up(xp, x, 0)


@in_double
def i1(xp, x):
    """The modified Bessel function I_1."""
    return _scaled_up(xp, x, 1)


def _scaled_up(xp, x, order):
    half = xp.exp(xp.abs(x) / 2)  # twice, so that only the product may overflow
    return half * _bessel_scaled(xp, x, order) * half
