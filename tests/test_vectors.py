"""Word vectors: lookups, neighbours, analogies, tables for embeddings."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad import cli, nn
from minigrad.text import Vocab, WordVectors
from minigrad.text.vectors.files import load_vectors, save_vectors
from minigrad.text.vectors.words import UnknownWord
from minigrad.train.vectors import map as vector_map

WORDS = "the king queen man woman film movie seven eight nine".split()


def some(seed=0, words=WORDS, size=8):
    return WordVectors(words, numpy.random.default_rng(seed).normal(size=(len(words), size)))


def as_gensim(vectors):
    models = pytest.importorskip("gensim.models")
    theirs = models.KeyedVectors(vectors.size)
    theirs.add_vectors(vectors.words, vectors.vectors)
    return theirs


def same(found, expected, tolerance=1e-5):
    assert [word for word, _ in found] == [word for word, _ in expected]
    numpy.testing.assert_allclose([s for _, s in found], [s for _, s in expected], atol=tolerance)


def test_look_up():
    vectors = some()
    assert len(vectors) == 10
    assert vectors.size == 8
    assert "king" in vectors
    assert "prince" not in vectors
    assert list(vectors) == WORDS
    assert vectors["king"].dtype == numpy.float32
    numpy.testing.assert_array_equal(vectors["king"], vectors.vectors[1])
    numpy.testing.assert_array_equal(vectors[["man", "the"]], vectors.vectors[[3, 0]])
    assert vectors[[]].shape == (0, 8)
    assert vectors.get("prince") is None
    assert vectors.get("prince", 3) == 3
    assert repr(vectors) == "WordVectors(10 words, 8 numbers each)"


def test_unknown_words_are_told_with_close_spellings():
    with pytest.raises(
        UnknownWord, match=r"no vector for the word 'flim'; close to it are: 'film'"
    ):
        some()["flim"]
    with pytest.raises(KeyError, match="'movies'.*'movie'"):
        some().similarity("king", "movies")
    with pytest.raises(UnknownWord, match="'The'.*'the'"):
        some().nearest("The")
    with pytest.raises(UnknownWord, match=r"for the word 'zzz'$"):
        some().analogy("king", "zzz", "man")


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"\(2, size\) for 2 words.*\(3, 4\)"):
        WordVectors(["a", "b"], numpy.zeros((3, 4)))
    with pytest.raises(ValueError, match="'a' stands more than once"):
        WordVectors(["a", "b", "a"], numpy.zeros((3, 4)))
    with pytest.raises(ValueError, match="positive or a negative"):
        some().most_similar()
    with pytest.raises(ValueError, match="method must be"):
        some().most_similar("king", method="divide")
    with pytest.raises(ValueError, match="a word at least"):
        some().doesnt_match([])
    with pytest.raises(ValueError, match="unknown must be"):
        some().matrix(["a"], unknown="random")
    with pytest.raises(ValueError, match=r"shape \(8,\), not \(3,\)"):
        some().matrix(["a"], unknown=[1.0, 2.0, 3.0])


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_equal_gensim(seed):
    vectors = some(seed)
    theirs = as_gensim(vectors)
    same(vectors.nearest("king"), theirs.most_similar("king"))
    same(
        vectors.nearest("king", topn=3, among=5),
        theirs.most_similar("king", topn=3, restrict_vocab=5),
    )
    same(
        vectors.most_similar(["king", "woman"], ["man"], topn=4),
        theirs.most_similar(["king", "woman"], ["man"], topn=4),
    )
    same(
        vectors.analogy("man", "king", "woman", topn=7, method="mul"),
        theirs.most_similar_cosmul(["king", "woman"], ["man"], topn=7),
    )
    same(vectors.nearest(vectors["film"], topn=10), theirs.most_similar([vectors["film"]], topn=10))
    assert vectors.similarity("man", "nine") == pytest.approx(
        theirs.similarity("man", "nine"), abs=1e-6
    )
    assert vectors.doesnt_match(["seven", "eight", "film"]) == theirs.doesnt_match(
        ["seven", "eight", "film"]
    )


@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 40), st.integers(0, 100))
@settings(deadline=None, max_examples=60)
def test_nearest_is_the_sorted_list_of_cosines(count, size, topn, seed):
    draw = numpy.random.default_rng(seed)
    rows = draw.integers(-2, 3, (count, size)).astype(numpy.float32)  # with equals and zeros
    vectors = WordVectors([f"w{i}" for i in range(count)], rows)
    found = vectors.nearest("w0", topn=topn)
    cosines = vectors.similarities("w0")
    order = sorted(range(1, count), key=lambda i: (-cosines[i], i))[:topn]
    assert [word for word, _ in found] == [f"w{i}" for i in order]
    assert all(numpy.isfinite(score) for _, score in found)


def test_units_are_made_once_and_leave_zeros():
    vectors = some()
    assert vectors.units is vectors.units
    numpy.testing.assert_allclose(numpy.linalg.norm(vectors.units, axis=1), 1, rtol=1e-6)
    normal = vectors.normalised()
    assert normal.units is normal.vectors
    zero = WordVectors(["a", "b"], [[0, 0], [3, 4]])
    numpy.testing.assert_array_equal(zero.units, numpy.float32([[0, 0], [0.6, 0.8]]))
    assert zero.similarity("a", "b") == 0


def test_matrix_for_an_embedding():
    vectors = some()
    vocab = Vocab(["<pad>", "<unk>", "king", "Film", "the"])
    table = vectors.matrix(vocab)
    embedding = nn.Embedding.from_pretrained(table, padding_idx=0)
    assert embedding.weight.shape == (5, 8)
    rows = table.numpy()
    assert rows.dtype == numpy.float32
    numpy.testing.assert_array_equal(rows[2], vectors["king"])
    numpy.testing.assert_array_equal(rows[4], vectors["the"])
    assert not rows[0].any()
    assert rows[1].any()
    assert abs(rows[1]).max() <= 3**0.5 * vectors[["king", "the"]].std() + 1e-6
    numpy.testing.assert_array_equal(rows, vectors.matrix(vocab).numpy())
    assert (rows[1] != vectors.matrix(vocab, seed=1).numpy()[1]).any()
    lower = vectors.matrix(vocab, unknown="zeros", lower=True).numpy()
    numpy.testing.assert_array_equal(lower[3], vectors["film"])
    assert not lower[1].any()
    mean = vectors.matrix(["x"], unknown="mean").numpy()
    numpy.testing.assert_allclose(mean[0], vectors.vectors.mean(axis=0), rtol=1e-6)
    given_vector = vectors.matrix(["x", "man"], unknown=numpy.arange(8)).numpy()
    numpy.testing.assert_array_equal(given_vector[0], numpy.arange(8))
    assert vectors.matrix([]).shape == (0, 8)


def test_uniform_rows_have_the_variance_of_the_known_ones():
    vectors = some(size=50)
    tokens = [*WORDS, *(f"new{i}" for i in range(200))]
    rows = vectors.matrix(tokens).numpy()
    assert rows[10:].std() == pytest.approx(rows[:10].std(), rel=0.05)


def test_chosen_and_known():
    vectors = some()
    few = vectors.chosen(["nine", "the"])
    assert few.words == ["nine", "the"]
    numpy.testing.assert_array_equal(few["nine"], vectors["nine"])
    assert vectors.known(["King", "x", "the"]) == ["the"]
    assert vectors.known(["King", "x", "the"], lower=True) == ["King", "the"]


# -- maps, and the command --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_keeps_neighbours_together(method):
    pytest.importorskip("sklearn")
    draw = numpy.random.default_rng(0)
    middles = draw.normal(size=(2, 6))
    words = [f"{name}{k}" for name in "ab" for k in range(8)]
    vectors = WordVectors(words, middles.repeat(8, axis=0) + 0.05 * draw.normal(size=(16, 6)))
    points = vector_map.flat(vectors, words, method)
    assert points.shape == (16, 2)
    one, other = points[:8], points[8:]
    apart = numpy.linalg.norm(one.mean(0) - other.mean(0))
    assert apart > 2 * max(numpy.linalg.norm(g - g.mean(0), axis=1).max() for g in (one, other))
    numpy.testing.assert_array_equal(points, vector_map.flat(vectors, words, method))


def test_pca_s_distances_are_those_of_the_plane_of_greatest_variance():
    pytest.importorskip("sklearn")
    vectors = some()
    points = vector_map.flat(vectors, WORDS)
    rows = vectors.units - vectors.units.mean(axis=0)
    spread = numpy.linalg.svd(rows, compute_uv=False)[:2]
    numpy.testing.assert_allclose(numpy.linalg.norm(points, axis=0), spread, rtol=1e-5)
    flat = WordVectors("abc", [[1.0], [2.0], [-1.0]])
    assert vector_map.flat(flat, "abc").shape == (3, 2)


def test_maps_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "map.png"
    groups = {"people": ["king", "queen", "man"], "numbers": ["seven", "eight"]}
    assert vector_map.plot_map(some(), groups, path, pairs=[("king", "queen")]) == path
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG")
    vector_map.plot_map(some(), ["king", "film"], path, "tsne", neighbours=3, title="a map")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.read_bytes() != first
    with pytest.raises(ValueError, match="'film' has an arrow but is not among"):
        vector_map.plot_map(some(), groups, path, pairs=[("king", "film")])
    with pytest.raises(ValueError, match="at least 3 words, not 2"):
        vector_map.flat(some(), ["king", "film"])
    with pytest.raises(ValueError, match="must be 'pca' or 'tsne'"):
        vector_map.flat(some(), WORDS, "umap")


def command(*arguments):
    testing = pytest.importorskip("typer.testing")
    return testing.CliRunner().invoke(cli._app(), ["vectors", *map(str, arguments)])


def test_the_command_from_text_to_a_map(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("The king and the queen rule. The man and the woman work!\n" * 30)
    file = tmp_path / "vectors.txt"
    done = command("train", text, "--out", file, "--dim", 8, "--epochs", 3)
    assert done.exit_code == 0, done.output
    assert "epoch 3: loss" in done.output
    vectors = load_vectors(file)
    assert set(vectors.words) == set("the king and queen rule man woman work".split())
    done = command("nearest", file, "king", "man", "--topn", 3)
    assert done.exit_code == 0
    for word, score in vectors.nearest("man", 3):
        assert word in done.output
        assert f"{score:.4f}" in done.output
    done = command("analogy", file, "man", "king", "woman", "--topn", 2)
    assert f"man : king = woman : {vectors.analogy('man', 'king', 'woman')[0][0]}" in done.output
    done = command("map", file, *vectors.words, "--out", tmp_path / "map.png")
    assert done.exit_code == 0
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    done = command("convert", file, tmp_path / "vectors.bin", "--limit", 4)
    assert done.exit_code == 0
    found = load_vectors(tmp_path / "vectors.bin")
    assert found.words == vectors.words[:4]
    numpy.testing.assert_array_equal(found.vectors, vectors.vectors[:4])


@pytest.mark.parametrize("model", ["skipgram", "cbow", "fasttext"])
def test_the_command_trains_the_other_models(tmp_path, model, monkeypatch):
    from minigrad.train.vectors import word2vec

    text = tmp_path / "text.txt"
    text.write_text("the king and the queen rule\n" * 30)
    if model == "fasttext":  # two million buckets are too many for a test
        train = word2vec.train_fasttext
        monkeypatch.setattr(word2vec, "train_fasttext", lambda *a, **k: train(*a, buckets=99, **k))
    format = "fasttext" if model == "fasttext" else "text"
    done = command(
        "train", text, "--model", model, "--out", tmp_path / "v", "--dim", 4, "--format", format
    )
    assert done.exit_code == 0, done.output
    found = load_vectors(tmp_path / "v")
    assert len(found) == 5
    assert found.get("kings") is None if model != "fasttext" else found.get("kings") is not None


def test_the_command_s_errors_are_told(tmp_path):
    save_vectors(some(), tmp_path / "v.txt")
    done = command("nearest", tmp_path / "v.txt", "flim")
    assert isinstance(done.exception, ValueError)
    assert "no vector for the word 'flim'; close to it are: 'film'" in str(done.exception)
    (tmp_path / "text").write_bytes(b"caf\xe9 bar\n" * 9)
    done = command("train", tmp_path / "text", "--out", tmp_path / "out")
    assert "is not UTF-8" in str(done.exception)
    assert not (tmp_path / "out").exists()
    (tmp_path / "text").write_text("a b\n" * 9)
    done = command("train", tmp_path / "text", "--model", "elmo")
    assert "model must be glove, skipgram, cbow or fasttext" in str(done.exception)
