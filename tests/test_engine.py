"""The tape: leaves and non-leaves, modes, hooks, views and versions, memory, depth, Function."""

import gc
import threading
import weakref

import numpy
import pytest

import minigrad as mg
from minigrad import sparse


def leaf(*shape, dtype="float64"):
    rng = numpy.random.default_rng(1)
    return mg.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)


def test_gradients_add_up_until_cleared():
    x = leaf(3)
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5.0] * 3
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0] * 3


def test_both_operands_own_their_gradient():
    x, y = leaf(3), leaf(3)
    (x + y).sum().backward()
    x.grad.zero_()
    assert y.grad.tolist() == [1.0] * 3


def test_gradient_of_an_expanded_loss_is_writable():
    x = leaf(2, 3)
    x.sum().backward()
    x.grad.mul_(2)
    assert (x.grad.array == 2).all()


def test_diamond():
    x = leaf(4)
    y = x * 2
    (y * y + y).sum().backward()
    assert numpy.allclose(x.grad.array, 8 * x.array + 2)


def test_leaf_flags_match_torch():
    torch = pytest.importorskip("torch")
    for t in (torch, mg):
        x = t.ones(2, requires_grad=True)
        y = x * 2
        z = y.detach()
        assert (x.is_leaf, y.is_leaf, z.is_leaf) == (True, False, True)
        assert (x.requires_grad, y.requires_grad, z.requires_grad) == (True, True, False)
        assert x.grad_fn is None and y.grad_fn.name() == "MulBackward0"


def test_modes():
    x = leaf(2)
    with mg.no_grad():
        assert not (x * 2).requires_grad
        with mg.enable_grad():
            assert (x * 2).requires_grad
        with mg.set_grad_enabled(False):
            assert not mg.is_grad_enabled()
    assert mg.is_grad_enabled()

    @mg.no_grad()
    def quiet():
        return x * 2

    @mg.no_grad
    def quiet_without_parentheses():
        return x * 2

    @mg.inference_mode()
    def inferring():
        return mg.is_inference_mode_enabled(), x * 2

    assert not quiet().requires_grad
    assert not quiet_without_parentheses().requires_grad
    assert inferring()[0] and not inferring()[1].requires_grad
    mg.set_grad_enabled(False)
    assert not (x * 2).requires_grad
    mg.set_grad_enabled(True)


def test_modes_belong_to_a_thread():
    seen = []
    with mg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(mg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_chain_of_200000():
    x = leaf(1)
    y = x
    for _ in range(200_000):
        y = y + 1
    y.sum().backward()
    assert x.grad.tolist() == [1.0]
    del y


def test_graph_dies_with_its_last_tensor():
    gc.collect()
    gc.disable()
    try:
        x = leaf(3)
        y = (x.exp() * x).sin()
        node = weakref.ref(y.grad_fn)
        loss = y.sum()
        loss.backward(retain_graph=True)
        y.register_hook(lambda g: None)
        del y, loss
        assert node() is None
    finally:
        gc.enable()


def test_saved_arrays_go_during_backward():
    x = leaf(4)
    y = x.exp()
    inside = weakref.ref(y.grad_fn.saved[0])
    loss = (y * 2).sum()
    del y
    assert inside() is not None
    loss.backward()
    assert inside() is None


def test_second_backward_needs_retain_graph():
    x = leaf(3)
    loss = x.exp().sum()
    loss.backward(retain_graph=True)
    loss.backward()
    with pytest.raises(RuntimeError, match=r"second time.*retain_graph=True.*detach"):
        loss.backward()


def test_non_scalar_needs_a_gradient():
    x = leaf(3)
    with pytest.raises(RuntimeError, match=r"only for scalar outputs.*\(3,\)"):
        (x * 2).backward()
    (x * 2).backward(mg.tensor([1.0, 2.0, 3.0], dtype=mg.float64))
    assert x.grad.tolist() == [2.0, 4.0, 6.0]
    with pytest.raises(RuntimeError, match="does not require grad"):
        mg.ones(1).backward()
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        (x * 2).backward(mg.ones(2))


def test_grad_touches_nothing_else():
    x, y = leaf(3), leaf(3)
    z = (x * y).sum()
    (gx,) = mg.autograd.grad(z, x, retain_graph=True)
    assert numpy.allclose(gx.array, y.array) and x.grad is None and y.grad is None
    with pytest.raises(RuntimeError, match="not have been used"):
        mg.autograd.grad(z, leaf(2), retain_graph=True)
    assert mg.autograd.grad(z, leaf(2), retain_graph=True, allow_unused=True) == (None,)
    (zeros,) = mg.autograd.grad(z, leaf(2), materialize_grads=True)
    assert zeros.tolist() == [0.0, 0.0]


def test_grad_of_an_intermediate_tensor():
    x = leaf(3)
    h = x * 3
    loss = (h * h).sum()
    (gh,) = mg.autograd.grad(loss, h)
    assert numpy.allclose(gh.array, 2 * h.array)


def test_grad_runs_only_what_it_needs():
    x, w = leaf(3), leaf(3)
    calls = []
    h = x.exp()
    h.register_hook(lambda g: calls.append(1))
    loss = (h * w).sum()
    mg.autograd.grad(loss, w)
    assert calls == []


def test_third_order():
    x = mg.tensor(0.7, dtype=mg.float64, requires_grad=True)
    y = x**5
    for factor in (5 * 0.7**4, 20 * 0.7**3, 60 * 0.7**2):
        (y,) = mg.autograd.grad(y, x, create_graph=True)
        assert abs(y.item() - factor) < 1e-12


def test_backward_inputs_and_create_graph():
    x, y = leaf(2), leaf(2)
    (x * x * y).sum().backward(inputs=[x], create_graph=True)
    assert y.grad is None and x.grad.requires_grad
    x.grad.sum().backward()
    assert numpy.allclose(y.grad.array, 2 * x.array)


def test_hooks():
    x = leaf(2)
    seen = []
    handle = x.register_hook(lambda g: g * 10)
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
    y = x * 1
    y.register_hook(lambda g: g + 1)
    y.retain_grad()
    y.sum().backward()
    assert x.grad.tolist() == [20.0, 20.0] and y.grad.tolist() == [2.0, 2.0]
    assert seen == [[20.0, 20.0]]
    handle.remove()
    x.grad = None
    x.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


class TestInPlace:
    def test_on_a_leaf_is_refused(self):
        x = leaf(3)
        for change in (lambda: x.add_(1), lambda: x[0].fill_(0), lambda: x.__setitem__(0, 1.0)):
            with pytest.raises(RuntimeError, match="leaf Variable that requires grad.*no_grad"):
                change()
        with mg.no_grad():
            x.add_(1)

    def test_a_saved_tensor_that_changes_is_noticed(self):
        x = leaf(3)
        y = x.exp()
        loss = y.sum()
        y.mul_(2)
        with pytest.raises(
            RuntimeError, match=r"exp saved a tensor of shape \(3,\) at version 0.*clone"
        ):
            loss.backward()

    def test_a_change_through_a_view_is_noticed(self):
        x, w = leaf(2, 3), leaf(2, 3)
        y = x * 1
        loss = (y * w).sum()
        y[0].zero_()
        with pytest.raises(RuntimeError, match="inplace"):
            loss.backward()

    @pytest.mark.parametrize(
        "program",
        [
            lambda t, x: x.clone().mul_(x),
            lambda t, x: x.clone().exp_(),
            lambda t, x: _set(x * 1, (0,), x[1] * 2),
            lambda t, x: _set(x * 1, (slice(None), 1), 3.0),
            lambda t, x: _set(t.zeros(3, 4, dtype=t.float64), (slice(1, 3),), x[:2] * x[1:]),
            lambda t, x: _set(x * 1, (t.tensor([0, 2]),), x[:2] * 5),
            lambda t, x: _set(x * 1, (x.detach() > 0,), 0.5),
            lambda t, x: _view_chain(x * 1),
            lambda t, x: _view_then_base(x * 1),
            lambda t, x: (x * 1).transpose(0, 1)[1:].mul_(x.t()[1:]),
            lambda t, x: (x * 1).masked_fill_(x.detach() > 0, 2.0),
            lambda t, x: (x * 1).zero_() + x,
            lambda t, x: (x * 1).copy_(x[0]),
        ],
    )
    def test_gradients_equal_torch(self, program):
        torch = pytest.importorskip("torch")
        start = numpy.random.default_rng(3).standard_normal((3, 4))
        grads = []
        for t in (torch, mg):
            x = t.tensor(start, requires_grad=True)
            out = program(t, x)
            weight = t.tensor(numpy.random.default_rng(4).standard_normal(tuple(out.shape)))
            (out * weight).sum().backward()
            grads.append((out.detach().numpy(), x.grad.numpy()))
        for ours, theirs in zip(grads[1], grads[0], strict=True):
            assert numpy.allclose(ours, theirs)

    def test_errors_come_before_any_change(self):
        x = mg.zeros(2, 3)
        with pytest.raises(RuntimeError, match=r"add_.*doesn't match the broadcast shape"):
            x.add_(mg.ones(4, 2, 3))
        counts = mg.zeros(3, dtype=mg.int64)
        with pytest.raises(RuntimeError, match=r"add_: result type.*can't be cast"):
            counts.add_(mg.ones(3))
        with pytest.raises(RuntimeError, match="shape mismatch"):
            x[0] = mg.ones(2)
        assert (x.array == 0).all() and (counts.array == 0).all()

    def test_views_share_memory(self):
        x = mg.arange(6.0).reshape(2, 3)
        for view in (x[0], x.t(), x.view(6), x.expand(4, 2, 3), x.narrow(1, 0, 2), x.unsqueeze(0)):
            assert view.data_ptr() == x.data_ptr()
        x[1, 2] = 50.0
        assert x.t()[2, 1].item() == 50.0


def _set(x, index, value):
    x[index if len(index) > 1 else index[0]] = value
    return x


def _view_chain(y):
    y.t()[1:3].reshape(2, 3)[0].mul_(3)
    return y


def _view_then_base(y):
    v = y[1]
    y.mul_(2)
    return v * y[0]


class Scaled(mg.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * x * factor

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * ctx.factor * x * g, None


class TestFunction:
    def test_gradients_of_two_orders(self):
        x = leaf(3)
        y = Scaled.apply(x, 3.0)
        assert y.grad_fn.name() == "ScaledBackward"
        (g,) = mg.autograd.grad(y.sum(), x, create_graph=True)
        assert numpy.allclose(g.array, 6 * x.array)
        (gg,) = mg.autograd.grad(g.sum(), x)
        assert numpy.allclose(gg.array, 6.0)

    def test_gradcheck(self):
        assert mg.autograd.gradcheck(lambda x: Scaled.apply(x, 2.0), (leaf(4),))

    def test_wrong_number_of_gradients(self):
        class Wrong(mg.autograd.Function):
            @staticmethod
            def forward(ctx, x, y):
                return x + y

            @staticmethod
            def backward(ctx, g):
                return g

        with pytest.raises(RuntimeError, match="incorrect number of gradients"):
            Wrong.apply(leaf(2), leaf(2)).sum().backward()

    def test_not_to_be_instantiated(self):
        with pytest.raises(RuntimeError, match="apply"):
            Scaled()


def test_anomaly_names_the_operation_and_the_line():
    with mg.autograd.detect_anomaly():
        x = mg.tensor([0.0, 1.0], requires_grad=True)
        y = (x * 0).sqrt() * 0  # the line to be named
        with pytest.raises(RuntimeError, match=r"(?s)SqrtBackward0.*nan.*the line to be named"):
            y.sum().backward()
    assert not mg.engine.state.anomaly


def test_functional_derivatives_equal_torch():
    torch = pytest.importorskip("torch")
    found = []
    for t in (torch, mg):
        x = t.tensor([0.3, -0.7, 1.1], dtype=t.float64)
        v = t.tensor([1.0, 2.0, -1.0], dtype=t.float64)

        def f(x, t=t):
            return t.stack([x.sin().sum(), (x * x).prod(), x[0] * x[2]])

        def s(x):
            return (x.exp() * x).sum() ** 2

        functional = t.autograd.functional
        found.append(
            [
                functional.jacobian(f, x),
                functional.hessian(s, x),
                functional.vjp(f, x, v)[1],
                functional.jvp(f, x, v)[1],
                functional.vhp(s, x, v)[1],
                functional.hvp(s, x, v)[1],
            ]
        )
    for ours, theirs in zip(found[1], found[0], strict=True):
        assert numpy.allclose(ours.numpy(), theirs.numpy())


def test_checkpoint_gives_the_same_gradients_and_masks():
    x = leaf(5, 4)
    layer = mg.nn.Linear(4, 4).double()

    def block(h):
        return mg.nn.functional.dropout(layer(h).tanh(), 0.5)

    results = []
    for run in (block, lambda h: mg.utils.checkpoint.checkpoint(block, h, use_reentrant=False)):
        mg.manual_seed(0)
        layer.zero_grad()
        x.grad = None
        out = run(x)
        out.sum().backward()
        results.append(
            (out.detach().array, x.grad.array, layer.weight.grad.array, mg.rand(2).array)
        )
    for first, second in zip(*results, strict=True):
        assert numpy.array_equal(first, second)


@pytest.mark.cpu_only(reason="memory shared with NumPy")
def test_numpy_bridge():
    array = numpy.arange(3.0)
    x = mg.from_numpy(array)
    x[0] = 7.0
    assert array[0] == 7.0 and x.numpy() is x.array
    assert isinstance(array * x, mg.Tensor) and isinstance(numpy.float32(2) * x, mg.Tensor)
    assert numpy.shares_memory(numpy.from_dlpack(x), array)
    assert numpy.shares_memory(mg.from_dlpack(array).array, array)
    with pytest.raises(RuntimeError, match="detach"):
        leaf(2).numpy()


# -- gradients of tables, which stay rows until somebody looks -----------------------------------


def table_and_loss():
    table = mg.nn.Embedding(50, 3)
    ids = mg.tensor([4, 7, 4, 49])
    return table, ids, (table(ids) * mg.arange(12).reshape(4, 3)).sum()


def expected_rows():
    g = numpy.zeros((50, 3), "float32")
    numpy.add.at(g, [4, 7, 4, 49], numpy.arange(12).reshape(4, 3))
    return g


@pytest.mark.cpu_only(reason="only in main memory does a gradient wait to be read")
def test_a_table_gradient_is_dense_to_whoever_looks():
    table, _, loss = table_and_loss()
    loss.backward()
    assert type(table.weight._grad.array) is sparse.UnreadRows
    grad = table.weight.grad
    assert type(grad.array) is numpy.ndarray and table.weight.grad is grad
    numpy.testing.assert_array_equal(grad.array, expected_rows())


def test_table_gradients_add_up():
    for look in (False, True):
        table, ids, loss = table_and_loss()
        loss.backward()
        if look:
            assert table.weight.grad is not None
        (table(ids) * mg.arange(12).reshape(4, 3)).sum().backward()
        (table.weight * 2).sum().backward()
        (table(ids) * mg.arange(12).reshape(4, 3)).sum().backward()
        numpy.testing.assert_array_equal(table.weight.grad.array, 3 * expected_rows() + 2)


def test_a_table_used_twice_and_as_a_matrix():
    table, ids, loss = table_and_loss()
    both = loss + (table(ids[:2]) * 3).sum() + (table.weight * 2).sum()
    both.backward()
    g = expected_rows() + 2
    numpy.add.at(g, [4, 7], 3)
    numpy.testing.assert_array_equal(table.weight.grad.array, g)


def test_rows_do_not_follow_what_the_user_changes_later():
    table = mg.nn.Embedding(50, 3)
    ids, g = mg.tensor([4, 7, 4, 49]), mg.arange(12.0).reshape(4, 3)
    table(ids).backward(g)
    ids.fill_(0)
    g.fill_(0)
    numpy.testing.assert_array_equal(table.weight.grad.array, expected_rows())


def test_hooks_grad_and_nodes_see_dense_table_gradients():
    table, _, loss = table_and_loss()
    seen = []
    table.weight.register_hook(lambda g: seen.append(g.array) or g * 2)
    loss.backward()
    numpy.testing.assert_array_equal(seen[0], expected_rows())
    numpy.testing.assert_array_equal(table.weight.grad.array, 2 * expected_rows())
    table, ids, loss = table_and_loss()
    (g,) = mg.autograd.grad(loss, [table.weight])
    numpy.testing.assert_array_equal(g.array, expected_rows())
    doubled = table.weight * 2
    out = mg.nn.functional.embedding(ids, doubled)
    (out * mg.arange(12).reshape(4, 3)).sum().backward()
    numpy.testing.assert_array_equal(table.weight.grad.array, 2 * expected_rows())


@pytest.mark.parametrize(
    "make",
    [
        lambda o, p: o.SGD(p, 0.1),
        lambda o, p: o.SGD(p, 0.1, maximize=True),
        lambda o, p: o.SGD(p, 0.1, momentum=0.9),
        lambda o, p: o.SGD(p, 0.1, weight_decay=0.1),
        lambda o, p: o.Adagrad(p, 0.1),
        lambda o, p: o.Adagrad(p, 0.1, lr_decay=0.1),
        lambda o, p: o.Adam(p),
    ],
    ids=["SGD", "maximize", "momentum", "decay", "Adagrad", "lr_decay", "Adam"],
)
def test_optimizers_take_rows_for_dense_gradients(make):
    results = []
    for look in (False, True):
        mg.manual_seed(0)
        table, ids, loss = table_and_loss()
        optimizer = make(mg.optim, table.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            loss = table(ids).square().sum() + table(ids[:3]).sum()
            loss.backward()
            if look:
                assert type(table.weight.grad.array) is numpy.ndarray
            optimizer.step()
        results.append(table.weight.detach().numpy())
    numpy.testing.assert_allclose(*results, rtol=1e-6, atol=1e-7)
