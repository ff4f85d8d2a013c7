"""Texts and their summaries: the mails of AESLC and their subject lines, read from jsonl.gz files."""

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

from .datasets import FILES, _file

# file: (sha256, mails)
_PARTS = {
    "aeslc/train.jsonl.gz": (
        "054fca9ad091823acbdf3ad9bf1d150072685aab02f770ab0239bab091854b56",
        14436,
    ),
    "aeslc/dev.jsonl.gz": (
        "f6bcfc8f3fec0df93ca5911153ac418a0ba69a4d78348712440e1f5c4e4b1225",
        1960,
    ),
    "aeslc/test.jsonl.gz": (
        "0d069421b45f1316994c9fbaa1ac5a23605a64fae2c96568b93caab8e3711406",
        1906,
    ),
}
FILES.update({name: (None, digest) for name, (digest, _) in _PARTS.items()})


@dataclass
class Summarised:
    """A text, its summary, and other people's summaries of it, where there are any."""

    text: str
    summary: str
    others: tuple[str, ...] = ()


@dataclass
class SummaryDataset:
    """Texts with summaries, in the parts of a data set."""

    name: str
    train: list[Summarised]
    valid: list[Summarised]
    test: list[Summarised]


def read_summaries(
    path, text: str = "body", summary: str = "subject", others: tuple[str, ...] = ()
) -> list[Summarised]:
    """The rows of a .jsonl or .jsonl.gz file: an object a line, with strings under these names.

    others: names of further summaries, which a row may lack. Empty lines are left out.
    Raises ValueError with "path:line" for a line that is no such object, or a file that is cut off.
    """
    path = Path(path)
    opener = gzip.open if path.suffix == ".gz" else open
    rows = []
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    rows.append(_row(line, f"{path}:{number}", text, summary, others))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}:{number + 1}: the file is damaged or cut off: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}:{number + 1}: the file is not UTF-8: {error}") from error
    return rows


def _row(line, place, text, summary, others) -> Summarised:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{place}: no JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"{place}: expected an object, got {line.strip():.40}")
    for name in (text, summary, *others):
        if not isinstance(row.get(name, "" if name in others else None), str):
            raise ValueError(f"{place}: there must be a string under {name!r}")
    further = tuple(row[name] for name in others if name in row)
    return Summarised(row[text], row[summary], further)


def aeslc() -> SummaryDataset:
    """AESLC: 14,436 mails to train on, 1,960 for validation and 1,906 for the test (from Enron's).

    Zhang and Tetreault 2019, "This Email Could Save Your Life: Introducing the Task of Email Subject
    Line Generation" (ACL). The summary is the subject line that the writer gave; the mails of
    validation and test have three more, by others.
    """
    parts = []
    for name, (_, count) in _PARTS.items():
        rows = read_summaries(_file(name), others=("ann0", "ann1", "ann2"))
        if len(rows) != count:
            raise ValueError(f"{name}: expected {count} mails, read {len(rows)}")
        parts.append(rows)
    return SummaryDataset("aeslc", *parts)
