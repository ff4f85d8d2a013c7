"""cupy.cuda of the stand-in: devices, streams, events and memory that only keep count."""

import time as _time

from .. import _memory
from .._memory import CUDARuntimeError as _CUDARuntimeError
from .._memory import MemoryPointer, MemoryPool  # noqa: F401
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
        self.done = True
        self._before = []

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

    def record(self, event=None):
        """Note the time in an event."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        """Let later work wait for an event."""
        if not isinstance(event, Event):
            raise TypeError(f"an Event is needed, not {type(event)}")


Stream.null = Stream(null=True)


class Event:
    """As cupy.cuda.Event: a point in time."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._time = None
        self._timing = not disable_timing
        self.ptr = id(self)
        self.done = True

    def record(self, stream=None):
        """Now."""
        self._time = _time.perf_counter()

    def synchronize(self):
        """Wait for it."""


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


def alloc(size):
    """Memory by the current allocator."""
    return _allocator.function(size)


def set_allocator(allocator=None):
    """Let arrays take their memory from a function of the number of bytes; None: no pool."""
    _memory.allocator.function = allocator or MemoryPool().malloc


def get_allocator():
    """The function that arrays take their memory from."""
    return _memory.allocator.function
