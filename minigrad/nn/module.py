"""Module, the base class of every layer and model: parameters, children, state, hooks.

A module is a tree. Each node holds parameters (trained), buffers (kept, not trained) and child
modules; `forward` says what it computes. Registration happens by assignment: `self.weight =
Parameter(...)` files the parameter under its name, and the dotted path from the root
(`encoder.0.weight`) is its key in `state_dict`.
"""

import itertools
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from .. import backend
from ..dtypes import dtype as Dtype
from ..engine import is_grad_enabled, no_grad
from ..tensor import HookHandle, Tensor
from .hooks import BackwardHooks, as_tuple
from .parameter import Buffer, Parameter, is_lazy

EXTRA_STATE = "_extra_state"
HOOK_TABLES = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class _IncompatibleKeys(namedtuple("_Keys", ["missing_keys", "unexpected_keys"])):
    __slots__ = ()

    def __repr__(self):
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class _Entry(NamedTuple):
    """A tensor of a state dict, on its way into the parameter or buffer `module.name`."""

    module: "Module"
    name: str
    present: Tensor
    new: Tensor
    assign: bool

    def take(self):
        if not self.assign:
            if is_lazy(self.present):
                self.present.materialize(self.new.shape)
            with no_grad():
                self.present.copy_(self.new)
            return
        new = self.new
        if isinstance(self.present, Parameter):
            if not isinstance(new, Parameter):
                new = Parameter(new, requires_grad=self.present.requires_grad)
            new.requires_grad_(self.present.requires_grad)
        setattr(self.module, self.name, new)

    def restore(self, numbers):
        setattr(self.module, self.name, self.present)
        with no_grad():
            self.present.copy_(numbers)


def type_name(value) -> str:
    """The name that an error message calls `value` by: `torch.FloatTensor`, `str`, `my.Model`."""
    if isinstance(value, Tensor):
        return value.type()
    kind = value if isinstance(value, type) else type(value)
    if kind.__module__ in ("builtins", "__builtin__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def indent(text: str, spaces: int) -> str:
    """`text` with every line but the first moved right."""
    return text.replace("\n", "\n" + " " * spaces)


def _add_path(error: Exception, module: "Module") -> None:
    """Write into the error's note where in the model it arose: `in Net.encoder.0 = Linear(...)`.

    Called at each module that the error passes, from the inside out. Each call finds the name of
    the module below and puts it before the path so far; nothing is computed without an error.
    """
    below, path, leaf, old = getattr(error, "_module_path", (None, "", "", None))
    if below is module:
        return  # super().__call__, or a hook that called the module again
    if below is None:
        text = repr(module)
        leaf = text if "\n" not in text else type(module).__name__ + "(...)"
    else:
        names = (name for name, child in module.named_modules() if child is below)
        path = "." + next(names, f"<{type(below).__name__}, not registered>") + path
    note = f"in {type(module).__name__}{path} = {leaf}" if path else f"in {leaf}"
    if old is None:
        error.add_note(note)
    else:
        error.__notes__[error.__notes__.index(old)] = note
    error._module_path = (module, path, leaf, note)


class Module:
    """The base of all layers and models: make the parts in `__init__`, compute in `forward`.

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.hidden = nn.Linear(300, 64)
                self.out = nn.Linear(64, 2)

            def forward(self, x):
                return self.out(self.hidden(x).relu())

    Call the module (`net(x)`), not its `forward`: the call runs the hooks, and an error that passes
    through it gets a note with the path of the layer at fault (`in Net.hidden = Linear(...)`).
    """

    dump_patches = False
    _version = 1
    training: bool

    def __init__(self, *args, **kwargs):
        if kwargs:
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword argument "
                f"'{next(iter(kwargs))}'"
            )
        if args:
            raise TypeError(
                f"{type(self).__name__}.__init__() takes 1 positional argument "
                f"but {len(args) + 1} were given"
            )
        fields = self.__dict__
        fields["training"] = True
        fields["_parameters"] = {}
        fields["_buffers"] = {}
        fields["_non_persistent_buffers_set"] = set()
        fields["_modules"] = {}
        for table in HOOK_TABLES:
            fields[table] = OrderedDict()

    # -- calling -----------------------------------------------------------------------------------

    def forward(self, *inputs):
        """What the module computes; every subclass says."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args, **kwargs):
        if backend.gpus > 1 and backend.elsewhere(*args, *kwargs.values()):
            with backend.native_device(*args, *kwargs.values()):
                return self(*args, **kwargs)
        try:
            if not (
                self._forward_hooks
                or self._forward_pre_hooks
                or self._backward_hooks
                or self._backward_pre_hooks
            ):
                return self.forward(*args, **kwargs)
            return self._call_with_hooks(args, kwargs)
        except Exception as error:
            _add_path(error, self)
            raise

    def _call_with_hooks(self, args, kwargs):
        called = set()
        try:
            for key, hook in list(self._forward_pre_hooks.items()):
                if key in self._forward_pre_hooks_with_kwargs:
                    change = hook(self, args, kwargs)
                    if change is not None:
                        if not (isinstance(change, tuple) and len(change) == 2):
                            raise RuntimeError(
                                "forward pre-hook must return None or a tuple "
                                f"of (new_args, new_kwargs), but got {change}."
                            )
                        args, kwargs = change
                else:
                    change = hook(self, args)
                    if change is not None:
                        args = as_tuple(change)
            backward = None
            if (self._backward_hooks or self._backward_pre_hooks) and is_grad_enabled():
                pre_hooks = list(self._backward_pre_hooks.values())
                backward = BackwardHooks(self, pre_hooks, list(self._backward_hooks.values()))
                args = backward.gate_inputs(args)
            result = self.forward(*args, **kwargs)
            for key, hook in list(self._forward_hooks.items()):
                called.add(key)
                result = self._call_forward_hook(key, hook, args, kwargs, result)
            return result if backward is None else backward.gate_outputs(result)
        except Exception:
            for key, hook in list(self._forward_hooks.items()):
                if key in self._forward_hooks_always_called and key not in called:
                    self._call_forward_hook(key, hook, args, kwargs, None)
            raise

    def _call_forward_hook(self, key, hook, args, kwargs, result):
        if key in self._forward_hooks_with_kwargs:
            change = hook(self, args, kwargs, result)
        else:
            change = hook(self, args, result)
        return result if change is None else change

    def _register_in(self, table: OrderedDict, hook: Callable, prepend=False) -> HookHandle:
        handle = HookHandle(table, hook)
        if prepend:
            table.move_to_end(handle.id, last=False)
        return handle

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, args)` before `forward`; a result replaces the arguments."""
        handle = self._register_in(self._forward_pre_hooks, hook, prepend)
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        return handle

    def register_forward_hook(
        self,
        hook: Callable,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> HookHandle:
        """Call `hook(module, args, output)` after `forward`; a result replaces the output."""
        handle = self._register_in(self._forward_hooks, hook, prepend)
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        return handle

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_input, grad_output)` in backward; it may replace grad_input."""
        return self._register_in(self._backward_hooks, hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_output)` before its backward; a result replaces grad_output."""
        return self._register_in(self._backward_pre_hooks, hook, prepend)

    register_backward_hook = register_full_backward_hook

    # -- registration ------------------------------------------------------------------------------

    def _check_new_name(self, kind: str, name: str, table: dict) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type_name(name)}")
        if "." in name:
            got = f", got: {name}" if kind == "module" else ""
            raise KeyError(f'{kind} name can\'t contain "."{got}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in table:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """File `param` as `self.<name>`. None says that there is none: a layer without bias."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_new_name("parameter", name, self._parameters)
        if param is None:
            self._parameters[name] = None
            return
        if not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type_name(param)}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        if param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be "
                f"created explicitly. To express '{name}' as a function of another Tensor, "
                "compute the value in the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """File a tensor that belongs to the state but is not trained: a running mean, a mask.

        It follows `.to(...)`; it is part of `state_dict` unless `persistent=False`.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_new_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type_name(tensor)}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: "Module | None") -> None:
        """File `module` as the child `self.<name>`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type_name(module)} is not a Module subclass")
        if "_modules" not in self.__dict__:
            raise AttributeError("cannot assign module before Module.__init__() call")
        self._check_new_name("module", name, self._modules)
        self._modules[name] = module

    def register_module(self, name: str, module: "Module | None") -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    def __getattr__(self, name: str) -> Any:
        fields = self.__dict__
        for table in ("_parameters", "_buffers", "_modules"):
            if table in fields and name in fields[table]:
                return fields[table][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def _forget(self, name: str, *tables: str) -> None:
        for table in tables:
            held = self.__dict__ if table == "__dict__" else self.__dict__.get(table, ())
            if name in held:
                if isinstance(held, dict):
                    del held[name]
                else:
                    held.discard(name)

    def __setattr__(self, name: str, value: Any) -> None:
        fields = self.__dict__
        parameters = fields.get("_parameters")
        if isinstance(value, Parameter):
            if parameters is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, "__dict__", "_buffers", "_modules", "_non_persistent_buffers_set")
            self.register_parameter(name, value)
            return
        if parameters is not None and name in parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{type_name(value)}' as parameter '{name}' "
                    "(torch.nn.Parameter or None expected)"
                )
            self.register_parameter(name, None)
            return
        modules = fields.get("_modules")
        if isinstance(value, Module):
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, "__dict__", "_parameters", "_buffers", "_non_persistent_buffers_set")
            if name not in modules:
                self._check_new_name("module", name, modules)
            modules[name] = value
            return
        if modules is not None and name in modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{type_name(value)}' as child module '{name}' "
                    "(torch.nn.Module or None expected)"
                )
            modules[name] = None
            return
        buffers = fields.get("_buffers")
        if isinstance(value, Buffer):
            if buffers is None:
                raise AttributeError("cannot assign buffer before Module.__init__() call")
            self._forget(name, "__dict__", "_parameters", "_modules")
            self.register_buffer(name, value, value.persistent)
            return
        if buffers is not None and name in buffers:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{type_name(value)}' as buffer '{name}' "
                    "(torch.nn.Buffer, torch.Tensor or None expected)"
                )
            buffers[name] = value
            return
        if type(value) is list and len(value) > 1 and modules is not None:
            self._warn_of_plain_list(name, value)
        object.__setattr__(self, name, value)

    def _warn_of_plain_list(self, name, value):
        if not all(isinstance(item, Module) for item in value):
            return
        known = set(self.modules())
        if any(item not in known for item in value):
            warnings.warn(
                f"{type(self).__name__}.{name} is a plain list of modules: their parameters are "
                "not registered and will not be trained or saved; use nn.ModuleList",
                stacklevel=3,
            )

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = set(dir(type(self)))
        names.update(self.__dict__, self._parameters, self._modules, self._buffers)
        return sorted(name for name in names if not name[0].isdigit())

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        for table in HOOK_TABLES:
            self.__dict__.setdefault(table, OrderedDict())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())

    # -- the tree ----------------------------------------------------------------------------------

    def get_submodule(self, target: str) -> "Module":
        """The module at a dotted path: `model.get_submodule("encoder.0")`."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: "Module", strict: bool = False) -> None:
        """Put `module` at a dotted path; with `strict`, only in place of one that is there."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path: `model.get_parameter("encoder.0.weight")`."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        param = getattr(module, name)
        if not isinstance(param, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return param

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return module._buffers[name]

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, "Module"]]:
        """(dotted path, module) for this module and all below it, each once by default."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from child.named_modules(memo, path, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator["Module"]:
        """This module and all below it."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """(name, module) for the modules one level below."""
        seen = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator["Module"]:
        """The modules one level below."""
        for _, child in self.named_children():
            yield child

    def _named_members(self, get_members, prefix="", recurse=True, remove_duplicate=True):
        seen = set()
        if recurse:
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        else:
            modules = [(prefix, self)]
        for path, module in modules:
            for name, member in get_members(module):
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield (f"{path}.{name}" if path else name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(dotted path, parameter); a parameter that two modules share comes once."""
        return self._named_members(
            lambda m: m._parameters.items(), prefix, recurse, remove_duplicate
        )

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, as an optimizer wants them."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(dotted path, buffer)."""
        return self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def apply(self, fn: Callable[["Module"], None]) -> "Module":
        """Call `fn` on every module below and then on this one, to set weights for example."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # -- modes, gradients --------------------------------------------------------------------------

    def train(self, mode: bool = True) -> "Module":
        """Training mode: dropout drops, batch norm takes the batch's statistics."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> "Module":
        """Evaluation mode, `train(False)`. It does not stop gradients: see `no_grad`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> "Module":
        """Freeze (False) or thaw all parameters."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters."""
        for param in self.parameters():
            if param.grad is None:
                continue
            if set_to_none:
                param.grad = None
            else:
                param.grad = param.grad.detach()
                param.grad.zero_()

    # -- dtype, device -----------------------------------------------------------------------------

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Module":
        """Replace the numbers of all parameters, gradients and buffers by `fn` of them.

        Parameters stay the same objects, so that an optimizer made before still trains them.
        """
        modules = list(self.modules()) if recurse else [self]
        with no_grad():  # all new numbers before anything changes: memory may run out on the way
            params, buffers = {}, []
            for module in modules:
                for param in module._parameters.values():
                    if param is not None and id(param) not in params:
                        grad = param.grad
                        params[id(param)] = param, fn(param), grad, grad is not None and fn(grad)
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        buffers.append((module, name, fn(buffer)))
            for param, moved, grad, moved_grad in params.values():
                param.data = moved
                if grad is not None:
                    grad.data = moved_grad
                    param.grad = grad
            for module, name, moved in buffers:
                module._buffers[name] = moved
        return self

    def to(self, *args, **kwargs) -> "Module":
        """`to(device)`, `to(dtype)`, `to(device, dtype)` or `to(tensor)`, in place; returns self.

        The dtype must be floating and only floating parameters and buffers take it.
        """
        device = kwargs.pop("device", None)
        dtype = kwargs.pop("dtype", None)
        for name in ("non_blocking", "memory_format", "copy"):
            kwargs.pop(name, None)
        if kwargs:
            raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
        for arg in args:
            if isinstance(arg, Tensor):
                device, dtype = arg.device, arg.dtype
            elif isinstance(arg, Dtype):
                dtype = arg
            elif not isinstance(arg, bool):
                device = arg
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, "
                f"but got desired dtype={dtype}"
            )

        def convert(t):
            return t.to(device=device, dtype=dtype if t.is_floating_point() else None)

        return self._apply(convert)

    def cuda(self, device=None) -> "Module":
        """Move to the GPU."""
        return self._apply(lambda t: t.cuda(device))

    def cpu(self) -> "Module":
        """Move to main memory."""
        return self._apply(lambda t: t.cpu())

    def type(self, dst_type) -> "Module":
        """Cast all parameters and buffers."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self) -> "Module":
        """Cast the floating parameters and buffers to float32."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self) -> "Module":
        """Cast the floating parameters and buffers to float64."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self) -> "Module":
        """Cast the floating parameters and buffers to float16."""
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def bfloat16(self) -> "Module":
        """Cast the floating parameters and buffers to bfloat16."""
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    # -- state -------------------------------------------------------------------------------------

    def get_extra_state(self) -> Any:
        """Override together with `set_extra_state` to keep more than tensors in `state_dict`."""
        raise RuntimeError(f"{type(self).__name__} defines no extra state")

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` gave."""
        raise RuntimeError(f"{type(self).__name__} defines no extra state")

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars else param.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def state_dict(
        self, *args, destination: dict | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers, by dotted path, in order of registration.

        The tensors share memory with the model (copy them to keep them); with `keep_vars` they are
        the very parameters. `_metadata` on the result holds each module's `_version`.
        """
        for name, value in zip(("destination", "prefix", "keep_vars"), args, strict=False):
            if name == "destination":
                destination = value
            elif name == "prefix":
                prefix = value
            else:
                keep_vars = value
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(
                    destination=destination, prefix=prefix + name + ".", keep_vars=keep_vars
                )
        for hook in self._state_dict_hooks.values():
            change = hook(self, destination, prefix, local_metadata)
            if getattr(hook, "_from_public_api", False):
                if change is not None:
                    raise RuntimeError("state_dict post-hook must return None")
            elif change is not None:
                destination = change
        return destination

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ) -> None:
        """Take this module's own entries from `state_dict`; override it to rename old keys.

        Problems are appended to the three lists. `load_state_dict` puts a list under "pending" in
        `local_metadata`: the copies are then appended to it instead of being done here.
        """
        for hook in list(self._load_state_dict_pre_hooks.values()):
            hook(
                state_dict,
                prefix,
                local_metadata,
                strict,
                missing_keys,
                unexpected_keys,
                error_msgs,
            )
        assign = local_metadata.get("assign_to_params_buffers", False)
        pending = local_metadata.get("pending")
        own = {
            name: value
            for name, value in itertools.chain(self._parameters.items(), self._buffers.items())
            if value is not None and name not in self._non_persistent_buffers_set
        }
        for name, value in own.items():
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            new = state_dict[key]
            if not isinstance(new, Tensor):
                error_msgs.append(
                    f'While copying the parameter named "{key}", expected torch.Tensor or '
                    f"Tensor-like object from checkpoint but received {type(new)}"
                )
                continue
            lazy = is_lazy(value)
            if not lazy and value.dim() == 0 and tuple(new.shape) == (1,):
                new = new.reshape(())  # scalars were stored as vectors of one number long ago
            if not lazy and tuple(new.shape) != tuple(value.shape):
                error_msgs.append(
                    f"size mismatch for {key}: copying a param with shape {new.shape} from "
                    f"checkpoint, the shape in current model is {value.shape}."
                )
                continue
            entry = _Entry(self, name, value, new, assign)
            if pending is None:
                entry.take()
            else:
                pending.append(entry)

        extra_key = prefix + EXTRA_STATE
        if type(self).set_extra_state is not Module.set_extra_state:
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)

        if strict:
            for key in state_dict:
                if not key.startswith(prefix) or key == extra_key:
                    continue
                first, dot, _ = key[len(prefix) :].partition(".")
                if first not in (self._modules if dot else own):
                    unexpected_keys.append(key)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy the tensors of `state_dict` into this module; returns the keys that did not match.

        All keys and shapes are checked before anything is copied: a load that raises leaves the
        model exactly as it was (PyTorch leaves it half overwritten). With `assign` the tensors
        themselves become the parameters, so an optimizer must be made afterwards.

        Raises RuntimeError that lists every shape that differs and, if `strict`, every missing or
        unexpected key.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None) or {}
        keys = _IncompatibleKeys([], [])
        error_msgs = []
        pending = []
        visited = []

        def visit(module, entries, prefix):
            local_metadata = dict(metadata.get(prefix[:-1], {}), pending=pending)
            if assign:
                local_metadata["assign_to_params_buffers"] = True
            module._load_from_state_dict(entries, prefix, local_metadata, True, *keys, error_msgs)
            for name, child in module._modules.items():
                if child is not None:
                    below = prefix + name + "."
                    visit(child, {k: v for k, v in entries.items() if k.startswith(below)}, below)
            visited.append(module)

        visit(self, OrderedDict(state_dict), "")
        # Without fault, or with missing keys that a post-hook may yet forgive: take the entries.
        faults = strict and any(keys)
        hooks = [(m, hook) for m in visited for hook in m._load_state_dict_post_hooks.values()]
        before = []
        if not error_msgs and (hooks or not faults):
            if faults:
                before = [(entry, entry.present.detach().clone()) for entry in pending]
            for entry in pending:
                entry.take()
            for module, hook in hooks:
                if hook(module, keys) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not "
                        "expected to return new values, if incompatible_keys need to be "
                        "modified, it should be done inplace."
                    )
        if strict:
            for fault, names in (("Unexpected", keys[1]), ("Missing", keys[0])):
                if names:
                    listed = ", ".join(f'"{name}"' for name in names)
                    error_msgs.insert(0, f"{fault} key(s) in state_dict: {listed}. ")
        if error_msgs:
            for entry, numbers in before:
                entry.restore(numbers)
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t"
                + "\n\t".join(error_msgs)
            )
        return keys

    def register_state_dict_pre_hook(self, hook: Callable) -> HookHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict` collects."""
        return self._register_in(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable) -> HookHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` when `state_dict` is done."""
        hook._from_public_api = True
        return self._register_in(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook: Callable) -> HookHandle:
        """As `register_state_dict_post_hook`, but what the hook returns replaces the state."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook twice"
            )
        return self._register_in(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> HookHandle:
        """Call `hook(module, *arguments of _load_from_state_dict)` before a load."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable, with_module: bool = False
    ) -> HookHandle:
        return self._register_in(
            self._load_state_dict_pre_hooks, _LoadHook(hook, self if with_module else None)
        )

    def register_load_state_dict_post_hook(self, hook: Callable) -> HookHandle:
        """Call `hook(module, incompatible_keys)` after a load."""
        return self._register_in(self._load_state_dict_post_hooks, hook)

    # -- printing ----------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the brackets when the module is printed; layers override it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        for name, child in self._modules.items():
            lines.append(f"({name}): {indent(repr(child), 2)}")
        if not lines:
            return f"{self._get_name()}()"
        if len(lines) == 1 and extra:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


class _LoadHook:
    """A load pre-hook together with its module, copied along with it by deepcopy."""

    def __init__(self, hook, module):
        self.hook = hook
        self.module = module

    def __call__(self, *args):
        if self.module is not None:
            return self.hook(self.module, *args)
        return self.hook(*args)
