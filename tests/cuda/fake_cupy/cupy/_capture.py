"""CUDA graphs of the stand-in: what a capturing stream is given is written down, and done by a replay.

As on a GPU, nothing is done while a graph is captured: arrays made then hold what nobody has written,
and arrays written then keep their numbers. What would wait for the GPU, or copy between it and main
memory, is refused and spoils the capture; so are matrix products, whose library CuPy does not call
then, and memory of the pool that everybody else uses. A replay does the same on the same memory. It
fails where memory from outside the graph's pool has been freed since, which a GPU would not notice.
"""

import functools
import weakref

import numpy

from . import _memory
from ._memory import CUDARuntimeError, current

UNSUPPORTED, INVALIDATED = 900, 901
odd = None  # _array._odd, as soon as there is one
array_type = None  # _array.ndarray


def capturing():
    """The capture that the current stream is in, or None."""
    stream = current.stream
    return None if stream is None else stream._capture


def refuse(what):
    """During a capture: spoil it, and raise what CUDA raises."""
    capture = capturing()
    if capture is not None:
        capture.spoiled = True
        raise CUDARuntimeError(
            UNSUPPORTED,
            "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing"
            f" ({what})",
        )


def refuse_library(what):
    """During a capture: as CuPy, which does not call cuBLAS then; the capture goes on."""
    if capturing() is not None:
        raise NotImplementedError(
            f"calling cuBLAS API during stream capture is currently unsupported ({what})"
        )


def waits(function, name=None):
    """The function, refused during a capture."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        refuse(name or function.__name__)
        return function(*args, **kwargs)

    return call


def recorded(function):
    """The function, written down instead of done during a capture."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        stream = current.stream
        if stream is None or stream._capture is None or stream._capture.busy:
            return function(*args, **kwargs)
        return stream._capture.record(function, args, kwargs)

    return call


def launched(function):
    """As `recorded`, for kernels: not even tried, for what they return is None."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        capture = capturing()
        if capture is None:
            return function(*args, **kwargs)
        return capture.write_down(function, args, kwargs, ())

    return call


class _Held:
    """Memory as a graph knows it: an address, which does not keep the memory from being freed."""

    def __init__(self, memory):
        self.device_id, self.root = memory.device_id, memory.root
        self.alive, self.pool = weakref.ref(memory), weakref.ref(memory.pool)

    @property
    def ptr(self):
        """Its address."""
        return self.root.ctypes.data

    def check(self):
        """An error if somebody else may have this memory by now."""
        pool = self.pool()
        if self.alive() is None and (pool is None or pool is _memory.pool):
            raise CUDARuntimeError(
                700,
                "cudaErrorIllegalAddress: the graph uses memory that was freed after its capture",
            )


def arrays_in(x):
    """All device arrays in nested tuples, lists and dicts."""
    if type(x) is array_type:
        return [x]
    if isinstance(x, dict):
        x = list(x.values())
    return [a for part in x for a in arrays_in(part)] if isinstance(x, (list, tuple)) else []


class Capture:
    """What has been written down so far."""

    def __init__(self):
        self.steps = []
        self.busy = self.spoiled = False

    def record(self, function, args, kwargs):
        """Try the function, to know what it returns; undo what it did."""
        given = arrays_in((args, kwargs))
        roots = {id(a._memory.root): a._memory.root for a in given}
        before = [(root, root.copy()) for root in roots.values()]
        self.busy = True
        try:
            result = function(*args, **kwargs)
        finally:
            self.busy = False
            for root, numbers in before:
                numpy.copyto(root, numbers)
        memories = {id(a._memory) for a in given}
        made = arrays_in(result if isinstance(result, (list, tuple)) else (result,))
        made = [a if id(a._memory) not in memories else None for a in made]
        for a in made:
            if a is not None:
                if a._memory.pool is _memory.pool and a._host.size:
                    refuse("memory from outside the graph's pool")
                whole = a._host.dtype.kind in "iu"  # they may be indices of what is tried next
                numpy.copyto(a._host, 0 if whole else odd(a._host.dtype), casting="unsafe")
        self.write_down(function, args, kwargs, made)
        return result

    def write_down(self, function, args, kwargs, made):
        """Note a step and where its results go (None: they are views or were given)."""
        held = []

        def ghost(x):
            if type(x) is array_type:
                copy = object.__new__(array_type)
                copy._host, copy.base = x._host, None
                copy._memory = x._memory if type(x._memory) is _Held else _Held(x._memory)
                held.append(copy._memory)
                return copy
            if isinstance(x, dict):
                return {key: ghost(part) for key, part in x.items()}
            return type(x)(map(ghost, x)) if type(x) in (list, tuple) else x

        step = function, ghost(args), ghost(kwargs), ghost(list(made)), held
        self.steps.append(step)

    def outside(self, function):
        """Note something done by a library, in its own words: function() at each replay."""
        self.steps.append((function, (), {}, [], []))


class Graph:
    """As cupy.cuda.Graph."""

    def __init__(self, *args, **kwargs):
        raise NotImplementedError(
            "currently this class cannot be initiated by the user and must be created via stream "
            "capture"
        )

    def launch(self, stream=None):
        """Do all steps, on memory that must still be there."""
        stream = current.stream if stream is None else stream
        if stream is not None and stream._capture is not None:
            raise NotImplementedError("the stand-in has no graphs within graphs")
        for _, _, _, _, held in self._steps:
            for memory in held:
                memory.check()
        before, current.stream = current.stream, None
        current.replaying = True
        try:
            for function, args, kwargs, made, _ in self._steps:
                result = function(*args, **kwargs)
                found = arrays_in(result if isinstance(result, (list, tuple)) else (result,))
                for into, array in zip(made, found, strict=bool(made)):
                    if into is not None:
                        numpy.copyto(into._host, array._host)
        finally:
            current.replaying = False
            current.stream = before

    def upload(self, stream=None):
        """Nothing to do."""


def begin(stream):
    """cudaStreamBeginCapture."""
    if stream._capture is not None:
        raise CUDARuntimeError(
            UNSUPPORTED,
            "cudaErrorIllegalState: the operation cannot be performed in the present state",
        )
    stream._capture = Capture()


def end(stream):
    """cudaStreamEndCapture, and the graph."""
    capture, stream._capture = stream._capture, None
    if capture is None:
        raise CUDARuntimeError(1, "cudaErrorIllegalState: the stream is not capturing")
    if capture.spoiled:
        raise CUDARuntimeError(
            INVALIDATED,
            "cudaErrorStreamCaptureInvalidated: operation failed due to a previous error during capture",
        )
    graph = object.__new__(Graph)
    graph._steps = capture.steps
    return graph
