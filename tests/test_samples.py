"""The samples beside the operations: that errors are raised as declared, and what Rand promises."""

import numpy
import pytest

from minigrad import checks, op
from minigrad.checks import Rand, strided
from minigrad.op import REGISTRY, primitive


@pytest.mark.parametrize("name", sorted(n for n in REGISTRY if REGISTRY[n].make_errors is not None))
def test_errors(name):
    assert checks.check_errors(REGISTRY[name]) == []


def test_every_op_has_samples():
    assert [name for name, each in REGISTRY.items() if each.make_samples is None] == []


def test_wrong_error_samples_are_found(monkeypatch):
    monkeypatch.setattr(op, "REGISTRY", {})

    @primitive
    def strict(xp, x):
        if x.size > 2:
            x[...] = 0
            raise ValueError(f"strict: at most 2 numbers, got {x.size}")
        return x

    strict.errors(
        lambda rand: [
            ((rand(1),), ValueError, "at most"),
            ((rand(3),), TypeError, "at most"),
            ((rand(3),), RuntimeError, "at least"),
            ((rand(3),), RuntimeError, "at most"),
        ]
    )
    problems = checks.check_errors(strict)
    assert "error sample 0: ValueError expected, nothing was raised" in problems
    assert any(p.startswith("error sample 1: TypeError expected, RuntimeError") for p in problems)
    assert any(
        p.startswith("error sample 2") and "does not match 'at least'" in p for p in problems
    )
    assert "error sample 3: an input was changed before the error" in problems


def test_rand_keeps_away_from_kinks_and_ties():
    rand = Rand(1)
    for _ in range(20):
        arrays = [rand(5, 7), rand(20), rand(), rand(4, low=0.1, high=1.0), rand.positive(3)]
        values = numpy.sort(numpy.concatenate([a.reshape(-1) for a in arrays]))
        assert (numpy.diff(values) >= 1e-3 - 1e-12).all()
        assert (abs(values) >= 0.05).all()


def test_rand_ranges_shapes_and_dtypes():
    rand = Rand(2)
    x = rand(3, 4)
    assert x.shape == (3, 4) and x.dtype == numpy.float64 and abs(x).max() <= 2
    assert rand().shape == () and isinstance(rand(), numpy.ndarray)
    assert rand(0, 3).shape == (0, 3)
    assert rand(9, low=5, high=6).min() >= 5
    assert rand(9, low=500, high=600).max() <= 600
    many = rand(10000)
    assert len(numpy.unique(many)) == 10000 and abs(many).min() >= 0.04
    assert rand.positive(50).min() >= 0.2
    ints = rand.ints(5, 100, low=2)
    assert ints.dtype == numpy.int64 and set(ints.tolist()) == {2, 3, 4}
    bools = rand.bools(2, 1)
    assert bools.dtype == bool and bools.any() and not bools.all()
    assert rand.bools().shape == ()


def test_rand_is_reproducible():
    assert (Rand(5)(3, 4) == Rand(5)(3, 4)).all()
    assert (Rand(5)(3, 4) != Rand(6)(3, 4)).any()


def test_strided_has_the_same_numbers_in_another_layout():
    x = numpy.arange(24.0).reshape(2, 3, 4)
    y = strided(x)
    assert (x == y).all()
    assert not y.flags.c_contiguous and not y.flags.f_contiguous
    assert all(stride < 0 for stride in y.strides)
    assert strided(numpy.float64(3) * numpy.ones(())) == 3
    assert strided(numpy.ones((0, 2))).shape == (0, 2)
