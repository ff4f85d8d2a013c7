"""Dimensions as users write them (negative, several, none) turned into plain axis numbers."""

import operator


def one_axis(name: str, dim: int, ndim: int) -> int:
    """A dimension counted from 0; a 0-d tensor takes 0 and -1, as in torch."""
    try:
        dim = operator.index(dim)
    except TypeError:
        raise TypeError(f"{name}(): argument 'dim' must be int, not {type(dim).__name__}") from None
    low, high = -max(ndim, 1), max(ndim, 1) - 1
    if not low <= dim <= high:
        raise IndexError(
            f"{name}: Dimension out of range (expected to be in range of [{low}, {high}], "
            f"but got {dim})"
        )
    return dim % max(ndim, 1)


def axes(name: str, dim, ndim: int) -> tuple[int, ...]:
    """The dimensions to reduce over, sorted; None and () mean all of them."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(ndim))
    if not isinstance(dim, (tuple, list)):
        dim = (dim,)
    found = tuple(sorted(one_axis(name, d, ndim) for d in dim))
    if len(set(found)) < len(found):
        raise RuntimeError(f"{name}: a dimension appears twice in the list of dims {tuple(dim)}")
    return found if ndim else ()


def kept_shape(shape, reduced) -> tuple[int, ...]:
    """The shape with every reduced dimension set to 1."""
    return tuple(1 if i in reduced else n for i, n in enumerate(shape))
