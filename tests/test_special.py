"""The special functions: values against SciPy and torch, tails and edges, dtypes, errors."""

import math

import numpy
import pytest

import minigrad
from minigrad.ops import special as ops
from minigrad.ops import special_values as values

rng = numpy.random.default_rng(0)
EDGES = [0.0, -0.0, 0.25, 0.5, 1.0, 2.0, -1.0, -2.0, -2.5, 30.0, -30.0, 1e300, 1e-310, 1e-20]
EDGES += [math.inf, -math.inf, math.nan]


def relative(ours, oracle):
    """|ours - oracle| / |oracle|, 0 where both are the same, also infinite or nan."""
    same = (ours == oracle) | (numpy.isnan(ours) & numpy.isnan(oracle))
    with numpy.errstate(all="ignore"):
        return numpy.where(same, 0, abs(ours - oracle) / abs(oracle))


WIDE = numpy.concatenate(
    [rng.uniform(-6, 6, 4000), rng.uniform(-1, 1, 1000), rng.uniform(0, 26, 1000)]
)
UNIT = numpy.concatenate([rng.uniform(0, 1, 2000), 10 ** rng.uniform(-300, -1, 300)])
GAMMA = numpy.concatenate(
    [rng.uniform(0, 4, 3000), rng.uniform(0, 170, 1000), 10 ** rng.uniform(-300, 300, 300)]
)


@pytest.mark.parametrize(
    ("name", "scipy_name", "x", "tolerance"),
    [
        ("erf", "erf", WIDE, 1e-15),
        ("erfc", "erfc", WIDE, 1e-13),  # SciPy's own error, for x near 26
        ("erfcx", "erfcx", WIDE[WIDE > -26], 5e-15),
        ("erfinv", "erfinv", 2 * UNIT - 1, 4e-15),
        ("ndtr", "ndtr", WIDE, 5e-14),
        ("log_ndtr", "log_ndtr", WIDE, 5e-14),
        ("ndtri", "ndtri", UNIT, 4e-15),
        ("lgamma", "gammaln", GAMMA, 1e-12),
        ("digamma", "digamma", GAMMA, 1e-12),
        ("i0", "i0", 40 * UNIT - 20, 3e-15),
        ("i0e", "i0e", numpy.linspace(-700, 700, 3001), 3e-15),
        ("i1", "i1", 40 * UNIT - 20, 3e-15),
        ("i1e", "i1e", numpy.linspace(-700, 700, 3001), 3e-15),
        ("sigmoid", "expit", 700 * (2 * UNIT - 1), 1e-15),
        ("sinc", None, WIDE, 1e-15),
    ],
)
def test_values_against_scipy(name, scipy_name, x, tolerance):
    scipy = pytest.importorskip("scipy.special")
    oracle = numpy.sinc if scipy_name is None else getattr(scipy, scipy_name)
    ours = getattr(ops, name)(minigrad.as_tensor(x)).array
    assert ours.dtype == numpy.float64
    assert relative(ours, oracle(x)).max() <= tolerance


@pytest.mark.parametrize("n", [1, 2, 3, 7, 20])
def test_polygamma_against_scipy(n):
    scipy = pytest.importorskip("scipy.special")
    x = rng.uniform(0.01, 60, 1000)
    ours = minigrad.polygamma(n, minigrad.as_tensor(x)).array
    assert relative(ours, scipy.polygamma(n, x)).max() <= 1e-13


def test_functions_of_negative_numbers():
    """Reflection: gamma(x) gamma(1 - x) = pi / sin(pi x) and its derivatives."""
    x = rng.uniform(-9, -0.01, 500)
    tolerance = {"rtol": 1e-12, "atol": 1e-13}
    lgamma = numpy.log(math.pi / abs(numpy.sin(math.pi * x))) - values.lgamma(numpy, 1 - x)
    assert numpy.allclose(values.lgamma(numpy, x), lgamma, **tolerance)
    recurrence = values.digamma(numpy, x + 1) - 1 / x
    assert numpy.allclose(values.digamma(numpy, x), recurrence, rtol=1e-9, atol=1e-11)
    for n in (1, 2, 3):
        step = (-1.0) ** n * math.factorial(n) / x ** (n + 1)
        recurrence = values.polygamma(numpy, x + 1, n) - step
        assert numpy.allclose(values.polygamma(numpy, x, n), recurrence, rtol=1e-9, atol=1e-9)


UNARY = (
    "digamma entr erf erfc erfcx erfinv expit gammaln i0 i0e i1 i1e log_ndtr logit ndtr ndtri sinc"
)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", UNARY.split())
def test_edges_as_torch(name, dtype):
    torch = pytest.importorskip("torch")
    with numpy.errstate(over="ignore"):
        x = numpy.array(EDGES).astype(dtype)
    if name == "ndtri":
        x = x[x != EDGES[12]]  # torch's ndtri has 7 digits at 1e-310
    if name == "ndtr":
        x = x[x != -30]  # where torch's ndtr underflows
    ours = getattr(minigrad.special, name)(minigrad.as_tensor(x)).array
    theirs = getattr(torch.special, name)(torch.from_numpy(x)).numpy()
    assert ours.dtype == theirs.dtype
    tolerance = 1e-12 if dtype == "float64" else 3e-6
    assert relative(ours, theirs).max() <= tolerance


@pytest.mark.parametrize("name", UNARY.split())
def test_gradients_as_torch(name):
    torch = pytest.importorskip("torch")
    values = rng.uniform(0.05, 0.95, 50)
    x, t = minigrad.as_tensor(values).requires_grad_(), torch.from_numpy(values).requires_grad_()
    u = rng.normal(size=50)
    ours, theirs = getattr(minigrad.special, name)(x), getattr(torch.special, name)(t)
    (g,) = minigrad.autograd.grad(ours, x, minigrad.as_tensor(u), create_graph=True)
    (h,) = torch.autograd.grad(theirs, t, torch.from_numpy(u), create_graph=True)
    # torch's own trigamma has nine correct digits
    tolerance = 1e-8 if name == "digamma" else 1e-10
    assert numpy.allclose(g.array, h.detach().numpy(), rtol=tolerance, atol=1e-12)
    (g,) = minigrad.autograd.grad(g, x, minigrad.as_tensor(u))
    (h,) = torch.autograd.grad(h, t, torch.from_numpy(u))
    assert numpy.allclose(g.array, h.numpy(), rtol=1e-8, atol=1e-11)


def test_float32_erf_is_within_one_unit_in_the_last_place():
    x = numpy.linspace(-6, 6, 200001).astype(numpy.float32)
    exact = values.erf(numpy, x.astype(numpy.float64))
    ours = values.erf(numpy, x)
    unit = numpy.spacing(abs(exact.astype(numpy.float32)))
    assert (abs(ours - exact) / unit).max() < 0.9
    tails = values.erf(numpy, numpy.array([4, 50, math.inf, -4, -math.inf, 1e-40], numpy.float32))
    assert tails.tolist()[:5] == [1, 1, 1, -1, -1]
    assert tails[5] > 0
    assert numpy.isnan(values.erf(numpy, numpy.array([math.nan], numpy.float32)))[0]


def test_float32_erf_in_blocks_of_any_layout():
    x = rng.normal(size=(40000, 3)).astype(numpy.float32)
    whole = values.erf(numpy, x)
    assert (values.erf(numpy, x[::-1, ::2].T) == whole[::-1, ::2].T).all()
    assert (values.erf(numpy, x[:7]) == whole[:7]).all()
    assert values.erf(numpy, numpy.float32(0.5).reshape(())).shape == ()
    assert values.erf(numpy, x[:0]).shape == (0, 3)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtype_is_kept(dtype):
    x = minigrad.as_tensor(numpy.array([0.25, 0.5], dtype))
    for name in UNARY.split():
        assert getattr(minigrad.special, name)(x).array.dtype == dtype, name
    for function in (minigrad.xlogy, minigrad.special.xlog1py):
        assert function(x, 2.0).array.dtype == dtype
        assert function(2.0, x).array.dtype == dtype
        assert function(x, x).array.dtype == dtype
    assert minigrad.polygamma(2, x).array.dtype == dtype
    assert minigrad.mvlgamma(x + 2, 2).array.dtype == dtype


def test_integers_become_floats():
    x = minigrad.as_tensor(numpy.array([1, 2, 3]))
    for function in (minigrad.sigmoid, minigrad.erf, minigrad.lgamma, minigrad.special.entr):
        assert function(x).array.dtype == numpy.float32


def test_sigmoid_in_both_tails():
    x = numpy.array([-1000, -700, -30, 0, 30, 1000.0])
    with numpy.errstate(all="raise", under="ignore"):
        out = minigrad.sigmoid(minigrad.as_tensor(x)).array
    assert out[0] == 0 and out[-1] == 1 and out[3] == 0.5
    assert numpy.allclose(out[1:3], numpy.exp(x[1:3]), rtol=1e-12, atol=0)
    single = minigrad.sigmoid(minigrad.as_tensor(x.astype(numpy.float32))).array
    assert single[0] == 0 and single[-1] == 1
    assert "SigmoidBackward0" in repr(
        minigrad.sigmoid(minigrad.as_tensor(x).requires_grad_()).grad_fn
    )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_logit():
    torch = pytest.importorskip("torch")
    x = numpy.array([-0.5, 0, 1e-9, 0.2, 0.5, 0.97, 1, 1.5])
    for eps in (None, 1e-6, 0.1):
        ours, theirs = minigrad.as_tensor(x).requires_grad_(), torch.from_numpy(x).requires_grad_()
        a, b = minigrad.logit(ours, eps), torch.logit(theirs, eps)
        assert numpy.allclose(a.array, b.detach().numpy(), equal_nan=True)
        u = rng.normal(size=8)
        (g,) = minigrad.autograd.grad(a, ours, minigrad.as_tensor(u))
        (h,) = torch.autograd.grad(b, theirs, torch.from_numpy(u))
        assert numpy.allclose(g.array, h.numpy(), equal_nan=True)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["xlogy", "xlog1py"])
def test_products_with_a_logarithm(name):
    torch = pytest.importorskip("torch")
    x = numpy.array([0, 0, 0, 0, 1, 2, -1, math.inf, 0])
    y = numpy.array([0, -1, 2, math.nan, 0, 3, 4, 2, math.inf])
    ours = [minigrad.as_tensor(v).requires_grad_() for v in (x, y)]
    theirs = [torch.from_numpy(v).requires_grad_() for v in (x, y)]
    a, b = getattr(minigrad.special, name)(*ours), getattr(torch.special, name)(*theirs)
    assert numpy.allclose(a.array, b.detach().numpy(), equal_nan=True)
    u = numpy.arange(1.0, 10.0)
    g = minigrad.autograd.grad(a, ours, minigrad.as_tensor(u))
    h = torch.autograd.grad(b, theirs, torch.from_numpy(u))
    for mine, other in zip(g, h, strict=True):
        assert numpy.allclose(mine.array, other.numpy(), equal_nan=True)
    assert getattr(minigrad.special, name)(0.0, minigrad.as_tensor(y)).array.tolist()[0] == 0
    with pytest.raises(TypeError, match="must be a Tensor"):
        getattr(minigrad.special, name)(1.0, 2.0)


def test_mvlgamma_and_polygamma():
    torch = pytest.importorskip("torch")
    x = rng.uniform(2, 9, 20)
    for p in (1, 2, 4):
        expected = torch.mvlgamma(torch.from_numpy(x), p).numpy()
        assert numpy.allclose(minigrad.mvlgamma(minigrad.as_tensor(x), p).array, expected)
    expected = torch.polygamma(0, torch.from_numpy(x)).numpy()
    assert numpy.allclose(minigrad.polygamma(0, minigrad.as_tensor(x)).array, expected)
    with pytest.raises(RuntimeError, match="does not support negative n"):
        minigrad.polygamma(-1, minigrad.as_tensor(x))
    with pytest.raises(RuntimeError, match="p has to be greater"):
        minigrad.mvlgamma(minigrad.as_tensor(x), 0)


def test_out_is_written():
    x = minigrad.as_tensor(numpy.array([0.25, 0.5]))
    for function, arguments in (
        (minigrad.logit, (x,)),
        (minigrad.xlogy, (x, x)),
        (minigrad.erf, (x,)),
        (minigrad.mvlgamma, (x + 3, 2)),
        (lambda *a, **k: minigrad.polygamma(1, *a, **k), (x,)),
    ):
        out = minigrad.as_tensor(numpy.zeros(2))
        assert function(*arguments, out=out) is out
        assert (out.array == function(*arguments).array).all()


def test_sinc_and_bessel_have_derivatives_at_zero():
    for function, derivative in (
        (minigrad.sinc, 0.0),
        (minigrad.i0, 0.0),
        (minigrad.special.i0e, 0.0),
        (minigrad.special.i1, 0.5),
        (minigrad.special.i1e, 0.5),
    ):
        x = minigrad.as_tensor(numpy.zeros(2)).requires_grad_()
        (g,) = minigrad.autograd.grad(
            function(x), x, minigrad.as_tensor(numpy.ones(2)), create_graph=True
        )
        assert g.array.tolist() == [derivative] * 2


def test_names_are_torchs():
    torch = pytest.importorskip("torch")
    for name in minigrad.special.__all__:
        assert hasattr(torch.special, name), name
    for name in ops.__all__:
        assert hasattr(torch, name), name
