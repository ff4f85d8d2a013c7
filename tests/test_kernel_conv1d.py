"""conv1d and its gradients: kernels against their references and torch; sparse gradients; fused max."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import conv1d as kernels

import minigrad

F = minigrad.nn.functional

shapes = st.fixed_dictionaries(
    {
        "batch": st.integers(0, 4),
        "channels": st.integers(1, 6),
        "filters": st.integers(1, 7),
        "kernel": st.integers(1, 4),
        "more": st.integers(0, 12),
        "stride": st.integers(1, 3),
        "dilation": st.integers(1, 3),
        "dtype": st.sampled_from(["float32", "float64"]),
        "kind": st.sampled_from(["dense", "sparse", "zero"]),
    }
)


def arrays(batch, channels, filters, kernel, more, dilation, dtype, **_):
    rng = numpy.random.default_rng(batch)
    length = dilation * (kernel - 1) + 1 + more
    x = rng.standard_normal((batch, length, channels)).astype(dtype)
    w = rng.standard_normal((filters, channels, kernel)).astype(dtype)
    return x, w, rng.standard_normal(filters).astype(dtype)


def gradient(out, kind):
    g = numpy.random.default_rng(1).standard_normal(out.shape).astype(out.dtype)
    if kind == "sparse" and out.size:
        g[numpy.arange(g.size).reshape(g.shape) % 37 > 0] = 0
    return g * 0 if kind == "zero" else g


def close(found, expected):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    tolerance = 1e-4 if found.dtype == "float32" else 1e-11
    numpy.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=120, deadline=None)
@given(shapes)
def test_kernels_against_references(case):
    x, w, bias = arrays(**case)
    options = case["stride"], case["dilation"]
    out = kernels.conv1d[numpy](x, w, *options)
    close(out, kernels.conv1d.reference(x, w, *options))
    g = gradient(out, case["kind"])
    length, kernel = x.shape[1], w.shape[2]
    close(
        kernels.conv1d_input[numpy](g, w, length, *options),
        kernels.conv1d_input.reference(g, w, length, *options),
    )
    close(
        kernels.conv1d_weight[numpy](g, x, kernel, *options),
        kernels.conv1d_weight.reference(g, x, kernel, *options),
    )
    best, where = kernels.conv1d_relu_max[numpy](x, w, bias, *options)
    expected, places = kernels.conv1d_relu_max.reference(x, w, bias, *options)
    close(best, expected)
    assert (where == places)[best > 0].all()


@settings(max_examples=60, deadline=None)
@given(shapes, st.integers(0, 2), st.booleans())
def test_public_functions_against_torch(case, padding, fused):
    torch = pytest.importorskip("torch")
    x, w, bias = arrays(**{**case, "dtype": "float64"})
    options = {"stride": case["stride"], "padding": padding, "dilation": case["dilation"]}
    x = x.transpose(0, 2, 1)  # not contiguous
    results = []
    for t in (minigrad, torch):
        inputs = [t.tensor(a, requires_grad=True) for a in (x, w, bias)]
        if t is minigrad and fused:
            out = F.conv1d_relu_max(*inputs, **options)
        else:
            out = t.nn.functional.conv1d(*inputs, **options)
            out = out.relu().amax(2) if fused else out
        (out * t.arange(out.numel()).reshape(out.shape).to(t.float64)).sum().backward()
        results.append([out.detach().numpy(), *(i.grad.numpy() for i in inputs)])
    for ours, theirs in zip(*results, strict=True):
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_gradients_of_any_order():
    rng = numpy.random.default_rng(0)
    inputs = [
        minigrad.tensor(rng.standard_normal(shape), requires_grad=True)
        for shape in ((2, 3, 9), (4, 3, 3), (4,))
    ]
    for function in (F.conv1d_relu_max, lambda *a: F.conv1d(*a).relu().amax(2)):
        assert minigrad.autograd.gradcheck(function, inputs)
        assert minigrad.autograd.gradgradcheck(function, inputs)


def test_nan_reaches_the_maximum():
    x = numpy.zeros((1, 6, 2), "float32")
    x[0, 3, 1] = numpy.nan
    best, _ = kernels.conv1d_relu_max[numpy](
        x, numpy.ones((3, 2, 2), "float32"), numpy.zeros(3, "float32"), 1, 1
    )
    assert numpy.isnan(best).all()


def test_same_bits_for_any_number_of_threads():
    x, w, bias = arrays(9, 40, 30, 3, 50, 1, "float32")
    before, found = minigrad.get_num_threads(), []
    for number in (1, 2, 3, 1):
        minigrad.set_num_threads(number)
        out = kernels.conv1d[numpy](x, w, 1, 1)
        parts = [out, *kernels.conv1d_relu_max[numpy](x, w, bias, 1, 1)]
        for kind in ("dense", "sparse"):
            g = gradient(out, kind)
            parts.append(kernels.conv1d_input[numpy](g, w, x.shape[1], 1, 1))
            parts.append(kernels.conv1d_weight[numpy](g, x, 3, 1, 1))
        found.append(b"".join(part.tobytes() for part in parts))
    minigrad.set_num_threads(before)
    assert len(set(found)) == 1


def test_bad_shapes():
    x, w = minigrad.zeros(2, 3, 5), minigrad.zeros(4, 3, 7)
    with pytest.raises(RuntimeError, match=r"conv1d_relu_max: .*Kernel size can't be greater"):
        F.conv1d_relu_max(x, w)
    with pytest.raises(RuntimeError, match=r"conv1d_relu_max: expected input \(B, C, L\)"):
        F.conv1d_relu_max(x[0], w)
