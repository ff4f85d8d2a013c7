"""autocast: regions in which operations choose their precision, and the settings behind it."""

import functools
import warnings
from collections.abc import Callable, Iterable, Mapping

import numpy

from .. import autocasting, dtypes
from ..autocasting import can_cast, settings
from ..backend import cuda_is_available
from ..tensor import Tensor

KINDS = ("cpu", "cuda")
SUPPORTED = ("bfloat16", "float16")


def is_autocast_available(device_type: str) -> bool:
    """True for "cpu" and "cuda"; RuntimeError for no device's name."""
    if device_type not in KINDS:
        raise RuntimeError(
            f"Expected one of cpu, cuda device type at start of device string: {device_type}"
        )
    return True


def _kind(device_type: str | None) -> str:
    """The kind of device, "cuda" if none is given, as in torch."""
    kind = "cuda" if device_type is None else device_type
    is_autocast_available(kind)
    return kind


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """True inside a region of autocast for that kind of device ("cuda" if none is named)."""
    return settings.enabled[_kind(device_type)]


def set_autocast_enabled(device_type: str | bool, enabled: bool | None = None) -> None:
    """Switch autocast on or off for a kind of device, in this thread; prefer `autocast`."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    autocasting.set_enabled(_kind(device_type), enabled)


def get_autocast_dtype(device_type: str) -> dtypes.dtype:
    """The lower precision of a kind of device: bfloat16 on the CPU and float16 on the GPU at first."""
    return autocasting.lower_dtype(_kind(device_type))


def set_autocast_dtype(device_type: str, dtype: dtypes.dtype) -> None:
    """Choose the lower precision of a kind of device, in this thread; prefer `autocast`."""
    settings.dtype[_kind(device_type)] = dtype


def is_autocast_cache_enabled() -> bool:
    """True if casts of weights are kept until the outermost region ends."""
    return settings.cache_enabled


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Keep casts of weights until the outermost region ends, or cast at every use."""
    settings.cache_enabled = bool(enabled)


def clear_autocast_cache() -> None:
    """Forget the weights' casts."""
    settings.cache.clear()


def autocast_increment_nesting() -> int:
    """Count a region that was entered; gives how many are open."""
    settings.nesting += 1
    return settings.nesting


def autocast_decrement_nesting() -> int:
    """Count a region that was left; gives how many are open."""
    settings.nesting -= 1
    return settings.nesting


class autocast:
    """Inside, operations run in a precision that suits each: `with autocast("cuda"):` or as a decorator.

    Products run in `dtype` (float16 on the GPU, bfloat16 on the CPU, if none is given); losses,
    exponentials, sums and norms in float32 (see amp/op_lists.py); the rest in the dtypes it gets, the
    widest where they differ. float64 is left alone. Weights stay float32, and so do their gradients:
    each is cast once in an outermost region (cache_enabled). enabled=False switches off inside a region.
    Run the backward pass outside: its dtypes follow from the forward pass.

    Raises ValueError for a device_type that is no text, RuntimeError for an unknown device or, on
    "cuda", for bfloat16 on a GPU without it. Warns and does nothing where there is no GPU for "cuda",
    or for a dtype that a CPU's autocast hasn't. Micikevicius et al., "Mixed Precision Training", ICLR 2018.
    """

    def __init__(
        self,
        device_type: str,
        dtype: dtypes.dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ):
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        is_autocast_available(device_type)
        self.device = device_type
        if enabled and device_type == "cuda" and not cuda_is_available():
            warnings.warn("CUDA is not available. Disabling autocast.", stacklevel=2)
            enabled = False
        if dtype is None and (enabled or settings.dtype[device_type] is not None):
            dtype = get_autocast_dtype(device_type)
        self.fast_dtype = dtype
        self._cache_enabled = (
            is_autocast_cache_enabled() if cache_enabled is None else cache_enabled
        )
        if enabled and dtype.name not in SUPPORTED and device_type == "cpu":
            warnings.warn(
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
                "CPU Autocast only supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        if enabled and device_type == "cuda" and dtype.name == "bfloat16":
            from ..cuda import is_bf16_supported

            if not is_bf16_supported():
                raise RuntimeError(
                    "Current CUDA Device does not support bfloat16. Please switch dtype to float16."
                )
        self._enabled = bool(enabled)
        self._before = []

    def __enter__(self):
        kind = self.device
        self._before.append((settings.enabled[kind], settings.dtype[kind], settings.cache_enabled))
        autocasting.set_enabled(kind, self._enabled)
        settings.dtype[kind] = self.fast_dtype
        settings.cache_enabled = self._cache_enabled
        autocast_increment_nesting()
        return self

    def __exit__(self, *exc):
        if autocast_decrement_nesting() == 0:
            clear_autocast_cache()
        enabled, dtype, cache_enabled = self._before.pop()
        autocasting.set_enabled(self.device, enabled)
        settings.dtype[self.device] = dtype
        settings.cache_enabled = cache_enabled
        return False

    def __call__(self, func: Callable) -> Callable:
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. "
                "Did you mean to use autocast as a context manager? For example:\n"
                "    with torch.autocast(device_type=...):\n"
                "        output = model(input)"
            )

        @functools.wraps(func)
        def inside(*args, **kwargs):
            with self:
                return func(*args, **kwargs)

        return inside


# -- functions with gradients of their own -----------------------------------------------------------


def _cast(value, kind, dtype):
    """Floating-point tensors of a kind of device in another dtype, also within lists and dicts."""
    if isinstance(value, Tensor):
        fits = value.device.type == kind and can_cast(value.array)
        return value.to(dtype) if fits else value
    if isinstance(value, (str, bytes, numpy.ndarray)):
        return value
    if isinstance(value, Mapping):
        return {_cast(k, kind, dtype): _cast(v, kind, dtype) for k, v in value.items()}
    if isinstance(value, Iterable):
        parts = (_cast(part, kind, dtype) for part in value)
        return type(value)(parts) if isinstance(value, (list, tuple)) else parts
    return value


def _check_text(device_type):
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")


def custom_fwd(
    fwd: Callable | None = None, *, device_type: str, cast_inputs: dtypes.dtype | None = None
):
    """Decorate `forward` of an autograd.Function that is used inside autocast.

    cast_inputs: None, and its operations are autocast as any others; or a dtype to which tensors are
    cast first, and autocast is off inside. Outside of autocast regions it changes nothing.
    """
    _check_text(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(ctx, *args, **kwargs):
        inside = is_autocast_enabled(device_type)
        ctx._dtype = get_autocast_dtype(device_type) if inside else None
        ctx._fwd_used_autocast = inside and cast_inputs is None
        if not inside or cast_inputs is None:
            return fwd(ctx, *args, **kwargs)
        args, kwargs = (_cast(values, device_type, cast_inputs) for values in (args, kwargs))
        with autocast(device_type, enabled=False):
            return fwd(ctx, *args, **kwargs)

    return forward


def custom_bwd(bwd: Callable | None = None, *, device_type: str):
    """Decorate `backward` of an autograd.Function: it runs with the autocast of its `forward`."""
    _check_text(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(ctx, *args, **kwargs):
        with autocast(device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(ctx, *args, **kwargs)

    return backward
