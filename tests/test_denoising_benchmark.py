"""The benchmark of denoising on a made text: batches, the curve beside transformers', what is learnt."""

import dataclasses

import pytest

pytest.importorskip("tokenizers")

from minigrad.benchmarks import denoising

import minigrad

WORDS = "rain sun wind snow river hill tree bird fish stone road house".split()
SMALL = {
    "d_model": 32, "d_kv": 8, "d_ff": 64, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
    "num_layers": 1, "encoder_layers": 1, "decoder_layers": 1,
}  # fmt: skip


def made_articles():
    """Articles of one word each, so that what is left tells what is to be written."""
    return [[" ".join([word] * 6)] * 12 for word in WORDS * 5]


@pytest.fixture(params=["bart", "pegasus", "t5"])
def data(request, monkeypatch):
    monkeypatch.setattr(denoising, "articles", made_articles)
    monkeypatch.setattr(denoising, "SOURCE", 96)  # of letters, mostly
    full = denoising.OBJECTIVES[request.param]
    sizes = {name: SMALL.get(name, value) for name, value in full.sizes.items()}
    size = 300 if request.param == "bart" else 80
    return denoising.Data(dataclasses.replace(full, sizes=sizes), size)


def config(data):
    objective = data.objective
    return objective.config_class(vocab_size=len(data.tokenizer), **objective.sizes)


def test_batches_are_the_same_twice(data):
    one, again = (next(data.batches(8, 1)) for _ in range(2))
    assert one.keys() == again.keys() >= {"input_ids", "labels"}
    assert all(minigrad.equal(one[name], again[name]) for name in one)
    assert len(one["input_ids"]) == 8 and len(data.valid) > 5
    longest = one["input_ids"].shape[1]
    assert 10 < longest <= 96


def test_curves_are_those_of_transformers(data):
    pytest.importorskip("transformers")
    assert denoising.same_curve(data, config(data), 4, 8, 1e-3) < 1e-5


def test_learns_what_the_text_says(data):
    minigrad.manual_seed(0)
    model = data.objective.model_class(config(data))
    rows = denoising.train(model, data, 6, 8, 5e-3)
    assert rows[-1]["word_loss"] < 0.6 * data.entropy
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["word_loss"] < rows[0]["word_loss"]
