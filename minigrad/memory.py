"""Keep freed memory for the next step instead of handing it back to the system.

A training step frees what it allocated, and the next one allocates the same again. glibc returns
large blocks to the system at once; the system then clears every page anew, which can take half the
time of a step. `keep_freed_memory` tells glibc to hold on to them: the process stays as large as its
largest step. On other C libraries it does nothing.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # the parameters' numbers in glibc's malloc.h


def keep_freed_memory() -> bool:
    """True if the C library follows: no block is mapped on its own, nothing is trimmed from the heap."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(
        mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, 2**31 - 1) and mallopt(_TOP_PAD, 1 << 26)
    )
