"""One length for rows of ids: which length is meant, and filling rows up to it."""

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy

from ..tensor import Tensor

PADDINGS = ("longest", "max_length", "do_not_pad")
TRUNCATIONS = ("longest_first", "only_first", "only_second", "do_not_truncate")
BOUND = int(1e20)  # a model_max_length beyond it means that there is none


class Lengths(NamedTuple):
    """One of PADDINGS, one of TRUNCATIONS, and the length that they mean."""

    padding: str
    truncation: str
    max_length: int | None


def _named(what: str, value, meaning: dict, names: tuple[str, ...]) -> str:
    name = next((name for flag, name in meaning.items() if value is flag), value)
    if name not in names:
        raise ValueError(
            f"{what}: there is no {value!r}; there are True, False, {', '.join(map(repr, names))}"
        )
    return name


def check_side(what: str, side: str) -> str:
    """ "right" or "left"; ValueError for another."""
    if side not in ("right", "left"):
        raise ValueError(f"{what} is 'right' or 'left', not {side!r}")
    return side


def lengths(
    tokenizer, padding, truncation, max_length=None, multiple=None, verbose=True
) -> Lengths:
    """What the options of a tokenizer's call mean; ValueError where they mean nothing.

    max_length alone turns truncation on. Without max_length, it is model_max_length; where that is
    unknown, texts are neither cut nor padded to it.
    """
    if max_length is not None and padding is False and truncation is None:
        truncation = "longest_first"
    padding = _named("padding", padding, {True: "longest", False: "do_not_pad"}, PADDINGS)
    truncation = _named(
        "truncation",
        truncation,
        {True: "longest_first", False: "do_not_truncate", None: "do_not_truncate"},
        TRUNCATIONS,
    )
    if max_length is not None and max_length < 0:
        raise ValueError(f"max_length {max_length} is negative")
    if (
        padding == "longest"
        and truncation == "do_not_truncate"
        and max_length is not None
        and verbose
    ):
        warnings.warn(
            "max_length does nothing with padding=True and no truncation: padding='max_length' pads "
            "to it, truncation=True cuts at it",
            stacklevel=3,
        )
    if max_length is None:
        bounded = tokenizer.model_max_length <= BOUND
        if padding == "max_length" and not bounded:
            padding = "do_not_pad"
        if not bounded:
            truncation = "do_not_truncate"
        if padding == "max_length" or truncation != "do_not_truncate":
            max_length = tokenizer.model_max_length
    if padding != "do_not_pad":
        if tokenizer.pad_token is None or tokenizer.pad_token_id is None:
            raise ValueError(
                "padding: the tokenizer has no pad token; set tokenizer.pad_token = "
                "tokenizer.eos_token, or add one: tokenizer.add_special_tokens({'pad_token': '[PAD]'})"
            )
        if truncation != "do_not_truncate" and multiple and max_length % multiple:
            raise ValueError(
                f"max_length {max_length} is no multiple of pad_to_multiple_of {multiple}"
            )
    return Lengths(padding, truncation, max_length)


def as_lists(value):
    """Tensors and arrays, in lists too, as lists of numbers."""
    if isinstance(value, (Tensor, numpy.ndarray, numpy.generic)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [as_lists(item) for item in value]
    return value


def _kind(value) -> str | None:
    """Which tensors these are, or hold."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    if isinstance(value, Tensor):
        return "mg"
    return "np" if isinstance(value, numpy.ndarray) else None


def pad_rows(encoded, main: str, size: Lengths, multiple, left: bool, fill: dict, with_mask: bool):
    """({name: rows of one length}, the kind of tensors they came in or None).

    encoded: a dictionary of one row or of several, or a list of dictionaries. main: the name whose
    rows have the length that counts. fill: what to fill with by name; attention_mask is filled by 0.
    """
    if isinstance(encoded, (list, tuple)) and encoded and isinstance(encoded[0], Mapping):
        names = encoded[0].keys()
        for number, row in enumerate(encoded):
            if row.keys() != names:
                raise ValueError(
                    f"pad: row {number} has {', '.join(row)}, the first {', '.join(names)}"
                )
        encoded = {name: [row[name] for row in encoded] for name in names}
    if not isinstance(encoded, Mapping) or main not in encoded:
        has = ", ".join(encoded) if isinstance(encoded, Mapping) else type(encoded).__name__
        raise ValueError(f"pad: there must be {main} to be padded, got {has}")
    kind = _kind(encoded[main])
    table = {name: as_lists(value) for name, value in encoded.items()}
    if len(table[main]) == 0:
        return table | ({"attention_mask": []} if with_mask else {}), kind
    single = not isinstance(table[main][0], list)
    if single:
        table = {name: [value] for name, value in table.items()}
    for name, rows in table.items():
        if not isinstance(rows, list) or len(rows) != len(table[main]):
            raise ValueError(f"pad: {name} must have {len(table[main])} rows, as {main} has")
    if with_mask and "attention_mask" not in table:
        table["attention_mask"] = [[1] * len(row) for row in table[main]]
    if size.padding != "do_not_pad":
        longest = size.padding == "longest"
        length = max(map(len, table[main])) if longest else size.max_length
        length = -(-length // multiple) * multiple if multiple else length
        missing = [max(0, length - len(row)) for row in table[main]]
        for name in {*fill, "attention_mask"} & table.keys():
            filler = fill.get(name, 0)
            table[name] = [
                [filler] * count + row if left else row + [filler] * count
                for row, count in zip(table[name], missing, strict=True)
            ]
    return {name: rows[0] for name, rows in table.items()} if single else table, kind
