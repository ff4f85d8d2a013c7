"""The state of the random numbers, under the names of torch.random."""

import contextlib

from .generator import Generator, default_generator
from .op import wrap

Generator._wrap = staticmethod(wrap)

__all__ = [
    "Generator",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]


def manual_seed(seed: int) -> Generator:
    """Start the stream of a seed: from here on the numbers are those of torch.manual_seed(seed)."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start a stream that can't be foreseen; returns its seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default stream started from."""
    return default_generator.initial_seed()


def get_rng_state():
    """The state of the default stream, as the ByteTensor that torch.get_rng_state() gives."""
    return wrap(default_generator.state_bytes())


def set_rng_state(new_state) -> None:
    """Go back to a state, ours or torch's."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices=None, enabled: bool = True, device_type: str = "cuda"):
    """Inside, random numbers may be drawn; after, the stream goes on as if none had been."""
    before = default_generator.state_bytes()
    try:
        yield
    finally:
        if enabled:
            default_generator.set_state_bytes(before)
