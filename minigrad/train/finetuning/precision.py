"""fp16 and bf16: the part of Trainer that runs the model in mixed precision."""

import contextlib
from collections.abc import Mapping

from ... import dtypes
from ...amp import GradScaler, autocast
from ...tensor import Tensor


class Precision:
    """Autocast around the model and its loss, in training and evaluation; for fp16 a scaler of the loss."""

    def _device_type(self) -> str:
        """The kind of device the model is on; ValueError for fp16 on a CPU."""
        kind = next(self.model.parameters()).device.type
        if self.args.fp16 and kind != "cuda":
            raise ValueError(
                f"fp16 mixed precision requires a GPU (not {kind!r}). Move the model there, or use "
                "bf16=True, which needs no scaling of the loss"
            )
        return kind

    def autocast_smart_context_manager(self, cache_enabled: bool | None = True):
        """The region in which the model and its loss run."""
        kind = self._device_type()
        if not (self.args.fp16 or self.args.bf16):
            return contextlib.nullcontext()
        dtype = dtypes.float16 if self.args.fp16 else dtypes.bfloat16
        return autocast(kind, dtype, True, cache_enabled)

    def _make_scaler(self) -> GradScaler:
        return GradScaler(self._device_type(), enabled=self.args.fp16)


def in_float32(outputs):
    """A model's outputs with those of 16 bits in float32, as metrics take them."""
    if isinstance(outputs, Tensor):
        narrow = outputs.is_floating_point() and outputs.dtype.itemsize == 2
        return outputs.float() if narrow else outputs
    if isinstance(outputs, Mapping):
        return {name: in_float32(value) for name, value in outputs.items()}
    if isinstance(outputs, (tuple, list)):
        return tuple(in_float32(value) for value in outputs)
    return outputs
