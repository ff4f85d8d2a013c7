"""Optimizers, schedules and weight averages against torch."""

import copy
import warnings

import numpy
import pytest

import minigrad as mg

torch = pytest.importorskip("torch")
warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "maximize": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "amsgrad": True, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.01}),
    ("RMSprop", {}),
    ("RMSprop", {"centered": True, "momentum": 0.9, "weight_decay": 0.1}),
    ("Adadelta", {"weight_decay": 0.01}),
    ("Adamax", {"weight_decay": 0.01}),
    ("NAdam", {}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Rprop", {}),
    ("ASGD", {"weight_decay": 0.1, "t0": 5}),
    ("Adafactor", {}),
    ("Adafactor", {"weight_decay": 0.1}),
]


def pair(name, options, dtype, shapes=((), (5,), (4, 3))):
    rng = numpy.random.default_rng(0)
    weights = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    sides = []
    for t in (torch, mg):
        params = [t.tensor(w, requires_grad=True) for w in weights]
        sides.append((t, params, getattr(t.optim, name)(params, **options)))
    return sides


def steps(sides, count, seed=1):
    rng = numpy.random.default_rng(seed)
    for _ in range(count):
        grads = [rng.standard_normal(tuple(p.shape)) for p in sides[0][1]]
        for t, params, optimizer in sides:
            for p, g in zip(params, grads, strict=True):
                p.grad = t.tensor(g, dtype=p.dtype)
            optimizer.step()


def assert_same(sides, tolerance=1e-6):
    for theirs, ours in zip(sides[0][1], sides[1][1], strict=True):
        numpy.testing.assert_allclose(
            ours.detach().numpy(), theirs.detach().numpy(), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, options", CASES, ids=str)
def test_25_steps(name, options, dtype):
    sides = pair(name, options, dtype)
    steps(sides, 25)
    assert_same(sides)
    assert all(p.array.dtype == dtype for p in sides[1][1])
    theirs, ours = (side[2].state_dict() for side in sides)
    assert set(theirs["param_groups"][0]) == set(ours["param_groups"][0])
    assert set(theirs["state"].get(0, {})) == set(ours["state"].get(0, {}))


def convert(value, to):
    """A state_dict with the other library's tensors."""
    if isinstance(value, (torch.Tensor, mg.Tensor)):
        return to.tensor(value.detach().numpy().copy())
    if isinstance(value, dict):
        return {k: convert(v, to) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(convert(v, to) for v in value)
    return copy.copy(value)


@pytest.mark.parametrize("name, options", CASES, ids=str)
@pytest.mark.parametrize("direction", ["to_torch", "from_torch"])
def test_state_dicts_interchange(name, options, direction):
    sides = pair(name, options, "float64")
    steps(sides, 5)
    source, target = (sides[1], sides[0]) if direction == "to_torch" else (sides[0], sides[1])
    fresh = getattr(target[0].optim, name)(target[1], **options)
    fresh.load_state_dict(convert(source[2].state_dict(), target[0]))
    renewed = (target[0], target[1], fresh)
    sides = [renewed if side is target else side for side in sides]
    steps(sides, 5, seed=2)
    assert_same(sides)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs(search):
    start = numpy.random.default_rng(1).standard_normal(6)
    found = []
    for t in (torch, mg):
        p = t.tensor(start, requires_grad=True)
        optimizer = t.optim.LBFGS([p], lr=0.5, max_iter=10, line_search_fn=search)

        def closure(p=p, optimizer=optimizer):
            optimizer.zero_grad()
            loss = ((p[1:] - p[:-1] ** 2) ** 2).sum() * 10 + ((1 - p) ** 2).sum()
            loss.backward()
            return loss

        for _ in range(4):
            optimizer.step(closure)
        found.append(p.detach().numpy())
    numpy.testing.assert_allclose(found[1], found[0], atol=1e-9)


def test_muon_goes_the_same_way_as_torch():
    """torch rounds to bfloat16 inside, so only the direction and size can be compared."""
    sides = pair("Muon", {"lr": 0.1}, "float32", shapes=((8, 5),))
    start = sides[1][1][0].detach().numpy().copy()
    steps(sides, 1)
    moves = [side[1][0].detach().numpy() - start for side in sides]
    cosine = (moves[0] * moves[1]).sum() / numpy.linalg.norm(moves[0]) / numpy.linalg.norm(moves[1])
    assert cosine > 0.999
    assert numpy.linalg.norm(moves[1]) == pytest.approx(numpy.linalg.norm(moves[0]), rel=0.02)


def test_muon_orthogonalises():
    from minigrad.optim.matrix import orthogonalise

    g = numpy.random.default_rng(0).standard_normal((6, 4))
    values = numpy.linalg.svd(orthogonalise(g, (3.4445, -4.775, 2.0315), 5, 1e-7), compute_uv=False)
    assert values.min() > 0.6 and values.max() < 1.3


def test_sparse_gradients_move_only_their_rows():
    for name in ("SGD", "Adagrad", "SparseAdam"):
        found = []
        for t in (torch, mg):
            t.manual_seed(0)
            layer = t.nn.Embedding(7, 3, sparse=True)
            optimizer = getattr(t.optim, name)(layer.parameters(), lr=0.1)
            for ids in ([1, 2, 2], [5], [1, 5]):
                optimizer.zero_grad()
                (layer(t.tensor(ids)) ** 2).sum().backward()
                optimizer.step()
            found.append(layer.weight.detach().numpy())
        numpy.testing.assert_allclose(found[1], found[0], atol=1e-6, err_msg=name)
    layer = mg.nn.Embedding(7, 3, sparse=True)
    layer(mg.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="Adam does not support sparse gradients"):
        mg.optim.Adam(layer.parameters()).step()


def test_errors_match_torch():
    wrong = [
        ("SGD", {"lr": -1}),
        ("SGD", {"lr": 0.1, "nesterov": True}),
        ("Adam", {"betas": (1.0, 0.9)}),
        ("Adam", {"eps": -1}),
        ("AdamW", {"weight_decay": -1}),
        ("RMSprop", {"alpha": -1}),
        ("Adadelta", {"rho": 2}),
        ("Rprop", {"etas": (2.0, 3.0)}),
        ("Adafactor", {"d": 0.5}),
    ]
    for name, options in wrong:
        messages = []
        for t in (torch, mg):
            with pytest.raises(ValueError) as caught:
                getattr(t.optim, name)([t.zeros(2, requires_grad=True)], **options)
            messages.append(str(caught.value))
        assert messages[1].split(":")[0] == messages[0].split(":")[0]
    x = mg.zeros(2, requires_grad=True)
    with pytest.raises(ValueError, match="empty parameter list"):
        mg.optim.SGD([])
    with pytest.raises(TypeError, match="iterable of Tensors"):
        mg.optim.SGD(x)
    with pytest.raises(ValueError, match="non-leaf"):
        mg.optim.SGD([x * 2])
    optimizer = mg.optim.SGD([x])
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": [x]})
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict({"state": {}, "param_groups": []})
    with pytest.raises(NotImplementedError, match="capturable"):
        mg.optim.Adamax([x], capturable=True)


def test_hooks_closures_and_repr():
    x = mg.zeros(2, requires_grad=True)
    optimizer = mg.optim.SGD([x], lr=0.5)
    calls = []
    optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append("before"))
    handle = optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append("after"))

    def closure():
        optimizer.zero_grad()
        loss = ((x - 1) ** 2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    handle.remove()
    optimizer.step(closure)
    assert calls == ["before", "after", "before"] and x.tolist() == [1.0, 1.0]
    theirs = torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=0.5)
    assert repr(optimizer) == repr(theirs)


SCHEDULES = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda epoch: 0.9**epoch),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda epoch: 0.95),
    "StepLR": lambda s, o: s.StepLR(o, 7, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [5, 5, 20], 0.3),
    "ConstantLR": lambda s, o: s.ConstantLR(o),
    "LinearLR": lambda s, o: s.LinearLR(o, total_iters=9),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 30, 2.0),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 17, 0.001),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5, 2, 0.01),
    "CyclicLR triangular2": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 5, 7, mode="triangular2"),
    "CyclicLR exp_range": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 5, mode="exp_range", gamma=0.99),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.3, total_steps=61),
    "OneCycleLR three phases": lambda s, o: s.OneCycleLR(
        o, 0.3, total_steps=61, three_phase=True, anneal_strategy="linear"
    ),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o,
        [s.LinearLR(o, total_iters=5), s.CosineAnnealingLR(o, 20), s.ExponentialLR(o, 0.9)],
        [5, 30],
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler(
        [s.LinearLR(o, total_iters=5), s.ExponentialLR(o, 0.9)], optimizer=o
    ),
}


def scheduled(t, make):
    p, q = t.zeros(2, requires_grad=True), t.zeros(1, requires_grad=True)
    optimizer = t.optim.SGD([{"params": [p]}, {"params": [q], "lr": 0.5}], lr=0.2, momentum=0.9)
    return optimizer, make(t.optim.lr_scheduler, optimizer)


def rates(optimizer, scheduler, epochs):
    seen = []
    for _ in range(epochs):
        groups = optimizer.param_groups
        seen.append(
            [g["lr"] for g in groups]
            + [g["momentum"] for g in groups]
            + list(scheduler.get_last_lr())
        )
        optimizer.step()
        scheduler.step()
    return numpy.array(seen, float)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_for_60_epochs(name):
    found = [rates(*scheduled(t, SCHEDULES[name]), 60) for t in (torch, mg)]
    numpy.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_resumes(name):
    whole = rates(*scheduled(mg, SCHEDULES[name]), 30)
    optimizer, scheduler = scheduled(mg, SCHEDULES[name])
    rates(optimizer, scheduler, 12)
    again, again_scheduler = scheduled(mg, SCHEDULES[name])
    again.load_state_dict(optimizer.state_dict())
    again_scheduler.load_state_dict(scheduler.state_dict())
    numpy.testing.assert_allclose(rates(again, again_scheduler, 18), whole[12:], atol=1e-12)


def test_plateau(capsys):
    found = []
    for t in (torch, mg):
        optimizer = t.optim.SGD([t.zeros(1, requires_grad=True)], lr=0.1)
        scheduler = t.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=2, cooldown=1, min_lr=0.01
        )
        losses = [1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]
        seen = []
        for loss in losses:
            scheduler.step(loss)
            seen.append(optimizer.param_groups[0]["lr"])
        found.append(seen)
    assert found[0] == found[1]
    optimizer = mg.optim.SGD([mg.zeros(1, requires_grad=True)], lr=1e-3)
    plateau = mg.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1, verbose=True)
    for _ in range(3):
        plateau.step(1.0)
    expected = "Epoch 00003: reducing learning rate of group 0 to 1.0000e-04.\n"
    assert capsys.readouterr().out == expected


def test_order_of_steps_is_warned_about():
    optimizer, scheduler = scheduled(mg, SCHEDULES["StepLR"])
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()


def test_averages():
    for options in ({}, {"avg": True}, {"multi": True}):
        found = []
        for t in (torch, mg):
            t.manual_seed(0)
            model = t.nn.Linear(3, 2)
            u = t.optim.swa_utils
            arguments = {}
            if options.get("multi"):
                arguments["multi_avg_fn"] = u.get_ema_multi_avg_fn(0.9)
            if options.get("avg"):
                arguments["avg_fn"] = lambda a, w, n: 0.5 * a + 0.5 * w
            averaged = u.AveragedModel(model, **arguments)
            for step in range(4):
                with t.no_grad():
                    model.weight.mul_(0.5).add_(step)
                averaged.update_parameters(model)
            found.append(averaged.module.weight.detach().numpy())
        numpy.testing.assert_allclose(found[1], found[0], atol=1e-6)
