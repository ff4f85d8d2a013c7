"""The stand-in's universal functions: NumPy's, for the dtypes that CuPy has a loop for."""

import numpy

from ._array import RECORDED, SCALARS, check_device, lower, ndarray, scatter, supported, wrap
from ._capture import recorded, refuse_library

NAMED = {}
_WEAK = {bool: "?", int: "int", float: "float", complex: "complex"}
_ORDER = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2, "c": 3, "int": 1, "float": 2, "complex": 3}


class ufunc:
    """As cupy.ufunc: `types` are CuPy's loops; other dtypes are cast to the first loop that holds them."""

    def __init__(self, name):
        facts = RECORDED["ufuncs"][name]
        self.name = "cupy_" + name
        self.__name__ = name
        self.types = facts["types"]
        self.nin = facts["nin"]
        self._native = getattr(numpy, name)
        self._scatter_op = facts["at"]
        self._known = {}
        NAMED[name] = self

    def __repr__(self):
        return f"<ufunc '{self.name}'>"

    @recorded
    def __call__(self, *args, out=None, dtype=None, casting="same_kind"):
        if len(args) > self.nin:
            if out is not None or len(args) > self.nin + 1:
                raise TypeError(f"Wrong number of arguments for {self.name}")
            out = args[self.nin]
            args = args[: self.nin]
        if len(args) < self.nin:
            raise TypeError(f"Wrong number of arguments for {self.name}")
        hosts = []
        key = []
        for x in args:
            if type(x) is ndarray:
                check_device(x)
                hosts.append(x._host)
                key.append(x._host.dtype)
            elif isinstance(x, SCALARS):
                hosts.append(x)
                key.append(x.dtype if isinstance(x, numpy.generic) else _WEAK[type(x)])
            else:
                raise TypeError(f"Unsupported type {type(x)}")
        key = tuple(key)
        if dtype is None:
            kinds = self._known.get(key)
            if kinds is None:
                kinds = self._known[key] = self._loop(key)
        else:
            kinds = [supported(dtype)]
        if out is None:
            with numpy.errstate(all="ignore"):
                result = (
                    self._native(*hosts) if dtype is None else self._native(*hosts, dtype=dtype)
                )
            if type(result) is tuple:
                return tuple(wrap(numpy.asarray(r)) for r in result)
            return wrap(numpy.asarray(result, kinds[0]))
        out = out[0] if type(out) is tuple else out
        if type(out) is not ndarray:
            raise TypeError("Output arguments type must be cupy.ndarray")
        check_device(out)
        if not numpy.can_cast(kinds[0], out.dtype, casting):
            raise TypeError(
                f"output (typecode '{kinds[0].char}') could not be coerced to provided output "
                f"parameter (typecode '{out.dtype.char}') according to the casting rule '{casting}'"
            )
        with numpy.errstate(all="ignore"):
            self._native(*hosts, out=out._host, casting="unsafe", dtype=dtype)
        return out

    def _loop(self, key):
        """The dtypes of the outputs for inputs of these dtypes (and kinds of Python numbers)."""
        strong = [kind for kind in key if not isinstance(kind, str)]
        highest = max((_ORDER[kind.kind] for kind in strong), default=-1)
        inputs = []
        for kind in key:
            if not isinstance(kind, str):
                inputs.append(kind)
            elif kind == "?":
                inputs.append(numpy.dtype(bool))
            elif _ORDER[kind] > highest:
                inputs.append(numpy.dtype({"int": "l", "float": "d", "complex": "D"}[kind]))
        for loop in self.types:
            taken, _, made = loop.partition("->")
            taken = [_BF16 if char == "E" else numpy.dtype(char) for char in taken]
            if any(kind is None for kind in taken):
                continue
            if all(any_cast(kind, taken[min(i, len(taken) - 1)]) for i, kind in enumerate(inputs)):
                return [_BF16 if char == "E" else numpy.dtype(char) for char in made]
        shown = ", ".join(str(kind) for kind in key)
        raise TypeError(f"{self.name}: no loop for ({shown})")

    @recorded
    def at(self, a, indices, b=None):
        """a[indices] (op)= b, entry by entry."""
        if self._scatter_op not in ("add", "max", "min"):
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        scatter(self._native, a, indices, b)

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        """sum() and prod(); CuPy has no others."""
        if self.__name__ not in ("add", "multiply"):
            raise NotImplementedError(f"`{self.name}.reduce` is not supported yet")
        method = array.sum if self.__name__ == "add" else array.prod
        return method(axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def accumulate(self, array, axis=0, dtype=None, out=None):
        """cumsum() and cumprod(); CuPy has no others."""
        if self.__name__ not in ("add", "multiply"):
            raise NotImplementedError(f"`{self.name}.accumulate` is not supported yet")
        method = array.cumsum if self.__name__ == "add" else array.cumprod
        return method(axis=axis, dtype=dtype, out=out)

    @recorded
    def outer(self, A, B, **kwargs):
        """op(a, b) for all pairs."""
        parents = []
        return wrap(self._native.outer(lower(A, parents), lower(B, parents), **kwargs))


try:
    import ml_dtypes

    _BF16 = numpy.dtype(ml_dtypes.bfloat16)
except ImportError:
    _BF16 = None


def any_cast(kind, to):
    """Whether CuPy may take a dtype for a loop's: safe casts; bfloat16 fits float32 and itself."""
    if kind == to:
        return True
    if _BF16 is not None and _BF16 in (kind, to):
        return kind == _BF16 and to.char in "fdFD"
    return numpy.can_cast(kind, to)


for _name in RECORDED["ufuncs"]:
    ufunc(_name)


def _binary(name, symbol):
    function = NAMED[name]

    def forward(self, other):
        return function(self, other) if _known(other) else NotImplemented

    def backward(self, other):
        return function(other, self) if _known(other) else NotImplemented

    def in_place(self, other):
        if not _known(other):
            raise TypeError(f"Unsupported type {type(other)}")
        return function(self, other, out=self)

    setattr(ndarray, f"__{symbol}__", forward)
    setattr(ndarray, f"__r{symbol}__", backward)
    setattr(ndarray, f"__i{symbol}__", in_place)


def _known(other):
    if isinstance(other, (numpy.ndarray, list, tuple)):
        raise TypeError(f"Unsupported type {type(other)}")
    return type(other) is ndarray or isinstance(other, SCALARS)


for _name, _symbol in {
    "add": "add", "subtract": "sub", "multiply": "mul", "true_divide": "truediv", "power": "pow",
    "floor_divide": "floordiv", "remainder": "mod", "bitwise_and": "and", "bitwise_or": "or",
    "bitwise_xor": "xor", "left_shift": "lshift", "right_shift": "rshift",
}.items():  # fmt: skip
    _binary("divide" if _name == "true_divide" else _name, _symbol)


def _comparison(name, symbol):
    function = NAMED[name]

    def compare(self, other):
        return function(self, other) if _known(other) else NotImplemented

    setattr(ndarray, f"__{symbol}__", compare)


for _name, _symbol in {
    "equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt",
    "greater_equal": "ge",
}.items():  # fmt: skip
    _comparison(_name, _symbol)
ndarray.__hash__ = None
ndarray.__neg__ = lambda self: NAMED["negative"](self)
ndarray.__pos__ = lambda self: self.copy()
ndarray.__abs__ = lambda self: NAMED["absolute"](self)
ndarray.__invert__ = lambda self: NAMED["invert"](self)
ndarray.__divmod__ = lambda self, other: (self // other, self % other)


def matmul(a, b, out=None):
    """The matrix product, of arrays only."""
    refuse_library("matmul")
    if type(a) is not ndarray or type(b) is not ndarray:
        raise TypeError(f"matmul: expected arrays, got {type(a)} and {type(b)}")
    check_device(a)
    check_device(b)
    if _BF16 in (a.dtype, b.dtype) and max(a.ndim, b.ndim) > 2:
        raise TypeError(f"({a.dtype}, {b.dtype})")  # CuPy 14.2 has no product for stacks of them
    dtype = a.dtype if a.dtype == b.dtype else numpy.promote_types(a.dtype, b.dtype)
    hosts = [x._host.astype("f4") if x.dtype in ("e", _BF16) else x._host for x in (a, b)]
    found = numpy.asarray(numpy.matmul(*hosts)).astype(dtype, copy=False)  # added up in float32
    if out is None:
        return wrap(found)
    check_device(out)
    out._host[...] = found
    return out


ndarray.__matmul__ = lambda self, other: matmul(self, other)
ndarray.__rmatmul__ = lambda self, other: matmul(other, self)
