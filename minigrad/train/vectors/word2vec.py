"""Train word2vec and fastText on text of any size, on all cores: `train_word2vec`, `train_fasttext`.

The corpus is read once, by `text.encoded.encode`, which counts the words and keeps the text as a file
of numbers; the epochs read that file in pieces. Threads take piece after piece and update the same
tables with nothing that keeps them apart ("Hogwild", Niu et al. 2011). The arithmetic, and the papers,
are in kernels/word2vec.py; minigrad/models/word2vec.py has the same models as modules.
"""

import itertools
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy

from ...kernels.subwords import subword_buckets
from ...kernels.threads import get_threads
from ...kernels.word2vec import word2vec
from ...models.word2vec import huffman
from ...text.encoded import Encoded, encode
from ...text.vectors.subwords import BUCKETS, SubwordVectors
from ...text.vectors.words import WordVectors

BLOCK = 4096  # words whose vectors are composed at once
POWER = 0.75  # words are drawn in proportion to counts ** POWER


@dataclass
class Report:
    """How far a training run is."""

    epoch: int  # the one that is running, from 1 on
    done: float  # 0 to 1
    tokens_per_second: float
    alpha: float
    loss: float | None  # the mean of a prediction's loss, since the last report, if it is measured


def train_word2vec(
    corpus,
    dim: int = 100,
    window: int = 5,
    min_count: int = 5,
    negative: int = 5,
    sg: bool = True,
    hs: bool = False,
    epochs: int = 5,
    sample: float = 1e-3,
    alpha: float = 0.025,
    min_alpha: float = 1e-4,
    threads: int | None = None,
    seed: int = 0,
    progress: bool | Callable[[Report], None] = False,
    **options,
) -> WordVectors:
    """Vectors of the words that occur min_count times in a corpus.

    corpus: an iterable of token lists, which is read once, or paths of text files, plain or .gz, with
    a sentence a line and blanks between tokens; or an `Encoded` one.
    sg: skip-gram, else CBOW. hs: hierarchical softmax, else `negative` drawn words.
    window: 1 to so many words to either side, at random. sample: words whose share of the text is
    larger are left out at random, the more often the more frequent; 0 keeps all.
    alpha falls to min_alpha in equal steps. progress: True prints lines; a function gets Reports.
    options: see `Trainer`.

    With threads=1 the same seed gives the same vectors; with more it does not, for threads overwrite
    each other's updates now and then, by chance. Raises ValueError for an empty corpus, one in which
    no word is frequent enough, and options out of range.
    """
    trainer = Trainer(
        corpus, dim, window, min_count, negative, sg, hs, sample, threads, seed, **options
    )
    trainer.train(epochs, alpha, min_alpha, progress)
    return trainer.vectors()


def train_fasttext(
    corpus, minn: int = 3, maxn: int = 6, buckets: int = BUCKETS, alpha: float = 0.05, **options
) -> SubwordVectors:
    """Vectors made of n-grams of minn to maxn characters, also for words that are not in the corpus.

    The other options are those of `train_word2vec`. The buckets take buckets * dim * 4 bytes.
    """
    return train_word2vec(corpus, alpha=alpha, subwords=(minn, maxn, buckets), **options)


class Trainer:
    """The tables, and what is drawn from: for training in several goes, or looking inside.

    `inputs` (rows, dim): the words' rows, then the buckets; `outputs`: rows of the words, or of the
    inner nodes of the Huffman tree. corrected: see kernels/word2vec.py. measure: sum up the loss,
    which takes time. max_vocab, max_words, folder: see `encode`.
    """

    def __init__(
        self,
        corpus,
        dim: int = 100,
        window: int = 5,
        min_count: int = 5,
        negative: int = 5,
        sg: bool = True,
        hs: bool = False,
        sample: float = 1e-3,
        threads: int | None = None,
        seed: int = 0,
        subwords: tuple[int, int, int] | None = None,
        corrected: bool = False,
        measure: bool = False,
        max_vocab: int | None = None,
        max_words: int | None = None,
        folder=None,
    ):
        _at_least(1, dim=dim, window=window, threads=1 if threads is None else threads)
        _at_least(0, negative=negative, sample=sample, seed=seed)
        if not negative and not hs:
            raise ValueError(
                "word2vec: negative is 0, and hs is off: there is nothing to learn from"
            )
        if subwords and not (1 <= subwords[0] <= subwords[1] and subwords[2] >= 1):
            raise ValueError(
                "word2vec: subwords is (minn, maxn, buckets) with 1 <= minn <= maxn and 1 or more "
                f"buckets, not {subwords}"
            )
        if not isinstance(corpus, Encoded):
            corpus = encode(corpus, min_count, max_vocab, max_words, folder)
        self.corpus, self.subwords, self.seed = corpus, subwords, seed
        self.threads = threads or get_threads()
        self.options = bool(sg), window, 0 if hs else negative, corrected, measure
        counts, size = corpus.counts, len(corpus.words)
        self.keep = keep_chances(counts, sample)
        if hs:
            self.predict = paths(counts)
        else:
            self.predict = alias_table(counts**POWER)
        self.made_of = _NONE
        if subwords:
            self.made_of = subword_rows(corpus.words, *subwords)
        rows = size + (subwords[2] if subwords else 0)
        wide = (1.0 if subwords else 0.5) / dim
        self.inputs = numpy.random.default_rng(seed).random((rows, dim), numpy.float32)
        self.inputs -= 0.5
        self.inputs *= 2 * wide
        self.outputs = numpy.zeros((max(1, size - 1) if hs else size, dim), numpy.float32)
        self.trained = 0  # epochs, since the start

    def train(
        self,
        epochs: int = 5,
        alpha: float = 0.025,
        min_alpha: float = 1e-4,
        progress: bool | Callable[[Report], None] = False,
    ) -> None:
        """Read the corpus so many times; alpha falls to min_alpha in equal steps."""
        _at_least(1, epochs=epochs)
        if not 0 <= min_alpha <= alpha:
            raise ValueError(
                f"word2vec: expected 0 <= min_alpha <= alpha, got alpha {alpha}, min_alpha {min_alpha}"
            )
        run = _Run(self, epochs, alpha, min_alpha, _print if progress is True else progress)
        if self.threads == 1:
            run.work()
        else:
            run.spread(self.threads)
        self.trained += epochs

    def vectors(self) -> WordVectors:
        """The words' vectors as they are now."""
        words, inputs = self.corpus.words, self.inputs
        if not self.subwords:
            return WordVectors(words, inputs)
        starts, rows = self.made_of
        means = numpy.empty((len(words), inputs.shape[1]), inputs.dtype)
        for first in range(0, len(words), BLOCK):  # the rows of all words at once would be many
            ends = starts[first : first + BLOCK + 1]
            found = inputs[rows[ends[0] : ends[-1]]]
            sums = numpy.add.reduceat(found, ends[:-1] - ends[0])
            means[first : first + BLOCK] = sums / numpy.diff(ends)[:, None]
        return SubwordVectors(words, inputs, *self.subwords[:2], vectors=means)


class _Run:
    """The pieces of all epochs, to be taken by threads one after another."""

    def __init__(self, trainer, epochs, alpha, min_alpha, tell):
        self.trainer, self.alpha, self.min_alpha, self.tell = trainer, alpha, min_alpha, tell
        self.epochs = epochs
        self.total = int(trainer.corpus.starts[-1]) * epochs
        self.fall = (alpha - min_alpha) / max(1, self.total)
        self.pieces = itertools.count()
        self.count = len(trainer.corpus) * epochs
        self.lock = threading.Lock()
        self.done, self.losses, self.predictions = 0, 0.0, 0
        self.began = self.told = time.perf_counter()
        self.error = None

    def work(self):
        """Train on piece after piece."""
        trainer, corpus = self.trainer, self.trainer.corpus
        train = word2vec[numpy]
        for number in iter(self.pieces.__next__, None):
            if number >= self.count or self.error is not None:
                return
            epoch, k = divmod(number, len(corpus))
            place = epoch * int(corpus.starts[-1]) + int(corpus.starts[k])
            rates = self.alpha - self.fall * place, self.fall, self.min_alpha
            ids = corpus.piece(k)
            losses, count = train(
                ids,
                trainer.keep,
                trainer.inputs,
                trainer.outputs,
                trainer.made_of,
                trainer.predict,
                trainer.options,
                rates,
                _seed(trainer.seed, trainer.trained + epoch, k),
            )
            with self.lock:
                self.note(len(ids), losses, count)

    def note(self, size, losses, count):
        """A piece is done: tell, at most once a second, and at the end."""
        self.done += size
        self.losses += losses
        self.predictions += count
        now = time.perf_counter()
        if self.tell and (now - self.told >= 1 or self.done == self.total):
            share, corpus = self.done / self.total, self.trainer.corpus
            epoch = min(self.epochs, 1 + int(share * self.epochs))
            speed = share * self.epochs * corpus.tokens / (now - self.began)
            measured = self.trainer.options[-1] and self.predictions
            loss = self.losses / self.predictions if measured else None
            self.tell(Report(epoch, share, speed, self.alpha - self.fall * self.done, loss))
            self.told, self.losses, self.predictions = now, 0.0, 0

    def spread(self, count):
        """Work in so many threads; an error in one ends all."""

        def guarded():
            try:
                self.work()
            except BaseException as error:
                self.error = self.error or error

        threads = [threading.Thread(target=guarded, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:
            self.error = error
            raise
        if self.error is not None:
            raise self.error


def _seed(*numbers: int) -> int:
    """64 bits, not all 0, from a few numbers: each piece of each epoch has its own."""
    return int(numpy.random.SeedSequence(numbers).generate_state(1, numpy.uint64)[0]) or 1


def _at_least(least, **options):
    for name, value in options.items():
        if value < least:
            raise ValueError(f"word2vec: {name} must be {least} or more, not {value}")


def _print(report: Report) -> None:
    loss = "" if report.loss is None else f", loss {report.loss:.4f}"
    print(
        f"epoch {report.epoch}, {report.done:6.1%}, {report.tokens_per_second:,.0f} words/s, "
        f"alpha {report.alpha:.4f}{loss}",
        file=sys.stderr,
        flush=True,
    )


def keep_chances(counts: numpy.ndarray, sample: float) -> numpy.ndarray:
    """2^32 times the chance that a word stays, uint32: sqrt(t / f) + t / f for t = sample, f its share.

    The paper has 1 - sqrt(t / f) for the chance to go; this is what the program word2vec does.
    """
    if not sample:
        return numpy.full(len(counts), 0xFFFFFFFF, numpy.uint32)
    ratio = sample * counts.sum() / counts
    return (numpy.minimum(1, numpy.sqrt(ratio) + ratio) * 0xFFFFFFFF).astype(numpy.uint32)


def alias_table(weights: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(share, alias) to draw i in proportion to weights[i]: a uniform i stays with share[i] / 2^32.

    If it doesn't stay, alias[i] is drawn. Walker 1977; Vose 1991: each small one is filled up by a
    large one.
    """
    size = len(weights)
    filled = (weights / weights.sum() * size).tolist()
    share, alias = [1.0] * size, list(range(size))
    small = [i for i in range(size) if filled[i] < 1]
    large = [i for i in range(size) if filled[i] >= 1]
    while small and large:
        low, high = small.pop(), large[-1]
        share[low], alias[low] = filled[low], high
        filled[high] -= 1 - filled[low]
        if filled[high] < 1:
            small.append(large.pop())
    return (numpy.array(share) * 0xFFFFFFFF).astype(numpy.uint32), numpy.array(alias, numpy.int32)


def paths(counts: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """(starts, points, codes): the words' paths in a Huffman tree, one after another."""
    points, codes = huffman(counts.tolist())
    starts = numpy.concatenate([[0], numpy.cumsum([len(path) for path in points])])
    flat = itertools.chain.from_iterable
    return (
        starts,
        numpy.fromiter(flat(points), numpy.int32, starts[-1]),
        numpy.fromiter(flat(codes), numpy.int8, starts[-1]),
    )


def subword_rows(words: list[str], minn: int, maxn: int, buckets: int):
    """(starts, rows): of each word its own row and those of its n-grams, which follow the words'."""
    padded = [f"<{word}>".encode() for word in words]
    text = numpy.frombuffer(b"".join(padded), numpy.uint8).astype(numpy.int64)
    ends = numpy.cumsum([len(word) for word in padded])
    starts, found = subword_buckets[numpy](text, ends, minn, maxn, buckets)
    rows = numpy.insert(found + len(words), starts[:-1], numpy.arange(len(words)))
    return starts + numpy.arange(len(starts)), rows.astype(numpy.int32)


_NONE = numpy.empty(0, numpy.int64), numpy.empty(0, numpy.int32)
