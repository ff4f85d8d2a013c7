"""What the layers below cuda_graphs.py have to know while a CUDA graph is captured: see docs/cuda_graphs.md.

Nothing runs on the GPU meanwhile, so nothing may wait for it; what is copied from main memory once
would not be copied again by a replay; and memory that the graph uses must not go to anybody else.
"""

import contextlib
import threading

import numpy

EIGHT = 8
BLOCK = 64  # seeds that lie together in the GPU's memory
WORKSPACE = 32 << 20  # bytes for cuBLAS, as much as it takes for itself on an H100


class _Now(threading.local):
    capture = None  # the Capture that this thread is in


now = _Now()


class Capture:
    """What a graph keeps: arrays that it uses, and the seeds that a replay draws anew."""

    def __init__(self, cupy):
        self.cupy = cupy
        self.kept = []
        self.draws = []  # one function for each seed
        self._blocks = []
        self._workspace = None

    def seed(self, draw) -> "Seed":
        """A seed for the operation that is captured now; draw() gives its number at each replay."""
        place = len(self.draws) % BLOCK
        if (
            place == 0
        ):  # not of the graph's pool: what the graph frees there, it writes at each replay
            with self.cupy.cuda.using_allocator(self.cupy.get_default_memory_pool().malloc):
                self._blocks.append(self.cupy.empty(BLOCK, "int64"))
        self.draws.append(draw)
        return Seed(self._blocks[-1][place : place + 1])

    def draw(self) -> None:
        """Put new numbers where the seeds are: before each replay."""
        numbers = numpy.zeros(len(self._blocks) * BLOCK, numpy.int64)
        numbers[: len(self.draws)] = [draw() for draw in self.draws]
        for block, some in zip(self._blocks, numbers.reshape(-1, BLOCK), strict=True):
            block[...] = self.cupy.asarray(some)

    def workspace(self):
        """Memory for cuBLAS that belongs to the graph."""
        if self._workspace is None:
            self._workspace = self.cupy.empty(WORKSPACE, "uint8")
        return self._workspace


class Seed:
    """A seed that lies in the GPU's memory; as a number, which kernels get, it is minus its address."""

    def __init__(self, array):
        self.array = array

    def __int__(self):
        return -self.array.data.ptr


def draw_seed(array, draw):
    """draw(), a seed for an operation on the array; inside a capture, one that each replay draws."""
    if now.capture is None or isinstance(array, numpy.ndarray):
        return draw()
    return now.capture.seed(draw)


def keep(*arrays) -> None:
    """Let the graph that is captured, if one is, keep arrays that its kernels know by address."""
    if now.capture is not None:
        now.capture.kept.append(arrays)


def readable(array) -> bool:
    """True if a check may look at the numbers now: not on the GPU inside a capture, for that waits."""
    return now.capture is None or isinstance(array, (numpy.ndarray, numpy.generic))


def joined(xp, arrays, axis):
    """As `xp.concatenate`. CuPy joins more than eight by a table of their addresses, which it copies from
    main memory: inside a capture they are joined eight at a time."""
    if not readable(arrays[0]):
        while len(arrays) > EIGHT:
            parts = range(0, len(arrays), EIGHT)
            arrays = [xp.concatenate(arrays[i : i + EIGHT], axis) for i in parts]
    return xp.concatenate(arrays, axis)


class NotCapturable(RuntimeError):
    """What a CUDA graph can't hold."""


def refuse(what: str, remedy: str) -> None:
    """RuntimeError inside a capture."""
    if now.capture is not None:
        raise NotCapturable(f"{what} can't be captured in a CUDA graph: {remedy}")


@contextlib.contextmanager
def outside():
    """Inside, work goes to another stream and is done at once, in memory that everybody uses; waits."""
    capture = now.capture
    if capture is None:
        yield
        return
    cuda = capture.cupy.cuda
    now.capture = None
    try:
        with (
            cuda.Stream(non_blocking=True) as aside,
            cuda.using_allocator(capture.cupy.get_default_memory_pool().malloc),
        ):
            yield
            aside.synchronize()
    finally:
        now.capture = capture
