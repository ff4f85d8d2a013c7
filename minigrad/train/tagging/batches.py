"""Tagged sentences as padded batches of word, letter, capital and tag numbers.

A distinct word is encoded once: a batch then is one look-up in the tables of distinct words.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy

from ...ops.creation import as_tensor
from ...ops.index import where
from ...ops.random import rand
from ...tensor import Tensor
from ...text.batch import BucketBatchSampler, pad_ids, padded
from ...text.vocab import Vocab, build_vocab_from_iterator

PADDING, UNKNOWN = 0, 1  # the first two ids of words and letters
SPECIALS = ["<pad>", "<unk>"]
CAPITALS = 6  # kinds of capitalisation, padding among them

_DIGIT = re.compile(r"\d")


def capitals(word: str) -> int:
    """1 lower case, 2 first letter a capital, 3 all capitals, 4 others inside, 5 no letter."""
    letters = [c for c in word if c.isalpha()]
    if not letters:
        return 5
    if not any(c.isupper() for c in letters):
        return 1
    if len(letters) > 1 and all(c.isupper() for c in letters):
        return 3
    return 2 if word[0].isupper() and not any(c.isupper() for c in word[1:]) else 4


class WordEncoder:
    """The ids of words and of their letters; digits may all be 0, words may be in lower case."""

    def __init__(self, words: Vocab, chars: Vocab, lower: bool, digits: bool, max_chars: int):
        self.words, self.chars = words, chars
        self.lower, self.digits = lower, digits
        self.max_chars = max_chars
        for vocab in (words, chars):
            if vocab.get_itos()[:2] != SPECIALS:
                raise ValueError(f"a tagger's vocabulary must start with {SPECIALS}: {vocab}")
            vocab.set_default_index(UNKNOWN)

    @classmethod
    def build(cls, sentences, min_freq=1, lower=True, digits=True, max_chars=30) -> "WordEncoder":
        """The vocabularies of all words that occur min_freq times, and of their letters."""
        encoder = cls(Vocab(SPECIALS), Vocab(SPECIALS), lower, digits, max_chars)
        spelled = [[encoder.spelling(word) for word in words] for words in sentences]
        chars = build_vocab_from_iterator(
            (word for words in spelled for word in words), 1, SPECIALS
        )
        if lower:
            spelled = [[word.lower() for word in words] for words in spelled]
        return cls(
            build_vocab_from_iterator(spelled, min_freq, SPECIALS), chars, lower, digits, max_chars
        )

    def spelling(self, word: str) -> str:
        """The word as its letters are read: each digit a 0 where digits are alike."""
        return _DIGIT.sub("0", word) if self.digits else word

    def word(self, word: str) -> str:
        """The word as it stands in the vocabulary."""
        return self.spelling(word).lower() if self.lower else self.spelling(word)

    def tables(self, distinct: Sequence[str]):
        """(word ids (N), letters (N, L), capitals (N)) of distinct words."""
        ids = numpy.array([self.words[self.word(word)] for word in distinct], numpy.int64)
        letters = [self.chars(self.spelling(word)) for word in distinct]
        chars = padded([row[: self.max_chars] for row in letters])
        return ids, chars, numpy.array([capitals(word) for word in distinct], numpy.int64)


class TagBatch(NamedTuple):
    """words (B, T), lengths (B), chars (B, T, L), caps (B, T), tags (B, T); 0 behind the words."""

    words: Tensor
    lengths: Tensor
    chars: Tensor
    caps: Tensor
    tags: Tensor | None
    places: list[int]  # which sentences these are


def checked(sentences: Sequence[Sequence[str]]) -> None:
    """Raise for no sentences, texts in place of lists of words, empty sentences or words."""
    if isinstance(sentences, str) or any(isinstance(words, str) for words in sentences):
        raise TypeError("pass a list of sentences, each a list of words, not a text")
    if not len(sentences):
        raise ValueError("there are no sentences to tag")
    for number, words in enumerate(sentences):
        if not len(words):
            raise ValueError(f"sentence {number} is empty")
        if not all(words):
            raise ValueError(f"sentence {number} has an empty word: {list(words)[:10]}")


class TagBatches:
    """Batches of sentences of similar length, in a new order every epoch where shuffled.

    tags: the ids of each sentence's tags, or None. singletons (V), with drop: words that occurred
    once in training become <unk> with that probability, so that <unk> is learnt (Lample et al. 2016).
    """

    def __init__(
        self,
        encoder: WordEncoder,
        sentences: Sequence[Sequence[str]],
        tags: Sequence[Sequence[int]] | None = None,
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int = 0,
        singletons: Tensor | None = None,
        drop: float = 0.0,
    ):
        checked(sentences)
        self.sampler = BucketBatchSampler(list(map(len, sentences)), batch_size, shuffle, seed=seed)
        number: dict[str, int] = {}
        self.rows = [[1 + number.setdefault(w, len(number)) for w in s] for s in sentences]
        ids, chars, caps = encoder.tables(list(number))
        self.ids, self.caps = numpy.insert(ids, 0, PADDING), numpy.insert(caps, 0, PADDING)
        self.chars = numpy.insert(chars, 0, PADDING, axis=0)
        self.widths = (self.chars != PADDING).sum(1)
        self.tags = tags
        self.singletons, self.drop = singletons, drop

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[TagBatch]:
        return map(self._batch, self.sampler)

    def _batch(self, places: list[int]) -> TagBatch:
        rows = padded([self.rows[i] for i in places])  # (B, T)
        words = as_tensor(self.ids[rows])
        if self.drop > 0:
            lost = self.singletons.to(words.device)[words] & (
                rand(words.shape, device=words.device) < self.drop
            )
            words = where(lost, UNKNOWN, words)
        longest = max(1, int(self.widths[rows].max()))
        return TagBatch(
            words,
            as_tensor(numpy.array([len(self.rows[i]) for i in places], numpy.int64)),
            as_tensor(self.chars[rows][:, :, :longest]),
            as_tensor(self.caps[rows]),
            None if self.tags is None else pad_ids([self.tags[i] for i in places]),
            places,
        )
