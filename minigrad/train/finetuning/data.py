"""Batches of examples that are dicts: their order, their columns, and how they become tensors."""

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy

from ...dtypes import float32, int64
from ...generator import Generator
from ...ops.creation import as_tensor, tensor
from ...ops.shape import stack
from ...tensor import Tensor
from ...text.batch import BucketBatchSampler
from ...utils.data import Sampler

LABELS = ("label", "label_ids")  # a data set's names for what models call labels


class EpochBatches(Sampler):
    """Batches of indices in the order that belongs to a seed and an epoch, from any batch on.

    Each epoch's order has a stream of random numbers of its own, so that a resumed run finds it
    again: `start(epoch, first)`, then iterate. lengths: texts of like length come together.
    """

    def __init__(
        self, count: int, batch_size: int, shuffle: bool = True, drop_last: bool = False,
        seed: int = 0, lengths: Sequence[int] | None = None,
    ):  # fmt: skip
        self.count = count
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.buckets = None
        if lengths is not None:
            self.buckets = BucketBatchSampler(lengths, batch_size, True, drop_last, seed)
        self.start(0)

    def start(self, epoch: int, first: int = 0) -> None:
        """Make the next pass that of an epoch, without its first batches."""
        self.epoch, self.first = epoch, first

    def __len__(self) -> int:
        return (
            self.count // self.batch_size if self.drop_last else -(-self.count // self.batch_size)
        )

    def _batches(self) -> Iterator[list[int]]:
        if self.buckets is not None:
            self.buckets.epoch = self.epoch
            yield from self.buckets
            return
        order = range(self.count)
        if self.shuffle:
            stream = Generator().manual_seed(self.seed + 1_000_003 * self.epoch)
            order = stream.permutation(self.count).tolist()
        for place in range(len(self)):
            yield list(order[place * self.batch_size : (place + 1) * self.batch_size])

    def __iter__(self) -> Iterator[list[int]]:
        return itertools.islice(self._batches(), self.first, None)


def lengths_of(dataset, column: str) -> list[int]:
    """Tokens of every example: its column of lengths, or its input_ids counted.

    Raises ValueError where an example has neither.
    """
    lengths = []
    for place in range(len(dataset)):
        example = dataset[place]
        has = example.keys() if isinstance(example, Mapping) else ()
        if column not in has and "input_ids" not in has:
            raise ValueError(
                f"group_by_length: example {place} has neither {column!r} nor 'input_ids' to tell "
                "its length by"
            )
        lengths.append(int(example[column]) if column in has else len(example["input_ids"]))
    return lengths


# -- columns -------------------------------------------------------------------------------------


def columns_of(model) -> set[str] | None:
    """Names of the inputs that a model's forward takes; None where it takes any.

    A head of minigrad.pretrained hands its inputs on, so those of the model under it count too.
    """
    names: set[str] = set()
    below = getattr(model, "base_model", model)
    takes_any = False
    for part in (model,) if below is model else (model, below):
        takes_any = False
        for name, parameter in inspect.signature(part.forward).parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                takes_any = True
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                names.add(name)
    return None if takes_any else names


def labels_of(model) -> list[str]:
    """Names of the inputs that are labels, by the signature of a model's forward."""
    names = inspect.signature(model.forward).parameters
    spans = {"start_positions", "end_positions"}
    if not spans <= set(names):
        spans = set()
    return [name for name in names if "label" in name or name in spans]


class RemoveColumns:
    """A collator that first takes away from every example what the model has no input for."""

    def __init__(self, collate: Callable, keep: set[str]):
        self.collate = collate
        self.keep = keep

    def __call__(self, examples):
        if not isinstance(examples[0], Mapping):
            return self.collate(examples)
        kept = [{k: v for k, v in row.items() if k in self.keep} for row in examples]
        if not kept[0]:
            raise ValueError(
                f"none of the columns {', '.join(map(str, examples[0]))} is an input of the model, "
                f"which takes {', '.join(sorted(self.keep))}; rename them, or pass "
                "remove_unused_columns=False"
            )
        return self.collate(kept)


# -- tensors -------------------------------------------------------------------------------------


def default_data_collator(features: Sequence[Mapping]) -> dict[str, Tensor]:
    """Examples of one length as one dict of tensors; "label" and "label_ids" become "labels".

    Whole numbers are int64, others float32; strings and None are left out. Raises ValueError for rows of
    different lengths, naming the column.
    """
    batch = {}
    for name, value in features[0].items():
        if value is None or isinstance(value, str):
            continue
        values = [row[name] for row in features]
        batch["labels" if name in LABELS else name] = _joined(name, values)
    return batch


def _joined(name: str, values: list) -> Tensor:
    if isinstance(values[0], Tensor):
        shapes = {tuple(value.shape) for value in values}
        if len(shapes) == 1:
            return stack([value.detach() for value in values])
    else:
        arrays = [numpy.asarray(value) for value in values]
        shapes = {array.shape for array in arrays}
        if len(shapes) == 1:
            table = numpy.stack(arrays)
            if isinstance(values[0], (numpy.ndarray, numpy.generic)):
                return as_tensor(table)
            return tensor(table, dtype=float32 if table.dtype.kind == "f" else int64)
    raise ValueError(
        f"column {name!r} has rows of different shapes, {', '.join(map(str, sorted(shapes)[:3]))} "
        "...: pad them, or give the Trainer a processing_class or a DataCollatorWithPadding"
    )
