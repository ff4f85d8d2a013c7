"""The plain recurrent layer on the GPU: the library's matrix products, and rnn.cu for each step's rest."""

from ..backend import array_module
from . import cuda_source
from .cublas import matmul
from .recurrent_cuda import _fits, _previous, _steps
from .rnn import rnn_backward, rnn_forward


def _launch(kernel, *arguments, count, size):
    cuda_source.launch(
        "rnn.cu", kernel, arguments[0].dtype, cuda_source.blocks(count * size), cuda_source.THREADS,
        *arguments, count, size,
    )  # fmt: skip


@rnn_forward.implement("cupy")
def rnn_forward_cuda(x, h0, w_ih, w_hh, bias, sizes, batch_first, reverse, relu):
    """The inputs' products for all steps at once; then a product and a launch a step."""
    if not _fits(x, h0, w_ih, w_hh, bias):
        return rnn_forward.reference(x, h0, w_ih, w_hh, bias, sizes, batch_first, reverse, relu)
    xp, size = array_module(x), w_hh.shape[1]
    out, h = xp.empty((len(x), size), x.dtype), h0.copy("C")
    from_x = xp.ascontiguousarray(matmul(x, w_ih.T))
    from_x += bias
    from_h = xp.empty(h.shape, x.dtype)
    for start, hop, count, *_ in _steps(sizes, batch_first, reverse):
        matmul(h[:count], w_hh.T, out=from_h[:count])
        _launch("rnn_step", from_x, from_h, h, out, start, hop, relu, count=count, size=size)
    return out, h


@rnn_backward.implement("cupy")
def rnn_backward_cuda(
    g_out, g_h, out, x, h0, w_ih, w_hh, sizes, batch_first, reverse, relu, wanted
):
    """A launch and a product a step; then the gradients of the weights."""
    if not _fits(x, h0, w_ih, w_hh, g_out, g_h, out):
        return rnn_backward.reference(
            g_out, g_h, out, x, h0, w_ih, w_hh, sizes, batch_first, reverse, relu, wanted
        )
    xp, size = array_module(x), w_hh.shape[1]
    before = _previous(out, h0, sizes, batch_first, reverse)
    g_out, out, dh = xp.ascontiguousarray(g_out), xp.ascontiguousarray(out), g_h.copy("C")
    d, step = xp.empty(out.shape, out.dtype), xp.empty(dh.shape, dh.dtype)
    for start, hop, count, *_ in reversed(list(_steps(sizes, batch_first, reverse))):
        _launch(
            "rnn_step_backward", g_out, out, dh, d, step, start, hop, relu, count=count, size=size
        )
        matmul(step[:count], w_hh, out=dh[:count])
    dx = matmul(d, w_ih) if wanted[0] else None
    dw_ih = matmul(d.T, x) if wanted[1] else None
    dw_hh = matmul(d.T, before) if wanted[2] else None
    return dx, dh, dw_ih, dw_hh, d.sum(0)
