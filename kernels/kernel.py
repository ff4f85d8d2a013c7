"""Kernel: one computation, its definition in plain array code, and faster ways to do it.

    scatter_add_rows = Kernel(reference)
    scatter_add_rows[xp](...)

`kernel[xp]` is the implementation for an array module: the one registered for it, or else the
reference, which is slow and obvious and what the others are tested against. The environment variable
MINIGRAD_KERNELS=reference makes every kernel use its reference.
"""

import functools
import os


class Kernel:
    """One computation with several implementations, chosen by array module."""

    def __init__(self, reference):
        self.reference = reference
        self.name = reference.__name__
        self.__doc__ = reference.__doc__
        self.implementations = {}
        REGISTRY[self.name] = self

    def implement(self, module_name: str):
        """Decorator: the function it stands over is this kernel for "numpy" or "cupy" arrays."""

        def register(function):
            self.implementations[module_name] = function
            return function

        return register

    def __getitem__(self, xp):
        if os.environ.get("MINIGRAD_KERNELS") == "reference":
            return self.reference
        return self.implementations.get(xp.__name__, self.reference)


REGISTRY: dict[str, Kernel] = {}


@functools.cache
def numba():
    """The numba module, or None where it can't be imported (then the references answer)."""
    try:
        import numba
    except ImportError:
        return None
    return numba


def compiled(function):
    """A Numba version of a loop, compiled when it is first called and kept on disk.

    The result takes the loop's arguments, and returns False, having done nothing, without numba.
    """

    @functools.cache
    def jitted():
        module = numba()
        return module and module.njit(cache=True, nogil=True)(function)

    @functools.wraps(function)
    def call(*arguments):
        run = jitted()
        if run is None:
            return False
        run(*arguments)
        return True

    return call
