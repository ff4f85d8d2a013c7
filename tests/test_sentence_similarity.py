"""Spearman's correlation of sentences' cosines, and the real model's published figure."""

import numpy
import pytest

from minigrad.models import SentenceTransformer
from minigrad.pretrained.minilm_package import minilm_folder
from minigrad.text.datasets import DataNotFound
from minigrad.text.pairs import Pair, stsb
from minigrad.text.vectors.words import WordVectors
from minigrad.train.sentence_similarity import average_of, cosines, spearman

PAIRS = [Pair("a", "b", 1.0), Pair("a", "a", 5.0), Pair("b", "c", 2.0)]
TABLE = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.5, 1.0]}


def encode(sentences):
    return numpy.array([TABLE[sentence] for sentence in sentences])


def test_spearman():
    assert spearman(encode, PAIRS) == pytest.approx(1.0)
    assert spearman(encode, [Pair("a", "b", 9), *PAIRS[1:]]) == pytest.approx(-0.5)
    with pytest.raises(ValueError, match="has no score"):
        spearman(encode, [Pair("a", "b", label=1)] * 2)
    with pytest.raises(ValueError, match="two pairs or more"):
        spearman(encode, PAIRS[:1])


def test_cosines_and_means():
    assert cosines([[3, 4], [0, 0]], [[6, 8], [1, 1]]).tolist() == pytest.approx([1, 0])
    mean = average_of(WordVectors(["x", "y"], numpy.array([[1.0, 2], [3, 4]])), str.split)
    assert mean(["x y z", "z"]).tolist() == [[2, 3], [0, 0]]


@pytest.fixture(scope="module")
def minilm():
    try:
        return SentenceTransformer(minilm_folder())
    except DataNotFound as error:
        pytest.skip(str(error))


def test_real_vectors_equal_those_of_transformers(minilm):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    folder = minilm_folder()
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ["It rains.", "A man is playing the flute in the garden of his house.", "", "x" * 300]
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        states = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"][..., None]
    expected = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1).numpy()
    found = minilm.encode(texts)
    assert (cosines(found, expected) > 0.99999).all()
    numpy.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_published_figure_on_a_part(minilm, tmp_path):
    try:
        pairs = stsb().test[:100]
    except DataNotFound as error:
        pytest.skip(str(error))
    figure = spearman(minilm.encode, pairs)
    assert 0.8 < figure < 0.95
    minilm.save_pretrained(tmp_path)
    again = SentenceTransformer(tmp_path)
    assert again.normalize and again.pooling == "mean" and again.max_seq_length == 256
    assert spearman(again.encode, pairs) == pytest.approx(figure, abs=1e-9)
