"""Layers and models that convolve over time run conv1d.cu on the GPU, and learn what the CPU learns.

On the CPU the references compute: its kernels have tests of their own.
"""

import numpy
import pytest
from minigrad.kernels import kernel
from stand_in import cuda, remembered_launches  # noqa: F401

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import models, nn

pytestmark = pytest.mark.skipif(kernel.REFERENCE_ONLY, reason="kernels are tested")


def numbers(*shape, seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape)


def gradients(function, arrays, device):
    """The result of a function of tensors on a device, and what its weighted sum gives each of them."""
    tensors = [mg.tensor(x, device=device, requires_grad=True) for x in arrays]
    out = function(*tensors)
    weights = mg.tensor(numbers(*out.shape, seed=9), device=device)
    (out * weights).sum().backward()
    return [t.cpu().numpy() for t in (out.detach(), *(t.grad for t in tensors))]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("function", [F.conv1d, F.conv1d_relu_max])
@pytest.mark.parametrize("options", [(1, 0, 1), (2, 3, 2), (3, 1, 1)])
def test_functions(function, options, bias, launches):
    arrays = [numbers(3, 5, 20), numbers(4, 5, 3, seed=1), numbers(4, seed=2)][: 2 + bias]

    def run(x, w, b=None):
        return function(x, w, b, *options)

    found, expected = (gradients(run, arrays, device) for device in ("cuda", "cpu"))
    for x, y in zip(found, expected, strict=True):
        numpy.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-11)
    if function is F.conv1d:
        assert {"conv1d", "conv1d_weight", "conv1d_weight_sum"} == set(launches)
        assert launches.count("conv1d") == 1 + options[0]  # there, and back a launch for each phase
    else:
        assert launches == ["conv1d_relu_max", "conv1d_max_input", "conv1d_max_weight"]


@pytest.mark.parametrize("wide", [True, False])
def test_a_text_cnn_learns_alike(wide, launches):
    ids, labels = numpy.random.default_rng(0).integers(1, 12, (4, 9)), numpy.array([0, 2, 1, 1])
    losses = []
    for device in "cuda", "cpu":
        mg.manual_seed(0)
        model = models.TextCNN(12, 3, embed_dim=6, num_filters=5, dropout=0.0, wide=wide).to(device)
        optimizer = mg.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(
                model(mg.tensor(ids, device=device)), mg.tensor(labels).to(device)
            )
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    numpy.testing.assert_allclose(losses[:3], losses[3:], rtol=1e-5)
    assert losses[2] < losses[0]
    assert {"conv1d_relu_max", "conv1d_max_input", "conv1d_max_weight"} <= set(launches)


def test_second_derivatives():
    x, w = numbers(2, 3, 9), numbers(4, 3, 2, seed=1)

    def slope(x, w):
        (grad,) = mg.autograd.grad((F.conv1d(x, w, stride=2) ** 3).sum(), x, create_graph=True)
        return grad

    found, expected = (gradients(slope, [x, w], device) for device in ("cuda", "cpu"))
    for one, other in zip(found, expected, strict=True):
        numpy.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


def test_halves(launches):
    layer = nn.Conv1d(6, 4, 3, padding=1).to("cuda").half()
    x = numbers(2, 6, 8).astype("float16")
    out = layer(mg.tensor(x, device="cuda"))
    (out * out).sum().backward()
    assert out.dtype == layer.weight.grad.dtype == mg.float16 and "conv1d_weight" in launches
    exact = F.conv1d(
        mg.tensor(x).double(), layer.weight.cpu().double(), layer.bias.cpu().double(), 1, 1
    )
    numpy.testing.assert_allclose(out.detach().cpu().numpy(), exact.detach().numpy(), atol=3e-3)
