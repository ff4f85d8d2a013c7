"""GradScaler: the loss multiplied by a large factor, so that float16 gradients don't vanish.

float16 knows nothing between 0 and 6e-8, where many gradients lie. The scale grows while all goes
well and shrinks when a gradient overflows; such a step is left out.
"""

import enum
import warnings
from collections import defaultdict
from collections.abc import Iterable

from ..backend import array_module, cuda_is_available, native_device
from ..dtypes import float32, int32
from ..engine import no_grad
from ..kernels import grad_scaling
from ..ops.creation import full, zeros
from ..optim.optimizer import Optimizer
from ..sparse import RowSparse, UnreadRows
from ..tensor import Tensor


class OptState(enum.Enum):
    """How far an optimizer is since the last update()."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _fresh() -> dict:
    return {"stage": OptState.READY, "found_inf_per_device": {}}


def _numbers_of(grad) -> list:
    """The arrays that hold a gradient's numbers; rows of equal ids are added up first."""
    if type(grad.array) is UnreadRows:
        once = grad.array.coalesce()
        grad.array = UnreadRows(once.parts, once.shape)
    if type(grad.array) is RowSparse:
        grad.array = grad.array.coalesce()
    return [rows for _, rows in grad.array.parts] if hasattr(grad.array, "parts") else [grad.array]


class GradScaler:
    """Scales losses, and gradients back, with a scale that finds its own size.

        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)  # only needed to look at gradients, or to clip them
        scaler.step(optimizer)      # no step where a gradient is inf or NaN
        scaler.update()

    update() multiplies the scale by backoff_factor after a step that was left out, and by growth_factor
    after growth_interval steps in a row that were not. Scale and checks stay on the GPU; a step reads
    one number from there, unless the optimizer takes `found_inf` itself (_step_supports_amp_scaling).

    Raises AssertionError for growth_factor <= 1 or backoff_factor >= 1; warns and does nothing for
    "cuda" where there is no GPU. Micikevicius et al., "Mixed Precision Training", ICLR 2018, sec. 3.2.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        self._enabled = enabled
        if enabled and device == "cuda" and not cuda_is_available():
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=2,
            )
            self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._scale: Tensor | None = None
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._growth_tracker: Tensor | None = None
        self._per_optimizer_states = defaultdict(_fresh)

    # -- scaling -----------------------------------------------------------------------------------

    def _start(self, device) -> None:
        """Make the scale and the count of good steps, on the device of the first loss."""
        self._scale = full((), self._init_scale, dtype=float32, device=device)
        self._growth_tracker = full((), self._init_growth_tracker, dtype=int32, device=device)

    def _check_started(self, name: str) -> None:
        if self._scale is None:
            raise AssertionError(
                f"Attempted {name} but _scale is None.  This may indicate your script did not use "
                "scaler.scale(loss or outputs) earlier in the iteration."
            )

    def scale(self, outputs: Tensor | Iterable[Tensor]):
        """The outputs (a tensor, or a list, tuple or other iterable of them) times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._start(outputs.device)
            return outputs * self._scale.to(outputs.device)
        if not isinstance(outputs, Iterable):
            raise ValueError("outputs must be a Tensor or an iterable of Tensors")
        scaled = map(self.scale, outputs)
        return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled

    def _check_gradients(self, optimizer: Optimizer, multiply: bool) -> dict:
        """{device: a number that is 1 if a gradient there is inf or NaN}; gradients are unscaled too."""
        arrays = defaultdict(list)
        for group in optimizer.param_groups:
            for p in group["params"]:
                grad = p._grad
                if grad is None:
                    continue
                if grad.array.dtype == "float16":
                    raise ValueError("Attempting to unscale FP16 gradients.")
                arrays[grad.device] += _numbers_of(grad)
                if multiply:
                    grad.bump()
        found = {}
        for device, held in arrays.items():
            flag = found[device] = zeros((), dtype=float32, device=device)
            scale = self._scale.to(device).array if multiply else None
            with native_device(flag):
                grad_scaling.unscale[array_module(flag.array)](held, flag.array, scale)
        return found

    @no_grad()
    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide an optimizer's gradients by the scale, once a step and after all were added up.

        Raises RuntimeError if that was done since the last update(), ValueError for float16 gradients.
        """
        if not self._enabled:
            return
        self._check_started("unscale_")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        state["found_inf_per_device"] = self._check_gradients(optimizer, multiply=True)
        state["stage"] = OptState.UNSCALED

    def step(self, optimizer: Optimizer, *args, **kwargs):
        """Unscale the gradients if that wasn't done, and step if none is inf or NaN.

        Gives what optimizer.step gives, None where it was left out. Raises RuntimeError for a second
        call before update() and for a closure, AssertionError for an optimizer without gradients.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._check_started("step")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            return self._step_on_device(optimizer, state, args, kwargs)
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        found = state["found_inf_per_device"]
        if not found:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        result = None
        if not any(flag.item() for flag in found.values()):
            result = optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    @no_grad()
    def _step_on_device(self, optimizer, state, args, kwargs):
        """The optimizer gets the scale and the check as tensors, and leaves the step out by itself."""
        unscaled = state["stage"] is OptState.UNSCALED
        if not unscaled:
            state["found_inf_per_device"] = self._check_gradients(optimizer, multiply=False)
        flags = [flag.to(self._scale.device) for flag in state["found_inf_per_device"].values()]
        if not flags:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        optimizer.found_inf = sum(flags[1:], flags[0])
        optimizer.grad_scale = None if unscaled else self._scale
        try:
            return optimizer.step(*args, **kwargs)
        finally:
            state["stage"] = OptState.STEPPED
            del optimizer.found_inf, optimizer.grad_scale

    @no_grad()
    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Make the scale larger or smaller, after all optimizers' steps; or set it to `new_scale`.

        Raises AssertionError if nothing was checked, or for a new_scale that is no number of this kind
        of device without a gradient.
        """
        if not self._enabled:
            return
        self._check_started("update")
        if isinstance(new_scale, Tensor):
            fits = new_scale.device.type == self._device and new_scale.numel() == 1
            if not fits or new_scale.requires_grad:
                raise AssertionError(
                    "new_scale should be a float or a 1-element torch.cuda.FloatTensor or "
                    "torch.FloatTensor with requires_grad=False."
                )
            self._scale.copy_(new_scale.reshape(()))
        elif new_scale is not None:
            self._scale.fill_(float(new_scale))
        else:
            self._adapt()
        self._per_optimizer_states = defaultdict(_fresh)

    def _adapt(self):
        states = self._per_optimizer_states.values()
        flags = [flag for state in states for flag in state["found_inf_per_device"].values()]
        if not flags:
            raise AssertionError("No inf checks were recorded prior to update.")
        flags = [flag.to(self._scale.device).array for flag in flags]
        with native_device(self._scale):
            grad_scaling.update_scale[array_module(self._scale.array)](
                self._scale.array,
                self._growth_tracker.array,
                sum(flags[1:], flags[0]),
                self._growth_factor,
                self._backoff_factor,
                self._growth_interval,
            )
        self._scale.bump()
        self._growth_tracker.bump()

    # -- settings ----------------------------------------------------------------------------------

    def get_scale(self) -> float:
        """The scale, 1.0 if scaling is switched off; waits for the GPU."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by to grow."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Choose what the scale is multiplied by to grow."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a step that was left out."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Choose what the scale is multiplied by after a step that was left out."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """How many good steps in a row let the scale grow."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Choose how many good steps in a row let the scale grow."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        """How many good steps there have been in a row."""
        if not self._enabled:
            return 0
        if self._growth_tracker is None:
            return self._init_growth_tracker
        return self._growth_tracker.item()

    def is_enabled(self) -> bool:
        """True if losses are scaled."""
        return self._enabled

    def state_dict(self) -> dict:
        """Scale, factors, interval and count, as Python numbers; empty if scaling is switched off."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from a saved state; RuntimeError if it is that of a scaler that was switched off."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved "
                "from a disabled instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._scale is not None:
            self._scale.fill_(self._init_scale)
            self._growth_tracker.fill_(self._init_growth_tracker)
