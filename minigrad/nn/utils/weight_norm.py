"""Weight normalisation by a hook, the older form of `parametrizations.weight_norm`."""

import warnings

from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter
from .parametrizations import norm_except_dim


class WeightNorm:
    """Before each forward: weight = weight_g weight_v / ||weight_v||."""

    def __init__(self, name: str, dim: int):
        self.name = name
        self.dim = dim

    def compute_weight(self, module: Module) -> Tensor:
        """The weight, from length and direction."""
        g = getattr(module, self.name + "_g")
        v = getattr(module, self.name + "_v")
        return v * (g / norm_except_dim(v, self.dim))

    def remove(self, module: Module) -> None:
        """Make the weight an ordinary parameter again."""
        weight = self.compute_weight(module)
        delattr(module, self.name)
        delattr(module, self.name + "_g")
        delattr(module, self.name + "_v")
        setattr(module, self.name, Parameter(weight.detach()))

    def __call__(self, module: Module, inputs) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """w = g v / ||v||, with parameters <name>_g and <name>_v.  Salimans & Kingma 2016.

    Deprecated in favour of `nn.utils.parametrizations.weight_norm`; the state_dict keys differ.
    """
    warnings.warn(
        "`torch.nn.utils.weight_norm` is deprecated in favor of "
        "`torch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm) and hook.name == name:
            raise RuntimeError(
                f"Cannot register two weight_norm hooks on the same parameter {name}"
            )
    norm = WeightNorm(name, -1 if dim is None else dim)
    weight = getattr(module, name).detach()
    delattr(module, name)
    module.register_parameter(name + "_g", Parameter(norm_except_dim(weight, norm.dim)))
    module.register_parameter(name + "_v", Parameter(weight))
    setattr(module, name, norm.compute_weight(module))
    module.register_forward_pre_hook(norm)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Undo `weight_norm`; the weight keeps its value."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
