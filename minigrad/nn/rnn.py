"""Recurrent layers: RNN, LSTM and GRU, over whole sequences and one step at a time (the cells).

T time, B batch, I input size, H hidden size, P size of the hidden state that is passed on (H, or
LSTM's proj_size), D directions (1 or 2), G gates (1 RNN, 3 GRU, 4 LSTM).

Sequences of one batch may differ in length: a PackedSequence holds, time step by time step, the
rows of those that are still running, the longest first. A padded batch is the special case in
which all run to the end, so one loop serves both.
"""

import math
import numbers
import warnings

from ..ops.creation import empty, zeros
from ..ops.shape import cat, split, stack, unbind
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence


def _rnn_step(activation, x_gates, h, w_hh, b_hh):
    """h' = activation(W_ih x + b_ih + W_hh h + b_hh); x_gates (B, H) is the input's part."""
    return activation(x_gates + F.linear(h, w_hh, b_hh))


def _gru_step(x_gates, h, w_hh, b_hh):
    """r = s(x_r + h_r), z = s(x_z + h_z), n = tanh(x_n + r h_n), h' = (1 - z) n + z h.

    Cho et al. 2014, in the variant that multiplies r into W h; x_gates (B, 3 H) in order r, z, n.
    """
    x_r, x_z, x_n = x_gates.chunk(3, dim=1)
    h_r, h_z, h_n = F.linear(h, w_hh, b_hh).chunk(3, dim=1)
    r = (x_r + h_r).sigmoid()
    z = (x_z + h_z).sigmoid()
    n = (x_n + r * h_n).tanh()
    return n + z * (h - n)


def _lstm_step(x_gates, h, c, w_hh, b_hh, w_hr=None):
    """i, f, o = s(...), g = tanh(...), c' = f c + i g, h' = o tanh(c'), times W_hr if there is one.

    Hochreiter & Schmidhuber 1997, Gers et al. 2000; x_gates (B, 4 H) in order i, f, g, o.
    """
    i, f, g, o = (x_gates + F.linear(h, w_hh, b_hh)).chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    if w_hr is not None:
        h = F.linear(h, w_hr)
    return h, c


def run_layer(mode, x, sizes, state, weights, reverse):
    """One layer in one direction over a packed batch.

    x (sum of sizes, I): the rows of step 0, of step 1 and so on; sizes: how many each, never
    growing. state: (h (B, P),), or (h, c (B, H)) for LSTM. weights: w_ih, w_hh, b_ih, b_hh, w_hr.
    Returns the outputs (sum of sizes, P) and the state of every sequence after its last step.
    """
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    x_gates = F.linear(x, w_ih, b_ih)  # the input's part of all steps in one product
    if sizes[-1] == sizes[0]:
        steps = unbind(x_gates.reshape(len(sizes), sizes[0], -1), 0)
    else:
        steps = split(x_gates, sizes)

    def step(gates, state):
        if mode == "LSTM":
            return _lstm_step(gates, *state, w_hh, b_hh, w_hr)
        if mode == "GRU":
            return (_gru_step(gates, *state, w_hh, b_hh),)
        activation = Tensor.tanh if mode == "RNN_TANH" else F.relu
        return (_rnn_step(activation, gates, *state, w_hh, b_hh),)

    if reverse:
        outputs, state = _run_backwards(step, steps, sizes, state)
    else:
        outputs, state = _run_forwards(step, steps, sizes, state)
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


class RNNBase(Module):
    """What RNN, LSTM and GRU share: options, weights, checks, the walk over layers and directions.

    Weights of layer k: weight_ih_lk (G H, I or D P), weight_hh_lk (G H, P), bias_ih_lk and
    bias_hh_lk (G H), weight_hr_lk (P, H) with proj_size, with the suffix _reverse for the second
    direction. All start from U(-1/sqrt(H), 1/sqrt(H)).
    """

    gates = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        is_number = isinstance(dropout, numbers.Number) and not isinstance(dropout, bool)
        if not is_number or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an "
                "element being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero "
                f"dropout expects num_layers greater than 1, but got dropout={dropout} and "
                f"num_layers={num_layers}",
                stacklevel=3,
            )
        for name, value, kind in (
            ("bias", bias, bool),
            ("batch_first", batch_first, bool),
            ("input_size", input_size, int),
            ("hidden_size", hidden_size, int),
        ):
            if not isinstance(value, kind):
                raise TypeError(
                    f"{name} should be of type {kind.__name__}, got: {type(value).__name__}"
                )
        for name, value in (
            ("input_size", input_size),
            ("hidden_size", hidden_size),
            ("num_layers", num_layers),
        ):
            if value <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if proj_size < 0:
            raise ValueError(
                "proj_size should be a positive integer or zero to disable projections"
            )
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if mode not in self.gates:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size

        rows = self.gates[mode] * hidden_size
        passed_on = proj_size or hidden_size
        self._all_weights = []  # the names of the weights, one list per layer and direction
        for layer in range(num_layers):
            width = input_size if layer == 0 else passed_on * self._directions
            for suffix in ("", "_reverse")[: self._directions]:
                shapes = {"weight_ih": (rows, width), "weight_hh": (rows, passed_on)}
                if bias:
                    shapes.update(bias_ih=(rows,), bias_hh=(rows,))
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    weight = Parameter(empty(shape, device=device, dtype=dtype))
                    setattr(self, f"{name}_l{layer}{suffix}", weight)
                self._all_weights.append([f"{name}_l{layer}{suffix}" for name in shapes])
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights, one list per layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Parameter]:
        return [weight for weights in self.all_weights for weight in weights]

    def flatten_parameters(self) -> None:
        """Does nothing: PyTorch gathers the weights for cuDNN here, which minigrad doesn't use."""

    def reset_parameters(self) -> None:
        """Draw new weights."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size != 0:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            text += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            text += f", bidirectional={self.bidirectional}"
        return text

    # What the three kinds differ in: the state is one tensor, or LSTM's two.

    def _check_state_dims(self, state, batched):
        if state[0].dim() != (3 if batched else 2):
            kind = "batched 3-D" if batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {kind} input, hx should also be {3 if batched else 2}-D "
                f"but got {state[0].dim()}-D tensor"
            )

    def _state_sizes(self, batch):
        """What the tensors of the state are called in errors, and their sizes."""
        layers = self.num_layers * self._directions
        return [("hidden", (layers, batch, self.proj_size or self.hidden_size))]

    def _check(self, input, sizes, state, batch):
        weight = getattr(self, self._all_weights[0][0])
        if input.dtype != weight.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: "
                f"model.to({input.dtype})"
            )
        if sizes is not None and input.dim() != 2:
            raise RuntimeError(f"input must have 2 dimensions, got {input.dim()}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, "
                f"got {input.shape[-1]}"
            )
        for s, (name, size) in zip(state, self._state_sizes(batch), strict=True):
            if tuple(s.shape) != size:
                raise RuntimeError(f"Expected {name} size {size}, got {list(s.shape)}")

    def forward(self, input, hx=None):
        packed = isinstance(input, PackedSequence)
        name = type(self).__name__
        state = hx if hx is None or self.mode == "LSTM" else (hx,)
        batched = True
        order = None
        if packed:
            order = input.sorted_indices
            x = input.data
            sizes = input.batch_sizes.tolist()
            batch = sizes[0]
        else:
            x = input
            if x.dim() not in (2, 3):
                word = " tensor" if name == "RNN" else ""
                raise ValueError(
                    f"{name}: Expected input to be 2D or 3D, got {x.dim()}D{word} instead"
                )
            batched = x.dim() == 3
            if state is not None:
                self._check_state_dims(state, batched)
            if not batched:
                x = x.unsqueeze(1)
                state = None if state is None else tuple(s.unsqueeze(1) for s in state)
            elif self.batch_first:
                x = x.transpose(0, 1)
            sizes = None
            batch = x.shape[1]
        if state is None:
            state = tuple(
                zeros(size, dtype=x.dtype, device=x.device) for _, size in self._state_sizes(batch)
            )
        elif order is not None:
            state = tuple(s.index_select(1, order) for s in state)
        self._check(x, sizes, state, batch)

        if packed:
            output, state = self._run(x, sizes, state)
            output = PackedSequence(output, *input[1:])
            if order is not None:
                state = tuple(s.index_select(1, input.unsorted_indices) for s in state)
        else:
            if x.shape[0] == 0:
                raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
            output, state = self._run(x.reshape(-1, self.input_size), [batch] * x.shape[0], state)
            output = output.reshape(x.shape[0], batch, -1)
            if not batched:
                output = output.squeeze(1)
                state = tuple(s.squeeze(1) for s in state)
            elif self.batch_first:
                output = output.transpose(0, 1)
        return output, (tuple(state) if self.mode == "LSTM" else state[0])

    def _run(self, x, sizes, state):
        """All layers, in all directions; the output of one is the input of the next."""
        starts = list(zip(*(unbind(s, 0) for s in state), strict=True))  # per layer and direction
        ends = []
        for layer in range(self.num_layers):
            if layer > 0 and self.dropout > 0:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for direction in range(self._directions):
                k = layer * self._directions + direction
                output, end = run_layer(
                    self.mode, x, sizes, starts[k], self._weights_of(k), direction == 1
                )
                outputs.append(output)
                ends.append(end)
            x = outputs[0] if len(outputs) == 1 else cat(outputs, 1)
        return x, tuple(stack(parts, 0) for parts in zip(*ends, strict=True))

    def _weights_of(self, k):
        names = self._all_weights[k]
        weights = [getattr(self, name) for name in names]
        biases = weights[2:4] if self.bias else [None, None]
        return *weights[:2], *biases, weights[-1] if self.proj_size else None


class RNN(RNNBase):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), or relu(...).  Elman 1990.

    input (T, B, I), (B, T, I) with batch_first, (T, I) without a batch, or a PackedSequence;
    hx (layers D, B, H), zeros by default -> output (T, B, D H) and the last h (layers D, B, H).
    dropout: between layers, in training.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device=None,
        dtype=None,
        **unknown,
    ):
        if "proj_size" in unknown:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if unknown:
            raise TypeError(f"RNN() got an unexpected keyword argument '{next(iter(unknown))}'")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(
            "RNN_" + nonlinearity.upper(),
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity


class GRU(RNNBase):
    """r, z = s(W x + b + W h + b), n = tanh(W x + b + r (W h + b)), h' = (1 - z) n + z h.

    Cho et al. 2014. Shapes and options as in RNN; the gates stand in the weights in order r, z, n.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device=None,
        dtype=None,
        **unknown,
    ):
        if "proj_size" in unknown:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if unknown:
            raise TypeError(f"GRU() got an unexpected keyword argument '{next(iter(unknown))}'")
        super().__init__(
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )


class LSTM(RNNBase):
    """i, f, o = s(W x + b + W h + b), g = tanh(W x + b + W h + b), c' = f c + i g, h' = o tanh(c').

    Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000; gates in order i, f, g,
    o. proj_size: h' is multiplied by W_hr (Sak et al. 2014).

    input as in RNN; hx a pair (h (layers D, B, P), c (layers D, B, H)), zeros by default
    -> output (T, B, D P) and the last (h, c).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device=None,
        dtype=None,
    ):
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )

    def _check_state_dims(self, state, batched):
        h, c = state
        if h.dim() != (3 if batched else 2) or c.dim() != h.dim():
            kind = "batched 3-D" if batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {3 if batched else 2}-D "
                f"but got ({h.dim()}-D, {c.dim()}-D) tensors"
            )

    def _state_sizes(self, batch):
        layers = self.num_layers * self._directions
        return [
            ("hidden[0]", (layers, batch, self.proj_size or self.hidden_size)),
            ("hidden[1]", (layers, batch, self.hidden_size)),
        ]


class RNNCellBase(Module):
    """One step of a recurrent layer: weight_ih (G H, I), weight_hh (G H, H), bias_ih, bias_hh."""

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        where = {"device": device, "dtype": dtype}
        self.weight_ih = Parameter(empty((rows, input_size), **where))
        self.weight_hh = Parameter(empty((rows, hidden_size), **where))
        self.register_parameter("bias_ih", Parameter(empty((rows,), **where)) if bias else None)
        self.register_parameter("bias_hh", Parameter(empty((rows,), **where)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights from U(-1/sqrt(H), 1/sqrt(H))."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        if nonlinearity != "tanh":
            text += f", nonlinearity={nonlinearity}"
        return text

    def _step(self, x_gates, state):
        raise NotImplementedError

    def _advance(self, input, state, states):
        """Check, add the batch dimension where it is missing, and make the step."""
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        batched = input.dim() == 2
        if not batched:
            input = input.unsqueeze(0)
        if state is None:
            size = (input.shape[0], self.hidden_size)
            state = (zeros(size, dtype=input.dtype, device=input.device),) * states
        else:
            for i, s in enumerate(state):
                if s.dim() not in (1, 2):
                    what = f"hx[{i}]" if states == 2 else "hidden"
                    raise ValueError(
                        f"{name}: Expected {what} to be 1D or 2D, got {s.dim()}D instead"
                    )
            if not batched:
                state = tuple(s.unsqueeze(0) for s in state)
        if input.shape[1] != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {input.shape[1]} "
                f"expected {self.input_size}"
            )
        for i, s in enumerate(state):
            if s.shape[0] != input.shape[0]:
                raise RuntimeError(
                    f"Input batch size {input.shape[0]} doesn't match hidden{i} "
                    f"batch size {s.shape[0]}"
                )
            if s.shape[1] != self.hidden_size:
                raise RuntimeError(
                    f"hidden{i} has inconsistent hidden_size: got {s.shape[1]}, "
                    f"expected {self.hidden_size}"
                )
        state = self._step(F.linear(input, self.weight_ih, self.bias_ih), state)
        return state if batched else tuple(s.squeeze(0) for s in state)


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu: input (B, I), hx (B, H) -> (B, H)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device=None,
        dtype=None,
    ):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._advance(input, None if hx is None else (hx,), 1)[0]

    def _step(self, x_gates, state):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        activation = Tensor.tanh if self.nonlinearity == "tanh" else F.relu
        return (_rnn_step(activation, x_gates, *state, self.weight_hh, self.bias_hh),)


class GRUCell(RNNCellBase):
    """One step of a GRU: input (B, I), hx (B, H) -> (B, H)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None
    ):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._advance(input, None if hx is None else (hx,), 1)[0]

    def _step(self, x_gates, state):
        return (_gru_step(x_gates, *state, self.weight_hh, self.bias_hh),)


class LSTMCell(RNNCellBase):
    """One step of an LSTM: input (B, I), hx a pair of (B, H) -> the new pair (h, c)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None
    ):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        return self._advance(input, hx, 2)

    def _step(self, x_gates, state):
        return _lstm_step(x_gates, *state, self.weight_hh, self.bias_hh)
