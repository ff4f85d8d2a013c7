"""cupy.cuda.memory of the stand-in."""

from .._memory import (  # noqa: F401
    Memory,
    MemoryPointer,
    MemoryPool,
    OutOfMemoryError,
    UnownedMemory,
)
