"""Every layer against torch: printed form, state_dict, initial weights, outputs and gradients."""

import copy
import inspect

import numpy
import pytest

import minigrad
from minigrad import nn

torch = pytest.importorskip("torch")

SEED = 7


def both(make, *, seed=SEED):
    """The same layer made in minigrad and in torch, under the same seed."""
    minigrad.manual_seed(seed)
    ours = make(minigrad)
    torch.manual_seed(seed)
    theirs = make(torch)
    return ours, theirs


def to_torch(x):
    if isinstance(x, numpy.ndarray):
        return torch.from_numpy(x.copy())
    if isinstance(x, tuple):
        return tuple(to_torch(part) for part in x)
    return x


def to_ours(x):
    if isinstance(x, numpy.ndarray):
        return minigrad.tensor(x)
    if isinstance(x, tuple):
        return tuple(to_ours(part) for part in x)
    return x


def leaves(x):
    """The tensors in a result or an argument, in order."""
    if isinstance(x, (tuple, list)):
        return [leaf for part in x for leaf in leaves(part)]
    if isinstance(x, dict):
        return leaves(list(x.values()))
    return [x] if hasattr(x, "detach") else []


def assert_close(ours, theirs, rtol=1e-4, atol=1e-5, what=""):
    assert tuple(ours.shape) == tuple(theirs.shape), what
    assert str(ours.dtype).rpartition(".")[2] == str(theirs.dtype).rpartition(".")[2], what
    numpy.testing.assert_allclose(
        ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol, err_msg=what
    )


def same_state(ours, theirs):
    """The same keys in the same order, and the same numbers: normal ones to 1e-6."""
    mine, other = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(other)
    for key in mine:
        assert_close(mine[key], other[key], rtol=1e-6, atol=1e-6, what=key)


def copy_state(theirs, ours):
    """Give our layer torch's exact numbers."""
    ours.load_state_dict({k: minigrad.tensor(v.numpy()) for k, v in theirs.state_dict().items()})


def run_both(ours, theirs, args, kwargs=None, rtol=1e-4, atol=1e-5, differentiable=True):
    """Outputs, and gradients under a random cotangent, of inputs and parameters."""
    kwargs = kwargs or {}
    results = []
    for layer, convert in ((ours, to_ours), (theirs, to_torch)):
        inputs = [convert(x) for x in args]
        named = {k: convert(v) for k, v in kwargs.items()}
        for x in leaves([inputs, named]):
            if x.is_floating_point() and differentiable:
                x.requires_grad_()
        outputs = leaves(layer(*inputs, **named))
        if differentiable:
            cotangents = numpy.random.default_rng(1)
            total = 0
            for out in outputs:
                if out.requires_grad:
                    u = cotangents.standard_normal(tuple(out.shape)).astype("float32")
                    total = total + (out * convert(u).to(out.dtype)).sum()
            total.backward()
        grads = [x.grad for x in leaves([inputs, named]) if differentiable]
        params = {k: p.grad for k, p in layer.named_parameters()} if differentiable else {}
        results.append((outputs, grads, params))
    (out, grads, params), (out_t, grads_t, params_t) = results
    assert len(out) == len(out_t)
    for i, (a, b) in enumerate(zip(out, out_t)):
        assert_close(a, b, rtol, atol, f"output {i}")
    for i, (a, b) in enumerate(zip(grads, grads_t)):
        assert (a is None) == (b is None), f"input gradient {i}"
        if a is not None:
            assert_close(a, b, rtol, atol, f"input gradient {i}")
    assert list(params) == list(params_t)
    for key, b in params_t.items():
        a = params[key]
        if b is None:
            assert a is None or not a.numpy().any(), f"gradient of {key}"
        elif a is None:
            assert not b.numpy().any(), f"gradient of {key}"
        else:
            assert_close(a, b, rtol, atol, f"gradient of {key}")


rng = numpy.random.default_rng(0)


def x(*shape, low=None):
    values = rng.standard_normal(shape).astype("float32")
    return values if low is None else numpy.abs(values) + numpy.float32(low)


def ints(high, *shape, low=0):
    return rng.integers(low, high, shape)


# (name of the layer, positional arguments, keyword arguments, inputs)
LAYERS = [
    ("Identity", (3, 4), {"unused": 5}, (x(2, 3),)),
    ("Linear", (5, 3), {}, (x(4, 5),)),
    ("Linear", (5, 3), {"bias": False}, (x(2, 4, 5),)),
    ("Linear", (5, 3), {}, (x(5),)),
    ("Bilinear", (5, 3, 4), {}, (x(6, 5), x(6, 3))),
    ("Bilinear", (5, 3, 4), {"bias": False}, (x(2, 6, 5), x(2, 6, 3))),
    ("Embedding", (10, 4), {}, (ints(10, 3, 5),)),
    ("Embedding", (10, 4), {"padding_idx": 0}, (ints(10, 3, 5),)),
    ("Embedding", (10, 4), {"padding_idx": -1, "scale_grad_by_freq": True}, (ints(10, 3, 5),)),
    ("EmbeddingBag", (10, 4), {}, (ints(10, 3, 5),)),
    ("EmbeddingBag", (10, 4), {"mode": "sum"}, (ints(10, 7), numpy.array([0, 2, 2, 5]))),
    ("EmbeddingBag", (10, 4), {"mode": "max"}, (ints(10, 7), numpy.array([0, 2, 5]))),
    ("EmbeddingBag", (10, 4), {"mode": "sum"}, (ints(10, 3, 5), None, x(3, 5))),
    (
        "EmbeddingBag",
        (10, 4),
        {"include_last_offset": True, "padding_idx": 2},
        (ints(10, 7), numpy.array([0, 2, 5, 7])),
    ),
    ("Conv1d", (4, 6, 3), {}, (x(2, 4, 9),)),
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1}, (x(2, 4, 9),)),
    ("Conv1d", (4, 6, 4), {"padding": "same", "bias": False}, (x(2, 4, 9),)),
    ("Conv1d", (4, 6, 3), {"padding": "valid", "dilation": 2}, (x(2, 4, 9),)),
    ("Conv1d", (4, 6, 3), {"groups": 2, "padding": 2}, (x(4, 9),)),
    ("Conv1d", (4, 4, (3,)), {"groups": 4, "padding_mode": "reflect", "padding": 2}, (x(2, 4, 9),)),
    ("Conv1d", (4, 6, 3), {"padding": 2, "padding_mode": "replicate"}, (x(2, 4, 9),)),
    ("Conv1d", (4, 6, 4), {"padding": "same", "padding_mode": "circular"}, (x(2, 4, 9),)),
    ("ConvTranspose1d", (4, 6, 3), {}, (x(2, 4, 9),)),
    (
        "ConvTranspose1d",
        (4, 6, 3),
        {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2, "dilation": 2},
        (x(2, 4, 9),),
    ),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 3, "bias": False}, (x(2, 4, 5), (17,))),
    ("Conv2d", (1, 6, (3, 5)), {}, (x(2, 1, 9, 5),)),
    ("Conv2d", (4, 6, 3), {"stride": 2, "padding": (1, 2), "groups": 2}, (x(2, 4, 7, 9),)),
    ("Conv2d", (2, 3, (2, 3)), {"padding": "same", "padding_mode": "reflect"}, (x(2, 2, 6, 7),)),
    ("Conv2d", (2, 3, 2), {"padding": (1, 2), "padding_mode": "circular"}, (x(2, 2, 6, 7),)),
    ("ConstantPad1d", ((2, 0), 0.5), {}, (x(2, 3, 4),)),
    ("ZeroPad1d", (2,), {}, (x(3, 4),)),
    ("ReflectionPad1d", ((1, 2),), {}, (x(2, 3, 4),)),
    ("ReplicationPad1d", (2,), {}, (x(2, 3, 4),)),
    ("CircularPad1d", (2,), {}, (x(2, 3, 4),)),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1}, (x(2, 4, 9, 8),)),
    ("MaxPool2d", ((2, 3),), {"return_indices": True}, (x(2, 4, 9, 8),)),
    ("AvgPool2d", ((2, 3),), {"padding": 1}, (x(2, 4, 9, 8),)),
    ("AvgPool2d", (2,), {"divisor_override": 3}, (x(2, 4, 9, 8),)),
    ("AdaptiveAvgPool2d", ((3, None),), {}, (x(2, 4, 9, 8),)),
    ("BatchNorm2d", (4,), {}, (x(3, 4, 5, 2),)),
    ("MaxPool1d", (3,), {}, (x(2, 4, 9),)),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1, "dilation": 2}, (x(2, 4, 12),)),
    ("MaxPool1d", (2,), {"ceil_mode": True}, (x(4, 9),)),
    ("MaxPool1d", (2,), {"return_indices": True}, (x(2, 4, 9),)),
    ("AvgPool1d", (3,), {"stride": 2, "padding": 1}, (x(2, 4, 9),)),
    ("AvgPool1d", (3,), {"padding": 1, "count_include_pad": False}, (x(2, 4, 9),)),
    ("AvgPool1d", (2,), {"ceil_mode": True}, (x(2, 4, 9),)),
    ("LPPool1d", (2, 3), {"stride": 2}, (x(2, 4, 9, low=0.1),)),
    ("AdaptiveMaxPool1d", (1,), {}, (x(2, 4, 9),)),
    ("AdaptiveMaxPool1d", (4,), {"return_indices": True}, (x(2, 4, 9),)),
    ("AdaptiveAvgPool1d", (4,), {}, (x(2, 4, 9),)),
    ("LayerNorm", (6,), {}, (x(2, 3, 6),)),
    ("LayerNorm", ((3, 6),), {"eps": 1e-3}, (x(2, 3, 6),)),
    ("LayerNorm", (6,), {"bias": False}, (x(2, 6),)),
    ("LayerNorm", ([6],), {"elementwise_affine": False}, (x(2, 6),)),
    ("RMSNorm", (6,), {}, (x(2, 3, 6),)),
    ("RMSNorm", ([3, 6],), {"eps": 1e-3, "elementwise_affine": False}, (x(2, 3, 6),)),
    ("GroupNorm", (2, 6), {}, (x(3, 6, 5),)),
    ("GroupNorm", (3, 6), {"affine": False}, (x(3, 6),)),
    ("BatchNorm1d", (6,), {}, (x(5, 6),)),
    ("BatchNorm1d", (6,), {"momentum": None, "eps": 1e-3}, (x(5, 6, 4),)),
    ("BatchNorm1d", (6,), {"affine": False}, (x(5, 6),)),
    ("BatchNorm1d", (6,), {"track_running_stats": False}, (x(5, 6),)),
    ("InstanceNorm1d", (6,), {}, (x(5, 6, 4),)),
    ("InstanceNorm1d", (6,), {"affine": True, "track_running_stats": True}, (x(5, 6, 4),)),
    ("InstanceNorm1d", (6,), {"affine": True}, (x(6, 4),)),
    ("Flatten", (), {}, (x(2, 3, 4),)),
    ("Flatten", (0, 1), {}, (x(2, 3, 4),)),
    ("Unflatten", (1, (2, 3)), {}, (x(4, 6),)),
    ("CosineSimilarity", (), {}, (x(4, 6), x(4, 6))),
    ("CosineSimilarity", (-1,), {"eps": 1e-3}, (x(2, 4, 6), x(2, 4, 6))),
    ("PairwiseDistance", (), {}, (x(4, 6), x(4, 6))),
    ("PairwiseDistance", (1.0,), {"keepdim": True}, (x(4, 6), x(4, 6))),
    ("ReLU", (), {}, (x(3, 4),)),
    ("ReLU6", (), {}, (x(3, 4) * 5,)),
    ("ELU", (0.7,), {}, (x(3, 4),)),
    ("SELU", (), {}, (x(3, 4),)),
    ("CELU", (0.7,), {}, (x(3, 4),)),
    ("GELU", (), {}, (x(3, 4),)),
    ("GELU", (), {"approximate": "tanh"}, (x(3, 4),)),
    ("SiLU", (), {}, (x(3, 4),)),
    ("Mish", (), {}, (x(3, 4),)),
    ("LeakyReLU", (), {}, (x(3, 4),)),
    ("LeakyReLU", (0.2,), {}, (x(3, 4),)),
    ("PReLU", (), {}, (x(3, 4),)),
    ("PReLU", (4,), {"init": 0.1}, (x(3, 4, 5),)),
    ("Sigmoid", (), {}, (x(3, 4),)),
    ("LogSigmoid", (), {}, (x(3, 4),)),
    ("Tanh", (), {}, (x(3, 4),)),
    ("Tanhshrink", (), {}, (x(3, 4),)),
    ("Softplus", (), {}, (x(3, 4),)),
    ("Softplus", (2.0, 1.0), {}, (x(3, 4),)),
    ("Softsign", (), {}, (x(3, 4),)),
    ("Softshrink", (), {}, (x(3, 4),)),
    ("Hardshrink", (0.3,), {}, (x(3, 4),)),
    ("Hardtanh", (), {}, (x(3, 4),)),
    ("Hardtanh", (-0.5, 0.7), {}, (x(3, 4),)),
    ("Hardsigmoid", (), {}, (x(3, 4) * 3,)),
    ("Hardswish", (), {}, (x(3, 4) * 3,)),
    ("Threshold", (0.1, 20.0), {}, (x(3, 4),)),
    ("GLU", (), {}, (x(3, 4),)),
    ("GLU", (0,), {}, (x(4, 3),)),
    ("Softmin", (1,), {}, (x(3, 4),)),
    ("Softmax", (-1,), {}, (x(3, 4),)),
    ("Softmax", (0,), {}, (x(3, 4),)),
    ("LogSoftmax", (1,), {}, (x(3, 4),)),
]


def case_id(case):
    name, args, kwargs = case[:3]
    return f"{name}{args}{kwargs}"


@pytest.mark.parametrize("case", LAYERS, ids=case_id)
def test_layer(case):
    name, args, kwargs, inputs = case
    ours, theirs = both(lambda lib: getattr(lib.nn, name)(*args, **kwargs))
    assert repr(ours) == repr(theirs)
    assert repr(copy.deepcopy(ours)) == repr(theirs)
    same_state(ours, theirs)
    copy_state(theirs, ours)
    run_both(ours, theirs, inputs)
    same_state(ours, theirs)  # running statistics
    run_both(ours.eval(), theirs.eval(), inputs)


@pytest.mark.parametrize("case", LAYERS, ids=case_id)
def test_float64(case):
    name, args, kwargs, inputs = case
    ours, theirs = both(lambda lib: getattr(lib.nn, name)(*args, **kwargs).double())
    same_state(ours, theirs)
    copy_state(theirs, ours)
    doubled = [i.astype("float64") if getattr(i, "dtype", "") == "float32" else i for i in inputs]
    run_both(ours, theirs, doubled, rtol=1e-7, atol=1e-9)


SIGNATURES = sorted(
    name
    for name, value in vars(nn).items()
    if inspect.isclass(value) and issubclass(value, nn.Module) and hasattr(torch.nn, name)
)
NOT_COMPARED = {
    "Module": "variadic in torch",
    "RNN": "overloads in torch",
    "GRU": "overloads in torch",
    "LSTM": "overloads in torch",
    "Sequential": "overloads in torch",
    "RNNBase": "a base class",
    "RNNCellBase": "a base class",
}


@pytest.mark.parametrize("name", [n for n in SIGNATURES if n not in NOT_COMPARED])
def test_signature(name):
    """Names, order and defaults of the arguments, of making and of calling."""
    layer, other_layer = getattr(nn, name), getattr(torch.nn, name)
    pairs = [(layer.__init__, other_layer.__init__)]
    if other_layer.forward is not torch.nn.Module.forward:
        pairs.append((layer.forward, other_layer.forward))
    for ours, theirs in pairs:
        mine = inspect.signature(ours).parameters.values()
        other = inspect.signature(theirs).parameters.values()
        assert [(p.name, p.kind) for p in mine] == [(p.name, p.kind) for p in other]
        for a, b in zip(mine, other):
            if not callable(a.default):
                assert a.default == b.default, a.name


def test_every_layer_is_tested():
    """A layer that no test here mentions fails the suite; test_module.py has the containers."""
    source = inspect.getsource(inspect.getmodule(test_every_layer_is_tested))
    containers = {"Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList"}
    for name in set(SIGNATURES) - containers:
        assert f'"{name}"' in source or f"nn.{name}(" in source, name


# -- recurrent layers ------------------------------------------------------------------------------

RECURRENT = [
    ("RNN", (5, 4), {}),
    ("RNN", (5, 4, 2, "relu"), {"bidirectional": True}),
    ("RNN", (5, 4), {"nonlinearity": "relu", "bias": False, "batch_first": True}),
    ("GRU", (5, 4), {}),
    ("GRU", (5, 4, 2), {"bidirectional": True, "batch_first": True}),
    ("GRU", (5, 4, 3), {"bias": False}),
    ("LSTM", (5, 4), {}),
    ("LSTM", (5, 4, 2), {"bidirectional": True, "batch_first": True}),
    ("LSTM", (5, 4), {"bias": False}),
    ("LSTM", (5, 4, 2), {"proj_size": 3, "bidirectional": True}),
    ("LSTM", (5, 4), {"proj_size": 3, "bias": False}),
]


def states(name, args, kwargs, batch):
    layers = (args[2] if len(args) > 2 else 1) * (2 if kwargs.get("bidirectional") else 1)
    shape = (layers,) if batch is None else (layers, batch)
    h = x(*shape, kwargs.get("proj_size", args[1]))
    return (h, x(*shape, args[1])) if name == "LSTM" else h


@pytest.mark.parametrize("case", RECURRENT, ids=case_id)
@pytest.mark.parametrize("start", [False, True], ids=["zeros", "h0"])
@pytest.mark.parametrize("batch", [3, 1, None], ids=["batch3", "batch1", "unbatched"])
def test_recurrent(case, start, batch):
    name, args, kwargs = case
    ours, theirs = both(lambda lib: getattr(lib.nn, name)(*args, **kwargs))
    assert repr(ours) == repr(theirs)
    same_state(ours, theirs)
    shape = (6, 5) if batch is None else (batch, 6, 5) if ours.batch_first else (6, batch, 5)
    inputs = [x(*shape)]
    if start:
        inputs.append(states(name, args, kwargs, batch))
    run_both(ours, theirs, inputs)


@pytest.mark.parametrize("case", RECURRENT, ids=case_id)
@pytest.mark.parametrize("start", [False, True], ids=["zeros", "h0"])
@pytest.mark.parametrize("lengths", [(6, 4, 4, 1), (2, 6, 1, 3), (3, 3, 3, 3)], ids=str)
def test_recurrent_packed(case, start, lengths):
    name, args, kwargs = case
    ours, theirs = both(lambda lib: getattr(lib.nn, name)(*args, **kwargs))
    state = states(name, args, kwargs, len(lengths)) if start else None

    def call(layer, lib):
        rnn = lib.nn.utils.rnn

        def forward(padded, state):
            packed = rnn.pack_padded_sequence(
                padded, list(lengths), batch_first=True, enforce_sorted=False
            )
            packed, end = layer(packed) if state is None else layer(packed, state)
            assert type(packed) is rnn.PackedSequence
            return rnn.pad_packed_sequence(packed, padding_value=0.5), end

        forward.named_parameters = layer.named_parameters
        return forward

    padded = x(len(lengths), 6, 5)
    run_both(call(ours, minigrad), call(theirs, torch), [padded, state])


@pytest.mark.parametrize("name", ["RNNCell", "GRUCell", "LSTMCell"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batched", [True, False])
def test_cells(name, bias, batched):
    ours, theirs = both(lambda lib: getattr(lib.nn, name)(5, 4, bias=bias))
    assert repr(ours) == repr(theirs)
    same_state(ours, theirs)
    lead = (3,) if batched else ()
    h = x(*lead, 4)
    run_both(ours, theirs, [x(*lead, 5)])
    run_both(ours, theirs, [x(*lead, 5), (h, x(*lead, 4)) if name == "LSTMCell" else h])


def test_relu_cell():
    ours, theirs = both(lambda lib: lib.nn.RNNCell(5, 4, nonlinearity="relu"))
    assert repr(ours) == repr(theirs)
    run_both(ours, theirs, [x(3, 5), x(3, 4)])


def test_dropout_between_recurrent_layers():
    ours, theirs = both(lambda lib: lib.nn.LSTM(5, 4, 2, dropout=0.5))
    assert repr(ours) == repr(theirs)
    inputs = x(6, 3, 5)
    run_both(ours.eval(), theirs.eval(), [inputs])
    ours.train()
    _, (first, _) = ours(minigrad.tensor(inputs))
    _, (second, _) = ours(minigrad.tensor(inputs))
    assert bool((first[0] == second[0]).all())  # the first layer sees no dropout
    assert not bool((first[1] == second[1]).all())
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        nn.GRU(5, 4, dropout=0.5)


RNN_ERRORS = [
    (lambda m: m.nn.LSTM(5, 4)(m.zeros(2, 3, 4, 5)), "Expected input to be 2D or 3D, got 4D"),
    (lambda m: m.nn.LSTM(5, 4)(m.zeros(2, 3, 6)), "Expected 5, got 6"),
    (lambda m: m.nn.GRU(5, 4)(m.zeros(2, 3, 5), m.zeros(1, 2, 4)), "Expected hidden size"),
    (
        lambda m: m.nn.LSTM(5, 4)(m.zeros(2, 3, 5), (m.zeros(1, 3, 4), m.zeros(1, 3, 5))),
        r"Expected hidden\[1\] size \(1, 3, 4\), got \[1, 3, 5\]",
    ),
    (
        lambda m: m.nn.LSTM(5, 4)(m.zeros(2, 3, 5), (m.zeros(1, 4), m.zeros(1, 4))),
        "hx and cx should also be 3-D",
    ),
    (lambda m: m.nn.GRU(5, 4)(m.zeros(2, 5), m.zeros(1, 1, 4)), "hx should also be 2-D"),
    (lambda m: m.nn.RNN(5, 4)(m.zeros(2, 3, 5).double()), "does not match weight dtype"),
    (lambda m: m.nn.RNN(5, 4, nonlinearity="sin"), "Unknown nonlinearity 'sin'"),
    (lambda m: m.nn.GRU(5, 4, proj_size=2), "only supported for LSTM"),
    (lambda m: m.nn.LSTM(5, 4, proj_size=4), "has to be smaller than hidden_size"),
    (lambda m: m.nn.LSTM(5, 4, dropout=2), "dropout should be a number in range"),
    (lambda m: m.nn.LSTM(5.0, 4), "input_size should be of type int, got: float"),
    (lambda m: m.nn.LSTM(5, 0), "hidden_size must be greater than zero"),
    (lambda m: m.nn.LSTMCell(5, 4)(m.zeros(2, 6)), "inconsistent input_size: got 6 expected 5"),
    (lambda m: m.nn.GRUCell(5, 4)(m.zeros(2, 5), m.zeros(2, 3)), "inconsistent hidden_size"),
    (lambda m: m.nn.GRUCell(5, 4)(m.zeros(2, 5), m.zeros(3, 4)), "doesn't match hidden0"),
    (lambda m: m.nn.RNNCell(5, 4)(m.zeros(2, 3, 5)), "RNNCell: Expected input to be 1D or 2D"),
]


@pytest.mark.parametrize("number", range(len(RNN_ERRORS)))
def test_recurrent_errors(number):
    make, match = RNN_ERRORS[number]
    with pytest.raises(Exception, match=match) as theirs:
        make(torch)
    with pytest.raises(theirs.type, match=match):
        make(minigrad)


# -- attention and transformers --------------------------------------------------------------------

CAUSAL = numpy.triu(numpy.ones((5, 5), bool), 1)
PADDING = numpy.array([[False] * 5, [False] * 3 + [True] * 2])


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"bias": False},
        {"batch_first": True},
        {"add_bias_kv": True, "add_zero_attn": True},
        {"kdim": 3, "vdim": 7},
        {"kdim": 3, "vdim": 7, "batch_first": True, "bias": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("weights", ["none", "mean", "each"])
def test_multihead_attention(kwargs, weights):
    ours, theirs = both(lambda lib: lib.nn.MultiheadAttention(8, 2, **kwargs))
    assert repr(ours) == repr(theirs)
    same_state(ours, theirs)
    copy_state(theirs, ours)
    swap = (lambda a: a.swapaxes(0, 1).copy()) if kwargs.get("batch_first") else (lambda a: a)
    query = swap(x(4, 2, 8))
    key, value = swap(x(5, 2, kwargs.get("kdim", 8))), swap(x(5, 2, kwargs.get("vdim", 8)))
    options = {"need_weights": weights != "none", "average_attn_weights": weights == "mean"}
    run_both(ours, theirs, [query, key, value], options)
    options["key_padding_mask"] = PADDING
    run_both(ours, theirs, [query, key, value], options)
    options["attn_mask"] = CAUSAL[:4]
    run_both(ours, theirs, [query, key, value], options)


def test_multihead_attention_masks():
    ours, theirs = both(lambda lib: lib.nn.MultiheadAttention(8, 2, batch_first=True))
    inputs = x(2, 5, 8)
    for options in (
        {"attn_mask": CAUSAL},
        {"attn_mask": numpy.where(CAUSAL, -numpy.inf, 0).astype("float32")},
        {"attn_mask": numpy.stack([CAUSAL] * 4)},
        {"attn_mask": CAUSAL, "is_causal": True},
        {"attn_mask": CAUSAL, "is_causal": True, "need_weights": False},
        {"attn_mask": CAUSAL, "key_padding_mask": PADDING},
    ):
        run_both(
            lambdas(ours, lambda a, **k: ours(a, a, a, **k)),
            lambdas(theirs, lambda a, **k: theirs(a, a, a, **k)),
            [inputs],
            {k: to_constant(v) for k, v in options.items()},
        )
    run_both(
        lambdas(ours, lambda a: ours(a, a, a)),
        lambdas(theirs, lambda a: theirs(a, a, a)),
        [x(5, 8)],
    )


class Constant:
    """An argument that is no input: it gets no gradient."""

    def __init__(self, value):
        self.value = value


def to_constant(value):
    return Constant(value) if isinstance(value, numpy.ndarray) else value


def lambdas(layer, function):
    """A function of the layer that has its parameters."""
    convert = to_ours if isinstance(layer, nn.Module) else to_torch

    def forward(*args, **kwargs):
        open = lambda v: convert(v.value) if isinstance(v, Constant) else v
        return function(*map(open, args), **{k: open(v) for k, v in kwargs.items()})

    forward.named_parameters = layer.named_parameters
    return forward


def test_fully_masked_attention_gives_zeros():
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    inputs = minigrad.randn(2, 5, 8, requires_grad=True)
    padding = minigrad.tensor([[True] * 5, [False] * 5])
    out, weights = attention(inputs, inputs, inputs, key_padding_mask=padding)
    assert not bool(weights[0].any())
    assert bool(weights.isfinite().all())
    expected = attention.out_proj.bias.expand(5, 8)
    assert bool((out[0] == expected).all())  # zeros, through the output projection
    out.sum().backward()
    assert bool(inputs.grad.isfinite().all())
    assert not bool(inputs.grad[0].any())


TRANSFORMER = {"d_model": 8, "nhead": 2, "dim_feedforward": 12, "dropout": 0.0}
LAYER_OPTIONS = [
    {},
    {"batch_first": True, "norm_first": True},
    {"activation": "gelu", "bias": False, "layer_norm_eps": 1e-3},
]


@pytest.mark.parametrize("options", LAYER_OPTIONS, ids=str)
def test_transformer_encoder(options):
    def make(lib):
        layer = lib.nn.TransformerEncoderLayer(**TRANSFORMER, **options)
        return lib.nn.TransformerEncoder(layer, 2, lib.nn.LayerNorm(8), enable_nested_tensor=False)

    ours, theirs = both(make)
    assert repr(ours) == repr(theirs)
    same_state(ours, theirs)
    inputs = x(2, 5, 8) if options.get("batch_first") else x(5, 2, 8)
    run_both(ours, theirs, [inputs])
    for masks in (
        {"mask": CAUSAL},
        {"mask": CAUSAL, "is_causal": True},
        {"src_key_padding_mask": PADDING},
        {"mask": CAUSAL, "src_key_padding_mask": PADDING},
    ):
        run_both(ours, theirs, [inputs], masks)
    run_both(ours, theirs, [x(5, 8)])


@pytest.mark.parametrize("options", LAYER_OPTIONS, ids=str)
def test_transformer_decoder(options):
    def make(lib):
        layer = lib.nn.TransformerDecoderLayer(**TRANSFORMER, **options)
        return lib.nn.TransformerDecoder(layer, 2)

    ours, theirs = both(make)
    assert repr(ours) == repr(theirs)
    same_state(ours, theirs)
    swap = (lambda a: a.swapaxes(0, 1).copy()) if options.get("batch_first") else (lambda a: a)
    target, memory = swap(x(5, 2, 8)), swap(x(5, 2, 8))
    run_both(ours, theirs, [target, memory])
    masks = {"tgt_mask": CAUSAL, "memory_key_padding_mask": PADDING}
    run_both(ours, theirs, [target, memory], masks)


@pytest.mark.parametrize("options", LAYER_OPTIONS, ids=str)
def test_transformer(options):
    def make(lib):
        return lib.nn.Transformer(
            **TRANSFORMER, num_encoder_layers=2, num_decoder_layers=1, **options
        )

    ours, theirs = both(make)
    assert repr(ours) == repr(theirs)
    same_state(ours, theirs)
    swap = (lambda a: a.swapaxes(0, 1).copy()) if options.get("batch_first") else (lambda a: a)
    source, target = swap(x(5, 2, 8)), swap(x(5, 2, 8))
    run_both(ours, theirs, [source, target])
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    assert_close(mask, torch.nn.Transformer.generate_square_subsequent_mask(5))
    run_both(ours, theirs, [source, target], {"tgt_mask": CAUSAL, "src_key_padding_mask": PADDING})


def test_transformer_errors():
    model = nn.Transformer(**TRANSFORMER, num_encoder_layers=1, num_decoder_layers=1)
    with pytest.raises(RuntimeError, match="batch number of src and tgt must be equal"):
        model(minigrad.zeros(5, 2, 8), minigrad.zeros(5, 3, 8))
    with pytest.raises(RuntimeError, match="must be equal to d_model"):
        model(minigrad.zeros(5, 2, 6), minigrad.zeros(5, 2, 6))
    with pytest.raises(RuntimeError, match="activation should be relu/gelu, not sin"):
        nn.TransformerEncoderLayer(8, 2, activation="sin")
    with pytest.raises(AssertionError, match="embed_dim must be divisible by num_heads"):
        nn.MultiheadAttention(8, 3)
    with pytest.raises(ValueError, match="must be greater than 0"):
        nn.MultiheadAttention(8, 0)


# -- losses ----------------------------------------------------------------------------------------

SIGNS = numpy.array([1, -1, 1, -1], "float32")
PROBABILITIES = rng.dirichlet(numpy.ones(5), 4).astype("float32")
LOG_PROBABILITIES = numpy.log(rng.dirichlet(numpy.ones(5), 4)).astype("float32")
UNIT = rng.uniform(0.1, 0.9, (4, 5)).astype("float32")
BITS = rng.integers(0, 2, (4, 5)).astype("float32")
WEIGHT = numpy.array([0.5, 1.0, 2.0, 0.1, 0.7], "float32")

# the target does not need a gradient where it is wrapped in Constant
LOSSES = [
    ("L1Loss", {}, (x(4, 5), x(4, 5))),
    ("MSELoss", {}, (x(4, 5), x(4, 5))),
    ("SmoothL1Loss", {"beta": 0.5}, (x(4, 5), x(4, 5))),
    ("HuberLoss", {"delta": 0.5}, (x(4, 5), x(4, 5))),
    ("CrossEntropyLoss", {}, (x(4, 5), ints(5, 4))),
    ("CrossEntropyLoss", {"label_smoothing": 0.1}, (x(4, 5, 3), ints(5, 4, 3))),
    (
        "CrossEntropyLoss",
        {"weight": WEIGHT, "ignore_index": 2},
        (x(4, 5), numpy.array([0, 2, 4, 1])),
    ),
    ("CrossEntropyLoss", {}, (x(4, 5), PROBABILITIES)),
    (
        "LinearCrossEntropyLoss",
        {"in_features": 5, "num_classes": 7, "bias": True, "label_smoothing": 0.1},
        (x(4, 5), ints(7, 4)),
    ),
    (
        "LinearCrossEntropyLoss",
        {"in_features": 5, "num_classes": 3, "out_features": (2,)},
        (x(4, 5), ints(3, 4, 2)),
    ),
    ("CrossEntropyLoss", {}, (x(5), numpy.array(3))),
    ("NLLLoss", {}, (LOG_PROBABILITIES, ints(5, 4))),
    ("NLLLoss", {"weight": WEIGHT, "ignore_index": 0}, (x(4, 5, 2), ints(5, 4, 2))),
    ("BCELoss", {}, (UNIT, Constant(BITS))),
    ("BCELoss", {"weight": WEIGHT}, (UNIT, Constant(BITS))),
    ("BCEWithLogitsLoss", {}, (x(4, 5), Constant(BITS))),
    ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": WEIGHT}, (x(4, 5), Constant(BITS))),
    ("KLDivLoss", {}, (LOG_PROBABILITIES, PROBABILITIES)),
    ("KLDivLoss", {"log_target": True}, (LOG_PROBABILITIES, LOG_PROBABILITIES[::-1].copy())),
    ("PoissonNLLLoss", {}, (x(4, 5), Constant(x(4, 5, low=0.1)))),
    (
        "PoissonNLLLoss",
        {"log_input": False, "full": True},
        (x(4, 5, low=0.1), Constant(x(4, 5, low=0.1))),
    ),
    ("GaussianNLLLoss", {"full": True}, (x(4, 5), x(4, 5), x(4, 5, low=0.1))),
    ("HingeEmbeddingLoss", {}, (x(4), Constant(SIGNS))),
    ("CosineEmbeddingLoss", {"margin": 0.2}, (x(4, 5), x(4, 5), Constant(SIGNS))),
    ("MarginRankingLoss", {"margin": 0.2}, (x(4), x(4), Constant(SIGNS))),
    ("SoftMarginLoss", {}, (x(4), Constant(SIGNS))),
    ("MultiMarginLoss", {"weight": WEIGHT}, (x(4, 5), ints(5, 4))),
    ("MultiMarginLoss", {"p": 2, "margin": 0.5}, (x(4, 5), ints(5, 4))),
    (
        "MultiLabelMarginLoss",
        {},
        (x(2, 4), numpy.array([[3, 0, -1, 1], [1, -1, 2, 0]])),
    ),
    ("MultiLabelSoftMarginLoss", {"weight": WEIGHT}, (x(4, 5), Constant(BITS))),
    ("TripletMarginLoss", {}, (x(4, 5), x(4, 5), x(4, 5))),
    ("TripletMarginLoss", {"p": 1.0, "swap": True}, (x(4, 5), x(4, 5), x(4, 5))),
    ("TripletMarginWithDistanceLoss", {"swap": True}, (x(4, 5), x(4, 5), x(4, 5))),
]


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: f"{case[0]}{list(case[1])}")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_loss(case, reduction):
    name, kwargs, inputs = case

    def make(lib):
        convert = to_ours if lib is minigrad else to_torch
        options = {k: convert(v) for k, v in kwargs.items()}
        return getattr(lib.nn, name)(**options, reduction=reduction)

    ours, theirs = both(make)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    run_both(lambdas(ours, ours), lambdas(theirs, theirs), inputs)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_ctc_loss(reduction):
    targets, lengths = ints(5, 2, 4, low=1), (numpy.array([10, 8]), numpy.array([4, 2]))
    ours, theirs = nn.CTCLoss(reduction=reduction), torch.nn.CTCLoss(reduction=reduction)

    def on_scores(loss):
        # torch's gradient is right only behind a log_softmax
        return lambdas(loss, lambda scores, *rest: loss(scores.log_softmax(-1), *rest))

    run_both(on_scores(ours), on_scores(theirs), [x(10, 2, 5), targets, *lengths])


def test_batchmean():
    ours, theirs = nn.KLDivLoss(reduction="batchmean"), torch.nn.KLDivLoss(reduction="batchmean")
    run_both(ours, theirs, [LOG_PROBABILITIES, PROBABILITIES])


@pytest.mark.parametrize("bias", [False, True])
def test_adaptive_softmax(bias):
    ours, theirs = both(
        lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 11], div_value=2.0, head_bias=bias)
    )
    assert repr(ours) == repr(theirs)
    same_state(ours, theirs)
    inputs = x(7, 8)
    run_both(ours, theirs, [inputs, numpy.array([0, 4, 5, 10, 11, 19, 3])])
    run_both(ours, theirs, [inputs, numpy.array([0, 4, 1, 2, 3, 4, 3])])
    run_both(ours, theirs, [inputs[0], numpy.array(13)])
    assert_close(ours.log_prob(minigrad.tensor(inputs)), theirs.log_prob(torch.tensor(inputs)))
    best = ours.predict(minigrad.tensor(inputs * 3))
    assert best.tolist() == theirs.predict(torch.tensor(inputs * 3)).tolist()
    for wrong in ([], [5, 5], [0, 5], [5, 20], [6, 5], [2.5]):
        with pytest.raises(ValueError, match="cutoffs should be a sequence"):
            nn.AdaptiveLogSoftmaxWithLoss(8, 20, wrong)
    with pytest.raises(RuntimeError, match=r"should be in \[0, 19\], but values in range"):
        ours(minigrad.tensor(inputs), minigrad.tensor([0, 1, 2, 3, 4, 5, 20]))
    with pytest.raises(RuntimeError, match="same size in the batch dimension"):
        ours(minigrad.tensor(inputs), minigrad.tensor([0, 1]))


@pytest.mark.parametrize(
    "options", [{"size_average": False}, {"reduce": False}, {"size_average": True}], ids=str
)
def test_old_reduction_options(options):
    with pytest.warns(UserWarning, match="please use reduction='"):
        ours = nn.MSELoss(**options)
    with pytest.warns(UserWarning):
        theirs = torch.nn.MSELoss(**options)
    assert ours.reduction == theirs.reduction


# -- layers that draw random numbers ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["Dropout", "Dropout1d", "AlphaDropout", "FeatureAlphaDropout"])
def test_dropout(name):
    ours, theirs = getattr(nn, name)(0.3), getattr(torch.nn, name)(0.3)
    assert repr(ours) == repr(theirs)
    inputs = x(40, 60, 30)
    assert_close(ours.eval()(minigrad.tensor(inputs)), torch.tensor(inputs))
    out = ours.train()(minigrad.tensor(inputs)).numpy()
    if "Alpha" in name:
        assert abs(out.mean()) < 0.1 and abs(out.std() - 1) < 0.1
        values, counts = numpy.unique(out, return_counts=True)
        dropped = out == values[counts.argmax()]
    else:
        dropped = out == 0
        numpy.testing.assert_allclose(out[~dropped], inputs[~dropped] / 0.7, rtol=1e-5)
    assert abs(dropped.mean() - 0.3) < 0.05
    channels = dropped.all(axis=2) | ~dropped.any(axis=2)
    assert channels.all() == (name in ("Dropout1d", "FeatureAlphaDropout"))
    with pytest.raises(ValueError, match="between 0 and 1, but got 1.5"):
        getattr(nn, name)(1.5)


def test_rrelu():
    ours, theirs = nn.RReLU(), torch.nn.RReLU()
    assert repr(ours) == repr(theirs)
    inputs = x(20, 30)
    run_both(ours.eval(), theirs.eval(), [inputs])
    ours.train()
    out = ours(minigrad.tensor(inputs)).numpy()
    slopes = (out / inputs)[inputs < 0]
    assert slopes.min() >= 1 / 8 and slopes.max() <= 1 / 3 and slopes.std() > 0.03
    assert (out[inputs >= 0] == inputs[inputs >= 0]).all()


@pytest.mark.parametrize(
    "name", ["ReLU", "ReLU6", "ELU", "SELU", "CELU", "SiLU", "Mish", "LeakyReLU", "Hardtanh"]
)
def test_inplace(name):
    layer, theirs = getattr(nn, name)(inplace=True), getattr(torch.nn, name)(inplace=True)
    assert repr(layer) == repr(theirs)
    values = x(3, 4)
    inputs = minigrad.tensor(values)
    out = layer(inputs)
    assert out is inputs
    assert_close(out, getattr(torch.nn, name)()(torch.tensor(values)))


# -- what is particular ----------------------------------------------------------------------------


def test_embedding_from_pretrained():
    table = minigrad.randn(4, 3)
    frozen = nn.Embedding.from_pretrained(table, padding_idx=1)
    assert not frozen.weight.requires_grad
    assert frozen.padding_idx == 1
    assert bool((frozen(minigrad.tensor([2, 1])) == table[[2, 1]]).all())
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    assert not nn.EmbeddingBag.from_pretrained(table).weight.requires_grad
    with pytest.raises(AssertionError, match="2-dimensional"):
        nn.Embedding.from_pretrained(minigrad.zeros(3))
    with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
        nn.Embedding(4, 3, padding_idx=4)


def test_embedding_max_norm_renormalises_in_place():
    ours, theirs = both(lambda lib: lib.nn.Embedding(6, 4, max_norm=0.5, norm_type=1.0))
    assert repr(ours) == repr(theirs)
    index = numpy.array([[1, 2], [1, 5]])
    assert_close(ours(minigrad.tensor(index)), theirs(torch.tensor(index)))
    same_state(ours, theirs)


def test_conv_transpose_output_size():
    layer = nn.ConvTranspose1d(2, 2, 3, stride=2, padding=1)
    inputs = minigrad.zeros(1, 2, 5)
    assert layer(inputs, output_size=[10]).shape == (1, 2, 10)
    assert layer(inputs, output_size=(1, 2, 9)).shape == (1, 2, 9)
    with pytest.raises(ValueError, match=r"valid sizes range from \[9\] to \[10\]"):
        layer(inputs, output_size=[11])


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda m: m.nn.Conv1d(3, 4, 2, groups=2), ValueError),
        (lambda m: m.nn.Conv1d(4, 3, 2, groups=2), ValueError),
        (lambda m: m.nn.Conv1d(4, 4, 2, groups=0), ValueError),
        (lambda m: m.nn.Conv1d(4, 4, 2, padding="full"), ValueError),
        (lambda m: m.nn.Conv1d(4, 4, 2, padding="same", stride=2), ValueError),
        (lambda m: m.nn.Conv1d(4, 4, 2, padding_mode="none"), ValueError),
        (lambda m: m.nn.ConvTranspose1d(4, 4, 2, padding_mode="reflect"), ValueError),
        (lambda m: m.nn.GroupNorm(4, 6), ValueError),
        (lambda m: m.nn.BatchNorm1d(4)(m.zeros(3)), ValueError),
        (lambda m: m.nn.BatchNorm1d(4)(m.zeros(1, 4)), ValueError),
        (lambda m: m.nn.InstanceNorm1d(4, affine=True)(m.zeros(2, 3, 5)), ValueError),
        (lambda m: m.nn.Unflatten(1, "ab"), TypeError),
        (lambda m: m.nn.Unflatten(1, (2, 1.5)), TypeError),
        (lambda m: m.nn.Hardtanh(1, 0), AssertionError),
        (lambda m: m.nn.MultiMarginLoss(p=3), ValueError),
        (lambda m: m.nn.TripletMarginLoss(margin=0), ValueError),
        (lambda m: m.nn.HuberLoss(delta="a"), TypeError),
        (lambda m: m.nn.Bilinear(0, 2, 3), ValueError),
        (lambda m: m.nn.Linear(3, 4)(m.zeros(2, 5)), RuntimeError),
        (lambda m: m.nn.Embedding(3, 4)(m.tensor([3])), IndexError),
        (lambda m: m.nn.Embedding(3, 4)(m.zeros(2)), RuntimeError),
        (lambda m: m.nn.Conv1d(3, 4, 2)(m.zeros(2, 5, 6)), RuntimeError),
        (lambda m: m.nn.LayerNorm(5)(m.zeros(2, 6)), RuntimeError),
    ],
)
def test_errors(make, error):
    with pytest.raises(error):
        make(torch)
    with pytest.raises(error):
        make(minigrad)


def test_lazy_linear():
    ours, theirs = both(lambda lib: lib.nn.LazyLinear(3))
    minigrad.manual_seed(1), torch.manual_seed(1)
    inputs = x(2, 5)
    assert_close(ours(minigrad.tensor(inputs)), theirs(torch.tensor(inputs)))
    assert type(ours) is nn.Linear
    assert repr(ours) == repr(theirs)
    run_both(ours, theirs, [inputs])
    other = nn.LazyLinear(3)
    other.load_state_dict(ours.state_dict())
    assert_close(other(minigrad.tensor(inputs)), ours(minigrad.tensor(inputs)))
    assert other.in_features == 5


def test_batch_norm_loads_states_without_a_count():
    layer = nn.BatchNorm1d(3)
    state = layer.state_dict()
    del state["num_batches_tracked"]
    del state._metadata
    layer.load_state_dict(state)
    assert layer.num_batches_tracked.item() == 0
