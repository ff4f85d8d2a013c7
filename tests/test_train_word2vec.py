"""Training word vectors from text: the corpus as numbers, what is drawn, threads, errors, results."""

import gzip
import itertools
import tracemalloc
from collections import Counter

import numpy
import pytest
from minigrad.kernels.kernel import REFERENCE_ONLY

from minigrad.text import encoded
from minigrad.text.encoded import END, encode
from minigrad.text.vectors.subwords import SubwordVectors
from minigrad.text.vectors.words import UnknownWord
from minigrad.train.vectors import word2vec
from minigrad.train.vectors.word2vec import Trainer, train_fasttext, train_word2vec

long = pytest.mark.skipif(REFERENCE_ONLY, reason="takes minutes by the kernel's definition")
SENTENCES = [["b", "a", "b"], [], ["c"], ["a", "d", "b", "c"], ["rare"]]


def topics(count=3000, seed=0):
    """Sentences about one of two things; each has words of its own, and "the" is everywhere."""
    draw = numpy.random.default_rng(seed)
    kinds = [[f"sea{i}" for i in range(8)], [f"hill{i}" for i in range(8)]]
    for _ in range(count):
        words = kinds[draw.integers(2)]
        yield ["the", *(words[k] for k in draw.integers(0, 8, 8))]


def numbers(corpus):
    pieces = [corpus.piece(k) for k in range(len(corpus))]
    return numpy.concatenate(pieces).tolist()


def test_a_corpus_becomes_numbers():
    corpus = encode(SENTENCES, min_count=2)
    assert corpus.words == ["b", "a", "c"]
    assert corpus.counts.tolist() == [3, 2, 2]
    assert corpus.tokens == 9
    assert numbers(corpus) == [0, 1, 0, END, 2, END, 1, 0, 2, END]


def test_an_iterator_will_do_and_files_are_the_same(tmp_path):
    text = "\n".join(" ".join(tokens) for tokens in SENTENCES)
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    with gzip.open(tmp_path / "b.txt.gz", "wt", encoding="utf-8") as file:
        file.write(text)
    expected = encode(iter(SENTENCES), min_count=2)
    for path in (tmp_path / "a.txt", str(tmp_path / "b.txt.gz")):
        found = encode(path, min_count=2)
        assert (found.words, numbers(found)) == (expected.words, numbers(expected))
    both = encode([tmp_path / "a.txt", tmp_path / "b.txt.gz"], min_count=4)
    assert both.words == ["b", "a", "c"]
    assert both.counts.tolist() == [6, 4, 4]


def test_blocks_and_pieces_change_nothing(monkeypatch):
    draw = numpy.random.default_rng(3)
    text = [[f"w{k}" for k in draw.zipf(1.5, draw.integers(0, 9)) if k < 60] for _ in range(400)]
    expected = encode(text, min_count=3)
    counts = Counter(itertools.chain.from_iterable(text))
    assert dict(zip(expected.words, expected.counts.tolist(), strict=True)) == {
        word: n for word, n in counts.items() if n >= 3
    }
    monkeypatch.setattr(encoded, "BLOCK", 7)
    assert len(expected) > encoded.PIECES // 2
    monkeypatch.setattr(encoded, "PIECE", 11)
    found = encode(text, min_count=3)
    assert found.words == expected.words
    assert numbers(found) == numbers(expected)
    assert len(found) > 20
    assert all(found.piece(k)[-1] == END for k in range(len(found)))


def test_a_line_without_end_comes_in_parts(tmp_path, monkeypatch):
    words = [f"word{k}" for k in range(500)]
    (tmp_path / "long").write_text(" ".join(words), encoding="utf-8")
    monkeypatch.setattr(encoded, "LINE", 64)
    found = list(encoded.token_lists(tmp_path / "long"))
    assert list(itertools.chain.from_iterable(found)) == words
    assert max(map(len, found)) < 20


def test_a_full_table_forgets_rare_words(monkeypatch):
    monkeypatch.setattr(encoded, "BLOCK", 50)
    text = [["often", "again", f"once{k}"] for k in range(1000)]
    corpus = encode(text, min_count=5, max_vocab=40)
    assert corpus.words == ["often", "again"]
    assert corpus.counts.tolist() == [1000, 1000]
    assert corpus.tokens == 3000
    assert encode(text, min_count=1, max_words=3).words[:2] == ["often", "again"]


def test_the_file_goes_with_the_corpus(tmp_path):
    corpus = encode(SENTENCES, 1, folder=tmp_path)
    assert corpus.path.is_file()
    corpus.home.cleanup()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "corpus, options, message",
    [
        ([], {}, "the corpus is empty"),
        ([[], []], {}, "the corpus is empty"),
        ([["a", "b"]], {}, "none of the 2 words occurs 5 times .* lower min_count"),
        (["a b c"], {"min_count": 1}, "there is no text file 'a b c'"),
        (iter(["a b c"]), {}, "sentence 1 is text: 'a b c'"),
        (SENTENCES, {"min_count": 0}, "min_count must be 1 or more, not 0"),
        (SENTENCES, {"window": 0}, "window must be 1 or more, not 0"),
        (SENTENCES, {"dim": 0}, "dim must be 1 or more, not 0"),
        (SENTENCES, {"threads": 0}, "threads must be 1 or more, not 0"),
        (SENTENCES, {"epochs": 0, "min_count": 1}, "epochs must be 1 or more, not 0"),
        (SENTENCES, {"negative": 0}, "negative is 0, and hs is off"),
        (SENTENCES, {"negative": -1}, "negative must be 0 or more, not -1"),
        (SENTENCES, {"min_count": 1, "alpha": 0.1, "min_alpha": 0.2}, "0 <= min_alpha <= alpha"),
        (SENTENCES, {"subwords": (4, 3, 10)}, r"1 <= minn <= maxn .* not \(4, 3, 10\)"),
        ([["a"] * 9], {"hs": True}, "a tree needs 2 words or more, got 1"),
    ],
)
def test_bad_input_is_named(corpus, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train_word2vec(corpus, **options)


@long
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("method", ["sg", "cbow", "hs", "cbow_hs", "fasttext"])
def test_words_of_a_topic_come_together(method, threads):
    options = dict(dim=16, window=4, epochs=4, alpha=0.05, sample=0, threads=threads, seed=1)
    if method == "fasttext":
        vectors = train_fasttext(topics(), buckets=500, **options)
    else:
        hs = method.endswith("hs")
        vectors = train_word2vec(topics(), sg=not method.startswith("cbow"), hs=hs, **options)
    assert len(vectors) == 17
    near = numpy.mean([vectors.similarity("sea0", f"sea{k}") for k in range(1, 8)])
    far = numpy.mean([vectors.similarity("sea0", f"hill{k}") for k in range(8)])
    assert near > far + 0.4
    assert numpy.isfinite(vectors.vectors).all()


def test_one_thread_repeats_itself():
    first, second, other = (
        train_word2vec(topics(500), dim=8, epochs=2, threads=1, seed=seed).vectors
        for seed in (3, 3, 4)
    )
    assert first.tobytes() == second.tobytes()
    assert abs(first - other).max() > 0.01


@long
def test_training_goes_on_where_it_stopped():
    trainer = Trainer(topics(), dim=8, hs=True, threads=1, sample=0, measure=True)
    losses = []
    for _ in range(3):
        trainer.train(1, 0.05, 0.05, progress=lambda report: losses.append(report.loss))
    assert losses[0] > losses[1] > losses[2] > 0
    assert trainer.trained == 3


def test_reports_and_lines(capsys):
    reports = []
    train_word2vec(topics(200), dim=4, epochs=2, alpha=0.5, threads=2, progress=reports.append)
    last = reports[-1]
    assert last.done == 1
    assert last.epoch == 2
    assert last.tokens_per_second > 0
    assert last.loss is None
    assert last.alpha == pytest.approx(1e-4)
    train_word2vec(topics(200), dim=4, epochs=1, progress=True, measure=True)
    assert "epoch 1, 100.0%" in capsys.readouterr().err


def test_an_error_in_a_thread_is_raised():
    trainer = Trainer(topics(200), dim=4, threads=2)
    trainer.corpus.home.cleanup()
    with pytest.raises(FileNotFoundError):
        trainer.train(1)


def test_an_unseen_word(monkeypatch):
    monkeypatch.setattr(word2vec, "BLOCK", 5)
    vectors = train_word2vec(topics(200), dim=4, epochs=1)
    with pytest.raises(UnknownWord, match="seaside"):
        vectors["seaside"]
    composed = train_fasttext(topics(200), dim=4, epochs=1, buckets=300)
    assert isinstance(composed, SubwordVectors)
    assert composed["seaside"].shape == (4,)
    plain = SubwordVectors(composed.words, composed.table)
    numpy.testing.assert_allclose(plain.vectors, composed.vectors, rtol=1e-4, atol=1e-6)


def test_frequent_words_stay_less_often():
    chances = word2vec.keep_chances(numpy.array([900_000, 1000, 99_000]), 1e-3) / 0xFFFFFFFF
    share = 0.9
    expected = (1e-3 / share) ** 0.5 + 1e-3 / share
    assert chances[0] == pytest.approx(expected, rel=1e-6)
    assert chances[1] == 1
    assert (word2vec.keep_chances(numpy.array([5, 1]), 0) == 0xFFFFFFFF).all()


def test_subword_rows_are_the_words_and_their_ngrams():
    words = ["ab", "naïve", "日本"]
    starts, rows = word2vec.subword_rows(words, 3, 4, 50)
    table = numpy.arange(53.0)[:, None]
    composed = SubwordVectors(words, table, 3, 4)
    for i, word in enumerate(words):
        expected = [i, *(3 + k for k in composed.ids(word))]
        assert rows[starts[i] : starts[i + 1]].tolist() == expected


@long
@pytest.mark.slow
def test_a_long_corpus_takes_little_memory():
    """Ten million tokens are 40 MB as numbers, and some 600 MB as lists of Python strings."""
    words = [f"w{k}" for k in range(20_000)]
    draw = numpy.random.default_rng(0)
    blocks = [[words[k] for k in draw.zipf(1.3, 1000) % 20_000] for _ in range(20)]

    def stream():
        for k in range(10_000):
            yield blocks[k % 20]

    tracemalloc.start()
    try:
        corpus = encode(stream(), min_count=1)
        trainer = Trainer(corpus, dim=4, window=1, negative=1, threads=2, sample=1e-4)
        tables = trainer.inputs.nbytes + trainer.outputs.nbytes
        trainer.train(1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert corpus.tokens == 10_000_000
    assert peak < 60e6 + tables
