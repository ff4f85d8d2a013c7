"""A Linear of two to seven rows, whose weight is read once, is the product that it was."""

import numpy
import pytest

import minigrad as mg
import minigrad.nn.functional as F


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("rows", [1, 2, 5, 7, 8])
def test_values_and_gradients(rows, dtype, tolerance):
    draw = numpy.random.default_rng(rows)
    x, w, b, g = (
        draw.standard_normal(shape).astype(dtype)
        for shape in ((rows, 1, 300), (250, 300), 250, (rows, 1, 250))
    )
    leaves = [mg.tensor(value, requires_grad=True) for value in (x, w, b)]
    out = F.linear(*leaves)
    out.backward(mg.tensor(g))
    scale = 300**0.5
    numpy.testing.assert_allclose(
        out.numpy(force=True), x @ w.T + b, rtol=tolerance, atol=tolerance * scale
    )
    wanted = g @ w, (g.swapaxes(1, 2) @ x).sum(0), g.sum((0, 1))
    for leaf, expected in zip(leaves, wanted, strict=True):
        assert str(leaf.grad.numpy().dtype) == dtype
        numpy.testing.assert_allclose(
            leaf.grad.numpy(), expected, rtol=tolerance, atol=tolerance * scale
        )
    without = F.linear(leaves[0].detach(), leaves[1].detach())
    numpy.testing.assert_allclose(without.numpy(), x @ w.T, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("rows", [1, 2, 4, 5])
def test_weights_kept_the_other_way(rows):
    """(in, out), as GPT-2 keeps them, of a million numbers."""
    draw = numpy.random.default_rng(rows)
    x, w, b = (draw.standard_normal(shape) for shape in ((rows, 1, 900), (900, 1200), 1200))
    leaves = [mg.tensor(value, requires_grad=True) for value in (x, w)]
    out = F.linear(leaves[0], leaves[1].mT, mg.tensor(b))
    numpy.testing.assert_allclose(out.numpy(force=True), x @ w + b, rtol=1e-12, atol=1e-10)
    out.backward(mg.ones_like(out))
    numpy.testing.assert_allclose(
        leaves[1].grad.numpy(), x.sum(0).T.repeat(1200, 1), rtol=1e-12, atol=1e-10
    )
    expected = numpy.broadcast_to(w.sum(1), x.shape)
    numpy.testing.assert_allclose(leaves[0].grad.numpy(), expected, rtol=1e-12, atol=1e-10)
