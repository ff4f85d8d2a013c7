"""How well vectors of sentences tell how alike people find them: Spearman's correlation of cosines."""

from collections.abc import Callable, Sequence

import numpy

from ..extra import need
from ..text.pairs import Pair


def cosines(a, b) -> numpy.ndarray:
    """cos(a_i, b_i) of rows (N, H); 0 where either is zero."""
    a, b = numpy.asarray(a, numpy.float64), numpy.asarray(b, numpy.float64)
    lengths = numpy.linalg.norm(a, axis=1) * numpy.linalg.norm(b, axis=1)
    return (a * b).sum(1) / numpy.where(lengths > 0, lengths, 1)


def spearman(encode: Callable, pairs: Sequence[Pair]) -> float:
    """Spearman's correlation of the cosines of `encode(sentences)` with the pairs' scores."""
    for pair in pairs:
        if pair.score is None:
            raise ValueError(f"spearman: the pair {pair.first!r}, {pair.second!r} has no score")
    if len(pairs) < 2:
        raise ValueError("spearman: a correlation needs two pairs or more")
    found = cosines(encode([p.first for p in pairs]), encode([p.second for p in pairs]))
    statistics = need("scipy.stats", "scipy", extra="models")
    return float(statistics.spearmanr(found, [pair.score for pair in pairs]).statistic)


def average_of(vectors, tokenize: Callable) -> Callable:
    """An `encode` that gives the mean vector of a sentence's known words; of none: zeros."""

    def encode(sentences):
        rows = numpy.zeros((len(sentences), vectors.size), numpy.float32)
        for row, sentence in zip(rows, sentences, strict=True):
            words = [word for word in tokenize(sentence) if word in vectors]
            if words:
                row[:] = vectors[words].mean(0)
        return rows

    return encode
