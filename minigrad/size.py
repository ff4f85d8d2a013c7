"""Size: the shape of a tensor, a tuple that prints as torch's does."""

import math


class Size(tuple):
    """A shape: `Size([2, 3])` prints as torch.Size([2, 3])."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements, the product of the sizes."""
        return math.prod(self)

    def __repr__(self):
        return f"torch.Size({list(self)})"

    def __getitem__(self, index):
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other):
        return Size(tuple.__add__(self, other))

    def __mul__(self, count):
        return Size(tuple.__mul__(self, count))

    def __reduce__(self):
        return Size, (tuple(self),)
