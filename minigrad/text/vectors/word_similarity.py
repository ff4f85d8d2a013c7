"""How good word vectors are: pairs of words that people rated, and analogies.

    for result in evaluate_similarity(vectors): print(result)
    print(evaluate_analogies(vectors).total.accuracy)

Similarity: Spearman's correlation of the pairs' cosines with people's ratings. Analogies: a is to b as
c is to ?, right if the word with the greatest cosine to b - a + c, the three words left out, is the
one expected (Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy

from ...extra import need
from ..datasets import FILES, _file, _lines
from .words import EPSILON, WordVectors

Pair = tuple[str, str, float]

_EVAL = "https://raw.githubusercontent.com/mfaruqui/eval-word-vectors/94b3dd9/data/word-sim/"
_WORD2VEC = "https://raw.githubusercontent.com/tmikolov/word2vec/20c129a/"

# name: (file, sha256, pairs); ratings by people: Finkelstein et al. 2002 and, parted into similar and
# related words, Agirre et al. 2009; Hill et al. 2015; Bruni et al. 2014; Rubenstein & Goodenough 1965;
# Miller & Charles 1991; Luong et al. 2013; Radinsky et al. 2011
_SETS = {
    "WS-353": (
        "EN-WS-353-ALL.txt",
        "ce12919b240af45bdf46d243601eaca2b6212b159b5e7e9b435ee7ee40c5619c",
        353,
    ),
    "WS-353-SIM": (
        "EN-WS-353-SIM.txt",
        "f1da938998863c94e53f72f984a5c6e215f0b46c323aae8f0f4930703a339107",
        203,
    ),
    "WS-353-REL": (
        "EN-WS-353-REL.txt",
        "66a7c88100624d0a391605ff61ce84e11d11ee620d51ec0298da49592838f8fa",
        252,
    ),
    "SimLex-999": (
        "EN-SIMLEX-999.txt",
        "405394ffb7d25f6d0e3c041f87c9f27d29dc6b047506769953e85c4523b11685",
        999,
    ),
    "MEN": (
        "EN-MEN-TR-3k.txt",
        "888b13580faa362c7b11da0a670258cf1b1eb4bf0ecbcd418918729a3bd3f43a",
        3000,
    ),
    "RG-65": (
        "EN-RG-65.txt",
        "c243f3a91c3f5d8cf67f21a67f6fb80bde8b6bb060851a6a48e6f2d68ec98c9f",
        65,
    ),
    "MC-30": (
        "EN-MC-30.txt",
        "33ee05911496ff83d95cac351d0746c6f63b9181b605cb7d307f4daa8864511b",
        30,
    ),
    "RW": (
        "EN-RW-STANFORD.txt",
        "5108d54dfc746f44f9c3d7e31d2857c37cf71430bc1594175a61a3b89bb0ae1f",
        2034,
    ),
    "MTurk-287": (
        "EN-MTurk-287.txt",
        "a9ae3a9decb75a9700fe0cf18b048c1344774d9f40e0196baf8e34d4cd9d1ce5",
        287,
    ),
}
SETS = tuple(_SETS)
ANALOGIES = "analogy/questions-words.txt"
FILES.update({f"wordsim/{name}": (_EVAL + name, digest) for name, digest, _ in _SETS.values()})
FILES[ANALOGIES] = (
    _WORD2VEC + "questions-words.txt",
    "8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",
)


def word_pairs(name: str) -> list[Pair]:
    """The pairs (one, other, rating) of one of `SETS`, found on disk or fetched."""
    if name not in _SETS:
        raise ValueError(f"word_pairs: there is no set {name!r}; there are: {', '.join(SETS)}")
    file, _, count = _SETS[name]
    pairs = []
    for place, line in _lines(f"wordsim/{file}"):
        pairs.append(_pair(place, line))
    if len(pairs) != count:
        raise ValueError(f"{name}: expected {count} pairs, found {len(pairs)}")
    return pairs


def _pair(place: str, line: str) -> Pair:
    parts = line.split()
    try:
        one, other, rating = parts
        return one, other, float(rating)
    except ValueError as error:
        raise ValueError(f"{place}: expected two words and a number, got {line[:60]!r}") from error


@dataclass
class Similarity:
    """One set's result. spearman is NaN where less than two pairs are left to rank."""

    name: str
    spearman: float
    used: int
    pairs: int
    unseen: list[str] = field(default_factory=list, repr=False)

    def __str__(self) -> str:
        return f"{self.name}: Spearman {self.spearman:.4f}, {self.used} of {self.pairs} pairs"


def evaluate_similarity(
    vectors: WordVectors,
    sets: Sequence[str] | str = SETS,
    unseen: str = "skip",
    lower: bool = True,
) -> list[Similarity]:
    """Spearman's correlation for each set, with how many pairs it is of and which words are unseen.

    unseen: "skip" leaves out the pairs of which a word has no vector; "zero" takes 0 for their
    cosine, so that all pairs count. lower: look words up in lower case if not found as they are.
    """
    if unseen not in ("skip", "zero"):
        raise ValueError(f"evaluate_similarity: unseen must be 'skip' or 'zero', not {unseen!r}")
    sets = [sets] if isinstance(sets, str) else sets
    return [similarity_of(vectors, name, word_pairs(name), unseen, lower) for name in sets]


def similarity_of(
    vectors: WordVectors,
    name: str,
    pairs: Iterable[Pair],
    unseen: str = "skip",
    lower: bool = True,
) -> Similarity:
    """The result for pairs of one's own; see `evaluate_similarity`."""
    pairs = list(pairs)
    cosines, ratings, missing = [], [], {}
    used = 0
    for one, other, rating in pairs:
        rows = [_look_up(vectors, word, lower) for word in (one, other)]
        absent = [word for word, row in zip((one, other), rows, strict=True) if row is None]
        missing.update(dict.fromkeys(absent))
        if absent and unseen == "skip":
            continue
        used += not absent
        cosines.append(0.0 if absent else float(rows[0] @ rows[1]))
        ratings.append(rating)
    return Similarity(name, _spearman(cosines, ratings), used, len(pairs), list(missing))


def _look_up(vectors: WordVectors, word: str, lower: bool):
    for form in (word, word.lower()) if lower else (word,):
        if form in vectors.index:
            return vectors.unit(form)
    row = vectors.get(word.lower() if lower else word)  # vectors from subwords know every word
    return None if row is None else vectors.unit(row)


def _spearman(cosines, ratings) -> float:
    if len(set(cosines)) < 2 or len(set(ratings)) < 2:
        return float("nan")
    stats = need("scipy.stats", "scipy", extra="models")
    return float(stats.spearmanr(cosines, ratings).statistic)


@dataclass
class Section:
    """Analogies of one kind: how many are right of those of which all four words are known."""

    name: str
    right: int
    asked: int
    questions: int

    @property
    def accuracy(self) -> float:
        """The share that is right; NaN if none could be asked."""
        return self.right / self.asked if self.asked else float("nan")

    def __str__(self) -> str:
        return f"{self.name}: {self.accuracy:.2%}, {self.right} of {self.asked} ({self.questions})"


@dataclass
class Analogies:
    """The results by section; those called gram... are about grammar, the others about meaning."""

    sections: list[Section]

    @property
    def semantic(self) -> Section:
        """All sections about meaning together."""
        return self._sum("semantic", [s for s in self.sections if not s.name.startswith("gram")])

    @property
    def syntactic(self) -> Section:
        """All sections about grammar together."""
        return self._sum("syntactic", [s for s in self.sections if s.name.startswith("gram")])

    @property
    def total(self) -> Section:
        """All together."""
        return self._sum("total", self.sections)

    def _sum(self, name, sections) -> Section:
        counts = zip(*((s.right, s.asked, s.questions) for s in sections), strict=True)
        return Section(name, *(map(sum, counts) if sections else (0, 0, 0)))


Questions = dict[str, list[tuple[str, str, str, str]]]


def analogy_questions(path=None) -> Questions:
    """The questions (a, b, c, d) of each section: a is to b as c is to d.

    path: a file like questions-words.txt, which is found on disk or fetched where none is given:
    lines ": section", then lines of four words.
    """
    path = _file(ANALOGIES) if path is None else Path(path)
    sections: Questions = {}
    found = None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            words = line.split()
            if words[:1] == [":"]:
                found = sections.setdefault(" ".join(words[1:]), [])
            elif words:
                if len(words) != 4 or found is None:
                    raise ValueError(
                        f"{path}:{number}: expected four words below a line ': section', got "
                        f"{line[:60]!r}"
                    )
                found.append(tuple(words))
    return sections


def evaluate_analogies(
    vectors: WordVectors,
    questions: Questions | None = None,
    among: int | None = None,
    lower: bool = True,
    method: str = "add",
    batch: int = 256,
) -> Analogies:
    """How many analogies the nearest word answers, the three words of the question left out.

    Asked are the questions of which all four words are among the first `among` words (all words,
    where it is None), and answers are looked for among the same. lower: words are taken in lower
    case. method: "add" (3CosAdd) or "mul" (3CosMul), see WordVectors.most_similar. A batch of
    questions is one matrix product (batch, size) x (size, words).
    """
    if method not in ("add", "mul"):
        raise ValueError(f"evaluate_analogies: method must be 'add' or 'mul', not {method!r}")
    questions = analogy_questions() if questions is None else questions
    units = vectors.units[:among]
    results = []
    for name, asked in questions.items():
        ids = []
        for words in asked:
            places = [vectors.index.get(w.lower() if lower else w, len(units)) for w in words]
            if max(places) < len(units):
                ids.append(places)
        ids = numpy.array(ids, numpy.int64).reshape(-1, 4)
        right = 0
        for begin in range(0, len(ids), batch):
            a, b, c, expected = ids[begin : begin + batch].T
            scores = _scores(units, a, b, c, method)
            rows = numpy.arange(len(a))[:, None]
            scores[rows, numpy.stack([a, b, c], axis=1)] = -numpy.inf
            right += int((scores.argmax(axis=1) == expected).sum())
        results.append(Section(name, right, len(ids), len(asked)))
    return Analogies(results)


def _scores(units, a, b, c, method):
    """(questions, words): the greater, the better an answer; their scale is of no matter."""
    if method == "add":
        return (units[b] - units[a] + units[c]) @ units.T
    cosines = [(1 + units[k] @ units.T) / 2 for k in (a, b, c)]
    return cosines[1] * cosines[2] / (cosines[0] + EPSILON)
