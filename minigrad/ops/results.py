"""Named results such as (values, indices), printed as torch prints its `return_types`."""

import functools
from collections import namedtuple


@functools.cache
def _result_class(name, fields):
    base = namedtuple(name, fields)

    def show(self):
        shown = ",\n".join(f"{field}={value!r}" for field, value in zip(fields, self, strict=True))
        return f"torch.return_types.{name}(\n{shown})"

    return type(name, (base,), {"__slots__": (), "__repr__": show})


def return_type(name: str, **fields):
    """A named tuple called torch.return_types.<name>, with these fields."""
    return _result_class(name, tuple(fields))(*fields.values())
