"""From classes of tokens to named entities: pieces to words, words to groups of one kind."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy

STRATEGIES = ("none", "simple", "first", "average", "max")


class Piece(NamedTuple):
    """A token: its string, scores (C) that sum to 1, characters [start, end), its place in the row."""

    word: str
    scores: numpy.ndarray
    start: int
    end: int
    index: int
    is_subword: bool


def entities(
    pieces: Sequence[Piece],
    strategy: str,
    labels: dict[int, str],
    join: Callable[[list[str]], str],
) -> list[dict]:
    """The entities of a text's pieces.

    "none": every piece with its likeliest label. "simple": neighbours of one kind are a group.
    The others give all pieces of a word one label before that: "first" that of its first piece,
    "max" that of its surest piece, "average" the likeliest of the pieces' mean scores.
    join: makes a text of pieces.
    """
    if strategy in ("none", "simple"):
        found = [
            _labelled(piece.scores, labels)
            | {"index": piece.index, "word": piece.word, "start": piece.start, "end": piece.end}
            for piece in pieces
        ]
    else:
        found = [_word(word, strategy, labels, join) for word in _words(pieces)]
    return found if strategy == "none" else _groups(found, join)


def _labelled(scores, labels) -> dict:
    best = int(scores.argmax())
    return {"entity": labels[best], "score": float(scores[best])}


def _words(pieces) -> list[list[Piece]]:
    """The pieces of each word."""
    words: list[list[Piece]] = []
    for piece in pieces:
        if words and piece.is_subword:
            words[-1].append(piece)
        else:
            words.append([piece])
    return words


def _word(pieces, strategy, labels, join) -> dict:
    """One label for a word."""
    if strategy == "first":
        scores = pieces[0].scores
    elif strategy == "max":
        scores = max(pieces, key=lambda piece: piece.scores.max()).scores
    else:
        scores = numpy.mean([piece.scores for piece in pieces], axis=0)
    return _labelled(scores, labels) | {
        "word": join([piece.word for piece in pieces]),
        "start": pieces[0].start,
        "end": pieces[-1].end,
    }


def _kind(label: str) -> tuple[bool, str]:
    """(whether an entity begins here, of which kind) of B-PER, I-PER, or PER, which goes on."""
    if label.startswith(("B-", "I-")):
        return label[0] == "B", label[2:]
    return False, label


def _groups(found, join) -> list[dict]:
    """Neighbours of one kind as one entity, its score their mean; B- begins a new one."""
    groups: list[list[dict]] = []
    for one in found:
        begins, kind = _kind(one["entity"])
        if groups and not begins and kind == _kind(groups[-1][-1]["entity"])[1]:
            groups[-1].append(one)
        else:
            groups.append([one])
    return [
        {
            "entity_group": group[0]["entity"].split("-", 1)[-1],
            "score": float(numpy.mean([one["score"] for one in group])),
            "word": join([one["word"] for one in group]),
            "start": group[0]["start"],
            "end": group[-1]["end"],
        }
        for group in groups
    ]


def without_overlaps(found: list[dict]) -> list[dict]:
    """Of entities that overlap, from windows that do, the longest; of equal ones the surest."""
    kept: list[dict] = []
    for one in sorted(found, key=lambda entity: entity["start"]):
        if not kept or one["start"] >= kept[-1]["end"]:
            kept.append(one)
            continue
        length, before = (entity["end"] - entity["start"] for entity in (one, kept[-1]))
        if (length, one["score"]) > (before, kept[-1]["score"]):
            kept[-1] = one
    return kept
