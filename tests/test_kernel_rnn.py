"""Recurrent kernels against their references, the layers against torch, and gradients of gradients."""

import copy

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import gru, lstm, rnn
from minigrad.kernels.recurrent import panels

import minigrad
from minigrad.autograd import gradcheck, gradgradcheck

MODES = ["LSTM", "GRU", "RNN_TANH", "RNN_RELU"]
GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


@st.composite
def batches(draw):
    """(sizes, batch_first): how many sequences each step has, and the order of the rows."""
    steps, batch = draw(st.integers(1, 6)), draw(st.integers(1, 20))
    if draw(st.booleans()):
        return (batch,) * steps, draw(st.booleans())
    rest = draw(st.lists(st.integers(1, batch), min_size=steps - 1, max_size=steps - 1))
    return (batch, *sorted(rest, reverse=True)), False


def arguments(mode, sizes, inputs, size, dtype, seed=0):
    """x, the states, W_ih, W_hh, b_ih, b_hh."""
    rng = numpy.random.default_rng(seed)
    rows = GATES[mode] * size
    states = [(sizes[0], size)] * (2 if mode == "LSTM" else 1)
    shapes = [(sum(sizes), inputs), *states, (rows, inputs), (rows, size), (rows,), (rows,)]
    return [(rng.standard_normal(shape) * 0.6).astype(dtype) for shape in shapes]


def forward_and_backward(mode, pick, inputs, options, wanted=(True, True, True)):
    """All results of both kernels; pick(kernel) is the implementation."""
    rng = numpy.random.default_rng(1)
    *inputs, b_ih, b_hh = inputs
    if mode == "LSTM":
        outs = pick(lstm.lstm_forward)(*inputs, b_ih + b_hh, *options, True)
        backward, seeded, saved, more = pick(lstm.lstm_backward), 3, (0, 3, 4), ()
    elif mode == "GRU":
        outs = pick(gru.gru_forward)(*inputs, b_ih, b_hh, *options, True)
        backward, seeded, saved, more = pick(gru.gru_backward), 2, (0, 2), ()
    else:
        more = (mode == "RNN_RELU",)
        outs = pick(rnn.rnn_forward)(*inputs, b_ih + b_hh, *options, *more)
        backward, seeded, saved = pick(rnn.rnn_backward), 2, (0,)
    g = [rng.standard_normal(out.shape).astype(out.dtype) for out in outs[:seeded]]
    kept = [outs[k] for k in saved]
    return [*outs, *backward(*g, *kept, *inputs, *options, *more, wanted)]


def compiled(kernel):
    return kernel[numpy]


def reference(kernel):
    return kernel.reference


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(MODES),
    batches(),
    st.integers(1, 40),
    st.integers(1, 40),
    st.booleans(),
    st.sampled_from(["float32", "float64"]),
)
def test_kernels_against_references(mode, batch, inputs, size, reverse, dtype):
    sizes, batch_first = batch
    given_ = arguments(mode, sizes, inputs, size, dtype)
    options = sizes, batch_first, reverse
    found = forward_and_backward(mode, compiled, given_, options)
    expected = forward_and_backward(mode, reference, given_, options)
    if mode == "RNN_RELU":  # by one rounding, a unit may be at work in one and not in the other
        assert all(((a > 0) == (b > 0)).all() for a, b in zip(found[:2], expected[:2], strict=True))
    tolerance = 2e-4 if dtype == "float32" else 1e-11
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype == dtype and a.shape == b.shape
        scale = 1 + abs(b).max()
        numpy.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sizes", [(33,) * 5, (20, 20, 11, 3, 1)])
def test_same_bits_for_any_number_of_threads(mode, sizes):
    given_ = arguments(mode, sizes, 50, 70, "float32")
    before = minigrad.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 2):
            minigrad.set_num_threads(threads)
            results.append(forward_and_backward(mode, compiled, given_, (sizes, False, False)))
    finally:
        minigrad.set_num_threads(before)
    for other in results[1:]:
        assert all(numpy.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_wanted_is_not_made(mode):
    given_ = arguments(mode, (3, 3), 4, 5, "float32")
    for pick in (compiled, reference):
        every = forward_and_backward(mode, pick, given_, ((3, 3), False, False))
        some = forward_and_backward(
            mode, pick, given_, ((3, 3), False, False), (False, False, False)
        )
        missing = [k for k, x in enumerate(some) if x is None]
        assert len(missing) == 3
        for k, (a, b) in enumerate(zip(every, some, strict=True)):
            assert k in missing or numpy.array_equal(a, b)


@pytest.mark.parametrize("mode", ["LSTM", "GRU"])
def test_nothing_is_kept_without_gradients(mode):
    *inputs, b_ih, b_hh = arguments(mode, (3, 3), 4, 5, "float32")
    options = (3, 3), False, False
    if mode == "LSTM":
        kept = [lstm.lstm_forward[numpy](*inputs, b_ih, *options, keep) for keep in (True, False)]
        states = 3
    else:
        kept = [gru.gru_forward[numpy](*inputs, b_ih, b_hh, *options, k) for k in (True, False)]
        states = 2
    for a, b in zip(kept[0][:states], kept[1][:states], strict=True):
        assert numpy.array_equal(a, b)
    assert all(x.size == 0 for x in kept[1][states:])


def test_nan_and_infinity_stay_in_their_sequence():
    sizes = (3, 3, 3)
    for mode in MODES:
        given_ = arguments(mode, sizes, 4, 5, "float32")
        clean = forward_and_backward(mode, compiled, given_, (sizes, False, False))[0]
        given_[0][4] = numpy.nan  # sequence 1, step 1
        out = forward_and_backward(mode, compiled, given_, (sizes, False, False))[0]
        assert numpy.isnan(out[[4, 7]]).all()
        others = [0, 1, 2, 3, 5, 6, 8]
        assert numpy.array_equal(out[others], clean[others])


def test_strided_arrays_and_other_dtypes():
    sizes = (3, 3)
    for mode in MODES:
        given_ = arguments(mode, sizes, 4, 5, "float32")
        expected = forward_and_backward(mode, compiled, given_, (sizes, False, True))
        strided = [numpy.repeat(x, 2, -1)[..., ::2] for x in given_]
        found = forward_and_backward(mode, compiled, strided, (sizes, False, True))
        assert all(numpy.array_equal(a, b) for a, b in zip(found, expected, strict=True))
        half = [x.astype("float16") for x in given_]
        found = forward_and_backward(mode, compiled, half, (sizes, False, True))
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == "float16"
            numpy.testing.assert_allclose(a, b, rtol=0.05, atol=0.05)


def test_panels():
    assert panels(numpy.dtype("float32"), 33) == (2, 32)
    assert panels(numpy.dtype("float64"), 32) == (2, 16)


# -- layers --------------------------------------------------------------------------------------


def build(library, kind, options, inputs, size):
    return getattr(library.nn, kind)(inputs, size, **options)


def results_of(library, layer, x, state, lengths, seeds, batch_first):
    """Outputs, last states and all gradients, as arrays."""
    x = library.tensor(x, requires_grad=True)
    state = [library.tensor(s, requires_grad=True) for s in state]
    given_ = x
    if lengths is not None:
        given_ = library.nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=batch_first, enforce_sorted=False
        )
    hx = tuple(state) if len(state) == 2 else state[0] if state else None
    output, last = layer(given_, hx)
    if lengths is not None:
        output, _ = library.nn.utils.rnn.pad_packed_sequence(output, batch_first=batch_first)
    last = last if isinstance(last, tuple) else (last,)
    loss = sum((o * library.tensor(s)).sum() for o, s in zip((output, *last), seeds, strict=True))
    loss.backward()
    values = [output, *last, x.grad, *[s.grad for s in state]]
    values += [parameter.grad for parameter in layer.parameters()]
    return [numpy.array(value.detach().numpy()) for value in values]


CASES = [
    # batch, steps, inputs, hidden, lengths, given state, options
    (3, 5, 4, 7, None, True, {}),
    (1, 1, 3, 5, None, False, {}),
    (1, 9, 3, 16, None, True, {"batch_first": True}),
    (5, 4, 10, 33, None, False, {"bidirectional": True, "batch_first": True, "num_layers": 2}),
    (4, 6, 5, 8, [6, 1, 3, 3], True, {"bidirectional": True}),
    (3, 4, 5, 9, [2, 4, 1], False, {"num_layers": 2, "batch_first": True}),
    (17, 3, 6, 12, None, False, {"bias": False, "num_layers": 3}),
]


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN", "RNN relu"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_layers_against_torch(kind, case):
    torch = pytest.importorskip("torch")
    batch, steps, inputs, size, lengths, has_state, options = case
    if kind == "RNN relu":
        kind, options = "RNN", {**options, "nonlinearity": "relu"}
    theirs = build(torch, kind, options, inputs, size).double()
    ours = build(minigrad, kind, options, inputs, size).double()
    weights = {name: w.numpy() for name, w in theirs.state_dict().items()}
    ours.load_state_dict({name: minigrad.tensor(w) for name, w in weights.items()})
    rng = numpy.random.default_rng(0)
    batch_first = options.get("batch_first", False)
    directions = 2 if options.get("bidirectional") else 1
    order = (batch, steps) if batch_first else (steps, batch)
    x = rng.standard_normal((*order, inputs))
    shape = (options.get("num_layers", 1) * directions, batch, size)
    states = 2 if kind == "LSTM" else 1
    state = [rng.standard_normal(shape) for _ in range(states)] if has_state else []
    seeds = [rng.standard_normal((*order, directions * size))]
    seeds += [rng.standard_normal(shape) for _ in range(states)]
    found, expected = (
        results_of(library, layer, x, state, lengths, seeds, batch_first)
        for library, layer in ((minigrad, ours), (torch, theirs))
    )
    for a, b in zip(found, expected, strict=True):
        numpy.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_only_the_last_state_has_a_gradient(kind):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, kind)(3, 6)
    ours = getattr(minigrad.nn, kind)(3, 6)
    weights = {name: w.numpy() for name, w in theirs.state_dict().items()}
    ours.load_state_dict({name: minigrad.tensor(w) for name, w in weights.items()})
    x = numpy.random.default_rng(0).standard_normal((4, 2, 3)).astype("float32")
    for library, layer in ((torch, theirs), (minigrad, ours)):
        _, last = layer(library.tensor(x))
        (last[1] if kind == "LSTM" else last).sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        numpy.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_gradcheck_and_gradgradcheck(kind):
    layer = getattr(minigrad.nn, kind)(2, 3, batch_first=True, bidirectional=True).double()
    minigrad.manual_seed(0)
    x = minigrad.randn(2, 3, 2, dtype=minigrad.float64, requires_grad=True)
    inputs = (x, *layer.parameters())

    def run(x, *weights):  # the weights are changed in place, so the layer sees the changes
        output, last = layer(x)
        return output, *(last if kind == "LSTM" else (last,))

    assert gradcheck(run, inputs)
    assert gradgradcheck(run, inputs)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_backward_twice_and_changed_outputs(kind):
    layer = getattr(minigrad.nn, kind)(3, 4)
    output, _ = layer(minigrad.randn(5, 2, 3))
    output.sum().backward(retain_graph=True)
    first = [w.grad.clone() for w in layer.parameters()]
    output.sum().backward()
    for w, g in zip(layer.parameters(), first, strict=True):
        assert minigrad.allclose(w.grad, 2 * g)
    output, _ = layer(minigrad.randn(5, 2, 3))
    output.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        output.sum().backward()


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_no_grad_gives_the_same_numbers(kind):
    layer = getattr(minigrad.nn, kind)(3, 20, num_layers=2, bidirectional=True)
    x = minigrad.randn(5, 2, 3)
    output, _ = layer(x)
    with minigrad.no_grad():
        again, _ = layer(x)
    assert output.requires_grad and not again.requires_grad
    assert numpy.array_equal(output.detach().numpy(), again.numpy())


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
@pytest.mark.parametrize("bias", [True, False])
def test_cells_make_the_steps_of_layers(kind, bias):
    cell = getattr(minigrad.nn, kind)(6, 11, bias=bias).double()
    layer = getattr(minigrad.nn, kind.removesuffix("Cell"))(6, 11, bias=bias).double()
    layer.load_state_dict({f"{name}_l0": w for name, w in copy.deepcopy(cell.state_dict()).items()})
    x = minigrad.randn(4, 3, 6, dtype=minigrad.float64)
    state, outputs = None, []
    for step in x:
        state = cell(step, state)
        outputs.append(state[0] if kind == "LSTMCell" else state)
    expected, _ = layer(x)
    found = minigrad.stack(outputs)
    assert minigrad.allclose(found, expected, rtol=1e-12, atol=1e-12)
    (found * x.sum(-1, keepdim=True)).sum().backward()
    (expected * x.sum(-1, keepdim=True)).sum().backward()
    for a, b in zip(cell.parameters(), layer.parameters(), strict=True):
        assert minigrad.allclose(a.grad, b.grad, rtol=1e-10, atol=1e-12)
