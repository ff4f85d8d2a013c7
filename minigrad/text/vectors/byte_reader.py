"""ByteReader: a binary file read piece by piece; every complaint names the file and the byte."""

import contextlib
import gzip
import os
import struct
from collections.abc import Iterator

import numpy

CHUNK = 1 << 20  # bytes read at once
LONGEST_WORD = 1 << 16  # bytes; more without an end is no word but a damaged file


@contextlib.contextmanager
def opened(path) -> Iterator:
    """The file for reading bytes, unpacked where it is gzipped, which its first bytes tell."""
    with open(path, "rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        if not packed:
            yield plain
            return
        with gzip.open(plain) as file:
            try:
                yield file
            except EOFError as error:
                raise ValueError(f"{path}: the gzip file is truncated") from error


class ByteReader:
    """Numbers, words and arrays one after another, little-endian, from a file opened for bytes."""

    def __init__(self, file, path):
        self.file, self.path = file, path
        self.buffer, self.at, self.before = b"", 0, 0
        plain = hasattr(file, "fileno") and not isinstance(file, gzip.GzipFile)
        self.size = os.fstat(file.fileno()).st_size if plain else None  # of packed files unknown

    @property
    def offset(self) -> int:
        """The number of bytes read so far."""
        return self.before + self.at

    def error(self, message: str, offset: int | None = None) -> ValueError:
        """A ValueError that says where."""
        return ValueError(
            f"{self.path}: byte {self.offset if offset is None else offset}: {message}"
        )

    def _more(self) -> bool:
        chunk = self.file.read(CHUNK)
        self.before += self.at
        self.buffer, self.at = self.buffer[self.at :] + chunk, 0
        return bool(chunk)

    def ended(self) -> bool:
        """True if there is nothing left."""
        return self.at == len(self.buffer) and not self._more()

    def peek(self, count: int) -> bytes:
        """The next bytes, fewer at the end, which stay unread."""
        while len(self.buffer) - self.at < count and self._more():
            pass
        return self.buffer[self.at : self.at + count]

    def take(self, count: int, what: str) -> bytes:
        """The next so many bytes."""
        found = self.peek(count)
        if len(found) < count:
            raise self.error(f"the file ends within {what}: {count - len(found)} bytes are missing")
        self.at += count
        return found

    def until(self, end: bytes, what: str) -> bytes:
        """The bytes before the next `end`, which is read too."""
        place = self.buffer.find(end, self.at)
        while place < 0:
            known = len(self.buffer) - self.at
            if known > LONGEST_WORD:
                raise self.error(f"there is no end of {what} in {LONGEST_WORD} bytes")
            if not self._more():
                raise self.error(f"the file ends within {what}")
            place = self.buffer.find(end, known)
        found = self.buffer[self.at : place]
        self.at = place + len(end)
        return found

    def text(self, end: bytes, what: str, errors: str = "strict") -> str:
        """UTF-8 text before the next `end`."""
        begin = self.offset
        data = self.until(end, what)
        try:
            return data.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise self.error(
                f"{what} {data[:40]!r} is not UTF-8 ({error.reason})", begin
            ) from error

    def unpack(self, form: str, what: str) -> tuple:
        """Numbers by the letters of `struct`."""
        form = "<" + form
        return struct.unpack(form, self.take(struct.calcsize(form), what))

    def number(self, letter: str, what: str) -> int | float:
        """One number."""
        return self.unpack(letter, what)[0]

    def room(self, count: int, what: str) -> None:
        """Complain if there can't be so many bytes left: before memory is asked for them."""
        if count < 0 or (self.size is not None and count > self.size - self.offset):
            left = "" if self.size is None else f", but {self.size - self.offset} are left"
            raise self.error(f"{what} would take {count} bytes{left}")

    def array(self, dtype, count: int, what: str) -> numpy.ndarray:
        """So many numbers."""
        dtype = numpy.dtype(dtype).newbyteorder("<")
        self.room(count * dtype.itemsize, what)
        found = numpy.empty(count, dtype)
        view = memoryview(found).cast("B") if count else b""
        done = min(len(view), len(self.buffer) - self.at)
        view[:done] = self.buffer[self.at : self.at + done]
        self.at += done
        while done < len(view):
            got = self.file.readinto(view[done : done + CHUNK])
            if not got:
                missing = len(view) - done
                raise self.error(f"the file ends within {what}: {missing} bytes are missing")
            done += got
            self.before += got
        return found.astype(dtype.newbyteorder("="), copy=False)
