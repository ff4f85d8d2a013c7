"""Backward hooks of modules: a gate before a module's inputs and one behind its outputs.

A gate is the identity, but for showing the gradients that pass through it on the way back. Those at
the outputs are a module's `grad_output`, those at the inputs its `grad_input`.
"""

from collections.abc import Callable

from ..autograd import Function
from ..tensor import Tensor


class _Gate(Function):
    """The identity on several tensors, which hands their gradients to `watch`."""

    @staticmethod
    def forward(ctx, watch, *tensors):
        ctx.watch = watch
        return tuple(tensor.detach() for tensor in tensors)

    @staticmethod
    def backward(ctx, *grads):
        return None, *ctx.watch(grads)


def as_tuple(value) -> tuple:
    """A tuple as it is, anything else as a tuple of one."""
    return value if isinstance(value, tuple) else (value,)


def _spread(grads, places, count):
    """The gradients at their places among `count`, None at the others."""
    found = dict(zip(places, grads, strict=True))
    return tuple(found.get(place) for place in range(count))


def _replaced(grads, change, kind, name):
    """What a hook has made of the gradients; None leaves them as they are."""
    if change is None:
        return grads
    change = as_tuple(change)
    if len(change) != len(grads):
        raise RuntimeError(
            f"{kind} hook returned an invalid number of {name}, "
            f"got {len(change)}, but expected {len(grads)}"
        )
    return change


class BackwardHooks:
    """The backward hooks of one call of a module."""

    def __init__(self, module, pre_hooks: list[Callable], hooks: list[Callable]):
        self.module = module
        self.pre_hooks = pre_hooks
        self.hooks = hooks
        self.grad_output = None

    def gate_inputs(self, args: tuple) -> tuple:
        """The arguments, those that need gradients sent through a gate."""
        self.input_count = len(args)
        self.input_places = [
            i for i, arg in enumerate(args) if isinstance(arg, Tensor) and arg.requires_grad
        ]
        return self._gate(args, self.input_places, self._at_inputs)

    def gate_outputs(self, result):
        """The module's result, its tensors sent through a gate."""
        values = as_tuple(result)
        self.output_count = len(values)
        self.output_places = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
        if not any(values[i].requires_grad for i in self.output_places):
            return result
        values = self._gate(values, self.output_places, self._at_outputs)
        if not isinstance(result, tuple):
            return values[0]
        return type(result)(*values) if hasattr(result, "_fields") else values

    def _gate(self, values, places, watch):
        values = list(values)
        if places:
            for place, value in zip(
                places, _Gate.apply(watch, *(values[i] for i in places)), strict=True
            ):
                values[place] = value
        return tuple(values)

    def _at_outputs(self, grads):
        """The gradients have come to the outputs: run the pre-hooks."""
        grads = _spread(grads, self.output_places, self.output_count)
        for hook in self.pre_hooks:
            change = hook(self.module, grads)
            grads = _replaced(grads, change, "Backward pre", "grad_output")
        self.grad_output = grads
        if not self.input_places:
            self._at_inputs(())  # no gradient will come there by itself
        return tuple(grads[place] for place in self.output_places)

    def _at_inputs(self, grads):
        """The gradients have come to the inputs: run the hooks."""
        grads = _spread(grads, self.input_places, self.input_count)
        for hook in self.hooks:
            change = hook(self.module, grads, self.grad_output)
            grads = _replaced(grads, change, "Backward", "grad_input")
        return tuple(grads[place] for place in self.input_places)
