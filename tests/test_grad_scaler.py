"""GradScaler against torch's: scales, parameters, counts and errors, step by step."""

import math

import numpy
import pytest
from cuda.machine import Machine, on_gpu
from cuda.machine import gpu as shim  # noqa: F401
from cuda.shim import builder
from minigrad.kernels import cuda_parts, grad_scaling, kernel

import minigrad as mg

torch = pytest.importorskip("torch")


def parts(t, count=2, **options):
    """Parameters, an optimizer for each, and a scaler."""
    start = t.tensor([1.0, -2.0, 3.0], dtype=t.float64)  # momentum carries roundings of float32 on
    params = [t.nn.Parameter(start * (i + 1)) for i in range(count)]
    optimizers = [t.optim.SGD([p], lr=0.1, momentum=0.9) for p in params]
    return params, optimizers, t.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3, **options)


def run(t, bad, clip=False):
    """What is seen over steps of which those in `bad` have an inf or NaN in one optimizer's gradient."""
    params, optimizers, scaler = parts(t)
    seen = []
    for step in range(14):
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = sum((p * p).sum() for p in params)
        scaler.scale(loss).backward()
        if step in bad:
            params[step % 2].grad[1] = math.inf if step % 3 else math.nan
        for p, optimizer in zip(params, optimizers, strict=True):
            if clip:
                scaler.unscale_(optimizer)
                t.nn.utils.clip_grad_norm_([p], 1.0)
            scaler.step(optimizer)
        scaler.update()
        seen.append((scaler.get_scale(), scaler._get_growth_tracker()))
    return seen, [p.detach().numpy() for p in params]


@pytest.mark.parametrize("bad", [(), (0, 1, 5), (2, 3, 4, 9, 13)])
@pytest.mark.parametrize("clip", [False, True])
def test_scales_and_parameters_are_torchs(bad, clip):
    (expected, right), (found, params) = run(torch, bad, clip), run(mg, bad, clip)
    assert found == expected
    for x, y in zip(params, right, strict=True):
        numpy.testing.assert_allclose(x, y, rtol=1e-6)


def test_a_scale_that_would_become_infinite_stays():
    for t in (torch, mg):
        scaler = t.amp.GradScaler("cpu", init_scale=3e38, growth_interval=1)
        p = t.nn.Parameter(t.zeros(2))
        scaler.scale((p * 1e-30).sum()).backward()
        scaler.step(t.optim.SGD([p], lr=0.1))
        scaler.update()
        assert scaler.get_scale() == pytest.approx(3e38) and scaler._get_growth_tracker() == 0


def test_outputs_of_all_kinds():
    for t in (torch, mg):
        scaler = t.amp.GradScaler("cpu", init_scale=4.0)
        x = t.ones(2)
        assert scaler.scale(x).tolist() == [4, 4]
        a, (b, c) = scaler.scale((x, [x, 2 * x]))
        assert a.tolist() == b.tolist() == [4, 4] and c.tolist() == [8, 8]
        assert [y.tolist() for y in scaler.scale(iter([x]))] == [[4, 4]]
        with pytest.raises(ValueError, match="outputs must be a Tensor or an iterable of Tensors"):
            scaler.scale(3)


def refused(t):
    """Every wrong use, as (exception's type, its text)."""
    found = []

    def attempt(function, *args, **kwargs):
        with pytest.raises((RuntimeError, ValueError, AssertionError)) as caught:
            function(*args, **kwargs)
        found.append((caught.type, str(caught.value)))

    attempt(t.amp.GradScaler, "cpu", growth_factor=1.0)
    attempt(t.amp.GradScaler, "cpu", backoff_factor=1.0)
    (p, other), (optimizer, second), scaler = parts(t)
    attempt(scaler.unscale_, optimizer)
    attempt(scaler.step, optimizer)
    attempt(scaler.update)
    scaler.scale(p.sum()).backward()
    attempt(scaler.update)  # nothing was checked
    scaler.unscale_(optimizer)
    attempt(scaler.unscale_, optimizer)
    attempt(scaler.step, second)  # no gradients
    attempt(scaler.step, optimizer, closure=lambda: 0)
    scaler.step(optimizer)
    attempt(scaler.step, optimizer)
    attempt(scaler.unscale_, optimizer)
    attempt(scaler.update, t.ones(2))
    attempt(scaler.update, t.ones(1, requires_grad=True))
    attempt(scaler.load_state_dict, {})
    scaler.update(t.tensor(32.0))
    assert scaler.get_scale() == 32
    scaler.update(16.0)
    assert scaler.get_scale() == 16
    half = t.nn.Parameter(t.ones(2, dtype=t.float16))
    half.grad = t.ones(2, dtype=t.float16)
    attempt(scaler.step, t.optim.SGD([half], lr=0.1))
    return found


def test_errors_are_torchs():
    assert refused(mg) == refused(torch)


def test_switched_off():
    for t in (torch, mg):
        params, (optimizer, _), scaler = parts(t, enabled=False)
        loss = params[0].sum()
        assert scaler.scale(loss) is loss and scaler.get_scale() == 1.0 and not scaler.is_enabled()
        loss.backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        assert params[0].tolist() == pytest.approx([0.9, -2.1, 2.9]) and scaler.state_dict() == {}


def test_state_goes_both_ways():
    scalers = []
    for t in (torch, mg):
        (p, _), (optimizer, _), scaler = parts(t)
        for _ in range(4):
            scaler.scale(p.sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        scalers.append(scaler)
    theirs, ours = scalers
    assert ours.state_dict() == theirs.state_dict() == {
        "scale": 16.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 3,
        "_growth_tracker": 1,
    }  # fmt: skip
    for started in (False, True):
        fresh = mg.amp.GradScaler("cpu")
        if started:
            fresh.scale(mg.ones(1))
        fresh.load_state_dict(theirs.state_dict())
        assert fresh.state_dict() == theirs.state_dict()
    ours.set_growth_factor(3.0)
    ours.set_backoff_factor(0.25)
    ours.set_growth_interval(7)
    assert (ours.get_growth_factor(), ours.get_backoff_factor()) == (3.0, 0.25)
    assert ours.get_growth_interval() == 7


@pytest.mark.parametrize("sparse", [False, True])
def test_gradients_of_embeddings(sparse):
    table = mg.nn.Embedding(6, 3, sparse=sparse)
    scaler = mg.amp.GradScaler("cpu", init_scale=4.0)
    optimizer = mg.optim.SGD(table.parameters(), lr=1.0)
    before = table.weight.detach().clone()
    scaler.scale(table(mg.tensor([1, 4, 1])).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    moved = (before - table.weight.detach()).numpy()
    expected = numpy.zeros((6, 3))
    expected[[1, 4]] = [[2.0], [1.0]]
    numpy.testing.assert_allclose(moved, expected, atol=1e-6)


def test_an_optimizer_may_take_the_check_itself():
    seen = []

    class Own(mg.optim.SGD):
        """Looks at what a scaler gives it."""

        _step_supports_amp_scaling = True

        def step(self, closure=None):
            scale = None if self.grad_scale is None else self.grad_scale.item()
            seen.append((self.found_inf.item(), scale))

    p = mg.nn.Parameter(mg.ones(2))
    optimizer, scaler = Own([p], lr=0.1), mg.amp.GradScaler("cpu", init_scale=4.0)
    for value in (1.0, math.inf):
        for unscale in (False, True):
            p.grad = mg.tensor([value, 1.0])
            scaler.scale(mg.ones(1))
            if unscale:
                scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
    assert seen == [(0.0, 4.0), (0.0, None), (1.0, 4.0), (1.0, None)]
    assert not hasattr(optimizer, "found_inf") and scaler.get_scale() == 1.0


# -- the kernels -------------------------------------------------------------------------------------


needs_shim = pytest.mark.skipif(
    builder.GXX is None or kernel.REFERENCE_ONLY, reason="kernels can't run here"
)


@needs_shim
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("bad", [None, 0, 70, 130, 150])
def test_unscale_on_the_gpu(dtype, bad, monkeypatch, shim):  # noqa: F811
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    monkeypatch.setattr(cuda_parts, "PART", 64)
    x = numpy.random.default_rng(1).standard_normal(151).astype(dtype)
    if bad is not None:
        x[bad] = -numpy.inf if bad else numpy.nan
    arrays = [x[:150], x[150:]]
    for scale in (numpy.array(8.0, "float32"), None):
        for before in (0.0, 1.0):
            found = numpy.array(before, "float32")
            expected = [a.copy() for a in arrays], found.copy()
            with numpy.errstate(all="ignore"):
                grad_scaling.unscale.reference(*expected, scale)
            _, (changed, flag, _) = on_gpu(grad_scaling.unscale, arrays, found, scale)
            assert flag == expected[1] == max(before, bad is not None)
            for one, right in zip(changed, expected[0], strict=True):
                numpy.testing.assert_array_equal(one.astype("float64"), right.astype("float64"))


@needs_shim
@pytest.mark.parametrize("found", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("scale, tracker", [(8.0, 0), (8.0, 2), (3e38, 2), (1e-45, 1)])
def test_update_scale_on_the_gpu(found, scale, tracker, shim):  # noqa: F811
    given = numpy.array(scale, "float32"), numpy.array(tracker, "int32")
    found = numpy.array(found, "float32")
    right, steps = torch.tensor(given[0]), torch.tensor(given[1])
    torch._amp_update_scale_(right, steps, torch.tensor(found), 2.0, 0.5, 3)
    expected = tuple(x.copy() for x in given)
    with numpy.errstate(all="ignore"):
        grad_scaling.update_scale.reference(*expected, found, 2.0, 0.5, 3)
    _, changed = on_gpu(grad_scaling.update_scale, *given, found, 2.0, 0.5, 3)
    for one in (changed, expected):
        assert (one[0], one[1]) == (right.item(), steps.item())
    assert Machine.launched
