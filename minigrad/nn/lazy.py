"""Lazy modules: their parameters get their shapes from the first input."""

from ..engine import no_grad
from .module import Module
from .parameter import is_lazy


class LazyModule(Module):
    """Waits for its first call, calls `initialize_parameters` with the inputs, and turns into
    the class `becomes`. An optimizer should be made after that first call.
    """

    becomes: type

    def has_uninitialized_params(self) -> bool:
        """True until the first call."""
        return any(is_lazy(param) for param in self._parameters.values())

    def initialize_parameters(self, *args) -> None:
        """Make the parameters for these inputs."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def __call__(self, *args, **kwargs):
        with no_grad():
            self.initialize_parameters(*args)
        self.__class__ = self.becomes
        return self(*args, **kwargs)
