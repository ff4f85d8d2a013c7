"""Tensor: an array of numbers that remembers how it was computed.

The operations live in `minigrad/ops`; the tables at the foot of this file bind them as methods and
derive the in-place ones (`add_` from `add`). What stands here is what only a tensor can do: hold an
array, share memory between views, stand at the ends of a graph, turn into other Python objects.
"""

import weakref

import numpy

from . import dtypes, engine, ops
from .backend import CPU, array_module, device, device_of, native_device, numbered, to_device
from .engine import run_backward, state
from .op import Variable, primitive, tie, wrap
from .ops.elementwise import (
    add_arrays,
    choose,
    div_arrays,
    floor_divide,
    mul,
    neg,
    pow_arrays,
    remainder,
    sub_arrays,
)
from .ops.reduce import cast, sum_to
from .printing import format_tensor, tensor_repr
from .size import Size
from .sparse import UnreadRows


class Tensor(Variable):
    """An n-dimensional array of one dtype, with the operations of `torch.Tensor` as methods.

    `Tensor(2, 3)` is an uninitialised float tensor of that shape and `Tensor([1, 2])` holds those
    numbers as floats, as in torch; `minigrad.tensor(data)` is what you usually want.
    """

    __slots__ = ()
    __array_priority__ = 1000
    __array_ufunc__ = None  # so that `ndarray * tensor` asks the tensor
    __hash__ = object.__hash__  # == compares numbers, so identity is what a dict goes by

    _grad = None
    _grad_hooks = None
    _after_hooks = None

    def __new__(cls, *data, dtype=None, device=None, requires_grad=False):
        dtype = dtypes.default_numpy() if dtype is None else dtypes.to_numpy(dtype)
        if len(data) == 1 and isinstance(data[0], Tensor):
            array = data[0].array.astype(dtype, copy=False)
        elif len(data) == 1 and not isinstance(data[0], (int, Size)):
            array = numpy.array(_to_arrays(data[0]), dtype)
        else:
            sizes = data[0] if data and isinstance(data[0], Size) else data
            array = numpy.empty(sizes if data else (0,), dtype)
        self = wrap(array)
        if cls is not Tensor:
            self.__class__ = cls
        return self.requires_grad_() if requires_grad else self

    # -- what it is ----------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The sizes of the dimensions."""
        return Size(self.array.shape)

    def size(self, dim: int | None = None):
        """The shape, or the size of one dimension."""
        if dim is None:
            return Size(self.array.shape)
        return self.array.shape[ops.axes.one_axis("size", dim, self.array.ndim)]

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    def dim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return self.array.size

    nelement = numel

    @property
    def dtype(self) -> dtypes.dtype:
        """The number type, such as minigrad.float32."""
        return dtypes.of(self.array)

    @property
    def device(self) -> device:
        """Where the numbers live."""
        return CPU if type(self.array) is numpy.ndarray else device_of(self.array)

    @property
    def itemsize(self) -> int:
        """Bytes per number."""
        return self.array.itemsize

    def element_size(self) -> int:
        """Bytes per number."""
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers together."""
        return self.array.nbytes

    @property
    def is_cuda(self) -> bool:
        """True on a GPU."""
        return self.device.type == "cuda"

    @property
    def is_cpu(self) -> bool:
        """True in main memory."""
        return self.device.type == "cpu"

    is_sparse = False
    is_quantized = False
    is_meta = False
    layout = "torch.strided"

    def get_device(self) -> int:
        """The GPU's number, -1 on the CPU."""
        return self.device.index if self.is_cuda else -1

    def is_floating_point(self) -> bool:
        """True for float16, bfloat16, float32 and float64."""
        return self.array.dtype.kind in "fV"

    def is_complex(self) -> bool:
        """False: minigrad has no complex numbers."""
        return False

    def is_signed(self) -> bool:
        """True if the dtype has negative numbers."""
        return self.dtype.is_signed

    def stride(self, dim: int | None = None):
        """How many numbers apart neighbours along each dimension (or one) lie in memory."""
        strides = tuple(s // self.array.itemsize for s in self.array.strides)
        return strides if dim is None else strides[ops.axes.one_axis("stride", dim, self.ndim)]

    def is_contiguous(self, memory_format=None) -> bool:
        """True if the numbers lie in memory in row-major order without gaps."""
        return bool(self.array.flags.c_contiguous)

    def data_ptr(self) -> int:
        """The address of the first number."""
        if type(self.array) is numpy.ndarray:
            return self.array.ctypes.data
        return self.array.data.ptr

    def storage_offset(self) -> int:
        """How many numbers into the memory that it shares the tensor begins."""
        if self._base is None:
            return 0
        return (self.data_ptr() - self._base.data_ptr()) // self.array.itemsize

    def is_shared(self) -> bool:
        """False: memory is not shared between processes."""
        return False

    def pin_memory(self, device=None) -> "Tensor":
        """The tensor itself: there is no page-locked memory to copy to."""
        return self

    def is_pinned(self) -> bool:
        """False: memory is never page-locked."""
        return False

    # -- its place in the graph ----------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor."""
        if self._base is not None:
            self._refresh()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool):
        if not wanted and self.grad_fn is not None:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a "
                "computed variable in a subgraph that doesn't require differentiation use "
                "var_no_grad = var.detach()."
            )
        if wanted and self.array.dtype.kind not in "fV":
            raise RuntimeError(
                "only Tensors of floating point and complex dtype can require gradients; "
                f"this one is {self.dtype}"
            )
        self._requires_grad = bool(wanted)

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Set `requires_grad`, and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad_fn(self):
        """The graph's node that made this tensor; None for a leaf."""
        if self._base is not None:
            self._refresh()
        return self._node

    @property
    def is_leaf(self) -> bool:
        """True if no recorded operation made it: its gradient is kept in `.grad`."""
        return self.grad_fn is None

    @property
    def output_nr(self) -> int:
        """Which output of its node this is."""
        return self._index

    @property
    def grad(self) -> "Tensor | None":
        """What backward() has added up for this leaf so far."""
        grad = self._grad
        if grad is not None and type(grad.array) is UnreadRows:
            grad.array = grad.array.to_dense()
        return grad

    @grad.setter
    def grad(self, value):
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got {type(value)}"
                )
            if value.shape != self.shape:
                raise RuntimeError(
                    f"assigned grad has data of a different size: the tensor has {self.shape}, the "
                    f"gradient {value.shape}"
                )
            if value.array.dtype != self.array.dtype:
                raise RuntimeError(
                    f"assigned grad has data of a different type: the tensor is {self.dtype}, the "
                    f"gradient {value.dtype}"
                )
        self._grad = value

    @property
    def data(self) -> "Tensor":
        """The same memory without a graph; changes through it are not noticed by backward."""
        return wrap(self.array)

    @data.setter
    def data(self, value):
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        self.array = value.array

    def detach(self) -> "Tensor":
        """The same memory, cut off from the graph; in-place changes are still noticed."""
        out = wrap(self.array)
        out._version = self._version
        return out

    def detach_(self) -> "Tensor":
        """Cut this tensor itself off from the graph that made it."""
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._node = None
        self._index = 0
        self._requires_grad = False
        return self

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf tensor in `.grad` too."""
        node = self.grad_fn
        if not self._requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if node is None:
            return
        if node.retained is None:
            node.retained = {}
        node.retained[self._index] = weakref.ref(self)

    @property
    def retains_grad(self) -> bool:
        """True for a non-leaf tensor whose gradient will be kept."""
        node = self.grad_fn
        reference = (node.retained or {}).get(self._index) if node is not None else None
        return reference is not None and reference() is self

    def register_hook(self, hook):
        """Call `hook(grad)` whenever this tensor's gradient is known; a result replaces it.

        Returns a handle whose `remove()` takes the hook away again.
        """
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        node = self._node
        if node is None:
            if self._grad_hooks is None:
                self._grad_hooks = {}
            hooks = self._grad_hooks
        else:
            if node.hooks is None:
                node.hooks = {}
            hooks = node.hooks.setdefault(self._index, {})
        return HookHandle(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook):
        """Call `hook(tensor)` after a gradient has been added to this leaf's `.grad`."""
        if not self.requires_grad or self._node is not None:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors or tensors "
                "that don't require gradient"
            )
        if self._after_hooks is None:
            self._after_hooks = {}
        return HookHandle(self._after_hooks, hook)

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
        """Add d(self)/d(leaf) to `.grad` of every leaf that this tensor was computed from.

        gradient: dL/d(self), needed unless self holds a single number (then 1).
        retain_graph: keep what the graph saved, to go through it again. create_graph: record the
        backward pass too, for higher derivatives. inputs: only these tensors get a gradient.
        """
        if isinstance(inputs, Tensor):
            inputs = [inputs]
        if inputs is not None and len(inputs) == 0:
            raise RuntimeError("'inputs' argument to backward() cannot be empty.")
        if retain_graph is None:
            retain_graph = create_graph
        seed = seed_gradient(self, gradient, create_graph)
        run_backward(
            [self], [seed], create_graph=create_graph, retain_graph=retain_graph, inputs=inputs
        )

    def _run_hooks(self, g, create_graph):
        """Show a leaf's gradient to its hooks, each of which may replace it."""
        if self._grad_hooks:
            g = g if create_graph else wrap(numpy_or_cupy(g, self.array))
            for hook in list(self._grad_hooks.values()):
                result = hook(g)
                g = g if result is None else result
            if not create_graph:
                g = g.array
        return g

    def _accumulate(self, g, owned, create_graph):
        """.grad += g: in place, or as a new tensor with a graph of its own under create_graph."""
        if g.dtype != (self.dtype if create_graph else self.array.dtype):
            g = cast(g, dtype=self.array.dtype)
            owned = True
        if create_graph:
            self._grad = g if self._grad is None else self.grad + g
        elif type(g) is UnreadRows:
            g = g.owned()
            self._grad = wrap(g if self._grad is None else self._grad.array + g)
        elif self._grad is None:
            self._grad = wrap(numpy_or_cupy(g, self.array) if owned else _dense_copy(g, self.array))
        elif type(self._grad.array) is UnreadRows:
            self._grad = wrap(self._grad.array + g)
        elif hasattr(g, "add_into"):
            self._grad = wrap(g.add_into(self._grad.array))
        else:
            total = self._grad
            total.array = _add_in_place(total.array, g)
            total._version[0] += 1
        if self._after_hooks:
            for hook in list(self._after_hooks.values()):
                hook(self)

    # -- views and in-place changes --------------------------------------------------------------

    def _refresh(self):
        """Bring a view's history up to date after an in-place change to its memory."""
        if self._seen == self._version[0]:
            return
        self._seen = self._version[0]
        base = self._base
        if not base._requires_grad:
            return
        with engine.enable_grad():
            again = base
            for op, options, which in self._view:
                again = op(again, **options)
                if which is not None:
                    again = again[which]
        self._node = again._node
        self._index = again._index
        self._requires_grad = again._requires_grad

    def bump(self) -> None:
        """Say that the array was changed in place, so that a backward that needs it will notice."""
        self._version[0] += 1

    def _check_in_place(self, name):
        """An in-place change of a leaf that needs gradients would lose where they belong."""
        if state.grad and self.requires_grad:
            owner = self if self._base is None else self._base
            if owner._node is None and owner._requires_grad:
                a = "a leaf" if owner is self else "a view of a leaf"
                raise RuntimeError(
                    f"{name}: {a} Variable that requires grad is being used in an in-place "
                    "operation. Change it inside `with minigrad.no_grad():`, or work on a clone()."
                )

    def _assign(self, out, name):
        """Take over the value and the history of `out`: what every in-place method ends with."""
        self._check_in_place(name)
        mine, new = self.array, out.array
        if new.shape != mine.shape:
            raise RuntimeError(
                f"{name}: output with shape {list(mine.shape)} doesn't match the broadcast shape "
                f"{list(new.shape)}"
            )
        if dtypes.kind_of(new.dtype) > dtypes.kind_of(mine.dtype):
            raise RuntimeError(
                f"{name}: result type {out.dtype} can't be cast to the desired output type "
                f"{self.dtype}"
            )
        node = out._node
        if node is not None:
            _protect(node, mine)
            if new.dtype != mine.dtype:
                out = cast(out, dtype=mine.dtype)
        mine[...] = new
        self._version[0] += 1
        if out._requires_grad:
            self._adopt(out)
        return self

    def _adopt(self, out):
        """Let the graph say that this tensor's memory now holds `out`."""
        base = self._base
        if base is None:
            self._node, self._index, self._requires_grad = out._node, out._index, True
            return
        base._node = write_view.record((base, out), {"view": self._view}, base)
        base._index = 0
        base._requires_grad = True
        self._refresh()

    def _assign_out(self, result, name):
        """Write a result here, for `out=`: resized when empty, never part of a graph."""
        if state.grad and (result._requires_grad or self._requires_grad):
            raise RuntimeError(
                f"{name}(): functions with out=... arguments don't support automatic "
                "differentiation, but one of the arguments requires grad."
            )
        if self.array.shape != result.array.shape:
            if self.array.size:
                raise RuntimeError(
                    f"{name}: out= has shape {tuple(self.array.shape)}, the result has "
                    f"{tuple(result.array.shape)}"
                )
            self.array = array_module(result.array).empty(result.array.shape, self.array.dtype)
        return self._assign(result, name)

    def fill_(self, value) -> "Tensor":
        """Every number becomes `value` (a number or a 0-d tensor)."""
        return self._assign(overwrite(self, value), "fill_")

    def zero_(self) -> "Tensor":
        """Every number becomes 0."""
        return self._assign(overwrite(self, 0), "zero_")

    def fill_diagonal_(self, fill_value, wrap: bool = False) -> "Tensor":
        """The main diagonal becomes `fill_value`; wrap: a tall matrix starts over below each square."""
        shape = self.array.shape
        if len(shape) < 2:
            raise RuntimeError("fill_diagonal_: dimensions must be larger than 1")
        if len(shape) > 2 and len(set(shape)) > 1:
            raise RuntimeError(
                f"fill_diagonal_: all dimensions of input must be of equal length, got {shape}"
            )
        xp = array_module(self.array)
        diagonal = xp.zeros(shape, bool)
        xp.fill_diagonal(diagonal, True, wrap)
        return self._assign(choose(diagonal, fill_value, self), "fill_diagonal_")

    def copy_(self, src, non_blocking: bool = False) -> "Tensor":
        """Take the numbers of `src`, broadcast to this shape and brought to this dtype and device."""
        src = src if isinstance(src, Tensor) else ops.creation.as_tensor(src, device=self.device)
        if src.device != self.device:
            src = src.to(self.device)
        return self._assign(overwrite(self, src), "copy_")

    def set_(self, source: "Tensor") -> "Tensor":
        """Share the memory of `source` from now on."""
        self.array = source.array
        return self

    def resize_(self, *sizes) -> "Tensor":
        """Change the shape in place, keeping the numbers in order as far as they go."""
        sizes = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
        xp = array_module(self.array)
        self.array = (
            xp.resize(self.array, sizes) if self.array.size else xp.empty(sizes, self.array.dtype)
        )
        return self

    def __setitem__(self, index, value):
        """x[index] = value; the memory changes, and the graph remembers which part did."""
        self._check_in_place("__setitem__")
        if not isinstance(value, Tensor):
            value = _value_like(self, value)
        elif value.device != self.device:
            value = value.to(self.device)
        ops.index.assign(self, index, value)

    # -- becoming something else -----------------------------------------------------------------

    def item(self):
        """The one number in this tensor, as a Python number."""
        if self.array.size != 1:
            raise RuntimeError(
                f"a Tensor with {self.array.size} elements cannot be converted to Scalar; "
                "use tolist(), or reduce it first"
            )
        return self.array.item()

    def tolist(self):
        """The numbers as nested Python lists (a plain number for 0-d)."""
        return self.array.tolist()

    def numpy(self, *, force: bool = False) -> numpy.ndarray:
        """A NumPy array of the same memory."""
        if force:
            return to_device(self.array, CPU)
        if self.requires_grad:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
            )
        if type(self.array) is not numpy.ndarray:
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to "
                "copy the tensor to host memory first."
            )
        return self.array

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **options):
        if self.requires_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __len__(self):
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.array.shape[0]

    def __iter__(self):
        if self.array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(ops.shape.unbind(self, 0))

    def __contains__(self, element):
        if not isinstance(element, (Tensor, int, float)):
            raise RuntimeError(
                "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
                f"{type(element)}."
            )
        return bool((self == element).array.any())

    def __bool__(self):
        if self.array.size == 1:
            return bool(self.array.item())
        if self.array.size == 0:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
        raise RuntimeError(
            "Boolean value of Tensor with more than one value is ambiguous; use .any() or .all()"
        )

    def __int__(self):
        return int(self.item())

    def __float__(self):
        return float(self.item())

    def __complex__(self):
        return complex(self.item())

    def __index__(self):
        if self.array.size != 1 or self.array.dtype.kind not in "iub":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.array.item())

    def __round__(self, ndigits=0):
        return ops.elementwise.round(self, decimals=ndigits)

    def __repr__(self, *, tensor_contents=None):
        return tensor_repr(self)

    def __format__(self, spec):
        return format_tensor(self, spec)

    def __dir__(self):
        return sorted({*dir(type(self)), *self.__dict__})

    def __deepcopy__(self, memo):
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment; use detach() or clone()"
            )
        if id(self) in memo:
            return memo[id(self)]
        copied = wrap(self.array.copy())
        copied.__class__ = type(self)
        copied._requires_grad = self._requires_grad
        memo[id(self)] = copied
        if self._grad is not None:
            copied._grad = self.grad.__deepcopy__(memo)
        return copied

    def __reduce_ex__(self, protocol):
        if not self.is_leaf:
            raise RuntimeError(
                "Only leaf tensors can be pickled: call detach() first, or send numbers"
            )
        return _rebuild, (type(self), self.array, self._requires_grad)

    # -- dtype and device ------------------------------------------------------------------------

    def to(
        self, *args, dtype=None, device=None, non_blocking=False, copy=False, memory_format=None
    ):
        """The tensor in another dtype, on another device, or like another tensor.

        The tensor itself where nothing changes and `copy` is not asked for.
        """
        for arg in args:
            if isinstance(arg, Tensor):
                dtype, device = arg.dtype, arg.device
            elif isinstance(arg, dtypes.dtype):
                dtype = arg
            elif arg is not None and not isinstance(arg, bool):  # a bool would be non_blocking
                device = arg
        result = self
        if device is not None and _device(device) != self.device:
            result = move(result, where=_device(device), back=self.device)
        if dtype is not None and result.array.dtype != dtypes.to_numpy(dtype):
            result = cast(result, dtype=dtypes.to_numpy(dtype))
        return result.clone() if copy and result is self else result

    def cpu(self) -> "Tensor":
        """The tensor in main memory."""
        return self.to("cpu")

    def cuda(self, device=None, non_blocking: bool = False) -> "Tensor":
        """The tensor on a GPU."""
        return self.to("cuda" if device is None else device)

    def type(self, dtype=None, non_blocking: bool = False):
        """The legacy name of the tensor's type, or the tensor in another dtype."""
        if dtype is None:
            return f"torch.{'cuda.' if self.is_cuda else ''}{TYPE_NAMES[self.dtype.name]}"
        if isinstance(dtype, str):
            wanted = dtype.rpartition(".")[2]
            found = [name for name, legacy in TYPE_NAMES.items() if legacy == wanted]
            if not found:
                raise ValueError(f"invalid type: '{dtype}'")
            dtype = dtypes.BY_NAME[found[0]]
        return self.to(getattr(dtype, "dtype", dtype))

    def type_as(self, other: "Tensor") -> "Tensor":
        """The tensor in the dtype and on the device of another."""
        return self.to(other)

    # -- operators -------------------------------------------------------------------------------

    def __add__(self, other):
        return add_arrays(self, other)

    def __radd__(self, other):
        return add_arrays(other, self)

    def __sub__(self, other):
        return sub_arrays(self, other)

    def __rsub__(self, other):
        return sub_arrays(other, self)

    def __mul__(self, other):
        return mul(self, other)

    def __rmul__(self, other):
        return mul(other, self)

    def __truediv__(self, other):
        return div_arrays(self, other)

    def __rtruediv__(self, other):
        return div_arrays(other, self)

    def __floordiv__(self, other):
        return floor_divide(self, other)

    def __rfloordiv__(self, other):
        return floor_divide(other, self)

    def __mod__(self, other):
        return remainder(self, other)

    def __rmod__(self, other):
        return remainder(other, self)

    def __pow__(self, other):
        return pow_arrays(self, other)

    def __rpow__(self, other):
        return pow_arrays(other, self)

    def __matmul__(self, other):
        return ops.linalg.matmul(self, other)

    def __rmatmul__(self, other):
        return ops.linalg.matmul(ops.creation.as_tensor(other, device=self.device), self)

    def __neg__(self):
        return neg(self)

    def __pos__(self):
        return self

    def __abs__(self):
        return ops.elementwise.abs(self)

    def __invert__(self):
        return ops.compare.bitwise_not(self)

    def __eq__(self, other):
        if other is None or isinstance(other, (str, tuple, dict)):
            return NotImplemented
        return ops.compare.eq(self, other)

    def __ne__(self, other):
        if other is None or isinstance(other, (str, tuple, dict)):
            return NotImplemented
        return ops.compare.ne(self, other)

    def __lt__(self, other):
        return ops.compare.lt(self, other)

    def __le__(self, other):
        return ops.compare.le(self, other)

    def __gt__(self, other):
        return ops.compare.gt(self, other)

    def __ge__(self, other):
        return ops.compare.ge(self, other)

    def __and__(self, other):
        return ops.compare.bitwise_and(self, other)

    def __or__(self, other):
        return ops.compare.bitwise_or(self, other)

    def __xor__(self, other):
        return ops.compare.bitwise_xor(self, other)

    def __lshift__(self, other):
        return ops.compare.bitwise_left_shift(self, other)

    def __rshift__(self, other):
        return ops.compare.bitwise_right_shift(self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    # -- transposes ------------------------------------------------------------------------------

    @property
    def T(self) -> "Tensor":
        """The tensor with its dimensions in reverse order."""
        return ops.shape.permute(self, tuple(reversed(range(self.array.ndim))))

    @property
    def mT(self) -> "Tensor":
        """The tensor with its last two dimensions exchanged."""
        return ops.shape.transpose(self, -2, -1)

    H = T
    mH = mT

    @property
    def real(self) -> "Tensor":
        """The tensor itself."""
        return self


class HookHandle:
    """What registering a hook returns: `remove()` takes the hook away again."""

    next_id = 0

    def __init__(self, hooks: dict, hook):
        self.id = HookHandle.next_id
        HookHandle.next_id += 1
        self.hooks = hooks
        hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook away."""
        self.hooks.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


TYPE_NAMES = {
    "float32": "FloatTensor",
    "float64": "DoubleTensor",
    "float16": "HalfTensor",
    "bfloat16": "BFloat16Tensor",
    "int64": "LongTensor",
    "int32": "IntTensor",
    "int16": "ShortTensor",
    "int8": "CharTensor",
    "uint8": "ByteTensor",
    "bool": "BoolTensor",
}


def _device(wanted) -> device:
    return numbered(device(wanted))


def _to_arrays(data):
    """Nested lists that may hold tensors, with arrays in place of the tensors."""
    if isinstance(data, Tensor):
        return data.array
    if isinstance(data, (list, tuple)):
        return [_to_arrays(element) for element in data]
    return data


def _rebuild(cls, array, requires_grad):
    tensor = wrap(array)
    tensor.__class__ = cls
    tensor._requires_grad = requires_grad
    return tensor


def _value_like(tensor, value):
    """A number or a list, as something that can be assigned to part of a tensor."""
    if isinstance(value, (bool, int, float)):
        return value
    return ops.creation.as_tensor(value, device=tensor.device)


def numpy_or_cupy(g, like):
    """A gradient as an array: NumPy turns 0-d results into its scalars."""
    return g if hasattr(g, "add_into") else array_module(like).asarray(g)


def _dense_copy(g, like):
    return g.copy() if hasattr(g, "add_into") else array_module(like).array(g)


def _add_in_place(total, g):
    if hasattr(total, "add_into"):
        return total + g
    if type(total) is numpy.ndarray and not total.flags.writeable:
        return total + g
    total += g
    return total


def _protect(node, array):
    """A node that saved the memory which is about to change keeps a copy of it instead."""
    saved = getattr(node, "saved", None)
    if isinstance(saved, list):
        for i, value in enumerate(saved):
            if value is array:
                saved[i] = array.copy()
                node.versions[i] = None


def seed_gradient(tensor, gradient, create_graph):
    """The gradient that backward starts with: the one given, or 1 for a single number."""
    if not tensor.requires_grad:
        raise RuntimeError(
            "element 0 of tensors does not require grad and does not have a grad_fn: nothing it "
            "was computed from has requires_grad=True (or it was computed under no_grad)"
        )
    if gradient is None:
        if tensor.array.size != 1:
            raise RuntimeError(
                "grad can be implicitly created only for scalar outputs: this tensor has shape "
                f"{tuple(tensor.shape)}; reduce it to a loss, or pass gradient="
            )
        with native_device(tensor):
            ones = array_module(tensor.array).ones(tensor.array.shape, tensor.array.dtype)
        gradient = wrap(ones)
    elif not isinstance(gradient, Tensor):
        raise TypeError(
            f"gradients can be either Tensors or None, but got {type(gradient).__name__}"
        )
    elif gradient.shape != tensor.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output has a shape of {gradient.shape} and output has a "
            f"shape of {tensor.shape}."
        )
    return gradient if create_graph else gradient.array


# -- ops that need to know what a tensor is ------------------------------------------------------


@primitive(name="Copy")
def overwrite(xp, x, value):
    """`value`, broadcast to the shape of x and in its dtype; x itself gets no gradient."""
    if getattr(value, "shape", None) == x.shape:
        return value.astype(x.dtype)
    try:
        return xp.broadcast_to(xp.asarray(value, x.dtype), x.shape)
    except ValueError:
        raise RuntimeError(
            f"copy_: the shape {tuple(value.shape)} of the source cannot be broadcast to "
            f"{tuple(x.shape)}"
        ) from None


overwrite.vjp(x=lambda g: choose(False, g, 0), value=lambda g: g)
overwrite.samples(lambda rand: [(rand(3, 4), rand(4)), (rand(3), rand()), (rand(2), 1.5)])


@primitive(name="CopySlices")
def write_view(xp, x, value, *, view):
    """x with the part that a chain of view ops leads to replaced by `value`."""
    out = xp.array(x, order="K")
    follow(out, view)[...] = value
    return out


def follow(x, view):
    """The part of x that a chain of view ops leads to."""
    for op, options, which in view:
        x = op(x, **options)
        if which is not None:
            x = x[which]
    return x


write_view.vjp(x=lambda g, view: write_view(g, 0, view=view), value=lambda g, view: follow(g, view))
write_view.samples(
    lambda rand: [
        (rand(3, 4), rand(1, 4), {"view": ((ops.reduce.slice_at, {"dim": 0, "index": 1}, None),)})
    ]
)


@primitive(name="ToCopy")
def move(xp, x, *, where, back):
    """x on the device `where`; the gradient goes back to x's own device, `back`."""
    return to_device(x, where)


move.vjp(x=lambda g, where, back: move(g, where=back, back=where))
move.samples(lambda rand: [(rand(3, 4), {"where": CPU, "back": CPU})])


# -- the knot: what the layers below need from this one ------------------------------------------

tie(Tensor)
engine.knot.wrap = wrap
engine.knot.add = add_arrays
engine.knot.sum_to = sum_to
engine.knot.cast = cast
