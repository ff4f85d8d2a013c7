"""Beam and greedy search against all sentences there are, on models that are tables."""

import itertools
import math
from collections import namedtuple

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_checks import on_both

import minigrad
from minigrad.models.decoding import beam_search, greedy, length_penalty, select

BOS, EOS = 0, 1


class Table:
    """A model whose next word depends on the sentence and all words so far, by random numbers.

    The state carries a hash of the words, so that a state that is not moved with its row is noticed.
    """

    def __init__(self, vocab, seed, library=minigrad):
        self.vocab = vocab
        self.seed = seed
        self.library = library

    def start(self, count):
        return {"hash": self.library.arange(count) + 17 * self.seed}

    def row(self, code):
        logits = numpy.random.default_rng(int(code)).normal(0, 2, self.vocab)
        return logits - numpy.log(numpy.exp(logits).sum())

    def step(self, tokens, state):
        code = (state["hash"] * 31 + tokens + 1) % 1_000_003
        table = numpy.stack([self.row(c) for c in code.tolist()])
        return self.library.tensor(table), {"hash": code}

    def log_prob(self, sentence, words):
        code, total = sentence + 17 * self.seed, 0.0
        for last, word in itertools.pairwise([BOS, *words]):
            code = (code * 31 + last + 1) % 1_000_003
            total += self.row(code)[word]
        return total


def all_sentences(model, sentence, max_length, alpha):
    """(score, words) of everything that ends, or has max_length words; the best first."""
    found = []
    others = [word for word in range(model.vocab) if word != EOS]
    for length in range(1, max_length + 1):
        for words in itertools.product(others, repeat=length - 1):
            last = range(model.vocab) if length == max_length else [EOS]
            for word in last:
                full = [*words, word]
                score = model.log_prob(sentence, full) / length_penalty(length, alpha)
                found.append((score, full[:-1] if word == EOS else full))
    return sorted(found, key=lambda pair: -pair[0])


@settings(deadline=None, max_examples=40)
@given(
    vocab=st.integers(2, 4),
    max_length=st.integers(1, 4),
    count=st.integers(1, 3),
    alpha=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    seed=st.integers(0, 50_000),
)
def test_a_beam_that_holds_all_sentences_finds_the_best_ones(vocab, max_length, count, alpha, seed):
    model = Table(vocab, seed)
    beam = sum((vocab - 1) ** n for n in range(max_length)) + (vocab - 1) ** max_length
    found = beam_search(
        model.step, model.start(count), count, BOS, EOS,
        beam=beam, max_length=max_length, alpha=alpha, best=min(5, beam),
    )  # fmt: skip
    for sentence in range(count):
        expected = all_sentences(model, sentence, max_length, alpha)[:5]
        assert len(found[sentence]) == len(expected)
        for hypothesis, (score, words) in zip(found[sentence], expected, strict=True):
            assert hypothesis.score == pytest.approx(score, rel=1e-9)
            assert hypothesis.tokens == words


@settings(deadline=None, max_examples=40)
@given(
    vocab=st.integers(2, 9),
    max_length=st.integers(1, 8),
    count=st.integers(1, 4),
    alpha=st.sampled_from([0.0, 0.6]),
    seed=st.integers(0, 50_000),
)
def test_beam_1_is_greedy_search(vocab, max_length, count, alpha, seed):
    model = Table(vocab, seed)
    options = {"max_length": max_length, "alpha": alpha}
    one = beam_search(model.step, model.start(count), count, BOS, EOS, beam=1, **options)
    assert [h for (h,) in one] == greedy(model.step, model.start(count), count, BOS, EOS, **options)


@settings(deadline=None, max_examples=25)
@given(
    vocab=st.integers(3, 8),
    beam=st.integers(1, 5),
    count=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_scores_are_those_of_the_words_and_sentences_do_not_mix(vocab, beam, count, seed):
    model = Table(vocab, seed)
    found = beam_search(
        model.step, model.start(count), count, BOS, EOS,
        beam=beam, max_length=6, alpha=0.7, best=beam,
    )  # fmt: skip
    for sentence, hypotheses in enumerate(found):
        assert 1 <= len(hypotheses) <= beam
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
        assert len({tuple(h.tokens) for h in hypotheses}) == len(hypotheses)
        for h in hypotheses:
            words = h.tokens if len(h.tokens) == 6 else [*h.tokens, EOS]
            assert h.log_prob == pytest.approx(model.log_prob(sentence, words), rel=1e-9)
            assert h.score == pytest.approx(h.log_prob / length_penalty(len(words), 0.7))
        alone = Table(vocab, seed)
        start = {"hash": minigrad.tensor([sentence + 17 * seed])}
        (by_itself,) = beam_search(
            alone.step, start, 1, BOS, EOS, beam=beam, max_length=6, alpha=0.7, best=beam
        )
        assert by_itself == hypotheses


def from_rows(rows):
    """A model that at step t gives rows[t], whatever came before."""

    def step(tokens, state):
        t = int(state[0, 0])
        log_probs = minigrad.tensor([rows[t]] * len(tokens)).log()
        return log_probs, state + 1

    return step


def test_what_has_ended_is_kept_while_others_go_on():
    # <eos> first is likely; the longer sentence wins only by length normalisation
    step = from_rows([[0, 0.4, 0.6], [0, 0.9, 0.1], [0, 1.0, 0.0]])
    start = minigrad.zeros(1, 1)
    ((short, *_),) = beam_search(step, start, 1, BOS, EOS, beam=3, max_length=3, alpha=0.0, best=3)
    assert short.tokens == [2] and short.log_prob == pytest.approx(math.log(0.54), rel=1e-5)
    found = beam_search(step, start, 1, BOS, EOS, beam=3, max_length=3, alpha=0.0, best=3)[0]
    assert [h.tokens for h in found] == [[2], [], [2, 2]]
    ((best,),) = beam_search(step, start, 1, BOS, EOS, beam=3, max_length=3, alpha=20.0)
    assert best.tokens == [2, 2]


def test_unlikely_early_ends_do_not_stop_the_search():
    # at every step <eos> is second, far behind: after 3 steps a beam of 2 has ended hypotheses enough
    rows = [[0.0, 0.01, 0.99]] * 5 + [[0.0, 0.99, 0.01]] * 3
    start = minigrad.zeros(1, 1)
    for alpha in (0.0, 0.6):
        found = beam_search(from_rows(rows), start, 1, BOS, EOS, beam=2, max_length=8, alpha=alpha)
        assert found[0][0].tokens == [2] * 5


def test_beam_search_finds_what_greedy_search_misses():
    def step(tokens, state):
        table = {0: [0.0, 0.0, 0.55, 0.45], 2: [0.0, 0.3, 0.3, 0.4], 3: [0.0, 1.0, 0.0, 0.0]}
        return minigrad.tensor([table[t] for t in tokens.tolist()]).log(), state

    assert greedy(step, None, 1, BOS, EOS, max_length=3)[0].tokens[0] == 2
    ((best,),) = beam_search(step, None, 1, BOS, EOS, beam=2, max_length=3, alpha=0.0)
    assert best.tokens == [3] and best.log_prob == pytest.approx(math.log(0.45), rel=1e-5)


def test_forbidden_words_never_come():
    step = from_rows([[0.7, 0.1, 0.2], [0.7, 0.2, 0.1]])
    start = minigrad.zeros(1, 1)
    assert greedy(step, start, 1, BOS, EOS, max_length=2, forbid=(0,))[0].tokens == [2]
    found = beam_search(step, start, 1, BOS, EOS, beam=2, max_length=2, forbid=(0,), best=2)[0]
    assert all(0 not in h.tokens for h in found) and len(found) == 2


def test_sentences_that_are_done_leave_the_batch():
    rows = []

    def step(tokens, state):
        rows.append(len(tokens))
        ended = minigrad.tensor([[0.01, 0.98, 0.01]]).log()
        going = minigrad.tensor([[0.01, 0.01, 0.98]]).log()
        return minigrad.where(state.bool(), ended, going), state

    ends = minigrad.tensor([[1], [0], [1]])
    assert [h.tokens for h in greedy(step, ends, 3, BOS, EOS, max_length=4)] == [[], [2] * 4, []]
    assert rows == [3, 1, 1, 1]


def test_states_of_every_form_are_chosen_by_row():
    Pair = namedtuple("Pair", "a b")
    x = minigrad.arange(6).reshape(3, 2)
    state = {"x": x, "y": [Pair(x, None), (x,)]}
    found = select(state, minigrad.tensor([2, 0]))
    assert isinstance(found["y"][0], Pair) and found["y"][0].b is None
    for part in (found["x"], found["y"][0].a, found["y"][1][0]):
        assert part.tolist() == [[4, 5], [0, 1]]


def test_the_same_on_torch():
    torch = pytest.importorskip("torch")
    ours, theirs = on_both("decoding")
    for beam in (1, 3):
        found = []
        for module, library in ((ours, minigrad), (theirs, torch)):
            model = Table(7, 5, library)
            hypotheses = module.beam_search(
                model.step, model.start(4), 4, BOS, EOS, beam=beam, max_length=9, best=beam
            )
            first = module.greedy(model.step, model.start(4), 4, BOS, EOS, max_length=9)
            found.append(([tuple(h) for hs in hypotheses for h in hs], [tuple(h) for h in first]))
        assert found[0] == found[1]


def test_wrong_arguments():
    step = from_rows([[0.2, 0.3, 0.5]])
    start = minigrad.zeros(1, 1)
    for options, message in (
        (dict(count=0), "count must be at least 1, not 0"),
        (dict(beam=0), "beam must be at least 1"),
        (dict(max_length=0), "max_length must be at least 1"),
        (dict(beam=2, best=3), "best=3 needs a beam of at least 3"),
        (dict(eos=3), "eos is 3, and there are 3 words"),
    ):
        with pytest.raises(ValueError, match=message):
            beam_search(step, start, **{"count": 1, "bos": BOS, "eos": EOS, **options})
    with pytest.raises(ValueError, match=r"must give log probabilities \(1, V\), not \(1, 1, 2\)"):
        greedy(lambda t, s: (minigrad.zeros(1, 1, 2), s), None, 1, BOS, EOS)
    with pytest.raises(ValueError, match="nan as a log probability"):
        greedy(lambda t, s: (minigrad.full((1, 2), float("nan")), s), None, 1, BOS, EOS)
    with pytest.raises(ValueError, match="<eos> alone"):
        beam_search(lambda t, s: (minigrad.zeros(len(t), 1), s), None, 1, 0, 0)
