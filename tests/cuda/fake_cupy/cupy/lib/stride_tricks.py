"""cupy.lib.stride_tricks of the stand-in."""

from .._functions import within as _within

globals().update(_within("lib.stride_tricks"))
