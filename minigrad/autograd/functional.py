"""Derivatives of functions rather than of tensors: vjp, jvp, jacobian, hessian, vhp, hvp.

For f: R^n -> R^m with Jacobian J = df/dx (m x n): vjp gives v^T J in one backward pass; jvp gives
J v, here as the derivative of v -> u^T J with respect to u (two backward passes); jacobian stacks m
vjps; hessian is the jacobian of the gradient.
"""

from ..engine import enable_grad
from ..op import wrap
from ..ops.creation import zeros_like
from ..ops.shape import reshape, stack
from ..tensor import Tensor
from .gradients import grad


def _prepare(inputs, create_graph):
    """Inputs as a tuple of fresh tensors that require gradients, and whether there was just one."""
    single = isinstance(inputs, Tensor)
    inputs = (inputs,) if single else tuple(inputs)
    for i, x in enumerate(inputs):
        if not isinstance(x, Tensor):
            raise TypeError(f"input {i} must be a Tensor, not {type(x).__name__}")
    if create_graph:
        return tuple(
            x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in inputs
        ), single
    return tuple(x.detach().requires_grad_() for x in inputs), single


def _outputs(func, inputs):
    outputs = func(*inputs)
    single = isinstance(outputs, Tensor)
    outputs = (outputs,) if single else tuple(outputs)
    for i, y in enumerate(outputs):
        if not isinstance(y, Tensor):
            raise TypeError(f"output {i} of the function must be a Tensor, not {type(y).__name__}")
    return outputs, single


def _direction(v, like, name):
    """The vector v as a tuple that fits `like`; left out, it is 1 for a single number."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"{name}: v may be left out only where there is a single number to weigh"
            )
        return (wrap(like[0].array * 0 + 1),)
    v = (v,) if isinstance(v, Tensor) else tuple(v)
    if [t.shape for t in v] != [t.shape for t in like]:
        raise RuntimeError(
            f"{name}: v has shapes {[tuple(t.shape) for t in v]}, but "
            f"{[tuple(t.shape) for t in like]} are needed"
        )
    return v


def _grad_or_zeros(outputs, inputs, v, create_graph, strict, name):
    """Gradients, zeros where an input has no part; under `strict` that is an error."""
    live = [(y, g) for y, g in zip(outputs, v, strict=True) if y.requires_grad]
    if strict and len(live) < len(outputs):
        raise RuntimeError(f"{name}: an output of the function is independent of the inputs")
    found = (None,) * len(inputs)
    if live:
        ys, gs = zip(*live, strict=True)
        found = grad(
            ys, inputs, gs, create_graph=create_graph, retain_graph=True, allow_unused=True
        )
    if strict and None in found:
        raise RuntimeError(f"{name}: the outputs are independent of an input of the function")
    return tuple(zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True))


def _finish(tensors, create_graph, single):
    if not create_graph:
        tensors = tuple(t.detach() for t in tensors)
    return tensors[0] if single else tensors


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), v^T J): the gradient of the outputs weighed with v."""
    with enable_grad():
        inputs, one_in = _prepare(inputs, create_graph)
        outputs, one_out = _outputs(func, inputs)
        v = _direction(v, outputs, "vjp")
        found = _grad_or_zeros(outputs, inputs, v, create_graph, strict, "vjp")
    return _finish(outputs, create_graph, one_out), _finish(found, create_graph, one_in)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), J v): how the outputs change when the inputs move along v.

    u^T J is linear in u, so its derivative with respect to u, weighed with v, is J v.
    """
    with enable_grad():
        inputs, _ = _prepare(inputs, create_graph)
        v = _direction(v, inputs, "jvp")
        outputs, one_out = _outputs(func, inputs)
        u = tuple(zeros_like(y).requires_grad_() for y in outputs)
        pulled = _grad_or_zeros(outputs, inputs, u, True, strict, "jvp")
        pushed = _grad_or_zeros(pulled, u, v, create_graph, False, "jvp")
    return _finish(outputs, create_graph, one_out), _finish(pushed, create_graph, one_out)


def jacobian(
    func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"
):
    """All derivatives d output[i] / d input[j], of shape (*output.shape, *input.shape).

    Several inputs or outputs give tuples of them, outputs outermost. `vectorize` and `strategy` are
    accepted and have no effect on the result.
    """
    with enable_grad():
        inputs, one_in = _prepare(inputs, create_graph)
        outputs, one_out = _outputs(func, inputs)
        table = []
        for y in outputs:
            rows = []
            for k in range(y.numel()):
                unit = zeros_like(y)
                unit.array.reshape(-1)[k] = 1
                rows.append(_grad_or_zeros((y,), inputs, (unit,), create_graph, strict, "jacobian"))
            blocks = tuple(
                reshape(stack([row[j] for row in rows]), (*y.shape, *x.shape))
                if rows
                else wrap(x.array.reshape(-1)[:0].reshape((*y.shape, *x.shape)))
                for j, x in enumerate(inputs)
            )
            table.append(_finish(blocks, create_graph, one_in))
    return table[0] if one_out else tuple(table)


def _single_number(func, name):
    def checked(*inputs):
        out = func(*inputs)
        if not isinstance(out, Tensor) or out.numel() != 1:
            raise RuntimeError(f"{name}: the function must return a Tensor with a single number")
        return reshape(out, ())

    return checked


def hessian(
    func,
    inputs,
    create_graph=False,
    strict=False,
    vectorize=False,
    outer_jacobian_strategy="reverse-mode",
):
    """The second derivatives of a function with a single number as its value."""
    one_in = isinstance(inputs, Tensor)
    value = _single_number(func, "hessian")

    def gradient(*xs):
        return _grad_or_zeros(
            (value(*xs),),
            xs,
            (wrap(xs[0].array.reshape(-1)[:1].reshape(()) * 0 + 1),),
            True,
            strict,
            "hessian",
        )

    table = jacobian(gradient, inputs if not one_in else (inputs,), create_graph, False)
    return table[0][0] if one_in else table


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), v^T H) for a function with a single number as its value."""
    with enable_grad():
        inputs, one_in = _prepare(inputs, create_graph)
        v = _direction(v, inputs, "vhp")
        output = _single_number(func, "vhp")(*inputs)
        one = wrap(output.array * 0 + 1)
        first = _grad_or_zeros((output,), inputs, (one,), True, strict, "vhp")
        second = _grad_or_zeros(first, inputs, v, create_graph, False, "vhp")
    return _finish((output,), create_graph, True), _finish(second, create_graph, one_in)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), H v); the Hessian is symmetric, so this is `vhp`."""
    return vhp(func, inputs, v, create_graph, strict)
