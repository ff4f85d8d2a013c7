"""The stand-in's array: a NumPy array that nobody outside may see, with CuPy's manners.

It never turns into a NumPy array by itself and never takes one, where CuPy wouldn't or where CuPy
would copy between the devices silently; every result is an array, a single number too; views share
memory; an index array's entries outside the range wrap around, as on a GPU, where nothing checks.
"""

import inspect
import json
import operator
import pathlib

import numpy

from . import _capture
from ._capture import recorded, refuse, waits
from ._memory import MemoryPointer, allocate, current

RECORDED = json.loads((pathlib.Path(__file__).parent / "recorded.json").read_text())
KINDS = "?bBhHiIlLqQefdFD"  # dtypes of CuPy, by NumPy's character; and ml_dtypes.bfloat16
IMPLICIT = (
    "Implicit conversion to a NumPy array is not allowed. "
    "Please use `.get()` to construct a NumPy array explicitly."
)
IN_FLOATS = "sum", "prod", "mean", "cumsum", "cumprod"
SCALARS = (bool, int, float, complex, numpy.generic)
_new = object.__new__


def supported(dtype):
    """The dtype, if CuPy has it."""
    dtype = numpy.dtype(dtype)
    if dtype.char not in KINDS and dtype.name != "bfloat16":
        raise ValueError(f"Unsupported dtype {dtype}")
    if not dtype.isnative:
        raise ValueError(f"Unsupported byte order {dtype.byteorder}")
    return dtype


def root_of(host):
    """The NumPy array that owns the memory of this one."""
    while type(host.base) is numpy.ndarray:
        host = host.base
    return host


def wrap(host, parents=()):
    """An array around a NumPy array of ours: a view of a parent if it shares the parent's memory."""
    if type(host) is not numpy.ndarray:
        host = numpy.asarray(host)
    supported(host.dtype)
    array = _new(ndarray)
    array._host = host
    root = root_of(host)
    for parent in parents:
        if parent._memory.root is root:
            if not host.flags.writeable and 0 not in host.strides:
                host.flags.writeable = True  # NumPy's diagonals are for reading only
            array._memory = parent._memory
            array.base = parent if parent.base is None else parent.base
            return array
    array._memory = memory = allocate(host.nbytes)
    array.base = None
    if memory.root is None:
        memory.root = root
    elif host.size:
        array._host = _placed(host, memory.root)
    return array


def _placed(host, root):
    """The array in memory whose place is known already."""
    if host.flags.c_contiguous or not host.flags.forc and 0 in host.strides:
        strides = None
    else:  # as it lies, without gaps
        order = sorted(range(host.ndim), key=lambda k: -abs(host.strides[k]))
        strides, step = [0] * host.ndim, host.itemsize
        for k in reversed(order):
            strides[k], step = step, step * host.shape[k]
    array = numpy.ndarray(host.shape, host.dtype, root, 0, strides)
    array[...] = host
    return array


def lower(x, parents):
    """x with our arrays replaced by their NumPy arrays, which are noted; anything strange refused."""
    if type(x) is ndarray:
        check_device(x)
        parents.append(x)
        return x._host
    if isinstance(x, numpy.ndarray) or hasattr(x, "array"):
        raise TypeError(f"Unsupported type {type(x)}")
    if isinstance(x, (list, tuple)):
        return type(x)([lower(part, parents) for part in x])
    return x


def check_device(x):
    """CuPy computes on the current device, with arrays of that device."""
    if x._memory.device_id != current.device:
        raise ValueError(
            "Array device must be same as the current device: array device = "
            f"{x._memory.device_id} while current = {current.device}"
        )


def raise_up(result, parents):
    """What a NumPy function returned, as arrays of ours."""
    if isinstance(result, (numpy.ndarray, numpy.generic)):
        return wrap(numpy.asarray(result), parents)
    if isinstance(result, (list, tuple)):
        made = [raise_up(part, parents) for part in result]
        fields = getattr(result, "_fields", None)
        return type(result)(*made) if fields else type(result)(made)
    return result


def _again(host):
    """An array from its numbers, when it is unpickled."""
    from . import array

    return array(host)


class Flags:
    """The flags that CuPy's arrays have; `writeable` is not among them."""

    def __init__(self, array):
        self.c_contiguous = array._host.flags.c_contiguous
        self.f_contiguous = array._host.flags.f_contiguous
        self.owndata = array.base is None

    def __getitem__(self, name):
        return getattr(self, name.lower())


class ndarray:
    """As cupy.ndarray."""

    __slots__ = ("__weakref__", "_host", "_memory", "base")
    __array_priority__ = 100
    __hash__ = None

    def __new__(cls, shape, dtype=float, memptr=None, strides=None, order="C"):
        if memptr is not None or strides is not None:
            raise NotImplementedError("ndarray(memptr=..., strides=...)")
        host = numpy.empty(shape, supported(dtype), order=order)
        numpy.copyto(host, _odd(host.dtype), casting="unsafe")
        return wrap(host)

    # -- what NumPy may not do -------------------------------------------------------------------

    def __array__(self, dtype=None, copy=None):
        raise TypeError(IMPLICIT)

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"numpy.{function.__name__} was called with a device array. " + IMPLICIT)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        others = [x for x in inputs if type(x) is not ndarray]
        if method == "__call__" and others and all(isinstance(x, numpy.generic) for x in others):
            from . import _ufunc  # numpy.float32(2) * array

            return _ufunc.NAMED[ufunc.__name__](*inputs)
        raise TypeError(f"numpy.{ufunc.__name__} was called with a device array. " + IMPLICIT)

    # -- what it is ------------------------------------------------------------------------------

    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    strides = property(lambda self: self._host.strides)
    T = property(lambda self: wrap(self._host.T, (self,)))
    mT = property(lambda self: wrap(self._host.mT, (self,)))
    flags = property(Flags)

    @property
    def shape(self):
        """The sizes."""
        return self._host.shape

    @shape.setter
    def shape(self, sizes):
        self._host.shape = sizes

    @property
    def device(self):
        """Where it lies."""
        from .cuda import Device

        return Device(self._memory.device_id)

    @property
    def data(self):
        """A pointer to its first number."""
        return MemoryPointer(self._memory, self._host.ctypes.data - self._memory.ptr)

    # -- to and from the host --------------------------------------------------------------------

    def get(self, stream=None, order="C", out=None, blocking=True):
        """A NumPy array of its own with these numbers."""
        if out is None:
            return numpy.array(self._host, order=order)
        if not isinstance(out, numpy.ndarray):
            raise TypeError("Only numpy.ndarray can be obtained from cupy.ndarray")
        if out.dtype != self.dtype or out.shape != self.shape:
            raise ValueError("Shape or dtype mismatch")
        out[...] = self._host
        return out

    def set(self, arr, stream=None):
        """Take over the numbers of a NumPy array of this shape and dtype."""
        if not isinstance(arr, numpy.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if self.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old: {self.shape}, new: {arr.shape}")
        self._host[...] = arr

    def item(self):
        """The one number, as a Python number."""
        return self._host.item()

    def tolist(self):
        """Nested lists of numbers."""
        return self._host.tolist()

    def tobytes(self, order="C"):
        """The bytes."""
        return self._host.tobytes(order)

    def __bool__(self):
        return bool(self._host)

    def __int__(self):
        return int(self._host.item())

    def __float__(self):
        return float(self._host.item())

    def __complex__(self):
        return complex(self._host.item())

    def __repr__(self):
        return repr(self._host)

    def __str__(self):
        return str(self._host)

    def __format__(self, spec):
        return format(self._host, spec)

    def __len__(self):
        if self._host.ndim == 0:
            raise TypeError("len() of unsized object")
        return len(self._host)

    def __iter__(self):
        if self._host.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self._host)))

    def __reduce_ex__(self, protocol):
        return _again, (self.get(),)

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        with self.device:
            return self.copy()

    # -- parts -----------------------------------------------------------------------------------

    def __getitem__(self, index):
        parents = [self]
        index = _index(self, index, parents)
        if any(map(_is_mask, index)):
            refuse("an index that is a mask")
        return wrap(self._host[index], parents[:1])

    def __setitem__(self, index, value):
        index = _index(self, index, [])
        if any(map(_is_mask, index)) and getattr(value, "ndim", 0):
            refuse("an index that is a mask")
        if type(value) is ndarray:
            check_device(value)
            while value.ndim > self._host.ndim and value.shape[0] == 1:
                value = value[0]
            value = value._host
        elif not isinstance(value, SCALARS):
            advanced = any(isinstance(part, numpy.ndarray) for part in index)
            if not advanced or not isinstance(value, (list, tuple)):
                raise TypeError(f"a device array can't be set from {type(value)}")
        self._host[index] = value

    # -- in other forms --------------------------------------------------------------------------

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        """The numbers in another dtype."""
        check_device(self)
        dtype = supported(dtype)
        if not copy and dtype == self.dtype:
            return self
        return wrap(self._host.astype(dtype, order=order, casting=casting or "unsafe"))

    def copy(self, order="C"):
        """A copy in memory of its own."""
        return wrap(self._host.copy(order))

    def view(self, dtype=None, type=None):
        """The same memory, read as another dtype."""
        return wrap(self._host.view() if dtype is None else self._host.view(dtype), (self,))

    def fill(self, value):
        """Every number becomes this scalar (or the number in an array of no dimensions)."""
        self[...] = value

    def reshape(self, *shape, order="C", copy=None):
        """Another shape: a view where possible."""
        shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return wrap(self._host.reshape(shape, order=order), (self,))

    def transpose(self, *axes):
        """The dimensions in another order."""
        return wrap(self._host.transpose(*axes), (self,))

    def scatter_add(self, slices, value):
        """self[slices] += value, adding up where an index occurs twice."""
        scatter(numpy.add, self, slices, value)

    def scatter_max(self, slices, value):
        """As scatter_add with the maximum."""
        scatter(numpy.maximum, self, slices, value)

    def scatter_min(self, slices, value):
        """As scatter_add with the minimum."""
        scatter(numpy.minimum, self, slices, value)


ATOMIC = {"add": "iILQefd", "maximum": "iILQfd"}
ATOMIC["minimum"] = ATOMIC["maximum"]


def scatter(ufunc, array, index, value):
    """ufunc.at for the dtypes that CUDA has atomic operations for; int64 is not among them."""
    parents = [array]
    index = _index(array, index, parents)
    if array.dtype.char not in ATOMIC[ufunc.__name__] and any(
        isinstance(part, numpy.ndarray) for part in index
    ):
        raise TypeError(f"scatter_{ufunc.__name__} does not support {array.dtype} as data type")
    value = lower(value, parents)
    ufunc.at(array._host, index, numpy.asarray(value).astype(array.dtype))


def _odd(dtype):
    """What memory that nobody has written holds: a number that shows."""
    if dtype.kind in "fcV":
        return numpy.nan
    return True if dtype.kind == "b" else numpy.iinfo(dtype).max


def _is_mask(part):
    return isinstance(part, numpy.ndarray) and part.dtype.kind == "b"


def _index(array, index, parents):
    """An index as NumPy takes it; the entries of index arrays wrapped into their range."""
    parts = index if type(index) is tuple else (index,)
    cleaned = []
    used = 0
    for part in parts:
        if type(part) is ndarray:
            check_device(part)
            parents.append(part)
            part = part._host
            if part.dtype.kind not in "biu":
                raise IndexError(
                    "arrays used as indices must be of integer or boolean type. "
                    f"(actual: {part.dtype.type})"
                )
        elif isinstance(part, (list, bool, numpy.bool_)):
            if isinstance(part, list):
                refuse("an index from main memory")
            part = numpy.asarray(part, None if part != [] else numpy.int32)
        elif isinstance(part, slice):
            for end in (part.start, part.stop, part.step):
                if type(end) is ndarray:
                    raise TypeError("slice indices must be integers, not device arrays")
        elif part is not None and part is not Ellipsis:
            if isinstance(part, numpy.ndarray) or not numpy.isscalar(part):
                raise IndexError(f"a device array can't be indexed by {type(part)}")
            part = operator.index(part)
        cleaned.append(part)
        if part is not None and part is not Ellipsis:
            used += part.ndim if _is_mask(part) else 1
    if not any(part is Ellipsis for part in cleaned):
        cleaned.append(Ellipsis)  # a single number stays an array, a view
    dim = 0
    for i, part in enumerate(cleaned):
        if part is Ellipsis:
            dim += array.ndim - used
        elif part is not None:
            mask = _is_mask(part)
            if isinstance(part, numpy.ndarray) and not mask and dim < array.ndim:
                size = array.shape[dim]
                cleaned[i] = part % size if size else part
            dim += part.ndim if mask else 1
    return tuple(cleaned)


def _method(name, text):
    """A method that does what NumPy's does, with the parameters that CuPy's has."""
    text = text.replace("int axis", "axis").replace("Py_ssize_t ", "")
    signature = inspect.Signature([p for p in _parse(text).parameters.values() if p.name != "self"])
    native = getattr(numpy.ndarray, name)

    def method(self, *args, **kwargs):
        check_device(self)
        if kwargs or len(args) > len(signature.parameters):
            kwargs = signature.bind(*args, **kwargs).arguments
            args = ()
        parents = [self]
        args = [lower(x, parents) for x in args]
        kwargs = {key: lower(x, parents) for key, x in kwargs.items() if x is not None}
        out = kwargs.get("out")
        host = self._host
        if (
            name in IN_FLOATS and host.dtype.name == "bfloat16"
        ):  # so does CuPy, and rounds at the end
            kwargs.setdefault("dtype", numpy.float32)
            result = native(host.astype("f4"), *args, **kwargs)
            if kwargs["dtype"] == numpy.float32 and out is None:
                result = numpy.asarray(result).astype(host.dtype)
        else:
            result = native(host, *args, **kwargs)
        if out is not None:
            return next(parent for parent in parents if parent._host is out)
        return raise_up(result, parents)

    method.__name__ = name
    return method


def _parse(text):
    """A signature from its text."""
    space = {}
    exec(f"def function{text}: pass", {}, space)
    return inspect.signature(space["function"])


for _name, _text in RECORDED["methods"].items():
    if _name not in ndarray.__dict__:
        setattr(ndarray, _name, _method(_name, _text))

# -- what a capture writes down, and what it refuses -----------------------------------------------

_capture.odd, _capture.array_type = _odd, ndarray
WAITING = (
    "get", "set", "item", "tolist", "tobytes", "nonzero", "sort", "argsort", "partition",
    "argpartition", "__bool__", "__int__", "__float__", "__complex__", "__repr__", "__str__",
    "__format__", "__reduce_ex__", "choose", "compress",
)  # fmt: skip
DONE = (
    "__getitem__", "__setitem__", "fill", "reshape", "scatter_add", "scatter_max", "scatter_min",
    "astype", "copy",
)  # fmt: skip
for _name in WAITING:
    if hasattr(ndarray, _name):
        setattr(ndarray, _name, waits(getattr(ndarray, _name), _name))
for _name in (*DONE, *RECORDED["methods"]):
    if _name not in (*WAITING, "get", "view", "transpose") and hasattr(ndarray, _name):
        setattr(ndarray, _name, recorded(getattr(ndarray, _name)))
