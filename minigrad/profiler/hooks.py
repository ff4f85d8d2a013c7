"""Where the recording listens: timed versions of a few functions stand in for the originals.

Nothing in the library asks whether a profiler is active. A recording puts timed versions of a few
functions in the place of the originals, on their classes, and puts the originals back at its end.
"""

import functools
import re

import numpy

from .. import engine
from ..autograd.function import Function, FunctionNode
from ..backend import array_module
from ..nn.module import Module
from ..op import Op, OpNode, Variable
from ..optim.optimizer import Optimizer
from ..sparse import RowSparse
from ..tensor import Tensor
from ..utils.data import dataloader


class Swap:
    """Functions replaced on their classes, until `undo`."""

    def __init__(self):
        self.originals = []

    def replace(self, owner, name, make):
        """owner.name = make(the function that stands there)."""
        original = vars(owner)[name]
        self.originals.append((owner, name, original))
        setattr(owner, name, make(original))

    def undo(self):
        """The originals again."""
        while self.originals:
            setattr(*self.originals.pop())


def install(swap, recorder, with_modules):
    """Put the timed versions in place."""
    swap.replace(Op, "__call__", lambda call: _timed_op(recorder, call))
    for node in (OpNode, FunctionNode):
        swap.replace(node, "backward", lambda backward: _timed_backward(recorder, backward))
    swap.replace(engine, "fit", lambda fit: _timed_fit(recorder, fit))
    swap.replace(engine.Gradients, "add", lambda add: _timed_add(recorder, add))
    swap.replace(Tensor, "_accumulate", lambda add: _timed_accumulate(recorder, add))
    for cls in _with_subclasses(Optimizer):
        for name in ("step", "zero_grad"):
            if name in vars(cls):
                swap.replace(cls, name, lambda call: _timed_optimizer(recorder, call))
    for cls, name in _LOADERS.items():
        swap.replace(cls, "__next__", lambda call, name=name: _timed_fetch(recorder, call, name))
    for cls in _with_subclasses(Function):  # not apply: scripts keep it, `exp = MyExp.apply`
        if cls is not Function and isinstance(vars(cls).get("forward"), staticmethod):
            name = cls.__name__
            swap.replace(
                cls, "forward", lambda call, name=name: _timed_function(recorder, call, name)
            )
    if with_modules:
        swap.replace(Module, "__call__", lambda call: _timed_module(recorder, call))


def _with_subclasses(cls):
    yield cls
    for subclass in cls.__subclasses__():
        yield from _with_subclasses(subclass)


@functools.cache
def _row_name(op):
    """The row of an op's calls: what grad_fn calls it, in the spelling of functions.

    `reduce_sum`, whose node is SumBackward0, is `sum`: what the user wrote.
    """
    if op.display == "".join(part.title() for part in op.name.split("_")):
        return op.name
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", op.display).lower()


def _timed_op(recorder, original):
    @functools.wraps(original)
    def __call__(self, *inputs, **options):
        # Bare arrays: a rule at work, or an op within an op. By name: the op calls itself again,
        # with its inputs in order.
        by_name = len(inputs) != self.arity and not self.variadic or "out" in options
        if by_name or not any(isinstance(x, Variable) for x in inputs):
            return original(self, *inputs, **options)
        with recorder.range(_row_name(self), "forward", inputs) as event:
            result = original(self, *inputs, **options)
        if event is not None:
            outs = result if type(result) is tuple else (result,)
            node = outs[0]._node
            if isinstance(node, OpNode) and node.op is self:
                event.sequence_nr = node.serial
            if recorder.memory:
                event.self_cpu_memory_usage = _new_bytes(outs, inputs)
        return result

    return __call__


def _timed_function(recorder, original, name):
    original = original.__func__

    @functools.wraps(original)
    def forward(*args, **kwargs):
        inputs = args[1:] if args and isinstance(args[0], FunctionNode) else args
        with recorder.range(name, "forward", inputs):
            return original(*args, **kwargs)

    return staticmethod(forward)


def _timed_backward(recorder, original):
    @functools.wraps(original)
    def backward(self, grads, create_graph, wanted):
        saved = getattr(self, "saved", ()) if recorder.memory else ()
        with recorder.range(self.name(), "backward", grads) as event:
            results = original(self, grads, create_graph, wanted)
        if event is not None:
            event.sequence_nr = self.serial
            # recorded ops, if there were any, have counted their own outputs
            if recorder.memory and not create_graph and isinstance(self, OpNode):
                event.self_cpu_memory_usage = _new_bytes(results, (grads, saved))
        return results

    return backward


def _timed_fit(recorder, original):
    @functools.wraps(original)
    def fit(g, shape, dtype):
        if isinstance(g, Variable) or g.shape == shape and g.dtype == dtype:
            return original(g, shape, dtype)
        with recorder.range("autograd::engine::sum_to_input", "backward", (g,)) as event:
            result = original(g, shape, dtype)
        if event is not None and recorder.memory:
            event.self_cpu_memory_usage = _new_bytes((result,), (g,))
        return result

    return fit


def _timed_add(recorder, original):
    @functools.wraps(original)
    def add(self, i, g):
        present = self.values[i]
        if present is None or isinstance(present, Variable):
            original(self, i, g)
            return
        with recorder.range("autograd::engine::add_gradients", "backward", (present, g)) as event:
            original(self, i, g)
        if event is not None and recorder.memory:
            event.self_cpu_memory_usage = _new_bytes((self.values[i],), (present, g))

    return add


def _timed_accumulate(recorder, original):
    @functools.wraps(original)
    def _accumulate(self, g, owned, create_graph):
        if self._node is not None:  # retain_grad() of a tensor inside the graph
            original(self, g, owned, create_graph)
            return
        before = self._grad
        with recorder.range("AccumulateGrad", "backward", (g,)) as event:
            original(self, g, owned, create_graph)
        if event is not None and recorder.memory and not create_graph:
            event.self_cpu_memory_usage = _new_bytes((self._grad,), (g, before))

    return _accumulate


def _timed_optimizer(recorder, original):
    @functools.wraps(original)
    def method(self, *args, **kwargs):
        name = f"Optimizer.{original.__name__}#{type(self).__name__}.{original.__name__}"
        around = recorder.lane.open
        if around and around[-1].name == name:  # super().step() within a subclass's step
            return original(self, *args, **kwargs)
        with recorder.range(name, "user_annotation"):
            return original(self, *args, **kwargs)

    return method


_LOADERS = {  # with the names that torch gives to the same two iterators
    dataloader._HereIterator: "_SingleProcessDataLoaderIter",
    dataloader._WorkersIterator: "_MultiProcessingDataLoaderIter",
}


def _timed_fetch(recorder, original, name):
    name = f"enumerate(DataLoader)#{name}.__next__"

    @functools.wraps(original)
    def __next__(self):
        with recorder.range(name, "user_annotation"):
            return original(self)

    return __next__


def _timed_module(recorder, original):
    @functools.wraps(original)
    def __call__(self, *args, **kwargs):
        lane = recorder.lane
        outermost = lane.names is None
        kind = type(self).__name__
        if outermost:
            lane.names = {
                id(m): f"{kind}.{path}" if path else kind for path, m in self.named_modules()
            }
        name = lane.names.get(id(self), kind)
        try:
            with recorder.range(f"nn.Module: {name}", "python_function", args):
                return original(self, *args, **kwargs)
        finally:
            if outermost:
                lane.names = None

    return __call__


def _arrays(values):
    """All arrays in Tensors, gradients and nested sequences of them."""
    for value in values:
        value = getattr(value, "array", value)
        if isinstance(value, RowSparse):
            value = value.rows
        if isinstance(value, (tuple, list)):
            yield from _arrays(value)
        elif hasattr(value, "nbytes") and not isinstance(value, numpy.generic):
            yield value


def _new_bytes(outs, inputs):
    """The bytes of the outputs that share no memory with an input."""
    given = list(_arrays(inputs))
    return sum(
        out.nbytes
        for out in _arrays(outs)
        if not any(array_module(out).may_share_memory(out, x) for x in given)
    )
