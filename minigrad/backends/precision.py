"""How exact products of float32 are on a GPU, under torch's names."""

import warnings

from ..kernels import tensor_cores

_LEVELS = ("highest", "high", "medium")
_level = "highest"


def get_float32_matmul_precision() -> str:
    """ "highest", "high" or "medium": see `set_float32_matmul_precision`."""
    return _level


def set_float32_matmul_precision(precision: str) -> None:
    """How the factors of float32 products may be rounded on a GPU. The sums are float32 in any case.

    "highest": not at all. "high" and "medium": to TF32, 11 bits of mantissa, on GPUs that have tensor
    cores for it (from 2020 on). The CPU always takes all bits. Anything else warns and changes nothing;
    RuntimeError if it is no string.
    """
    global _level
    if not isinstance(precision, str):
        raise RuntimeError(
            f"set_float32_matmul_precision expects a str, but got {type(precision).__name__}"
        )
    if precision not in _LEVELS:
        warnings.warn(
            f"set_float32_matmul_precision: {precision!r} is none of {', '.join(_LEVELS)}; nothing changes",
            stacklevel=2,
        )
        return
    _level = precision
    tensor_cores.allow(precision != "highest")
