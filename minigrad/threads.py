"""How many threads the arithmetic may use."""

import os

_chosen: int | None = None


def set_num_threads(n: int) -> None:
    """Let BLAS use n threads (through the threadpoolctl package, which scikit-learn brings along)."""
    global _chosen
    if not isinstance(n, int) or n < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, got {n}")
    try:
        import threadpoolctl
    except ImportError as error:
        raise ImportError(
            "set_num_threads needs the package threadpoolctl (pip install 'minigrad[train]'); or set "
            "OPENBLAS_NUM_THREADS before Python starts"
        ) from error
    threadpoolctl.threadpool_limits(n)
    _chosen = n


def get_num_threads() -> int:
    """How many threads were set, or else how many processors there are."""
    return _chosen or len(os.sched_getaffinity(0))
