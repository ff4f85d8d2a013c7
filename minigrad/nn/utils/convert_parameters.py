"""All parameters of a model as one vector, and back."""

from collections.abc import Iterable

from ...ops.shape import cat
from ...tensor import Tensor


def _check_devices(parameters: list[Tensor]) -> None:
    if len({param.device for param in parameters}) > 1:
        raise TypeError(
            "Found two parameters on different devices, this is currently not supported."
        )


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The numbers of all parameters, one after the other; gradients flow back to them."""
    parameters = list(parameters)
    _check_devices(parameters)
    return cat([param.reshape(-1) for param in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give the parameters the numbers of a vector; afterwards they share its memory."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}")
    parameters = list(parameters)
    _check_devices(parameters)
    total = sum(param.numel() for param in parameters)
    if vec.numel() < total:
        raise RuntimeError(
            f"vector_to_parameters: the vector holds {vec.numel()} numbers for {total} of the "
            "parameters"
        )
    start = 0
    for param in parameters:
        end = start + param.numel()
        param.data = vec[start:end].view(param.shape).data
        start = end
