"""Collating: a list of examples into one batch, whatever they are made of."""

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence

import numpy

from ...dtypes import float64
from ...op import wrap
from ...ops.creation import as_tensor, tensor
from ...ops.shape import stack
from ...tensor import Tensor


def default_convert(data):
    """Arrays inside mappings and sequences as tensors; everything else as it is."""
    if isinstance(data, (numpy.ndarray, numpy.generic)):
        return data if data.dtype.kind in "SUO" else as_tensor(data)
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like(data, [default_convert(value) for value in data])
    return data


def default_collate(batch):
    """Tensors, arrays and numbers stacked; mappings and sequences collated item by item.

    Strings stay a list, a tuple becomes a list, other containers keep their type. Raises TypeError
    for anything else, naming its type.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked(batch)
    if isinstance(first, numpy.ndarray):
        if first.dtype.kind in "SUO":
            raise TypeError(_unknown(first.dtype))
        return _stacked([as_tensor(array) for array in batch])
    if isinstance(first, (numpy.bool_, numpy.number)):
        return as_tensor(numpy.stack(batch))
    if isinstance(first, float):
        return tensor(batch, dtype=float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        parts = {key: default_collate([example[key] for example in batch]) for key in first}
        return _like(first, parts)
    if isinstance(first, Sequence):
        if any(len(example) != len(first) for example in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        return _like(first, [default_collate(part) for part in zip(*batch, strict=True)])
    raise TypeError(_unknown(type(first)))


def _stacked(tensors):
    """stack(tensors, 0), without a graph where none is asked for: a batch is made of many."""
    first = tensors[0].array
    alike = all(
        type(x.array) is numpy.ndarray
        and x.array.shape == first.shape
        and x.array.dtype == first.dtype
        and not x.requires_grad
        for x in tensors
    )
    if not alike:
        return stack(list(tensors), 0)
    return wrap(numpy.array([x.array for x in tensors], first.dtype))


def _like(model, parts):
    """The parts in a container like the model, or in a plain list or dict where that can't be."""
    kind = type(model)
    if isinstance(model, tuple):
        return kind(*parts) if hasattr(model, "_fields") else parts
    try:
        if isinstance(model, MutableMapping):
            filled = copy.copy(model)  # it may hold more than its items
            filled.update(parts)
            return filled
        if isinstance(model, MutableSequence):
            filled = copy.copy(model)
            for i, part in enumerate(parts):
                filled[i] = part
            return filled
        return kind(parts)
    except TypeError:
        return parts


def _unknown(kind):
    return (
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{kind}"
    )
