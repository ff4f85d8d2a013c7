"""Subwords: a word as the set of its character n-grams, hashed into buckets, as fastText has them.

    subword_ids("where", 2_000_000)      # of <wh, <whe, <wher, <where, whe, wher, ..., re>

A word's vector is the mean of its own row and of its n-grams' rows; a word that was never seen has a
vector too, from its n-grams alone. Bojanowski et al. 2017, "Enriching Word Vectors with Subword
Information" (TACL 5). Numbers are those of the fastText program, so that its files can be read.
"""

from collections.abc import Sequence

import numpy

from .words import UnknownWord, WordVectors

BUCKETS = 2_000_000


def ngrams(word: str, minn: int = 3, maxn: int = 6) -> list[str]:
    """The n-grams of <word>, minn to maxn characters long; a single < or > is none."""
    if not 1 <= minn <= maxn:
        raise ValueError(f"ngrams: expected 1 <= minn <= maxn, got minn {minn} and maxn {maxn}")
    padded = f"<{word}>"
    found = []
    for start in range(len(padded)):
        for end in range(start + minn, min(start + maxn, len(padded)) + 1):
            if end - start > 1 or 0 < start < len(padded) - 1:
                found.append(padded[start:end])
    return found


def hash_ngram(ngram: str) -> int:
    """FNV-1a, 32 bits, of the UTF-8 bytes; bytes from 128 on count as negative, as a C char does.

    h = 2166136261;  for each byte: h ^= byte;  h *= 16777619
    """
    h = 2166136261
    for byte in ngram.encode("utf-8"):
        if byte > 127:
            byte |= 0xFFFFFF00  # a signed char, made 32 bits wide
        h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    return h


def subword_ids(word: str, buckets: int = BUCKETS, minn: int = 3, maxn: int = 6) -> list[int]:
    """The bucket of each n-gram of a word; two n-grams may share one. No n-grams: maxn 0 or buckets 0."""
    if not buckets or not maxn:
        return []
    return [hash_ngram(ngram) % buckets for ngram in ngrams(word, minn, maxn)]


class SubwordVectors(WordVectors):
    """Word vectors that are means of subword vectors: every word has one, seen or not.

    words: V words. table (V + buckets, D): a row for each word, then the buckets, as in a fastText
    model. `vectors` (V, D) are the words' means.
    """

    def __init__(
        self,
        words: Sequence[str],
        table: numpy.ndarray,
        minn: int = 3,
        maxn: int = 6,
        vectors: numpy.ndarray | None = None,
    ):
        words = list(words)
        if table.ndim != 2 or len(table) < len(words):
            raise ValueError(
                f"SubwordVectors: expected a row for each of {len(words)} words and each bucket, "
                f"got a table of shape {table.shape}"
            )
        self.table, self.minn, self.maxn = table, minn, maxn
        self.buckets = len(table) - len(words)
        if vectors is None:
            vectors = numpy.empty((len(words), table.shape[1]), table.dtype)
            for i, word in enumerate(words):
                ids = [i, *(len(words) + k for k in self.ids(word))]
                vectors[i] = table[ids].mean(axis=0)
        super().__init__(words, vectors)

    def ids(self, word: str) -> list[int]:
        """The buckets of a word's n-grams; fastText's end of sentence, </s>, has none."""
        return [] if word == "</s>" else subword_ids(word, self.buckets, self.minn, self.maxn)

    def vector(self, word: str) -> numpy.ndarray:
        """The vector of a word (size,); of an unseen one the mean of its n-grams' rows.

        An UnknownWord if it has no n-grams either.
        """
        if word in self.index:
            return self.vectors[self.index[word]]
        ids = self.ids(word)
        if not ids:
            raise UnknownWord(word, self.words)
        return self.table[[len(self.words) + k for k in ids]].mean(axis=0)
