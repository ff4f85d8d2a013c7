"""make_graphed_callables: modules and functions that replay graphs, forward and backward."""

import pytest
from minigrad.kernels import kernel
from stand_in import cuda  # noqa: F401

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim

pytestmark = pytest.mark.skipif(kernel.REFERENCE_ONLY, reason="products are captured by a kernel")


def layers(seed=0):
    mg.manual_seed(seed)
    first = nn.Sequential(nn.Linear(4, 8), nn.Tanh()).to("cuda")
    return first, nn.Linear(8, 3).to("cuda")


def train(graphed):
    first, second = layers()
    parameters = [*first.parameters(), *second.parameters()]
    if graphed:
        x = mg.randn(5, 4, device="cuda")
        h = mg.randn(5, 8, device="cuda", requires_grad=True)
        found = mg.cuda.make_graphed_callables((first, second), ((x,), (h,)))
        assert found[0] is first and found[1] is second
    optimizer = optim.SGD(parameters, lr=0.5)
    mg.manual_seed(1)
    losses = []
    for _ in range(4):
        x, y = mg.randn(5, 4).to("cuda"), mg.randint(0, 3, (5,)).to("cuda")
        optimizer.zero_grad()
        loss = F.cross_entropy(second(first(x)), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [p.detach().cpu() for p in parameters]


def test_training():
    mg.testing.assert_close(train(True), train(False), rtol=1e-5, atol=1e-6)


def test_a_function_of_two_tensors():
    def both(x, y):
        return x * y, (x + y).sum()

    x, y = (mg.randn(3, device="cuda", requires_grad=True) for _ in range(2))
    graphed = mg.cuda.make_graphed_callables(both, (x.detach().requires_grad_(), y.detach()))
    for _ in range(2):
        x, y = (mg.randn(3, device="cuda", requires_grad=True) for _ in range(2))
        product, total = graphed(x, y.detach())
        assert mg.equal(product, x * y) and mg.allclose(total, (x + y).sum())
        (product.sum() + 2 * total).backward()
        mg.testing.assert_close(x.grad, y.detach() + 2)
        assert y.grad is None
    with pytest.raises(TypeError, match="expected 2 tensors"):
        graphed(x)


def test_dropout_of_backward_is_that_of_forward():
    x = mg.ones(16, 16, device="cuda", requires_grad=True)
    graphed = mg.cuda.make_graphed_callables(lambda x: F.dropout(x, 0.5), (x,))
    seen = set()
    for _ in range(3):
        y = graphed(x)
        (g,) = mg.autograd.grad(y.sum(), x)
        assert mg.equal(y, g)
        seen.add(tuple(y.flatten().tolist()))
    assert len(seen) == 3


def test_the_other_mode_is_not_graphed():
    layer = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).to("cuda")
    x = mg.randn(2, 4, device="cuda")
    mg.cuda.make_graphed_callables(layer, (x,))
    layer.eval()
    assert mg.equal(layer(x), layer[0](x))
    assert layer(mg.randn(7, 4, device="cuda")).shape == (7, 4)


def test_errors():
    layer = nn.Linear(4, 4).to("cuda")
    x = mg.randn(2, 4, device="cuda")
    with pytest.raises(TypeError, match="must contain only Tensors"):
        mg.cuda.make_graphed_callables(layer, (x, 3))
    handle = layer.register_forward_hook(lambda module, given, out: None)
    with pytest.raises(RuntimeError, match="must not have hooks"):
        mg.cuda.make_graphed_callables(layer, (x,))
    handle.remove()
    layer.register_buffer("moving", mg.ones(1, device="cuda").requires_grad_())
    with pytest.raises(RuntimeError, match="only parameters may be trainable"):
        mg.cuda.make_graphed_callables(layer, (x,))
