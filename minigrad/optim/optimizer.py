"""Optimizer: parameter groups, state, and the step that every method shares.

A method is a subclass with an `update(group, p, g, state)` that changes one parameter, or an
`update_all(group, dense)` for all of a group, which kernels do in one pass. Updates work on arrays: `w`
is the parameter's array, `g` its gradient's, and the method's own arrays are kept as Tensors in
`state`, under torch's names, so that state_dicts go both ways.
"""

import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from copy import deepcopy

from .. import capture
from ..backend import array_module, native_device, out_of_memory
from ..engine import enable_grad
from ..op import wrap
from ..sparse import RowSparse, UnreadRows
from ..tensor import HookHandle, Tensor


class _Required:
    def __repr__(self):
        return "<required parameter>"


required = _Required()


def check_at_least(name: str, value, low: float = 0.0) -> None:
    """ValueError in torch's words for a hyper-parameter below its least value."""
    if not low <= value:
        raise ValueError(f"Invalid {name}: {value}")


def check_betas(betas) -> None:
    """ValueError for decay rates outside [0, 1)."""
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def zeros_like(p: Tensor) -> Tensor:
    """A state tensor of zeros in a parameter's shape and dtype."""
    return wrap(array_module(p.array).zeros_like(p.array))


def counter(p: Tensor | None = None) -> Tensor:
    """A step count as torch keeps it: a 0-d float32 tensor, beside the parameter p if one is given."""
    return wrap(array_module(None if p is None else p.array).zeros((), "float32"))


def count(state: dict) -> int:
    """Add one to the step count of a parameter, and return it."""
    step = state["step"]
    if isinstance(step, Tensor):
        t = int(step.array.item()) + 1
        step.array.fill(t)  # a tenth of the time of += on a 0-d array
        return t
    state["step"] = step + 1
    return state["step"]


def sign(group: dict) -> int:
    """What the gradient is multiplied by: -1 where the objective is maximized."""
    return -1 if group["maximize"] else 1


class Rows(defaultdict):
    """Rows of arrays for a kernel, apart by what differs (as the step count) and by device."""

    def __init__(self):
        super().__init__(list)

    def add(self, key, *row) -> None:
        """One parameter's arrays, the parameter first."""
        self[key, row[0].device].append(row)

    def runs(self):
        """(key, array module, rows) for all that can be done together."""
        for (key, _), rows in self.items():
            with native_device(rows[0][0]):
                yield key, array_module(rows[0][0]), rows


class Optimizer:
    """Base of all optimizers.

    params: parameters, or (name, parameter) pairs, or dicts with "params" and options of that
    group's own. `foreach` and `fused` are accepted everywhere and change nothing; `differentiable` is
    refused, and so is `capturable` but for Adam and AdamW: their steps can be part of a CUDA graph.
    """

    can_be_captured = False

    def __init__(self, params, defaults: dict):
        if defaults.get("differentiable"):
            raise NotImplementedError(
                f"{type(self).__name__}: differentiable=True is not supported: updates are not recorded"
            )
        if defaults.get("capturable") and not self.can_be_captured:
            raise NotImplementedError(
                f"{type(self).__name__}: capturable=True is not supported: use Adam, AdamW or SGD"
            )
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {type(params).__name__}"
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict] = defaultdict(dict)
        self.param_groups: list[dict] = []
        self._before: dict[int, Callable] = OrderedDict()
        self._after: dict[int, Callable] = OrderedDict()
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict) -> None:
        """Optimize more parameters, with options of their own where given."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = dict(param_group)
        params = group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering "
                "of tensors in sets will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        if params and isinstance(params[0], tuple):
            group["param_names"] = [name for name, _ in params]
            params = [p for _, p in params]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(p)}"
                )
            if not p.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        group["params"] = params
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(
                    f"parameter group didn't specify a value of required optimization parameter {name}"
                )
            group.setdefault(name, default)
        if len({id(p) for p in params}) < len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this "
                "will cause an error",
                stacklevel=3,
            )
        known = {id(p) for other in self.param_groups for p in other["params"]}
        if any(id(p) in known for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        if self.param_groups and ("param_names" in group) != (
            "param_names" in self.param_groups[0]
        ):
            raise ValueError(
                "all optimizer param groups should be with/without names. Found inconsistent groups"
            )
        self.param_groups.append(group)

    # -- the step --------------------------------------------------------------------------------

    def step(self, closure: Callable | None = None):
        """Change every parameter that has a gradient; `closure` computes the loss afresh first."""
        if capture.now.capture is not None:
            self._check_captured()
        for hook in self._before.values():
            hook(self, (closure,), {})
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            self.prepare(group)
            dense = []
            for p in group["params"]:
                grad = p._grad
                if grad is None:
                    continue
                g = grad.array
                if type(g) is UnreadRows and not self.only_rows(group):
                    g = p.grad.array
                if type(g) in (RowSparse, UnreadRows):
                    self.update_rows(group, p, g)
                else:
                    dense.append((p, g))
                p.bump()
            if dense:
                try:
                    self.update_all(group, dense)
                except MemoryError as error:
                    raise out_of_memory(f"{type(self).__name__}.step", error) from error
        for hook in self._after.values():
            hook(self, (closure,), {})
        return loss

    def _check_captured(self):
        """RuntimeError for a step, about to be captured, that counts on the host."""
        for group in self.param_groups:
            if group.get("capturable") is False:
                raise RuntimeError(
                    "Attempting CUDA graph capture of step() for an instance of "
                    f"{type(self).__name__} but param_groups' capturable is False."
                )

    def first_step(self) -> None:
        """Called before state is made: a captured graph would make it anew at each replay."""
        capture.refuse(
            f"{type(self).__name__}.step: the first step, which makes the state,",
            "take a step before the capture",
        )

    def prepare(self, group: dict) -> None:
        """What has to happen once per group before its parameters change."""

    def only_rows(self, group: dict) -> bool:
        """True if rows whose gradient is zero keep their value and their state."""
        return False

    def update_all(self, group: dict, dense: list) -> None:
        """Change parameters of one group, given (parameter, its gradient's array) of each."""
        for p, g in dense:
            with native_device(g):
                self.update(group, p, -g if group.get("maximize") else g, self.state[p])

    def rows(self, dense: list, names: Sequence[str]):
        """(step count, array module, [(w, g, state, ...), ...]) for a kernel that updates them.

        The step counts have gone one up, and state that is missing at the first step is zeros.
        """
        rows = Rows()
        self.make_state(dense, names)
        for p, g in dense:
            state = self.state[p]
            rows.add(count(state), p.array, g, *[state[name].array for name in names])
        return rows.runs()

    def make_state(self, dense: list, names: Sequence[str], beside: bool = False) -> None:
        """Missing state, before anything changes; beside: step counts lie where the parameters do."""
        for p, _ in dense:
            state = self.state[p]
            if not state:
                self.first_step()
                with native_device(p):
                    made = {name: zeros_like(p) for name in names}
                    state.update(step=counter(p if beside else None), **made)
            elif (
                beside and state["step"].device != p.device
            ):  # loaded, or counted on the host before
                self.first_step()
                state["step"] = state["step"].to(p.device)

    def update(self, group: dict, p: Tensor, g, state: dict) -> None:
        """Change one parameter, given its gradient's array (negated if the loss is maximized)."""
        raise NotImplementedError

    def update_rows(self, group: dict, p: Tensor, g) -> None:
        """Change one parameter, given a gradient of which only some rows are not zero."""
        raise RuntimeError(
            f"{type(self).__name__} does not support sparse gradients; use SparseAdam, SGD or "
            "Adagrad, or an Embedding with sparse=False"
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    p._grad = wrap(array_module(p.array).zeros_like(p.array))

    def register_step_pre_hook(self, hook: Callable) -> HookHandle:
        """Call hook(optimizer, args, kwargs) before every step."""
        return HookHandle(self._before, hook)

    def register_step_post_hook(self, hook: Callable) -> HookHandle:
        """Call hook(optimizer, args, kwargs) after every step."""
        return HookHandle(self._after, hook)

    # -- state -------------------------------------------------------------------------------------

    def state_dict(self) -> dict:
        """State and options in torch's layout: parameters are numbered in the order of the groups."""
        number = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                number.setdefault(id(p), len(number))
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [number[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {
            number[id(key)] if isinstance(key, Tensor) else key: value
            for key, value in self.state.items()
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from a saved state; everything is checked before anything changes."""
        groups, saved = self.param_groups, deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(groups, saved, strict=True)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                "optimizer's group"
            )
        of_number = {
            i: p
            for mine, theirs in zip(groups, saved, strict=True)
            for i, p in zip(theirs["params"], mine["params"], strict=True)
        }
        state = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in of_number:
                state[of_number[key]] = _like_parameter(value, of_number[key])
            else:
                state[key] = value
        self.state = state
        for mine, theirs in zip(groups, saved, strict=True):
            params = mine["params"]
            mine.update({k: v for k, v in theirs.items() if k != "params"})
            mine["params"] = params

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            for key in sorted(k for k in group if k not in ("params", "param_names")):
                text += f"    {key}: {group[key]}\n"
        return text + ")"

    def __getstate__(self):
        return {
            "defaults": self.defaults,
            "state": self.state,
            "param_groups": self.param_groups,
        }


def _like_parameter(value, p, key=None):
    """A copy of saved state, in the parameter's dtype and on its device (step counts as they are)."""
    if isinstance(value, Tensor):
        if key == "step" or not value.is_floating_point():
            return value.detach().clone()
        return value.detach().to(dtype=p.dtype, device=p.device, copy=True)
    if isinstance(value, dict):
        return {k: _like_parameter(v, p, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_like_parameter(v, p) for v in value)
    return deepcopy(value)


def as_number(value):
    """A hyper-parameter that may have been given as a 0-d tensor."""
    return value.item() if isinstance(value, Tensor) else value


def rate_of(value):
    """A learning rate as kernels take it: a number, or the array of a tensor that is on a GPU."""
    if isinstance(value, Tensor) and value.device.type == "cuda":
        return value.array.reshape(())
    return as_number(value)
