"""What evaluation and prediction give: outputs of all batches as arrays, and figures from them."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy

from ...tensor import Tensor

PADDING = -100  # no class: what rows are filled up with where batches differ in width


class PredictionOutput(NamedTuple):
    """predict()'s answer: outputs (N, ...), labels (N, ...) or None, and figures."""

    predictions: numpy.ndarray | tuple
    label_ids: numpy.ndarray | tuple | None
    metrics: dict[str, float] | None


class EvalLoopOutput(NamedTuple):
    """evaluation_loop()'s answer: as PredictionOutput, with the number of examples."""

    predictions: numpy.ndarray | tuple | None
    label_ids: numpy.ndarray | tuple | None
    metrics: dict[str, float] | None
    num_samples: int | None


class EvalPrediction:
    """What compute_metrics gets: `predictions, label_ids = eval_prediction`.

    inputs and losses are there where include_for_metrics asks for them, and follow in that order.
    """

    def __init__(self, predictions, label_ids, inputs=None, losses=None):
        self.predictions = predictions
        self.label_ids = label_ids
        self.inputs = inputs
        self.losses = losses
        given = (predictions, label_ids, inputs, losses)
        self.elements = given[:2] + tuple(x for x in given[2:] if x is not None)

    def __iter__(self):
        return iter(self.elements)

    def __getitem__(self, place: int):
        if not 0 <= place < len(self.elements):
            raise IndexError(f"EvalPrediction has {len(self.elements)} parts, not {place + 1}")
        return self.elements[place]


def to_arrays(value):
    """Tensors in nested tuples and dicts as NumPy arrays; None stays, and so do other things."""
    if isinstance(value, Tensor):
        return value.numpy(force=True)
    if isinstance(value, Mapping):
        return {name: to_arrays(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(to_arrays(part) for part in value)
    return value


def joined(batches: list):
    """Arrays (B, ...) of all batches as one (N, ...), or tuples and dicts of such.

    Where the second axis differs from batch to batch, rows are filled up with -100 on the right.
    """
    first = batches[0]
    if first is None:
        return None
    if isinstance(first, Mapping):
        return {name: joined([batch[name] for batch in batches]) for name in first}
    if isinstance(first, (tuple, list)):
        return type(first)(joined(list(parts)) for parts in zip(*batches, strict=True))
    batches = [numpy.atleast_1d(batch) for batch in batches]
    if len({batch.shape[1:] for batch in batches}) > 1:
        width = max(batch.shape[1] for batch in batches)
        batches = [_widened(batch, width) for batch in batches]
    return numpy.concatenate(batches)


def _widened(array, width: int):
    out = numpy.full((array.shape[0], width, *array.shape[2:]), PADDING, array.dtype)
    out[:, : array.shape[1]] = array
    return out


def batch_length(inputs: Mapping) -> int:
    """Examples in a batch: the first axis of its first tensor."""
    return next(len(value) for value in inputs.values() if isinstance(value, Tensor))


def mean_loss(losses: list[float], counts: list[int], skip_nan: bool) -> float:
    """The mean over examples of batches' mean losses; skip_nan: of those that are finite, if any is."""
    pairs = list(zip(losses, counts, strict=True))
    finite = [pair for pair in pairs if math.isfinite(pair[0])]
    if skip_nan and finite:
        pairs = finite
    return sum(loss * count for loss, count in pairs) / sum(count for _, count in pairs)


def speed_metrics(prefix: str, seconds: float, num_samples=None, num_steps=None) -> dict:
    """{prefix}_runtime, {prefix}_samples_per_second, {prefix}_steps_per_second."""
    figures = {f"{prefix}_runtime": round(seconds, 4)}
    for name, count in (("samples", num_samples), ("steps", num_steps)):
        if count is not None and seconds > 0:
            figures[f"{prefix}_{name}_per_second"] = round(count / seconds, 3)
    return figures


def plain_numbers(value):
    """Figures as JSON has them: arrays and tensors become numbers or lists, in dicts and lists too."""
    if isinstance(value, (Tensor, numpy.generic, numpy.ndarray)):
        return value.item() if math.prod(value.shape) == 1 else value.tolist()
    if isinstance(value, Mapping):
        return {name: plain_numbers(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_numbers(part) for part in value]
    return value
