"""Function: operations with a gradient written by the user."""

from ..backend import array_module
from ..engine import Node, no_grad, serial_numbers, state
from ..op import wrap
from ..tensor import Tensor


class FunctionNode(Node):
    """The node that a user-written Function leaves: its rule is the class's `backward`."""

    __slots__ = (
        "_dirty",
        "_kinds",
        "_materialize",
        "_needs",
        "_non_differentiable",
        "_saved",
        "cls",
        "extra",
    )

    def __init__(self, cls):
        self.cls = cls
        self.extra = {}
        self._saved = ()
        self._dirty = ()
        self._non_differentiable = ()
        self._materialize = True

    # as the `ctx` of forward and backward -----------------------------------------------------

    def save_for_backward(self, *tensors):
        """Keep tensors for backward; they come back as `ctx.saved_tensors`."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(
                    "save_for_backward can only save variables, but argument "
                    f"is of type {type(tensor).__name__}; set other values as attributes of ctx"
                )
        self._saved = tuple(
            None if tensor is None else (tensor, tensor._version[0]) for tensor in tensors
        )

    save_for_forward = save_for_backward

    @property
    def saved_tensors(self):
        """What `save_for_backward` kept."""
        if self._saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time: what "
                f"{self.cls.__name__} saved was freed; call backward(retain_graph=True)"
            )
        for entry in self._saved:
            if entry is not None and entry[0]._version[0] != entry[1]:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an "
                    f"inplace operation: {self.cls.__name__} saved a tensor of shape "
                    f"{tuple(entry[0].shape)}; change a clone() of it instead"
                )
        return tuple(None if entry is None else entry[0] for entry in self._saved)

    def mark_dirty(self, *tensors):
        """Name the inputs that forward changed in place."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors):
        """Name the outputs that carry no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool):
        """Whether backward gets zeros (True) or None for outputs without a gradient."""
        self._materialize = value

    @property
    def needs_input_grad(self):
        """For each argument of forward, whether its gradient is wanted."""
        return self._needs

    def __setattr__(self, name, value):
        if name in FunctionNode.__slots__ or name in Node.__slots__:
            object.__setattr__(self, name, value)
        else:
            self.extra[name] = value

    def __getattr__(self, name):
        try:
            return object.__getattribute__(self, "extra")[name]
        except KeyError:
            raise AttributeError(f"ctx has no attribute '{name}'") from None

    # as a node ----------------------------------------------------------------------------------

    def name(self) -> str:
        return f"{self.cls.__name__}Backward"

    def release(self):
        self._saved = None

    def backward(self, grads, create_graph, wanted):
        given = []
        for i, g in enumerate(grads):
            if g is None and self._materialize:
                shape, dtype = self.outputs[i]
                g = wrap(array_module().zeros(shape, dtype))
            elif g is not None and not create_graph:
                g = wrap(g if hasattr(g, "shape") else array_module().asarray(g))
            given.append(g)
        results = self.cls.backward(self, *given)
        if not isinstance(results, tuple):
            results = (results,)
        if len(results) < len(self._kinds) or any(
            r is not None for r in results[len(self._kinds) :]
        ):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected "
                f"{len(self._kinds)}, got {len(results)})"
            )
        gradients = []
        for is_edge, result in zip(self._kinds, results, strict=False):
            if not is_edge:
                continue
            if result is not None and not create_graph:
                result = result.array
            gradients.append(result)
        return gradients


class Function:
    """An operation with a gradient of your own: subclass it and write two static methods.

        class Square(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return 2 * x * g

    Call it as `Square.apply(x)`. backward returns one gradient (or None) per argument of forward;
    written in differentiable operations, it can be differentiated again. A separate
    `setup_context(ctx, inputs, output)` may be given, and then forward takes no ctx.
    """

    def __init__(self):
        raise RuntimeError(
            f"{type(self).__name__} should not be instantiated: call {type(self).__name__}.apply(...)"
        )

    @staticmethod
    def forward(*args, **kwargs):
        raise NotImplementedError("You must implement the forward function for custom Function.")

    @staticmethod
    def setup_context(ctx, inputs, output):
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        raise NotImplementedError("You must implement the backward function for your Function.")

    @classmethod
    def apply(cls, *args, **kwargs):
        """Run forward on the arguments and, if a gradient is needed, record the operation."""
        ctx = FunctionNode(cls)
        tensors = [isinstance(arg, Tensor) for arg in args]
        needs = tuple(is_t and arg.requires_grad for arg, is_t in zip(args, tensors, strict=True))
        ctx._needs = needs
        ctx._kinds = needs
        edges = []
        for arg, needed in zip(args, needs, strict=True):
            if needed:
                target = arg if arg._node is None else arg._node
                edges.append((target, arg._index, arg.array.shape, arg.array.dtype))
        with no_grad():
            if cls.setup_context is not Function.setup_context:
                outputs = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, outputs)
            else:
                outputs = cls.forward(ctx, *args, **kwargs)
        several = isinstance(outputs, (tuple, list))
        outputs = list(outputs) if several else [outputs]
        if any(needs) and state.grad:
            cls._attach(ctx, args, edges, outputs)
        return tuple(outputs) if several else outputs[0]

    @staticmethod
    def _attach(ctx, args, edges, outputs):
        """Make the outputs' history this function."""
        tensors = [i for i, out in enumerate(outputs) if isinstance(out, Tensor)]
        Node.__init__(
            ctx, edges, tuple((outputs[i].array.shape, outputs[i].array.dtype) for i in tensors)
        )
        ctx.serial = next(serial_numbers)  # later than anything that forward recorded
        for place, i in enumerate(tensors):
            out = outputs[i]
            if any(out is skipped for skipped in ctx._non_differentiable):
                continue
            if out.array.dtype.kind not in "fV":
                continue
            if any(out is arg for arg in args) and not any(out is d for d in ctx._dirty):
                out = wrap(out.array)  # an input handed through gets a history of its own
                out._version = outputs[i]._version
                outputs[i] = out
            out._node = ctx
            out._index = place
            out._requires_grad = True
