"""Sequences of different lengths in one batch: padded, or packed for the recurrent layers.

Packed, the rows of all sequences stand time step by time step, without padding: for lengths 3, 2, 1
and letters for sequences, a0 b0 c0 a1 b1 a2, with batch_sizes 3, 2, 1.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy

from ...backend import CPU, array_module
from ...dtypes import int64
from ...op import wrap
from ...ops.creation import as_tensor, full
from ...ops.shape import cat
from ...tensor import Tensor


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """A batch of sequences without padding; made by `pack_sequence` and `pack_padded_sequence`.

    data (sum of lengths, ...); batch_sizes (longest length), on the CPU: how many sequences are
    still running at each step; sorted_indices: which sequence of the batch stands at each place,
    the longest first; unsorted_indices: its inverse. Both None where they were sorted already.
    """

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if batch_sizes is None:
            data, batch_sizes = data
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be "
                "created manually: use pack_sequence and pack_padded_sequence of nn.utils.rnn."
            )
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs) -> "PackedSequence":
        """The data in another dtype or on another device, where its indices follow."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        orders = (None if order is None else order.to(data.device) for order in self[2:])
        return type(self)(data, self.batch_sizes, *orders)

    def cuda(self, device=None) -> "PackedSequence":
        """On a GPU."""
        return self.to("cuda" if device is None else device)

    def cpu(self) -> "PackedSequence":
        """In main memory."""
        return self.to("cpu")

    def float(self) -> "PackedSequence":
        """With data of dtype float32."""
        return type(self)(self.data.float(), *self[1:])

    def double(self) -> "PackedSequence":
        """With data of dtype float64."""
        return type(self)(self.data.double(), *self[1:])

    def half(self) -> "PackedSequence":
        """With data of dtype float16."""
        return type(self)(self.data.half(), *self[1:])

    def long(self) -> "PackedSequence":
        """With data of dtype int64."""
        return type(self)(self.data.long(), *self[1:])

    def int(self) -> "PackedSequence":
        """With data of dtype int32."""
        return type(self)(self.data.int(), *self[1:])

    @property
    def is_cuda(self) -> bool:
        """True if the data lie on a GPU."""
        return self.data.is_cuda


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The order q with q[p[i]] = i; None for None."""
    if permutation is None:
        return None
    xp = array_module(permutation.array)
    inverse = xp.empty_like(permutation.array)
    inverse[permutation.array] = xp.arange(len(inverse))
    return wrap(inverse)


def _index(array, like: Tensor) -> Tensor:
    return as_tensor(numpy.ascontiguousarray(array, dtype=numpy.int64), device=like.device)


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | list[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Leave out the padding: input (T, B, ...), or (B, T, ...) with batch_first; lengths (B,).

    enforce_sorted: the sequences must come in order of falling length; otherwise they are sorted
    here, and the results of a recurrent layer are put back in the order of the batch.
    Raises RuntimeError for lengths that don't fit.
    """
    lengths = numpy.asarray(lengths.tolist() if isinstance(lengths, Tensor) else lengths)
    lengths = lengths.astype(numpy.int64)
    batch_dim = 0 if batch_first else 1
    if input.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    batch = input.shape[batch_dim]
    steps = input.shape[1 - batch_dim]
    if lengths.shape != (batch,):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} "
            f"(batch_size={batch})"
        )
    if lengths.min() <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if lengths.max() > steps:
        raise RuntimeError(
            f"pack_padded_sequence: a length of {lengths.max()} exceeds the padded length {steps} "
            f"of input of shape {tuple(input.shape)}"
        )
    order = None
    places = numpy.arange(batch)
    if enforce_sorted:
        if (numpy.diff(lengths) > 0).any():
            raise RuntimeError(
                "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. "
                "You can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence "
                "to sidestep this requirement."
            )
    else:
        places = numpy.argsort(-lengths, kind="stable")
        order = _index(places, input)
    running = numpy.arange(lengths.max())[:, None] < lengths[places]  # (longest, B)
    step, place = numpy.nonzero(running)
    rows = places[place] * steps + step if batch_first else step * batch + places[place]
    data = input.reshape(batch * steps, *input.shape[2:]).index_select(0, _index(rows, input))
    batch_sizes = as_tensor(running.sum(axis=1), dtype=int64, device=CPU)
    return PackedSequence(data, batch_sizes, order, None)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Back from packed to padded, (T, B, ...) or (B, T, ...), and the lengths (B,).

    total_length: pad to this length instead of the longest one's.
    """
    data, batch_sizes, _, unsorted = sequence
    sizes = numpy.asarray(batch_sizes.tolist())
    steps = len(sizes)
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in "
                f"input, but got total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    lengths = (numpy.arange(sizes[0])[:, None] < sizes).sum(axis=1)
    step, place = numpy.nonzero(numpy.arange(sizes[0]) < sizes[:, None])
    rows = numpy.full((steps, sizes[0]), len(data))  # the last row, added below, is padding
    rows[step, place] = numpy.arange(len(data))
    if unsorted is not None:
        order = numpy.asarray(unsorted.tolist())
        lengths = lengths[order]
        rows = rows[:, order]
    if batch_first:
        rows = rows.T
    return _place_rows([data], rows, padding_value), as_tensor(lengths, dtype=int64, device=CPU)


def _place_rows(parts, rows, padding_value) -> Tensor:
    """The rows, by number, of all parts and of one row of padding after them."""
    first = parts[0]
    padding = full((1, *first.shape[1:]), padding_value, dtype=first.dtype, device=first.device)
    every = cat([*parts, padding], 0)
    picked = every.index_select(0, _index(rows.reshape(-1), first))
    return picked.reshape(*rows.shape, *first.shape[1:])


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stack sequences (length, ...) of different lengths: (T, B, ...), or (B, T, ...).

    padding_side: "right" puts the padding behind the sequences, "left" before them.
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    shape = sequences[0].shape[1:]
    for i, sequence in enumerate(sequences):
        if sequence.shape[1:] != shape:
            raise RuntimeError(
                "pad_sequence: all sequences must have the same trailing dimensions, got shape "
                f"{tuple(sequences[0].shape)} first and {tuple(sequence.shape)} at place {i}"
            )
    lengths = [len(sequence) for sequence in sequences]
    longest = max(lengths)
    rows = numpy.full((len(sequences), longest), sum(lengths))
    start = 0
    for row, length in zip(rows, lengths, strict=True):
        here = slice(0, length) if padding_side == "right" else slice(longest - length, longest)
        row[here] = numpy.arange(start, start + length)
        start += length
    return _place_rows(sequences, rows if batch_first else rows.T, padding_value)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded batch, without their padding."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [
        sequence[: int(length)] for sequence, length in zip(padded_sequences, lengths, strict=True)
    ]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (length, ...); see `pack_padded_sequence`."""
    lengths = [len(sequence) for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
