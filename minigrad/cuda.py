"""The GPU, under the names of torch.cuda: whether there is one, and how many."""

from .backend import cuda_is_available as is_available
from .backend import require_cupy

__all__ = [
    "current_device",
    "device_count",
    "empty_cache",
    "is_available",
    "manual_seed_all",
    "synchronize",
]


def device_count() -> int:
    """How many GPUs CuPy sees."""
    return require_cupy().cuda.runtime.getDeviceCount() if is_available() else 0


def current_device() -> int:
    """The number of the GPU in use."""
    return require_cupy().cuda.runtime.getDevice()


def synchronize(device=None) -> None:
    """Wait until the GPU has done all it was given."""
    require_cupy().cuda.runtime.deviceSynchronize()


def empty_cache() -> None:
    """Give unused GPU memory back to the driver."""
    if is_available():
        require_cupy().get_default_memory_pool().free_all_blocks()


def manual_seed_all(seed: int) -> None:
    """Nothing to do: random numbers are drawn on the CPU, by `manual_seed`'s stream."""


manual_seed = manual_seed_all
