"""Pruning: weights set to zero by a mask, and kept there.

A pruned `weight` is computed before each forward as weight_orig weight_mask: the parameter
`weight_orig` goes on being trained, the buffer `weight_mask` holds 1 where it counts. `remove`
makes it permanent.
"""

import numbers
from collections.abc import Iterable

from ...ops.creation import ones_like, zeros_like
from ...ops.random import rand, rand_like
from ...tensor import Tensor
from ..module import Module
from .convert_parameters import parameters_to_vector


class BasePruningMethod:
    """A way to choose what is pruned: subclasses give `compute_mask` and PRUNING_TYPE.

    PRUNING_TYPE: "unstructured" (single numbers), "structured" (slices along `self.dim`) or
    "global" (the mask as it is).
    """

    PRUNING_TYPE = "unstructured"
    _tensor_name: str

    def __call__(self, module: Module, inputs) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """1 where a number stays, 0 where it goes; default_mask holds what has gone before."""
        raise NotImplementedError(f"{type(self).__name__} defines no compute_mask")

    def apply_mask(self, module: Module) -> Tensor:
        """original * mask."""
        mask = getattr(module, self._tensor_name + "_mask")
        original = getattr(module, self._tensor_name + "_orig")
        return mask.to(dtype=original.dtype) * original

    @classmethod
    def apply(cls, module: Module, name: str, *args, importance_scores=None, **kwargs):
        """Prune `module.<name>`; pruned before, it is pruned further."""
        method = cls(*args, **kwargs)
        method._tensor_name = name
        hooks = module._forward_pre_hooks
        before = [
            (key, hook)
            for key, hook in hooks.items()
            if isinstance(hook, BasePruningMethod) and hook._tensor_name == name
        ]
        value = getattr(module, name)
        scores = value if importance_scores is None else importance_scores
        if scores.shape != value.shape:
            raise AssertionError(
                "importance_scores should have the same shape as parameter "
                f"{name} of {module}, got {scores.shape} vs {value.shape}"
            )
        scores = scores.detach()
        if before:
            default_mask = getattr(module, name + "_mask").detach().clone()
            old = before[0][1]
            container = old if isinstance(old, PruningContainer) else PruningContainer(old)
            mask = PruningContainer(method).compute_mask(scores, default_mask)
            container.add_pruning_method(method)
            method = container
            for key, _ in before:
                del hooks[key]
        else:
            mask = method.compute_mask(scores, default_mask=ones_like(value.detach()))
            del module._parameters[name]
            module.register_parameter(name + "_orig", value)
        module.register_buffer(name + "_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Tensor, default_mask=None, importance_scores=None) -> Tensor:
        """The pruned tensor itself, without a module."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError(
                "importance_scores should have the same shape as tensor t, "
                f"got {scores.shape} vs {t.shape}"
            )
        default_mask = ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores.detach(), default_mask=default_mask)

    def remove(self, module: Module) -> None:
        """Make the pruning permanent: the parameter gets its zeros, the mask goes."""
        name = self._tensor_name
        weight = self.apply_mask(module).detach()
        original = module._parameters[name + "_orig"]
        for part in (name, name + "_orig", name + "_mask"):
            delattr(module, part)
        original.data = weight
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """Several prunings of one tensor, one after the other; each sees what the last has left."""

    def __init__(self, *methods: BasePruningMethod):
        self._pruning_methods = ()
        if methods:
            self._tensor_name = methods[0]._tensor_name
        for method in methods:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Add a pruning of the same tensor."""
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method._tensor_name != self._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self):
        return iter(self._pruning_methods)

    def __getitem__(self, index):
        return self._pruning_methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The last method's mask, computed on what the ones before it have left."""
        method = self._pruning_methods[-1]
        if method.PRUNING_TYPE == "unstructured":
            part = default_mask == 1
        elif method.PRUNING_TYPE == "structured":
            if not hasattr(method, "dim"):
                raise AttributeError(
                    'Pruning methods of PRUNING_TYPE "structured" need to have the attribute '
                    "`dim` defined."
                )
            dim = method.dim % t.dim()
            others = [d for d in range(t.dim()) if d != dim]
            part = [slice(None)] * t.dim()
            part[dim] = default_mask.sum(dim=others) != 0
            part = tuple(part)
        elif method.PRUNING_TYPE == "global":
            part = (slice(None),) * t.dim()
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        mask = default_mask.to(dtype=t.dtype).clone()
        mask[part] = method.compute_mask(t[part], default_mask=default_mask[part]).to(dtype=t.dtype)
        return mask


def _check_amount(amount) -> None:
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    whole = isinstance(amount, numbers.Integral)
    if amount < 0 or (not whole and amount > 1):
        raise ValueError(
            f"amount={amount} should either be a float in the range [0, 1] or a "
            "non-negative integer"
        )


def _count(amount, size: int) -> int:
    """How many of `size` things to prune: a number as it is, a share of the size rounded."""
    if not isinstance(amount, numbers.Integral):
        return round(amount * size)
    if amount > size:
        raise ValueError(
            f"amount={amount} should be smaller than the number of parameters to prune={size}"
        )
    return amount


def _check_structured(t: Tensor, dim: int) -> None:
    if t.dim() <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. "
            f"Found tensor of shape {t.shape} with {t.dim()} dims"
        )
    if dim >= t.dim():
        raise IndexError(f"Invalid index {dim} for tensor of size {t.shape}")


def _without(mask: Tensor, places: Tensor) -> Tensor:
    flat = mask.clone().reshape(-1)
    flat[places] = 0
    return flat.reshape(mask.shape)


def _only(t: Tensor, dim: int, kept: Tensor, default_mask: Tensor) -> Tensor:
    """The mask that keeps the slices `kept` (indices or bools) along `dim`."""
    part = [slice(None)] * t.dim()
    part[dim] = kept
    mask = zeros_like(t)
    mask[tuple(part)] = 1
    return mask * default_mask.to(dtype=mask.dtype)


class Identity(BasePruningMethod):
    """Prunes nothing, but sets up mask and original."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """Prunes numbers at random; amount: how many, or which share."""

    def __init__(self, amount: int | float):
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _count(self.amount, t.numel())
        if count == 0:
            return default_mask.clone()
        return _without(default_mask, rand_like(t).reshape(-1).topk(count).indices)


class L1Unstructured(BasePruningMethod):
    """Prunes the numbers of the smallest absolute value; amount: how many, or which share."""

    def __init__(self, amount: int | float):
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _count(self.amount, t.numel())
        if count == 0:
            return default_mask.clone()
        smallest = t.abs().reshape(-1).topk(count, largest=False).indices
        return _without(default_mask, smallest)


class RandomStructured(BasePruningMethod):
    """Prunes slices along `dim` at random; amount: how many, or which share."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: int | float, dim: int = -1):
        _check_amount(amount)
        self.amount = amount
        self.dim = dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        _check_structured(t, self.dim)
        size = t.shape[self.dim]
        count = _count(self.amount, size)
        if count == 0:
            return default_mask
        luck = rand(size)
        kept = luck > luck.sort().values[count - 1]
        return _only(t, self.dim, kept, default_mask)


class LnStructured(BasePruningMethod):
    """Prunes the slices along `dim` with the smallest n-norm; amount: how many, or which share."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: int | float, n: float, dim: int = -1):
        _check_amount(amount)
        self.amount = amount
        self.n = n
        self.dim = dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        _check_structured(t, self.dim)
        size = t.shape[self.dim]
        count = _count(self.amount, size)
        if count == 0:
            return default_mask
        others = [d for d in range(t.dim()) if d != self.dim % t.dim()]
        norms = t.norm(p=self.n, dim=others)
        return _only(t, self.dim, norms.topk(size - count).indices, default_mask)


class CustomFromMask(BasePruningMethod):
    """Prunes what a given mask says."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor):
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"the mask has shape {self.mask.shape}, the tensor {default_mask.shape}"
            )
        return default_mask * self.mask.to(dtype=default_mask.dtype)


def identity(module: Module, name: str) -> Module:
    """Set up `<name>_orig` and a mask of ones."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: int | float) -> Module:
    """Prune numbers at random; amount: how many, or which share."""
    RandomUnstructured.apply(module, name, amount=amount)
    return module


def l1_unstructured(
    module: Module, name: str, amount: int | float, importance_scores: Tensor | None = None
) -> Module:
    """Prune the numbers of smallest absolute value, or of smallest importance score."""
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: int | float, dim: int) -> Module:
    """Prune slices along `dim` at random."""
    RandomStructured.apply(module, name, amount=amount, dim=dim)
    return module


def ln_structured(
    module: Module,
    name: str,
    amount: int | float,
    n: float,
    dim: int,
    importance_scores: Tensor | None = None,
) -> Module:
    """Prune the slices along `dim` with the smallest n-norm."""
    LnStructured.apply(
        module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores
    )
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune what the mask says: 1 stays, 0 goes."""
    CustomFromMask.apply(module, name, mask=mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: dict[tuple[Module, str], Tensor] | None = None,
    **kwargs,
) -> None:
    """Prune several tensors as if they were one: parameters is a list of (module, name).

    kwargs go to the method: `global_unstructured(p, L1Unstructured, amount=0.2)`.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    parameters = list(parameters)
    importance_scores = {} if importance_scores is None else importance_scores
    if not isinstance(importance_scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {method.PRUNING_TYPE}"
        )
    tensors = [getattr(module, name).detach() for module, name in parameters]
    scores = parameters_to_vector(
        [importance_scores.get(key, t).detach() for key, t in zip(parameters, tensors, strict=True)]
    )
    masks = parameters_to_vector(
        [
            getattr(module, name + "_mask", ones_like(t))
            for (module, name), t in zip(parameters, tensors, strict=True)
        ]
    )
    final = PruningContainer(method).compute_mask(scores, masks)
    start = 0
    for (module, name), t in zip(parameters, tensors, strict=True):
        end = start + t.numel()
        custom_from_mask(module, name, mask=final[start:end].reshape(t.shape))
        start = end


def remove(module: Module, name: str) -> Module:
    """Make the pruning of `module.<name>` permanent."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(
        f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
    )


def is_pruned(module: Module) -> bool:
    """True if the module or one below it has a pruned parameter."""
    return any(
        isinstance(hook, BasePruningMethod)
        for child in module.modules()
        for hook in child._forward_pre_hooks.values()
    )
