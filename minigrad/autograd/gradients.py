"""backward and grad: from tensors to the gradients of what they were computed from."""

from ..backend import array_module
from ..engine import run_backward
from ..op import wrap
from ..ops.shape import stack
from ..tensor import Tensor, seed_gradient


def _tensors(given, name) -> list[Tensor]:
    tensors = [given] if isinstance(given, Tensor) else list(given)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} must be Tensors, got {type(tensor).__name__}")
    return tensors


def _seeds(outputs, grad_outputs, create_graph):
    if grad_outputs is None or isinstance(grad_outputs, Tensor):
        grad_outputs = [grad_outputs] * (1 if grad_outputs is not None else len(outputs))
    if len(grad_outputs) != len(outputs):
        raise RuntimeError(
            f"got {len(outputs)} tensors and {len(grad_outputs)} gradients: one each is needed"
        )
    return [
        seed_gradient(output, gradient, create_graph)
        for output, gradient in zip(outputs, grad_outputs, strict=True)
    ]


def backward(
    tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None
) -> None:
    """Add the gradients of the sum of several tensors to `.grad` of their leaves."""
    tensors = _tensors(tensors, "tensors")
    seeds = _seeds(tensors, grad_tensors, create_graph)
    inputs = None if inputs is None else _tensors(inputs, "inputs")
    if inputs is not None and not inputs:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    retain_graph = create_graph if retain_graph is None else retain_graph
    run_backward(
        tensors, seeds, create_graph=create_graph, retain_graph=retain_graph, inputs=inputs
    )


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the outputs' sum with respect to the inputs; no `.grad` is touched.

    grad_outputs: dL/d(output), one per output. create_graph: the gradients can be differentiated
    again. allow_unused: None, instead of an error, for an input that has no part in the outputs;
    materialize_grads: zeros instead of None.
    """
    outputs = _tensors(outputs, "outputs")
    inputs = _tensors(inputs, "inputs")
    if is_grads_batched:
        rows = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
        each = [
            grad(outputs, inputs, [row[i] for row in rows], True, create_graph, allow_unused)
            for i in range(rows[0].shape[0])
        ]
        return tuple(stack(list(column)) for column in zip(*each, strict=True))
    if not inputs:
        raise ValueError("grad requires non-empty inputs.")
    for i, tensor in enumerate(inputs):
        if not tensor.requires_grad:
            raise RuntimeError(
                f"One of the differentiated Tensors does not require grad: input {i} of shape "
                f"{tuple(tensor.shape)}; call requires_grad_() on it before the forward pass"
            )
    retain_graph = create_graph if retain_graph is None else retain_graph
    found = run_backward(
        outputs,
        _seeds(outputs, grad_outputs, create_graph),
        create_graph=create_graph,
        retain_graph=retain_graph,
        inputs=inputs,
        accumulate=False,
    )
    gradients = []
    for i, (tensor, g) in enumerate(zip(inputs, found, strict=True)):
        xp = array_module(tensor.array)
        if g is None and materialize_grads:
            g = wrap(xp.zeros(tensor.array.shape, tensor.array.dtype))
        elif g is None and not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph: "
                f"input {i} of shape {tuple(tensor.shape)}. Set allow_unused=True if this is the "
                "desired behavior."
            )
        elif g is not None and not isinstance(g, Tensor):
            g = wrap(g if hasattr(g, "add_into") else xp.asarray(g))
        gradients.append(g)
    return tuple(gradients)


def Variable(data: Tensor, requires_grad: bool = False) -> Tensor:
    """The tensor itself: what PyTorch before 0.4 needed around every tensor."""
    return data.requires_grad_() if requires_grad else data
