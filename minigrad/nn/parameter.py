"""Parameter: a tensor that a module trains; Buffer: one that it keeps."""

from ..op import wrap
from ..ops.creation import empty
from ..size import Size
from ..tensor import Tensor


class Parameter(Tensor):
    """A tensor that counts as a parameter when it is assigned to a module; shares `data`'s memory.

    Computing with it gives ordinary tensors. `requires_grad=False` makes one that is not trained.
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True):
        if data is None:
            data = empty((0,))
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: expected a Tensor, got {type(data).__name__}")
        self = wrap(data.array)
        self.__class__ = cls
        return self.requires_grad_(requires_grad)


class Buffer(Tensor):
    """A tensor that counts as a buffer when it is assigned to a module.

    persistent: whether it belongs to the module's state_dict.
    """

    persistent = True

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True):
        if data is None:
            data = empty((0,))
        self = wrap(data.array)
        self.__class__ = cls
        self.persistent = persistent
        return self.requires_grad_(data.requires_grad)


class UninitializedParameter(Parameter):
    """A parameter whose shape is not known yet; `materialize` makes it an ordinary one."""

    def __new__(cls, requires_grad: bool = True, device=None, dtype=None):
        return super().__new__(cls, empty((0,), device=device, dtype=dtype), requires_grad)

    def materialize(self, shape, device=None, dtype=None) -> None:
        """Give the parameter its shape; its numbers are not set."""
        like = {"device": device or self.device, "dtype": dtype or self.dtype}
        self.array = empty(tuple(shape), **like).array
        self.__class__ = Parameter

    @property
    def shape(self) -> Size:
        """Not known yet: raises RuntimeError."""
        raise RuntimeError(
            "an uninitialized parameter has no shape yet: call the module on an input first"
        )

    def __repr__(self, *, tensor_contents=None) -> str:
        return f"<{type(self).__name__}>"


def is_lazy(param) -> bool:
    """True for a parameter whose shape is not known yet."""
    return isinstance(param, UninitializedParameter)
