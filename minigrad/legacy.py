"""Names from before PyTorch 0.4 that tutorials still use: FloatTensor, LongTensor and the others."""

from .dtypes import BY_NAME
from .tensor import TYPE_NAMES, Tensor


class _Kind(type):
    """isinstance(x, LongTensor) asks for the dtype."""

    def __instancecheck__(cls, instance):
        return isinstance(instance, Tensor) and instance.dtype.name == cls.dtype_name


def _make(dtype_name, name):
    def new(cls, *data):
        return Tensor(*data, dtype=BY_NAME[dtype_name])

    doc = f"`{name}(2, 3)` is an uninitialised {dtype_name} tensor, `{name}([1, 2])` holds the numbers."
    return _Kind(name, (), {"__new__": new, "__doc__": doc, "dtype_name": dtype_name})


TYPES = {
    name: _make(dtype_name, name)
    for dtype_name, name in TYPE_NAMES.items()
    if dtype_name in BY_NAME
}
