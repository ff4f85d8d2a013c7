"""The CRF against the sum over all sequences of tags, finite differences, and itself on torch."""

import itertools

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_checks import check_model

import minigrad
from minigrad.autograd import gradcheck
from minigrad.models import CRF

sizes = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(0, 999))


def case(steps, batch, tags, seed):
    """(CRF in float64, emissions (T, B, K), lengths, mask (T, B), tags (T, B))."""
    draw = numpy.random.default_rng(seed)
    crf = CRF(tags).double()
    for parameter in crf.parameters():
        parameter.data.copy_(minigrad.tensor(draw.normal(0, 2, parameter.shape)))
    lengths = draw.integers(1, steps + 1, batch)
    lengths[draw.integers(batch)] = steps
    mask = numpy.arange(steps)[:, None] < lengths
    emissions = minigrad.tensor(draw.normal(0, 2, (steps, batch, tags)))
    gold = minigrad.tensor(draw.integers(0, tags, (steps, batch)))
    return crf, emissions, lengths, minigrad.tensor(mask), gold


def paths(crf, emissions, length, row):
    """{tags: score} of every sequence of tags of one row of a batch."""
    start, end, between = (
        p.detach().numpy() for p in (crf.start_transitions, crf.end_transitions, crf.transitions)
    )
    e = emissions.detach().numpy()[:, row]
    found = {}
    for y in itertools.product(range(crf.num_tags), repeat=length):
        score = start[y[0]] + end[y[-1]] + sum(e[t, k] for t, k in enumerate(y))
        found[y] = score + sum(between[a, b] for a, b in itertools.pairwise(y))
    return found


def log_sum(scores):
    return numpy.logaddexp.reduce(list(scores))


@given(sizes)
@settings(max_examples=60, deadline=None)
def test_equals_the_sum_over_all_paths(size):
    crf, emissions, lengths, mask, gold = case(*size)
    likelihood = crf(emissions, gold, mask, reduction="none").detach().numpy()
    partition = crf.log_partition(emissions, mask).detach().numpy()
    marginals = crf.marginals(emissions, mask).detach().numpy()
    best = crf.decode(emissions, mask)
    assert marginals.shape == emissions.shape
    for row, length in enumerate(lengths):
        scores = paths(crf, emissions, length, row)
        total = log_sum(scores.values())
        assert partition[row] == pytest.approx(total, abs=1e-10)
        y = tuple(gold.numpy()[:length, row])
        assert likelihood[row] == pytest.approx(scores[y] - total, abs=1e-10)
        assert scores[tuple(best[row])] == pytest.approx(max(scores.values()), abs=1e-10)
        for t in range(size[0]):
            for k in range(crf.num_tags):
                through = [s for y, s in scores.items() if t < length and y[t] == k]
                expected = numpy.exp(log_sum(through) - total) if through else 0.0
                assert marginals[t, row, k] == pytest.approx(expected, abs=1e-10)


@given(sizes)
@settings(max_examples=30, deadline=None)
def test_marginals_are_the_gradient_of_log_partition(size):
    crf, emissions, _, mask, _ = case(*size)
    emissions.requires_grad_()
    crf.log_partition(emissions, mask).sum().backward()
    expected = crf.marginals(emissions, mask).detach().numpy()
    numpy.testing.assert_allclose(emissions.grad.numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "token_mean"])
def test_gradcheck(reduction):
    crf, emissions, _, mask, gold = case(4, 3, 3, 1)
    parameters = [crf.start_transitions, crf.end_transitions, crf.transitions]

    def likelihood(emissions, *_):
        return crf(emissions, gold, mask, reduction)

    assert gradcheck(likelihood, (emissions.requires_grad_(), *parameters))


def test_reductions():
    crf, emissions, lengths, mask, gold = case(4, 3, 3, 2)
    each = crf(emissions, gold, mask, "none")
    assert each.shape == (3,)
    assert crf(emissions, gold, mask).item() == pytest.approx(each.sum().item())
    assert crf(emissions, gold, mask, "mean").item() == pytest.approx(each.mean().item())
    expected = each.sum().item() / lengths.sum()
    assert crf(emissions, gold, mask, "token_mean").item() == pytest.approx(expected)


def test_batch_first_is_the_transpose():
    crf, emissions, _, mask, gold = case(4, 3, 3, 3)
    other = CRF(3, batch_first=True).double()
    other.load_state_dict(crf.state_dict())
    turned = [x.transpose(0, 1) for x in (emissions, gold, mask)]
    assert other(*turned).item() == pytest.approx(crf(emissions, gold, mask).item())
    assert other.decode(turned[0], turned[2]) == crf.decode(emissions, mask)
    numpy.testing.assert_allclose(
        other.marginals(turned[0], turned[2]).transpose(0, 1).detach().numpy(),
        crf.marginals(emissions, mask).detach().numpy(),
    )


def test_padding_has_no_effect():
    """Neither by what stands in the emissions and tags there, nor by how much of it there is."""
    crf, emissions, lengths, mask, gold = case(4, 3, 3, 4)
    assert lengths.min() < 4
    likelihood = crf(emissions, gold, mask, "none").detach().numpy()
    path = crf.decode(emissions, mask)
    dirty = minigrad.where(mask.unsqueeze(2), emissions, float("nan")).requires_grad_()
    tags = minigrad.where(mask, gold, -100)
    found = crf(dirty, tags, mask, "none")
    numpy.testing.assert_array_equal(found.detach().numpy(), likelihood)
    assert crf.decode(dirty, mask) == path
    found.sum().backward()
    assert not dirty.grad.isnan().any()
    for row, length in enumerate(lengths):
        alone = crf(emissions[:length, row : row + 1], gold[:length, row : row + 1])
        assert alone.item() == pytest.approx(likelihood[row], abs=1e-12)


def test_forbidden_transitions_are_not_taken():
    """-inf is a hard constraint: the probability is 0, gradients stay finite."""
    crf, emissions, _, _, _ = case(4, 2, 3, 5)
    crf.transitions.data[0, 1] = -minigrad.inf
    emissions.requires_grad_()
    for path in crf.decode(emissions):
        assert (0, 1) not in itertools.pairwise(path)
    crf.log_partition(emissions).sum().backward()
    assert emissions.grad.isfinite().all()


def test_long_sequences_stay_finite_in_float32():
    crf = CRF(5)
    emissions = 50 * minigrad.randn(300, 2, 5)
    tags = minigrad.zeros(300, 2, dtype=minigrad.int64)
    value = crf(emissions, tags)
    assert value.isfinite() and value.item() < 0
    numpy.testing.assert_allclose(crf.marginals(emissions).sum(2).detach().numpy(), 1, rtol=1e-5)


def test_initialisation():
    minigrad.manual_seed(0)
    crf = CRF(20)
    assert crf.transitions.abs().max() <= 0.1 < 10 * crf.transitions.abs().max()
    assert repr(crf) == "CRF(num_tags=20, batch_first=False)"


@pytest.mark.parametrize("batch_first", [False, True])
def test_crf_on_torch(batch_first):
    draw = numpy.random.default_rng(0)
    emissions, tags = draw.normal(size=(5, 3, 4)), draw.integers(0, 4, (5, 3))
    mask = numpy.arange(5)[:, None] < numpy.array([5, 2, 1])
    if batch_first:
        emissions, tags, mask = (x.swapaxes(0, 1).copy() for x in (emissions, tags, mask))

    def loss(model, torch, tensor):
        values = tensor(emissions), tensor(mask)
        paths = [tensor(path) for path in model.decode(*values)]
        found = -model(values[0], tensor(tags), values[1], "mean")
        return found, (model.marginals(*values), model.log_partition(*values), *paths)

    check_model("crf", lambda m, torch: m.CRF(4, batch_first), loss)


def test_bad_input():
    crf = CRF(3)
    good, tags = minigrad.zeros(2, 2, 3), minigrad.zeros(2, 2, dtype=minigrad.int64)
    mask = minigrad.ones(2, 2, dtype=minigrad.bool)
    with pytest.raises(ValueError, match="at least one tag, not 0"):
        CRF(0)
    with pytest.raises(ValueError, match=r"\(steps, batch, 3\), got \(2, 2, 4\)"):
        crf(minigrad.zeros(2, 2, 4), tags)
    with pytest.raises(ValueError, match=r"got \(2, 3\)"):
        crf.decode(minigrad.zeros(2, 3))
    for empty in ((0, 2, 3), (2, 0, 3)):
        with pytest.raises(ValueError, match="batch is empty"):
            crf.decode(minigrad.zeros(*empty))
    with pytest.raises(ValueError, match=r"tags \(3, 2\) do not fit"):
        crf(good, minigrad.zeros(3, 2, dtype=minigrad.int64))
    with pytest.raises(ValueError, match="from 0 to 2, found 3"):
        crf(good, tags + 3)
    with pytest.raises(ValueError, match="from 0 to 2, found -1"):
        crf(good, tags - 1)
    with pytest.raises(ValueError, match=r"mask \(1, 2\) does not fit"):
        crf(good, tags, mask[:1])
    with pytest.raises(ValueError, match="True on the first step"):
        crf(good, tags, ~mask)
    hole = minigrad.tensor([[True], [False], [True]])
    with pytest.raises(ValueError, match="must not turn True again"):
        crf.decode(minigrad.zeros(3, 1, 3), hole)
    with pytest.raises(ValueError, match="reduction must be .* not 'max'"):
        crf(good, tags, reduction="max")
