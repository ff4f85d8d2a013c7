"""Which steps of a program are recorded."""

import enum
from collections.abc import Callable


class ProfilerActivity(enum.Enum):
    """What can be recorded: the CPU's work. CUDA is accepted; its kernels are not timed."""

    CPU = 0
    CUDA = 2


def supported_activities() -> set[ProfilerActivity]:
    """What can be recorded here."""
    return {ProfilerActivity.CPU}


class ProfilerAction(enum.Enum):
    """What the profiler does in one step: nothing, or recording; after the last, it hands over."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def schedule(
    *,
    wait: int,
    warmup: int,
    active: int,
    repeat: int = 0,
    skip_first: int = 0,
    skip_first_wait: int = 0,
) -> Callable[[int], ProfilerAction]:
    """Cycles of `wait` steps off, `warmup` steps before a recording, `active` recorded steps.

    repeat: how many cycles; 0 = until the end. skip_first: steps before the first cycle.
    skip_first_wait: 1 = the first cycle has no `wait`. Nothing is recorded in the steps of `wait`
    or `warmup`. Raises ValueError for a negative number, or no active step.
    """
    if min(wait, warmup, repeat, skip_first, skip_first_wait) < 0 or active <= 0:
        raise ValueError(
            f"schedule: wait={wait}, warmup={warmup}, repeat={repeat}, skip_first={skip_first}, "
            f"skip_first_wait={skip_first_wait} must be at least 0, active={active} at least 1"
        )
    cycle = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise ValueError(f"schedule: step {step} is negative")
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait:
            step += wait
        if repeat and step >= repeat * cycle:
            return ProfilerAction.NONE
        place = step % cycle
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < cycle - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def always(step: int) -> ProfilerAction:
    """The schedule of a profile without one: every step is recorded."""
    return ProfilerAction.RECORD
