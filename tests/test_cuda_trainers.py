"""The package's training loops on models that were moved to a GPU, their data being in main memory."""

import collections

import numpy
import pytest
from minigrad.kernels import kernel
from stand_in import cuda  # noqa: F401

import minigrad as mg
from minigrad.models import GPT, GPTConfig
from minigrad.models.language_model import RecurrentLM
from minigrad.text.language import corpus_from_texts
from minigrad.text.translation import build_vocab, pair_batches
from minigrad.train.causal_lm import CausalSettings, CausalTrainer, text_loss
from minigrad.train.classification.classifier import Settings, build_classifier, make_trainer
from minigrad.train.devices import device_of, moved
from minigrad.train.language_model import LanguageModelTrainer
from minigrad.train.language_settings import LanguageModelSettings
from minigrad.train.saved_language_model import LanguageModel
from minigrad.train.tagging.tagger import TaggerSettings
from minigrad.train.tagging.training import TagTrainer, new_tagger, singletons
from minigrad.train.translation.settings import Seq2SeqSettings, TransformerSettings
from minigrad.train.translation.training import Seq2SeqTrainer
from minigrad.train.translation.translator import Translator

PLACES = ["cpu", "cuda"]
TEXT = "the cat sat on the mat\nthe rat sat on the cat\n" * 6
PAIRS = [("ein hund läuft .", "a dog runs ."), ("eine katze schläft .", "a cat sleeps .")] * 3
TEXTS = [("a fine film", 1), ("a dull and silly film", 0), ("fine and warm", 1), ("dull", 0)] * 4
TAGGED = [(["Ann", "sat"], ["B-PER", "O"]), (["in", "Rome", "now"], ["O", "B-LOC", "O"])] * 3


@pytest.fixture(autouse=True)
def references(monkeypatch):
    """The CPU's kernels have their own tests."""
    monkeypatch.setattr(kernel, "REFERENCE_ONLY", True)


def classify(place, **changes):
    sizes = dict(embed_dim=6, num_filters=4, kernel_sizes=(2, 3), hidden_size=5, epochs=2)
    settings = Settings(**sizes, batch_size=4, class_weights="balanced", **changes)
    classifier = build_classifier(["bad", "good"], TEXTS, TEXTS[:5], TEXTS[:5], settings)
    classifier.model.to(place)
    trainer, batches = make_trainer(classifier, TEXTS)
    history = trainer.fit(batches, classifier.batches(TEXTS[:5], shuffle=False), 2)
    sure = [p for _, p in classifier.predict(["a fine film", "dull"])]
    return [*sure, *(e.train_loss for e in history.epochs), history.epochs[-1].valid_loss]


def read(place):
    corpus = corpus_from_texts("cats", "character", TEXT, TEXT[:60])
    mg.manual_seed(0)
    settings = LanguageModelSettings(embed_dim=5, hidden_size=6, columns=3, steps=7, epochs=2)
    whole = LanguageModel(settings, corpus.vocab, corpus.level)
    whole.model.to(place)
    history = LanguageModelTrainer(whole.model, settings).fit(corpus.train, corpus.valid)
    numbers = [e.valid_loss for e in history.epochs] + [whole.perplexity(corpus.valid)]
    return [*numbers, *map(ord, whole.generate("the ", 5, seed=1))]


def foretell(place):
    corpus = corpus_from_texts("cats", "character", TEXT, TEXT[:60])
    mg.manual_seed(0)
    settings = CausalSettings(
        block_size=8, batch_size=3, max_iters=4, eval_interval=2, eval_iters=2, warmup_iters=1,
        gradient_accumulation_steps=2,
    )  # fmt: skip
    sizes = dict(n_layer=1, n_head=2, n_embd=8, dropout=0.1)
    model = GPT(GPTConfig(vocab_size=len(corpus.vocab), block_size=8, **sizes)).to(place)
    history = CausalTrainer(model, settings).fit(corpus.train, corpus.valid)
    return [e.train_loss for e in history.epochs] + [text_loss(model, corpus.valid, 8)]


def tag(place):
    settings = TaggerSettings(
        embed_dim=6, hidden_size=5, char_dim=4, char_features=3, batch_size=2, epochs=2,
        entities=False,
    )  # fmt: skip
    mg.manual_seed(0)
    tagger = new_tagger(TAGGED, settings)
    tagger.model.to(place)
    once = singletons(tagger.encoder, TAGGED)
    batches = tagger.batches(TAGGED, batch_size=2, shuffle=True, singletons=once, drop=0.5)
    truth = [tags for _, tags in TAGGED]
    history = TagTrainer(tagger).fit(batches, tagger.batches(TAGGED, batch_size=2), truth)
    assert len(tagger.predict([["Ann", "sat", "now"]])[0]) == 3
    return [e.train_loss for e in history.epochs] + [e.valid_loss for e in history.epochs]


def translate(place, kind=Seq2SeqSettings, **sizes):
    settings = kind(dropout=0.1, min_freq=1, batch_size=3, epochs=2, **sizes)
    mg.manual_seed(0)
    words = [sorted({w for pair in PAIRS for w in pair[i].split()}) for i in (0, 1)]
    translator = Translator(settings, *(build_vocab([row], 1) for row in words))
    model = translator.model.to(place)
    encoded = translator.encode(PAIRS)
    trainer = Seq2SeqTrainer(model, settings.optimizer(model.parameters()), settings)
    history = trainer.fit(
        pair_batches(encoded, 3, True, 0), pair_batches(encoded, 3, False), epochs=2
    )
    assert all(
        isinstance(t, str) for beam in (1, 3) for t in translator.translate(["ein hund"], beam)
    )
    weights = translator.attention("ein hund", "a dog")[2]
    return [e.train_loss for e in history.epochs] + weights.ravel().tolist()


SEQ2SEQ = dict(embed_dim=6, hidden_size=5, label_smoothing=0.1)
TRANSFORMER = dict(d_model=8, heads=2, layers=1, feedforward=8, warmup=5)
RUNS = {
    "textcnn": classify,
    "gru": lambda place: classify(place, model="gru"),
    "fasttext": lambda place: classify(place, model="fasttext", buckets=20),
    "language model": read,
    "gpt": foretell,
    "tagger": tag,
    "seq2seq": lambda place: translate(place, **SEQ2SEQ),
    "transformer": lambda place: translate(place, TransformerSettings, **TRANSFORMER),
}


@pytest.mark.parametrize("name", RUNS)
def test_training_on_a_gpu_gives_the_numbers_of_the_cpu(name):
    expected, found = (RUNS[name](place) for place in PLACES)
    numpy.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_batches_are_moved_in_their_form():
    pair = collections.namedtuple("pair", "ids name")
    x = mg.ones(2)
    batch = {"a": [x, 3], "b": pair((x,), "text"), "c": None}
    there = moved(batch, "cuda")
    assert there["a"][0].is_cuda and there["a"][1] == 3 and there["c"] is None
    assert type(there["b"]) is pair and there["b"].ids[0].is_cuda and there["b"].name == "text"
    assert moved(batch, None) is batch and moved(x, "cpu") is x


def test_where_a_model_is():
    assert device_of(RecurrentLM(3, 2, 2).cuda()).type == "cuda"
    assert device_of(RecurrentLM(3, 2, 2)).type == "cpu" and device_of(mg.nn.ReLU()) is None
