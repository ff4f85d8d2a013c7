"""Diagnostics see what they should: planted dead units, gradients that vanish at a known rate."""

import math

import numpy
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.train.diagnostics.measures import (
    activation_histograms,
    dead_units,
    gradient_flow,
    histogram,
    rectified,
    snapshot,
    state_gradients,
    unroll,
    update_ratios,
    weight_histograms,
)


def network(depth=2, width=6, kind=nn.ReLU):
    mg.manual_seed(0)
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), kind()]
    return nn.Sequential(*layers, nn.Linear(width, 2))


def inputs(count=64, width=6, seed=0):
    return mg.tensor(numpy.random.default_rng(seed).normal(size=(count, width)).astype("float32"))


# -- gradient flow -------------------------------------------------------------------------------


def test_gradient_flow_gives_the_gradients_figures():
    model = network()
    with pytest.raises(ValueError, match=r"no parameter has a gradient; call loss.backward\(\)"):
        gradient_flow(model)
    model[0].bias.requires_grad_(False)
    model(inputs()).square().mean().backward()
    rows = gradient_flow(model)
    assert [row.name for row in rows] == [n for n, p in model.named_parameters() if p.requires_grad]
    row, g = rows[0], model[0].weight.grad.numpy()
    assert row.shape == (6, 6)
    assert row.mean == pytest.approx(abs(g).mean()) and row.largest == pytest.approx(abs(g).max())
    assert row.norm == pytest.approx(numpy.linalg.norm(g), rel=1e-6)


def test_gradient_flow_sees_vanishing_in_deep_sigmoids_and_not_in_relu():
    """A sigmoid's slope is at most 1/4; He's init keeps the gradient of ReLU networks."""
    falls = {}
    for kind, gain in ((nn.Sigmoid, 1.0), (nn.ReLU, math.sqrt(2))):
        model = network(depth=10, width=64, kind=kind)
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=gain / 8)
        model(inputs(width=64)).square().mean().backward()
        weights = [row for row in gradient_flow(model) if row.name.endswith("weight")]
        falls[kind] = weights[0].norm / weights[-2].norm
    assert falls[nn.Sigmoid] < 1e-4 and falls[nn.ReLU] > 0.05


def test_zero_gradients_are_counted():
    embedding = nn.Embedding(10, 3)
    embedding(mg.tensor([1, 4])).sum().backward()
    (row,) = gradient_flow(embedding)
    assert row.zeros == pytest.approx(0.8) and row.mean == pytest.approx(0.2)


# -- updates -------------------------------------------------------------------------------------


def test_update_ratios_are_known_for_plain_descent():
    model = nn.Linear(4, 3)
    before = snapshot(model)
    model(inputs(width=4)).square().mean().backward()
    gradient = model.weight.grad.numpy().copy()
    mg.optim.SGD(model.parameters(), lr=0.1).step()
    ratios = update_ratios(model, before)
    want = 0.1 * numpy.linalg.norm(gradient) / numpy.linalg.norm(before["weight"])
    assert ratios["weight"] == pytest.approx(want, rel=1e-5) and set(ratios) == {"weight", "bias"}
    assert update_ratios(model, snapshot(model)) == {"weight": 0.0, "bias": 0.0}
    nn.init.zeros_(model.bias)
    model.weight.requires_grad_(False)
    assert update_ratios(model, snapshot(model)) == {}


# -- dead units ----------------------------------------------------------------------------------


def test_planted_dead_units_are_found_and_only_those():
    model = network()
    batches = [(inputs(seed=s), None) for s in range(3)]
    nn.init.constant_(model[2].bias, 0.5)
    assert [units.dead for units in dead_units(model, batches)] == [[], []]
    with mg.no_grad():
        model[0].bias[mg.tensor([1, 4])] = -100.0
        model[2].bias[3] = -100.0
    model.train()
    rows = dead_units(model, batches)
    assert model.training
    assert [(r.name, r.count, r.dead) for r in rows] == [("1", 6, [1, 4]), ("3", 6, [3])]
    assert rows[0].share == pytest.approx(2 / 6)
    hidden = numpy.concatenate([model[1](model[0](x)).detach().numpy() for x, _ in batches])
    assert rows[0].active == pytest.approx((hidden > 0).mean())
    model(inputs()).square().mean().backward()
    assert (model[0].weight.grad.numpy()[[1, 4]] == 0).all()  # why they stay dead


def test_a_unit_that_lives_in_one_example_is_not_dead():
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    with mg.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.copy_(mg.tensor([-5.0, -50.0]))
    batches = [mg.tensor([[0.0], [1.0]]), mg.tensor([[9.0]])]
    (row,) = dead_units(model, batches)
    assert row.dead == [1] and row.active == pytest.approx(1 / 6)
    with pytest.raises(ValueError, match="there are no examples"):
        dead_units(model, [])


def test_convolutions_before_a_functional_relu_are_looked_at():
    from minigrad.models import TextCNN

    mg.manual_seed(0)
    for batch_norm in (False, True):
        model = TextCNN(
            20, 2, embed_dim=6, num_filters=5, kernel_sizes=(2, 3), batch_norm=batch_norm
        )
        name = "norms" if batch_norm else "convs"
        assert list(rectified(model)) == [f"{name}.0", f"{name}.1"]
        with mg.no_grad():
            for layer in getattr(model, name):
                layer.bias.fill_(1.0)
            getattr(model, name)[1].bias[2] = -1000.0
        ids = mg.tensor(numpy.random.default_rng(0).integers(1, 20, (30, 9)))
        assert [row.dead for row in dead_units(model, [(ids, None)])] == [[], [2]]
    assert rectified(nn.Linear(2, 2)) == {}
    with pytest.raises(ValueError, match="Linear has no ReLU layer and no convolution"):
        dead_units(nn.Linear(2, 2), [inputs(width=2)])


def test_units_of_sequences_are_in_the_last_dimension():
    layer = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    with mg.no_grad():
        layer[0].bias[0] = -100.0
    (row,) = dead_units(layer, [inputs(40, 3).reshape(8, 5, 3)], dim=-1)
    assert row.count == 4 and row.dead == [0]


# -- histograms ----------------------------------------------------------------------------------


def test_histograms_hold_every_value():
    model = network()
    found = activation_histograms(model, [(inputs(seed=s), None) for s in range(2)])
    assert list(found) == ["0", "1", "2", "3", "4"]
    assert found["0"].counts.sum() == 2 * 64 * 6 and found["4"].counts.sum() == 2 * 64 * 2
    assert found["1"].edges[0] >= 0 > found["0"].edges[0]
    weights = weight_histograms(model)
    values = model[0].weight.detach().numpy()
    assert weights["0.weight"].counts.sum() == 36
    assert weights["0.weight"].mean == pytest.approx(values.mean(), abs=1e-6)
    assert weights["0.weight"].deviation == pytest.approx(values.std(), rel=1e-5)
    with pytest.raises(ValueError, match="2 of 3 values are infinite or NaN"):
        histogram([1.0, math.inf, math.nan])
    assert not any(m._forward_hooks for m in model.modules())


# -- gradients over time -------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kind", "options"), [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("GRU", {})]
)
def test_unrolled_states_equal_the_layer_and_torchs_gradients(kind, options, bias):
    torch = pytest.importorskip("torch")
    mg.manual_seed(0)
    layer = getattr(nn, kind)(3, 4, batch_first=True, bias=bias, **options)
    x = inputs(30, 3).reshape(5, 6, 3)
    states, memories = unroll(layer, x)
    numpy.testing.assert_allclose(
        numpy.stack([h.detach().numpy() for h in states], 1),
        layer(x)[0].detach().numpy(),
        atol=1e-6,
    )
    assert len(memories) == (6 if kind == "LSTM" else 0)
    reference = getattr(torch.nn, kind)(3, 4, batch_first=True, bias=bias, **options)
    reference.load_state_dict({k: torch.tensor(v.numpy()) for k, v in layer.state_dict().items()})
    found = state_gradients(layer, x, lambda h: h.square().sum())
    tx = torch.tensor(x.numpy())
    for t in (1, 3, 6):  # the state after t words, as the initial state of the rest
        _, state = reference(tx[:, :t])
        state = tuple(s.detach().requires_grad_() for s in (state if kind == "LSTM" else (state,)))
        last = state[0][0]
        if t < 6:
            last = reference(tx[:, t:], state if kind == "LSTM" else state[0])[0][:, -1]
        last.square().sum().backward()
        assert found.states[t - 1] == pytest.approx(
            state[0].grad[0].norm(dim=1).mean().item(), 1e-4
        )
        if kind == "LSTM" and t < 6:
            (h, c), (gh, gc) = state, (s.grad for s in state)
            slope = h / c.tanh() * (1 - c.tanh() ** 2)  # dh/dc: a memory acts through its state too
            want = (gc + gh * slope)[0].norm(dim=1).mean().item()
            assert found.memories[t - 1] == pytest.approx(want, rel=1e-4)
    assert all(p.grad is None for p in layer.parameters())


@pytest.mark.parametrize("w", [0.5, 0.9, -0.7])
def test_a_linear_recurrence_vanishes_at_its_weight(w):
    """With h_t = relu(w h_(t-1) + x) kept positive, or tanh at 0, dh_T/dh_t is w^(T-t)."""
    layer = nn.RNN(1, 1, bias=False, batch_first=True)
    with mg.no_grad():
        layer.weight_hh_l0.fill_(w)
        layer.weight_ih_l0.fill_(0.0)
    found = state_gradients(layer, mg.zeros(1, 21, 1), lambda h: h.sum())
    assert found.states == pytest.approx([abs(w) ** (20 - t) for t in range(21)], rel=1e-4)
    assert found.rate == pytest.approx(abs(w), rel=1e-5) and found.memories == []


def test_a_larger_weight_explodes():
    layer = nn.RNN(1, 1, bias=False, nonlinearity="relu")
    nn.init.constant_(layer.weight_hh_l0, 1.5)
    nn.init.constant_(layer.weight_ih_l0, 1.0)
    found = state_gradients(layer, mg.ones(11, 1, 1), lambda h: h.sum())
    assert found.rate == pytest.approx(1.5, rel=1e-5)


def test_lstm_keeps_its_gradient_with_an_open_forget_gate_only():
    rates = {}
    for bias in (-2.0, 10.0):
        mg.manual_seed(0)
        layer = nn.LSTM(3, 8, batch_first=True)
        with mg.no_grad():
            layer.weight_hh_l0.mul_(0.1)
            layer.bias_hh_l0[8:16] = bias
        rates[bias] = state_gradients(
            layer, inputs(100, 3).reshape(2, 50, 3), lambda h: h.sum()
        ).rate
    assert rates[10.0] == pytest.approx(1.0, abs=0.03)
    assert rates[-2.0] < 0.3


def test_stacked_and_two_way_layers_are_refused():
    for options in ({"num_layers": 2}, {"bidirectional": True}):
        with pytest.raises(ValueError, match="a single one, in one direction"):
            state_gradients(nn.GRU(3, 4, **options), mg.zeros(2, 1, 3), lambda h: h.sum())


# -- plots ---------------------------------------------------------------------------------------


def test_every_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    from minigrad.train.diagnostics import plots

    model = network()
    model(inputs()).square().mean().backward()
    flow = gradient_flow(model)
    before = snapshot(model)
    mg.optim.SGD(model.parameters(), lr=0.1).step()
    units = dead_units(model, [inputs()])
    layer = nn.LSTM(6, 3)
    gradients = state_gradients(layer, mg.zeros(5, 2, 6), lambda h: h.sum())
    draw = {
        "flow": lambda path: plots.plot_gradient_flow(flow, path, "flow"),
        "ratios": lambda path: plots.plot_update_ratios([0], [update_ratios(model, before)], path),
        "histograms": lambda path: plots.plot_histograms(weight_histograms(model), path),
        "units": lambda path: plots.plot_dead_units({"before": units, "after": units}, path),
        "time": lambda path: plots.plot_state_gradients({"a": {"LSTM": gradients}}, path),
    }
    for name, function in draw.items():
        path = tmp_path / f"{name}.png"
        function(path)
        assert path.read_bytes()[:4] == b"\x89PNG" and path.stat().st_size > 3000


# -- a classifier watched ------------------------------------------------------------------------

GOOD, BAD = "warm funny fine moving clever".split(), "dull long cold silly stale".split()


def sentences(count, seed=0):
    rng = numpy.random.default_rng(seed)
    labels = rng.integers(2, size=count).tolist()
    return [(" ".join(rng.choice(GOOD if label else BAD, 5)), label) for label in labels]


def watched(model, **options):
    from minigrad.train.classification.models import settings_for
    from minigrad.train.diagnostics.diagnose import diagnose

    defaults = dict(embed_dim=8, epochs=2, patience=None, batch_size=20)
    settings = settings_for(model, **(defaults | options))
    return diagnose(["bad", "good"], sentences(200), sentences(40, 1), settings, every=5)


def test_a_high_learning_rate_kills_units_and_shows_in_the_ratios():
    plain = dict(batch_norm=False, hidden_sizes=(40,))
    calm = watched("textmlp", learning_rate=1e-3, **plain)
    wild = watched("textmlp", learning_rate=1.0, **plain)
    dead = lambda found, stage: sum(len(row.dead) for row in found.units[stage])
    assert dead(calm, "before training") == dead(wild, "before training")
    assert dead(calm, "after training") <= dead(calm, "before training") + 1
    assert dead(wild, "after training") >= dead(calm, "after training") + 5
    assert calm.watch.steps == [1, 5, 10, 15, 20] and calm.watch.updates == 20
    ratio = lambda found: found.watch.ratios[0]["hidden.0.weight"]
    assert ratio(wild) > 100 * ratio(calm)
    text = "\n".join(wild.table())
    assert "hidden.0.weight" in text and "units that are never positive, after training" in text


def test_gradients_over_time_of_a_recurrent_classifier():
    found = watched("rnn", hidden_size=8)
    assert list(found.states) == ["before training", "after training"] and found.units == {}
    norms = found.states["before training"].states
    assert len(norms) == 5 and norms[0] < norms[-1]
    assert "gradient of the states, a step back in time" in "\n".join(found.table())


def test_two_way_layers_have_no_single_direction_of_time():
    assert watched("lstm", hidden_size=4, bidirectional=True).states == {}


@pytest.mark.parametrize("model", ["textcnn", "gru"])
def test_the_command(model, tmp_path, monkeypatch, capsys):
    pytest.importorskip("typer")
    pytest.importorskip("matplotlib")
    from minigrad import cli
    from minigrad.text import datasets

    pairs = sentences(60)
    tiny = datasets.TextDataset("tiny", ["bad", "good"], pairs, pairs, pairs)
    monkeypatch.setitem(datasets.DATASETS, "tiny", lambda: tiny)
    arguments = ["diagnose", model, "--data", "tiny", "--out", str(tmp_path), "--epochs", "1"]
    monkeypatch.setattr("sys.argv", ["minigrad", *arguments, "--every", "1", "--clip-norm", "1"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert pictures == {
        "gradient_flow.png", "update_ratios.png", "weights.png", "activations.png",
        "state_gradients.png" if model == "gru" else "dead_units.png",
    }  # fmt: skip
    assert "fc.weight" in capsys.readouterr().out
