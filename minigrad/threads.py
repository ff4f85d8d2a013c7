"""How many threads the arithmetic may use."""

from .kernels import threads


def set_num_threads(n: int) -> None:
    """Let kernels and matrix products use n threads. Results do not depend on n."""
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, got {n}")
    threads.set_threads(n)


def get_num_threads() -> int:
    """How many threads may be used: those set, or OMP_NUM_THREADS, or as many as there are processors."""
    return threads.get_threads()
