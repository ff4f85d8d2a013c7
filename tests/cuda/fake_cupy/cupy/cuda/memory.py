"""cupy.cuda.memory of the stand-in."""

from .._memory import Memory, MemoryPointer, MemoryPool, OutOfMemoryError  # noqa: F401
