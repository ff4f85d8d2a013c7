"""Layers and optimizers whose kernels are tested in test_cuda_layers.py launch them on the GPU, and give
what the CPU's references give."""

import numpy
import pytest
from minigrad.kernels import kernel
from stand_in import cuda, remembered_launches  # noqa: F401

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.pretrained.int8 import Int8Linear

pytestmark = pytest.mark.skipif(kernel.REFERENCE_ONLY, reason="kernels are tested")


def numbers(*shape, seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape)


def trained(make, loss, device, optimizer=mg.optim.SGD):
    """The losses and weights of three steps of a layer in float64."""
    mg.manual_seed(0)
    layer = make().double().to(device)
    steps, losses = optimizer(layer.parameters(), lr=0.1), []
    for _ in range(3):
        steps.zero_grad()
        value = loss(layer, lambda x: mg.tensor(x, device=device))
        value.backward()
        steps.step()
        losses.append(value.item())
    return [numpy.array(losses), *(x.cpu().numpy() for x in layer.state_dict().values())]


def check_alike(*arguments, **options):
    found, expected = (trained(*arguments, device, **options) for device in ("cuda", "cpu"))
    for x, y in zip(found, expected, strict=True):
        numpy.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(7, 5), (4, 5, 6)])
def test_batch_norm(shape, launches):
    check_alike(
        lambda: nn.BatchNorm1d(5),
        lambda layer, at: (layer(at(numbers(*shape))) * at(numbers(*shape, seed=1))).sum(),
    )
    names = "channel_moments", "channel_affine", "channel_products", "channel_combine"
    assert set(launches) >= set(names)


@pytest.mark.parametrize("kind", ["tanh", "relu"])
def test_rnn(kind, launches):
    def loss(layer, at):
        out, h = layer(at(numbers(3, 4, 5)))
        return (out * out).sum() + h.sum()

    check_alike(
        lambda: nn.RNN(5, 6, nonlinearity=kind, batch_first=True, bidirectional=True, num_layers=2),
        loss,
    )
    assert set(launches) >= {"rnn_step", "rnn_step_backward"}


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        (mg.optim.SGD, "sgd_rows"),
        (mg.optim.Adagrad, "adagrad_rows"),
        (mg.optim.SparseAdam, "adam_rows"),
    ],
)
def test_sparse_embeddings(optimizer, name, launches):
    ids = numpy.array([[1, 3, 1], [0, 3, 3]])
    check_alike(
        lambda: nn.Embedding(6, 4, sparse=True),
        lambda layer, at: (layer(at(ids)) * at(numbers(2, 3, 4))).sum(),
        optimizer=optimizer,
    )
    assert name in launches


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_linear_cross_entropy(reduction, launches):
    target = numpy.array([1, 0, -100, 5, 2])
    check_alike(
        lambda: nn.Linear(4, 6),
        lambda layer, at: F.linear_cross_entropy(
            at(numbers(5, 4)), layer.weight, at(target), linear_bias=layer.bias, reduction=reduction
        ),
    )
    assert set(launches) >= {"cross_entropy", "cross_entropy_backward"}


def test_8_bit_linear(launches):
    layer = Int8Linear(nn.Linear(12, 7))
    x = mg.tensor(numbers(2, 3, 12)).float()
    with mg.no_grad():
        expected = layer(x)
        found = layer.to("cuda")(x.to("cuda")).cpu()
    assert mg.allclose(found, expected, rtol=1e-5, atol=1e-5) and set(launches) == {
        "few_rows_of_bytes"
    }
