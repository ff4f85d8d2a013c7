"""Recurrent layers over whole sequences: one layer, one direction, as one op, and as plain ops.

The fused ops (lstm_layer, gru_layer, rnn_layer) run the kernels; the plain loop below, one small op
after another, is what they are tested against, what runs where there is no kernel (LSTM's proj_size,
GPUs), and what is differentiated where gradients need gradients of their own.

x (N, I) holds the rows of all steps, sizes[t] of them for step t, never growing: in order (t, b), or
with batch_first (b, t); then all sizes are equal.
"""

from ..backend import array_module
from ..kernels import (
    recurrent_cuda,  # noqa: F401 (it adds the GPU to the kernels of LSTM and GRU)
    rnn_cuda,  # noqa: F401 (and to those of the plain recurrent layer)
)
from ..kernels.gru import gru_backward, gru_forward
from ..kernels.lstm import lstm_backward, lstm_forward
from ..kernels.rnn import rnn_backward, rnn_forward
from ..op import primitive
from .activation import relu
from .creation import zeros
from .elementwise import add_arrays, tanh
from .linalg import times_transposed
from .shape import cat, chunk, split, unbind
from .special import sigmoid

__all__: list[str] = []


# -- in plain ops -------------------------------------------------------------------------------


def _linear(x, w, b):
    product = times_transposed(x, w)
    return product if b is None else add_arrays(product, b)


def rnn_step(activation, x_gates, h, w_hh, b_hh):
    """h' = activation(W_ih x + b_ih + W_hh h + b_hh); x_gates (B, H) is the input's part."""
    return activation(x_gates + _linear(h, w_hh, b_hh))


def gru_step(x_gates, h, w_hh, b_hh):
    """r = s(x_r + h_r), z = s(x_z + h_z), n = tanh(x_n + r h_n), h' = (1 - z) n + z h.

    Cho et al. 2014, in the variant that multiplies r into W h; x_gates (B, 3 H) in order r, z, n.
    """
    x_r, x_z, x_n = chunk(x_gates, 3, 1)
    h_r, h_z, h_n = chunk(_linear(h, w_hh, b_hh), 3, 1)
    r = sigmoid(x_r + h_r)
    z = sigmoid(x_z + h_z)
    n = tanh(x_n + r * h_n)
    return n + z * (h - n)


def lstm_step(x_gates, h, c, w_hh, b_hh, w_hr=None):
    """i, f, o = s(...), g = tanh(...), c' = f c + i g, h' = o tanh(c'), times W_hr if there is one.

    Hochreiter & Schmidhuber 1997, Gers et al. 2000; x_gates (B, 4 H) in order i, f, g, o.
    """
    i, f, g, o = chunk(x_gates + _linear(h, w_hh, b_hh), 4, 1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    if w_hr is not None:
        h = _linear(h, w_hr, None)
    return h, c


def run_layer(mode, x, sizes, state, weights, reverse=False, batch_first=False):
    """One layer in one direction over a packed batch.

    x (sum of sizes, I): the rows of all steps; sizes: how many each. state: (h (B, P),), or
    (h, c (B, H)) for LSTM. weights: w_ih, w_hh, b_ih, b_hh, w_hr, some of them None.
    Returns the outputs (sum of sizes, P) and the state of every sequence after its last step.
    """
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    x_gates = _linear(x, w_ih, b_ih)  # the input's part of all steps in one product
    steps = len(sizes)
    if batch_first:
        gates = unbind(x_gates.reshape(sizes[0], steps, -1), 1)
    elif sizes[-1] == sizes[0]:
        gates = unbind(x_gates.reshape(steps, sizes[0], -1), 0)
    else:
        gates = split(x_gates, list(sizes))

    def step(gates, state):
        if mode == "LSTM":
            return lstm_step(gates, *state, w_hh, b_hh, w_hr)
        if mode == "GRU":
            return (gru_step(gates, *state, w_hh, b_hh),)
        activation = tanh if mode == "RNN_TANH" else relu
        return (rnn_step(activation, gates, *state, w_hh, b_hh),)

    run = _run_backwards if reverse else _run_forwards
    outputs, state = run(step, gates, sizes, state)
    if batch_first:
        return cat([output.unsqueeze(1) for output in outputs], 1).flatten(0, 1), state
    return cat(outputs, 0), state


def _run_forwards(step, steps, sizes, state):
    outputs = []
    ended = []  # the last states of sequences that have ended, the longest last
    for gates, size in zip(steps, sizes, strict=True):
        if size < state[0].shape[0]:
            ended.append(tuple(s[size:] for s in state))
            state = tuple(s[:size] for s in state)
        state = step(gates, state)
        outputs.append(state[0])
    if ended:
        ended.append(state)
        state = tuple(cat(parts, 0) for parts in zip(*reversed(ended), strict=True))
    return outputs, state


def _run_backwards(step, steps, sizes, start):
    """From the last step to the first; shorter sequences join in, from their start state, later."""
    outputs = []
    state = tuple(s[: sizes[-1]] for s in start) if sizes[-1] < sizes[0] else start
    for gates, size in zip(reversed(steps), reversed(sizes), strict=True):
        running = state[0].shape[0]
        if running < size:
            state = tuple(cat([s, s0[running:size]], 0) for s, s0 in zip(state, start, strict=True))
        state = step(gates, state)
        outputs.append(state[0])
    return outputs[::-1], state


# -- fused --------------------------------------------------------------------------------------
#
# A state that is not given is 0, and so are biases. `keep`: whether backward will be asked for.


def _given(value):
    return hasattr(value, "shape")


def _start(state, x, sizes, w_hh):
    """The state before the first step, as an array (B, H)."""
    return state if _given(state) else array_module(x).zeros((sizes[0], w_hh.shape[1]), x.dtype)


def _bias(b_ih, b_hh, w_ih):
    """The sum of both biases (G H)."""
    return b_ih + b_hh if _given(b_ih) else array_module(w_ih).zeros(len(w_ih), w_ih.dtype)


def _composite(mode, x, state, w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse):
    """(outputs, last states), by `run_layer`."""
    shape = sizes[0], w_hh.shape[1]
    state = [s if _given(s) else zeros(shape, dtype=x.dtype, device=x.device) for s in state]
    biases = (b_ih, b_hh) if _given(b_ih) else (None, None)
    weights = (w_ih, w_hh, *biases, None)
    out, state = run_layer(mode, x, sizes, tuple(state), weights, reverse, batch_first)
    return out, *state


@primitive(name="Lstm")
def lstm_layer(
    xp, x, h0, c0, w_ih, w_hh, b_ih, b_hh, *, sizes, batch_first=False, reverse=False, keep=True
):
    """-> h of all steps (N, H), the last h and c (B, H); gates and cells, for backward alone."""
    h0, c0 = _start(h0, x, sizes, w_hh), _start(c0, x, sizes, w_hh)
    bias = _bias(b_ih, b_hh, w_ih)
    return lstm_forward[xp](x, h0, c0, w_ih, w_hh, bias, sizes, batch_first, reverse, keep)


def _lstm_gradients(
    g, out, wanted, x, h0, c0, w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse, keep
):
    h, _, _, gates, cells = out
    h0, c0 = _start(h0, x, sizes, w_hh), _start(c0, x, sizes, w_hh)
    dx, dh, dc, dw_ih, dw_hh, d_bias = lstm_backward[array_module(x)](
        *g, h, gates, cells, x, h0, c0, w_ih, w_hh, sizes, batch_first, reverse,
        (wanted[0], wanted[3], wanted[4]),
    )  # fmt: skip
    return dx, dh, dc, dw_ih, dw_hh, d_bias, d_bias


def _lstm_composite(
    x, h0, c0, w_ih, w_hh, b_ih, b_hh, *, sizes, batch_first=False, reverse=False, keep=True
):
    state = h0, c0
    return _composite("LSTM", x, state, w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse)


lstm_layer.fused(_lstm_gradients, _lstm_composite, outputs=3)


@primitive(name="Gru")
def gru_layer(
    xp, x, h0, w_ih, w_hh, b_ih, b_hh, *, sizes, batch_first=False, reverse=False, keep=True
):
    """-> h of all steps (N, H), the last h (B, H); gates, for backward alone."""
    h0 = _start(h0, x, sizes, w_hh)
    if not _given(b_ih):
        b_ih = b_hh = xp.zeros(len(w_ih), w_ih.dtype)
    return gru_forward[xp](x, h0, w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse, keep)


def _gru_gradients(
    g, out, wanted, x, h0, w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse, keep
):
    h, _, gates = out
    return gru_backward[array_module(x)](
        *g, h, gates, x, _start(h0, x, sizes, w_hh), w_ih, w_hh, sizes, batch_first, reverse,
        (wanted[0], wanted[2], wanted[3]),
    )  # fmt: skip


def _gru_composite(
    x, h0, w_ih, w_hh, b_ih, b_hh, *, sizes, batch_first=False, reverse=False, keep=True
):
    return _composite("GRU", x, (h0,), w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse)


gru_layer.fused(_gru_gradients, _gru_composite, outputs=2)


@primitive(name="Rnn")
def rnn_layer(
    xp, x, h0, w_ih, w_hh, b_ih, b_hh, *, sizes, batch_first=False, reverse=False, relu=False
):
    """-> h of all steps (N, H), the last h (B, H)."""
    bias = _bias(b_ih, b_hh, w_ih)
    h0 = _start(h0, x, sizes, w_hh)
    return rnn_forward[xp](x, h0, w_ih, w_hh, bias, sizes, batch_first, reverse, relu)


def _rnn_gradients(
    g, out, wanted, x, h0, w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse, relu
):
    dx, dh, dw_ih, dw_hh, d_bias = rnn_backward[array_module(x)](
        *g, out[0], x, _start(h0, x, sizes, w_hh), w_ih, w_hh, sizes, batch_first, reverse, relu,
        (wanted[0], wanted[2], wanted[3]),
    )  # fmt: skip
    return dx, dh, dw_ih, dw_hh, d_bias, d_bias


def _rnn_composite(
    x, h0, w_ih, w_hh, b_ih, b_hh, *, sizes, batch_first=False, reverse=False, relu=False
):
    mode = "RNN_RELU" if relu else "RNN_TANH"
    return _composite(mode, x, (h0,), w_ih, w_hh, b_ih, b_hh, sizes, batch_first, reverse)


rnn_layer.fused(_rnn_gradients, _rnn_composite)


def _samples(states, gates):
    """Equal and falling sizes, both orders of rows, both directions, with and without biases."""

    def make(rand):
        def case(sizes, inputs, size, given=True, **options):
            weight = [rand(gates * size, k, low=-1, high=1) for k in (inputs, size)]
            start = [rand(sizes[0], size) if given else 0 for _ in range(states)]
            bias = [rand(gates * size) if given else 0 for _ in range(2)]
            return (rand(sum(sizes), inputs), *start, *weight, *bias, {"sizes": sizes, **options})

        return [
            case((2, 2, 2), 2, 3),
            case((3, 3), 3, 2, batch_first=True, reverse=True),
            case((3, 2, 2, 1), 2, 2),
            case((3, 2, 1), 1, 2, given=False, reverse=True),
            case((1,), 2, 1),
        ]

    return make


lstm_layer.samples(_samples(2, 4))
gru_layer.samples(_samples(1, 3))
rnn_layer.samples(
    lambda rand: [
        (*arguments, {**options, "relu": relu})
        for relu in (False, True)
        for *arguments, options in _samples(1, 1)(rand)
    ]
)
