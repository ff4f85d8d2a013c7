"""Optimizers' updates with the step count and the learning rate on the GPU, for captured graphs.

    t += 1;  size = lr / (1 - b1^t);  root = sqrt(1 - b2^t)

are worked out where they are used (capturable.cu), in float64 as Python does for `optimizers.adam`, so
nothing is read back. A count is a float32 array of no dimensions, exact up to 2^24 steps; a rate is a
number or an array of no dimensions.
"""

from ..backend import array_module
from . import cuda_parts
from .kernel import Kernel
from .optimizers import adam, sgd


def adam_counted(rows, counts, rate, b1, b2, eps, decay, apart, amsgrad, sign):
    """Each count goes up by one, then its row takes the step of `optimizers.adam`.

    rows: (w, g, m, v), with amsgrad (w, g, m, v, top). apart: weight decay shrinks w.
    """
    for row, count in zip(rows, counts, strict=True):
        xp = array_module(row[0])
        if hasattr(rate, "dtype"):
            rate = rate.astype("float64")
        count += 1
        t = count.astype("float64")
        size, root = rate / (1 - b1**t), xp.sqrt(1 - b2**t)
        shrink = 1 - rate * decay if apart else 1
        if apart:
            row[0][...] = row[0] * shrink
        adam.reference([row], size, b1, b2, root, eps, 0 if apart else decay, 1, amsgrad, sign)


adam_counted = Kernel(adam_counted)


def sgd_at_rate(rows, rate, momentum, keep, decay, nesterov, sign):
    """As `optimizers.sgd`, with a rate that is an array."""
    sgd.reference(rows, rate, momentum, keep, decay, nesterov, sign)


sgd_at_rate = Kernel(sgd_at_rate)


def _in_doubles(rate, like):
    return array_module(like).asarray(rate, "float64") if hasattr(rate, "dtype") else None


@adam_counted.implement("cupy")
def adam_counted_cuda(rows, counts, rate, b1, b2, eps, decay, apart, amsgrad, sign):
    """Two launches: all counts, then all parameters."""
    known = [cuda_parts._contiguous(row) is not None and row[0].size for row in rows]
    pairs = list(zip(rows, counts, strict=True))
    numbers = b1, b2, eps, decay, apart, amsgrad, sign
    left = [pair for pair, fits in zip(pairs, known, strict=True) if not fits]
    if left:
        adam_counted.reference(*zip(*left, strict=True), rate, *numbers)
    done = [pair for pair, fits in zip(pairs, known, strict=True) if fits]
    if done:
        rows, counts = zip(*done, strict=True)
        cuda_parts.run("capturable.cu", "count_up", [(count,) for count in counts], ())
        rates = _in_doubles(rate, rows[0][0]), 0.0 if hasattr(rate, "dtype") else rate
        cuda_parts.run("capturable.cu", "adam_counted", rows, (*rates, *numbers), counts)


@sgd_at_rate.implement("cupy")
def sgd_at_rate_cuda(rows, rate, momentum, keep, decay, nesterov, sign):
    """One launch over all parameters."""
    numbers = momentum, keep, decay, nesterov, sign
    rate = _in_doubles(rate, rows[0][0])
    left = cuda_parts.run("capturable.cu", "sgd_at_rate", rows, (rate, *numbers))
    sgd_at_rate.reference(left, rate, *numbers)
