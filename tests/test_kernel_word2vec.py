"""The loops of word2vec against their definition, and both against the models' gradients."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels.word2vec import WHOLE, Draws, word2vec

import minigrad
from minigrad.models import CBOW, HierarchicalSoftmax, NegativeSampling, SkipGram, SubwordSkipGram
from minigrad.train.vectors.word2vec import alias_table, paths

DISTINCT = (
    6  # a seed under which no word is drawn twice for a prediction; a second time it has moved
)
NONE = numpy.empty(0, numpy.int64), numpy.empty(0, numpy.int32)


def problem(seed, dtype, hs, subwords, words=12, dim=10, length=120):
    draw = numpy.random.default_rng(seed)
    ids = draw.integers(0, words, length).astype(numpy.int32)
    ids[draw.random(length) < 0.1] = -1
    keep = draw.integers(WHOLE // 2, WHOLE, words).astype(numpy.uint32)
    keep[: words // 3] = WHOLE - 1
    counts = draw.integers(1, 50, words)
    made_of, rows = NONE, words
    if subwords:
        rows = words + 20
        starts = numpy.concatenate([[0], numpy.cumsum(draw.integers(1, 5, words))])
        made_of = starts, draw.integers(0, rows, starts[-1]).astype(numpy.int32)
    inputs = (0.4 * draw.standard_normal((rows, dim))).astype(dtype)
    outputs = (0.4 * draw.standard_normal((words - 1 if hs else words, dim))).astype(dtype)
    return ids, keep, inputs, outputs, made_of, paths(counts) if hs else alias_table(counts)


def run(kernel, problem, options, rates=(0.1, 1e-4, 0.01), seed=99):
    ids, keep, inputs, outputs, made_of, predict = problem
    inputs, outputs = inputs.copy(), outputs.copy()
    found = kernel(ids, keep, inputs, outputs, made_of, predict, options, rates, seed)
    return inputs, outputs, *found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("skip_gram", [True, False])
@pytest.mark.parametrize("hs", [True, False])
@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    subwords=st.booleans(),
    corrected=st.booleans(),
    window=st.integers(1, 6),
    dim=st.sampled_from([1, 3, 16, 33]),
    length=st.integers(0, 150),
)
def test_loops_do_what_the_definition_says(
    skip_gram, hs, dtype, seed, subwords, corrected, window, dim, length
):
    given = problem(seed, dtype, hs, subwords, dim=dim, length=length)
    options = skip_gram, window, 0 if hs else 3, corrected, True
    expected = run(word2vec.reference, given, options)
    found = run(word2vec[numpy], given, options)
    again = run(word2vec[numpy], given, options)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for a, b, c in zip(expected[:2], found[:2], again[:2], strict=True):
        numpy.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)
        assert b.dtype == dtype
        assert b.tobytes() == c.tobytes()
    assert found[3] == expected[3]
    assert found[2] == pytest.approx(expected[2], rel=1e-4, abs=1e-6)


def one_step(hs, words):
    """Tables, and how words are predicted."""
    draw = numpy.random.default_rng(4)
    inputs = draw.standard_normal((words + 6, 8))
    outputs = draw.standard_normal((words - 1 if hs else words, 8))
    counts = numpy.array([9, 7, 5, 4, 2, 1])[:words]
    return inputs, outputs, counts, paths(counts) if hs else alias_table(counts**0.75)


def drawn_by(kernel_seed, predict, before, count):
    """The words that the kernel draws for one prediction, after so many other draws."""
    draws = Draws(kernel_seed)
    for _ in range(before):
        draws.next()
    return [draws.by_alias(*predict) for _ in range(count)]


@pytest.mark.parametrize("kernel", ["reference", "compiled"])
@pytest.mark.parametrize("hs", [False, True])
@pytest.mark.parametrize("method", ["skip_gram", "cbow", "subwords"])
def test_a_step_is_the_gradient_of_the_models_loss(method, hs, kernel):
    """The sentence [2, 3] with window 1 is two predictions, each of them one step."""
    words, lr, seed = 6, 0.3, DISTINCT
    inputs, outputs, counts, predict = one_step(hs, words)
    kernel = word2vec.reference if kernel == "reference" else word2vec[numpy]
    keep = numpy.full(words, WHOLE - 1, numpy.uint32)
    made_of = NONE
    if method == "subwords":
        starts = numpy.array([0, 1, 2, 5, 6, 7, 8])
        made_of = starts, numpy.array([0, 1, 2, 7, 10, 3, 4, 5], numpy.int32)
    ids = numpy.array([2, 3, -1], numpy.int32)
    changed = [inputs.copy(), outputs.copy()]
    options = method != "cbow", 1, 0 if hs else 3, True, True
    _, count = kernel(ids, keep, *changed, made_of, predict, options, (lr, 0.0, 0.0), seed)
    assert count == 2

    # the same two steps by autograd: word 2 predicts 3, then 3 predicts 2 (CBOW: the other way round)
    expected = [inputs.copy(), outputs.copy()]
    before = 1  # the draw of the first window
    for this, other in ((2, 3), (3, 2)):
        source, target = (other, this) if method == "cbow" else (this, other)
        head = HierarchicalSoftmax(counts, 8) if hs else NegativeSampling(counts, 8)
        drawn = () if hs else (drawn_by(seed, predict, before, 3),)
        assert hs or len(set(drawn[0]) - {target}) == len([q for q in drawn[0] if q != target])
        before += 1 if hs else 4
        if method == "skip_gram":
            model, given = SkipGram(len(inputs), 8, head), ([source],)
        elif method == "cbow":
            model, given = CBOW(len(inputs), 8, head), ([source], [0])
        else:
            rows = made_of[1][made_of[0][source] : made_of[0][source + 1]]
            model, given = SubwordSkipGram(words, 6, 8, head), (rows, [0])
        model.double()
        with minigrad.no_grad():
            model.embedding.weight.copy_(minigrad.tensor(expected[0]))
            model.head.out.weight.copy_(minigrad.tensor(expected[1]))
        arrays = (*given, [target], *([d] for d in drawn))
        model(*(minigrad.tensor(numpy.array(a)) for a in arrays)).backward()
        expected[0] -= lr * model.embedding.weight.grad.numpy()
        expected[1] -= lr * model.head.out.weight.grad.numpy()
    numpy.testing.assert_allclose(changed[0], expected[0], rtol=1e-9, atol=1e-11)
    numpy.testing.assert_allclose(changed[1], expected[1], rtol=1e-9, atol=1e-11)
    assert abs(changed[0] - inputs).max() > 1e-3


def test_without_correction_the_inputs_get_the_gradient_of_the_sum():
    """As word2vec, fastText and gensim have it: n times the step that is right for a mean of n."""
    ids = numpy.array([0, 1, 2, -1], numpy.int32)
    draw = numpy.random.default_rng(0)
    inputs, outputs = draw.standard_normal((2, 4, 5))
    keep = numpy.full(4, WHOLE - 1, numpy.uint32)
    predict = alias_table(numpy.ones(4))
    moved = []
    for corrected in (True, False):
        changed = [inputs.copy(), outputs.copy()]
        word2vec[numpy](
            ids, keep, *changed, NONE, predict, (False, 1, 2, corrected, False), (1e-6, 0, 0), 3
        )
        moved.append((changed[0] - inputs, changed[1] - outputs))
    right, usual = moved[0][0], moved[1][0]
    numpy.testing.assert_allclose(usual[1], right[1], rtol=1e-4)  # 1 alone predicts 0, and 2
    numpy.testing.assert_allclose(usual[[0, 2]], 2 * right[[0, 2]], rtol=1e-4)  # both predict 1
    numpy.testing.assert_allclose(moved[1][1], moved[0][1], rtol=1e-4)
    assert abs(right).max() > 1e-7


def test_draws_are_those_of_xorshift64star():
    """The first numbers of Vigna's generator from state 1."""
    draws = Draws(1)
    assert [draws.next() for _ in range(2)] == [5180492295206395165, 12380297144915551517]


def test_frequent_words_are_drawn_in_proportion():
    weights = numpy.array([1.0, 2.0, 3.0, 4.0, 0.5])
    share, alias = alias_table(weights)
    draws = Draws(11)
    counts = numpy.bincount([draws.by_alias(share, alias) for _ in range(40_000)], minlength=5)
    numpy.testing.assert_allclose(counts / counts.sum(), weights / weights.sum(), atol=0.01)
    chance = share / 0xFFFFFFFF
    exact = chance.copy()
    numpy.add.at(exact, alias, 1 - chance)
    numpy.testing.assert_allclose(exact / 5, weights / weights.sum(), atol=1e-8)


def test_words_stay_with_their_chance():
    ids = numpy.zeros(20_000, numpy.int32)
    keep = numpy.array([WHOLE // 4], numpy.uint32)
    tables = numpy.zeros((1, 4), numpy.float32), numpy.zeros((1, 4), numpy.float32)
    predict = alias_table(numpy.ones(1))
    _, count = word2vec[numpy](
        ids, keep, *tables, NONE, predict, (False, 2, 0, False, False), (0.1, 0.0, 0.0), 5
    )
    assert abs(count - 5000) < 200
