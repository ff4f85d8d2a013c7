"""Cross-entropy kernels against their references and torch; the one that never holds all logits."""

import tracemalloc

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import cross_entropy as kernels
from minigrad.kernels import kernel

import minigrad

F = minigrad.nn.functional

cases = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 9),
        "classes": st.one_of(st.integers(1, 9), st.integers(60, 200)),
        "smoothing": st.sampled_from([0.0, 0.1, 1.0]),
        "weighted": st.booleans(),
        "ignored": st.booleans(),
        "dtype": st.sampled_from(["float32", "float64"]),
    }
)


def make(rows, classes, weighted, ignored, dtype, **_):
    rng = numpy.random.default_rng(rows * 1000 + classes)
    logits = (rng.standard_normal((rows, classes)) * 4).astype(dtype)
    target = rng.integers(0, classes, rows)
    if ignored:
        target[0] = -100
    weight = rng.uniform(0.5, 2, classes).astype(dtype) if weighted else None
    return logits, target, weight, rng


def close(found, expected):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    tolerance = 3e-5 if found.dtype == "float32" else 1e-12
    numpy.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=100, deadline=None)
@given(cases)
def test_kernels_against_references(case):
    logits, target, weight, rng = make(**case)
    options = target, weight, case["smoothing"], -100
    losses, total = kernels.cross_entropy[numpy](logits, *options)
    expected = kernels.cross_entropy.reference(logits, *options)
    close(losses, expected[0])
    close(total, expected[1])
    scale = rng.standard_normal(len(target)).astype(logits.dtype)
    found = kernels.cross_entropy_backward[numpy](scale, logits, total, *options)
    close(found, kernels.cross_entropy_backward.reference(scale, logits, total, *options))
    own = logits.copy()
    assert kernels.cross_entropy_backward[numpy](scale, own, total, *options, out=own) is own
    numpy.testing.assert_array_equal(own, found)


@settings(max_examples=60, deadline=None)
@given(cases, st.sampled_from(["mean", "sum", "none"]), st.booleans())
def test_linear_cross_entropy_against_torch(case, reduction, biased):
    torch = pytest.importorskip("torch")
    logits, target, weight, rng = make(**{**case, "dtype": "float64"})
    if (target == -100).all():
        target[0] = 0
    arrays = [rng.standard_normal((len(target), 3)), rng.standard_normal((logits.shape[1], 3))]
    arrays += [rng.standard_normal(logits.shape[1])] if biased else []
    results = []
    for t in (minigrad, torch):
        inputs = [t.tensor(a, requires_grad=True) for a in arrays]
        loss = t.nn.functional.linear_cross_entropy(
            inputs[0],
            inputs[1],
            t.tensor(target),
            linear_bias=inputs[2] if biased else None,
            weight=None if weight is None else t.tensor(weight.astype("float64")),
            reduction=reduction,
            label_smoothing=case["smoothing"],
        )
        (loss * 2).sum().backward()
        results.append([loss.detach().numpy(), *(i.grad.numpy() for i in inputs)])
    for ours, theirs in zip(*results, strict=True):
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)


def test_extreme_logits():
    x = numpy.array([[1e4, -1e4, 0], [-numpy.inf, 0, 1], [numpy.nan, 0, 0]], "float32")
    losses, _ = kernels.cross_entropy[numpy](x, numpy.array([0, 1, 1]), None, 0.0, -100)
    numpy.testing.assert_allclose(losses, [0, 1.3132617, numpy.nan], rtol=1e-6)


def test_higher_orders_of_linear_cross_entropy():
    rng = numpy.random.default_rng(0)
    h, w, b = (
        minigrad.tensor(rng.standard_normal(s), requires_grad=True) for s in ((5, 3), (4, 3), (4,))
    )
    target = minigrad.tensor([0, 3, 1, 1, 2])
    for reduction in ("mean", "none"):

        def function(h, w, b, reduction=reduction):
            return F.linear_cross_entropy(h, w, target, linear_bias=b, reduction=reduction)

        assert minigrad.autograd.gradcheck(function, (h, w, b))
        assert minigrad.autograd.gradgradcheck(function, (h, w, b))


@pytest.mark.skipif(kernel.REFERENCE_ONLY, reason="the reference holds them")
def test_all_logits_are_never_held():
    rows, classes = 8000, 5000  # 160 MB of logits
    rng = numpy.random.default_rng(0)
    h = minigrad.tensor(rng.standard_normal((rows, 8)).astype("float32"), requires_grad=True)
    w = minigrad.tensor(rng.standard_normal((classes, 8)).astype("float32"), requires_grad=True)
    target = minigrad.tensor(rng.integers(0, classes, rows))
    F.linear_cross_entropy(h, w, target).backward()  # compiled before it is measured
    tracemalloc.start()
    F.linear_cross_entropy(h, w, target).backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows * classes * 4 / 4


def test_same_bits_for_any_number_of_threads():
    rng = numpy.random.default_rng(0)
    h, w = (
        rng.standard_normal((700, 40)).astype("float32"),
        rng.standard_normal((3000, 40)).astype("float32"),
    )
    target, scale = rng.integers(0, 3000, 700), numpy.full(700, 1 / 700, "float32")
    before, found = minigrad.get_num_threads(), []
    for number in (1, 2, 3, 1):
        minigrad.set_num_threads(number)
        parts = kernels.linear_cross_entropy[numpy](
            h, w, None, target, None, 0.1, -100, scale, True
        )
        found.append(b"".join(part.tobytes() for part in parts[:3]))
    minigrad.set_num_threads(before)
    assert len(set(found)) == 1


def test_bad_input():
    h, w = minigrad.zeros(4, 3), minigrad.zeros(5, 3)
    with pytest.raises(IndexError, match=r"Target 5 is out of bounds: at position \(2,\)"):
        F.linear_cross_entropy(h, w, minigrad.tensor([0, 1, 5, 2]))
    with pytest.raises(RuntimeError, match="expected 3 input features"):
        F.linear_cross_entropy(minigrad.zeros(4, 2), w, minigrad.tensor([0, 1, 2, 2]))
    with pytest.raises(ValueError, match=r"batch_size \(4,\) to match target batch_size \(3,\)"):
        F.linear_cross_entropy(h, w, minigrad.tensor([0, 1, 2]))
    with pytest.raises(RuntimeError, match="expected a bias of shape"):
        F.linear_cross_entropy(h, w, minigrad.tensor([0, 1, 2, 2]), linear_bias=minigrad.zeros(4))
