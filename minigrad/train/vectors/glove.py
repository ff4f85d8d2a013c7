"""Training GloVe vectors: co-occurrence counts, then AdaGrad steps over all pairs, epoch by epoch."""

from collections.abc import Callable

import numpy

from ...generator import Generator
from ...kernels.glove import STRIPES, glove_blocks, glove_round
from ...text.cooccurrence import Cooccurrence, count_cooccurrences
from ...text.vectors.words import WordVectors


def train_glove(
    corpus,
    dim: int = 100,
    epochs: int = 25,
    lr: float = 0.05,
    x_max: float = 10.0,
    alpha: float = 0.75,
    window: int = 10,
    min_count: int = 5,
    max_words: int | None = None,
    seed: int = 0,
    each_epoch: Callable[[int, float], None] | None = None,
) -> WordVectors:
    """Vectors of the words of a corpus: lists of tokens, paths of text files, or a Cooccurrence.

    The loss is that of models.GloVe. Every epoch takes one AdaGrad step for every pair (i, j) that
    occurs, in an order drawn once (kernels/glove.py has the formulas). Pennington et al. 2014 take
    x_max 100 for billions of words, their program's demonstration 10 for 17 million. The result is
    the sum of both tables; it is the same for any number of threads.

    each_epoch(epoch, loss): called with the mean of f(x) d^2 over the pairs, as it was on the way.
    """
    for name, value in (("dim", dim), ("epochs", epochs), ("lr", lr), ("x_max", x_max)):
        if not value > 0:
            raise ValueError(f"train_glove: {name} must be greater than 0, not {value}")
    counts = corpus
    if not isinstance(corpus, Cooccurrence):
        counts = count_cooccurrences(corpus, window, min_count, max_words)
    if not len(counts):
        raise ValueError("train_glove: no two words of the corpus occur together")
    training = GloveTraining(counts, dim, lr, x_max, alpha, seed)
    for epoch in range(1, epochs + 1):
        loss = training.epoch()
        if not numpy.isfinite(loss):
            raise RuntimeError(
                f"train_glove: the loss is {loss} in epoch {epoch}: lr {lr} is too great"
            )
        if each_epoch is not None:
            each_epoch(epoch, loss)
    return training.vectors()


class GloveTraining:
    """Tables, AdaGrad's sums, and pairs in blocks: the state of a training; see `train_glove`.

    word, context (V, dim + 1): rows of vectors, their last column the biases.
    """

    def __init__(
        self,
        counts: Cooccurrence,
        dim: int,
        lr: float = 0.05,
        x_max: float = 10.0,
        alpha: float = 0.75,
        seed: int = 0,
    ):
        self.words, self.lr = counts.words, lr
        self.draw = Generator().manual_seed(seed)
        shape = len(self.words), dim + 1
        self.word, self.context = (
            self.draw.uniform(shape[0] * shape[1], numpy.float32, -0.5 / dim, 0.5 / dim).reshape(
                shape
            )
            for _ in range(2)
        )
        self.squares = numpy.ones(shape, numpy.float32), numpy.ones(shape, numpy.float32)
        kinds = zip(("rows", "columns", "values"), ("i4", "i4", "f4"), strict=True)
        pairs = [numpy.require(getattr(counts, name), kind, "CWE") for name, kind in kinds]
        *pairs, self.starts = glove_blocks[numpy](*pairs, counts.symmetric, seed)
        self.rows, self.columns, values = pairs
        self.logs = numpy.log(values)
        values /= x_max
        numpy.minimum(values, 1, out=values)
        values **= alpha
        self.weights = values

    def epoch(self) -> float:
        """One step for every pair, the rounds in random order; the mean of f(x) d^2."""
        tables = self.word, self.squares[0], self.context, self.squares[1]
        loss = 0.0
        for number in self.draw.permutation(STRIPES).tolist():
            loss += glove_round[numpy](
                number * STRIPES, self.starts, self.rows, self.columns, self.weights, self.logs,
                tables, self.lr,
            )  # fmt: skip
        return 2 * loss / len(self.rows)

    def vectors(self) -> WordVectors:
        """The sum of both tables, without the biases."""
        return WordVectors(self.words, (self.word + self.context)[:, :-1].copy())
