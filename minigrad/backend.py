"""NumPy or CuPy: which module an array belongs to, and which device that is."""

import contextlib
import functools
import math
import threading

import numpy

_cupy = None  # the cupy module, once a device has been asked for
gpus = 0  # how many it sees, then


def array_module(*operands):
    """The module, numpy or cupy, whose functions fit these arrays (Python numbers fit both)."""
    if _cupy is not None:
        for operand in operands:
            if isinstance(operand, _cupy.ndarray):
                return _cupy
    return numpy


class device:
    """Where a tensor's numbers live: `device("cpu")`, `device("cuda")`, `device("cuda", 1)`.

    `with device("cuda"):` new tensors are made there inside, as by `set_default_device`.
    """

    __slots__ = ("index", "type")

    def __init__(self, type: "str | int | device", index: int | None = None):
        if isinstance(type, device):
            type, index = type.type, type.index if index is None else index
        elif isinstance(type, int):
            type, index = "cuda", type
        elif ":" in type:
            type, _, number = type.partition(":")
            if not number.isdigit() or index is not None:
                raise RuntimeError(f"Invalid device string: '{type}:{number}'")
            index = int(number)
        if type not in ("cpu", "cuda"):
            raise RuntimeError(
                f"Expected one of cpu, cuda device type at start of device string: {type}"
            )
        self.type = type
        self.index = index

    def __eq__(self, other):
        if isinstance(other, str):
            other = device(other)
        if not isinstance(other, device):
            return NotImplemented
        return (self.type, self.index) == (other.type, other.index)

    def __hash__(self):
        return hash((self.type, self.index))

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self):
        if self.index is None:
            return f"device(type='{self.type}')"
        return f"device(type='{self.type}', index={self.index})"

    def __reduce__(self):
        return device, (self.type, self.index)

    def __enter__(self):
        made_on.outer = (made_on.device, made_on.outer)
        made_on.device = self
        return self

    def __exit__(self, *exc):
        made_on.device, made_on.outer = made_on.outer


CPU = device("cpu")


class _MadeOn(threading.local):
    """Where this thread's new tensors are made, None for main memory; and where outside of `with`."""

    device = None
    outer = None


made_on = _MadeOn()


def set_default_device(device) -> None:
    """From now on this thread's new tensors are made on `device`; None is the CPU.

    This holds for the functions that have a `device=` and were not given one (zeros, tensor, rand,
    arange, ...), and so for the parameters of modules; not for those that share memory, such as
    from_numpy, nor for those that make something like another tensor.
    """
    made_on.device = None if device is None else _device(device)


def get_default_device() -> device:
    """Where new tensors are made: see `set_default_device`."""
    return CPU if made_on.device is None else numbered(made_on.device)


_device = device


def device_of(array) -> device:
    """The device that an array, or a table of sparse rows, lives on."""
    if hasattr(array, "parts"):
        array = array.parts[0][1]
    if isinstance(array, numpy.ndarray):
        return CPU
    return device("cuda", array.device.id)


def numbered(where: device) -> device:
    """The same device with its number: "cuda" alone is the GPU in use."""
    if where.type == "cpu" or where.index is not None:
        return CPU if where.type == "cpu" else where
    return device("cuda", require_cupy().cuda.runtime.getDevice())


def to_device(array, where: device):
    """The array on another device; the same array where it is there already (sparse rows: dense)."""
    if hasattr(array, "to_dense"):
        array = array.to_dense()
    if where.type == "cpu":
        return array if isinstance(array, numpy.ndarray) else array.get()
    cupy = require_cupy()
    where = numbered(where)
    if not isinstance(array, numpy.ndarray) and array.device.id == where.index:
        return array
    check_number(where.index)
    with cupy.cuda.Device(where.index):
        try:
            return cupy.array(array) if isinstance(array, numpy.ndarray) else array.copy()
        except MemoryError as error:
            raise out_of_memory("to", error) from error


def check_number(index: int) -> None:
    """RuntimeError, in the driver's words, if there is no GPU of that number."""
    if not 0 <= index < gpus:
        there = "is 1 GPU, cuda:0" if gpus == 1 else f"are {gpus} GPUs, cuda:0 to cuda:{gpus - 1}"
        raise RuntimeError(
            f"device 'cuda:{index}': CUDA error: invalid device ordinal; there {there}"
        )


def as_array(x, xp):
    """What an op's forward returned, as an array: that of the device it is on."""
    if _cupy is not None and isinstance(x, _cupy.ndarray):
        return x
    return xp.asarray(x)


def host(array):
    """The array's numbers as a NumPy array, for what can only be done in main memory."""
    return array if isinstance(array, numpy.ndarray) else array.get()


# -- what NumPy and CuPy do differently ------------------------------------------------------------


ATOMIC = [numpy.dtype(name) for name in ("int32", "uint32", "uint64", "float32", "float64")]
SIGN = numpy.uint64(1 << 63)


def combine_at(xp, name: str, out, index, values):
    """out[index] = name(out[index], values), entry after entry; out is changed.

    name: "add", "maximum" or "minimum". CUDA has atomic operations for few dtypes: floats of 16 bits
    go by way of float32, small integers of int32, and int64 of uint64 with the sign bit turned, which
    keeps the order. For sums it needs no turning: bits add up the same with and without a sign.
    """
    kind = out.dtype
    combine = getattr(xp, name).at
    if xp is numpy or kind in ATOMIC:
        combine(out, index, values)
    elif kind == "int64":
        turn = SIGN if name != "add" else numpy.uint64(0)
        bits = out.view("uint64") ^ turn
        combine(bits, index, values.astype(kind).view("uint64") ^ turn)
        out[...] = (bits ^ turn).view(kind)
    else:
        wide = "int32" if kind.kind in "iub" else "float32"
        total = out.astype(wide)
        combine(total, index, values.astype(wide))
        out[...] = total.astype(kind)


def add_at(xp, out, index, values):
    """out[index] += values, adding up where an index occurs twice; see `combine_at`."""
    combine_at(xp, "add", out, index, values)


@functools.cache
def error_function(xp):
    """erf on arrays: CuPy has it, NumPy hasn't."""
    if xp is numpy:
        return numpy.vectorize(math.erf, otypes=["d"])
    from cupyx.scipy.special import erf

    return erf


def checked_linalg(xp):
    """A context inside which CuPy's decompositions raise LinAlgError, as NumPy's do; it waits."""
    if xp is numpy:
        return contextlib.nullcontext()
    import cupyx

    return cupyx.errstate(linalg="raise")


def native_device(*arrays):
    """A context inside which the GPU in use is that of the first array that is on one."""
    if gpus:
        for array in arrays:
            array = getattr(array, "array", array)
            if isinstance(array, _cupy.ndarray):
                return _cupy.cuda.Device(array.device.id)
    return contextlib.nullcontext()


def elsewhere(*arrays) -> bool:
    """True if the first array that is on a GPU is not on the one in use."""
    for array in arrays:
        array = getattr(array, "array", array)
        if isinstance(array, _cupy.ndarray):
            return array.device.id != _cupy.cuda.runtime.getDevice()
    return False


class OutOfMemoryError(RuntimeError):
    """The GPU's memory doesn't suffice; nothing was changed."""


def out_of_memory(name: str, error: MemoryError) -> Exception:
    """The error to raise where `name` ran out of memory, on the GPU or in main memory."""
    if _cupy is None or not isinstance(error, _cupy.cuda.memory.OutOfMemoryError):
        return MemoryError(f"{name}: {error}")
    free, total = _cupy.cuda.runtime.memGetInfo()
    return OutOfMemoryError(
        f"{name}: CUDA out of memory. {error} GPU {_cupy.cuda.runtime.getDevice()} has {total:,} "
        f"bytes, {free:,} of them free. Use smaller batches, or delete what is not needed any more."
    )


# -- finding CuPy ------------------------------------------------------------------------------------


def require_cupy():
    """The cupy module, or an error that says how to get a working one."""
    global _cupy, gpus
    if _cupy is not None:
        return _cupy
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(
            "device 'cuda' needs CuPy: pip install 'minigrad[cuda13]' ('minigrad[cuda12]' for a driver "
            "of CUDA 12), and an NVIDIA driver"
        ) from error
    if not cupy.cuda.is_available():
        raise RuntimeError("device 'cuda': CuPy is installed, but it finds no NVIDIA driver or GPU")
    _watch_memory(cupy)
    gpus = cupy.cuda.runtime.getDeviceCount()
    _cupy = cupy
    for function in _at_loading:
        function(cupy)
    return cupy


_at_loading: list = []


def when_loaded(function) -> None:
    """Call a function with the cupy module now, if it is loaded, and whenever it will be."""
    if function not in _at_loading:
        _at_loading.append(function)
    if _cupy is not None:
        function(_cupy)


def cuda_is_available() -> bool:
    """True if CuPy is installed and sees a GPU; never raises."""
    try:
        require_cupy()
    except RuntimeError:
        return False
    return True


# -- the most memory that was in use ------------------------------------------------------------------

peak_memory: dict[int, int] = {}  # by the GPU's number


def _watch_memory(cupy):
    """Let every allocation note the most bytes that were in use; CuPy's pool does not."""
    pool = cupy.get_default_memory_pool()
    device_in_use = cupy.cuda.runtime.getDevice

    def allocate(size):
        memory = pool.malloc(size)
        number, used = device_in_use(), pool.used_bytes()
        if used > peak_memory.get(number, 0):
            peak_memory[number] = used
        return memory

    if cupy.cuda.get_allocator() == pool.malloc:  # else somebody chose another allocator
        cupy.cuda.set_allocator(allocate)
