"""The names of mixed precision before torch.amp had them: torch.cuda.amp and torch.cpu.amp."""

import sys
import types
import warnings

from .. import cuda, dtypes
from .autocast_mode import autocast, custom_bwd, custom_fwd
from .grad_scaler import GradScaler


def _warn(old: str, new: str):
    warnings.warn(
        f"`torch.{old}(args...)` is deprecated. Please use `torch.amp.{new}` instead.",
        FutureWarning,
        stacklevel=3,
    )


def _autocast(kind: str, lower: str):
    class OldAutocast(autocast):
        """amp.autocast for one kind of device; deprecated."""

        def __init__(self, enabled=True, dtype=None, cache_enabled=True):
            _warn(f"{kind}.amp.autocast", f"autocast('{kind}', args...)")
            dtype = getattr(dtypes, lower) if dtype is None else dtype
            super().__init__(kind, dtype, enabled, cache_enabled)

    OldAutocast.__name__ = OldAutocast.__qualname__ = "autocast"
    return OldAutocast


def _scaler(kind: str):
    class OldGradScaler(GradScaler):
        """amp.GradScaler for one kind of device; deprecated."""

        def __init__(
            self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000,
            enabled=True,
        ):  # fmt: skip
            _warn(f"{kind}.amp.GradScaler", f"GradScaler('{kind}', args...)")
            super().__init__(
                kind, init_scale, growth_factor, backoff_factor, growth_interval, enabled
            )

    OldGradScaler.__name__ = OldGradScaler.__qualname__ = "GradScaler"
    return OldGradScaler


def _custom_fwd(fwd=None, *, cast_inputs=None):
    """amp.custom_fwd for the GPU; deprecated."""
    _warn("cuda.amp.custom_fwd", "custom_fwd(args..., device_type='cuda')")
    return custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def _custom_bwd(bwd):
    """amp.custom_bwd for the GPU; deprecated."""
    _warn("cuda.amp.custom_bwd", "custom_bwd(args..., device_type='cuda')")
    return custom_bwd(bwd, device_type="cuda")


def _module(name: str, **members) -> types.ModuleType:
    """A module made of members, which `import` finds under its name too."""
    made = types.ModuleType(name, f"Old names: use minigrad.amp. {', '.join(members)}")
    vars(made).update(members)
    sys.modules[name] = made
    return made


cuda.amp = _module(
    "minigrad.cuda.amp", autocast=_autocast("cuda", "float16"), GradScaler=_scaler("cuda"),
    custom_fwd=_custom_fwd, custom_bwd=_custom_bwd,
)  # fmt: skip
cpu = _module(
    "minigrad.cpu",
    amp=_module(
        "minigrad.cpu.amp", autocast=_autocast("cpu", "bfloat16"), GradScaler=_scaler("cpu")
    ),
)
