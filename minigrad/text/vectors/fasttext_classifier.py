"""fastText classifiers, read from .bin and .ftz files: labels of texts with their probabilities.

    languages = FastTextClassifier.load("lid.176.ftz")
    languages.predict("Guten Morgen")                 # [("de", 0.99...)]

A text is the mean of the rows of its words, their subwords and its word n-grams (Joulin et al. 2016,
"Bag of Tricks for Efficient Text Classification"). Labels come from a softmax, from a sigmoid each,
or from a Huffman tree of sigmoids (hierarchical softmax, Mikolov et al. 2013).
"""

import numpy

from ..ngrams import ngram_buckets
from .fasttext_files import END_OF_LINE, LOSSES, FastTextModel, read_fasttext

PREFIX = "__label__"
SPACES = str.maketrans(dict.fromkeys("\n\r\t\v\f\0", " "))  # what ends a word for fastText
TINY = 1e-5  # fastText takes log(p + 1e-5) for log(p)


class FastTextClassifier:
    """A trained fastText classifier: `labels` without their prefix, and `predict`."""

    def __init__(self, model: FastTextModel):
        if not model.supervised:
            raise ValueError("FastTextClassifier: the model has word vectors only, no labels")
        self.model = model
        self.labels = [label.removeprefix(PREFIX) for label in model.labels]
        self.output = model.output[numpy.arange(len(model.labels))]
        self.loss = LOSSES[model.settings["loss"]]
        self.tree = huffman(model.label_counts) if self.loss == "hs" else None

    @classmethod
    def load(cls, path, errors: str = "backslashreplace") -> "FastTextClassifier":
        """Read a model file; see `read_fasttext`."""
        return cls(read_fasttext(path, errors))

    def input_rows(self, text: str) -> list[int]:
        """The rows of the input matrix that make a text: of words, subwords and word n-grams."""
        model, settings = self.model, self.model.settings
        words = [word for word in text.translate(SPACES).split(" ") if word] + [END_OF_LINE]
        words = [word for word in words if word in model.index or not word.startswith(PREFIX)]
        rows = []
        for word in words:
            known = word in model.index
            if known or settings["maxn"] > 0:
                rows += model.input_rows(word)
        if settings["word_ngrams"] > 1 and settings["bucket"]:
            rows += model.rows(ngram_buckets(words, settings["word_ngrams"], settings["bucket"]))
        return rows

    def predict(self, text: str, k: int = 1, threshold: float = 0.0) -> list[tuple[str, float]]:
        """The k labels with the greatest probabilities, at least `threshold`, the best first.

        As in fastText a probability is p + 1e-5; a text without anything known has no labels.
        """
        rows = self.input_rows(text)
        if not rows:
            return []
        hidden = self.model.input[numpy.array(rows)].mean(axis=0)
        scores = self.output @ hidden
        if self.loss == "hs":
            chances = numpy.exp(self._down_the_tree(scores))
        elif self.loss == "softmax":
            powers = numpy.exp(scores - scores.max())
            chances = powers / powers.sum() + TINY
        else:
            chances = _sigmoid(_on_grid(scores)) + TINY
        order = numpy.argsort(-chances, kind="stable")[:k]
        return [(self.labels[i], float(chances[i])) for i in order if chances[i] >= threshold]

    def _down_the_tree(self, scores):
        """log p of each label: the sum of log sigmoid(+-score) on its way from the root."""
        count = len(self.labels)
        right = _sigmoid(scores.astype(numpy.float64))
        to_left, to_right = numpy.log(1 - right + TINY), numpy.log(right + TINY)
        logs = numpy.zeros(2 * count - 1)
        for node in range(2 * count - 2, count - 1, -1):  # a parent comes after its children
            left, other = self.tree[node - count]
            logs[left] = logs[node] + to_left[node - count]
            logs[other] = logs[node] + to_right[node - count]
        return logs[:count]


def huffman(counts) -> list[tuple[int, int]]:
    """The (left, right) children of the inner nodes of a Huffman tree over falling counts.

    Nodes 0 .. n-1 are the leaves, n .. 2n-2 the inner nodes in the order in which they are made, each
    of the two rarest nodes that have no parent yet; the last one is the root. Equal counts are taken
    in fastText's order.
    """
    size = len(counts)
    weights = [int(n) for n in counts]
    if any(a < b for a, b in zip(weights, weights[1:], strict=False)):
        raise ValueError("huffman: the counts must fall, or stay the same")
    children = []
    leaf, node = size - 1, size
    for _ in range(size - 1):
        pair = []
        for _ in range(2):
            inner = weights[node] if node < len(weights) else 10**15
            if leaf >= 0 and weights[leaf] < inner:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(node)
                node += 1
        weights.append(weights[pair[0]] + weights[pair[1]])
        children.append(tuple(pair))
    return children


def _sigmoid(x):
    with numpy.errstate(over="ignore"):
        return 1 / (1 + numpy.exp(-x))


def _on_grid(x):
    """x rounded down to 32nds: fastText reads the sigmoid from a table from -8 to 8, 0 and 1 beyond."""
    grid = numpy.floor((x + 8) * 32) / 32 - 8
    return numpy.where(x < -8, -numpy.inf, numpy.where(x > 8, numpy.inf, grid))
