"""n-grams, their hashes, and vectors made of them: known values, gensim's, and the compiled scan."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels.subwords import subword_buckets

from minigrad.text.vectors.subwords import SubwordVectors, hash_ngram, ngrams, subword_ids
from minigrad.text.vectors.words import UnknownWord


def test_ngrams():
    assert ngrams("her", 3, 4) == ["<he", "<her", "her", "her>", "er>"]
    assert ngrams("a", 1, 2) == ["<a", "a", "a>"]
    assert ngrams("", 1, 3) == ["<>"]
    with pytest.raises(ValueError, match="minn 4 and maxn 3"):
        ngrams("a", 4, 3)


def test_hashes_are_fnv_with_signed_bytes():
    assert hash_ngram("") == 2166136261
    assert hash_ngram("a") == 0xE40C292C  # of the algorithm's published test values
    assert hash_ngram("foobar") == 0xBF9CF968
    unsigned = 2166136261
    for byte in "é".encode():
        unsigned = (unsigned ^ byte) * 16777619 & 0xFFFFFFFF
    assert hash_ngram("é") != unsigned


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(st.text("abcé日😀'", max_size=8), min_size=1, max_size=6),
    minn=st.integers(1, 4),
    more=st.integers(0, 4),
    buckets=st.sampled_from([1, 97, 2_000_000]),
)
def test_the_scan_of_many_words_finds_the_same(words, minn, more, buckets):
    padded = [f"<{word}>".encode() for word in words]
    text = numpy.frombuffer(b"".join(padded), numpy.uint8).astype(numpy.int64)
    ends = numpy.cumsum([len(word) for word in padded])
    expected = [subword_ids(word, buckets, minn, minn + more) for word in words]
    for scan in (subword_buckets.reference, subword_buckets[numpy]):
        starts, found = scan(text, ends, minn, minn + more, buckets)
        for i, ids in enumerate(expected):
            assert found[starts[i] : starts[i + 1]].tolist() == ids
        assert starts[-1] == len(found)


@settings(deadline=None)
@given(word=st.text("abzé日😀'-", min_size=1, max_size=10))
def test_as_gensim_has_it(word):
    inner = pytest.importorskip("gensim.models.fasttext_inner")
    theirs = [inner.ft_hash_bytes(x) % 1000 for x in inner.compute_ngrams_bytes(word, 3, 6)]
    assert subword_ids(word, 1000) == theirs


def test_vectors_are_means():
    table = numpy.random.default_rng(0).standard_normal((2 + 50, 3)).astype(numpy.float32)
    vectors = SubwordVectors(["ab", "</s>"], table)
    rows = [0, *(2 + k for k in subword_ids("ab", 50))]
    numpy.testing.assert_allclose(vectors["ab"], table[rows].mean(0), rtol=1e-6)
    numpy.testing.assert_array_equal(
        vectors["</s>"], table[1]
    )  # the end of a sentence has no n-grams
    rows = [2 + k for k in subword_ids("abc", 50)]
    numpy.testing.assert_allclose(vectors["abc"], table[rows].mean(0), rtol=1e-6)
    assert "abc" not in vectors
    assert vectors["abc"].dtype == numpy.float32


def test_what_has_no_vector():
    table = numpy.ones((2, 3), numpy.float32)
    plain = SubwordVectors(["a", "b"], table)
    assert plain.buckets == 0
    with pytest.raises(UnknownWord):
        plain["c"]
    with pytest.raises(ValueError, match=r"each of 3 words .* shape \(2, 3\)"):
        SubwordVectors(["a", "b", "c"], table)
