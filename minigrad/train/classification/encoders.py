"""Encoders: how words become the tensors that a model takes, one way for each kind of model.

An encoder turns the words of a text into ids (`encode`), and the ids of a batch of texts into the
model's inputs (`join`). `rows` is the size of the model's table.
"""

from collections.abc import Sequence

import numpy

from ...ops.creation import as_tensor
from ...tensor import Tensor
from ...text.batch import pad_ids
from ...text.ngrams import ngram_buckets
from ...text.vocab import Vocab
from .settings import Settings


class Ids:
    """Word ids, padded to the longest text of the batch: (B, T)."""

    def __init__(self, vocab: Vocab, settings: Settings):
        self.vocab = vocab
        self.settings = settings

    @property
    def rows(self) -> int:
        """The number of words."""
        return len(self.vocab)

    def encode(self, words: Sequence[str]) -> list[int]:
        """The ids of a text's words, cut at the longest length."""
        return self.vocab(words[: self.settings.max_length])

    def join(self, rows: Sequence[list[int]]):
        """The inputs for a batch of texts; never narrower than the widest filter."""
        return pad_ids(rows, min_length=max(self.settings.kernel_sizes))


class IdsAndLengths(Ids):
    """Word ids (B, T) and the texts' lengths (B,), for recurrent models."""

    def encode(self, words: Sequence[str]) -> list[int]:
        """As `Ids`; a text without words is one unknown word, as a length must be at least 1."""
        return super().encode(words) or [self.vocab.get_default_index()]

    def join(self, rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """(ids, lengths)."""
        return pad_ids(rows), as_tensor(numpy.array([len(row) for row in rows], numpy.int64))


class Counts(Ids):
    """How often every word occurs: (B, vocabulary) in float32."""

    def join(self, rows: Sequence[list[int]]) -> Tensor:
        """The counts of a batch of texts."""
        table = numpy.zeros((len(rows), self.rows), numpy.float32)
        for counts, ids in zip(table, rows, strict=True):
            numpy.add.at(counts, ids, 1)
        return as_tensor(table)


class NGrams(Ids):
    """Ids of words and hashed n-grams, all texts in one row (N,), with offsets (B,)."""

    @property
    def rows(self) -> int:
        """The words, then the buckets."""
        return len(self.vocab) + self.settings.buckets

    def encode(self, words: Sequence[str]) -> list[int]:
        """The ids of a text's words, then those of its n-grams."""
        words = words[: self.settings.max_length]
        grams = ngram_buckets(words, self.settings.ngrams, self.settings.buckets)
        return self.vocab(words) + [len(self.vocab) + bucket for bucket in grams]

    def join(self, rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """(ids, offsets)."""
        ends = numpy.cumsum([len(row) for row in rows])
        ids = [i for row in rows for i in row]
        offsets = [0, *ends[:-1]]
        return tuple(as_tensor(numpy.array(row, numpy.int64)) for row in (ids, offsets))
