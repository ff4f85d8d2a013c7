"""Clipping of gradients, by the norm of all together or one number at a time."""

import warnings
from collections.abc import Iterable
from types import GeneratorType

import numpy

from ...backend import array_module, native_device
from ...engine import no_grad
from ...kernels import clip
from ...op import wrap
from ...ops.creation import tensor
from ...ops.linalg import vector_norm
from ...ops.shape import stack
from ...sparse import RowSparse
from ...tensor import Tensor


def _as_list(tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _plain(tensors):
    """True if all are dense, of one dtype that kernels know, and neither views nor in a graph."""
    like = tensors[0].array
    if type(like) is RowSparse or like.dtype.kind != "f" or like.dtype.itemsize < 4:
        return False
    return all(
        type(t.array) is type(like)
        and t.array.dtype == like.dtype
        and t.array.device == like.device
        and t._base is None
        and not t._requires_grad
        for t in tensors
    )


@no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all numbers of all tensors, as if they were one vector.

    error_if_nonfinite: raise RuntimeError if it is infinite or NaN.
    """
    tensors = _as_list(tensors)
    norm_type = float(norm_type)
    if not tensors:
        return tensor(0.0)
    if norm_type == 2.0 and _plain(tensors):
        arrays = [t.array for t in tensors]
        with native_device(arrays[0]):
            total = wrap(clip.total_norm[array_module(arrays[0])](arrays))
    else:
        norms = [vector_norm(t, norm_type).to(tensors[0].device) for t in tensors]
        total = vector_norm(stack(norms), norm_type)
    if error_if_nonfinite and not bool(total.isfinite()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Multiply all gradients by min(1, max_norm / (total_norm + 1e-6))."""
    grads = [p.grad for p in _as_list(parameters) if p.grad is not None]
    if not grads:
        return
    factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    if _plain(grads):
        arrays = [grad.array for grad in grads]
        with native_device(arrays[0]):
            xp = array_module(arrays[0])
            clip.scale_all[xp](arrays, factor.item() if xp is numpy else factor.array)
        for grad in grads:
            grad.bump()
    else:
        for grad in grads:
            grad.mul_(factor.to(grad.device))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Shrink all gradients together so that their norm is at most max_norm.

    Returns the norm before. Call it between backward and the optimizer's step. Pascanu et al. 2013.
    norm_type: 2, or any p, or inf for the largest absolute value.
    """
    is_generator = isinstance(parameters, GeneratorType)
    parameters = _as_list(parameters)
    if is_generator and not parameters:
        warnings.warn(
            "`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2
        )
    grads = [p.grad for p in parameters if p.grad is not None]
    total = get_total_norm(grads, norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The old name of `clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of "
        "`torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@no_grad()
def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Cut every number of every gradient to [-clip_value, clip_value]."""
    clip_value = float(clip_value)
    for p in _as_list(parameters):
        if p.grad is not None:
            p.grad.clamp_(-clip_value, clip_value)
