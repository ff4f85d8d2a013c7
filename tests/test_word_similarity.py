"""Word vectors against people's ratings and analogies."""

import math
import os
from pathlib import Path

import numpy
import pytest

from minigrad.text import WordVectors
from minigrad.text.datasets import FILES, DataNotFound, _file
from minigrad.text.vectors.glove_package import glove_package
from minigrad.text.vectors.subwords import SubwordVectors
from minigrad.text.vectors.word_similarity import (
    ANALOGIES,
    SETS,
    analogy_questions,
    evaluate_analogies,
    evaluate_similarity,
    similarity_of,
    word_pairs,
)

HERE = os.environ.get("MINIGRAD_DATA", "")
needs_data = pytest.mark.skipif(
    not (Path(HERE) / "wordsim").is_dir(), reason="the sets of word pairs are not on this machine"
)


@pytest.fixture(scope="module")
def glove():
    try:
        return WordVectors(*glove_package())
    except DataNotFound as error:
        pytest.skip(str(error))


def grid():
    """Vectors by which a - b + c is an exact word."""
    words = "man woman king queen boy girl".split()
    rows = [[1, 0, 0], [1, 1, 0], [1, 0, 2], [1, 1, 2], [1, 0, -2], [1, 1, -2]]
    return WordVectors(words, rows)


def test_every_file_has_an_address_and_a_sum():
    assert len(SETS) == 9
    wanted = [name for name in FILES if name.startswith("wordsim/")]
    assert len(wanted) == 9
    for name in [*wanted, ANALOGIES]:
        address, digest = FILES[name]
        assert address.startswith("https://raw.githubusercontent.com/")
        assert len(digest) == 64


@needs_data
@pytest.mark.parametrize("name", SETS)
def test_sets_are_complete(name):
    pairs = word_pairs(name)
    assert all(isinstance(rating, float) and math.isfinite(rating) for _, _, rating in pairs)
    assert all(one and other for one, other, _ in pairs)


@needs_data
def test_questions_are_complete():
    questions = analogy_questions()
    assert len(questions) == 14
    assert sum(map(len, questions.values())) == 19544
    assert questions["family"][0] == ("boy", "girl", "brother", "sister")
    assert _file(ANALOGIES).name == "questions-words.txt"


@needs_data
def test_real_glove_vectors_have_the_known_figures(glove):
    pytest.importorskip("scipy")
    expected = {"WS-353": 0.5033, "RG-65": 0.6021, "SimLex-999": 0.2646, "MEN": 0.6523}
    for result in evaluate_similarity(glove, list(expected)):
        assert result.spearman == pytest.approx(expected[result.name], abs=5e-5), result
        assert result.used == result.pairs
        assert result.unseen == []


@needs_data
def test_similarity_equals_gensims(glove):
    models = pytest.importorskip("gensim.models")
    few = glove.chosen(glove.words[:8000])
    theirs = models.KeyedVectors(50)
    theirs.add_vectors(few.words, few.vectors)
    for name in ("RW", "WS-353"):
        path = _file(f"wordsim/EN-{'RW-STANFORD' if name == 'RW' else 'WS-353-ALL'}.txt")
        _, expected, out = theirs.evaluate_word_pairs(str(path), case_insensitive=True)
        (found,) = evaluate_similarity(few, name)
        assert found.spearman == pytest.approx(expected.statistic, abs=1e-6)
        assert 1 - found.used / found.pairs == pytest.approx(out / 100)


@needs_data
def test_analogies_equal_gensims(glove):
    models = pytest.importorskip("gensim.models")
    few = glove.chosen(glove.words[:3000])
    theirs = models.KeyedVectors(50)
    theirs.add_vectors(few.words, few.vectors)
    _, sections = theirs.evaluate_word_analogies(str(_file(ANALOGIES)), case_insensitive=True)
    found = evaluate_analogies(few)
    for section in found.sections:
        (expected,) = (s for s in sections if s["section"] == section.name)
        assert section.right == len(expected["correct"])
        assert section.asked == len(expected["correct"]) + len(expected["incorrect"])
    assert 0 < found.total.right < found.total.asked < 19544
    assert found.semantic.right + found.syntactic.right == found.total.right


def test_unseen_words_are_told_and_left_out_or_counted():
    pytest.importorskip("scipy")
    pairs = [
        ("man", "woman", 3.0),
        ("King", "queen", 2.0),
        ("boy", "prince", 0.0),
        ("man", "king", 1.0),
    ]
    skipped = similarity_of(grid(), "own", pairs)
    assert (skipped.used, skipped.pairs, skipped.unseen) == (3, 4, ["prince"])
    counted = similarity_of(grid(), "own", pairs, unseen="zero")
    assert (counted.used, counted.pairs, counted.unseen) == (3, 4, ["prince"])
    assert counted.spearman != skipped.spearman
    strict = similarity_of(grid(), "own", pairs, lower=False)
    assert strict.unseen == ["King", "prince"]
    assert str(skipped).startswith("own: Spearman ")
    none = similarity_of(grid(), "own", [("prince", "man", 1.0)])
    assert math.isnan(none.spearman)
    assert none.used == 0
    with pytest.raises(ValueError, match="'skip' or 'zero'"):
        evaluate_similarity(grid(), unseen="drop")
    with pytest.raises(ValueError, match="there is no set 'WS'"):
        evaluate_similarity(grid(), "WS")


def test_subwords_leave_no_word_unseen():
    pytest.importorskip("scipy")
    table = numpy.random.default_rng(0).normal(size=(40, 4)).astype(numpy.float32)
    vectors = SubwordVectors(["man", "king"], table, 2, 4)
    result = similarity_of(
        vectors, "own", [("man", "King", 1.0), ("boy", "girl", 2.0), ("x", "man", 0.0)]
    )
    assert result.used == 3
    assert result.unseen == []


@pytest.mark.parametrize("method", ["add", "mul"])
def test_analogies(method):
    questions = {
        "family": [("man", "woman", "king", "queen"), ("King", "Queen", "Boy", "Girl")],
        "gram1": [("man", "woman", "boy", "queen"), ("man", "woman", "prince", "princess")],
        "gram2": [],
    }
    found = evaluate_analogies(grid(), questions, method=method, batch=1)
    assert [(s.right, s.asked, s.questions) for s in found.sections] == [
        (2, 2, 2),
        (0, 1, 2),
        (0, 0, 0),
    ]
    assert found.semantic.accuracy == 1
    assert found.syntactic.right == 0
    assert (found.total.right, found.total.asked, found.total.questions) == (2, 3, 4)
    assert math.isnan(found.sections[2].accuracy)
    few = evaluate_analogies(grid(), questions, among=4, method=method)
    assert [s.asked for s in few.sections] == [1, 0, 0]
    cased = evaluate_analogies(grid(), questions, lower=False, method=method)
    assert cased.sections[0].asked == 1
    for question in questions["family"][:1]:
        a, b, c, d = question
        assert grid().analogy(a, b, c, method=method)[0][0] == d


def test_damaged_files(tmp_path, monkeypatch):
    path = tmp_path / "questions"
    for text, where in ((": a\nb c d\n", 2), ("a b c d\n", 1), (": a\na b c d\na b c d e\n", 3)):
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"questions:{where}: expected four words"):
            analogy_questions(path)
    with pytest.raises(ValueError, match="must be 'add' or 'mul'"):
        evaluate_analogies(grid(), {}, method="sum")
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    (tmp_path / "wordsim").mkdir()
    (tmp_path / "wordsim" / "EN-RG-65.txt").write_text("gem jewel 3\n")
    with pytest.raises(ValueError, match="is damaged"):
        word_pairs("RG-65")


@pytest.mark.parametrize("line", ["gem jewel", "gem jewel x", "gem jewel 3 4"])
def test_damaged_pairs(line, monkeypatch):
    from minigrad.text.vectors import word_similarity

    monkeypatch.setattr(word_similarity, "_lines", lambda name: iter([("file:7", line)]))
    with pytest.raises(ValueError, match="file:7: expected two words and a number"):
        word_pairs("RG-65")
    monkeypatch.setattr(word_similarity, "_lines", lambda name: iter([("file:7", "gem jewel 3")]))
    with pytest.raises(ValueError, match="RG-65: expected 65 pairs, found 1"):
        word_pairs("RG-65")
