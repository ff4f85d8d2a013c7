"""make_graphed_callables: functions and modules whose forward and backward passes are CUDA graphs."""

from .autograd import Function, grad
from .cuda import Stream, current_stream, empty_cache, synchronize
from .cuda import stream as use_stream
from .cuda_graphs import CUDAGraph, graph, graph_pool_handle
from .engine import no_grad
from .nn import Module
from .ops.creation import ones_like
from .tensor import Tensor


def make_graphed_callables(
    callables, sample_args, num_warmup_iters: int = 3, allow_unused_input: bool = False, pool=None
):
    """Versions of functions or modules that replay graphs, also where backward passes them.

    sample_args: a tuple of tensors, such as the real ones in shape, dtype, device and requires_grad; for
    a tuple of callables a tuple of such tuples. Callables are captured in the order in which they must be
    called. A module is changed itself: in the mode (training or not) that it has now, its forward
    replays; in the other mode it does what it did.

    Arguments and results are tensors, or tuples of them; results are overwritten by the next call.
    Raises RuntimeError for modules with hooks, or with buffers that need gradients, and inside a capture.
    """
    single = not isinstance(callables, tuple)
    if single:
        callables, sample_args = (callables,), (sample_args,)
    _check(callables, sample_args)
    parts = [_Part(*pair) for pair in zip(callables, sample_args, strict=True)]
    pool = graph_pool_handle() if pool is None else pool
    synchronize()
    stream = Stream()
    stream.wait_stream(current_stream())
    with use_stream(stream):
        for part in parts:
            for _ in range(num_warmup_iters):
                part.run_once(allow_unused_input)
    current_stream().wait_stream(stream)
    synchronize()
    empty_cache()
    for part in parts:
        part.capture_forward(pool)
    for part in reversed(parts):
        part.capture_backward(pool, allow_unused_input)
    graphed = tuple(part.graphed() for part in parts)
    return graphed[0] if single else graphed


def _check(callables, sample_args):
    for function, arguments in zip(callables, sample_args, strict=True):
        if not isinstance(arguments, tuple) or not all(isinstance(x, Tensor) for x in arguments):
            raise TypeError(
                "In the beta API, sample_args for each callable must contain only Tensors. Other types "
                "are not allowed."
            )
        if not isinstance(function, Module):
            continue
        if any(
            hooks
            for name in ("_backward_hooks", "_forward_hooks", "_forward_pre_hooks")
            for hooks in [getattr(function, name, None)]
        ):
            raise RuntimeError(
                "Modules must not have hooks registered at the time they are passed. However, "
                "registering hooks on modules after passing them through make_graphed_callables is "
                "allowed."
            )
        if any(buffer.requires_grad for buffer in function.buffers()):
            raise RuntimeError(
                "In any Module passed to make_graphed_callables, only parameters may be trainable. All "
                "buffers must have requires_grad=False."
            )


def _tensors(found):
    return (found,) if isinstance(found, Tensor) else tuple(found)


class _Part:
    """One callable: its static inputs and outputs, and its two graphs."""

    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments
        parameters = tuple(function.parameters()) if isinstance(function, Module) else ()
        self.inputs = (*arguments, *parameters)
        self.wanted = tuple(x for x in self.inputs if x.requires_grad)

    def run_once(self, allow_unused):
        """Forward and backward as they are: kernels are compiled, libraries get ready."""
        outputs = self.outputs_with_gradient(_tensors(self.function(*self.arguments)))
        if self.wanted and outputs:
            grad(
                outputs,
                self.wanted,
                [ones_like(y.detach()) for y in outputs],
                allow_unused=allow_unused,
            )

    @staticmethod
    def outputs_with_gradient(outputs):
        """Those that backward may begin with."""
        return [y for y in outputs if y.requires_grad]

    def capture_forward(self, pool):
        """Fill the graph of the forward pass."""
        self.forward = CUDAGraph()
        with graph(self.forward, pool=pool):
            found = self.function(*self.arguments)
        self.is_tensor = isinstance(found, Tensor)
        self.outputs = _tensors(found)

    def capture_backward(self, pool, allow_unused):
        """Fill the graph of the backward pass; gradients arrive in `arriving`."""
        self.arriving = [ones_like(y.detach()) if y.requires_grad else None for y in self.outputs]
        self.backward, self.gradients = CUDAGraph(), [None] * len(self.inputs)
        outputs = self.outputs_with_gradient(self.outputs)
        if self.wanted and outputs:
            with graph(self.backward, pool=pool):
                found = grad(
                    outputs,
                    self.wanted,
                    [g for g in self.arriving if g is not None],
                    allow_unused=allow_unused,
                )
            found = iter(found)
            self.gradients = [next(found) if x.requires_grad else None for x in self.inputs]
        self.results = tuple(y.detach() for y in self.outputs)
        self.outputs = None  # the graphs don't need what backward saved any more

    def graphed(self):
        """What is given back."""
        part = self

        class Graphed(Function):
            @staticmethod
            def forward(ctx, *inputs):
                for mine, given in zip(part.arguments, inputs, strict=False):
                    if mine.array is not given.array:
                        with no_grad():
                            mine.copy_(given)
                part.forward.replay()
                return tuple(y.detach() for y in part.results)

            @staticmethod
            def backward(ctx, *gradients):
                for mine, given in zip(part.arriving, gradients, strict=True):
                    if mine is not None and given is not None:
                        mine.copy_(given)
                part.backward.replay()
                return tuple(None if g is None else g.detach() for g in part.gradients)

        def call(*arguments):
            if len(arguments) != len(part.arguments):
                raise TypeError(
                    f"expected {len(part.arguments)} tensors, as in sample_args, got {len(arguments)}"
                )
            found = Graphed.apply(*arguments, *part.inputs[len(arguments) :])
            return found[0] if part.is_tensor else found

        if not isinstance(self.function, Module):
            return call
        module, training, plain = self.function, self.function.training, self.function.forward

        def forward(*arguments):
            return call(*arguments) if module.training == training else plain(*arguments)

        module.forward = forward
        return module
