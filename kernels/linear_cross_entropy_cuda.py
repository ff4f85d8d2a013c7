"""Cross-entropy with the linear layer before it, on the GPU: some rows of logits at a time.

The definition stands in cross_entropy.py. All logits of a language model (8192 places, 50,000 words)
would be 1.6 GB, their gradients as much again; so they exist for some rows only, as many as keep the
library's products busy, and turn into their gradients in the same memory.
"""

from ..backend import array_module
from . import cuda_source
from .cross_entropy import cross_entropy, cross_entropy_backward, linear_cross_entropy
from .cublas import matmul

NUMBERS = 1 << 26  # logits at a time


@linear_cross_entropy.implement("cupy")
def linear_cross_entropy_cuda(
    h, w, bias, target, weight, smoothing, ignore_index, scale, gradients
):
    """Products by the library, all else by the kernels of cross_entropy.cu."""
    given = [x for x in (bias, weight) if x is not None]
    options = weight, smoothing, ignore_index
    if not (h.size and w.size) or not cuda_source.known(h, w, scale, *given):
        return linear_cross_entropy.reference(h, w, bias, target, *options, scale, gradients)
    xp, count, classes = array_module(h), len(h), len(w)
    losses = xp.empty(count, h.dtype)
    of_h = xp.empty(h.shape, h.dtype) if gradients else None
    of_w = of_bias = None
    rows = max(1, NUMBERS // classes)
    for first in range(0, count, rows):
        part = slice(first, first + rows)
        logits = matmul(h[part], w.T)
        if bias is not None:
            logits += bias
        losses[part], total = cross_entropy[xp](logits, target[part], *options)
        if not gradients:
            continue
        g = cross_entropy_backward[xp](scale[part], logits, total, target[part], *options, logits)
        matmul(g, w, out=of_h[part])
        if of_w is None:
            of_w, of_bias = matmul(g.T, h[part]), g.sum(0)
        else:
            of_w += matmul(g.T, h[part])
            of_bias += g.sum(0)
    return losses, of_h, of_w, None if bias is None else of_bias
