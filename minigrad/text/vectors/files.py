"""Word vectors in files: word2vec's text and binary format, GloVe's text, fastText's .vec and .bin.

    vectors = load_vectors("glove.6B.50d.txt")         # the format is told from the contents
    save_vectors(vectors, "vectors.bin", "binary")

    text      a line "words size", then a line a word: the word and its numbers, spaces between them
              (fastText's .vec is the same)
    glove     the same without the first line
    binary    the line "words size", then for each word: its bytes, a space, its numbers as float32
              little-endian, and a newline or none
    fasttext  a whole fastText model, `fasttext_files` tells more

Files may be gzipped. A damaged file is a ValueError that names the line or the byte.
"""

import contextlib
import itertools
import sys
import warnings
from pathlib import Path

import numpy

from ...files import atomic
from .byte_reader import ByteReader, opened
from .fasttext_files import is_fasttext, read_fasttext, write_fasttext
from .subwords import SubwordVectors
from .words import WordVectors

FORMATS = "text", "glove", "binary", "fasttext"
BLOCK = 1024  # lines turned into numbers at once
HEAD = 1 << 20  # bytes that are looked at to tell the format
ROOM = 1 << 26  # numbers that room is made for at first, whatever a file promises


def load_vectors(
    path, format: str | None = None, limit: int | None = None, errors: str = "strict"
) -> WordVectors:
    """Read word vectors; only the first `limit` words, where that is given (not of fastText models).

    format: one of `FORMATS`; None tells it from the contents. errors: "strict" takes words that are
    not UTF-8 for damage, "replace" puts U+FFFD for what is wrong in them. A word that comes again
    keeps its first vector, with a warning.
    """
    format = format or guess_format(path)
    if format == "fasttext":
        if limit is not None:
            raise ValueError(
                "load_vectors: a fastText model can be read as a whole only, limit=None"
            )
        return read_fasttext(path, errors).vectors()
    if format == "binary":
        return _read_binary(path, limit, errors)
    if format in ("text", "glove"):
        return _read_text(path, format == "text", limit, errors)
    raise ValueError(f"load_vectors: format must be one of {', '.join(FORMATS)}, not {format!r}")


def guess_format(path) -> str:
    """Which of `FORMATS` a file has, by its first bytes; ValueError if none."""
    with opened(path) as file:
        head = file.read(HEAD)
    if is_fasttext(head):
        return "fasttext"
    line, _, rest = head.partition(b"\n")
    if _header(line) is None:
        if len(line.split(b" ")) > 1 and _numbers(line.rstrip(b" \r").rsplit(b" ", 1)[1:]):
            return "glove"
        raise ValueError(f"{path}:1: this is no file of word vectors: {line[:60]!r}")
    size = _header(line)[1]
    second = rest.partition(b"\n")[0].rstrip(b" \r").rsplit(b" ", size)
    return "text" if not rest or _numbers(second[1:]) and len(second) > size else "binary"


def _header(line: bytes) -> tuple[int, int] | None:
    """(words, size) if that is what the line says."""
    parts = line.split()
    if len(parts) == 2 and all(part.isdigit() for part in parts):
        return int(parts[0]), int(parts[1])
    return None


def _numbers(parts: list[bytes]) -> list[float] | None:
    try:
        return [float(part) for part in parts]
    except ValueError:
        return None


class _Rows:
    """Vectors as they come: words, and an array that grows; words that came before are dropped."""

    def __init__(self, size: int, expected: int | None):
        self.words: list[str] = []
        self.seen: set[str] = set()
        self.again: list[str] = []
        self.array = numpy.empty((min(expected or BLOCK, ROOM // size), size), numpy.float32)

    def add(self, words: list[str], rows) -> None:
        """Words with their vectors."""
        for word, row in zip(words, rows, strict=True):
            if word in self.seen:
                self.again.append(word)
                continue
            count = len(self.words)
            if count == len(self.array):
                self.array.resize((count + count // 4 + BLOCK, self.array.shape[1]), refcheck=False)
            self.array[count] = row
            self.seen.add(word)
            self.words.append(word)

    def vectors(self, path) -> WordVectors:
        """All of it."""
        if self.again:
            named = ", ".join(map(repr, self.again[:3]))
            message = f"{path}: {len(self.again)} words come again and were left out: {named}"
            warnings.warn(message, stacklevel=4)
        self.array.resize((len(self.words), self.array.shape[1]), refcheck=False)
        return WordVectors(self.words, self.array)


def _read_text(path, header: bool, limit: int | None, errors: str) -> WordVectors:
    with opened(path) as file:
        number = 0  # of lines read
        promised = size = rows = None
        if header:
            promised, size = _promise(file.readline(), path)
            number = 1
        most = min(n for n in (promised, limit, sys.maxsize) if n is not None)
        count = 0
        while lines := list(itertools.islice(file, min(BLOCK, most - count))):
            size = size or _size_of_first(lines[0], path)
            rows = rows or _Rows(size, promised)
            rows.add(*_block(lines, size, path, number + 1, errors))
            number += len(lines)
            count += len(lines)
        if promised is not None and count < promised and count != limit:
            raise ValueError(
                f"{path}:{number}: the file ends after {count} words, its first line promises {promised}"
            )
        if count == promised and file.read(1):
            raise ValueError(f"{path}:{number + 1}: the first line promises {promised} words only")
    if rows is None and size is None and limit != 0:
        raise ValueError(f"{path}:1: the file is empty")
    return (rows or _Rows(size or 1, None)).vectors(path)


def _promise(line: bytes, path) -> tuple[int, int]:
    if _header(line) is None:
        raise ValueError(f"{path}:1: expected 'words size', got {line[:60]!r}")
    promised, size = _header(line)
    if not 1 <= size <= ROOM:
        raise ValueError(f"{path}:1: the vectors can't have {size} numbers")
    return promised, size


def _size_of_first(line: bytes, path) -> int:
    size = len(line.rstrip(b" \r\n").split(b" ")) - 1
    if size < 1:
        raise ValueError(f"{path}:1: expected a word and its numbers, got {line[:60]!r}")
    return size


def _block(lines: list[bytes], size: int, path, first: int, errors: str):
    """(words, rows) of some lines, all at once if they are as they should be, else one by one."""
    cut = [line.rstrip(b" \r\n").partition(b" ") for line in lines]
    if all(numbers.count(b" ") == size - 1 for _, _, numbers in cut):
        with contextlib.suppress(ValueError, DeprecationWarning), warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns, and stops, where there is no number
            rows = numpy.fromstring(b" ".join(part[2] for part in cut), numpy.float32, sep=" ")
            if len(rows) == size * len(lines) and numpy.isfinite(rows).all():
                words = [part[0].decode("utf-8", errors) for part in cut]
                if all(words):
                    return words, rows.reshape(-1, size)
    pairs = [_parse(line, size, f"{path}:{first + i}", errors) for i, line in enumerate(lines)]
    return [word for word, _ in pairs], [row for _, row in pairs]


def _parse(line: bytes, size: int, place: str, errors: str) -> tuple[str, numpy.ndarray]:
    """(word, vector); words with spaces in them, which GloVe's largest files have, are taken so."""
    parts = line.rstrip(b" \r\n").rsplit(b" ", size)
    numbers = _numbers(parts[1:])
    before = _numbers(parts[0].split(b" ")[-1:]) if b" " in parts[0] else None
    if len(parts) <= size or numbers is None or before or not parts[0]:
        raise ValueError(
            f"{place}: expected a word and {size} numbers, got a word and {len(line.split()) - 1} "
            f"more in {line[:60]!r}"
        )
    try:
        word = parts[0].decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise ValueError(f"{place}: the word {parts[0][:40]!r} is not UTF-8") from error
    with numpy.errstate(over="ignore"):
        row = numpy.array(numbers, numpy.float32)
    if not numpy.isfinite(row).all():
        raise ValueError(f"{place}: the vector of {word!r} has numbers that are not finite")
    return word, row


def _read_binary(path, limit: int | None, errors: str) -> WordVectors:
    with opened(path) as file:
        reader = ByteReader(file, path)
        line = reader.until(b"\n", "the first line")
        if _header(line) is None or not 1 <= _header(line)[1] <= ROOM:
            raise reader.error(f"expected 'words size', got {line[:60]!r}", 0)
        promised, size = _header(line)
        reader.room(promised * (4 * size + 1), f"{promised} words with {size} numbers each")
        rows = _Rows(size, promised)
        for count in range(promised):
            if count == limit:
                break
            if reader.ended():
                raise reader.error(
                    f"the file ends after {count} words, its first line promises {promised}"
                )
            word = reader.text(b" ", f"word {count + 1}", errors).lstrip("\n")
            data = reader.take(4 * size, f"the vector of {word!r}")
            rows.add([word], [numpy.frombuffer(data, "<f4")])
        else:
            if reader.peek(2).strip(b"\n"):
                raise reader.error(f"there is more after the {promised} words of the first line")
    return rows.vectors(path)


def save_vectors(vectors: WordVectors, path, format: str | None = None) -> None:
    """Write word vectors, whole or not at all.

    format: one of `FORMATS`; None takes "binary" for a name ending in .bin, else "text". Numbers in
    text are the shortest that give the same float32 again. "fasttext" keeps the subwords, which the
    others leave out.
    """
    format = format or ("binary" if Path(path).suffix == ".bin" else "text")
    if format not in FORMATS:
        raise ValueError(
            f"save_vectors: format must be one of {', '.join(FORMATS)}, not {format!r}"
        )
    if format == "fasttext":
        if not isinstance(vectors, SubwordVectors):
            raise ValueError(
                "save_vectors: the format fasttext is for SubwordVectors; these have no subwords"
            )
        write_fasttext(vectors, path)
        return
    _check_words(vectors, format)
    with atomic(path, "wb") as file:
        if format != "glove":
            file.write(f"{len(vectors)} {vectors.size}\n".encode())
        for word, row in zip(vectors.words, vectors.vectors, strict=True):
            file.write(word.encode("utf-8") + b" ")
            if format == "binary":
                file.write(row.astype("<f4").tobytes() + b"\n")
            else:
                file.write(" ".join(row.astype(str).tolist()).encode() + b"\n")


def _check_words(vectors: WordVectors, format: str) -> None:
    for word in vectors.words:
        if not word or any(sign in word for sign in " \n\r"):
            raise ValueError(
                f"save_vectors: the format {format} has no way to write the word {word!r}: a word "
                "must not be empty, nor have spaces or line ends in it"
            )
    if not vectors.size:
        raise ValueError("save_vectors: the vectors have no numbers")
    if format != "binary" and not numpy.isfinite(vectors.vectors).all():
        wrong = numpy.flatnonzero(~numpy.isfinite(vectors.vectors).all(axis=1))[0]
        raise ValueError(
            f"save_vectors: the vector of {vectors.words[wrong]!r} has numbers that are not finite"
        )
