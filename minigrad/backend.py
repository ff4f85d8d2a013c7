"""NumPy or CuPy: which module an array belongs to, and which device that is."""

import numpy

_cupy = None  # the cupy module, once a device has been asked for


def array_module(*operands):
    """The module, numpy or cupy, whose functions fit these arrays (Python numbers fit both)."""
    if _cupy is not None:
        for operand in operands:
            if isinstance(operand, _cupy.ndarray):
                return _cupy
    return numpy


class device:
    """Where a tensor's numbers live: `device("cpu")`, `device("cuda")`, `device("cuda", 1)`."""

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


CPU = device("cpu")


def device_of(array) -> device:
    """The device that an array lives on."""
    if isinstance(array, numpy.ndarray):
        return CPU
    return device("cuda", array.device.id)


def to_device(array, where: device):
    """The array on another device; the same array where it is there already."""
    if where.type == "cpu":
        return array if isinstance(array, numpy.ndarray) else array.get()
    cupy = require_cupy()
    with cupy.cuda.Device(where.index or 0):
        return cupy.asarray(array)


def require_cupy():
    """The cupy module, or an error that says how to get a working one."""
    global _cupy
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(
            "device 'cuda' needs CuPy: pip install 'minigrad[cuda]' (and an NVIDIA driver)"
        ) from error
    if not cupy.cuda.is_available():
        raise RuntimeError("device 'cuda': CuPy is installed, but it finds no NVIDIA driver or GPU")
    _cupy = cupy
    return cupy


def cuda_is_available() -> bool:
    """True if CuPy is installed and sees a GPU; never raises."""
    try:
        require_cupy()
    except RuntimeError:
        return False
    return True
