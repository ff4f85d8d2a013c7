"""GGUF: the file format of llama.cpp, metadata and tensors in one file, read as data.

    magic "GGUF", version, number of tensors T, number of metadata values N
    N times: name, type, value          T times: name, shape, type, where its numbers begin
    the tensors' numbers, each at a multiple of `general.alignment` (32)

Numbers are little-endian; a string is its length (8 bytes) and UTF-8; an array its items' type, its
length and the items. Shapes are written with the fastest dimension first, here they are NumPy's.
Quantised numbers come in blocks, say Q4_1: 32 of 4 bits each, a scale and a minimum; the gguf
package knows how to make them numbers again.
"""

import mmap
import struct
from pathlib import Path
from typing import NamedTuple

import numpy

from ..extra import need

MAGIC, VERSIONS, ALIGNMENT = b"GGUF", (2, 3), 32
# type: as struct calls it. Strings and arrays have no size of their own
SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
STRING, ARRAY = 8, 9


class TensorPlace(NamedTuple):
    """A tensor's shape, as NumPy has it, the number of its type, the bytes [begin, end) of the file."""

    shape: tuple[int, ...]
    kind: int
    begin: int
    end: int


class GGUFFile:
    """`metadata`, values by name; `tensors`, a TensorPlace by name; `read(name)`, a tensor's numbers.

    Raises FileNotFoundError where there is no such file; ValueError for one that isn't GGUF, is of
    another version or byte order, or ends too early, and for tensors of an unknown type.
    """

    def __init__(self, path):
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no file {self.path}")
        with open(self.path, "rb") as file:
            if file.read(4) != MAGIC:
                raise ValueError(f"{self.path} is no GGUF file: it does not begin with GGUF")
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._at = 4
        try:
            self._read_header()
        except (struct.error, UnicodeDecodeError, KeyError) as error:
            raise ValueError(
                f"{self.path} is truncated or corrupt: at byte {self._at} of {len(self._bytes)}, "
                f"{error}"
            ) from error

    def _read_header(self):
        version = self._number("I")
        if version not in VERSIONS:
            other = " (its byte order is another one)" if version & 0xFFFF == 0 else ""
            raise ValueError(
                f"{self.path} is of version {version}{other}; versions 2 and 3 can be read"
            )
        tensors, values = self._number("Q"), self._number("Q")
        self.metadata = {self._string(): self._value(self._number("I")) for _ in range(values)}
        found = [self._tensor() for _ in range(tensors)]
        step = self.metadata.get("general.alignment", ALIGNMENT)
        first = -(-self._at // step) * step
        self.tensors = {name: self._placed(name, first, *rest) for name, *rest in found}

    def _number(self, code: str):
        value = struct.unpack_from("<" + code, self._bytes, self._at)[0]
        self._at += struct.calcsize(code)
        return value

    def _string(self) -> str:
        length = self._number("Q")
        if length > len(self._bytes) - self._at:
            raise struct.error(f"a string of {length} bytes goes beyond the end")
        self._at += length
        return str(self._bytes[self._at - length : self._at], "utf-8")

    def _value(self, kind: int):
        if kind == STRING:
            return self._string()
        if kind != ARRAY:
            return self._number(SCALARS[kind])
        kind, length = self._number("I"), self._number("Q")
        if kind in (STRING, ARRAY):
            return [self._value(kind) for _ in range(length)]
        found = struct.unpack_from(f"<{length}{SCALARS[kind]}", self._bytes, self._at)
        self._at += struct.calcsize(f"<{length}{SCALARS[kind]}")
        return list(found)

    def _tensor(self):
        name = self._string()
        shape = [self._number("Q") for _ in range(self._number("I"))]
        return name, tuple(reversed(shape)), self._number("I"), self._number("Q")

    def _placed(self, name, first, shape, kind, offset) -> TensorPlace:
        sizes = need("gguf", extra="models").GGML_QUANT_SIZES
        if kind not in sizes:
            raise ValueError(
                f"{self.path}: {name} is of type {kind}, which the gguf package does not know; a newer "
                "one may"
            )
        numbers, size = sizes[kind]  # so many numbers take so many bytes
        begin = first + offset
        end = begin + int(numpy.prod(shape, dtype=numpy.int64)) // numbers * size
        if end > len(self._bytes):
            raise ValueError(
                f"{self.path} is truncated: {name} ends at byte {end}, the file at {len(self._bytes)}"
            )
        if shape and shape[-1] % numbers:
            raise ValueError(
                f"{self.path}: {name} has rows of {shape[-1]}, no multiple of {numbers}"
            )
        return TensorPlace(shape, kind, begin, end)

    def kind_of(self, name: str) -> str:
        """The name of a tensor's type: F32, Q4_1."""
        return need("gguf", extra="models").GGMLQuantizationType(self.tensors[name].kind).name

    def read(self, name: str) -> numpy.ndarray:
        """A tensor's numbers as float32, in an array of its own; ValueError for types that can't be."""
        library = need("gguf", extra="models")
        place, kind = self.tensors[name], self.kind_of(name)
        raw = numpy.frombuffer(self._bytes, numpy.uint8, place.end - place.begin, place.begin)
        if kind in ("F16", "F32", "F64"):
            numbers = raw.view(f"<f{int(kind[1:]) // 8}")
            return numbers.astype(numpy.float32).reshape(place.shape)
        try:
            numbers = library.dequantize(
                raw.reshape(*place.shape[:-1], -1), library.GGMLQuantizationType(place.kind)
            )
        except NotImplementedError as error:
            raise ValueError(
                f"{self.path}: {name} is of type {kind}, which the gguf package cannot turn into "
                "numbers; convert the file to another type, Q8_0 or F16 say"
            ) from error
        return numpy.ascontiguousarray(numbers, numpy.float32).reshape(place.shape)
