"""Sentence pairs, batches, the translator and its training, BLEU, pictures, g2p-en's weights."""

import gzip
import importlib
import importlib.util
import io
import json
import sys
import types
from collections import Counter
from pathlib import Path

import numpy
import pytest

import minigrad
from minigrad.text import translation
from minigrad.text.datasets import DataNotFound, read_text
from minigrad.text.tokenize import get_tokenizer
from minigrad.text.translation import (
    BOS,
    EOS,
    build_vocab,
    collate_pairs,
    join_words,
    pair_batches,
    read_pairs,
    read_parallel,
)
from minigrad.text.vocab import Vocab
from minigrad.train.attention_plots import plot_heads
from minigrad.train.schedule import noam, noam_rate
from minigrad.train.translation import letters_to_phonemes as g2p
from minigrad.train.translation.attention_plots import (
    bleu_by_length,
    plot_attention,
    plot_bleu_by_length,
)
from minigrad.train.translation.settings import Seq2SeqSettings, TransformerSettings
from minigrad.train.translation.training import (
    Seq2SeqTrainer,
    evaluate_words,
    train_seq2seq,
    word_loss,
)
from minigrad.train.translation.translator import Translator, bleu

PAIRS = [
    ("ein hund läuft .", "a dog runs ."),
    ("eine katze schläft .", "a cat sleeps ."),
    ("ein mann läuft .", "a man runs ."),
    ("eine frau schläft .", "a woman sleeps ."),
    ("der hund schläft im garten .", "the dog sleeps in the garden ."),
    ("die katze läuft im haus .", "the cat runs in the house ."),
]
SMALL = dict(
    embed_dim=16, hidden_size=32, dropout=0.0, min_freq=1, batch_size=6, label_smoothing=0.0,
    learning_rate=0.02, epochs=60, patience=100, init_range=None,
)  # fmt: skip

TRANSFORMER = dict(
    d_model=32, heads=4, layers=2, feedforward=32, dropout=0.0, min_freq=1, batch_size=6,
    label_smoothing=0.0, warmup=20, learning_rate=0.5, epochs=50, patience=100,
)  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    return train_seq2seq(PAIRS, PAIRS, Seq2SeqSettings(**SMALL)).translator


@pytest.fixture(scope="module")
def transformer():
    return train_seq2seq(PAIRS, PAIRS, TransformerSettings(**TRANSFORMER)).translator


# -- text ------------------------------------------------------------------------------------------


def test_words_and_back():
    words = get_tokenizer("translation")
    text = "A man's T-shirt (red), isn't it? 3 Männer!"
    expected = "a man 's t - shirt ( red ) , isn 't it ? 3 männer !".split()
    assert words(text) == expected
    assert join_words(expected) == text.lower()


def test_parallel_files(tmp_path):
    a, b = tmp_path / "a.de", tmp_path / "b.en.gz"
    a.write_text("ein Hund\neine Katze\n", encoding="utf-8")
    b.write_bytes(gzip.compress(b"a dog\na cat\n"))
    assert read_parallel(a, b) == [("ein Hund", "a dog"), ("eine Katze", "a cat")]
    a.write_text("ein Hund\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.de:2: the file ends; .* has 1 lines and .* has 2"):
        read_parallel(a, b)
    a.write_text("ein Hund\n  \n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.de:2: the line is empty"):
        read_parallel(a, b)
    a.write_bytes(b"ein Hund\nein B\xe4r\n")
    with pytest.raises(ValueError, match=r"a\.de:2: this is not utf-8"):
        read_parallel(a, b)
    b.write_bytes(gzip.compress(b"a dog\n")[:-6])
    with pytest.raises(ValueError, match=r"b\.en\.gz is damaged"):
        read_parallel(b, b)


def test_files_of_pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("ein Hund\ta dog\neine Katze\ta cat\n", encoding="utf-8")
    assert read_pairs(path) == [("ein Hund", "a dog"), ("eine Katze", "a cat")]
    for line in ("eine Katze", "eine\tKatze\ta cat", "eine Katze\t"):
        path.write_text(f"ein Hund\ta dog\n{line}\n", encoding="utf-8")
        with pytest.raises(ValueError, match=r"pairs\.tsv:2: expected 'source TAB target'"):
            read_pairs(path)


def test_multi30k():
    try:
        corpus = translation.multi30k()
    except DataNotFound:
        pytest.skip("Multi30k is not here")
    assert [len(part) for part in (corpus.train, corpus.valid, corpus.test)] == [29000, 1014, 1000]
    assert corpus.train[0] == (
        "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche.",
        "Two young, White males are outside near many bushes.",
    )
    words = get_tokenizer("translation")
    sizes = [len(build_vocab(words(pair[side]) for pair in corpus.train)) for side in (0, 1)]
    assert sizes == [7883, 5901]  # spaCy's words give 7853 and 5893 (pytorch-seq2seq)
    assert translation.multi30k("en", "de").test[0] == corpus.test[0][::-1]
    with pytest.raises(ValueError, match="the languages are 'de' and 'en', not 'fr', 'en'"):
        translation.multi30k("fr")


def test_batches_hold_every_pair_once_and_shift_the_target():
    pairs = [([5] * n, [BOS, *range(4, 4 + n), EOS]) for n in (1, 4, 2, 3, 2)]
    seen = Counter()
    for (source, inputs), following in pair_batches(pairs, 2, shuffle=True):
        assert source.shape[0] == inputs.shape[0]
        for row, first, after in zip(
            source.tolist(), inputs.tolist(), following.tolist(), strict=True
        ):
            n = sum(i == 5 for i in row)
            assert first[: n + 1] == [BOS, *range(4, 4 + n)]
            assert after[: n + 1] == [*range(4, 4 + n), EOS] and not any(after[n + 1 :])
            seen[n] += 1
    assert seen == Counter({1: 1, 2: 2, 3: 1, 4: 1})
    with pytest.raises(ValueError, match="pair 1 has an empty sentence"):
        pair_batches([([5], [BOS, EOS]), ([], [BOS, EOS])], 2, shuffle=False)
    with pytest.raises(ValueError, match="the batch is empty"):
        collate_pairs([])


# -- training --------------------------------------------------------------------------------------


def test_the_loss_leaves_padding_out():
    logits = minigrad.randn(2, 3, 5)
    following = minigrad.tensor([[1, 2, 3], [4, 0, 0]])
    picked = minigrad.cat([logits[0], logits[1, :1]])
    for smoothing in (0.0, 0.1):
        expected = minigrad.nn.functional.cross_entropy(
            picked, minigrad.tensor([1, 2, 3, 4]), label_smoothing=smoothing
        )
        assert word_loss(logits, following, smoothing).item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    "changes",
    [
        dict(attention=None),
        dict(attention=None, cell="lstm", bidirectional=False, reverse_source=True),
        dict(attention=None, context=True, readout=16, tied=True),
        dict(attention="bahdanau"),
        dict(attention="general", input_feeding=True, teacher_forcing=0.7),
        dict(attention="concat", stop_on="bleu"),
        dict(warmup=20, learning_rate=0.5),
    ],
)
def test_every_model_learns_a_few_sentences(changes):
    result = train_seq2seq(PAIRS, PAIRS, Seq2SeqSettings(**SMALL | changes))
    sources, targets = zip(*PAIRS, strict=True)
    # the first epoch whose greedy translations are right need not be sure of them
    for beam in (1,) if changes.get("stop_on") == "bleu" else (1, 4):
        found = result.translator.translate(sources, beam=beam)
        assert found == [join_words(target.split()) for target in targets]
    if changes.get("stop_on") == "bleu":
        assert max(result.trainer.bleu) == pytest.approx(100)


def test_a_run_continued_gives_the_same_numbers(tmp_path):
    settings = Seq2SeqSettings(**SMALL | dict(epochs=4, dropout=0.2, decay_after=2))
    whole = train_seq2seq(PAIRS, PAIRS, settings)
    half = Seq2SeqSettings(**SMALL | dict(epochs=2, dropout=0.2, decay_after=2))
    train_seq2seq(PAIRS, PAIRS, half, folder=tmp_path)
    rest = train_seq2seq(PAIRS, PAIRS, settings, resume=tmp_path / "last.safetensors")
    figures = lambda result: [
        (e.train_loss, e.valid_loss, e.learning_rate) for e in result.trainer.history.epochs
    ]
    assert figures(rest) == figures(whole)
    assert [rate for *_, rate in figures(whole)] == [0.02, 0.02, 0.01, 0.005]
    for key, weight in whole.translator.model.state_dict().items():
        assert (rest.translator.model.state_dict()[key].numpy() == weight.numpy()).all()


def is_learned(translator):
    sources, targets = zip(*PAIRS, strict=True)
    expected = [join_words(target.split()) for target in targets]
    return all(translator.translate(sources, beam=beam) == expected for beam in (1, 4))


def test_a_transformer_learns_a_few_sentences(transformer):
    assert is_learned(transformer)


@pytest.mark.parametrize(
    "changes",
    [
        dict(shared=True, reverse_source=True),
        dict(norm_first=True, positions="learned", tied=False, label_smoothing=0.1),
        dict(warmup=None, learning_rate=0.01, decay_after=30),
    ],
)
def test_every_transformer_learns_a_few_sentences(changes):
    result = train_seq2seq(PAIRS, PAIRS, TransformerSettings(**TRANSFORMER | changes))
    assert is_learned(result.translator)
    vocabs = result.translator.source_vocab, result.translator.target_vocab
    words = [set(vocab.get_itos()) for vocab in vocabs]
    assert ("hund" in words[1]) == ("dog" in words[0]) == changes.get("shared", False)


def test_the_rate_of_vaswani_et_al():
    # d^-0.5 min(t^-0.5, t warmup^-1.5), by hand
    assert noam_rate(1, 512, 4000) == pytest.approx(1.746928107421711e-07)
    assert noam_rate(4000, 512, 4000) == pytest.approx(1 / 512**0.5 / 4000**0.5)
    assert noam_rate(16000, 512, 4000) == pytest.approx(noam_rate(4000, 512, 4000) / 2)
    assert noam_rate(1000, 512, 4000) == pytest.approx(noam_rate(4000, 512, 4000) / 4)
    optimizer = minigrad.optim.SGD([minigrad.nn.Parameter(minigrad.ones(1))], lr=2.0)
    schedule = noam(optimizer, 16, 3)
    rates = []
    for _ in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([2 * noam_rate(t, 16, 3) for t in range(1, 6)])
    for sizes in ((0, 3), (16, 0)):
        with pytest.raises(ValueError, match="d_model and warmup must be at least 1"):
            noam(optimizer, *sizes)


def test_a_transformer_is_trained_as_in_the_paper():
    settings = TransformerSettings(**TRANSFORMER | dict(epochs=3, batch_size=2))
    trainer = train_seq2seq(PAIRS, PAIRS, settings).trainer
    (group,) = trainer.optimizer.param_groups
    assert group["betas"] == (0.9, 0.98) and group["eps"] == 1e-9
    # three updates an epoch; the rate of the update to come
    expected = [0.5 * noam_rate(t, 32, 20) for t in (4, 7, 10)]
    assert [e.learning_rate for e in trainer.history.epochs] == pytest.approx(expected)


def test_a_transformer_s_run_continued_gives_the_same_numbers(tmp_path):
    run = lambda epochs, **options: train_seq2seq(
        PAIRS,
        PAIRS,
        TransformerSettings(
            **TRANSFORMER
            | dict(dropout=0.2, inner_dropout=0.1, warmup=7, batch_size=2, epochs=epochs)
        ),
        **options,
    )
    whole = run(4)
    run(2, folder=tmp_path)  # the rate still rises there
    rest = run(4, resume=tmp_path / "last.safetensors")
    figures = lambda result: [
        (e.train_loss, e.valid_loss, e.learning_rate) for e in result.trainer.history.epochs
    ]
    assert figures(rest) == figures(whole)
    for key, weight in whole.translator.model.state_dict().items():
        assert (rest.translator.model.state_dict()[key].numpy() == weight.numpy()).all()
    constant = TransformerSettings(**TRANSFORMER | dict(warmup=None))
    with pytest.raises(ValueError, match="a run with another schedule of learning rates"):
        train_seq2seq(PAIRS, PAIRS, constant, resume=tmp_path / "last.safetensors")


def test_the_best_epoch_is_kept():
    losses = iter([3.0, 1.0, 2.0, 2.5])
    weight = []

    class Model(minigrad.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = minigrad.nn.Embedding(9, 9)

        def forward(self, source, inputs):
            return self.linear(inputs)

    model = Model()
    settings = Seq2SeqSettings(**SMALL | dict(patience=2, stop_on="bleu"))

    def bleu_of(model):
        weight.append(model.linear.weight.detach().clone())
        return -next(losses)

    batches = pair_batches([([5], [BOS, 5, EOS])], 1, shuffle=False)
    trainer = Seq2SeqTrainer(model, minigrad.optim.SGD(model.parameters(), 0.1), settings, bleu_of)
    trainer.fit(batches, batches, 10)
    assert trainer.bleu == [-3.0, -1.0, -2.0, -2.5]  # patience 2 ends it there
    assert (model.linear.weight.numpy(force=True) == weight[1].numpy()).all()


def test_training_sets_that_cannot_be():
    with pytest.raises(ValueError, match="the training set is empty"):
        train_seq2seq([], PAIRS)
    with pytest.raises(ValueError, match="the validation set is empty"):
        train_seq2seq(PAIRS, [])
    with pytest.raises(ValueError, match="stop_on must be 'loss' or 'bleu', not 'luck'"):
        train_seq2seq(PAIRS, PAIRS, Seq2SeqSettings(stop_on="luck"))
    with pytest.raises(ValueError, match="decay_after is for a rate without warmup: it needs"):
        train_seq2seq(PAIRS, PAIRS, TransformerSettings(decay_after=3))
    with pytest.raises(ValueError, match="there are no sentences"):
        evaluate_words(minigrad.nn.Identity(), [])


# -- the translator --------------------------------------------------------------------------------


def test_a_translator_read_back_translates_alike(trained, tmp_path):
    trained.save(tmp_path / "model")
    again = Translator.load(tmp_path / "model")
    sources = ["ein Hund schläft.", "die Katze läuft."]
    assert again.translate(sources) == trained.translate(sources)
    assert again.settings == trained.settings
    (tmp_path / "model" / "settings.json").write_text(json.dumps({"cells": "gru"}))
    with pytest.raises(ValueError, match="settings.json is damaged"):
        Translator.load(tmp_path / "model")
    (tmp_path / "model" / "target.json").unlink()
    with pytest.raises(
        FileNotFoundError, match="holds no trained translator: target.json is missing"
    ):
        Translator.load(tmp_path / "model")


def test_a_transformer_read_back_translates_alike(transformer, tmp_path):
    transformer.save(tmp_path)
    again = Translator.load(tmp_path)
    assert again.settings == transformer.settings
    sources = ["ein Hund schläft.", "die Katze läuft."]
    assert again.translate(sources) == transformer.translate(sources)
    assert again.score(PAIRS, beam=2) == pytest.approx(100)
    stored = json.loads((tmp_path / "settings.json").read_text())
    for changes in ({"model": "recurrent"}, {"model": "oracle"}, {"layers_": 2}):
        (tmp_path / "settings.json").write_text(json.dumps(stored | changes))
        with pytest.raises(ValueError, match="settings.json is damaged"):
            Translator.load(tmp_path)


def test_a_recurrent_translator_saved_without_its_kind_is_read(trained, tmp_path):
    trained.save(tmp_path)
    stored = json.loads((tmp_path / "settings.json").read_text())
    assert stored.pop("model") == "recurrent"
    (tmp_path / "settings.json").write_text(json.dumps(stored))
    assert Translator.load(tmp_path).settings == trained.settings


def test_pairs_too_long_for_the_model_are_left_out():
    settings = TransformerSettings(**TRANSFORMER | dict(max_length=3, positions="learned"))
    vocab = build_vocab([["a", "b"]], 1)
    translator = Translator(settings, vocab, vocab)
    pairs = [("a b a", "b"), ("a b a b", "b"), ("a", "a " * 15), ("a", "a " * 16)]
    found = translator.encode(pairs)
    assert [(len(source), len(target)) for source, target in found] == [(3, 3), (1, 17)]
    (source, inputs), _ = collate_pairs(found)
    assert translator.model(source, inputs).shape == (2, 16, len(vocab))


def test_the_command_translates_arguments_and_lines(
    trained, transformer, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("typer")
    from minigrad import cli

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["minigrad", "translate", *map(str, arguments)])
        with pytest.raises(SystemExit) as status:
            cli.main()
        return status.value.code, capsys.readouterr()

    folder, picture = tmp_path / "model", tmp_path / "attention.png"
    trained.save(folder)
    sources = [source for source, _ in PAIRS[:2]]
    code, output = run(folder, *sources, "--beam", 2, "--plot", picture)
    assert code == 0 and picture.is_file()
    assert output.out.splitlines() == trained.translate(sources, beam=2)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{sources[0]}\n\n{sources[1]}\n"))
    assert run(folder)[1].out.splitlines() == trained.translate(sources)
    code, output = run(folder, "ein hund", "--heads", picture)
    assert code == 2 and "a recurrent model has no heads" in output.err
    transformer.save(folder)
    heads = tmp_path / "heads.png"
    assert run(folder, *sources, "--heads", heads)[0] == 0
    assert heads.read_bytes().startswith(b"\x89PNG")
    code, output = run(tmp_path, "ein hund")
    assert code == 2 and "holds no trained translator" in output.err


def test_texts_that_cannot_be_translated(trained):
    with pytest.raises(TypeError, match="a list of texts"):
        trained.translate("ein Hund")
    with pytest.raises(ValueError, match="there are no texts"):
        trained.translate([])
    with pytest.raises(ValueError, match="text 1 is empty: '  ' has no words"):
        trained.translate(["ein Hund", "  "])
    with pytest.raises(ValueError, match="text 0 has 101 words, more than max_length 100"):
        trained.translate(["hund " * 101])
    with pytest.raises(ValueError, match="one has no words"):
        trained.translate_words([["hund"], []])


def test_vocabularies_of_another_size_are_refused(trained):
    other = Vocab([*trained.source_vocab.get_itos(), "neu"], 1)
    with pytest.raises(ValueError, match="source embedding has .* words, the source vocabulary"):
        Translator(trained.settings, other, trained.target_vocab, trained.model)


@pytest.mark.parametrize("name", ["trained", "transformer"])
def test_the_batch_a_sentence_is_in_changes_nothing(name, request):
    translator = request.getfixturevalue(name)
    sources = [source for source, _ in PAIRS]
    together = translator.translate(sources, beam=3)
    assert together == [translator.translate([source], beam=3)[0] for source in sources]


@pytest.mark.parametrize("name", ["trained", "transformer"])
def test_attention_rows_are_weights_over_source_words(name, request):
    translator = request.getfixturevalue(name)
    source, target, weights = translator.attention("Die Katze läuft im Haus.", "the cat runs.")
    assert source == ["die", "katze", "läuft", "im", "haus", "."]
    assert target == ["the", "cat", "runs", ".", "<eos>"]
    assert weights.shape == (5, 6)
    numpy.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)


def test_heads_of_a_transformer(transformer, trained):
    source, target, found = transformer.heads("Die Katze läuft im Haus.", "the cat runs.")
    assert source == ["die", "katze", "läuft", "im", "haus", "."]
    assert target == ["<bos>", "the", "cat", "runs", "."]
    for part, shape in zip(found, ((4, 6, 6), (4, 5, 5), (4, 5, 6)), strict=True):
        assert [layer.shape for layer in part] == [shape, shape]
        for layer in part:
            numpy.testing.assert_allclose(layer.sum(2), 1, rtol=1e-5)
    _, _, weights = transformer.attention("Die Katze läuft im Haus.", "the cat runs.")
    numpy.testing.assert_allclose(found.cross[1].mean(0), weights, rtol=1e-6)
    assert transformer.heads(PAIRS[0][0])[1] == ["<bos>", *PAIRS[0][1].split()]
    with pytest.raises(ValueError, match="a recurrent model has no heads"):
        trained.heads("die katze")


def test_heads_are_in_the_order_of_the_text_where_the_source_is_reversed():
    settings = TransformerSettings(**TRANSFORMER | dict(reverse_source=True, epochs=1))
    translator = train_seq2seq(PAIRS, PAIRS, settings).translator
    _, _, found = translator.heads("die katze läuft .", "the cat")
    ids = minigrad.tensor([translator.source_vocab(["die", "katze", "läuft", "."])[::-1]])
    target = minigrad.tensor([[BOS, *translator.target_vocab(["the", "cat"])]])
    expected = translator.model.attentions(ids, target)
    array = lambda layer: layer.numpy(force=True)[0]
    numpy.testing.assert_array_equal(found.source[1], array(expected.source[1])[:, ::-1, ::-1])
    numpy.testing.assert_array_equal(found.target[1], array(expected.target[1]))
    numpy.testing.assert_array_equal(found.cross[1], array(expected.cross[1])[:, :, ::-1])


def test_attention_is_in_the_order_of_the_text_where_the_source_is_reversed():
    settings = Seq2SeqSettings(**SMALL | dict(reverse_source=True, epochs=1))
    translator = train_seq2seq(PAIRS, PAIRS, settings).translator
    _, _, weights = translator.attention("die katze läuft .", "the cat")
    ids = minigrad.tensor([translator.source_vocab(["die", "katze", "läuft", "."])[::-1]])
    target = minigrad.tensor([[BOS, *translator.target_vocab(["the", "cat"])]])
    expected = translator.model.align(ids, target).numpy(force=True)[0, :, ::-1]
    numpy.testing.assert_array_equal(weights, expected)


def test_unknown_words_are_kept_or_copied_from_where_attention_looks(trained, monkeypatch):
    unknown = trained.target_vocab.lookup_token(1)
    monkeypatch.setattr(
        trained, "_weights", lambda source, words: numpy.eye(len(words) + 1, len(source))[::-1]
    )
    words = ["a", unknown]
    trained._copy_unknown(["ein", "zebra", "läuft"], words)
    assert words == ["a", "zebra"]
    monkeypatch.setattr(trained, "_search", lambda ids, beam, alpha: [[1] for _ in ids])
    assert trained.translate(["zebra ."]) == [unknown]
    assert trained.translate(["zebra ."], copy=True) in (["zebra"], ["."])


def test_bleu_is_that_of_the_words():
    assert bleu([["a", "b", "c", "d"]], [["a", "b", "c", "d"]]) == pytest.approx(100)
    # precisions 4/5, 3/4, 2/3, 1/2; as long as the reference
    expected = 100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert bleu(["a b c d x".split()], ["a b c d e".split()]) == pytest.approx(expected)
    with pytest.raises(ValueError, match="1 translations, 2 references"):
        bleu([["a"]], [["a"], ["b"]])


# -- pictures --------------------------------------------------------------------------------------


def test_pictures(trained, tmp_path):
    pytest.importorskip("matplotlib")
    plot_attention(*trained.attention("ein Hund läuft ."), tmp_path / "attention.png")
    words = [source.split() for source, _ in PAIRS]
    rows = bleu_by_length(words, words, words, edges=(4, 5))
    assert [(lengths, count) for lengths, count, _ in rows] == [("1-4", 4), ("6-6", 2)]
    assert all(value == pytest.approx(100) for _, _, value in rows)
    plot_bleu_by_length({"same": rows}, tmp_path / "lengths.png")
    for name in ("attention.png", "lengths.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"weights of shape \(2, 1\), not \(1, 2\)"):
        plot_attention(["a"], ["b", "c"], numpy.ones((1, 2)), tmp_path / "x.png")


def test_pictures_of_heads(tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    image = importlib.import_module("matplotlib.image")
    weights = numpy.full((3, 2, 4), 0.25)
    draw = lambda layers, path: plot_heads(layers, ["a", "b"], tmp_path / path, list("cdef"))
    draw([weights], "one.png")
    draw([weights, minigrad.tensor(weights)], "two.png")
    one, two = (image.imread(tmp_path / name) for name in ("one.png", "two.png"))
    assert two.shape[0] > one.shape[0]  # a row of pictures for each layer
    own = numpy.eye(5)[None]  # of an encoder: the same tokens twice
    plot_heads([own], list("abcde"), tmp_path / "own.png", title="own")
    picture = image.imread(tmp_path / "own.png")[:, :, :3]
    darkest = numpy.asarray(matplotlib.colormaps["Blues"](1.0))[:3]
    assert (abs(picture - darkest).max(2) < 0.01).mean() > 0.05  # the five weights of 1
    for layers, message in (
        ([], "there are no layers"),
        ([weights[0]], r"expected weights \(heads, T, S\), got shape \(2, 4\)"),
        (
            [weights, weights[:2]],
            r"layer 1 has weights of shape \(2, 2, 4\); 2 tokens that look at 4",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            draw(layers, "x.png")


# -- g2p-en's weights ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pronounce():
    if importlib.util.find_spec("g2p_en") is None:
        pytest.skip("the package g2p-en is not here")
    return g2p.LettersToPhonemes.load()


def test_words_are_pronounced(pronounce):
    assert pronounce(["activationist"]) == ["AE2 K T IH0 V EY1 SH AH0 N IH0 S T".split()]
    assert pronounce(["Hello", "hello"])[0] == pronounce(["hello"])[0]
    with pytest.raises(ValueError, match="word 1 is empty"):
        pronounce(["hello", ""])
    with pytest.raises(TypeError, match="a list of words"):
        pronounce("hello")


def test_a_file_without_the_weights_is_refused(tmp_path):
    numpy.savez(tmp_path / "other.npz", enc_emb=numpy.zeros((29, 4)))
    with pytest.raises(ValueError, match="there is no array dec_b_hh, dec_b_ih"):
        g2p.LettersToPhonemes.load(tmp_path / "other.npz")


def their_predictor(monkeypatch):
    """g2p-en's own object, with only what `predict` uses: the packages its other parts need are empty."""
    nltk, corpus, tokenize = (types.ModuleType(n) for n in ("nltk", "nltk.corpus", "nltk.tokenize"))
    nltk.pos_tag = None
    nltk.data = types.SimpleNamespace(find=lambda name: name)
    corpus.cmudict = types.SimpleNamespace(dict=dict)
    tokenize.TweetTokenizer = lambda: types.SimpleNamespace(tokenize=str.split)
    inflect = types.ModuleType("inflect")
    inflect.engine = lambda: None
    for module in (nltk, corpus, tokenize, inflect):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in ("g2p_en", "g2p_en.g2p", "g2p_en.expand"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    found = importlib.import_module("g2p_en.g2p").G2p()
    for name in ("g2p_en", "g2p_en.g2p", "g2p_en.expand"):
        sys.modules.pop(name, None)
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_2000_words_are_pronounced_as_by_g2p_en_itself(pronounce, monkeypatch):
    try:
        words = read_text("ptb/ptb.train.txt").split()
    except DataNotFound:
        pytest.skip("the Penn Treebank is not here")
    ranked = [word for word, _ in Counter(words).most_common()]
    ranked = [word for word in ranked if word.isalpha() and word.islower()]
    chosen = ranked[:1000] + ranked[-1000:]
    theirs = their_predictor(monkeypatch)
    assert pronounce(chosen) == [theirs.predict(word) for word in chosen]


# -- copy and reverse ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("task", ["copy", "reverse"])
def test_strings_never_seen_are_copied_and_reversed(task):
    path = Path(minigrad.__file__).parent.parent / "examples" / "reverse.py"
    if not path.is_file():
        pytest.skip("the examples are not here")
    spec = importlib.util.spec_from_file_location("reverse_example", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    translator, right = example.learn(task)
    assert right == 1.0
    assert translator.translate(["minigrad"]) == [example.TASKS[task]("minigrad")]
