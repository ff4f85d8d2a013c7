"""A user's own texts or pairs of texts with labels: files of CSV, TSV or JSON lines as data sets.

    text,label                          {"text": "a fine film", "label": "good"}
    "a fine film",good                  {"text": "a dull film", "label": "bad"}

With two texts before the label, a row is a pair. In CSV and TSV a first row that ends with "label" is
taken for names of the columns; without it the label is the last column.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..generator import Generator
from .datasets import TextDataset
from .pairs import Pair, PairDataset

ENDINGS = (".csv", ".tsv", ".jsonl", ".json")


class Row(NamedTuple):
    """One text or two, and the label as it is written."""

    texts: tuple[str, ...]
    label: str


def read_labelled(path) -> list[Row]:
    """The rows of a file, by its ending; ValueError with "file:line" for a row that doesn't fit."""
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path}: a file of labelled texts ends with {', '.join(ENDINGS)}")
    rows, width = [], None
    for number, cells in _json_lines(path) if path.suffix.startswith(".json") else _table(path):
        width = width or len(cells)
        if len(cells) != width or width not in (2, 3):
            wanted = (
                "text, label or text, text, label" if width not in (2, 3) else f"{width} values"
            )
            raise ValueError(f"{path}:{number}: expected {wanted}, found {len(cells)} values")
        cells = [cell.strip() for cell in cells]
        if "" in cells:
            raise ValueError(f"{path}:{number}: one of the {width} values is empty")
        rows.append(Row(tuple(cells[:-1]), cells[-1]))
    if not rows:
        raise ValueError(f"{path}: there are no rows")
    return rows


def _table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of CSV or TSV, without the names of the columns."""
    with open(path, "rb") as file:
        lines = (
            line.decode("utf-8" if number else "utf-8-sig") for number, line in enumerate(file)
        )
        reader = csv.reader(lines, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
        try:
            for place, cells in enumerate(reader):
                header = place == 0 and cells and cells[-1].strip().lower() == "label"
                if cells and not header:
                    yield reader.line_num, cells
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}:{reader.line_num + 1}: {error}") from error


def _json_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, texts and label) of one JSON object a line; its label is called "label"."""
    names = None
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:  # no JSON, or no UTF-8
                raise ValueError(f"{path}:{number}: {error}") from error
            if not isinstance(row, dict) or "label" not in row:
                raise ValueError(f'{path}:{number}: expected an object with "label"')
            if names is None:
                names = [name for name in row if name != "label"]
            if set(row) != {*names, "label"}:
                raise ValueError(
                    f"{path}:{number}: has {', '.join(row)}, but the first row {', '.join(names)}, label"
                )
            texts = [row[name] for name in names]
            label = row["label"]
            if not all(isinstance(text, str) for text in texts) or not isinstance(label, str | int):
                raise ValueError(
                    f"{path}:{number}: texts are strings, a label is a string or a number"
                )
            yield number, [*texts, str(label)]


def labelled_dataset(train, valid=None, test=None, seed: int = 0) -> TextDataset | PairDataset:
    """The data set of up to three files; a tenth of the rows of `train` is cut off for a missing one.

    Labels are numbered in alphabetical order. Raises ValueError for files that differ in kind, for
    labels that `train` lacks, and where there is one label alone.
    """
    parts = {"train": read_labelled(train)}
    for name, path in (("valid", valid), ("test", test)):
        parts[name] = [] if path is None else read_labelled(path)
    labels = sorted({row.label for row in parts["train"]})
    if len(labels) < 2:
        raise ValueError(f"{train}: all rows have the label {labels[0]!r}; two at least are needed")
    width = len(parts["train"][0].texts)
    for path, rows in ((valid, parts["valid"]), (test, parts["test"])):
        new = sorted({row.label for row in rows} - set(labels))
        if new:
            raise ValueError(f"{path}: the labels {', '.join(new)} are not in {train}")
        if rows and len(rows[0].texts) != width:
            raise ValueError(
                f"{path} has {len(rows[0].texts)} texts a row, but {train} has {width}"
            )
    rest = [parts["train"][i] for i in _order(len(parts["train"]), seed)]
    tenth = max(1, round(0.1 * len(rest)))
    for name in ("valid", "test"):
        if not parts[name]:
            parts[name], rest = rest[:tenth], rest[tenth:]
    if not rest:
        raise ValueError(f"{train}: too few rows to cut off a part for validation and test")
    parts["train"] = rest
    number = {label: place for place, label in enumerate(labels)}
    name = Path(train).stem
    if width == 2:
        pairs = {
            part: [Pair(*row.texts, label=number[row.label]) for row in rows]
            for part, rows in parts.items()
        }
        return PairDataset(name, labels=labels, **pairs)
    texts = {
        part: [(row.texts[0], number[row.label]) for row in rows] for part, rows in parts.items()
    }
    return TextDataset(name, labels, **texts)


def _order(count: int, seed: int) -> list[int]:
    return Generator().manual_seed(seed).permutation(count).tolist()
