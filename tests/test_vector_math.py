"""The float32 functions of compiled loops: accuracy, special values, and that they vectorise."""

import re

import numpy
import pytest
from minigrad.kernels import vector_math
from minigrad.kernels.kernel import compiled

special = pytest.importorskip("scipy.special")

exp, tanh, sigmoid, erf = (
    vector_math.exp,
    vector_math.tanh,
    vector_math.sigmoid,
    vector_math.erf,
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


@pytest.mark.parametrize("name", FUNCTIONS)
def test_loops_use_vector_registers(name):
    loop = FUNCTIONS[name][0]
    x = numpy.ones(64, "float32")
    fresh = compiled(loop.function)
    fresh.keep = False  # code from the disk cache can't be looked at
    fresh(x, x.copy())
    code = "".join(fresh.dispatcher.inspect_llvm().values())
    assert re.search(r"fmul[^\n]*<(4|8|16) x float>", code), "the loop was compiled to scalar code"
