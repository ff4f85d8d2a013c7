"""The operations: forward and gradient side by side, one family a file."""

from . import (
    activation,
    attention,
    axes,
    compare,
    conv,
    creation,
    decompose,
    elementwise,
    embedding,
    index,
    linalg,
    loss,
    norm,
    pad,
    pool,
    random,
    reduce,
    shape,
    sorting,
    special,
)

# Modules whose `__all__` are functions of the top level, torch.<name>; those of the others are
# found under nn.functional.
TOP_LEVEL = (
    activation,
    compare,
    creation,
    decompose,
    elementwise,
    index,
    linalg,
    random,
    reduce,
    shape,
    sorting,
    special,
)


def public_functions() -> dict:
    """Every public function of the top level, by name."""
    return {name: getattr(module, name) for module in TOP_LEVEL for name in module.__all__}
