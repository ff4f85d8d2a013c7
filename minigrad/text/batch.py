"""Batches of texts of different lengths: padded to one width, and put together by length."""

from collections.abc import Iterator, Sequence

import numpy

from ..backend import host
from ..generator import Generator
from ..ops.creation import as_tensor
from ..tensor import Tensor
from ..utils.data import Sampler


def pad_ids(
    rows: Sequence[Sequence[int]],
    padding: int = 0,
    min_length: int = 1,
    max_length: int | None = None,
) -> Tensor:
    """Lists of ids as one int64 tensor (B, T), filled up with `padding`.

    T is the longest row's length, but at least min_length (as a convolution needs its width) and at
    most max_length: what goes beyond is cut off.
    """
    if max_length is not None and max_length < max(1, min_length):
        raise ValueError(
            f"pad_ids: max_length {max_length} is less than min_length {max(1, min_length)}"
        )
    return as_tensor(padded([row[:max_length] for row in rows], padding, min_length))


def padded(rows: Sequence[Sequence[int]], padding: int = 0, min_length: int = 1) -> numpy.ndarray:
    """What `pad_ids` makes a tensor of."""
    width = max([min_length, *map(len, rows)])
    table = numpy.full((len(rows), width), padding, numpy.int64)
    for row, ids in zip(table, rows, strict=True):
        row[: len(ids)] = host(ids.array) if isinstance(ids, Tensor) else ids
    return table


class collate_classification:
    """Joins (ids, label) pairs to (ids (B, T), labels (B)); a `collate_fn` for DataLoader.

    With lengths=True, (ids, lengths (B), labels), as pack_padded_sequence wants them.
    """

    def __init__(
        self,
        padding: int = 0,
        min_length: int = 1,
        max_length: int | None = None,
        lengths: bool = False,
    ):
        self.padding = padding
        self.min_length = min_length
        self.max_length = max_length
        self.lengths = lengths

    def __call__(self, pairs):
        rows = [ids[: self.max_length] for ids, _ in pairs]
        ids = pad_ids(rows, self.padding, self.min_length, self.max_length)
        labels = as_tensor(numpy.array([label for _, label in pairs], numpy.int64))
        if not self.lengths:
            return ids, labels
        return ids, as_tensor(numpy.array(list(map(len, rows)), numpy.int64)), labels


class BucketBatchSampler(Sampler):
    """Batches of texts of similar length, so that little of a batch is padding.

    Every epoch the order is drawn afresh from `seed`: texts are shuffled, pools of pool_size batches
    are sorted by length and cut into batches, and the batches are shuffled.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        shuffle: bool = True,
        drop_last: bool = False,
        seed: int = 0,
        pool_size: int = 50,
    ):
        if batch_size < 1:
            raise ValueError(f"BucketBatchSampler: batch_size must be at least 1, not {batch_size}")
        self.lengths = list(lengths)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.pool = batch_size * pool_size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        count = len(self.lengths)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = Generator().manual_seed(self.seed + 1_000_003 * self.epoch)
        self.epoch += 1
        count = len(self.lengths)
        order = generator.permutation(count).tolist() if self.shuffle else list(range(count))
        batches = []
        for start in range(0, count, self.pool):
            pool = sorted(order[start : start + self.pool], key=self.lengths.__getitem__)
            batches += [pool[i : i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
        if self.drop_last:
            batches = [batch for batch in batches if len(batch) == self.batch_size]
        if self.shuffle:
            batches = [batches[i] for i in generator.permutation(len(batches)).tolist()]
        return iter(batches)
