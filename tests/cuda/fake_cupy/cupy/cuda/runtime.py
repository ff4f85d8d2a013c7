"""cupy.cuda.runtime of the stand-in: the calls of the CUDA runtime that minigrad makes."""

from .. import _capture, _memory
from .._memory import CUDARuntimeError
from .._memory import current as _current
from .._memory import pool as _pool

is_hip = False
streamCaptureModeGlobal, streamCaptureModeThreadLocal, streamCaptureModeRelaxed = 0, 1, 2


def _check(device):
    if not 0 <= device < _memory.DEVICES:
        raise CUDARuntimeError(101, "cudaErrorInvalidDevice: invalid device ordinal")
    return device


def getDeviceCount():
    """How many devices there are."""
    return _memory.DEVICES


def getDevice():
    """The current device of this thread."""
    return _current.device


def setDevice(device):
    """Make a device the current one of this thread."""
    _current.device = _check(device)


def deviceSynchronize():
    """Everything is done at once here."""
    _capture.refuse("deviceSynchronize")


def memGetInfo():
    """(free, total) bytes of the current device."""
    return _memory.TOTAL - _pool.total_bytes(), _memory.TOTAL


def getDeviceProperties(device):
    """What the CUDA runtime tells of a device; the name is bytes."""
    _check(device)
    return {
        "name": b"Stand-in GPU", "major": 8, "minor": 0, "totalGlobalMem": _memory.TOTAL,
        "multiProcessorCount": 4, "warpSize": 32, "maxThreadsPerBlock": 1024,
        "sharedMemPerBlock": 49152, "sharedMemPerBlockOptin": 101376,
        "sharedMemPerMultiprocessor": 102400, "regsPerBlock": 65536, "clockRate": 1_000_000,
        "l2CacheSize": 4 << 20, "maxThreadsPerMultiProcessor": 2048, "integrated": 0,
        "isMultiGpuBoard": 0, "uuid": bytes(16), "pciBusID": device,
    }  # fmt: skip


def driverGetVersion():
    """As CUDA 13.0."""
    return 13000


def runtimeGetVersion():
    """As CUDA 13.0."""
    return 13000
