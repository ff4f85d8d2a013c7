"""BatchEncoding: what a tokenizer gives back, and where each token stands in its text."""

from collections import UserDict
from typing import NamedTuple

import numpy

from ..ops.creation import as_tensor

TENSORS = ("pt", "mg", "np")


class CharSpan(NamedTuple):
    """Characters [start, end) of a text."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """Tokens [start, end) of an encoding."""

    start: int
    end: int


def as_array(name: str, value) -> numpy.ndarray:
    """Numbers in nested lists as an array, whole ones int64; ValueError where the lengths differ."""
    try:
        array = numpy.asarray(value)
    except ValueError:
        array = None
    if array is None or array.dtype.kind not in "iufb":
        raise ValueError(
            f"return_tensors: the rows of {name} differ in length, or aren't numbers; pass "
            "padding=True (and truncation=True) to have one length"
        )
    if array.size == 0 or array.dtype.kind in "iu":
        return array.astype(numpy.int64)
    return array if array.dtype.kind == "b" else array.astype(numpy.float32)


def check_tensors(kind: str | None) -> None:
    """ValueError for a kind of tensors that there isn't."""
    if kind is not None and kind not in TENSORS:
        raise ValueError(
            f"return_tensors: there is no {kind!r}; there are None (lists), "
            '"pt" and "mg" (tensors) and "np" (NumPy arrays)'
        )


class BatchEncoding(UserDict):
    """Inputs of a model by name: `encoded["input_ids"]`, `encoded.input_ids`, `model(**encoded)`.

    encoded[i] is the i-th text's record of the tokenizers library, encoded[i:j] some of them; where
    there are no records, encoded[i:j] is a dictionary of rows. len() counts the names. The methods
    that take a place take (text, place), or, for a single text, the place alone.
    """

    def __init__(self, data=None, encoding=None, tensor_type: str | None = None):
        check_tensors(tensor_type)
        super().__init__(data)
        single = encoding is not None and not isinstance(encoding, (list, tuple))
        self._encodings = [encoding] if single else encoding
        self.convert_to_tensors(tensor_type)

    def __getitem__(self, key):
        if isinstance(key, str):
            return self.data[key]
        if self._encodings is not None:
            return self._encodings[key]
        if isinstance(key, slice):
            return {name: value[key] for name, value in self.data.items()}
        raise KeyError(
            f"BatchEncoding: no texts' records to look up {key!r} in; take a name or a slice"
        )

    def __getattr__(self, name):
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(f"this BatchEncoding has no {name!r}") from None

    @property
    def is_fast(self) -> bool:
        """Whether the tokens' places are known."""
        return self._encodings is not None

    @property
    def encodings(self) -> list | None:
        """The texts' records of the tokenizers library."""
        return self._encodings

    @property
    def n_sequences(self) -> int | None:
        """1 for texts, 2 for pairs, None where it isn't known."""
        return self._encodings[0].n_sequences if self._encodings else None

    def convert_to_tensors(self, tensor_type: str | None = None) -> "BatchEncoding":
        """Make every list a tensor ("pt" or "mg"), or an array ("np"): int64, or float32 for fractions.

        Raises ValueError for lists of different lengths; nothing has changed then.
        """
        check_tensors(tensor_type)
        if tensor_type is None:
            return self
        found = {}
        for name, value in self.data.items():
            if hasattr(value, "array"):  # a tensor
                found[name] = value if tensor_type != "np" else value.numpy(force=True)
            else:
                array = as_array(name, value)
                found[name] = array if tensor_type == "np" else as_tensor(array)
        self.data.update(found)
        return self

    def to(self, device, *, non_blocking: bool = False) -> "BatchEncoding":
        """Bring every tensor to a device; gives back the same object."""
        self.data = {
            name: value.to(device, non_blocking=non_blocking) if hasattr(value, "to") else value
            for name, value in self.data.items()
        }
        return self

    # -- tokens, words and characters --------------------------------------------------------------

    def _record(self, index: int):
        if not self._encodings:
            raise ValueError(
                "BatchEncoding: the tokens' places aren't known here; only what a tokenizer's call "
                "gives has them"
            )
        return self._encodings[index]

    def _record_and_place(self, first: int, second: int | None):
        index, place = (0, first) if second is None else (first, second)
        record = self._record(index)
        return record, place + len(record) if place < 0 else place

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The pieces of a text."""
        return self._record(batch_index).tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """The number of every token's word; None for special tokens."""
        return self._record(batch_index).word_ids

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """0 for tokens of the first text, 1 of the second; None for special tokens."""
        return self._record(batch_index).sequence_ids

    def token_to_sequence(self, batch_or_token_index: int, token_index: int | None = None):
        """Whether a token is of the first text (0) or the second (1)."""
        record, token = self._record_and_place(batch_or_token_index, token_index)
        return record.token_to_sequence(token)

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None):
        """The number of a token's word, None for a special token."""
        record, token = self._record_and_place(batch_or_token_index, token_index)
        return record.token_to_word(token)

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None):
        """The CharSpan of a token in its text, None for a special token."""
        record, token = self._record_and_place(batch_or_token_index, token_index)
        span = record.token_to_chars(token)
        return None if span is None else CharSpan(*span)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ):
        """The token that a character of a text is in, None for a space."""
        alone = char_index is None
        index, place = (0, batch_or_char_index) if alone else (batch_or_char_index, char_index)
        return self._record(index).char_to_token(place, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ):
        """The number of the word that a character of a text is in, None for a space."""
        alone = char_index is None
        index, place = (0, batch_or_char_index) if alone else (batch_or_char_index, char_index)
        return self._record(index).char_to_word(place, sequence_index)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ):
        """The TokenSpan of a word, None where it has no token."""
        record, word = self._record_and_place(batch_or_word_index, word_index)
        span = record.word_to_tokens(word, sequence_index)
        return None if span is None else TokenSpan(*span)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ):
        """The CharSpan of a word in its text."""
        alone = word_index is None
        index, word = (0, batch_or_word_index) if alone else (batch_or_word_index, word_index)
        return CharSpan(*self._record(index).word_to_chars(word, sequence_index))
