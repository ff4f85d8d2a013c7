"""The benchmark of pretraining on a text made here: its entropy, its curve beside transformers', learning."""

import math

import numpy
import pytest

pytest.importorskip("tokenizers")

from minigrad.benchmarks import pretraining

import minigrad
from minigrad.models import BertConfig, BertForPreTraining

WORDS = "rain sun wind snow river hill tree bird fish stone road house".split()


def made_articles():
    """Articles of one word each, so that any other word tells what a masked one is."""
    return [[" ".join([word] * 6)] * 12 for word in WORDS * 5]


@pytest.fixture
def data(monkeypatch):
    monkeypatch.setattr(pretraining, "articles", made_articles)
    monkeypatch.setitem(pretraining.SIZES, "max_position_embeddings", 24)
    monkeypatch.setitem(pretraining.SIZES, "hidden_size", 32)
    monkeypatch.setitem(pretraining.SIZES, "num_hidden_layers", 1)
    return pretraining.Data("nsp", 120, seed=0)


def config(data, **changes):
    return BertConfig(vocab_size=len(data.tokenizer), **pretraining.SIZES, **changes)


def test_unigram_entropy(data):
    counts = numpy.bincount(
        [WORDS.index(w) for article in data.documents for s in article for w in s.split()]
    )
    p = counts / counts.sum()
    assert data.entropy == pytest.approx(float(-(p * numpy.log(p)).sum()), rel=1e-9)
    assert data.entropy == pytest.approx(math.log(len(WORDS)), rel=0.02)


def test_batches_are_the_same_twice_and_masked_anew_each_epoch(data):
    one, again, other = (next(data.batches(8, epoch)) for epoch in (1, 1, 2))
    assert minigrad.equal(one["input_ids"], again["input_ids"])
    assert one["input_ids"].shape != other["input_ids"].shape or not minigrad.equal(
        one["input_ids"], other["input_ids"]
    )


def test_curve_equals_that_of_transformers(data):
    pytest.importorskip("transformers")
    difference = pretraining.same_curve(
        BertForPreTraining, config(data), data, steps=4, size=8, lr=5e-4
    )
    assert difference < 1e-5


@pytest.mark.slow
def test_learns_below_the_entropy(data, tmp_path):
    minigrad.manual_seed(0)
    model = BertForPreTraining(config(data, initializer_range=0.1))
    rows = pretraining.train(model, data, "nsp", epochs=7, size=8, lr=5e-3)
    assert rows[-1]["masked_word_loss"] < 0.5 * data.entropy
    pretraining.draw(rows, data.entropy, tmp_path / "curve.png", "made text")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
