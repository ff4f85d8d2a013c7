"""The float32 functions of compiled loops: accuracy, special values, and that they vectorise."""

import re

import numpy
import pytest
from minigrad.kernels import vector_math
from minigrad.kernels.kernel import compiled

special = pytest.importorskip("scipy.special")

pytestmark = pytest.mark.cpu_only(reason="functions inside compiled loops on the CPU")

exp, tanh, sigmoid, erf, normal = (
    vector_math.exp,
    vector_math.tanh,
    vector_math.sigmoid,
    vector_math.erf,
    vector_math.normal,
)


@compiled
def exp_loop(x, out):
    for i in range(x.size):
        out[i] = exp(x[i])


@compiled
def tanh_loop(x, out):
    for i in range(x.size):
        out[i] = tanh(x[i])


@compiled
def sigmoid_loop(x, out):
    for i in range(x.size):
        out[i] = sigmoid(x[i])


@compiled
def erf_loop(x, out):
    for i in range(x.size):
        out[i] = erf(x[i])


@compiled
def normal_loop(x, out):
    for i in range(x.size):
        out[i] = normal(x[i])[0]


@compiled
def bell_loop(x, out):
    for i in range(x.size):
        out[i] = normal(x[i])[1]


# (loop, the same in float64, range, most ulp in float32)
FUNCTIONS = {
    "exp": (exp_loop, numpy.exp, (-87, 88), 1.5),
    "tanh": (tanh_loop, numpy.tanh, (-10, 10), 2.0),
    "sigmoid": (sigmoid_loop, special.expit, (-86, 30), 3.0),
    "erf": (erf_loop, special.erf, (-4.5, 4.5), 1.5),
}


def run(loop, x):
    out = numpy.empty_like(x)
    loop(x, out)
    return out


@pytest.mark.parametrize("name", FUNCTIONS)
def test_units_in_the_last_place(name):
    loop, exact, (low, high), most = FUNCTIONS[name]
    rng = numpy.random.default_rng(0)
    x = rng.uniform(low, high, 300_000)
    x[::2] *= numpy.exp(-rng.uniform(0, 20, x[::2].size))  # as many near 0 as far from it
    x = x.astype("float32")
    expected = exact(x.astype("float64"))
    unit = numpy.spacing(abs(expected).astype("float32"))
    assert (abs(run(loop, x) - expected) / unit).max() <= most


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64_is_that_of_the_c_library(name):
    loop, exact, (low, high), _ = FUNCTIONS[name]
    x = numpy.random.default_rng(1).uniform(low, high, 2000)
    numpy.testing.assert_allclose(run(loop, x), exact(x), rtol=5e-16 * 4, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, dtype):
    loop, exact, *_ = FUNCTIONS[name]
    x = numpy.array([numpy.nan, numpy.inf, -numpy.inf, 0.0, -0.0, 200, -200, 1e-30], dtype)
    with numpy.errstate(over="ignore"):
        expected = exact(x.astype("float64")).astype(dtype)
    numpy.testing.assert_allclose(run(loop, x), expected, rtol=1e-6, atol=1e-40)


def test_the_normal_distribution():
    x = numpy.linspace(-40, 40, 400_001)
    narrow = x.astype("float32")
    wide = narrow.astype("float64")
    assert abs(run(normal_loop, narrow) - special.ndtr(wide)).max() <= 2.5e-7
    numpy.testing.assert_allclose(run(normal_loop, x), special.ndtr(x), rtol=0, atol=4e-16)
    for values, exact, unit in ((narrow, wide, 2**-24), (x, x, 2**-53)):
        bell = numpy.exp(-0.5 * exact * exact)  # whose exponent, at most 104, has been rounded
        numpy.testing.assert_allclose(run(bell_loop, values), bell, rtol=110 * unit, atol=2e-45)
    ends = numpy.array([numpy.nan, numpy.inf, -numpy.inf, 0.0], "float32")
    numpy.testing.assert_array_equal(run(normal_loop, ends)[:3], [numpy.nan, 1, 0])
    assert run(normal_loop, ends)[3] == pytest.approx(0.5, abs=1e-7)


@pytest.mark.parametrize("name", [*FUNCTIONS, "normal"])
def test_loops_use_vector_registers(name):
    loop = normal_loop if name == "normal" else FUNCTIONS[name][0]
    x = numpy.ones(64, "float32")
    fresh = compiled(loop.function)
    fresh.keep = False  # code from the disk cache can't be looked at
    fresh(x, x.copy())
    code = "".join(fresh.dispatcher.inspect_llvm().values())
    assert re.search(r"fmul[^\n]*<(4|8|16) x float>", code), "the loop was compiled to scalar code"
