"""CUDA graphs under torch.cuda's names: work captured once, replayed at the cost of one launch.

A training step of a small model is hundreds of launches, each a few microseconds of Python, and the GPU
waits for most of them. Between capture_begin() and capture_end() launches are written down instead of
done; replay() then does them all, on the same memory: inputs are changed in place, by copy_.

CuPy's pools can't tell the driver which allocations are safe, so the driver is always asked for its
"relaxed" mode, and what must not happen is refused here: see `capture.py`.
"""

import contextlib
import gc
from pathlib import Path

from . import capture
from .backend import device as Device
from .backend import numbered, require_cupy
from .cuda import Stream, current_stream, empty_cache, synchronize
from .cuda import stream as use_stream

PACKAGE = Path(__file__).parent
PUBLIC = ("ops/", "optim/", "tensor.py", "nn/functional.py", "nn/utils/", "cuda.py")
MODES = ("global", "thread_local", "relaxed")


class _Pool:
    """Memory of graphs alone: what they free comes back here, and to nobody else."""

    def __init__(self):
        self.cupy = require_cupy()
        self.native = self.cupy.cuda.MemoryPool()

    def allocate(self, size):
        """As CuPy's allocators; the memory keeps its pool alive, which CuPy's own does not."""
        pointer = self.native.malloc(size)
        if not size:
            return pointer
        cuda = self.cupy.cuda
        device = cuda.runtime.getDevice()
        memory = cuda.UnownedMemory(pointer.ptr, size, (pointer, self.native), device)
        return cuda.MemoryPointer(memory, 0)


def graph_pool_handle():
    """A pool for several graphs, which may use each other's memory if they are replayed in their order."""
    return _Pool()


def is_current_stream_capturing() -> bool:
    """True if the current stream's work is being captured."""
    return capture.now.capture is not None and current_stream().native.is_capturing()


class CUDAGraph:
    """A graph of GPU work: `graph` or capture_begin() and capture_end() fill it, replay() does it."""

    def __init__(self):
        self._cupy = require_cupy()
        self._native = self._capture = self._pool = self._stream = self._allocating = None

    def capture_begin(self, pool=None, capture_error_mode: str = "global") -> None:
        """Capture what the current stream is given from now on; it must not be the default stream.

        pool: of another graph, by its pool(), or from graph_pool_handle(); else one of its own.
        """
        if capture_error_mode not in MODES:
            raise RuntimeError(
                "Unknown capture error mode. Expected `global`, `thread_local`, or `relaxed`, got "
                f"{capture_error_mode}"
            )
        if self._native is not None or self._capture is not None:
            raise RuntimeError(
                "This CUDAGraph instance already owns a captured graph. To capture a new graph, "
                "create a new instance."
            )
        if capture.now.capture is not None:
            raise RuntimeError("capture_begin: another graph is being captured")
        cuda = self._cupy.cuda
        stream = cuda.get_current_stream()
        if stream.ptr in (0, 1):  # the default stream, by either of its handles
            raise RuntimeError(
                "CUDA graphs must be captured on a non-default stream. (However, after capture, it's "
                "ok to replay them on the default stream.)"
            )
        _watch_copies(self._cupy)
        _ = cuda.Device().cublas_handle  # made now: it takes memory
        self._pool = _Pool() if pool is None else pool
        self._stream = stream
        self._allocating = cuda.using_allocator(self._pool.allocate)
        stream.begin_capture(cuda.runtime.streamCaptureModeRelaxed)
        self._allocating.__enter__()
        self._capture = capture.now.capture = capture.Capture(self._cupy)

    def capture_end(self) -> None:
        """The capture is complete; RuntimeError if something in it could not be captured."""
        if self._capture is None or capture.now.capture is not self._capture:
            raise RuntimeError("capture_end: this graph is not being captured")
        capture.now.capture = None
        self._allocating.__exit__(None, None, None)
        self._allocating = None
        try:
            self._native = self._stream.end_capture()
        except RuntimeError as error:
            self.reset()
            raise RuntimeError(f"capture_end: the capture failed: {error}") from error

    def _abandon(self):
        """End a capture that failed; nothing is kept of it."""
        with contextlib.suppress(RuntimeError):  # a spoiled capture ends with one
            self.capture_end()
        self.reset()

    def replay(self) -> None:
        """Do the captured work, on the current stream, with new random numbers for dropout."""
        if self._native is None:
            raise RuntimeError("Called CUDAGraph.replay without a preceding successful capture.")
        capture.refuse("replay", "capture the work itself")
        if self._capture.draws:
            self._capture.draw()
        self._native.launch()

    def reset(self) -> None:
        """Forget the graph, and let go of its memory."""
        if self._capture is not None and capture.now.capture is self._capture:
            raise RuntimeError("reset: the graph is being captured")
        self._native = self._capture = self._pool = self._stream = None

    def pool(self):
        """The graph's pool of memory, to be given to other graphs."""
        if self._pool is None:
            raise RuntimeError("Called CUDAGraph.pool without a preceding capture_begin.")
        return self._pool


class graph:
    """`with minigrad.cuda.graph(g):` what is inside is captured in g, a CUDAGraph, and not done.

    pool: as for capture_begin. stream: on which; else one that all captures share. Run the same work
    some times before, so that kernels are compiled and optimizers have their state.

    Raises RuntimeError, naming the function, for what would wait for the GPU; then g stays empty.
    """

    default_capture_streams: dict = {}  # by the GPU's number

    def __init__(self, cuda_graph, pool=None, stream=None, capture_error_mode: str = "global"):
        self.cuda_graph, self.pool, self.capture_error_mode = cuda_graph, pool, capture_error_mode
        if stream is None:
            index = numbered(Device("cuda")).index
            stream = self.default_capture_streams.get(index)
            if stream is None:
                stream = self.default_capture_streams[index] = Stream()
        self.capture_stream = stream

    def __enter__(self):
        synchronize()
        gc.collect()
        empty_cache()
        self.stream_ctx = use_stream(self.capture_stream)
        self.stream_ctx.__enter__()
        try:
            self.cuda_graph.capture_begin(self.pool, self.capture_error_mode)
        except BaseException:
            self.stream_ctx.__exit__(None, None, None)
            raise

    def __exit__(self, kind, error, traceback):
        try:
            if error is None:
                self.cuda_graph.capture_end()
                return
            self.cuda_graph._abandon()
        finally:
            self.stream_ctx.__exit__(kind, error, traceback)
        if isinstance(error, capture.NotCapturable):
            raise RuntimeError(f"{_caller(traceback)}: {error}") from error
        if _by_capture(error):
            raise RuntimeError(
                f"{_caller(traceback)}: what waits for the GPU can't be part of a CUDA graph: {error}"
            ) from error


def _by_capture(error):
    """True for errors that the driver or CuPy has for what can't be captured."""
    if isinstance(error, NotImplementedError):
        return "stream capture" in str(error)
    return 900 <= (getattr(error, "status", 0) or 0) <= 908


def _caller(traceback):
    """The name of the function of this package that was called, outermost first."""
    name = "capture"
    while traceback is not None:
        code = traceback.tb_frame.f_code
        path = Path(code.co_filename)
        if PACKAGE in path.parents:
            place = path.relative_to(PACKAGE).as_posix()
            if place.startswith(PUBLIC) and not code.co_name.startswith("_call"):
                return code.co_name
        traceback = traceback.tb_next
    return name


def _watch_copies(cupy):
    """Refuse, during captures, copies from main memory that CuPy makes by itself, in all its functions.

    It takes memory to copy from here; a replay would copy whatever stands there by then.
    """
    if getattr(_watch_copies, "watching", None) is cupy:
        return
    malloc = cupy.get_default_pinned_memory_pool().malloc

    def allocate(size):
        capture.refuse("a copy from main memory", "make it before, and change it by copy_")
        return malloc(size)

    cupy.cuda.set_pinned_memory_allocator(allocate)
    _watch_copies.watching = cupy
