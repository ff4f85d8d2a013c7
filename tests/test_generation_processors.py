"""Processors and filters of generation against transformers', on scores drawn by hypothesis."""

import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import generation

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ROWS, LENGTH, WORDS = 4, 9, 23
SOURCE = numpy.random.default_rng(3).integers(0, WORDS, (2, 6))


def cases():
    """(ids (R, S) of few different tokens, scores (R, V), some of which are forbidden already)."""

    def draw(seed, scale, forbidden, length):
        random = numpy.random.default_rng(seed)
        ids = random.integers(0, random.integers(2, WORDS), (ROWS, length))
        scores = (random.standard_normal((ROWS, WORDS)) * scale).astype("float32")
        scores[random.random(scores.shape) < forbidden] = -math.inf
        scores[:, :8] = random.standard_normal((ROWS, 8)) * scale  # some are always allowed
        return ids, scores

    seeds, scales = st.integers(0, 2**32 - 1), st.sampled_from([0.01, 1.0, 5.0])
    return st.builds(draw, seeds, scales, st.sampled_from([0.0, 0.3]), st.integers(1, LENGTH))


def held_against(name, case, ours=(), theirs=None):
    """Both processors of this name on one case."""
    ids, scores = case
    theirs = ours if theirs is None else theirs
    processor = getattr(generation, name)(*ours)
    given = mg.tensor(scores)
    found = processor(mg.tensor(ids), given).numpy()
    expected = getattr(transformers, name)(*theirs)(torch.tensor(ids), torch.tensor(scores))
    numpy.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)
    numpy.testing.assert_array_equal(given.numpy(), scores)  # what came in is as it was


FILTERS = [
    ("TemperatureLogitsWarper", st.tuples(st.floats(0.1, 5.0))),
    ("TopKLogitsWarper", st.tuples(st.integers(1, 30))),
    ("TopPLogitsWarper", st.tuples(st.sampled_from([0.0, 0.13, 0.5, 0.9, 1.0]))),
    ("MinPLogitsWarper", st.tuples(st.sampled_from([0.0, 0.05, 0.3, 1.0]))),
    ("TypicalLogitsWarper", st.tuples(st.sampled_from([0.02, 0.2, 0.5, 0.95]))),
    ("EpsilonLogitsWarper", st.tuples(st.sampled_from([0.001, 0.03, 0.2, 0.9]))),
    ("EtaLogitsWarper", st.tuples(st.sampled_from([0.001, 0.03, 0.2, 0.9]))),
]


@pytest.mark.parametrize("name, options", FILTERS)
def test_filters(name, options):
    @settings(max_examples=40, deadline=None)
    @given(cases(), options, st.integers(1, 4))
    def check(case, option, keep):
        if name != "TemperatureLogitsWarper":
            option = (*option, -math.inf, keep)
        held_against(name, case, option)

    check()


RULES = [
    ("RepetitionPenaltyLogitsProcessor", st.tuples(st.floats(0.3, 3.0))),
    ("RepetitionPenaltyLogitsProcessor", st.tuples(st.floats(0.3, 3.0), st.integers(0, 5))),
    ("NoRepeatNGramLogitsProcessor", st.tuples(st.integers(1, 4))),
    ("MinLengthLogitsProcessor", st.tuples(st.integers(0, 10), st.sampled_from([3, [3, 5]]))),
    (
        "MinNewTokensLengthLogitsProcessor",
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from([3, [3, 5]])),
    ),
    ("ForcedBOSTokenLogitsProcessor", st.tuples(st.integers(0, 22))),
    ("ForcedEOSTokenLogitsProcessor", st.tuples(st.integers(1, 10), st.sampled_from([3, [3, 5]]))),
    ("SuppressTokensLogitsProcessor", st.tuples(st.lists(st.integers(0, 22), max_size=4))),
    (
        "SuppressTokensAtBeginLogitsProcessor",
        st.tuples(st.lists(st.integers(0, 22), max_size=4), st.integers(1, 9)),
    ),
    (
        "ExponentialDecayLengthPenalty",
        st.tuples(
            st.tuples(st.integers(0, 4), st.floats(1.0, 1.5)),
            st.sampled_from([3, [3, 5]]),
            st.integers(0, 4),
        ),
    ),
    ("LogitNormalization", st.just(())),
    ("InfNanRemoveLogitsProcessor", st.just(())),
]


@pytest.mark.parametrize("name, options", RULES)
def test_rules(name, options):
    @settings(max_examples=30, deadline=None)
    @given(cases(), options)
    def check(case, option):
        held_against(name, case, option)

    check()


WORD_LISTS = st.lists(
    st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=1, max_size=5, unique_by=tuple
)


@settings(max_examples=40, deadline=None)
@given(cases(), WORD_LISTS)
def test_bad_words(case, words):
    if all(word == [3] for word in words):
        words = [*words, [1, 2]]
    held_against("NoBadWordsLogitsProcessor", case, (words, 3))
    biases = [[word, 0.5 * number] for number, word in enumerate(words)]
    held_against("SequenceBiasLogitsProcessor", case, (biases,))
    table = {tuple(word): bias for word, bias in biases}
    held_against("SequenceBiasLogitsProcessor", case, (table,))


@settings(max_examples=30, deadline=None)
@given(cases(), st.integers(1, 3), st.floats(0.3, 3.0))
def test_rules_of_the_source(case, size, penalty):
    ours, theirs = mg.tensor(SOURCE), torch.tensor(SOURCE)
    name = "EncoderNoRepeatNGramLogitsProcessor"
    held_against(name, case, (size, ours), (size, theirs))
    name = "EncoderRepetitionPenaltyLogitsProcessor"
    held_against(name, case, (penalty, ours), (penalty, theirs))


@settings(max_examples=20, deadline=None)
@given(cases(), st.integers(0, 4))
def test_padding_is_no_repetition(case, ignored):
    each = numpy.arange(ROWS) % (ignored + 1)
    ours, theirs = (1.7, mg.tensor(each)), (1.7, torch.tensor(each))
    held_against("RepetitionPenaltyLogitsProcessor", case, ours, theirs)


@settings(max_examples=20, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_allowed_tokens(case, seed):
    def allowed(text, ids):
        random = numpy.random.default_rng((seed, text, len(ids)))
        return random.choice(WORDS, size=random.integers(1, 4), replace=False).tolist()

    held_against("PrefixConstrainedLogitsProcessor", case, (allowed, 2))


def test_nothing_allowed():
    processor = generation.PrefixConstrainedLogitsProcessor(lambda text, ids: [], 1)
    with pytest.raises(ValueError, match="allows no token at all for text 0"):
        processor(mg.tensor([[1]]), mg.zeros(1, 5))


def test_numbers_that_are_none():
    scores = mg.tensor([[math.nan, math.inf, -math.inf, 2.0]])
    found = generation.InfNanRemoveLogitsProcessor()(mg.tensor([[0]]), scores)
    top = numpy.finfo("float32").max
    numpy.testing.assert_array_equal(found.numpy(), [[0.0, top, -top, 2.0]])


def test_lists_run_in_order():
    rules = generation.LogitsProcessorList([lambda ids, scores: scores + 1])
    rules.append(generation.TemperatureLogitsWarper(0.5))
    assert rules(mg.tensor([[0]]), mg.tensor([[1.0, 2.0]])).tolist() == [[4.0, 6.0]]
    with pytest.raises(NotImplementedError, match="LogitsProcessor does not say"):
        generation.LogitsProcessor()(mg.tensor([[0]]), scores=None)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("TemperatureLogitsWarper", (0.0,), "above 0, not 0.0; do_sample=False"),
        ("TopKLogitsWarper", (0,), "top_k must be a whole number above 0, not 0"),
        ("TopPLogitsWarper", (1.2,), "top_p must be a number from 0 to 1, not 1.2"),
        ("MinPLogitsWarper", (-0.1,), "min_p must be"),
        ("TypicalLogitsWarper", (1.0,), "typical_p must be a number between 0 and 1"),
        ("EpsilonLogitsWarper", (0.0,), "epsilon must be"),
        ("TopPLogitsWarper", (0.5, -math.inf, 0), "min_tokens_to_keep must be a whole number"),
        ("SequenceBiasLogitsProcessor", ([],), "must not be empty"),
        ("NoBadWordsLogitsProcessor", ([[1, -2]],), "nor tokens below 0"),
        ("SuppressTokensLogitsProcessor", ([-1],), "tokens are numbers from 0 on"),
    ],
)
def test_bad_values(name, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(generation, name)(*options)


def test_an_end_that_is_a_bad_word_stays_possible():
    scores = mg.zeros(1, 5)
    processor = generation.NoBadWordsLogitsProcessor([[3]], 3)
    assert mg.equal(processor(mg.tensor([[1]]), scores), scores)
