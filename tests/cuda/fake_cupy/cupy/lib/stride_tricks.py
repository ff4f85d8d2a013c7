"""cupy.lib.stride_tricks of the stand-in."""

from .._functions import within

globals().update(within("lib.stride_tricks"))
