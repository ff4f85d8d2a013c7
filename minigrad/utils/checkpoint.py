"""Activation checkpointing: trade a second forward pass for the memory of the first one's tape.

Chen et al. 2016, "Training deep nets with sublinear memory cost".
"""

from ..autocasting import same_again
from ..autograd.function import Function
from ..autograd.gradients import backward as run
from ..engine import enable_grad, state
from ..generator import default_generator
from ..tensor import Tensor


def checkpoint(
    function, *args, use_reentrant: bool | None = None, preserve_rng_state: bool = True, **kwargs
):
    """function(*args), keeping only the arguments; backward calls it again to get its gradients.

    The second call draws the same random numbers (dropout masks) as the first one, unless
    preserve_rng_state is False. Gradients reach the parameters that `function` uses in any case.
    `use_reentrant` is accepted and has no effect.
    """
    if not state.grad:
        return function(*args, **kwargs)
    token = next((a for a in args if isinstance(a, Tensor) and a.requires_grad), None)
    if token is None:
        return function(*args, **kwargs)
    return _Checkpoint.apply(function, preserve_rng_state, kwargs, *args)


class _Checkpoint(Function):
    @staticmethod
    def forward(ctx, function, preserve, kwargs, *args):
        ctx.function, ctx.kwargs, ctx.args = function, kwargs, args
        ctx.random = default_generator.get_state() if preserve else None
        ctx.autocast = same_again()
        ctx.save_for_backward(*(a for a in args if isinstance(a, Tensor)))
        return function(*args, **kwargs)

    @staticmethod
    def backward(ctx, *grads):
        ctx.saved_tensors  # noqa: B018 - raises if an argument was changed in place since
        args = [
            a.detach().requires_grad_(a.requires_grad) if isinstance(a, Tensor) else a
            for a in ctx.args
        ]
        now = default_generator.get_state()
        if ctx.random is not None:
            default_generator.set_state(ctx.random)
        try:
            with enable_grad(), ctx.autocast:
                outputs = ctx.function(*args, **ctx.kwargs)
        finally:
            default_generator.set_state(now)
        outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
        pairs = [
            (out, g)
            for out, g in zip((o for o in outputs if isinstance(o, Tensor)), grads, strict=True)
            if out.requires_grad
        ]
        if pairs:
            run([out for out, _ in pairs], [g for _, g in pairs])
        return (None, None, None, *(a.grad if isinstance(a, Tensor) else None for a in args))


def checkpoint_sequential(
    functions, segments: int, input, use_reentrant: bool | None = None, **kwargs
):
    """A sequence of layers run in `segments` checkpointed pieces (the last one is not)."""
    layers = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if segments < 1:
        raise ValueError(f"checkpoint_sequential: segments must be at least 1, not {segments}")
    size = max(len(layers) // segments, 1)
    starts = list(range(0, size * (segments - 1), size))

    def piece(begin, end):
        def forward(x):
            for layer in layers[begin:end]:
                x = layer(x)
            return x

        return forward

    for begin in starts:
        input = checkpoint(piece(begin, begin + size), input, use_reentrant=use_reentrant, **kwargs)
    return piece(starts[-1] + size if starts else 0, len(layers))(input)
