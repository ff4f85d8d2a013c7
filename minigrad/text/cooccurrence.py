"""Co-occurrence counts: how often each two words of a vocabulary stand near each other in a text.

    counts = count_cooccurrences(sentences, window=10, min_count=5)
    counts.rows, counts.columns, counts.values

A text may be larger than memory, and so may be its counts: pairs are summed in a table of fixed size;
when it is full, it is written to disk as a sorted run, and at the end the runs are merged.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy

from ..files import atomic
from ..kernels.cooccurrence import count_pairs
from .encoded import Encoded, encode

ENTRIES = 1 << 22  # pairs merged at once
SAMPLE = 1 << 10  # every so manieth key of a run is looked at to cut the runs into equal parts
ROOM = 16  # bytes of a slot of the table: a key, a sum


class Cooccurrence:
    """Words, how often each occurs, and the pairs (rows[k], columns[k]) that do, values[k] times.

    symmetric: each pair stands once, rows[k] <= columns[k]. A pair of equal words has the value of
    one direction too. Pairs are in ascending order. The arrays may be files mapped into memory.
    """

    def __init__(self, words: Sequence[str], counts, rows, columns, values, symmetric: bool = True):
        self.words, self.counts = list(words), numpy.asarray(counts, numpy.int64)
        self.rows, self.columns, self.values = rows, columns, values
        self.symmetric = symmetric
        if not len(rows) == len(columns) == len(values) or len(self.counts) != len(self.words):
            raise ValueError(
                f"Cooccurrence: {len(rows)} rows, {len(columns)} columns, {len(values)} values, "
                f"{len(self.counts)} counts of {len(self.words)} words don't go together"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Cooccurrence({len(self.words):,} words, {len(self):,} pairs)"

    def pairs(self) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        """(rows, columns, values) of every pair in both orders, as models.GloVe takes them; copies."""
        rows, columns, values = (numpy.asarray(x) for x in (self.rows, self.columns, self.values))
        if not self.symmetric:
            return rows.astype(numpy.int64), columns.astype(numpy.int64), values.copy()
        equal = rows == columns
        rows, columns = (
            numpy.concatenate([one, other[~equal]]).astype(numpy.int64)
            for one, other in ((rows, columns), (columns, rows))
        )
        return (
            rows,
            columns,
            numpy.concatenate([numpy.where(equal, 2 * values, values), values[~equal]]),
        )

    def dense(self) -> numpy.ndarray:
        """The whole matrix (words, words), float32; for small vocabularies."""
        out = numpy.zeros((len(self.words), len(self.words)), numpy.float32)
        out[self.rows, self.columns] = self.values
        return out + out.T if self.symmetric else out

    def save(self, folder) -> None:
        """Write to a folder, which is made: words and counts in JSON, the arrays as .npy files."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("rows", "columns", "values"):
            with atomic(folder / f"{name}.npy") as file:
                numpy.save(file, getattr(self, name), allow_pickle=False)
        with atomic(folder / "words.json", "w") as file:
            head = {
                "words": self.words,
                "counts": self.counts.tolist(),
                "symmetric": self.symmetric,
            }
            json.dump(head, file, ensure_ascii=False)

    @classmethod
    def load(cls, folder) -> "Cooccurrence":
        """Read what `save` wrote; the arrays stay on disk and are mapped into memory."""
        folder = Path(folder)
        try:
            head = json.loads((folder / "words.json").read_text(encoding="utf-8"))
            arrays = [
                numpy.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                for name in ("rows", "columns", "values")
            ]
            return cls(head["words"], head["counts"], *arrays, head["symmetric"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{folder} holds no counts that Cooccurrence.save wrote: {error}"
            ) from error


def count_cooccurrences(
    corpus,
    window: int = 10,
    min_count: int = 5,
    max_words: int | None = None,
    symmetric: bool = True,
    harmonic: bool = True,
    memory: int = 1 << 29,
    folder=None,
) -> Cooccurrence:
    """Count the pairs of words that are at most `window` words apart in a sentence.

    corpus: lists of tokens, or paths of text files (see `encoded.token_lists`), or an `Encoded` one,
    which says itself what min_count and max_words were.
    A pair d words apart counts 1/d (harmonic, as in GloVe), or 1. Words that are too rare are taken
    out before distances are counted. symmetric: both sides of a word; else only the words before it,
    which are the columns. memory: bytes for the table of pairs; beyond that runs are written to disk,
    to `folder` or a temporary one. With a folder the result is written there too, and mapped into
    memory only: `Cooccurrence.load` reads it again.
    """
    if window < 1:
        raise ValueError(f"count_cooccurrences: window must be at least 1, not {window}")
    if not isinstance(corpus, Encoded):
        corpus = encode(corpus, min_count, max_words=max_words)
    words, counts = corpus.words, corpus.counts
    most = 4 * int(counts.sum()) * window  # pairs in a table that is a quarter full
    slots = 1 << max(8, min(memory // ROOM, most).bit_length() - 1)
    if window >= slots // 4:
        raise ValueError(f"count_cooccurrences: {memory} bytes are too few for window {window}")
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".runs.") as place:
        table = _Table(slots, len(words), window, symmetric, harmonic, Path(place))
        for k in range(len(corpus)):
            table.add(corpus.piece(k).astype(numpy.int64))
        pairs = table.merged()
        if folder is None:
            parts = [list(part) for part in zip(*pairs, strict=True)] or [[], [], []]
            kinds = numpy.int32, numpy.int32, numpy.float32
            arrays = [
                numpy.concatenate([numpy.empty(0, kind), *part])
                for kind, part in zip(kinds, parts, strict=True)
            ]
            return Cooccurrence(words, counts, *arrays, symmetric)
        arrays = _on_disk(pairs, Path(place))
        Cooccurrence(words, counts, *arrays, symmetric).save(folder)
    return Cooccurrence.load(folder)


class _Table:
    """Sums by pair, and the sorted runs on disk that it was emptied into."""

    def __init__(self, slots, size, window, symmetric, harmonic, folder):
        self.keys, self.sums = numpy.full(slots, -1, numpy.int64), numpy.zeros(slots)
        self.used = 0
        self.options = window, size, symmetric, harmonic
        self.size, self.folder = size, folder
        self.runs: list[tuple] = []

    def add(self, ids):
        """Count the pairs of a chunk."""
        begin = 0
        while True:
            begin, self.used = count_pairs[numpy](
                ids, begin, *self.options, self.keys, self.sums, self.used
            )
            if begin == len(ids):
                return
            self.spill()

    def sorted(self):
        """The table's keys in ascending order, and their sums; it is empty then."""
        places = numpy.flatnonzero(self.keys >= 0)
        keys = self.keys[places]
        order = numpy.argsort(keys, kind="stable")
        found = keys[order], self.sums[places[order]]
        self.keys[places] = -1
        self.sums[places] = 0
        self.used = 0
        return found

    def spill(self):
        """Write the table as a run."""
        run = []
        for name, array in zip(("keys", "sums"), self.sorted(), strict=True):
            path = self.folder / f"{name}.{len(self.runs)}.npy"
            numpy.save(path, array)
            run.append(numpy.load(path, mmap_mode="r"))
        self.runs.append(tuple(run))

    def merged(self) -> Iterator[tuple]:
        """(rows, columns, values) in ascending order, in parts of about ENTRIES pairs."""
        runs = [*self.runs, self.sorted()]
        sample = numpy.sort(numpy.concatenate([keys[::SAMPLE] for keys, _ in runs]))
        cuts = numpy.unique(sample[:: max(1, ENTRIES // SAMPLE)])[1:]
        bounds = [[0, *numpy.searchsorted(keys, cuts), len(keys)] for keys, _ in runs]
        for part in range(len(cuts) + 1):
            pieces = [slice(bound[part], bound[part + 1]) for bound in bounds]
            keys = numpy.concatenate([run[0][p] for run, p in zip(runs, pieces, strict=True)])
            sums = numpy.concatenate([run[1][p] for run, p in zip(runs, pieces, strict=True)])
            if not len(keys):
                continue
            order = numpy.argsort(keys, kind="stable")
            keys = keys[order]
            starts = numpy.flatnonzero(numpy.append(True, keys[1:] != keys[:-1]))
            rows, columns = numpy.divmod(keys[starts], self.size)
            values = numpy.add.reduceat(sums[order], starts)
            yield (
                rows.astype(numpy.int32),
                columns.astype(numpy.int32),
                values.astype(numpy.float32),
            )


def _on_disk(pairs, folder: Path) -> list[numpy.ndarray]:
    """The pairs written one after another to files, which are mapped into memory."""
    kinds = {"rows": "<i4", "columns": "<i4", "values": "<f4"}
    files = [open(folder / name, "wb") for name in kinds]  # noqa: SIM115
    try:
        for part in pairs:
            for file, array in zip(files, part, strict=True):
                array.tofile(file)
    finally:
        for file in files:
            file.close()
    empty = not (folder / "rows").stat().st_size
    return [
        numpy.empty(0, kind) if empty else numpy.memmap(folder / name, kind, "r")
        for name, kind in kinds.items()
    ]
