"""Device memory of the stand-in: which device is current, the pool's counts, running out.

The numbers lie in main memory, but every array's memory is taken from a pool of its device and
given back when the last array that uses it is gone, so that what is in use can be asked for, and a
limit on the pool makes an allocation fail as on a full GPU.
"""

import ctypes
import os
import threading

import numpy

DEVICES = int(os.environ.get("FAKE_CUPY_DEVICES", "2"))
TOTAL = 16 << 30  # bytes that each device claims to have
UNIT = 512  # CuPy's pool gives out whole multiples of this


class _Current(threading.local):
    device = 0
    stream = None
    allocator = None  # of using_allocator()
    replaying = False  # inside the replay of a graph, which takes no memory


current = _Current()


class CUDARuntimeError(RuntimeError):
    """As cupy.cuda.runtime.CUDARuntimeError."""

    def __init__(self, status, text):
        self.status = status
        super().__init__(text)


class OutOfMemoryError(MemoryError):
    """As cupy.cuda.memory.OutOfMemoryError: what could not be had, and what is there."""

    def __init__(self, size, total, limit=0):
        self._size, self._total, self._limit = size, total, limit
        text = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
        text += f", limit set to: {limit:,} bytes)." if limit else ")."
        super().__init__(text)


class MemoryPool:
    """Counts per device: bytes in use, bytes kept for later, the limit."""

    def __init__(self):
        self._used = [0] * DEVICES
        self._free = [0] * DEVICES
        self._limit = [0] * DEVICES
        self._lock = threading.Lock()
        self._places: dict = {}  # what was freed, by size, where addresses had been asked for

    def malloc(self, size):
        """A pointer to `size` bytes on the current device."""
        return MemoryPointer(Memory(self, size), 0)

    def _take(self, device, size):
        with self._lock:
            limit = self._limit[device] or TOTAL
            if self._used[device] + size > limit:
                total = self._used[device] + self._free[device]
                raise OutOfMemoryError(size, total, self._limit[device])
            self._used[device] += size
            self._free[device] = max(0, self._free[device] - size)

    def _give(self, device, size):
        with self._lock:
            self._used[device] -= size
            self._free[device] += size

    def free_all_blocks(self, stream=None):
        """Forget what is kept for later."""
        self._free[current.device] = 0

    def used_bytes(self):
        """Bytes in use on the current device."""
        return self._used[current.device]

    def free_bytes(self):
        """Bytes kept for later."""
        return self._free[current.device]

    def total_bytes(self):
        """Bytes in use or kept."""
        return self.used_bytes() + self.free_bytes()

    def get_limit(self):
        """The limit of the current device, 0 for none."""
        return self._limit[current.device]

    def set_limit(self, size=None, fraction=None):
        """Let allocations fail that would take more than this; 0 for no limit."""
        self._limit[current.device] = int(size or 0 if fraction is None else fraction * TOTAL)


class Memory:
    """One piece of device memory; goes back to its pool when nobody holds it any more."""

    def __init__(self, pool, size):
        self.device_id = current.device
        self.size = size
        self._taken = 0
        self.pool = pool
        taken = (size + UNIT - 1) // UNIT * UNIT
        pool._take(self.device_id, taken)
        self._taken = taken
        self.root = None  # the NumPy array whose memory stands for it
        self._place = None  # the same, where the pool had to say before what the address will be

    @property
    def ptr(self):
        """Its address; who asks before an array lies there gets a place, perhaps a used one."""
        if self.root is None and self._taken:
            free = self.pool._places.get((self.device_id, self._taken))
            self.root = self._place = free.pop() if free else _aligned(self._taken)
        return 0 if self.root is None else self.root.ctypes.data

    def __del__(self):
        if self._taken:
            if self._place is not None:
                key = self.device_id, self._taken
                self.pool._places.setdefault(key, []).append(self._place)
            self.pool._give(self.device_id, self._taken)


def _aligned(size):
    """Memory at an address as cudaMalloc gives it."""
    room = numpy.empty(size + UNIT, numpy.uint8)
    room[: 1 << 16] = 255  # NaN, if somebody reads it
    first = -room.ctypes.data % UNIT
    return numpy.frombuffer(memoryview(room)[first : first + size], numpy.uint8)


class UnownedMemory:
    """As cupy.cuda.UnownedMemory: memory at an address, which `owner` keeps alive."""

    def __init__(self, ptr, size, owner, device_id=-1):
        self.device_id = current.device if device_id < 0 else device_id
        self.size = size
        self._owner = owner
        self.pool = next((x.mem.pool for x in owner if isinstance(x, MemoryPointer)), None)
        self.root = numpy.frombuffer((ctypes.c_uint8 * size).from_address(ptr), numpy.uint8)

    @property
    def ptr(self):
        """Its address."""
        return self.root.ctypes.data


class MemoryPointer:
    """A place in a piece of memory."""

    def __init__(self, mem, offset):
        self.mem = mem
        self._offset = offset

    @property
    def device_id(self):
        """The number of the device."""
        return self.mem.device_id

    @property
    def device(self):
        """The device."""
        from .cuda import Device

        return Device(self.mem.device_id)

    @property
    def ptr(self):
        """The address."""
        return self.mem.ptr + self._offset

    def __int__(self):
        return self.ptr


pool = MemoryPool()


class _Allocator:
    function = staticmethod(pool.malloc)


allocator = _Allocator()


class _Pinned:
    """What gives the main memory from which CuPy copies to the GPU."""

    function = staticmethod(lambda size: None)


pinned = _Pinned()


class _Replayed:
    """What a step of a replayed graph works in: it was allocated when the graph was captured."""

    def __init__(self):
        self.device_id, self.root, self.pool = current.device, None, None

    @property
    def ptr(self):
        """Its address."""
        return 0 if self.root is None else self.root.ctypes.data


def allocate(size):
    """`size` bytes by the allocator that using_allocator() or set_allocator() chose."""
    if current.replaying:
        return _Replayed()
    return (current.allocator or allocator.function)(size).mem
