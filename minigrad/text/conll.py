"""Tagged sentences: the files of CoNLL-2003 and CoNLL-U, and the ways of marking entities by tags.

    IOB1    I-X inside an entity, B-X only where one of the same type follows another directly
    IOB2    B-X on an entity's first word, I-X on the others
    IOBES   IOB2, with E-X on the last word and S-X on a single one
    O       outside, in all of them

CoNLL-2003: Tjong Kim Sang & De Meulder 2003; CoNLL-U: universaldependencies.org/format.html. The
schemes: Ramshaw & Marcus 1995, Ratinov & Roth 2009.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files import atomic
from .datasets import _content, _file

Sentence = tuple[list[str], list[str]]  # words, tags

CONLL_2003 = ("word", "pos", "chunk", "ner")
CONLL_U = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")


# -- tags ----------------------------------------------------------------------------------------


def _parts(tag: str, prefixes: str, scheme: str) -> tuple[str, str]:
    """("B", "PER") of "B-PER", ("O", "") of "O"."""
    prefix, dash, kind = tag.partition("-")
    if tag == "O" or (dash and kind and prefix in tuple(prefixes)):
        return prefix, kind
    raise ValueError(f"{tag!r} is no {scheme} tag: expected O or {'|'.join(prefixes)}-TYPE")


def iob1_to_iob2(tags: Sequence[str]) -> list[str]:
    """IOB2 of IOB1: every entity starts with B. Tags of IOB2 stay as they are."""
    found, before = [], ("O", "")
    for tag in tags:
        prefix, kind = _parts(tag, "BI", "IOB1")
        starts = prefix == "I" and before[1] != kind
        found.append(f"B-{kind}" if starts else tag)
        before = prefix, kind
    return found


def _iob2_parts(tags: Sequence[str]) -> list[tuple[str, str]]:
    parts = [_parts(tag, "BI", "IOB2") for tag in tags]
    for place, (prefix, kind) in enumerate(parts):
        if prefix == "I" and (place == 0 or parts[place - 1][1] != kind):
            raise ValueError(
                f"I-{kind} at place {place} continues no entity: these tags are not IOB2 "
                "(iob1_to_iob2 makes them so)"
            )
    return parts


def iob2_to_iob1(tags: Sequence[str]) -> list[str]:
    """IOB1 of IOB2: B only where the word before belongs to another entity of the same type."""
    parts = _iob2_parts(tags)
    found = list(tags)
    for place, (prefix, kind) in enumerate(parts):
        if prefix == "B" and (place == 0 or parts[place - 1][1] != kind):
            found[place] = f"I-{kind}"
    return found


def iob2_to_iobes(tags: Sequence[str]) -> list[str]:
    """IOBES of IOB2."""
    parts = _iob2_parts(tags)
    found = []
    for (prefix, kind), after in itertools.zip_longest(parts, parts[1:]):
        ends = after is None or after[0] != "I"
        found.append({"B": "S", "I": "E"}.get(prefix, "O") if ends else prefix)
        found[-1] += f"-{kind}" if kind else ""
    return found


def iobes_to_iob2(tags: Sequence[str]) -> list[str]:
    """IOB2 of IOBES, tag by tag, so that a model's ill-formed sequences are converted too."""
    turned = {"S": "B", "E": "I"}
    parts = [_parts(tag, "BIES", "IOBES") for tag in tags]
    return [f"{turned.get(prefix, prefix)}-{kind}" if kind else "O" for prefix, kind in parts]


def spans(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """The entities (type, first word, word after the last) of IOB1 or IOB2 tags."""
    found = []
    for place, (prefix, kind) in enumerate(_parts(t, "BI", "IOB2") for t in iob1_to_iob2(tags)):
        if prefix == "B":
            found.append((kind, place, place + 1))
        elif prefix == "I":
            found[-1] = (kind, found[-1][1], place + 1)
    return found


# -- files ---------------------------------------------------------------------------------------


def _text_lines(path: Path) -> Iterator[tuple[str, str]]:
    """(place, line) of a text file, packed (.gz) or not; the place is "file:number"."""
    try:
        text = _content(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: this is no UTF-8 text: {error}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        yield f"{path}:{number}", line.rstrip("\r")


def _sentences(rows: Iterable[tuple[str, str] | None]) -> Iterator[Sentence]:
    """Sentences of (word, tag) rows; None ends one."""
    words: list[str] = []
    tags: list[str] = []
    for row in itertools.chain(rows, [None]):
        if row is not None:
            words.append(row[0])
            tags.append(row[1])
        elif words:
            yield words, tags
            words, tags = [], []


def _column(name: str, columns: Sequence[str]) -> int:
    if name not in columns:
        raise ValueError(f"there is no column {name!r}; there are: {', '.join(columns)}")
    return columns.index(name)


def read_columns(path, column: int = -1, columns: int | None = None) -> list[Sentence]:
    """Files with a word a line, columns apart by blanks, an empty line after each sentence.

    The word is the first column, its tag the given one. `columns`: how many there must be (by
    default as many as on the first line). Lines of -DOCSTART- are left out.
    Raises ValueError with "path:line" for a line of other than so many columns.
    """

    def rows():
        count = columns
        for place, line in _text_lines(Path(path)):
            cells = line.split()
            if not cells or cells[0] == "-DOCSTART-":
                yield None
                continue
            count = count or len(cells)
            if len(cells) != count or count < 2:
                raise ValueError(
                    f"{place}: expected {max(count, 2)} columns apart by blanks, got {line[:60]!r}"
                )
            yield cells[0], cells[column]

    return list(_sentences(rows()))


def read_conll2003(path, column: str = "ner") -> list[Sentence]:
    """Sentences of a CoNLL-2003 file: words, and their tags "ner" (or "chunk") in IOB2, or "pos"."""
    found = read_columns(path, _column(column, CONLL_2003), len(CONLL_2003))
    if column not in ("ner", "chunk"):
        return found
    return [(words, iob1_to_iob2(tags)) for words, tags in found]


def read_conllu(path, column: str = "upos") -> list[Sentence]:
    """Sentences of a CoNLL-U file: the syntactic words and one column of theirs.

    Multiword tokens (ids as 3-4) and empty nodes (as 5.1) are left out.
    Raises ValueError with "path:line" for a line of other than ten columns or out of order.
    """
    wanted = _column(column, CONLL_U)

    def rows():
        last = 0
        for place, line in _text_lines(Path(path)):
            if not line.strip():
                last = 0
                yield None
                continue
            if line.startswith("#"):
                continue
            cells = line.split("\t")
            if len(cells) != len(CONLL_U):
                raise ValueError(
                    f"{place}: expected {len(CONLL_U)} columns apart by tabs, got {len(cells)}: "
                    f"{line[:60]!r}"
                )
            first, mark, _ = cells[0].partition("-")
            if not mark:
                first, mark, _ = cells[0].partition(".")
            if not first.isdecimal() or (not mark and int(first) != last + 1):
                raise ValueError(f"{place}: expected the id {last + 1}, got {cells[0]!r}")
            if not mark:
                last += 1
                yield cells[1], cells[wanted]

    return list(_sentences(rows()))


def write_columns(path, sentences: Iterable[Sequence[Sequence[str]]], header: str = "") -> None:
    """Write sentences, each some columns of equal length (words, tags, ...), whole or not at all.

    A word a line, columns apart by one blank, an empty line after each sentence: what `read_columns`
    reads. Raises ValueError for columns that differ in length, or a cell that is empty or has a blank.
    """
    with atomic(path, "w") as file:
        if header:
            file.write(f"{header}\n\n")
        for number, columns in enumerate(sentences):
            if len({len(column) for column in columns}) != 1 or not columns[0]:
                raise ValueError(
                    f"write_columns: sentence {number} has columns of "
                    f"{[len(column) for column in columns]} cells"
                )
            for cells in zip(*columns, strict=True):
                if any(not cell or len(cell.split()) != 1 for cell in cells):
                    raise ValueError(
                        f"write_columns: sentence {number} has an empty cell or one with a blank: "
                        f"{cells}"
                    )
                file.write(" ".join(cells) + "\n")
            file.write("\n")


# -- data sets -----------------------------------------------------------------------------------


@dataclass
class TaggedDataset:
    """Sentences (words, tags) in three parts; entities: the tags are IOB2 marks of entities."""

    name: str
    train: list[Sentence]
    valid: list[Sentence]
    test: list[Sentence]
    entities: bool = False

    @property
    def tags(self) -> list[str]:
        """All tags of the training part, by alphabet."""
        return sorted({tag for _, tags in self.train for tag in tags})


def _dataset(name, files, read, column, counts, entities) -> TaggedDataset:
    parts = []
    for file, count in zip(files, counts, strict=True):
        path = _file(f"{name}/{file}")
        parts.append(read(path, column))
        if len(parts[-1]) != count:
            raise ValueError(f"{path}: expected {count} sentences, found {len(parts[-1])}")
    return TaggedDataset(name, *parts, entities)


def conll2003(column: str = "ner") -> TaggedDataset:
    """Reuters news of 1996 with persons, places, organizations and others: 14,041/3,250/3,453 sentences.

    The parts eng.train, eng.testa and eng.testb. Raises DataNotFound where the files are missing:
    the text may be had from NIST only, under an agreement.
    """
    files = ("eng.train", "eng.testa", "eng.testb")
    counts = (14041, 3250, 3453)
    entities = column in ("ner", "chunk")
    return _dataset("conll2003", files, read_conll2003, column, counts, entities)


def ud_en_ewt(column: str = "upos") -> TaggedDataset:
    """The English Web Treebank of Universal Dependencies: 12,544/2,001/2,077 sentences."""
    files = [f"en_ewt-ud-{part}.conllu" for part in ("train", "dev", "test")]
    return _dataset("ud_en_ewt", files, read_conllu, column, (12544, 2001, 2077), False)
