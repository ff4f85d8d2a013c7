"""Kernels of layer, RMS, group and batch norm: against references, torch and finite differences."""

import warnings

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import batch_norm, norm

import minigrad
from minigrad.testing import check_grads

F = minigrad.nn.functional
TOLERANCE = {"float16": 2e-2, "float32": 2e-5, "float64": 1e-11}


def numbers(*shape, dtype="float32", seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_near(found, expected, tolerance):
    for x, y in zip(found, expected, strict=True):
        if y is None:
            assert x is None
            continue
        assert x.shape == y.shape and x.dtype == y.dtype
        numpy.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 40),
    st.integers(1, 70),
    st.sampled_from(["float16", "float32", "float64"]),
    st.booleans(),
    st.sampled_from(["none", "weight", "bias", "both"]),
    st.booleans(),
)
def test_rows_against_references(rows, n, dtype, centred, which, transposed):
    x, g = numbers(2, rows, n, dtype=dtype)
    if transposed:
        x, g = numpy.asfortranarray(x), numpy.repeat(g, 2, 1)[:, ::2]
    w, b = numbers(2, n, dtype=dtype, seed=1)
    w = w if which in ("weight", "both") else 0
    b = b if which in ("bias", "both") else 0
    tolerance = TOLERANCE[dtype]
    if n < 3:
        tolerance *= 300  # two numbers a row: the standard deviation can be about sqrt(eps)
    found = norm.normalise_rows[numpy](x, w, b, 1e-3, centred)
    assert_near([found], [norm.normalise_rows.reference(x, w, b, 1e-3, centred)], tolerance)
    for summed in (True, False):
        found = norm.normalise_rows_backward[numpy](g, x, w, 1e-3, centred, summed)
        expected = norm.normalise_rows_backward.reference(g, x, w, 1e-3, centred, summed)
        assert_near(found, expected, 30 * tolerance)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 90),
    st.integers(1, 9),
    st.sampled_from(["float16", "float32", "float64"]),
)
def test_channels_against_references(n, channels, length, dtype):
    x, g = numbers(2, n, channels, length, dtype=dtype)
    vectors = numbers(4, channels, dtype=dtype, seed=1)
    tolerance = 10 * TOLERANCE[dtype]
    for kernel, arguments in (
        (batch_norm.channel_moments, (x, 0.1)),
        (batch_norm.channel_affine, (x, *vectors[:3])),
        (batch_norm.channel_products, (g, x, vectors[0])),
        (batch_norm.channel_combine, (g, x, *vectors)),
    ):
        found, expected = kernel[numpy](*arguments), kernel.reference(*arguments)
        if not isinstance(found, tuple):
            found, expected = [found], [expected]
        assert_near(found, expected, tolerance)


LAYERS = {
    "layer": lambda t: t.nn.LayerNorm(12),
    "layer of two dimensions": lambda t: t.nn.LayerNorm((5, 12)),
    "layer without bias": lambda t: t.nn.LayerNorm(12, bias=False),
    "layer without weight": lambda t: t.nn.LayerNorm(12, elementwise_affine=False),
    "rms": lambda t: t.nn.RMSNorm(12),
    "rms of two dimensions": lambda t: t.nn.RMSNorm((5, 12), eps=0.1),
    "group": lambda t: t.nn.GroupNorm(2, 4),
    "batch": lambda t: t.nn.BatchNorm2d(4),
    "batch without weight": lambda t: t.nn.BatchNorm2d(4, affine=False),
    "batch, cumulative": lambda t: t.nn.BatchNorm2d(4, momentum=None),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_against_torch(name, strided, dtype):
    torch = pytest.importorskip("torch")
    x, g = numbers(2, 3, 4, 5, 12, dtype=dtype)
    found = []
    for t in (torch, minigrad):
        layer = LAYERS[name](t).to(getattr(t, dtype))
        with t.no_grad():
            for i, p in enumerate(layer.parameters()):
                p.copy_(t.tensor(numbers(*p.shape, dtype=dtype, seed=i)))
        results = []
        for mode in (True, True, False):
            layer.train(mode)
            layer.zero_grad()
            inputs = t.tensor(x)
            inputs = (
                inputs.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2) if strided else inputs
            )
            inputs.requires_grad_()
            out = layer(inputs)
            out.backward(t.tensor(g))
            results += [out, inputs.grad, *[p.grad for p in layer.parameters()]]
        results += layer.buffers()
        found.append([r.detach().numpy() for r in results])
    assert_near(*found[::-1], 10 * TOLERANCE[dtype])


def test_batch_norm_of_vectors_against_torch():
    torch = pytest.importorskip("torch")
    x, g = numbers(2, 70, 130)
    found = []
    for t in (torch, minigrad):
        layer = t.nn.BatchNorm1d(130)
        inputs = t.tensor(x, requires_grad=True)
        out = layer(inputs)
        out.backward(t.tensor(g))
        results = [out, inputs.grad, layer.weight.grad, layer.bias.grad, *layer.buffers()]
        found.append([r.detach().numpy() for r in results])
    assert_near(*found[::-1], 1e-4)


def test_second_order():
    x, w, b = numbers(3, 4, dtype="float64"), *numbers(2, 4, dtype="float64", seed=1)
    check_grads(lambda x, w, b: F.layer_norm(x, (4,), w, b), x, w, b)
    check_grads(lambda x, w: F.rms_norm(x, (4,), w), x, w)
    x = numbers(3, 4, 5, dtype="float64")
    check_grads(lambda x, w, b: F.group_norm(x, 2, w, b), x, w, b)
    check_grads(lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), x, w, b)


def test_second_order_in_evaluation():
    mean, var = minigrad.tensor(numbers(4, dtype="float64")), minigrad.rand(4).double() + 1
    x, w, b = numbers(3, 4, dtype="float64"), *numbers(2, 4, dtype="float64", seed=1)
    check_grads(lambda x, w, b: F.batch_norm(x, mean, var, w, b), x, w, b)


@pytest.mark.parametrize("centred", [True, False])
def test_nan_and_infinity_stay_in_their_rows(centred):
    x = numbers(4, 40)
    clean = norm.normalise_rows[numpy](x, 0, 0, 1e-5, centred)
    x[1, 3], x[2, 5] = numpy.nan, numpy.inf
    with numpy.errstate(all="ignore"):
        expected = norm.normalise_rows.reference(x, 0, 0, 1e-5, centred)
    found = norm.normalise_rows[numpy](x, 0, 0, 1e-5, centred)
    numpy.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert numpy.array_equal(found[[0, 3]], clean[[0, 3]])


def test_a_large_mean_costs_no_digits_of_the_variance():
    x = numbers(6, 500) + 3000
    exact = x.astype("float64")
    exact = (exact - exact.mean(1, keepdims=True)) / exact.std(1, keepdims=True)
    numpy.testing.assert_allclose(norm.normalise_rows[numpy](x, 0, 0, 0.0, True), exact, atol=2e-3)


@pytest.mark.parametrize("rows, n", [(1, 100_000), (3000, 7), (501, 130), (70, 4096)])
def test_same_bits_for_any_number_of_threads(rows, n):
    x, g = numbers(2, rows, n)
    w, b = numbers(2, n, seed=1)
    cube = x.reshape(rows, n, 1), g.reshape(rows, n, 1)
    results = []
    before = minigrad.get_num_threads()
    try:
        for threads in (1, 2, 2, 3):
            minigrad.set_num_threads(threads)
            one = [norm.normalise_rows[numpy](x, w, b, 1e-5, True)]
            one += norm.normalise_rows_backward[numpy](g, x, w, 1e-5, True)
            for shaped in (cube, [v.reshape(1, rows, n) for v in cube]):
                mean, rstd = batch_norm.channel_moments[numpy](shaped[0], 1e-5)
                one += [mean, rstd, *batch_norm.channel_products[numpy](*shaped[::-1], mean)]
            results.append(one)
    finally:
        minigrad.set_num_threads(before)
    for one in results[1:]:
        assert all(numpy.array_equal(x, y) for x, y in zip(one, results[0], strict=True))


def test_nothing_in_a_batch_and_nothing_to_normalise():
    layer = minigrad.nn.LayerNorm(4)
    out = layer(minigrad.zeros(0, 4))
    out.sum().backward()
    assert out.shape == (0, 4) and layer.weight.grad.tolist() == [0] * 4
    x = minigrad.zeros(3, 0, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        F.layer_norm(x, (0,)).sum().backward()
    assert x.grad.shape == (3, 0)
    evaluated = minigrad.nn.BatchNorm1d(2).eval()
    assert evaluated(minigrad.zeros(0, 2)).shape == (0, 2)


def test_only_what_is_wanted():
    x, w, b = (minigrad.ones(*shape) for shape in ((3, 4), (4,), (4,)))
    w.requires_grad_()
    F.layer_norm(x, (4,), w, b).sum().backward()
    assert w.grad is not None and x.grad is None and b.grad is None
    for needs in (x, w):
        mixed = needs.detach().double().requires_grad_()
        out = F.layer_norm(mixed if needs is x else x, (4,), mixed if needs is w else w.detach())
        out.sum().backward()
        assert mixed.grad.dtype == minigrad.float64
