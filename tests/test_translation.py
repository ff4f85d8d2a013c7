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
from minigrad.train.translation import letters_to_phonemes as g2p
from minigrad.train.translation.attention_plots import (
    bleu_by_length,
    plot_attention,
    plot_bleu_by_length,
)
from minigrad.train.translation.training import (
    Seq2SeqTrainer,
    evaluate_words,
    train_seq2seq,
    word_loss,
)
from minigrad.train.translation.translator import Seq2SeqSettings, Translator, bleu

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


@pytest.fixture(scope="module")
def trained():
    return train_seq2seq(PAIRS, PAIRS, Seq2SeqSettings(**SMALL)).translator


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


def test_the_command_translates_arguments_and_lines(trained, tmp_path, monkeypatch, capsys):
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


def test_the_batch_a_sentence_is_in_changes_nothing(trained):
    sources = [source for source, _ in PAIRS]
    together = trained.translate(sources, beam=3)
    assert together == [trained.translate([source], beam=3)[0] for source in sources]


def test_attention_rows_are_weights_over_source_words(trained):
    source, target, weights = trained.attention("Die Katze läuft im Haus.", "the cat runs.")
    assert source == ["die", "katze", "läuft", "im", "haus", "."]
    assert target == ["the", "cat", "runs", ".", "<eos>"]
    assert weights.shape == (5, 6)
    numpy.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)


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
