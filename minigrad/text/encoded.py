"""A corpus read once, its words counted, and kept as numbers in a file, for trainers that read it often.

The text may be larger than memory, and so may the numbers: they are written and read in blocks. What
memory holds is the table of the different words.
"""

import collections
import gzip
import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy

BLOCK = 1 << 20  # numbers that are written or read at once
PIECE = 1 << 14  # numbers that a trainer gets at once, to the next end of a sentence; fewer of a
PIECES = 64  # short text, so that it has some PIECES
LINE = 1 << 16  # characters of a file that are read at once
END = -1  # stands after each sentence
_END, _GONE = 0, -2  # while counting: the end of a sentence; a word that is left out


def token_lists(corpus) -> Iterator[list[str]]:
    """Lists of tokens from such lists, or from text files: a path or several, plain or .gz.

    In files each line is a sentence, and blanks part its tokens.
    """
    if isinstance(corpus, (str, os.PathLike)):
        corpus = [corpus]
    if isinstance(corpus, (list, tuple)) and all(isinstance(x, (str, os.PathLike)) for x in corpus):
        for path in corpus:
            if not Path(path).is_file():
                raise FileNotFoundError(
                    f"there is no text file {str(path)[:200]!r}; a corpus of sentences is an iterable of "
                    "lists of tokens"
                )
        for path in corpus:
            yield from map(str.split, _lines(path))
        return
    for number, tokens in enumerate(corpus, start=1):
        if isinstance(tokens, (str, bytes)):
            raise ValueError(
                f"sentence {number} is text: {tokens[:40]!r}; it must be a list of tokens, text.split()"
            )
        yield tokens


def _lines(path) -> Iterator[str]:
    """The lines of a file; one of more than LINE characters in parts, cut between tokens."""
    opened = gzip.open if str(path).endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", errors="replace") as file:
        rest = ""
        while line := file.readline(LINE):
            if len(line) == LINE and line[-1] != "\n":
                kept, blank, rest_now = line.rpartition(" ")
                if blank:
                    yield rest + kept
                    rest = rest_now
                else:
                    rest += line
            else:
                yield rest + line
                rest = ""
        yield rest


@dataclass
class Encoded:
    """Words, the frequent ones first, with their counts, and the corpus as a file of their numbers.

    tokens: how many the corpus has, those among them that are no words included.
    """

    words: list[str]
    counts: numpy.ndarray  # (words,) int64
    tokens: int
    path: Path
    starts: numpy.ndarray  # where pieces begin in the file, and the end, int64
    home: tempfile.TemporaryDirectory  # goes, with the file, when nobody needs this any more

    def __len__(self) -> int:
        """How many pieces there are."""
        return len(self.starts) - 1

    def piece(self, k: int) -> numpy.ndarray:
        """Whole sentences, int32, an END after each."""
        begin, end = self.starts[k : k + 2].tolist()
        return numpy.fromfile(self.path, numpy.int32, end - begin, offset=4 * begin)


class _Counting:
    """The first reading: words get numbers as they come, from 1 on."""

    def __init__(self, max_vocab):
        self.max_vocab = max_vocab
        self.fresh = itertools.count(1)
        self.numbers = collections.defaultdict(self.fresh.__next__)
        self.counts = numpy.zeros(1, numpy.int64)
        self.rare = 0

    def write(self, corpus, file):
        """All tokens to the file, each sentence followed by _END."""
        block = []
        for tokens in token_lists(corpus):
            block += map(self.numbers.__getitem__, tokens)
            block.append(_END)
            if len(block) >= BLOCK:
                self.flush(block, file)
                block = []
        self.flush(block, file)

    def flush(self, block, file):
        block = numpy.array(block, numpy.int32)
        block.tofile(file)
        found = numpy.bincount(block, minlength=len(self.counts))
        found[: len(self.counts)] += self.counts
        self.counts = found
        while self.max_vocab is not None and len(self.numbers) > self.max_vocab:
            self.rare += 1  # a word that comes again gets a new number, and is counted anew
            kept = {w: n for w, n in self.numbers.items() if self.counts[n] > self.rare}
            self.numbers = collections.defaultdict(self.fresh.__next__, kept)


def encode(
    corpus,
    min_count: int = 5,
    max_vocab: int | None = None,
    max_words: int | None = None,
    folder=None,
) -> Encoded:
    """Read a corpus once; words that occur min_count times, the frequent ones first, then as they came.

    corpus: see `token_lists`; it is read once, so an iterator will do.
    max_vocab: while reading, whenever the table holds more words than this, those seen once are
    forgotten, the next time those seen twice, and so on; counts of rare words are then too low.
    max_words: at most so many words are kept in the end. folder: where the file of numbers may stand,
    4 bytes a token; by default the folder for temporary files. Raises ValueError if nothing is left.
    """
    if min_count < 1:
        raise ValueError(f"encode: min_count must be 1 or more, not {min_count}")
    home = tempfile.TemporaryDirectory(prefix="minigrad-", dir=folder)
    path = Path(home.name) / "numbers"
    counting = _Counting(max_vocab)
    with open(path, "wb") as file:
        counting.write(corpus, file)
    tokens = int(counting.counts[1:].sum())
    if not tokens:
        raise ValueError("encode: the corpus is empty: it has not a single token")
    names = list(counting.numbers)
    numbers = numpy.fromiter(counting.numbers.values(), numpy.int64, len(names))
    counts = counting.counts[numbers]
    order = numpy.argsort(-counts, kind="stable")
    order = order[counts[order] >= min_count][:max_words]
    if not len(order):
        raise ValueError(
            f"encode: none of the {len(names):,} words occurs {min_count} times (the most frequent one "
            f"{counts.max()} times): lower min_count, or give more text"
        )
    final = numpy.full(len(counting.counts), _GONE, numpy.int32)
    final[_END] = END
    final[numbers[order]] = numpy.arange(len(order))
    starts = _rewrite(path, final)
    words = [names[k] for k in order.tolist()]
    return Encoded(words, counts[order], tokens, path, starts, home)


def _rewrite(path, final):
    """Give the words in the file their final numbers, in place; where pieces begin, and the end."""
    starts, read, written, after = [0], 0, 0, END
    least = min(PIECE, path.stat().st_size // 4 // PIECES)
    with open(path, "r+b") as file:
        while True:
            file.seek(4 * read)
            block = numpy.fromfile(file, numpy.int32, BLOCK)
            if not len(block):
                break
            read += len(block)
            block = final[block]
            block = block[block != _GONE]
            before = numpy.concatenate([[after], block[:-1]])[: len(block)]
            block = block[(block != END) | (before != END)]  # sentences that are empty now
            if not len(block):
                continue
            after = block[-1]
            for end in (numpy.flatnonzero(block == END) + written + 1).tolist():
                if end - starts[-1] > least:
                    starts.append(end)
            file.seek(4 * written)
            block.tofile(file)
            written += len(block)
        file.truncate(4 * written)
    if starts[-1] < written:
        starts.append(written)
    return numpy.array(starts)
