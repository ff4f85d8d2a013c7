"""WordVectors: words with their vectors, and the questions one asks of them.

Nearness is the cosine of the angle between two vectors. An analogy, a is to b as c is to ?, asks for
the word whose vector is near to b and c and far from a (Mikolov et al. 2013; Levy & Goldberg 2014).
"""

import functools
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy

from ...generator import Generator
from ...ops.creation import as_tensor
from ...tensor import Tensor
from ..vocab import Vocab

Found = list[tuple[str, float]]  # words with their scores, the best first
EPSILON = 1e-6  # keeps 3CosMul from dividing by zero: Levy & Goldberg 2014 take 0.001, gensim this


class UnknownWord(KeyError):
    """A word without a vector; the message names words that are spelt like it."""

    def __init__(self, word: str, words: Sequence[str] = ()):
        super().__init__(word)
        self.word, self.words = word, words

    @functools.cached_property
    def close(self) -> list[str]:
        """Up to three words of a similar spelling, the frequent ones first among equals."""
        import difflib  # looked for when somebody reads the message, for it takes a while

        word = str(self.word)
        lower, size = word.lower(), len(word)
        near = [
            other
            for other in self.words
            if abs(len(other) - size) < 3
            and (other[:1].lower() == lower[:1] or other[-3:] == word[-3:])
        ]
        found = [other for other in near if other.lower() == lower]
        found += difflib.get_close_matches(word, near, n=3, cutoff=0.75)
        return list(dict.fromkeys(found))[:3]

    def __str__(self) -> str:
        hint = f"; close to it are: {', '.join(map(repr, self.close))}" if self.close else ""
        return f"there is no vector for the word {self.word!r}{hint}"


class WordVectors:
    """Words and an array of their vectors (words, size), float32, in the same order.

    `vectors["film"]` is a vector (size,), `vectors[["a", "film"]]` an array (2, size). A word without
    a vector is an UnknownWord, which is a KeyError. Words usually stand in the order of their
    frequency, the most frequent first.
    """

    def __init__(self, words: Iterable[str], vectors):
        self.words = list(words)
        self.vectors = numpy.asarray(vectors, numpy.float32)
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words):
            raise ValueError(
                f"WordVectors: expected an array ({len(self.words)}, size) for {len(self.words)} "
                f"words, got one of shape {self.vectors.shape}"
            )
        self.index = {word: i for i, word in enumerate(self.words)}
        if len(self.index) < len(self.words):
            twice = next(word for word, n in Counter(self.words).items() if n > 1)
            raise ValueError(f"WordVectors: the word {twice!r} stands more than once in the list")

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self.index

    def __iter__(self):
        return iter(self.words)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,} words, {self.size} numbers each)"

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return self.vectors.shape[1]

    def __getitem__(self, word: str | Sequence[str]) -> numpy.ndarray:
        if isinstance(word, str):
            return self.vector(word)
        rows = [self.vector(w) for w in word]
        return numpy.stack(rows) if rows else numpy.empty((0, self.size), numpy.float32)

    def vector(self, word: str) -> numpy.ndarray:
        """The vector of a word (size,); an UnknownWord if it has none."""
        return self.vectors[self.place(word)]

    def place(self, word: str) -> int:
        """The number of a word; an UnknownWord if it is not among the words."""
        found = self.index.get(word)
        if found is None:
            raise UnknownWord(word, self.words)
        return found

    def get(self, word: str, default=None):
        """The vector of a word, or the default."""
        try:
            return self.vector(word)
        except UnknownWord:
            return default

    @functools.cached_property
    def units(self) -> numpy.ndarray:
        """The vectors at length 1 (words, size); a copy that is made once; zeros stay zeros."""
        lengths = numpy.sqrt(numpy.einsum("ij,ij->i", self.vectors, self.vectors))
        if len(lengths) and abs(lengths - 1).max() < 1e-6:
            return self.vectors
        lengths[lengths == 0] = 1
        return self.vectors / lengths[:, None]

    def normalised(self) -> "WordVectors":
        """The same words with vectors of length 1."""
        found = WordVectors(self.words, self.units)
        found.units = found.vectors
        return found

    def unit(self, word) -> numpy.ndarray:
        """The vector of a word, or a vector, at length 1."""
        if isinstance(word, str):
            if word in self.index:
                return self.units[self.index[word]]
            word = self.vector(word)
        return _unit(numpy.asarray(word, numpy.float32))

    def similarity(self, one: str, other: str) -> float:
        """The cosine of the angle between the vectors of two words."""
        return float(self.unit(one) @ self.unit(other))

    def similarities(self, word) -> numpy.ndarray:
        """The cosines (words,) of a word, or a vector, with all words."""
        return self.units @ self.unit(word)

    def most_similar(
        self,
        positive=(),
        negative=(),
        topn: int = 10,
        method: str = "add",
        among: int | None = None,
    ) -> Found:
        """The words that are near to the positive words and far from the negative ones.

        positive, negative: a word, a vector, or a list of them. The words themselves are never in
        the answer. among: look among the first so many words only, the frequent ones.

        method "add" (3CosAdd): the cosine with the mean of the unit vectors, the negative ones
        turned round. method "mul" (3CosMul, Levy & Goldberg 2014): with cosines moved to 0 .. 1,
        their product over the positive ones divided by that over the negative ones.
        """
        positive, negative = _several(positive), _several(negative)
        if not positive and not negative:
            raise ValueError("most_similar: there must be a positive or a negative word")
        rows = self.units[:among]
        plus = [self.unit(word) for word in positive]
        minus = [self.unit(word) for word in negative]
        if method == "add":
            terms = plus + [-row for row in minus]
            scores = rows @ (terms[0] if len(terms) == 1 else _unit(numpy.sum(terms, axis=0)))
        elif method == "mul":
            scores = numpy.ones(len(rows), numpy.float32)
            for row in plus:
                scores *= (1 + rows @ row) / 2
            for row in minus:
                scores /= (1 + rows @ row) / 2 + EPSILON
        else:
            raise ValueError(f"most_similar: method must be 'add' or 'mul', not {method!r}")
        asked = [self.index.get(w) for w in positive + negative if isinstance(w, str)]
        return self._best(scores, topn, [i for i in asked if i is not None and i < len(rows)])

    def nearest(self, word, topn: int = 10, among: int | None = None) -> Found:
        """The words with the greatest cosine to a word, which is left out, or to a vector."""
        return self.most_similar([word], topn=topn, among=among)

    def analogy(
        self, a: str, b: str, c: str, topn: int = 1, method: str = "add", among: int | None = None
    ) -> Found:
        """a is to b as c is to ?  analogy("man", "king", "woman") asks for the queen."""
        return self.most_similar([b, c], [a], topn, method, among)

    def doesnt_match(self, words: Sequence[str]) -> str:
        """The word that is farthest from the mean of the unit vectors of all of them."""
        words = list(words)
        if not words:
            raise ValueError("doesnt_match: there must be a word at least")
        rows = numpy.stack([self.unit(word) for word in words])
        return words[int((rows @ rows.mean(axis=0)).argmin())]

    def _best(self, scores, topn, without) -> Found:
        scores[without] = -numpy.inf
        count = min(topn, len(scores) - len(set(without)))
        if count < 1:
            return []
        least = numpy.partition(scores, len(scores) - count)[len(scores) - count]
        places = numpy.flatnonzero(scores >= least)  # equals of the last one too
        places = places[numpy.argsort(-scores[places], kind="stable")][:count]
        return [(self.words[i], float(scores[i])) for i in places]

    def chosen(self, words: Iterable[str]) -> "WordVectors":
        """The vectors of these words only, in this order."""
        words = list(words)
        return WordVectors(words, self[words])

    def known(self, words: Iterable[str], lower: bool = False) -> list[str]:
        """The words that have a vector, as they are, or in lower case where `lower` allows that."""
        return [w for w in words if w in self or (lower and w.lower() in self)]

    def matrix(
        self,
        vocab: Vocab | Sequence[str],
        unknown="uniform",
        lower: bool = False,
        padding: str | None = "<pad>",
        seed: int = 0,
    ) -> Tensor:
        """A tensor (vocabulary, size) for nn.Embedding.from_pretrained.

        unknown: what tokens without a vector get: "zeros"; "mean", the mean of all vectors; a vector
        (size,); or "uniform", numbers from U[-a, a] with the a that gives them the variance of the
        known ones (Kim 2014, section 3.1). lower: a token without a vector gets that of its lower
        case. padding: the token whose row is zero.
        """
        tokens = vocab.itos if isinstance(vocab, Vocab) else list(vocab)
        rows = numpy.empty((len(tokens), self.size), numpy.float32)
        missing = []
        for i, token in enumerate(tokens):
            vector = self.get(token)
            if vector is None and lower:
                vector = self.get(token.lower())
            if vector is None:
                missing.append(i)
            else:
                rows[i] = vector
        rows[missing] = self._instead(unknown, rows, missing, seed)
        if padding in tokens:
            rows[tokens.index(padding)] = 0
        return as_tensor(rows)

    def _instead(self, unknown, rows, missing, seed):
        """Vectors (missing, size) for tokens that have none, or one vector for all of them."""
        if not isinstance(unknown, str):
            vector = unknown.numpy(force=True) if isinstance(unknown, Tensor) else unknown
            vector = numpy.asarray(vector)
            if vector.shape != (self.size,):
                raise ValueError(
                    f"matrix: a vector for unknown words has shape ({self.size},), not {vector.shape}"
                )
            return vector
        if unknown == "zeros":
            return 0
        if unknown == "mean":
            return self.vectors.mean(axis=0) if len(self) else 0
        if unknown != "uniform":
            raise ValueError(
                f"matrix: unknown must be 'uniform', 'zeros', 'mean' or a vector, not {unknown!r}"
            )
        known = numpy.delete(rows, missing, axis=0)
        bound = float(3**0.5 * known.std()) if known.size else 0.25
        draw = Generator().manual_seed(seed)
        numbers = draw.uniform(len(missing) * self.size, numpy.float32, -bound, bound)
        return numbers.reshape(len(missing), self.size)


def _unit(vector):
    length = float(numpy.sqrt(vector @ vector))
    return vector / length if length else vector


def _several(words):
    """A list of words and vectors, of a single one too."""
    if isinstance(words, str) or getattr(words, "ndim", None) == 1:
        return [words]
    return list(words)
