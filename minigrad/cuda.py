"""The GPU, under the names of torch.cuda: devices, waiting, memory, streams and events.

Arrays on a GPU are CuPy's. Memory comes from CuPy's pool, which keeps what was freed for later.
"""

from .backend import OutOfMemoryError, check_number, numbered, peak_memory, require_cupy
from .backend import cuda_is_available as is_available
from .backend import device as Device

__all__ = [
    "Event", "OutOfMemoryError", "Stream", "current_device", "current_stream", "default_stream",
    "device", "device_count", "empty_cache", "get_device_capability", "get_device_name",
    "get_device_properties", "init", "is_available", "is_bf16_supported", "is_initialized",
    "manual_seed", "manual_seed_all", "max_memory_allocated", "max_memory_reserved",
    "mem_get_info", "memory_allocated", "memory_reserved", "reset_peak_memory_stats",
    "set_device", "stream", "synchronize",
]  # fmt: skip


def _number(wanted) -> int:
    """A GPU's number, from a number, a text, a device, or None: the one in use.

    Raises RuntimeError where there is none of that number, ValueError for the CPU.
    """
    cupy = require_cupy()
    if wanted is None:
        return cupy.cuda.runtime.getDevice()
    found = Device(wanted)
    if found.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {found}")
    index = numbered(found).index
    check_number(index)
    return index


# -- devices ---------------------------------------------------------------------------------------


def init() -> None:
    """Find CuPy and the GPU now; RuntimeError, saying what is missing, where that fails."""
    require_cupy()


def is_initialized() -> bool:
    """True where there is a GPU."""
    return is_available()


def device_count() -> int:
    """How many GPUs CuPy sees."""
    return require_cupy().cuda.runtime.getDeviceCount() if is_available() else 0


def current_device() -> int:
    """The number of the GPU in use."""
    return require_cupy().cuda.runtime.getDevice()


def set_device(device) -> None:
    """Use another GPU: "cuda" means this one from now on."""
    index = _number(device)
    require_cupy().cuda.runtime.setDevice(index)


class device:
    """`with minigrad.cuda.device(1):` that GPU is in use inside; None changes nothing."""

    def __init__(self, device):
        self.idx = -1 if device is None else _number(device)
        self.prev_idx = -1

    def __enter__(self):
        if self.idx >= 0:
            self.prev_idx = current_device()
            set_device(self.idx)

    def __exit__(self, *exc):
        if self.idx >= 0:
            set_device(self.prev_idx)


def synchronize(device=None) -> None:
    """Wait until a GPU has done all it was given."""
    with require_cupy().cuda.Device(_number(device)) as chosen:
        chosen.synchronize()


class DeviceProperties:
    """What a GPU is: name, major, minor, total_memory (bytes), multi_processor_count, ..."""

    def __init__(self, found: dict):
        self.name = found["name"].decode()
        self.major, self.minor = found["major"], found["minor"]
        self.total_memory = found["totalGlobalMem"]
        self.multi_processor_count = found["multiProcessorCount"]
        self.warp_size = found["warpSize"]
        self.max_threads_per_multi_processor = found["maxThreadsPerMultiProcessor"]
        self.shared_memory_per_block = found["sharedMemPerBlock"]
        self.shared_memory_per_block_optin = found["sharedMemPerBlockOptin"]
        self.shared_memory_per_multiprocessor = found["sharedMemPerMultiprocessor"]
        self.regs_per_multiprocessor = found["regsPerBlock"]
        self.L2_cache_size = found["l2CacheSize"]

    def __repr__(self):
        return (
            f"DeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory // 2**20}MB, "
            f"multi_processor_count={self.multi_processor_count})"
        )


def get_device_properties(device=None) -> DeviceProperties:
    """What a GPU is: see DeviceProperties."""
    return DeviceProperties(require_cupy().cuda.runtime.getDeviceProperties(_number(device)))


def get_device_name(device=None) -> str:
    """The name of a GPU."""
    return get_device_properties(device).name


def get_device_capability(device=None) -> tuple[int, int]:
    """The compute capability of a GPU, such as (8, 0)."""
    found = get_device_properties(device)
    return found.major, found.minor


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """True if the GPU in use computes in bfloat16: by itself from compute capability 8.0 on.

    including_emulation: True for older ones too, whose kernels widen it to float32.
    """
    return is_available() and (including_emulation or get_device_capability() >= (8, 0))


# -- memory ----------------------------------------------------------------------------------------


def _pool(function, device):
    """`function` of CuPy's pool of memory on a GPU; 0 where there is none."""
    if not is_available():
        return 0
    cupy = require_cupy()
    with cupy.cuda.Device(_number(device)):
        return function(cupy.get_default_memory_pool())


def memory_allocated(device=None) -> int:
    """Bytes that tensors take up on a GPU (each rounded up to a multiple of 512)."""
    return _pool(lambda pool: pool.used_bytes(), device)


def memory_reserved(device=None) -> int:
    """Bytes that the pool holds on a GPU: in use, or kept for later."""
    return _pool(lambda pool: pool.total_bytes(), device)


def max_memory_allocated(device=None) -> int:
    """The most bytes that were in use at once, since the start or reset_peak_memory_stats()."""
    now = memory_allocated(device)
    return max(now, peak_memory.get(_number(device), 0)) if is_available() else 0


def max_memory_reserved(device=None) -> int:
    """The most bytes that the pool held: it keeps what it has, so those it holds, or the peak."""
    return max(memory_reserved(device), max_memory_allocated(device))


def reset_peak_memory_stats(device=None) -> None:
    """Let max_memory_allocated() begin again with what is in use now."""
    if is_available():
        peak_memory[_number(device)] = memory_allocated(device)


def mem_get_info(device=None) -> tuple[int, int]:
    """(free, total) bytes of a GPU, as the driver counts them."""
    cupy = require_cupy()
    with cupy.cuda.Device(_number(device)):
        return cupy.cuda.runtime.memGetInfo()


def empty_cache() -> None:
    """Give unused GPU memory back to the driver."""
    if is_available():
        require_cupy().get_default_memory_pool().free_all_blocks()


# -- random numbers --------------------------------------------------------------------------------


def manual_seed(seed: int) -> None:
    """Nothing to do: random numbers are drawn on the CPU, by `minigrad.manual_seed`'s stream."""


manual_seed_all = manual_seed


# -- streams and events ----------------------------------------------------------------------------


class Stream:
    """A queue of work on a GPU; work of different streams may overlap. Use it by `stream(...)`."""

    def __init__(self, device=None, priority: int = 0, *, _native=None):
        cupy = require_cupy()
        self.device = Device("cuda", _number(device))
        if _native is None:
            with cupy.cuda.Device(self.device.index):
                _native = cupy.cuda.Stream(non_blocking=True, priority=priority)
        self.native = _native

    @property
    def cuda_stream(self) -> int:
        """The handle of the CUDA runtime."""
        return self.native.ptr

    def synchronize(self) -> None:
        """Wait until all work given so far is done."""
        self.native.synchronize()

    def query(self) -> bool:
        """True if all work given so far is done."""
        return bool(self.native.done)

    def record_event(self, event: "Event | None" = None) -> "Event":
        """Note, in an event, the point that the stream has reached."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: "Event") -> None:
        """Let work given later wait for an event."""
        self.native.wait_event(event.native)

    def wait_stream(self, stream: "Stream") -> None:
        """Let work given later wait for all that another stream has been given."""
        self.wait_event(stream.record_event())

    def __eq__(self, other):
        return isinstance(other, Stream) and self.cuda_stream == other.cuda_stream

    def __hash__(self):
        return hash(self.cuda_stream)

    def __repr__(self):
        return f"<minigrad.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class Event:
    """A point in a stream's work, to wait for or to take the time at."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess=False):
        self.native = require_cupy().cuda.Event(
            block=blocking, disable_timing=not enable_timing, interprocess=interprocess
        )

    def record(self, stream: Stream | None = None) -> None:
        """Note the point that a stream has reached (the current one if none is given)."""
        self.native.record((current_stream() if stream is None else stream).native)

    def wait(self, stream: Stream | None = None) -> None:
        """Let a stream's later work wait for this point."""
        (current_stream() if stream is None else stream).wait_event(self)

    def synchronize(self) -> None:
        """Wait for this point."""
        self.native.synchronize()

    def query(self) -> bool:
        """True if this point has been passed."""
        return bool(self.native.done)

    def elapsed_time(self, end_event: "Event") -> float:
        """Milliseconds from this point to another; both need enable_timing=True."""
        return require_cupy().cuda.get_elapsed_time(self.native, end_event.native)


def current_stream(device=None) -> Stream:
    """The stream that takes the work."""
    index = _number(device)
    return Stream(index, _native=require_cupy().cuda.get_current_stream(index))


def default_stream(device=None) -> Stream:
    """The stream that takes the work unless another is chosen."""
    return Stream(device, _native=require_cupy().cuda.Stream.null)


class stream:
    """`with minigrad.cuda.stream(s):` work goes to stream s inside; None changes nothing."""

    def __init__(self, stream: Stream | None):
        self.stream = stream

    def __enter__(self):
        if self.stream is not None:
            self.on_device = device(self.stream.device)
            self.on_device.__enter__()
            self.stream.native.__enter__()

    def __exit__(self, *exc):
        if self.stream is not None:
            self.stream.native.__exit__(*exc)
            self.on_device.__exit__(*exc)


# -- graphs ----------------------------------------------------------------------------------------

_GRAPHS = {
    "CUDAGraph": "cuda_graphs",
    "graph": "cuda_graphs",
    "graph_pool_handle": "cuda_graphs",
    "is_current_stream_capturing": "cuda_graphs",
    "make_graphed_callables": "graphed_callables",
}
__all__ += list(_GRAPHS)


def __getattr__(name):
    if name in _GRAPHS:
        import importlib

        return getattr(importlib.import_module("minigrad." + _GRAPHS[name]), name)
    raise AttributeError(f"module 'minigrad.cuda' has no attribute '{name}'")
