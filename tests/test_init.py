"""Initialisers: torch's numbers under torch's seed, their statistics, their errors."""

import math

import numpy
import pytest

import minigrad
from minigrad.nn import init

FILLS = [
    ("uniform_", {}),
    ("uniform_", {"a": -2.0, "b": 0.5}),
    ("normal_", {}),
    ("normal_", {"mean": 1.0, "std": 0.02}),
    ("trunc_normal_", {}),
    ("trunc_normal_", {"std": 0.02}),
    ("trunc_normal_", {"mean": 0.5, "std": 1.0, "a": 0.0, "b": 0.7}),
    ("trunc_normal_", {"a": 1.5, "b": 3.0}),
    ("constant_", {"val": 0.3}),
    ("ones_", {}),
    ("zeros_", {}),
    ("eye_", {}),
    ("xavier_uniform_", {}),
    ("xavier_uniform_", {"gain": 1.5}),
    ("xavier_normal_", {}),
    ("kaiming_uniform_", {}),
    ("kaiming_uniform_", {"a": math.sqrt(5), "mode": "fan_out"}),
    ("kaiming_normal_", {"nonlinearity": "relu"}),
    ("kaiming_normal_", {"a": 0.2, "nonlinearity": "leaky_relu"}),
    ("orthogonal_", {}),
    ("orthogonal_", {"gain": 2.0}),
    ("sparse_", {"sparsity": 0.3}),
]


def ids(case):
    return f"{case[0]}{case[1]}"


@pytest.mark.parametrize("case", FILLS, ids=ids)
@pytest.mark.parametrize("shape", [(7, 5), (20, 30)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_numbers_as_torch(case, shape, dtype):
    torch = pytest.importorskip("torch")
    name, kwargs = case
    results = []
    for lib in (minigrad, torch):
        lib.manual_seed(11)
        tensor = lib.empty(*shape, dtype=getattr(lib, dtype))
        returned = getattr(lib.nn.init, name)(tensor, **kwargs)
        assert returned is tensor
        after = lib.rand(3)  # the stream stands at the same place afterwards
        results.append((tensor.numpy(), after.numpy()))
    (ours, after), (theirs, after_t) = results
    if "uniform" in name and dtype == "float32":
        assert (ours == theirs).all()
    else:
        tolerance = 1e-4 if name == "orthogonal_" and dtype == "float32" else 1e-6
        numpy.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    assert (after == after_t).all()


@pytest.mark.parametrize("shape", [(6, 4, 3), (4, 3, 3, 2), (4, 3, 2, 2, 3)], ids=str)
def test_convolution_weights(shape):
    torch = pytest.importorskip("torch")
    for name, kwargs in (("dirac_", {}), ("dirac_", {"groups": 2}), ("xavier_uniform_", {})):
        results = []
        for lib in (minigrad, torch):
            lib.manual_seed(11)
            results.append(getattr(lib.nn.init, name)(lib.empty(*shape), **kwargs).numpy())
        assert (results[0] == results[1]).all()


def test_generator():
    generator = minigrad.Generator().manual_seed(3)
    first = init.normal_(minigrad.empty(5, 5), generator=generator)
    again = init.normal_(minigrad.empty(5, 5), generator=minigrad.Generator().manual_seed(3))
    assert bool((first == again).all())
    assert not bool((first == init.normal_(minigrad.empty(5, 5), generator=generator)).any())


def test_parameters_are_filled_without_a_graph():
    p = minigrad.nn.Parameter(minigrad.empty(4, 4))
    for fill in (init.xavier_uniform_, init.orthogonal_, init.eye_, init.trunc_normal_):
        assert fill(p) is p
        assert p.is_leaf and p.requires_grad


def test_truncation():
    minigrad.manual_seed(0)
    t = init.trunc_normal_(minigrad.empty(200, 200), mean=0.1, std=0.5, a=-0.4, b=0.6).numpy()
    assert t.min() >= -0.4 and t.max() <= 0.6
    assert abs(t.mean() - 0.1) < 0.01
    with pytest.warns(UserWarning, match="more than 2 std from"):
        t = init.trunc_normal_(minigrad.empty(10, 10), mean=5.0).numpy()
    assert t.min() >= -2 and t.max() <= 2


def test_orthogonal():
    for shape in ((6, 4), (4, 6), (5, 5), (4, 3, 2)):
        w = init.orthogonal_(minigrad.empty(*shape), gain=2.0).numpy().reshape(shape[0], -1)
        gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        numpy.testing.assert_allclose(gram, 4 * numpy.eye(len(gram)), atol=1e-5)


def test_sparse():
    w = init.sparse_(minigrad.empty(10, 6), sparsity=0.25).numpy()
    assert ((w == 0).sum(axis=0) == 3).all()


@pytest.mark.parametrize(
    "name, param, gain",
    [
        ("linear", None, 1),
        ("conv1d", None, 1),
        ("sigmoid", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("leaky_relu", 0.5, math.sqrt(2 / 1.25)),
        ("selu", None, 0.75),
    ],
)
def test_calculate_gain(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain)


ERRORS = [
    (lambda m: m.nn.init.calculate_gain("sin"), "Unsupported nonlinearity sin"),
    (lambda m: m.nn.init.calculate_gain("leaky_relu", True), "not a valid number"),
    (lambda m: m.nn.init.xavier_uniform_(m.empty(3)), "fewer than 2 dimensions"),
    (lambda m: m.nn.init.kaiming_normal_(m.empty(3, 3), mode="fan"), "Mode fan not supported"),
    (lambda m: m.nn.init.eye_(m.empty(3)), "Only tensors with 2 dimensions"),
    (lambda m: m.nn.init.sparse_(m.empty(3), 0.1), "Only tensors with 2 dimensions"),
    (lambda m: m.nn.init.orthogonal_(m.empty(3)), "2 or more dimensions"),
    (lambda m: m.nn.init.dirac_(m.empty(3, 3)), "3, 4, or 5 dimensions"),
    (lambda m: m.nn.init.dirac_(m.empty(3, 3, 3), groups=2), "dim 0 must be divisible by groups"),
]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number):
    action, match = ERRORS[number]
    with pytest.raises(ValueError, match=match):
        action(minigrad)
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=match):
        action(torch)


def test_empty_tensors_warn():
    with pytest.warns(UserWarning, match="zero-element tensors is a no-op"):
        init.kaiming_uniform_(minigrad.empty(0, 3))


def test_old_names_warn():
    with pytest.warns(FutureWarning, match="`nn.init.uniform` is now deprecated"):
        init.uniform(minigrad.empty(3))
