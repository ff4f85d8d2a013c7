"""Random streams that a collator has of its own: where they are, as plain data, and back again."""

import contextlib
import random
from collections.abc import Iterator

import numpy

from ...generator import Generator


def _plain(value):
    """Arrays of a NumPy generator's state as a dict of lists."""
    if isinstance(value, numpy.ndarray):
        return {"dtype": str(value.dtype), "values": value.tolist()}
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value


def _from_plain(value):
    """What `_plain` was given."""
    if isinstance(value, dict) and value.keys() == {"dtype", "values"}:
        return numpy.array(value["values"], value["dtype"])
    if isinstance(value, dict):
        return {name: _from_plain(part) for name, part in value.items()}
    return value


# kind of stream: (its state as plain data and tensors, setting it)
KINDS = {
    Generator: (Generator.get_state, Generator.set_state),
    random.Random: (random.Random.getstate, random.Random.setstate),
    numpy.random.Generator: (
        lambda stream: _plain(stream.bit_generator.state),
        lambda stream, state: setattr(stream.bit_generator, "state", _from_plain(state)),
    ),
    numpy.random.RandomState: (
        lambda stream: _plain(stream.get_state(legacy=False)),
        lambda stream, state: stream.set_state(_from_plain(state)),
    ),
}


def _streams(owner) -> dict:
    """{attribute: (stream, its kind)} of an object's own streams."""
    found = {}
    for name, value in getattr(owner, "__dict__", {}).items():
        kind = next((kind for kind in KINDS if isinstance(value, kind)), None)
        if kind is not None:
            found[name] = (value, kind)
    return found


def states_of(owner) -> dict:
    """Where the random streams among an object's attributes are, by the attributes' names."""
    return {name: KINDS[kind][0](stream) for name, (stream, kind) in _streams(owner).items()}


def restore(owner, states: dict) -> None:
    """Let an object's streams go on where they were; those without a saved state stay."""
    for name, (stream, kind) in _streams(owner).items():
        if name in states:
            KINDS[kind][1](stream, states[name])


@contextlib.contextmanager
def kept(owner) -> Iterator[None]:
    """Whatever is drawn in the block, an object's streams are afterwards where they were before."""
    states = states_of(owner)
    try:
        yield
    finally:
        restore(owner, states)
