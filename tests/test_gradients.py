"""Every operation at every sample: gradients of order 1 and 2 against finite differences.

Generated from the declarations; the second half shows that each kind of mistake is found.
"""

import math

import numpy
import pytest

import minigrad
from minigrad import checks, op
from minigrad.op import REGISTRY, primitive
from minigrad.ops.elementwise import exp, sin


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_op(name):
    failed = [row for row in checks.check_op(REGISTRY[name]) if not row.ok]
    assert not failed, "\n".join(f"{r.op}({r.sample}) order {r.order}: {r.message}" for r in failed)


def test_nonlinear_ops_to_third_order():
    rows = checks.run_checks(["exp", "tanh", "sigmoid", "div_arrays", "lgamma", "erf"], (3,))
    assert rows and all(row.ok for row in rows)
    assert {row.order for row in rows} == {3}


def test_run_checks_reports_progress_and_unknown_names():
    seen = []
    rows = checks.run_checks(["exp", "mul"], (1,), lambda *progress: seen.append(progress))
    assert seen == [("exp", 0, 2), ("mul", 1, 2)]
    assert {row.op for row in rows} == {"exp", "mul"}
    with pytest.raises(ValueError, match="no op called nothing_like_this"):
        checks.run_checks("nothing_like_this")


# -- wrong rules are found -----------------------------------------------------------------------


@pytest.fixture
def registry(monkeypatch):
    """A registry for broken ops, so that the real one never sees them."""
    private = {}
    monkeypatch.setattr(op, "REGISTRY", private)
    return private


def messages(registry, orders=(1, 2)):
    return [
        row.message for row in checks.run_checks(registry=registry, orders=orders) if not row.ok
    ]


def softmax(xp, x):
    shifted = xp.exp(x - x.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def test_a_right_rule_passes(registry):
    @primitive
    def right(xp, x, y):
        return x * xp.sin(y)

    right.vjp(x=lambda g, y: g * sin(y), y=lambda g, x, y: g * x * sin(y + math.pi / 2))
    right.samples(lambda rand: [(rand(3, 4), rand(4)), (rand(), rand()), (rand(0), rand(1))])
    rows = checks.run_checks(registry=registry)
    assert len(rows) == 6
    assert all(row.ok and row.error < 1e-8 for row in rows)


def test_a_slightly_wrong_rule_fails(registry):
    @primitive
    def slightly_wrong(xp, x, y):
        return x * xp.sin(y)

    slightly_wrong.vjp(
        x=lambda g, y: 1.0001 * g * sin(y), y=lambda g, x, y: g * x * minigrad.cos(y)
    )
    slightly_wrong.samples(lambda rand: [(rand(3), rand(3))])
    (message,) = messages(registry)
    assert "gradient of input 0, shape (3,)" in message
    assert "by finite differences" in message


def test_a_zeroed_softmax_rule_fails(registry):
    """J^T 1 = 0 for softmax: a check with a cotangent of ones would let this pass."""

    @primitive
    def zeroed(xp, x):
        return softmax(xp, x)

    zeroed.vjp(x=lambda g, out: g * 0)
    zeroed.samples(lambda rand: [(rand(3, 4),)])
    assert "gradient of input 0" in messages(registry)[0]


def test_a_rule_that_is_constant_to_the_graph_fails_at_order_2(registry):
    @primitive
    def blind(xp, x):
        return xp.exp(x)

    blind.vjp(x=lambda g, out: g * (out.detach() if isinstance(out, minigrad.Tensor) else out))
    blind.samples(lambda rand: [(rand(3),)])
    rows = checks.run_checks(registry=registry)
    assert [(row.order, row.ok) for row in rows] == [(1, True), (2, False)]


def test_a_wrong_second_derivative_fails(registry):
    @primitive
    def wrong_later(xp, x):
        return xp.exp(x)

    @primitive
    def slope(xp, x):
        return xp.exp(x)

    slope.vjp(x=lambda g, x: -g * exp(x))
    wrong_later.vjp(x=lambda g, x: g * slope(x))
    wrong_later.samples(lambda rand: [(rand(3),)])
    slope.samples(lambda rand: [(rand(3),)])
    rows = checks.run_checks("wrong_later", registry=registry)
    assert [(row.order, row.ok) for row in rows] == [(1, True), (2, False)]


def test_a_missing_rule_fails(registry):
    @primitive
    def half_declared(xp, x, y):
        return x * y

    half_declared.vjp(x=lambda g, y: g * y)
    half_declared.samples(lambda rand: [(rand(3), rand(3))])
    assert messages(registry) == ["input 1 has no rule, but the output depends on it"]


def test_missing_samples_fail(registry):
    @primitive
    def unsampled(xp, x):
        return x + 1

    assert messages(registry) == ["the op has no samples"]
    unsampled.samples(lambda rand: [])
    assert messages(registry) == ["the op has an empty list of samples"]
    unsampled.samples(lambda rand: rand.no_such_method())
    assert "no_such_method" in messages(registry)[0]


def test_an_exception_becomes_a_row(registry):
    @primitive
    def raises(xp, x):
        raise RuntimeError("out of order")

    raises.vjp(x=lambda g: g)
    raises.samples(lambda rand: [(rand(3),)])
    assert messages(registry) == ["RuntimeError: out of order"]


def test_a_gradient_in_double_precision_fails(registry):
    @primitive
    def widening(xp, x):
        return x * 2

    widening.vjp(x=lambda g: minigrad.ops.reduce.cast(g, dtype=numpy.dtype("float64")) * 2)
    widening.samples(lambda rand: [(rand(3),)])
    assert "rule 0 of WideningBackward0 gives float64" in messages(registry)[0]


def test_a_result_in_double_precision_fails(registry):
    @primitive
    def widening(xp, x):
        return x / numpy.sqrt(64)

    widening.vjp(x=lambda g: g / 8)
    widening.samples(lambda rand: [(rand(3),)])
    assert "float32 inputs give torch.float64 in output 0" in messages(registry)[0]


def test_a_bad_single_precision_path_fails(registry):
    @primitive
    def rough(xp, x):
        return x * 2 if x.dtype == numpy.float64 else x * numpy.float32(2.01)

    rough.vjp(x=lambda g: g * 2)
    rough.samples(lambda rand: [(rand(3),)])
    assert "float32 result is far" in messages(registry)[0]


def test_writing_into_an_input_fails(registry):
    @primitive
    def careless(xp, x):
        x += 1
        return x - 1

    careless.vjp(x=lambda g: g)
    careless.samples(lambda rand: [(rand(3),)])
    assert "was written into" in messages(registry)[0]


def test_writing_into_the_gradient_fails(registry):
    @primitive
    def doubled(xp, x):
        return x * 2

    @primitive
    def double_in_place(xp, g):
        g *= 2
        return g

    double_in_place.vjp(g=lambda g: 2 * g)
    double_in_place.samples(lambda rand: [(rand(3),)])
    doubled.vjp(x=lambda g: double_in_place(g))
    doubled.samples(lambda rand: [(rand(3),)])
    found = messages({"doubled": doubled})
    assert "was written into" in found[0]


def test_assuming_contiguous_memory_fails(registry):
    @primitive
    def assuming(xp, x):
        memory = x if x.base is None else x.base
        return memory.reshape(-1)[: x.size].reshape(x.shape) * 2

    assuming.vjp(x=lambda g: g * 2)
    assuming.samples(lambda rand: [(rand(3).copy(),)])
    assert messages(registry) == ["non-contiguous inputs give another result"]


def test_misreading_a_repeated_gradient_fails(registry):
    @primitive
    def twice(xp, x):
        return x * 2

    @primitive
    def backwards(xp, g):
        # what a kernel does that takes strides for granted
        if g.strides and g.strides[-1] == 0:
            return g * 3
        return g * 2

    backwards.vjp(g=lambda g: backwards(g))
    twice.vjp(x=lambda g: backwards(g))
    twice.samples(lambda rand: [(rand(3),)])
    assert "repeats one number in memory" in messages({"twice": twice})[0]


def test_a_reference_cycle_fails(registry):
    @primitive
    def cyclic(xp, x):
        return x * 2

    def call(x):
        out = cyclic(x)
        out.keeps_itself = out
        return out

    cyclic.vjp(x=lambda g: g * 2)
    case = checks.Case(call, (numpy.ones(3),))
    (row,) = checks.check_case(case, "cyclic", (1,), (checks._freed_without_collector,))
    assert "reference cycle" in row.message


def test_a_kink_inside_the_step_is_not_crossed(registry):
    """max of two inputs: samples keep apart what finite differences must not mix up."""
    rows = checks.run_checks(["maximum", "abs", "clamp_min"])
    assert all(row.ok for row in rows)


def test_ops_without_rules_record_nothing(registry):
    @primitive
    def silent(xp, x):
        return xp.floor(x)

    silent.samples(lambda rand: [(rand(3),)])
    (row,) = checks.run_checks(registry=registry)
    assert row.ok and row.error == 0


def test_a_user_function_is_checked_too():
    from minigrad.testing import check_grads

    rand = checks.Rand(3)
    check_grads(lambda x, y: (x @ y).tanh(), rand(3, 4), rand(4, 2), order=3)
    check_grads(lambda x, scale: x.exp() * scale, rand(3), {"scale": 2.0})
    check_grads(minigrad.ops.elementwise.mul, rand(3), rand(3))
    check_grads(lambda x: x * x, rand(3), modes=("arrays",))
    with pytest.raises(AssertionError, match=r"order 1: the gradient of input 0, shape \(3,\)"):
        check_grads(lambda x: x * x.detach(), rand(3))
    with pytest.raises(ValueError, match="no argument is a float64"):
        check_grads(lambda x: x, 1.0)
    with pytest.raises(ValueError, match="modes are"):
        check_grads(lambda x: x, rand(3), modes=("forward",))
