"""fastText models in files: .bin, and .ftz, whose matrices are product-quantised; reading and writing.

    model = read_fasttext("cc.en.300.bin")
    model.vectors()                      # SubwordVectors: unseen words have a vector too

A file holds, little-endian: settings; words and labels with their counts; the input matrix, a row for
each word and then for each bucket of subwords; the output matrix. Files from before version 11 of the
format have no magic number.

A quantised matrix (Jegou, Douze and Schmid 2011; Joulin et al. 2016, "FastText.zip") cuts each row
into short pieces, and keeps for each piece one byte, the number of one of 256 centroids.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy

from ...files import atomic
from .byte_reader import ByteReader, opened
from .subwords import SubwordVectors, subword_ids
from .words import WordVectors

MAGIC, VERSION = 793712314, 12
CENTROIDS = 256
END_OF_LINE = "</s>"
FIELDS = "dim ws epoch min_count neg word_ngrams loss model bucket minn maxn lr_update_rate".split()
LOSSES = {1: "hs", 2: "ns", 3: "softmax", 4: "ova"}
MODELS = {1: "cbow", 2: "sg", 3: "supervised"}
DEFAULTS = dict(
    ws=5, epoch=5, min_count=5, neg=5, word_ngrams=1, loss=2, model=2, lr_update_rate=100, t=1e-4
)


@dataclass
class Quantised:
    """A matrix (n, d) as bytes: row i is its norm times its pieces' centroids, side by side.

    codes (n, pieces); centroids: one array (256, length) for each piece, the last may be shorter;
    norms (n,), or None for rows of which the norm is in the centroids.
    """

    codes: numpy.ndarray
    centroids: list[numpy.ndarray]
    norms: numpy.ndarray | None

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return len(self.codes), sum(table.shape[1] for table in self.centroids)

    def __getitem__(self, ids) -> numpy.ndarray:
        """The rows of an array of numbers, in float32."""
        codes = self.codes[ids]
        pieces = [table[codes[..., k]] for k, table in enumerate(self.centroids)]
        rows = numpy.concatenate(pieces, axis=-1)
        return rows if self.norms is None else rows * self.norms[ids][..., None]


Matrix = numpy.ndarray | Quantised


@dataclass
class FastTextModel:
    """What a fastText file holds.

    settings: `FIELDS` and `t`. input (words + buckets, dim), output (words or labels, dim).
    pruned: bucket -> row after the words, where only some buckets were kept; else None.
    """

    settings: dict
    words: list[str]
    counts: numpy.ndarray
    labels: list[str]
    label_counts: numpy.ndarray
    input: Matrix
    output: Matrix
    tokens: int = 0
    pruned: dict[int, int] | None = None
    index: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self):
        self.index = {word: i for i, word in enumerate(self.words)}

    @property
    def supervised(self) -> bool:
        """True for a classifier."""
        return self.settings["model"] == 3

    def rows(self, buckets: Sequence[int]) -> list[int]:
        """The rows of the input matrix for buckets; those that were not kept are left out."""
        if self.pruned is not None:
            buckets = [self.pruned[bucket] for bucket in buckets if bucket in self.pruned]
        return [len(self.words) + bucket for bucket in buckets]

    def input_rows(self, word: str) -> list[int]:
        """The rows that make a word: its own, if it has one, and its subwords'."""
        own = [self.index[word]] if word in self.index else []
        if word == END_OF_LINE:
            return own
        s = self.settings
        return own + self.rows(subword_ids(word, s["bucket"], max(1, s["minn"]), s["maxn"]))

    def vectors(self) -> WordVectors:
        """The words' vectors: SubwordVectors, or WordVectors from a quantised model."""
        s = self.settings
        if isinstance(self.input, numpy.ndarray) and self.pruned is None:
            return SubwordVectors(self.words, self.input, max(1, s["minn"]), s["maxn"])
        rows = numpy.zeros((len(self.words), s["dim"]), numpy.float32)
        for i, word in enumerate(self.words):
            rows[i] = self.input[numpy.array(self.input_rows(word))].mean(axis=0)
        return WordVectors(self.words, rows)


def is_fasttext(head: bytes) -> bool:
    """True if a file that begins with these bytes is a fastText model, of old ones too."""
    if head[:4] == MAGIC.to_bytes(4, "little"):
        return True
    if len(head) < 48:
        return False
    old = dict(zip(FIELDS, numpy.frombuffer(head[:48], "<i4").tolist(), strict=True))
    return 0 < old["dim"] < 1 << 14 and old["model"] in MODELS and old["loss"] in LOSSES


def read_fasttext(path, errors: str = "strict") -> FastTextModel:
    """Read a whole model, .bin or .ftz.

    errors: what to do with words that are not UTF-8: "strict" is a ValueError, "backslashreplace"
    keeps their bytes readable. Any damage is a ValueError that names the byte.
    """
    with opened(path) as file:
        reader = ByteReader(file, path)
        settings, old = _read_settings(reader)
        words, labels, tokens, pruned = _read_dictionary(reader, old, errors)
        dim, bucket = settings["dim"], settings["bucket"]
        quantised = not old and _flag(reader, "whether the input is quantised")
        place = reader.offset
        input = _read_matrix(reader, quantised, "the input matrix")
        kept = bucket if pruned is None else len(pruned)
        if input.shape not in ((len(words) + kept, dim), (len(words), dim)):
            raise reader.error(
                f"the input matrix has shape {input.shape}: expected ({len(words) + kept}, {dim})",
                place,
            )
        if len(input) == len(words):
            settings["bucket"] = 0
        quantised = not old and _flag(reader, "whether the output is quantised") and quantised
        place = reader.offset
        output = _read_matrix(reader, quantised, "the output matrix")
        expected = len(labels if settings["model"] == 3 else words), dim
        if output.shape != expected:
            raise reader.error(
                f"the output matrix has shape {output.shape}: expected {expected}", place
            )
        if not reader.ended():
            raise reader.error("there is more after the output matrix")
    return FastTextModel(settings, *_split(words), *_split(labels), input, output, tokens, pruned)


def _split(entries):
    return [word for word, _ in entries], numpy.array([n for _, n in entries], numpy.int64)


def _flag(reader: ByteReader, what: str) -> bool:
    value = reader.number("B", what)
    if value > 1:
        raise reader.error(f"{what}: expected 0 or 1, got {value}", reader.offset - 1)
    return bool(value)


def _read_settings(reader: ByteReader) -> tuple[dict, bool]:
    first, second = reader.unpack("2i", "the head")
    old = first != MAGIC
    if not old and second not in (11, VERSION):
        raise reader.error(f"version {second} of the format is none that can be read: 11, 12", 4)
    values = reader.unpack("10i" if old else "12i", "the settings")
    values = (first, second, *values) if old else values
    settings = dict(zip(FIELDS, values, strict=True))
    settings["t"] = reader.number("d", "the settings")
    positive = all(settings[name] >= 0 for name in ("bucket", "minn", "maxn"))
    known = settings["model"] in MODELS and settings["loss"] in LOSSES
    if not (known and positive and 0 < settings["dim"] < 1 << 20):
        raise reader.error(f"these are no settings of a fastText model: {settings}", 0)
    if not old and second == 11 and settings["model"] == 3:
        settings["maxn"] = 0  # classifiers of that version take no subwords
    return settings, old


def _read_dictionary(reader: ByteReader, old: bool, errors: str):
    begin = reader.offset
    total, words, labels = reader.unpack("3i", "the size of the dictionary")
    if min(total, words, labels) < 0 or total != words + labels:
        raise reader.error(f"{total} entries can't be {words} words and {labels} labels", begin)
    tokens = reader.number("q", "the number of tokens")
    kept = -1 if old else reader.number("q", "the number of buckets kept")
    reader.room(10 * total, f"a dictionary of {total} entries")
    kinds = [], []
    for i in range(total):
        what = f"entry {i + 1} of the dictionary"
        word = reader.text(b"\0", what, errors)
        count, kind = reader.unpack("qb", what)
        if kind not in (0, 1):
            raise reader.error(
                f"{what} is neither word (0) nor label (1) but {kind}", reader.offset - 1
            )
        kinds[kind].append((word, count))
    if (len(kinds[0]), len(kinds[1])) != (words, labels):
        raise reader.error(
            f"the dictionary has {len(kinds[0])} words and {len(kinds[1])} labels: expected {words} "
            f"and {labels}"
        )
    pruned = None
    if kept >= 0:
        pairs = reader.array("i4", 2 * kept, "the buckets kept").reshape(-1, 2).tolist()
        pruned = dict(pairs)
    return *kinds, tokens, pruned


def _read_matrix(reader: ByteReader, quantised: bool, what: str) -> Matrix:
    has_norms = quantised and _flag(reader, f"whether {what} has norms")
    begin = reader.offset
    rows, columns = reader.unpack("2q", f"the shape of {what}")
    if rows < 0 or columns < 1 or rows * columns >= 1 << 60:
        raise reader.error(f"{what} can't have the shape ({rows}, {columns})", begin)
    if not quantised:
        return reader.array("f4", rows * columns, what).reshape(rows, columns)
    codes = reader.array("u1", reader.number("i", "the number of codes"), f"the codes of {what}")
    centroids = _read_centroids(reader, columns, what)
    if len(codes) != rows * len(centroids):
        raise reader.error(
            f"{what} has {len(codes)} codes: expected {rows} times {len(centroids)}", begin
        )
    norms = None
    if has_norms:
        places = reader.array("u1", rows, f"the norms of {what}")
        norms = _read_centroids(reader, 1, f"the norms of {what}")[0][places, 0]
    return Quantised(codes.reshape(rows, len(centroids)), centroids, norms)


def _read_centroids(reader: ByteReader, columns: int, what: str) -> list[numpy.ndarray]:
    """For each piece of a row an array (256, length)."""
    begin = reader.offset
    dim, pieces, length, last = reader.unpack("4i", f"the pieces of {what}")
    if dim != columns or min(pieces, length, last) < 1 or (pieces - 1) * length + last != dim:
        raise reader.error(
            f"{what} has {columns} columns, its {pieces} pieces have {length} each, the last {last}",
            begin,
        )
    numbers = reader.array("f4", CENTROIDS * dim, f"the centroids of {what}")
    full = CENTROIDS * length
    parts = numpy.split(numbers, [full * k for k in range(1, pieces)])
    return [part.reshape(CENTROIDS, -1) for part in parts]


def write_fasttext(
    vectors: SubwordVectors | FastTextModel,
    path,
    counts: Sequence[int] | None = None,
    output: numpy.ndarray | None = None,
    **settings,
) -> None:
    """Write a .bin that fastText and gensim read, whole or not at all.

    From SubwordVectors, with how often each word occurs (falling numbers, where nobody knows), the
    output matrix (words, dim) (zeros, if it is lost) and those of `FIELDS` that are known, such as
    ws=5, model=2 (skip-gram; 1 is CBOW). A FastTextModel is written as it is, unless quantised.
    """
    if isinstance(vectors, SubwordVectors):
        vectors = _as_model(vectors, counts, output, settings)
    model = vectors
    if isinstance(model.input, Quantised) or isinstance(model.output, Quantised):
        raise ValueError("write_fasttext: quantised matrices can be read only")
    for word in model.words + model.labels:
        if not word or any(sign in word for sign in " \n\r\t\v\f\0"):
            raise ValueError(
                f"write_fasttext: {word!r} is no word: it must not be empty, nor have spaces in it"
            )
    entries = [(w, n, 0) for w, n in zip(model.words, model.counts, strict=True)]
    entries += [(w, n, 1) for w, n in zip(model.labels, model.label_counts, strict=True)]
    pruned = -1 if model.pruned is None else len(model.pruned)
    head = numpy.array([MAGIC, VERSION, *(model.settings[name] for name in FIELDS)], "<i4")
    sizes = numpy.array([len(entries), len(model.words), len(model.labels)], "<i4")
    with atomic(path, "wb") as file:
        file.write(head.tobytes() + numpy.array(model.settings["t"], "<f8").tobytes())
        file.write(sizes.tobytes() + numpy.array([model.tokens, pruned], "<i8").tobytes())
        for word, count, kind in entries:
            file.write(word.encode("utf-8") + b"\0")
            file.write(numpy.array(count, "<i8").tobytes() + bytes([kind]))
        file.write(numpy.array(list((model.pruned or {}).items()), "<i4").tobytes())
        for matrix in (model.input, model.output):
            file.write(b"\0" + numpy.array(matrix.shape, "<i8").tobytes())
            for begin in range(0, len(matrix), 4096):
                file.write(matrix[begin : begin + 4096].astype("<f4").tobytes())


def _as_model(vectors: SubwordVectors, counts, output, settings) -> FastTextModel:
    unknown = set(settings) - set(DEFAULTS)
    if unknown:
        raise ValueError(
            f"write_fasttext: there is no setting {', '.join(sorted(unknown))}; there are: "
            f"{', '.join(DEFAULTS)}"
        )
    count = len(vectors)
    if counts is None:
        counts = range(count, 0, -1)
    if output is None:
        output = numpy.zeros((count, vectors.size), numpy.float32)
    if len(counts) != count or output.shape != (count, vectors.size):
        raise ValueError(
            f"write_fasttext: expected {count} counts and an output matrix ({count}, "
            f"{vectors.size}), got {len(counts)} counts and {output.shape}"
        )
    shape = dict(dim=vectors.size, bucket=vectors.buckets, minn=vectors.minn, maxn=vectors.maxn)
    counts = numpy.array(counts, numpy.int64)
    return FastTextModel(
        DEFAULTS | settings | shape, vectors.words, counts, [], counts[:0], vectors.table, output,
        int(counts.sum()),
    )  # fmt: skip
