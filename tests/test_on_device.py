"""What tests/conftest.py does where MINIGRAD_TEST_DEVICE is another device: tests can read, nobody else."""

import numpy
import pytest

import minigrad
from minigrad import nn

pytestmark = pytest.mark.skipif(
    minigrad.get_default_device().type == "cpu", reason="MINIGRAD_TEST_DEVICE is not set"
)


def value_in(file, expression, x):
    """The value of an expression in x, as if it stood in a file."""
    return eval(compile(expression, file, "eval"), {"x": x, "numpy": numpy})


@pytest.mark.parametrize("expression", ["x.numpy()", "numpy.asarray(x)", "numpy.add(x.array, 1)"])
def test_only_tests_get_copies(expression):
    x = minigrad.ones(2)
    assert type(value_in(__file__, expression, x)) is numpy.ndarray
    with pytest.raises(TypeError, match="can't convert cuda|Implicit conversion"):
        value_in(minigrad.__file__, expression, x)


def test_copies_cannot_be_written_to():
    x = minigrad.zeros(2)
    for copy in (x.array, x.numpy(), numpy.asarray(x)):
        with pytest.raises(ValueError, match="read-only"):
            copy[0] = 1


def test_everything_is_made_there():
    layer = nn.LSTM(3, 2)
    made = [
        *layer.parameters(),
        minigrad.tensor([1]),
        minigrad.rand(2),
        layer(minigrad.ones(4, 3))[0],
    ]
    assert all(x.is_cuda for x in made)
