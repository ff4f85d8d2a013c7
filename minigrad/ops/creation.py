"""Tensors from numbers, from arrays, and from nothing: tensor, zeros, arange, eye, linspace, ..."""

from __future__ import annotations

import builtins
import itertools
import math
import operator
from typing import TYPE_CHECKING

import numpy

from .. import dtypes
from ..backend import (
    array_module,
    check_number,
    made_on,
    numbered,
    out_of_memory,
    require_cupy,
    to_device,
)
from ..backend import device as Device
from ..op import Variable, wrap
from .shape import broadcast_to, reshape, sizes_of, stack

if TYPE_CHECKING:
    from ..dtypes import dtype
    from ..tensor import Tensor

__all__ = [
    "arange", "as_tensor", "asarray", "cartesian_prod", "combinations", "empty", "empty_like",
    "eye", "from_dlpack", "from_numpy", "frombuffer", "full", "full_like", "linspace", "logspace", "meshgrid",
    "new_empty", "new_full", "new_ones", "new_tensor", "new_zeros", "ones", "ones_like", "range",
    "scalar_tensor", "tensor", "tril_indices", "triu_indices", "zeros", "zeros_like",
]  # fmt: skip


def _numpy_dtype(dtype):
    return dtypes.default_numpy() if dtype is None else dtypes.to_numpy(dtype)


def _finish(array, device=None, requires_grad=False):
    """An array as a tensor, on the device asked for, or else on the default device."""
    if device is None:
        device = made_on.device
    if device is not None:
        array = to_device(array, Device(device))
    out = wrap(array)
    return out.requires_grad_() if requires_grad else out


def _fresh(make, device, requires_grad):
    """make(xp), an array that is made on the device where it is wanted: nothing is copied there."""
    where = made_on.device if device is None else Device(device)
    if where is None or where.type == "cpu":
        return _finish(make(numpy), where, requires_grad)
    where = numbered(where)
    check_number(where.index)
    cupy = require_cupy()
    with cupy.cuda.Device(where.index):
        try:
            return _finish(make(cupy), where, requires_grad)
        except MemoryError as error:
            raise out_of_memory("a new tensor", error) from error


# -- from data -----------------------------------------------------------------------------------


_PYTHON_NUMBERS = {builtins.bool, builtins.int, builtins.float}


def _number_dtype(kinds):
    """The dtype for Python numbers of these types: the widest of bool, int64, the default float."""
    if not kinds or builtins.float in kinds:
        return dtypes.default_numpy()
    return dtypes.int64.numpy if builtins.int in kinds else dtypes.bool.numpy


def _survey(data, path="data"):
    """Shape and dtype of a number, or of nested sequences of numbers, arrays and 0-d tensors."""
    if isinstance(data, Variable):
        if data.array.size != 1:
            kind = TypeError if data.array.dtype.kind in "iu" else ValueError
            raise kind(
                f"tensor: only one element tensors can be converted to Python scalars, but {path} "
                f"has shape {tuple(data.array.shape)}; use minigrad.stack for lists of tensors"
            )
        return (), data.array.dtype
    if isinstance(data, (numpy.ndarray, numpy.generic)):
        return data.shape, dtypes.from_numpy(data.dtype).numpy
    if isinstance(data, (builtins.bool, builtins.int, builtins.float)):
        return (), _number_dtype({type(data)})
    if isinstance(data, (str, bytes)):
        if path == "data":
            raise TypeError(f"tensor: new(): invalid data type '{type(data).__name__}'")
        raise ValueError(f"tensor: too many dimensions '{type(data).__name__}' at {path}")
    if isinstance(data, dict) or not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise RuntimeError(f"tensor: Could not infer dtype of {type(data).__name__} at {path}")
    kinds = set(map(type, data))
    if kinds <= _PYTHON_NUMBERS:
        return (len(data),), _number_dtype(kinds)
    first, found = _survey(data[0], f"{path}[0]")
    for i in builtins.range(1, len(data)):
        place = f"{path}[{i}]"
        shape, dtype = _survey(data[i], place)
        if shape != first:
            _complain(first, shape, place)
        found = dtypes.promote(found, dtype)
    return (len(data), *first), found


def _complain(first, shape, place):
    """Two neighbours in a list differ in shape."""
    if len(first) != len(shape):
        names = ["a sequence" if s else "a number" for s in (first, shape)]
        if all(name == "a sequence" for name in names):
            names = [f"{len(s)} levels of sequences" for s in (first, shape)]
        raise TypeError(f"tensor: expected {names[0]} at {place}, as before it (got {names[1]})")
    dim = next(k for k in builtins.range(len(shape)) if first[k] != shape[k])
    inside = "" if dim == 0 else f", {dim} levels down"
    raise ValueError(
        f"tensor: expected sequence of length {first[dim]} at {place}{inside} (got {shape[dim]}): "
        "nested lists must be rectangular"
    )


def _plain(data):
    """Nested data with tensors turned into numbers."""
    if isinstance(data, Variable):
        return data.array.item()
    if isinstance(data, (list, tuple)) and not set(map(type, data)) <= _PYTHON_NUMBERS:
        return [_plain(element) for element in data]
    return data


def _to_integers(data, floating, dtype):
    """An array of an integer dtype, which the numbers must fit; -1 is 255 in uint8, as in C."""
    work = numpy.float64 if floating else numpy.int64
    try:
        array = numpy.array(data, dtype if dtype == numpy.uint64 else work)
    except OverflowError as error:
        raise ValueError(f"tensor: an integer is too large for {dtype}") from error
    limits = numpy.iinfo(dtype)
    least = -builtins.int(limits.max) if limits.min == 0 else builtins.int(limits.min)
    if array.size and not builtins.bool(
        (array >= least).all() & (array <= builtins.int(limits.max)).all()
    ):
        raise RuntimeError(f"value cannot be converted to type {dtype} without overflow")
    return array.astype(dtype)


def _to_array(data, dtype):
    """A new array from anything that a tensor can be made of."""
    wanted = None if dtype is None else dtypes.to_numpy(dtype)
    if isinstance(data, Variable):
        return data.array.astype(data.array.dtype if wanted is None else wanted)
    if array_module(data) is not numpy:
        return data.astype(data.dtype if wanted is None else wanted)
    if isinstance(data, (numpy.ndarray, numpy.generic)):
        found = dtypes.from_numpy(data.dtype).numpy
        return numpy.array(data, found if wanted is None else wanted)
    if hasattr(data, "__array__"):
        return _to_array(numpy.asarray(data), dtype)
    shape, found = _survey(data)
    wanted = found if wanted is None else wanted
    data = _plain(data)
    if dtypes.kind_of(wanted) == 1:
        array = _to_integers(data, dtypes.kind_of(found) == 2, wanted)
    else:
        array = numpy.array(data, wanted)
    return array.reshape(shape)


def tensor(
    data,
    *,
    dtype: dtype | None = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
) -> Tensor:
    """A new tensor that holds a copy of `data`: a number, nested lists, an array, a tensor.

    Without `dtype`: bools give bool, ints int64, floats the default dtype, arrays keep theirs.
    """
    return _finish(_to_array(data, dtype), device, requires_grad)


def as_tensor(data, dtype: dtype | None = None, device: Device | str | None = None) -> Tensor:
    """As `tensor`, but without a copy where the data is a tensor or an array already."""
    if isinstance(data, Variable):
        return data.to(dtype=dtype, device=made_on.device if device is None else device)
    if isinstance(data, numpy.ndarray) and data.dtype.isnative:
        data = data if dtype is None else data.astype(dtypes.to_numpy(dtype), copy=False)
        dtypes.from_numpy(data.dtype)  # refuses strings, objects and complex numbers
        return _finish(data, device)
    return tensor(data, dtype=dtype, device=device)


def asarray(
    obj,
    *,
    dtype: dtype | None = None,
    device: Device | str | None = None,
    copy=None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of `obj`, sharing its memory where that is possible and copy is not True.

    Raises ValueError where copy is False and the memory can't be shared.
    """
    if isinstance(obj, (bytes, bytearray, memoryview)):
        obj = numpy.frombuffer(obj, _numpy_dtype(dtype))
    out = tensor(obj, dtype=dtype, device=device) if copy else as_tensor(obj, dtype, device)
    source = getattr(obj, "array", obj)
    if copy is False and not (
        isinstance(source, numpy.ndarray) and numpy.may_share_memory(source, out.array)
    ):
        raise ValueError(f"asarray: can't alias {type(obj).__name__} into a tensor of {out.dtype}")
    return out.requires_grad_() if requires_grad else out


def from_numpy(ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(ndarray, numpy.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    dtypes.from_numpy(ndarray.dtype)
    if not ndarray.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order; convert it "
            "with array.astype(array.dtype.newbyteorder('='))"
        )
    if builtins.any(stride < 0 for stride in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array with array.copy().)"
        )
    return wrap(ndarray)


def frombuffer(
    buffer, *, dtype: dtype, count=-1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A vector that shares the memory of bytes."""
    out = wrap(numpy.frombuffer(buffer, dtypes.to_numpy(dtype), count, offset))
    return out.requires_grad_() if requires_grad else out


def from_dlpack(ext_tensor) -> Tensor:
    """A tensor that shares the memory of another library's array, by the DLPack protocol."""
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(
            f"from_dlpack needs an object with __dlpack__, not {type(ext_tensor).__name__}"
        )
    return wrap(numpy.from_dlpack(ext_tensor))


def scalar_tensor(
    s,
    *,
    dtype: dtype | None = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A 0-d tensor."""
    return _finish(numpy.array(s, _numpy_dtype(dtype)), device, requires_grad)


# -- filled ----------------------------------------------------------------------------------------


def checked_sizes(name, size, keywords=None):
    """The sizes given as numbers, as one tuple or as `size=`; they must be there, and not negative.

    keywords: what the caller doesn't know by name, where `size` may be and nothing else.
    """
    if keywords:
        unknown = [keyword for keyword in keywords if keyword != "size"]
        if unknown:
            raise TypeError(f"{name}() got an unexpected keyword argument '{unknown[0]}'")
        if size:
            raise TypeError(f"{name}() got multiple values for argument 'size'")
        size = (keywords["size"],)
    if not size:
        raise TypeError(f"{name}() missing 1 required positional arguments: 'size'")
    size = sizes_of(name, size)
    if builtins.min(size, default=0) < 0:
        raise RuntimeError(
            f"{name}: Trying to create tensor with negative dimension {builtins.min(size)}: "
            f"{list(size)}"
        )
    return size


def _into(out, result, name):
    return result if out is None else out._assign_out(result.to(out.device), name)


def zeros(
    *size,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
    **size_kw,
) -> Tensor:
    """Zeros, in that shape."""
    shape = checked_sizes("zeros", size, size_kw)
    kind = _numpy_dtype(dtype)
    result = _fresh(lambda xp: xp.zeros(shape, kind), device, requires_grad)
    return _into(out, result, "zeros")


def ones(
    *size,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
    **size_kw,
) -> Tensor:
    """Ones, in that shape."""
    shape = checked_sizes("ones", size, size_kw)
    kind = _numpy_dtype(dtype)
    result = _fresh(lambda xp: xp.ones(shape, kind), device, requires_grad)
    return _into(out, result, "ones")


def empty(
    *size,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
    memory_format=None,
    **size_kw,
) -> Tensor:
    """Memory for that shape, with whatever numbers are there."""
    shape = checked_sizes("empty", size, size_kw)
    kind = _numpy_dtype(dtype)
    result = _fresh(lambda xp: xp.empty(shape, kind), device, requires_grad)
    return _into(out, result, "empty")


def full(
    size,
    fill_value,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
) -> Tensor:
    """One number everywhere; its kind gives the dtype if none is given."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full(): 'size' must be a tuple of ints, not {type(size).__name__}")
    shape = checked_sizes("full", (size,))
    number = _fill_value("full", fill_value, None if dtype is None else dtypes.to_numpy(dtype))

    def make(xp):
        return xp.full(shape, number if xp is numpy else number.item(), number.dtype)

    result = _fresh(make, device, requires_grad)
    return _into(out, result, "full")


def _fill_value(name, value, dtype):
    """One number as a 0-d array of a dtype that can hold it."""
    value = _number(value)
    if not isinstance(value, (builtins.bool, builtins.int, builtins.float)):
        raise TypeError(f"{name}(): 'fill_value' must be a number, not {type(value).__name__}")
    floating = isinstance(value, builtins.float)
    dtype = _number_dtype({type(value)}) if dtype is None else dtype
    try:
        if dtypes.kind_of(dtype) == 1:
            return _to_integers(value, floating, dtype)
        array = numpy.array(value, dtype)
    except (ValueError, OverflowError):
        array = None
    if array is None or (floating and numpy.isinf(array) and not math.isinf(value)):
        raise RuntimeError(f"{name}: value cannot be converted to type {dtype} without overflow")
    return array


def _like(name, input, fill, dtype, device, requires_grad, memory_format):
    """An array like the input's, also in the order of its memory unless that shall be row-major."""
    if not isinstance(input, Variable):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    array = input.array
    wanted = array.dtype if dtype is None else dtypes.to_numpy(dtype)
    order = "C" if memory_format == "torch.contiguous_format" else "K"
    out = array_module(array).empty_like(array, wanted, order)
    if fill is not None:
        out[...] = _fill_value(name, fill, wanted).item()
    return _finish(out, input.device if device is None else device, requires_grad)


def zeros_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    memory_format=None,
    pin_memory=False,
) -> Tensor:
    """Zeros in the shape, dtype and device of `input`."""
    return _like("zeros_like", input, 0, dtype, device, requires_grad, memory_format)


def ones_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    memory_format=None,
    pin_memory=False,
) -> Tensor:
    """Ones in the shape, dtype and device of `input`."""
    return _like("ones_like", input, 1, dtype, device, requires_grad, memory_format)


def empty_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    memory_format=None,
    pin_memory=False,
) -> Tensor:
    """Memory in the shape, dtype and device of `input`, with whatever numbers are there."""
    return _like("empty_like", input, None, dtype, device, requires_grad, memory_format)


def full_like(
    input: Tensor,
    fill_value,
    *,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    memory_format=None,
    pin_memory=False,
) -> Tensor:
    """One number everywhere, in the shape, dtype and device of `input`."""
    return _like("full_like", input, fill_value, dtype, device, requires_grad, memory_format)


def _new(name, input, make, size, keywords, dtype, device, requires_grad):
    shape = checked_sizes(name, size, keywords)
    wanted = input.array.dtype if dtype is None else dtypes.to_numpy(dtype)
    made = make(array_module(input.array), shape, wanted)
    return _finish(made, input.device if device is None else device, requires_grad)


def new_zeros(
    input: Tensor,
    *size,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
    **size_kw,
) -> Tensor:
    """Zeros of another shape in this tensor's dtype and on its device."""
    make = lambda xp, shape, dtype: xp.zeros(shape, dtype)
    return _new("new_zeros", input, make, size, size_kw, dtype, device, requires_grad)


def new_ones(
    input: Tensor,
    *size,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
    **size_kw,
) -> Tensor:
    """Ones of another shape in this tensor's dtype and on its device."""
    make = lambda xp, shape, dtype: xp.ones(shape, dtype)
    return _new("new_ones", input, make, size, size_kw, dtype, device, requires_grad)


def new_empty(
    input: Tensor,
    *size,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
    **size_kw,
) -> Tensor:
    """Memory for another shape in this tensor's dtype and on its device."""
    make = lambda xp, shape, dtype: xp.empty(shape, dtype)
    return _new("new_empty", input, make, size, size_kw, dtype, device, requires_grad)


def new_full(
    input: Tensor,
    size,
    fill_value,
    *,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
) -> Tensor:
    """One number in another shape, in this tensor's dtype and on its device."""
    make = lambda xp, shape, dtype: xp.full(
        shape, _fill_value("new_full", fill_value, dtype).item(), dtype
    )
    return _new("new_full", input, make, (size,), None, dtype, device, requires_grad)


def new_tensor(
    input: Tensor,
    data,
    *,
    dtype: dtype | None = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A copy of `data` in this tensor's dtype and on its device."""
    return tensor(
        data,
        dtype=input.dtype if dtype is None else dtype,
        device=input.device if device is None else device,
        requires_grad=requires_grad,
    )


# -- sequences and grids ---------------------------------------------------------------------------


def _number(value):
    return value.item() if isinstance(value, (Variable, numpy.generic)) else value


def arange(
    *bounds,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
    **named,
) -> Tensor:
    """start, start + step, ... below end. Integers give int64, floats the default dtype."""
    start, end, step = _bounds(*bounds, **named)
    whole = all(isinstance(v, builtins.int) for v in (start, end, step))
    if dtype is None:
        wanted = dtypes.int64.numpy if whole else dtypes.default_numpy()
    else:
        wanted = dtypes.to_numpy(dtype)
    if wanted.kind == "b":
        raise NotImplementedError("arange is not implemented for bool")
    if not all(map(math.isfinite, (start, end, step))):
        raise RuntimeError(f"arange: unsupported range: {start} -> {end}")
    if wanted.kind in "iu":
        whole, start, end, step = True, *map(builtins.int, (start, end, step))
    if step == 0:
        raise RuntimeError("arange: step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(
            "arange: upper bound and lower bound inconsistent with step sign: "
            f"{start}, {end}, {step}"
        )
    count = -((start - end) // step) if whole else math.ceil((end - start) / step)

    def make(xp):
        index = xp.arange(count, dtype=numpy.int64 if whole else numpy.float64)
        return (start + index * step).astype(wanted, copy=False)

    return _into(out, _fresh(make, device, requires_grad), "arange")


def _bounds(*bounds, **named):
    """start, end and step from (end), (start, end) or (start, end, step), by place or by name."""
    names = ("end",) if len(bounds) == 1 and "end" not in named else ("start", "end", "step")
    given = dict(zip(names, bounds, strict=False)) | named
    if len(bounds) > 3 or "end" not in given or not given.keys() <= {"start", "end", "step"}:
        raise TypeError("arange() takes (end), (start, end) or (start, end, step)")
    start, end, step = map(_number, (given.get("start", 0), given["end"], given.get("step", 1)))
    for value in (start, end, step):
        if not isinstance(value, (builtins.int, builtins.float)):
            raise TypeError(f"arange(): bounds must be numbers, not {type(value).__name__}")
    return start, end, step


def range(
    start=0,
    end=None,
    step=1,
    *,
    dtype: dtype | None = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """As arange, but with the end included, and floats: torch's deprecated function."""
    if end is None:
        start, end = 0, start
    count = math.floor((end - start) / step) + 1
    index = numpy.arange(count, dtype=numpy.float64)
    return _finish((start + index * step).astype(_numpy_dtype(dtype)), device, requires_grad)


def linspace(
    start,
    end,
    steps: int,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
) -> Tensor:
    """`steps` numbers from start to end, both included, equally far apart."""
    line = _line("linspace", start, end, steps, _numpy_dtype(dtype))
    return _into(out, _finish(line, device, requires_grad), "linspace")


def _line(name, start, end, steps, dtype):
    """From both ends towards the middle, as torch does, so that it is symmetric."""
    start, end, steps = _number(start), _number(end), operator.index(steps)
    if steps < 0:
        raise RuntimeError(f"{name}: number of steps must be non-negative, got {steps}")
    if steps == 1:
        return numpy.full(1, start, dtype)
    index = numpy.arange(steps)
    work = dtype if dtype.kind == "f" else numpy.dtype("float64")
    step = (work.type(end) - work.type(start)) / work.type(builtins.max(steps - 1, 1))
    # each number is rounded once, as by a fused multiply-add
    first = builtins.float(work.type(start)) + builtins.float(step) * index
    last = builtins.float(work.type(end)) - builtins.float(step) * (steps - 1 - index)
    return numpy.where(index < steps // 2, first, last).astype(dtype)


def logspace(
    start,
    end,
    steps: int,
    base=10.0,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
) -> Tensor:
    """base^start to base^end in `steps` equal factors."""
    line = base ** _line("logspace", start, end, steps, numpy.dtype("float64"))
    return _into(out, _finish(line.astype(_numpy_dtype(dtype)), device, requires_grad), "logspace")


def eye(
    n,
    m=None,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
) -> Tensor:
    """Ones on the diagonal of an n x m matrix."""
    if n < 0 or (m or 0) < 0:
        raise RuntimeError(f"eye: n and m must be greater or equal to 0, got {n} and {m}")
    result = _finish(numpy.eye(n, m, dtype=_numpy_dtype(dtype)), device, requires_grad)
    return _into(out, result, "eye")


def _triangle(name, find, row, col, offset, dtype, device):
    if row < 0 or col < 0:
        raise RuntimeError(f"{name}: row and col must be non-negative, got {row} and {col}")
    wanted = dtypes.int64.numpy if dtype is None else dtypes.to_numpy(dtype)
    if wanted not in (numpy.int32, numpy.int64):
        raise NotImplementedError(f"{name} gives int64 or int32 indices, not {wanted}")
    return _finish(numpy.stack(find(row, offset, col)).astype(wanted), device)


def tril_indices(
    row,
    col,
    offset: int = 0,
    *,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    pin_memory=False,
) -> Tensor:
    """Row and column numbers of the lower triangle, as a 2 x n tensor."""
    return _triangle("tril_indices", numpy.tril_indices, row, col, offset, dtype, device)


def triu_indices(
    row,
    col,
    offset: int = 0,
    *,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    pin_memory=False,
) -> Tensor:
    """Row and column numbers of the upper triangle, as a 2 x n tensor."""
    return _triangle("triu_indices", numpy.triu_indices, row, col, offset, dtype, device)


def _vectors(name, tensors, most_dims=1, least_dims=0):
    """Refuse what is no vector, and vectors of different dtypes."""
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    for i, x in enumerate(tensors):
        if not isinstance(x, Variable):
            raise TypeError(f"{name}: expected Tensor as element {i}, but got {type(x).__name__}")
        if x.array.dtype != tensors[0].array.dtype:
            raise RuntimeError(
                f"{name} expects all tensors to have the same dtype, got "
                f"{tensors[0].dtype} and {x.dtype}"
            )
        if not least_dims <= x.array.ndim <= most_dims:
            raise RuntimeError(f"{name}: expected a vector, but got shape {list(x.array.shape)}")


def meshgrid(*tensors, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Vectors expanded to one grid; "ij" (the default) or "xy" says which comes first."""
    tensors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(
            f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    _vectors("meshgrid", tensors)
    swapped = indexing == "xy" and len(tensors) > 1
    ordered = [tensors[1], tensors[0], *tensors[2:]] if swapped else list(tensors)
    sizes = [x.array.size for x in ordered]
    grids = []
    for i, x in enumerate(ordered):
        column = reshape(x, [-1 if k == i else 1 for k in builtins.range(len(sizes))])
        grids.append(broadcast_to(column, sizes))
    if swapped:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors) -> Tensor:
    """All tuples with one number from each vector, one a row."""
    _vectors("cartesian_prod", tensors, least_dims=1)
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(grid, (-1,)) for grid in meshgrid(*tensors, indexing="ij")], 1)


def combinations(input: Tensor, r=2, with_replacement: bool = False) -> Tensor:
    """All choices of r numbers of a vector, in order, one a row."""
    _vectors("combinations", [input], least_dims=1)
    if r < 0:
        raise RuntimeError(f"combinations: expected a non-negative number of elements, got r={r}")
    if r == 0:
        return new_empty(input, 0)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    index = numpy.array(list(choose(builtins.range(input.array.size), r)), numpy.int64)
    if not len(index):
        return new_empty(input, (0, r))
    return input[wrap(array_module(input.array).asarray(index))]
