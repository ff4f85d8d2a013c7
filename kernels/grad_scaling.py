"""What gradient scaling needs of many arrays: a look for inf and NaN, all divided by the scale; its growth.

unscale: found = 1 if a number is inf or NaN, else as before; every number times 1 / scale.
update_scale, after a step: scale = scale * backoff and tracker = 0 if something was found, else tracker
+ 1 and, every `interval` times, scale = scale * growth. Micikevicius et al., "Mixed Precision
Training", ICLR 2018. Nothing here waits for the GPU.
"""

from ..backend import array_module
from . import cuda_parts, cuda_source
from .kernel import Kernel


def unscale(arrays, found, scale):
    """found, scale: 0-d float32 arrays on the arrays' device; scale None: only look."""
    inverse = None if scale is None else (1 / scale.astype("float64")).astype("float32")
    for x in arrays:
        xp = array_module(x)
        bad = ~xp.isfinite(x).all()
        xp.maximum(found, bad.astype("float32"), out=found)
        if inverse is not None:
            x *= inverse.astype(x.dtype)


unscale = Kernel(unscale)


def update_scale(scale, tracker, found, growth, backoff, interval):
    """scale, found: 0-d float32 arrays, tracker: 0-d int32; scale and tracker are changed.

    A scale that would become infinite stays.
    """
    xp = array_module(scale)
    good = found == 0
    steps = xp.where(good, tracker + 1, 0)
    grown = scale.astype("float64") * growth
    grows = good & (steps == interval)
    larger = xp.where(xp.isfinite(grown.astype("float32")), grown, scale)
    unchanged = xp.where(good, scale, scale.astype("float64") * backoff)
    scale[...] = xp.where(grows, larger, unchanged).astype("float32")
    tracker[...] = xp.where(grows, 0, steps).astype("int32")


update_scale = Kernel(update_scale)


@unscale.implement("cupy")
def unscale_cuda(arrays, found, scale):
    """All arrays of a dtype in one launch; each number is read and written once."""
    made, left, kept = cuda_parts.tables([(x,) for x in arrays])
    for dtype, table, parts in made:
        cuda_source.launch(
            "grad_scaling.cu", "unscale", dtype, parts, cuda_source.THREADS, table, found, scale
        )
    del kept  # until here the table knew them by their addresses
    unscale.reference([x for (x,) in left], found, scale)


@update_scale.implement("cupy")
def update_scale_cuda(scale, tracker, found, growth, backoff, interval):
    """One thread does it."""
    cuda_source.launch(
        "grad_scaling.cu", "update_scale", scale.dtype, 1, 1,
        scale, tracker, found, float(growth), float(backoff), interval,
    )  # fmt: skip
