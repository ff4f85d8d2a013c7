"""Switches of the GPU: whether products of float32 may be done as TF32."""

from ..kernels import tensor_cores
from .precision import get_float32_matmul_precision, set_float32_matmul_precision

__all__ = ["is_built", "matmul"]


class Matmul:
    """`minigrad.backends.cuda.matmul`.

    allow_tf32: tensor cores may round the factors of float32 products (matrices, attention, convolution
    over time) to TF32, 11 bits of mantissa, on GPUs from 2020 on. False by default, as in torch; with True
    `get_float32_matmul_precision()` is "high".
    """

    __slots__ = ()

    @property
    def allow_tf32(self) -> bool:
        """Whether TF32 may be used."""
        return tensor_cores.allowed()

    @allow_tf32.setter
    def allow_tf32(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise RuntimeError(f"allow_tf32 expects a bool, but got {type(value).__name__}")
        if not value:
            set_float32_matmul_precision("highest")
        elif get_float32_matmul_precision() == "highest":
            set_float32_matmul_precision("high")


matmul = Matmul()


def is_built() -> bool:
    """True: kernels for GPUs come along, and are compiled where there is one."""
    return True
