"""Taggers as a whole: batches, training, measures, saving, and what bad input is told."""

import itertools
import json
import random
import sys

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
from minigrad import cli
from minigrad.serialization import load_safetensors, save_safetensors
from minigrad.text.conll import spans
from minigrad.text.vectors.words import WordVectors
from minigrad.text.vocab import Vocab
from minigrad.train.plots import plot_scores
from minigrad.train.progress import TagProgress
from minigrad.train.tagging.batches import TagBatches, WordEncoder, capitals
from minigrad.train.tagging.tagger import Tagger, TaggerSettings, accuracy, entity_scores, score
from minigrad.train.tagging.training import new_tagger, singletons, train_tagger

SMALL = {"embed_dim": 8, "hidden_size": 12, "char_dim": 6, "char_features": 8, "dropout": 0.2}


def news(count, seed):
    """Sentences with persons (one or two names in -son) and places (names in -burg)."""
    draw = random.Random(seed)

    def name(ending):
        return "".join(draw.choices("abcdefgh", k=3)).capitalize() + ending

    sentences = []
    for _ in range(count):
        words, tags = [], []
        for _ in range(draw.randint(1, 2)):
            full = [name("son") for _ in range(draw.randint(1, 2))]
            words += [*full, draw.choice(["went", "drove", "walked"]), "to", name("burg")]
            tags += ["B-PER", "I-PER"][: len(full)] + ["O", "O", "B-LOC"]
        words += ["in", str(draw.randint(1900, 1999)), "."]
        tags += ["O", "O", "O"]
        sentences.append((words, tags))
    return sentences


TRAIN, VALID, TEST = news(120, 0), news(30, 1), news(30, 2)


def config(**options):
    return TaggerSettings(**{**SMALL, "epochs": 6, "learning_rate": 0.02, **options})


# -- words, letters, batches ---------------------------------------------------------------------


def test_capitals():
    words = ["the", "The", "A", "EU", "McCoy", "iPod", "U.N.", "1996", ".", "-old", "Ärger"]
    assert [capitals(word) for word in words] == [1, 2, 2, 3, 4, 4, 3, 5, 5, 1, 2]


def test_encoder():
    encoder = WordEncoder.build([["Bonn", "in", "1996"], ["bonn", "1889"]], max_chars=3)
    assert encoder.words.itos == ["<pad>", "<unk>", "0000", "bonn", "in"]
    assert set(encoder.chars.itos[2:]) == set("Bonin0b")
    ids, chars, caps = encoder.tables(["Bonn", "2001", "Köln"])
    assert ids.tolist() == [3, 2, 1]
    assert chars.shape == (3, 3) and chars[2].tolist() == [1, 1, 1]
    assert caps.tolist() == [2, 5, 2]
    plain = WordEncoder.build([["Bonn", "bonn", "1996"]], lower=False, digits=False)
    assert plain.words.itos[2:] == ["1996", "Bonn", "bonn"]
    with pytest.raises(ValueError, match="must start with"):
        WordEncoder(Vocab(["a"]), Vocab(["<pad>", "<unk>"]), True, True, 20)


def test_batches_hold_every_sentence_once():
    tagger = new_tagger(TRAIN, config())
    for shuffle in (False, True):
        batches = tagger.batches(TRAIN, batch_size=7, shuffle=shuffle)
        seen = []
        for batch in batches:
            letters = batch.chars.numpy()
            for row, place in enumerate(batch.places):
                words, tags = TRAIN[place]
                n = len(words)
                assert batch.lengths[row] == n
                spelled = [tagger.encoder.word(word) for word in words]
                assert tagger.encoder.words.lookup_tokens(batch.words[row, :n]) == spelled
                assert tagger.tag_names(batch.tags[row, :n].tolist()) == tags
                for column, word in enumerate(words):
                    found = tagger.encoder.chars.lookup_tokens(
                        i for i in letters[row, column] if i > 0
                    )
                    assert "".join(found) == tagger.encoder.spelling(word)
                for padded in (batch.words[row, n:], batch.caps[row, n:], batch.chars[row, n:]):
                    assert (padded == 0).all()
            seen += batch.places
        assert sorted(seen) == list(range(len(TRAIN)))


def test_only_singletons_become_unknown():
    train = [(["once", "often", "often"], ["O", "O", "O"]), (["often", "rare"], ["O", "O"])]
    tagger = new_tagger(train, config())
    vocab = tagger.encoder.words
    single = singletons(tagger.encoder, train)
    assert [w for w, alone in zip(vocab.itos, single.tolist(), strict=True) if alone] == [
        "once",
        "rare",
    ]
    for drop, expected in ((0.0, {"once", "often", "rare"}), (1.0, {"<unk>", "often"})):
        (batch,) = tagger.batches(train, singletons=single, drop=drop)
        words = {vocab.lookup_token(int(i)) for i in batch.words.flatten() if i > 0}
        assert words == expected
    minigrad.manual_seed(0)
    batches = tagger.batches(train * 200, singletons=single, drop=0.3, batch_size=400)
    share = (next(iter(batches)).words == 1).sum().item() / 400
    assert 0.22 < share < 0.38


@pytest.mark.parametrize(
    ("sentences", "error", "message"),
    [
        ([], ValueError, "no sentences"),
        ("a text", TypeError, "not a text"),
        (["a text"], TypeError, "not a text"),
        ([["a"], []], ValueError, "sentence 1 is empty"),
        ([["a", ""]], ValueError, "sentence 0 has an empty word"),
    ],
)
def test_what_cannot_be_tagged(sentences, error, message):
    tagger = new_tagger(TRAIN, config())
    with pytest.raises(error, match=message):
        tagger.predict(sentences)
    with pytest.raises(error, match=message):
        TagBatches(tagger.encoder, sentences)


# -- measures ------------------------------------------------------------------------------------

labels = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC"])
pairs = st.lists(
    st.lists(st.tuples(labels, labels), min_size=1, max_size=8), min_size=1, max_size=4
)


@given(pairs)
@settings(deadline=None)
def test_entity_scores(rows):
    pytest.importorskip("seqeval")
    truth, found = ([[pair[i] for pair in row] for row in rows] for i in (0, 1))
    marks = [
        {(n, *span) for n, row in enumerate(part) for span in spans(row)} for part in (truth, found)
    ]
    right, real, claimed = len(marks[0] & marks[1]), len(marks[0]), len(marks[1])
    figures = entity_scores(truth, found)
    assert figures["precision"] == pytest.approx(right / claimed if claimed else 0)
    assert figures["recall"] == pytest.approx(right / real if real else 0)
    assert figures["f1"] == pytest.approx(2 * right / (real + claimed) if right else 0)
    same = sum(a == b for row in rows for a, b in row) / sum(map(len, rows))
    assert accuracy(truth, found) == pytest.approx(same)
    assert score(truth, found, entities=True)["score"] == figures["f1"]
    assert score(truth, found, entities=False) == {"score": same, "accuracy": same}


def test_measures_of_nothing():
    with pytest.raises(ValueError, match="no words"):
        accuracy([], [])


# -- training ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    pytest.importorskip("seqeval")
    return train_tagger(TRAIN, VALID, TEST, config(epochs=8))


@pytest.mark.parametrize("characters", ["cnn", "lstm"])
def test_learns_names_it_never_saw(trained, characters):
    result = trained
    if characters == "lstm":
        result = train_tagger(TRAIN, VALID, TEST, config(epochs=8, characters="lstm"))
    assert result.figures["f1"] > 0.9
    assert result.found == result.tagger.predict([words for words, _ in TEST])
    words = ["Abgson", "Hagson", "walked", "to", "Fehburg", "."]
    assert result.tagger.predict([words]) == [["B-PER", "I-PER", "O", "O", "B-LOC", "O"]]


def test_tags_that_mark_no_entities():
    part = [(words, ["NAME" if w[0].isupper() else "WORD" for w in words]) for words, _ in TRAIN]
    result = train_tagger(
        part[:90], part[90:105], part[105:], config(model="bilstm", entities=False, epochs=4)
    )
    assert result.figures["score"] == result.figures["accuracy"] > 0.98
    assert "f1" not in result.figures


def test_the_best_epoch_is_kept(trained):
    history = trained.trainer.history
    assert history.best.valid_score == max(epoch.valid_score for epoch in history.epochs)
    found = trained.tagger.predict([words for words, _ in VALID])
    figures = score([tags for _, tags in VALID], found, entities=True)
    assert figures["score"] == history.best.valid_score
    rates = [epoch.learning_rate for epoch in history.epochs]
    assert rates[0] == 0.02 and rates[2] == pytest.approx(0.02 / 1.1)


def test_stops_early():
    pytest.importorskip("seqeval")
    result = train_tagger(TRAIN, VALID, TEST, config(learning_rate=0.0, epochs=20, patience=2))
    assert len(result.trainer.history.epochs) == 3


def test_resumed_is_uninterrupted(tmp_path):
    pytest.importorskip("seqeval")
    options = config(epochs=4, patience=9)
    whole = train_tagger(TRAIN, VALID, TEST, options)
    train_tagger(TRAIN, VALID, TEST, config(epochs=2, patience=9), folder=tmp_path)
    minigrad.manual_seed(99)
    rest = train_tagger(TRAIN, VALID, TEST, options, resume=tmp_path / "last.safetensors")
    for a, b in itertools.zip_longest(whole.trainer.history.epochs, rest.trainer.history.epochs):
        assert (a.train_loss, a.valid_loss, a.valid_score) == (
            b.train_loss,
            b.valid_loss,
            b.valid_score,
        )
    assert whole.found == rest.found


def test_vectors_start_the_table_and_add_words():
    vectors = WordVectors(["went", "unseen", "other"], numpy.eye(3, dtype="float32"))
    others = [(["unseen", "unheard"], ["O", "O"])]
    tagger = new_tagger(TRAIN, config(), others, vectors)
    vocab, table = tagger.encoder.words, tagger.model.embedding.weight
    assert "unseen" in vocab and "unheard" not in vocab and "other" not in vocab
    assert table.shape == (len(vocab), 3)
    assert table[vocab["unseen"]].tolist() == [0, 1, 0]
    assert table[vocab["went"]].tolist() == [1, 0, 0]
    assert table[0].tolist() == [0, 0, 0]


def test_vectors_survive_saving(tmp_path):
    vectors = WordVectors(["went"], numpy.ones((1, 5), "float32"))
    tagger = new_tagger(TRAIN, config(), vectors=vectors)
    tagger.save(tmp_path)
    sentences = [words for words, _ in TEST]
    assert Tagger.load(tmp_path).predict(sentences) == tagger.predict(sentences)


def test_training_is_shown(tmp_path):
    pytest.importorskip("seqeval")
    console = pytest.importorskip("rich.console").Console(record=True, width=100)
    with TagProgress(console) as progress:
        result = train_tagger(TRAIN[:20], VALID, TEST, config(epochs=2), progress=progress)
    lines = console.export_text().splitlines()
    assert (
        lines[0].split() == "epoch train loss valid loss valid acc valid score lr seconds".split()
    )
    assert [line.split()[0] for line in lines[1:3]] == ["1", "2"]
    result.trainer.history.save(tmp_path / "history.json")
    assert len(json.loads((tmp_path / "history.json").read_text())) == 2
    pytest.importorskip("matplotlib")
    plot_scores(result.trainer.history, tmp_path / "scores.png", title="toy")
    assert (tmp_path / "scores.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("parts", "options", "message"),
    [
        (([], VALID, TEST), {}, "training set is empty"),
        ((TRAIN, [], TEST), {}, "validation set is empty"),
        ((TRAIN, VALID, []), {}, "test set is empty"),
        ((TRAIN, [(["a"], ["B-ORG"])], TEST), {}, "'S-ORG' is none of the tagger's .*: .*E-PER"),
        ((TRAIN, [(["a"], ["I-PER"])], TEST), {}, "I-PER at place 0 continues no entity"),
        ((TRAIN, [(["a", "b"], ["O"])], TEST), {}, "sentence 0 has 2 words but 1 tags"),
        (([(["a"], ["X-PER"])], VALID, TEST), {}, "'X-PER' is no IOB2 tag"),
        ((TRAIN, VALID, TEST), {"model": "hmm"}, "no tagger called 'hmm'; there are: bilstm"),
        ((TRAIN, VALID, TEST), {"optimizer": "no"}, "no optimizer 'no' for taggers"),
        ((TRAIN, VALID, TEST), {"characters": "rnn"}, "not 'rnn'"),
    ],
)
def test_bad_training_data(parts, options, message):
    with pytest.raises(ValueError, match=message):
        train_tagger(*parts, config(**options))


# -- saving --------------------------------------------------------------------------------------


def test_saved_and_loaded(trained, tmp_path):
    folder = tmp_path / "new" / "tagger"
    path = trained.tagger.save(folder)
    assert [p.name for p in folder.iterdir()] == [path.name]
    again = Tagger.load(folder)
    assert again.settings == trained.tagger.settings
    assert not again.model.training
    assert again.predict([words for words, _ in TEST]) == trained.found


def test_damaged_files_are_refused(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no trained tagger: tagger.safetensors"):
        Tagger.load(tmp_path)
    path = trained.tagger.save(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RuntimeError, match="truncated or corrupt"):
        Tagger.load(tmp_path)
    path.write_bytes(whole)
    weights, metadata = load_safetensors(path, with_metadata=True)
    save_safetensors(weights, path)
    with pytest.raises(ValueError, match="not a tagger that Tagger.save wrote"):
        Tagger.load(tmp_path)
    rest = json.loads(metadata["tagger"])
    for key, value, message in (
        ("tags", rest["tags"][:-1], "damaged: .* tags, but .* outputs"),
        ("tags", ["O", "O"], "damaged: .*more than once"),
        ("words", ["a"], "damaged: .*must start with"),
        ("settings", {"depth": 3}, "damaged: .*depth"),
    ):
        wrong = {**metadata, "tagger": json.dumps({**rest, key: value})}
        save_safetensors(weights, path, wrong)
        with pytest.raises(ValueError, match=message):
            Tagger.load(tmp_path)


def test_a_tag_unknown_to_a_loaded_tagger(trained, tmp_path):
    trained.tagger.save(tmp_path)
    with pytest.raises(ValueError, match="'S-ORG' is none of the tagger's"):
        Tagger.load(tmp_path).batches([(["EU"], ["B-ORG"])])


def test_command(trained, tmp_path, capsys, monkeypatch):
    pytest.importorskip("typer")
    trained.tagger.save(tmp_path)
    sentence = "Abgson walked to Fehburg ."
    monkeypatch.setattr(sys, "argv", ["minigrad", "tag", "--model", str(tmp_path), sentence, "in"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code in (0, None)
    expected = ["Abgson/B-PER walked/O to/O Fehburg/B-LOC ./O", "in/O"]
    assert capsys.readouterr().out.splitlines() == expected
