"""Recurrent layers: RNN, LSTM and GRU, over whole sequences and one step at a time (the cells).

T time, B batch, I input size, H hidden size, P size of the hidden state that is passed on (H, or
LSTM's proj_size), D directions (1 or 2), G gates (1 RNN, 3 GRU, 4 LSTM).

Sequences of one batch may differ in length: a PackedSequence holds, time step by time step, the
rows of those that are still running, the longest first. A padded batch is the special case in
which all run to the end, so the same ops (ops/rnn.py) serve both.
"""

import math
import numbers
import warnings

from ..autocasting import applies
from ..engine import is_grad_enabled
from ..ops.creation import empty, zeros
from ..ops.rnn import gru_layer, gru_step, lstm_layer, lstm_step, rnn_layer, rnn_step, run_layer
from ..ops.shape import cat, stack, unbind
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence


def _layer(mode, x, sizes, state, weights, reverse, batch_first):
    """One layer in one direction: outputs and last states; `state` None: zeros.

    By the kernels' ops; by the plain loop with proj_size and for mixed dtypes.
    """
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    array = x.array
    fits = w_hr is None and len(array) > 0
    if state is not None:
        alike = all(s.array.dtype == array.dtype for s in state)
        fits = fits and (alike or applies("lstm_layer", array))
    if not fits:
        if state is None:
            shapes = [(sizes[0], w_hh.shape[1]), (sizes[0], w_hh.shape[0] // 4)]
            shapes = shapes if mode == "LSTM" else shapes[:1]
            state = tuple(zeros(shape, dtype=x.dtype, device=x.device) for shape in shapes)
        return run_layer(mode, x, sizes, state, weights, reverse, batch_first)
    biases = (0, 0) if b_ih is None else (b_ih, b_hh)
    options = {"sizes": sizes, "batch_first": batch_first, "reverse": reverse}
    if mode == "LSTM":
        h, c = (0, 0) if state is None else state
        keep = is_grad_enabled()
        out, h, c, *_ = lstm_layer(x, h, c, w_ih, w_hh, *biases, **options, keep=keep)
        return out, (h, c)
    (h,) = (0,) if state is None else state
    if mode == "GRU":
        out, h, _ = gru_layer(x, h, w_ih, w_hh, *biases, **options, keep=is_grad_enabled())
    else:
        out, h = rnn_layer(x, h, w_ih, w_hh, *biases, **options, relu=mode == "RNN_RELU")
    return out, (h,)


def _apart(state, count):
    """The states (B, H) of all layers and directions, from one tensor (count, B, H)."""
    return (state.squeeze(0),) if count == 1 else unbind(state, 0)


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
        if input.dtype != weight.dtype and not applies("lstm_layer", input.array):
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
        if state is None:
            return
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
                batch_first = False
            else:
                batch_first = self.batch_first
                # the masks of the dropout between layers are drawn in the order (T, B, H)
                if batch_first and self.training and self.dropout > 0:
                    x, batch_first = x.transpose(0, 1), False
            sizes = None
            batch = x.shape[0 if batch_first else 1]
        if state is not None and order is not None:
            state = tuple(s.index_select(1, order) for s in state)
        self._check(x, sizes, state, batch)

        if packed:
            output, state = self._run(x, tuple(sizes), state, False)
            output = PackedSequence(output, *input[1:])
            if order is not None:
                state = tuple(s.index_select(1, input.unsorted_indices) for s in state)
        else:
            steps = x.shape[1 if batch_first else 0]
            if steps == 0:
                raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
            rows = x.reshape(-1, self.input_size)
            output, state = self._run(rows, (batch,) * steps, state, batch_first)
            output = output.reshape(*x.shape[:2], -1)
            if not batched:
                output = output.squeeze(1)
                state = tuple(s.squeeze(1) for s in state)
            elif self.batch_first and not batch_first:
                output = output.transpose(0, 1)
        return output, (tuple(state) if self.mode == "LSTM" else state[0])

    def _run(self, x, sizes, state, batch_first):
        """All layers, in all directions; the output of one is the input of the next."""
        count = self.num_layers * self._directions
        starts = [None] * count  # per layer and direction
        if state is not None:
            starts = list(zip(*(_apart(s, count) for s in state), strict=True))
        ends = []
        for layer in range(self.num_layers):
            if layer > 0 and self.dropout > 0:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for direction in range(self._directions):
                k = layer * self._directions + direction
                output, end = _layer(
                    self.mode, x, sizes, starts[k], self._weights_of(k), direction == 1, batch_first
                )
                outputs.append(output)
                ends.append(end)
            x = outputs[0] if len(outputs) == 1 else cat(outputs, 1)
        if count == 1:
            return x, tuple(s.unsqueeze(0) for s in ends[0])
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
        return (rnn_step(activation, x_gates, *state, self.weight_hh, self.bias_hh),)


class GRUCell(RNNCellBase):
    """One step of a GRU: input (B, I), hx (B, H) -> (B, H)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None
    ):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._advance(input, None if hx is None else (hx,), 1)[0]

    def _step(self, x_gates, state):
        return (gru_step(x_gates, *state, self.weight_hh, self.bias_hh),)


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
        return lstm_step(x_gates, *state, self.weight_hh, self.bias_hh)
