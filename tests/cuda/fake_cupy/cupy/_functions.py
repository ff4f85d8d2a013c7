"""The stand-in's functions: NumPy's of the same name, called with the parameters that CuPy's has."""

import numpy

from ._array import (
    RECORDED,
    SCALARS,
    _odd,
    _parse,
    check_device,
    lower,
    ndarray,
    raise_up,
    supported,
    wrap,
)
from ._capture import recorded, refuse, refuse_library, waits
from ._memory import current, pinned
from ._ufunc import matmul


def _from_numpy(name, text):
    """NumPy's function behind CuPy's signature; parameters left at None are not passed on."""
    native = numpy
    for part in name.split("."):
        native = getattr(native, part)
    signature = _parse(text)

    def function(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        parents = []
        args = [lower(x, parents) for x in given.args]
        kwargs = {key: lower(x, parents) for key, x in given.kwargs.items() if x is not None}
        if "kind" in kwargs and kwargs["kind"] not in (None, "stable"):
            raise ValueError("kind can only be None or 'stable'")
        if not parents and not name.startswith(FROM_NUMBERS):
            raise TypeError(f"{name}: expected a device array, got {type(args[0])}")
        with numpy.errstate(all="ignore"):
            result = native(*args, **kwargs)
        out = kwargs.get("out")
        if out is not None:
            return next(parent for parent in parents if parent._host is out)
        return raise_up(result, parents)

    function.__name__ = name.rpartition(".")[2]
    function.__signature__ = signature
    return function


# these need no array to work on
FROM_NUMBERS = (
    "arange", "linspace", "logspace", "eye", "identity", "zeros", "ones", "full", "tri", "indices",
    "broadcast_shapes", "can_cast", "promote_types", "result_type", "isscalar", "meshgrid",
    "tril_indices", "triu_indices", "ndim", "shape", "size", "atleast_",
)  # fmt: skip
FUNCTIONS = {
    name: _from_numpy(name, text)
    for name, text in RECORDED["functions"].items()
    if name not in ("asnumpy", "get_array_module", "msort")
}


def _replaces(function):
    """Say that a function below stands in FUNCTIONS instead of NumPy's."""
    FUNCTIONS[function.__name__] = function
    return function


FUNCTIONS["matmul"] = matmul


@_replaces
def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    """An array of numbers, nested lists, a NumPy array, or lists of device arrays."""
    dtype = None if dtype is None else supported(dtype)
    if type(obj) is ndarray:
        if obj._memory.device_id != current.device:
            obj = wrap(obj._host.copy())
            copy = False
        if not copy and (dtype is None or dtype == obj.dtype):  # a float64 dtype equals None
            return obj
        return wrap(numpy.array(obj._host, dtype, copy=copy or None, order=order, ndmin=ndmin), ())
    if hasattr(obj, "array") or type(obj).__name__ == "Tensor":
        raise TypeError(f"Unsupported type {type(obj)}")
    parents = []
    if isinstance(obj, (list, tuple)):
        obj = lower(obj, parents)
    host = numpy.array(obj, dtype, order=order, ndmin=ndmin)
    if host.dtype.kind == "O":
        raise ValueError("Unsupported dtype object")
    if host.ndim and not parents:
        pinned.function(host.nbytes)
        refuse("a copy from main memory")
    return wrap(host)


@_replaces
def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    """The array itself where nothing changes, else `array`."""
    return array(a, dtype, copy=bool(copy), order=order or "K")


@_replaces
def ascontiguousarray(a, dtype=None):
    """An array of at least one dimension, in row-major order."""
    a = asarray(a, dtype)
    check_device(a)
    if a.flags.c_contiguous and a.ndim:
        return a
    return wrap(numpy.ascontiguousarray(a._host), (a,))


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    """A NumPy array of what is in `a`."""
    return a.get(order=order, out=out) if type(a) is ndarray else numpy.asarray(a, order=order)


def get_array_module(*args):
    """cupy if one of them is an array of cupy, else numpy."""
    import cupy

    return cupy if any(type(x) is ndarray for x in args) else numpy


@_replaces
def empty(shape, dtype=float, order="C"):
    """An array of numbers that show when somebody reads them."""
    return ndarray(shape, dtype, order=order)


@_replaces
def empty_like(prototype, dtype=None, order="K", subok=None, shape=None):
    """As `empty`, shaped like another array."""
    check_device(prototype)
    host = numpy.empty_like(prototype._host, dtype, order, shape=shape)
    numpy.copyto(host, _odd(host.dtype), casting="unsafe")
    return wrap(host)


@_replaces
def where(condition, x=None, y=None):
    """x where the condition holds, else y; the condition must be an array."""
    if type(condition) is not ndarray:
        raise AttributeError(f"'{type(condition).__name__}' object has no attribute 'astype'")
    if (x is None) != (y is None):
        raise ValueError("Must provide both 'x' and 'y' or neither.")
    if x is None:
        refuse("where with a condition alone")
        return condition.nonzero()
    parents = []
    for value in (x, y):
        if type(value) is not ndarray and not isinstance(value, SCALARS):
            raise TypeError(f"Unsupported type {type(value)}")
    hosts = [lower(value, parents) for value in (condition.astype(bool), x, y)]
    return wrap(numpy.asarray(numpy.where(*hosts)))


@_replaces
def take(a, indices, axis=None, out=None):
    """The entries at some indices; those outside the range wrap around."""
    if isinstance(indices, (list, tuple)):
        refuse("an index from main memory")
        indices = array(indices, dtype=int)
    if type(indices) is not ndarray and not isinstance(indices, (int, numpy.integer)):
        raise TypeError(f"Unsupported type {type(indices)}")
    parents = [a]
    hosts = [lower(x, parents) for x in (a, indices)]
    range_of = hosts[0].size if axis is None else hosts[0].shape[axis]
    if range_of == 0 and numpy.size(hosts[1]):
        raise IndexError("cannot do a non-empty take from an empty axes.")
    target = None if out is None else out._host
    made = numpy.take(*hosts, axis=axis, out=target, mode="wrap")
    return wrap(numpy.asarray(made)) if out is None else out


ndarray.take = take


@_replaces
def take_along_axis(a, indices, axis):
    """Entries along an axis; indices outside the range wrap around."""
    check_device(indices)
    size = a.size if axis is None else a.shape[axis]
    index = indices._host % size if size else indices._host
    return wrap(numpy.take_along_axis(lower(a, []), index, axis))


@_replaces
def bincount(x, weights=None, minlength=None):
    """How often each number occurs, or the sum of the weights there."""
    if x.dtype.kind == "f":
        raise TypeError("x must be int array")
    parents = []
    hosts = [lower(value, parents) for value in (x, weights)]
    return wrap(numpy.bincount(*hosts, minlength=minlength or 0))


@_replaces
def searchsorted(a, v, side="left", sorter=None):
    """Where numbers would be put in; both must be arrays."""
    if type(a) is not ndarray or type(v) is not ndarray:
        raise NotImplementedError("Only int or ndarray are supported for a")
    parents = []
    hosts = [lower(value, parents) for value in (a, v, sorter)]
    return wrap(numpy.asarray(numpy.searchsorted(hosts[0], hosts[1], side, hosts[2])))


class _Grid:
    """cupy.ogrid and cupy.mgrid."""

    def __init__(self, native):
        self._native = native

    @recorded
    def __getitem__(self, key):
        made = self._native[key]
        if isinstance(made, (list, tuple)):
            return [wrap(part.copy()) for part in made]
        return wrap(made.copy())


ogrid, mgrid = _Grid(numpy.ogrid), _Grid(numpy.mgrid)


# -- linear algebra: no errors unless cupyx.errstate(linalg="raise") asks for them ------------------

LINALG = {"mode": "ignore"}


def _quiet(name):
    native = FUNCTIONS["linalg." + name]

    def function(*args, **kwargs):
        for x in args[:1]:
            if type(x) is not ndarray:
                raise numpy.linalg.LinAlgError("cupy.linalg only supports cupy.ndarray")
        try:
            return native(*args, **kwargs)
        except numpy.linalg.LinAlgError:
            x = args[0]
            if LINALG["mode"] == "raise" or x.ndim < 2 or x.shape[-1] != x.shape[-2]:
                raise
            like = args[-1] if name == "solve" else x
            return wrap(numpy.full(like.shape, numpy.nan, like.dtype))

    function.__name__ = name
    function.__signature__ = native.__signature__
    return function


for _name in ("cholesky", "inv", "solve"):
    FUNCTIONS["linalg." + _name] = _quiet(_name)


# -- what a capture writes down, and what it refuses ------------------------------------------------

WAITING = (
    "nonzero", "flatnonzero", "argwhere", "unique", "bincount", "sort", "argsort", "lexsort", "msort",
    "partition", "argpartition", "compress", "extract", "quantile", "percentile", "median",
    "nanmedian", "histogram", "digitize", "choose", "trim_zeros", "union1d", "intersect1d",
    "setdiff1d", "isin", "in1d", "allclose", "array_equal", "asnumpy",
)  # fmt: skip
BY_CUBLAS = ("dot", "vdot", "inner", "tensordot", "einsum", "kron", "matmul")
MANY = 8  # arrays that CuPy joins one by one; of more it puts the addresses in a table of its own


def _few(function):
    def join(arrays, *args, **kwargs):
        if len(arrays) > MANY:
            refuse(f"{function.__name__} of more than {MANY} arrays")
        return function(arrays, *args, **kwargs)

    join.__name__, join.__signature__ = function.__name__, function.__signature__
    return join


def _library(function):
    def call(*args, **kwargs):
        refuse_library(function.__name__)
        return function(*args, **kwargs)

    call.__name__ = function.__name__
    return call


for _name, _function in FUNCTIONS.items():
    if _name in WAITING:
        FUNCTIONS[_name] = waits(_function, _name)
    elif _name in BY_CUBLAS or _name.startswith("linalg.") and _name != "linalg.norm":
        FUNCTIONS[_name] = _library(_function)
    elif _name in ("concatenate", "stack", "hstack", "vstack", "dstack", "column_stack"):
        FUNCTIONS[_name] = recorded(_few(_function))
    elif _name not in ("empty", "empty_like"):
        FUNCTIONS[_name] = recorded(_function)
ndarray.take = FUNCTIONS["take"]
asnumpy = waits(asnumpy)


def within(prefix):
    """The functions of a submodule, by name."""
    start = prefix + "."
    return {n[len(start) :]: f for n, f in FUNCTIONS.items() if n.startswith(start)}
