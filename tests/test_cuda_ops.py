"""Every operation at every sample on the "cuda" device: gradients, and the values of the CPU."""

import numpy
import pytest
from minigrad.kernels import kernel
from stand_in import cuda  # noqa: F401

import minigrad
from minigrad import checks
from minigrad.backend import host
from minigrad.op import REGISTRY, Op, wrap


@pytest.fixture(autouse=True)
def references(monkeypatch):
    """The CPU's kernels have their own tests."""
    monkeypatch.setattr(kernel, "REFERENCE_ONLY", True)


NAMES = sorted(name for name in REGISTRY if name != "move")  # which is about devices itself


def values(op: Op, sample, device):
    """The outputs as NumPy arrays, for float32 inputs."""
    sample = sample if isinstance(sample, tuple) else (sample,)
    case = checks.Case(op, sample).changed(checks._to_single)
    with checks.on_device(device):
        out = op(
            *[checks._tensor(x) if isinstance(x, numpy.ndarray) else x for x in case.arguments],
            **{name: checks._moved(value) for name, value in case.options.items()},
        )
    return [host(y.array) for y in (out if isinstance(out, (tuple, list)) else (out,))][
        : op.outputs
    ]


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name):
    with checks.on_device("cuda"):
        failed = [row for row in checks.check_op(REGISTRY[name]) if not row.ok]
    assert not failed, "\n".join(f"{r.op}({r.sample}) order {r.order}: {r.message}" for r in failed)


@pytest.mark.parametrize("name", NAMES)
def test_first_derivatives_by_the_kernels_of_the_device(name, monkeypatch):
    monkeypatch.setattr(kernel, "REFERENCE_ONLY", False)
    with checks.on_device("cuda"):
        failed = [row for row in checks.check_op(REGISTRY[name], (1,)) if not row.ok]
    assert not failed, "\n".join(f"{r.op}({r.sample}): {r.message}" for r in failed)


@pytest.mark.parametrize("name", NAMES)
def test_values_and_errors_are_those_of_the_cpu(name):
    op = REGISTRY[name]
    for sample in checks.samples_of(op):
        for ours, expected in zip(
            values(op, sample, "cuda"), values(op, sample, "cpu"), strict=True
        ):
            assert ours.dtype == expected.dtype
            assert ours.shape == expected.shape
            numpy.testing.assert_allclose(
                ours.astype("float64"), expected.astype("float64"), rtol=2e-5, atol=2e-6
            )
    with checks.on_device("cuda"):
        assert checks.check_errors(op) == []


def test_a_wrong_rule_is_found(monkeypatch):
    monkeypatch.setattr("minigrad.op.REGISTRY", registry := {})

    @minigrad.op.primitive
    def wrong(xp, x):
        return xp.exp(x)

    wrong.vjp(x=lambda g, out: 1.001 * g * out)
    wrong.samples(lambda rand: [(rand(3),)])
    with checks.on_device("cuda"):
        (row,) = checks.run_checks(registry=registry, orders=(1,))
    assert "gradient of input 0" in row.message


def test_writing_into_an_input_is_found(monkeypatch):
    monkeypatch.setattr("minigrad.op.REGISTRY", registry := {})

    @minigrad.op.primitive
    def careless(xp, x):
        x += 1
        return x - 1

    careless.vjp(x=lambda g: g)
    careless.samples(lambda rand: [(rand(3),)])
    with checks.on_device("cuda"):
        (row,) = checks.run_checks(registry=registry, orders=(1,))
    assert "was written into" in row.message


def test_a_tensor_and_its_gradient_stay_on_the_device():
    x = wrap(checks._moved(numpy.ones(3)))
    assert not x.is_cuda
    with checks.on_device("cuda"):
        y = checks._tensor(numpy.ones(3)).requires_grad_()
    (y * y).sum().backward()
    assert y.is_cuda and y.grad.is_cuda
