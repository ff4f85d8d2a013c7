"""The benchmark of denoising on a text made here: its entropy, its curve beside transformers', learning."""

import math

import numpy
import pytest

pytest.importorskip("tokenizers")

from minigrad.benchmarks import denoising

import minigrad

WORDS = "rain sun wind snow river hill tree bird fish stone road house".split()
SIZES = dict(d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2)


def made_articles():
    """Articles of one word each, so that any word that is left tells what is missing."""
    return [[" ".join([word] * 6)] * 12 for word in WORDS * 5]


@pytest.fixture
def data(monkeypatch):
    monkeypatch.setattr(denoising, "articles", made_articles)
    monkeypatch.setattr(denoising, "SOURCE", 24)
    return denoising.Data(denoising.OBJECTIVES["t5"], 80)


def config(data, **changes):
    return data.objective.config_class(
        vocab_size=len(data.tokenizer), **data.objective.sizes | SIZES | changes
    )


def test_unigram_entropy(data):
    texts = [sentence for article in made_articles()[6:] for sentence in article]
    ids = [i for row in data.tokenizer(texts, add_special_tokens=False).input_ids for i in row]
    p = numpy.bincount(ids) / len(ids)
    p = p[p > 0]
    assert data.entropy == pytest.approx(float(-(p * numpy.log(p)).sum()), rel=1e-9)


def test_batches_are_the_same_twice_and_corrupted_anew_each_epoch(data):
    one, again, other = (next(data.batches(8, epoch)) for epoch in (1, 1, 2))
    assert one["attention_mask"].all() and (one["labels"] != -100).all()
    assert one["input_ids"].shape == other["input_ids"].shape == (8, 24)
    for name in one:
        assert minigrad.equal(one[name], again[name])
    assert not minigrad.equal(one["input_ids"], other["input_ids"])


def test_special_tokens_do_not_count(data):
    """A model that never writes them and knows nothing else has the loss of an even guess."""
    model = data.objective.model_class(config(data)).eval()
    scores = minigrad.zeros(len(data.tokenizer))
    scores[minigrad.tensor(data.tokenizer.all_special_ids)] = -1e9
    model.lm_head.register_forward_hook(lambda layer, args, out: 0 * out + scores)
    words = len(data.tokenizer) - len(data.tokenizer.all_special_ids)
    assert denoising.measure(model, data) == pytest.approx(math.log(words), rel=1e-5)
    assert model.training


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-12)])
def test_curve_equals_that_of_transformers(data, dtype, tolerance):
    pytest.importorskip("transformers")
    prepare = denoising.in_float64 if dtype == "float64" else None
    kind = data.objective.model_class
    difference = denoising.same_curve(kind, config(data), data, 4, 8, lr=1e-3, prepare=prepare)
    assert difference < tolerance


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
def test_learns_below_the_entropy(data, optimizer, tmp_path):
    minigrad.manual_seed(0)
    model = data.objective.model_class(config(data, dropout_rate=0.05))
    rows = denoising.train(model, data, epochs=4, size=8, lr=1e-2, kind=optimizer)
    assert rows[-1]["word_loss"] < 0.5 * data.entropy
    denoising.draw(rows, data.entropy, tmp_path / "curve.png", "made text", "word_loss")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
