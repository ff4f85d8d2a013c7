"""The number types under torch's names, the default one, and how two of them promote."""

import builtins

import numpy


class dtype:
    """One number type, such as `minigrad.float32`; it prints under the name tutorials know it by."""

    __slots__ = ("is_floating_point", "is_signed", "itemsize", "kind", "name", "numpy")

    is_complex = False

    def __init__(self, name: str, numpy_dtype, kind: int):
        self.name = name
        self.numpy = numpy_dtype
        self.kind = kind  # 0 bool, 1 integer, 2 floating: a higher kind wins a promotion
        self.is_floating_point = kind == 2
        self.is_signed = kind == 2 or (kind == 1 and not name.startswith("u"))
        self.itemsize = numpy_dtype.itemsize

    def __repr__(self):
        return f"torch.{self.name}"

    def __reduce__(self):
        return _by_name, (self.name,)

    def to_real(self):
        return self


def _by_name(name: str) -> dtype:
    return BY_NAME[name]


bool = dtype("bool", numpy.dtype("bool"), 0)
uint8 = dtype("uint8", numpy.dtype("uint8"), 1)
int8 = dtype("int8", numpy.dtype("int8"), 1)
int16 = dtype("int16", numpy.dtype("int16"), 1)
int32 = dtype("int32", numpy.dtype("int32"), 1)
int64 = dtype("int64", numpy.dtype("int64"), 1)
uint16 = dtype("uint16", numpy.dtype("uint16"), 1)
uint32 = dtype("uint32", numpy.dtype("uint32"), 1)
uint64 = dtype("uint64", numpy.dtype("uint64"), 1)
float16 = dtype("float16", numpy.dtype("float16"), 2)
float32 = dtype("float32", numpy.dtype("float32"), 2)
float64 = dtype("float64", numpy.dtype("float64"), 2)
half, double, short, int, long = float16, float64, int16, int32, int64
float = float32

BY_NAME = {
    t.name: t
    for t in (bool, uint8, int8, int16, int32, int64, uint16, uint32, uint64)
    + (float16, float32, float64)
}
_BY_NUMPY = {t.numpy: t for t in BY_NAME.values()}
_BY_PYTHON = {builtins.bool: bool, builtins.int: int64, builtins.float: float64}
_default = float32
when_bfloat16_appears = []  # functions to call once, when the dtype is first asked for


def _bfloat16() -> dtype:
    """bfloat16 stands on ml_dtypes, which is loaded when the name is first used."""
    if "bfloat16" not in BY_NAME:
        try:
            import ml_dtypes
        except ImportError as error:
            raise AttributeError(
                "bfloat16 needs the ml_dtypes package: pip install 'minigrad[bf16]'"
            ) from error
        BY_NAME["bfloat16"] = dtype("bfloat16", numpy.dtype(ml_dtypes.bfloat16), 2)
        _BY_NUMPY[BY_NAME["bfloat16"].numpy] = BY_NAME["bfloat16"]
        for function in when_bfloat16_appears:
            function()
    return BY_NAME["bfloat16"]


def __getattr__(name: str):
    if name == "bfloat16":
        return _bfloat16()
    raise AttributeError(f"module 'minigrad.dtypes' has no attribute '{name}'")


def of(array) -> dtype:
    """The dtype of a NumPy or CuPy array."""
    found = _BY_NUMPY.get(array.dtype)
    if found is None:
        found = from_numpy(array.dtype)
    return found


def from_numpy(numpy_dtype) -> dtype:
    """The dtype that stands for a NumPy dtype; TypeError where there is none."""
    numpy_dtype = numpy.dtype(numpy_dtype)
    if numpy_dtype.name == "bfloat16":
        return _bfloat16()
    found = _BY_NUMPY.get(numpy_dtype.newbyteorder("="))
    if found is None:
        raise TypeError(
            f"can't convert a NumPy array of dtype {numpy_dtype}; the supported dtypes are: "
            + ", ".join(BY_NAME)
        )
    return found


def to_numpy(wanted) -> numpy.dtype:
    """The NumPy dtype for a minigrad dtype, a Python type, or a NumPy dtype."""
    if isinstance(wanted, dtype):
        return wanted.numpy
    if wanted in _BY_PYTHON:
        return _BY_PYTHON[wanted].numpy
    if isinstance(wanted, str) or wanted is None:
        raise TypeError(f"dtype must be a minigrad dtype such as minigrad.float32, not {wanted!r}")
    return from_numpy(wanted).numpy


def get_default_dtype() -> dtype:
    """The dtype that Python floats become; float32 unless `set_default_dtype` changed it."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Let Python floats, and factory functions without `dtype`, become `d` (a floating dtype)."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, not {d!r}")
    _default = d


def default_numpy() -> numpy.dtype:
    """The default dtype as NumPy writes it."""
    return _default.numpy


def kind_of(numpy_dtype) -> builtins.int:
    """0 for bool, 1 for integers, 2 for floating-point numbers."""
    letter = numpy_dtype.kind
    if letter == "b":
        return 0
    return 1 if letter in "iu" else 2  # bfloat16 calls itself 'V'


def promote(a: numpy.dtype, b: numpy.dtype) -> numpy.dtype:
    """The smallest dtype that holds both, by torch's table: a float swallows any integer."""
    if a == b:
        return a
    kind_a, kind_b = kind_of(a), kind_of(b)
    if kind_a != kind_b:
        return a if kind_a > kind_b else b
    if kind_a == 2 and a.itemsize == b.itemsize:
        return float32.numpy  # float16 with bfloat16
    if kind_a == 2:
        return a if a.itemsize > b.itemsize else b
    return numpy.promote_types(a, b)


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The dtype of an operation on two tensors of these dtypes."""
    return from_numpy(promote(type1.numpy, type2.numpy))


def common(operands) -> numpy.dtype:
    """The dtype of an operation on arrays and Python numbers.

    Arrays with dimensions decide among themselves; 0-d arrays, and after them Python numbers,
    count only where they are of a higher kind (bool < integer < floating).
    """
    full = zero_dim = number = None
    for operand in operands:
        shape = getattr(operand, "shape", None)
        if shape is None:
            if isinstance(operand, builtins.bool):
                d = bool.numpy
            elif isinstance(operand, builtins.int):
                d = int64.numpy
            else:
                d = _default.numpy
            number = d if number is None else promote(number, d)
        elif shape:
            full = operand.dtype if full is None else promote(full, operand.dtype)
        else:
            zero_dim = operand.dtype if zero_dim is None else promote(zero_dim, operand.dtype)
    result = full
    for weaker in (zero_dim, number):
        if weaker is None:
            continue
        if result is None or kind_of(weaker) > kind_of(result):
            result = weaker
    return result


def can_cast(from_: dtype, to: dtype) -> builtins.bool:
    """True if a result of dtype `from_` may be written into a tensor of dtype `to`."""
    return from_.kind <= to.kind


class finfo:
    """The limits of a floating dtype: bits, eps, max, min, tiny, smallest_normal, resolution."""

    def __init__(self, type: dtype | None = None):
        type = _default if type is None else type
        if not type.is_floating_point:
            raise TypeError(f"finfo takes a floating-point dtype, not {type}; use iinfo")
        if type.name == "bfloat16":
            import ml_dtypes

            info = ml_dtypes.finfo(type.numpy)
        else:
            info = numpy.finfo(type.numpy)
        number = builtins.float
        self.bits = info.bits
        self.eps = number(info.eps)
        self.max = number(info.max)
        self.min = number(info.min)
        self.tiny = self.smallest_normal = number(info.smallest_normal)
        self.resolution = number(info.resolution)
        self.dtype = type.name

    def __repr__(self):
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.tiny:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """The limits of an integer dtype: bits, max, min."""

    def __init__(self, type: dtype):
        if type.kind != 1:
            raise TypeError(f"iinfo takes an integer dtype, not {type}; use finfo")
        info = numpy.iinfo(type.numpy)
        self.bits = info.bits
        self.max = builtins.int(info.max)
        self.min = builtins.int(info.min)
        self.dtype = type.name

    def __repr__(self):
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
