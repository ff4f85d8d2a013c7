"""What autocast does to an operation's inputs: the thread's settings, and the casts.

`amp/op_lists.py` says which operations run in which precision; `op.py` asks here when `regions` is not
0. Double precision, integers and tensors of other devices are left alone, as in torch. The gradient of
a cast input needs nothing special: an edge of the graph brings it back to the input's own dtype.
"""

import functools
import threading
import weakref

import numpy

from . import dtypes

LOWER, FLOAT32, WIDEST, REFUSED = "lower precision", "float32", "the widest", "refused"

regions = 0  # (thread, kind of device) pairs for which autocast is on; 0: no op asks any further
_lock = threading.Lock()
lists: dict[str, dict[str, str]] = {
    "cpu": {},
    "cuda": {},
}  # operation -> policy; see amp/op_lists.py


class _Settings(threading.local):
    """One thread's settings: per kind of device whether autocast is on, and its lower precision."""

    def __init__(self):
        self.enabled = {"cpu": False, "cuda": False}
        self.dtype = {"cpu": None, "cuda": dtypes.float16}  # None: bfloat16, which loads ml_dtypes
        self.cache_enabled = True
        self.nesting = 0
        self.cache = {}  # id of a weight: (weak reference, version, dtype, the array in that dtype)


settings = _Settings()


def set_enabled(kind: str, enabled: bool) -> None:
    """Switch autocast on or off for this thread and a kind of device."""
    global regions
    before = settings.enabled[kind]
    settings.enabled[kind] = enabled = bool(enabled)
    if enabled != before:
        with _lock:
            regions += 1 if enabled else -1


def lower_dtype(kind: str) -> dtypes.dtype:
    """The dtype of operations that run in lower precision."""
    found = settings.dtype[kind]
    return dtypes.bfloat16 if found is None else found


class paused:
    """Inside, autocast is off for a kind of device: for the body of an operation that has a policy."""

    def __init__(self, kind):
        self.kind = kind

    def __enter__(self):
        self.before = settings.enabled[self.kind]
        set_enabled(self.kind, False)

    def __exit__(self, *exc):
        set_enabled(self.kind, self.before)


def _kind(xp) -> str:
    return "cpu" if xp is numpy else "cuda"


def can_cast(array) -> bool:
    """True for what autocast may cast: floating-point numbers of at most 32 bits."""
    return array.dtype.kind in "fV" and array.dtype.itemsize <= 4


def wanted(policy, kind, arrays):
    """The dtype that arrays are cast to; None where nothing is cast."""
    if policy == LOWER:
        return lower_dtype(kind).numpy
    if policy == FLOAT32:
        return dtypes.float32.numpy
    found = {x.dtype for x in arrays if hasattr(x, "dtype") and can_cast(x)}
    return functools.reduce(dtypes.promote, found) if len(found) > 1 else None


def inputs(name, operands, arrays, xp):
    """The arrays that an op called `name` runs with; operands are what it was called with."""
    kind = _kind(xp)
    policy = lists[kind].get(name) if settings.enabled[kind] else None
    if policy is None:
        return arrays
    refuse(name, policy)
    to = wanted(policy, kind, arrays)
    if to is None:
        return arrays
    given = [x.dtype for x in arrays if isinstance(x, xp.ndarray) and x.dtype.kind in "fV"]
    if policy == LOWER and len({d.itemsize > 4 for d in given}) > 1:
        raise RuntimeError(
            f"{name}: expected all inputs to have the same dtype, but got: "
            f"{', '.join(str(d) for d in given)}; autocast leaves float64 alone"
        )
    return [
        _cast(operand, array, to)
        if isinstance(array, xp.ndarray) and array.dtype != to and can_cast(array)
        else array
        for operand, array in zip(operands, arrays, strict=True)
    ]


def refuse(name, policy):
    """RuntimeError for an operation that is not safe in lower precision."""
    if policy == REFUSED:
        raise RuntimeError(
            "binary_cross_entropy and BCELoss are unsafe to autocast: in float16 the sigmoid before them "
            "rounds to 0 or 1. Use binary_cross_entropy_with_logits or BCEWithLogitsLoss, which take the "
            f"values before the sigmoid ({name})."
        )


def _cast(tensor, array, to):
    """The array in another dtype; that of a weight is made once for all of an outermost region."""
    is_weight = (
        settings.cache_enabled
        and settings.nesting
        and array.dtype == dtypes.float32.numpy
        and getattr(tensor, "_requires_grad", False)
        and tensor._node is None
        and tensor._base is None
    )
    if not is_weight:
        return array.astype(to)
    reference, version, dtype, made = settings.cache.get(id(tensor), (None, None, None, None))
    if reference is None or reference() is not tensor or version != _version(tensor) or dtype != to:
        made = array.astype(to)
        settings.cache[id(tensor)] = weakref.ref(tensor), _version(tensor), to, made
    return made


def _version(tensor):
    return id(tensor.array), tensor._version[0]


def applies(name, array) -> bool:
    """True if autocast will bring the inputs of `name` to one dtype, so that they may differ yet."""
    if not regions:
        return False
    kind = "cpu" if isinstance(array, numpy.ndarray) else "cuda"
    return settings.enabled[kind] and name in lists[kind]


def runs_under_autocast(function):
    """Decorate a function made of several ops that autocast treats as one: it is in the lists by name.

    Its tensors are cast before, and its body runs with autocast off.
    """
    name = function.__name__

    @functools.wraps(function)
    def call(*args, **kwargs):
        if not regions:
            return function(*args, **kwargs)
        tensors = [x for x in _flat((*args, *kwargs.values())) if hasattr(x, "array")]
        kind = tensors[0].device.type if tensors else "cpu"
        policy = lists[kind].get(name) if settings.enabled[kind] else None
        if policy is None:
            return function(*args, **kwargs)
        refuse(name, policy)
        to = wanted(policy, kind, [x.array for x in tensors])
        with paused(kind):
            if to is None:
                return function(*args, **kwargs)
            args = [_cast_tensors(x, to) for x in args]
            return function(*args, **{key: _cast_tensors(x, to) for key, x in kwargs.items()})

    return call


def _flat(values):
    for x in values:
        if isinstance(x, (list, tuple)):
            yield from _flat(x)
        else:
            yield x


def _cast_tensors(x, to):
    if isinstance(x, (list, tuple)) and any(hasattr(part, "array") for part in x):
        return type(x)([_cast_tensors(part, to) for part in x])
    if not hasattr(x, "array") or x.array.dtype == to or not can_cast(x.array):
        return x
    from .engine import knot  # which itself asks this file whether autocast is on

    return knot.cast(x, dtype=to)


class outside:
    """Inside, no autocast at all in this thread: for the backward pass, whose dtypes are settled."""

    def __enter__(self):
        self.before = [k for k, on in settings.enabled.items() if on] if regions else ()
        for kind in self.before:
            set_enabled(kind, False)

    def __exit__(self, *exc):
        for kind in self.before:
            set_enabled(kind, True)


class same_again:
    """Made now, entered later: inside, autocast is as it was when this was made."""

    def __init__(self):
        self.enabled, self.dtype = dict(settings.enabled), dict(settings.dtype)

    def _exchange(self):
        now = dict(settings.enabled), dict(settings.dtype)
        for kind, enabled in self.enabled.items():
            set_enabled(kind, enabled)
        settings.dtype.update(self.dtype)
        self.enabled, self.dtype = now

    def __enter__(self):
        self._exchange()

    def __exit__(self, *exc):
        self._exchange()
