"""Tensors from numbers, from arrays, and from nothing: tensor, zeros, arange, eye, linspace, ..."""

import builtins
import itertools
import math
import operator

import numpy

from .. import dtypes
from ..backend import array_module, to_device
from ..backend import device as Device
from ..op import Variable, wrap
from .shape import broadcast_to, reshape, sizes_of, stack

__all__ = [
    "arange", "as_tensor", "asarray", "cartesian_prod", "combinations", "empty", "empty_like",
    "eye", "from_dlpack", "from_numpy", "full", "full_like", "linspace", "logspace", "meshgrid",
    "new_empty", "new_full", "new_ones", "new_tensor", "new_zeros", "ones", "ones_like", "range",
    "scalar_tensor", "tensor", "tril_indices", "triu_indices", "zeros", "zeros_like",
]  # fmt: skip


def _numpy_dtype(dtype):
    return dtypes.default_numpy() if dtype is None else dtypes.to_numpy(dtype)


def _finish(array, device=None, requires_grad=False):
    """An array as a tensor, on the device asked for."""
    if device is not None:
        array = to_device(array, Device(device))
    out = wrap(array)
    return out.requires_grad_() if requires_grad else out


# -- from data -----------------------------------------------------------------------------------


def _check_shape(data, path=""):
    """The shape of nested lists; an error says where they are ragged."""
    if isinstance(data, Variable):
        return data.array.shape
    if not isinstance(data, (list, tuple, builtins.range)):
        return getattr(data, "shape", ())
    shapes = [_check_shape(element, f"{path}[{i}]") for i, element in enumerate(data)]
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            expected = shapes[0][0] if shapes[0] else "a number"
            got = shape[0] if shape else "a number"
            raise ValueError(
                f"tensor: expected sequence of length {expected} at data{path}[{i}] (got {got}): "
                "nested lists must be rectangular"
            )
    return (len(data), *(shapes[0] if shapes else ()))


def _kind_of_leaves(data):
    """The widest of bool, int and float among nested Python numbers; an array's dtype wins."""
    if isinstance(data, Variable):
        return data.array.dtype
    if isinstance(data, (numpy.ndarray, numpy.generic)):
        return data.dtype
    if isinstance(data, builtins.bool):
        return dtypes.bool.numpy
    if isinstance(data, builtins.int):
        return dtypes.int64.numpy
    if isinstance(data, builtins.float):
        return dtypes.default_numpy()
    if not isinstance(data, (list, tuple, builtins.range)):
        if data is None or isinstance(data, str):
            kind = "str" if isinstance(data, str) else "NoneType"
            raise TypeError(f"tensor: new(): invalid data type '{kind}'")
        return numpy.asarray(data).dtype
    found = None
    for kind in set(map(_kind_of_leaves, data)):
        found = kind if found is None else dtypes.promote(found, kind)
    return dtypes.default_numpy() if found is None else found


def _plain(data):
    """Nested data with tensors turned into NumPy arrays."""
    if isinstance(data, Variable):
        array = data.array
        return array if isinstance(array, numpy.ndarray) else array.get()
    if isinstance(data, (list, tuple)):
        return [_plain(element) for element in data]
    return data


def _to_array(data, dtype):
    """A new array from anything that a tensor can be made of."""
    if isinstance(data, Variable):
        return data.array.astype(data.array.dtype if dtype is None else dtypes.to_numpy(dtype))
    if array_module(data) is not numpy:
        return data.astype(data.dtype if dtype is None else dtypes.to_numpy(dtype))
    if isinstance(data, (numpy.ndarray, numpy.generic)):
        found = dtypes.from_numpy(data.dtype).numpy if dtype is None else dtypes.to_numpy(dtype)
        return numpy.array(data, found)
    if not isinstance(data, (list, tuple, builtins.range, builtins.int, builtins.float)):
        if hasattr(data, "__array__"):
            return _to_array(numpy.asarray(data), dtype)
        if hasattr(data, "__iter__") and not isinstance(data, (str, bytes, dict)):
            data = list(data)
    _check_shape(data)
    found = _kind_of_leaves(data) if dtype is None else dtypes.to_numpy(dtype)
    found = dtypes.from_numpy(found).numpy
    try:
        return numpy.array(_plain(data), found)
    except (ValueError, TypeError) as error:
        raise TypeError(f"tensor: the data can't be made into numbers: {error}") from error
    except OverflowError as error:
        raise RuntimeError(f"value cannot be converted to type {found} without overflow") from error


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A new tensor that holds a copy of `data`: a number, nested lists, an array, a tensor.

    Without `dtype`: bools give bool, ints int64, floats the default dtype, arrays keep theirs.
    """
    return _finish(_to_array(data, dtype), device, requires_grad)


def as_tensor(data, dtype=None, device=None):
    """As `tensor`, but without a copy where the data is a tensor or an array already."""
    if isinstance(data, Variable):
        return data.to(dtype=dtype, device=device)
    if isinstance(data, numpy.ndarray) and data.dtype.isnative:
        out = _finish(data if dtype is None else data.astype(dtypes.to_numpy(dtype), copy=False))
        dtypes.of(out.array)  # refuses strings, objects and complex numbers
        return out.to(device=device) if device is not None else out
    return tensor(data, dtype=dtype, device=device)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """A tensor of `obj`, sharing its memory where that is possible and copy is not True."""
    out = tensor(obj, dtype=dtype, device=device) if copy else as_tensor(obj, dtype, device)
    return out.requires_grad_() if requires_grad else out


def from_numpy(ndarray):
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(ndarray, numpy.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    dtypes.from_numpy(ndarray.dtype)
    if builtins.any(stride < 0 for stride in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array with array.copy().)"
        )
    return wrap(ndarray)


def from_dlpack(ext_tensor):
    """A tensor that shares the memory of another library's array, by the DLPack protocol."""
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(
            f"from_dlpack needs an object with __dlpack__, not {type(ext_tensor).__name__}"
        )
    return wrap(numpy.from_dlpack(ext_tensor))


def scalar_tensor(s, *, dtype=None, device=None, requires_grad=False):
    """A 0-d tensor."""
    return _finish(numpy.array(s, _numpy_dtype(dtype)), device, requires_grad)


# -- filled ----------------------------------------------------------------------------------------


def _checked(name, size):
    size = sizes_of(name, size)
    if builtins.any(n < 0 for n in size):
        raise RuntimeError(f"{name}: Trying to create tensor with negative dimension: {list(size)}")
    return size


def _into(out, result, name):
    return result if out is None else out._assign_out(result, name)


def _size_argument(size, keywords):
    return (keywords.pop("size"),) if not size and "size" in keywords else size


def zeros(*size, out=None, dtype=None, layout=None, device=None, requires_grad=False, **size_kw):
    """Zeros, in that shape."""
    shape = _checked("zeros", _size_argument(size, size_kw))
    result = _finish(numpy.zeros(shape, _numpy_dtype(dtype)), device, requires_grad)
    return _into(out, result, "zeros")


def ones(*size, out=None, dtype=None, layout=None, device=None, requires_grad=False, **size_kw):
    """Ones, in that shape."""
    shape = _checked("ones", _size_argument(size, size_kw))
    result = _finish(numpy.ones(shape, _numpy_dtype(dtype)), device, requires_grad)
    return _into(out, result, "ones")


def empty(
    *size, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False,
    memory_format=None, **size_kw,
):  # fmt: skip
    """Memory for that shape, with whatever numbers are there."""
    shape = _checked("empty", _size_argument(size, size_kw))
    result = _finish(numpy.empty(shape, _numpy_dtype(dtype)), device, requires_grad)
    return _into(out, result, "empty")


def full(size, fill_value, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """One number everywhere; its kind gives the dtype if none is given."""
    if isinstance(fill_value, Variable):
        fill_value = fill_value.item()
    found = _kind_of_leaves(fill_value) if dtype is None else dtypes.to_numpy(dtype)
    shape = _checked("full", (size,))
    result = _finish(numpy.full(shape, fill_value, found), device, requires_grad)
    return _into(out, result, "full")


def _like(input, make, dtype, device, requires_grad):
    array = input.array
    wanted = array.dtype if dtype is None else dtypes.to_numpy(dtype)
    return _finish(make(array_module(array), array, wanted), device, requires_grad)


def zeros_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None
):
    """Zeros in the shape, dtype and device of `input`."""
    return _like(input, lambda xp, a, d: xp.zeros_like(a, d), dtype, device, requires_grad)


def ones_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None
):
    """Ones in the shape, dtype and device of `input`."""
    return _like(input, lambda xp, a, d: xp.ones_like(a, d), dtype, device, requires_grad)


def empty_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None
):
    """Memory in the shape, dtype and device of `input`, with whatever numbers are there."""
    return _like(input, lambda xp, a, d: xp.empty_like(a, d), dtype, device, requires_grad)


def full_like(
    input, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False,
    memory_format=None,
):  # fmt: skip
    """One number everywhere, in the shape, dtype and device of `input`."""
    if isinstance(fill_value, Variable):
        fill_value = fill_value.item()
    return _like(
        input, lambda xp, a, d: xp.full_like(a, fill_value, d), dtype, device, requires_grad
    )


def _new(input, make, size, dtype, device, requires_grad):
    xp = array_module(input.array)
    wanted = input.array.dtype if dtype is None else dtypes.to_numpy(dtype)
    return _finish(make(xp, _checked("new", size), wanted), device, requires_grad)


def new_zeros(input, *size, dtype=None, device=None, requires_grad=False, **size_kw):
    """Zeros of another shape in this tensor's dtype and on its device."""
    size = _size_argument(size, size_kw)
    return _new(input, lambda xp, s, d: xp.zeros(s, d), size, dtype, device, requires_grad)


def new_ones(input, *size, dtype=None, device=None, requires_grad=False, **size_kw):
    """Ones of another shape in this tensor's dtype and on its device."""
    size = _size_argument(size, size_kw)
    return _new(input, lambda xp, s, d: xp.ones(s, d), size, dtype, device, requires_grad)


def new_empty(input, *size, dtype=None, device=None, requires_grad=False, **size_kw):
    """Memory for another shape in this tensor's dtype and on its device."""
    size = _size_argument(size, size_kw)
    return _new(input, lambda xp, s, d: xp.empty(s, d), size, dtype, device, requires_grad)


def new_full(input, size, fill_value, *, dtype=None, device=None, requires_grad=False):
    """One number in another shape, in this tensor's dtype and on its device."""
    return _new(
        input, lambda xp, s, d: xp.full(s, fill_value, d), (size,), dtype, device, requires_grad
    )


def new_tensor(input, data, *, dtype=None, device=None, requires_grad=False):
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


def arange(*bounds, out=None, dtype=None, layout=None, device=None, requires_grad=False, **named):
    """start, start + step, ... below end. Integers give int64, floats the default dtype."""
    names = ("end",) if len(bounds) + len(named) == 1 else ("start", "end", "step")
    given = dict(zip(names, map(_number, bounds), strict=False))
    given |= {name: _number(value) for name, value in named.items()}
    start, end, step = given.get("start", 0), given["end"], given.get("step", 1)
    if step == 0:
        raise RuntimeError("arange: step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(
            f"arange: upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}"
        )
    whole = all(isinstance(v, builtins.int) for v in (start, end, step))
    wanted = (
        (dtypes.int64.numpy if whole else dtypes.default_numpy())
        if dtype is None
        else (dtypes.to_numpy(dtype))
    )
    count = builtins.max(math.ceil((end - start) / step), 0)
    index = numpy.arange(count, dtype=numpy.int64 if whole else numpy.float64)
    result = _finish((start + index * step).astype(wanted), device, requires_grad)
    return _into(out, result, "arange")


def range(start=0, end=None, step=1, *, dtype=None, device=None, requires_grad=False):
    """As arange, but with the end included, and floats: torch's deprecated function."""
    if end is None:
        start, end = 0, start
    count = math.floor((end - start) / step) + 1
    index = numpy.arange(count, dtype=numpy.float64)
    return _finish((start + index * step).astype(_numpy_dtype(dtype)), device, requires_grad)


def linspace(start, end, steps, *, out=None, dtype=None, device=None, requires_grad=False):
    """`steps` numbers from start to end, both included, equally far apart."""
    start, end = _number(start), _number(end)
    steps = operator.index(steps)
    if steps < 0:
        raise RuntimeError("linspace: number of steps must be non-negative")
    wanted = _numpy_dtype(dtype)
    line = _line(start, end, steps, wanted)
    return _into(out, _finish(line, device, requires_grad), "linspace")


def _line(start, end, steps, dtype):
    """From both ends towards the middle, as torch does, so that it is symmetric."""
    if steps == 1:
        return numpy.full(1, start, dtype)
    index = numpy.arange(steps)
    work = dtype if dtype.kind == "f" else numpy.dtype("float64")
    step = work.type((end - start) / builtins.max(steps - 1, 1))
    first = work.type(start) + step * index.astype(work)
    last = work.type(end) - step * (steps - 1 - index).astype(work)
    return numpy.where(index < steps // 2, first, last).astype(dtype)


def logspace(start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False):
    """base^start to base^end in `steps` equal factors."""
    line = _line(_number(start), _number(end), steps, numpy.dtype("float64"))
    return _finish((base**line).astype(_numpy_dtype(dtype)), device, requires_grad)


def eye(n, m=None, *, out=None, dtype=None, device=None, requires_grad=False):
    """Ones on the diagonal of an n x m matrix."""
    if n < 0 or (m or 0) < 0:
        raise RuntimeError(f"eye: n and m must be greater or equal to 0, got {n} and {m}")
    result = _finish(numpy.eye(n, m, dtype=_numpy_dtype(dtype)), device, requires_grad)
    return _into(out, result, "eye")


def tril_indices(row, col, offset=0, *, dtype=None, device=None):
    """Row and column numbers of the lower triangle, as a 2 x n tensor."""
    indices = numpy.stack(numpy.tril_indices(row, offset, col))
    return _finish(
        indices.astype(dtypes.int64.numpy if dtype is None else dtypes.to_numpy(dtype)), device
    )


def triu_indices(row, col, offset=0, *, dtype=None, device=None):
    """Row and column numbers of the upper triangle, as a 2 x n tensor."""
    indices = numpy.stack(numpy.triu_indices(row, offset, col))
    return _finish(
        indices.astype(dtypes.int64.numpy if dtype is None else dtypes.to_numpy(dtype)), device
    )


def meshgrid(*tensors, indexing=None):
    """Vectors expanded to one grid; "ij" (the default) or "xy" says which comes first."""
    tensors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(
            f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
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


def cartesian_prod(*tensors):
    """All tuples with one number from each vector, one a row."""
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(grid, (-1,)) for grid in meshgrid(*tensors, indexing="ij")], 1)


def combinations(input, r=2, with_replacement=False):
    """All choices of r numbers of a vector, in order, one a row."""
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    index = numpy.array(list(choose(builtins.range(input.array.size), r)), numpy.int64)
    if not len(index):
        return new_empty(input, (0, r))
    return input[wrap(index)]
