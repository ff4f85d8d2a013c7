"""cupy.cuda of the stand-in: devices, streams, events and memory that only keep count."""

import contextlib as _contextlib
import time as _time

from .. import _capture, _memory
from .._capture import Graph  # noqa: F401
from .._memory import CUDARuntimeError as _CUDARuntimeError
from .._memory import MemoryPointer, MemoryPool, UnownedMemory  # noqa: F401
from .._memory import allocator as _allocator
from .._memory import current as _current
from . import memory, runtime  # noqa: F401


def is_available():
    """True: that is what the stand-in is for."""
    return _memory.DEVICES > 0


class Device:
    """As cupy.cuda.Device: `with Device(1):` makes it the current one."""

    def __init__(self, device=None):
        self.id = _current.device if device is None else int(device)
        self._before = []

    def use(self):
        """Make it the current device."""
        runtime.setDevice(self.id)

    def __enter__(self):
        self._before.append(_current.device)
        self.use()
        return self

    def __exit__(self, *exc):
        runtime.setDevice(self._before.pop())

    def synchronize(self):
        """Everything is done at once here."""
        _capture.refuse("Device.synchronize")

    @property
    def cublas_handle(self):
        """A number that stands for it; the stand-in for the library itself is in cublas.py."""
        return 0xB1A5 + self.id

    @property
    def compute_capability(self):
        """As "80"."""
        return "80"

    @property
    def mem_info(self):
        """(free, total) in bytes."""
        with self:
            return runtime.memGetInfo()

    @property
    def pci_bus_id(self):
        """A made-up address."""
        return f"0000:{self.id:02X}:00.0"

    def __int__(self):
        return self.id

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self):
        return hash(self.id)

    def __repr__(self):
        return f"<CUDA Device {self.id}>"


class Stream:
    """As cupy.cuda.Stream; work is done as soon as it is given."""

    null = None

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.ptr = 0 if null else id(self)
        self.device_id = -1 if null else _current.device
        self.is_non_blocking = non_blocking
        self.priority = priority or 0
        self._capture = None
        self._before = []

    @property
    def done(self):
        """True: work is done as soon as it is given."""
        if self._capture is not None:
            self._capture.spoiled = True
            raise _CUDARuntimeError(_capture.UNSUPPORTED, "cudaErrorStreamCaptureUnsupported")
        return True

    def begin_capture(self, mode=None):
        """Write down, from now on, what this stream is given."""
        if self.ptr in (0, 1):
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if mode not in (None, 0, 1, 2):
            raise _CUDARuntimeError(1, "cudaErrorInvalidValue: invalid argument")
        _capture.begin(self)

    def end_capture(self):
        """What was written down, as a graph."""
        return _capture.end(self)

    def is_capturing(self):
        """True between begin_capture() and end_capture()."""
        return self._capture is not None

    def use(self):
        """Make it the current stream."""
        _current.stream = self
        return self

    def __enter__(self):
        self._before.append(_current.stream)
        return self.use()

    def __exit__(self, *exc):
        _current.stream = self._before.pop()

    def synchronize(self):
        """Wait for its work."""
        _ = self.done

    def record(self, event=None):
        """Note the time in an event."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        """Let later work wait for an event."""
        if not isinstance(event, Event):
            raise TypeError(f"an Event is needed, not {type(event)}")
        if event._capture is not self._capture:
            raise NotImplementedError("the stand-in captures one stream at a time")


Stream.null = Stream(null=True)


class Event:
    """As cupy.cuda.Event: a point in time."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._time = None
        self._capture = None
        self._timing = not disable_timing
        self.ptr = id(self)

    @property
    def done(self):
        """True, but for events within a capture."""
        if self._capture is not None:
            raise _CUDARuntimeError(
                907, "cudaErrorCapturedEvent: operation not permitted on an event"
            )
        return True

    def record(self, stream=None):
        """Now."""
        self._time = _time.perf_counter()
        stream = get_current_stream() if stream is None else stream
        self._capture = stream._capture

    def synchronize(self):
        """Wait for it."""
        _ = self.done


def get_elapsed_time(start_event, end_event):
    """Milliseconds between two recorded events."""
    if start_event._time is None or end_event._time is None or not start_event._timing:
        raise _CUDARuntimeError(400, "cudaErrorInvalidResourceHandle: invalid resource handle")
    return 1e3 * (end_event._time - start_event._time)


def get_current_stream(device_id=-1):
    """The stream in use."""
    return _current.stream or Stream.null


def get_device_id():
    """The number of the current device."""
    return _current.device


@_contextlib.contextmanager
def using_allocator(allocator=None):
    """Inside, this thread's arrays take their memory from a function of the number of bytes."""
    before, _current.allocator = _current.allocator, allocator or MemoryPool().malloc
    try:
        yield
    finally:
        _current.allocator = before


def alloc(size):
    """Memory by the current allocator."""
    return get_allocator()(size)


def set_allocator(allocator=None):
    """Let arrays take their memory from a function of the number of bytes; None: no pool."""
    if _current.allocator is not None:
        raise ValueError(
            "Can't change the global allocator inside `using_allocator` context manager"
        )
    _memory.allocator.function = allocator or MemoryPool().malloc


def set_pinned_memory_allocator(allocator=None):
    """Let copies to the GPU take main memory from a function of the number of bytes."""
    _memory.pinned.function = allocator or (lambda size: None)


def get_allocator():
    """The function that arrays take their memory from."""
    return _current.allocator or _memory.allocator.function
