"""assert_close agrees with torch.testing.assert_close, message by message."""

import math

import numpy
import pytest

from minigrad import as_tensor
from minigrad.testing import assert_close

nan, inf = math.nan, math.inf


class Array:
    """Marks what becomes a tensor of the library under test."""

    def __init__(self, values, dtype="float32"):
        self.array = numpy.array(values, dtype)


def convert(value, make):
    if isinstance(value, Array):
        return make(value.array)
    if isinstance(value, list):
        return [convert(v, make) for v in value]
    if isinstance(value, dict):
        return {k: convert(v, make) for k, v in value.items()}
    return value


A = Array
CASES = [
    (A([1.0, 2, 3]), A([1.0, 2, 3]), {}),
    (A([1.0, 2, 3]), A([1.0, 2, 4]), {}),
    (A([1.0, 2, 3]), A([1.0, 2, 3.000001]), {}),
    (A([1.0, 2, 3], "float64"), A([1.0, 2, 3.000001], "float64"), {}),
    (A([1, 2, 3], "int64"), A([1, 2, 4], "int64"), {}),
    (A([[1.0, 2, 3]]), A([[1.0, 2, 4]]), {"rtol": 0, "atol": 0}),
    (A([[1.0, 2, 3]]), A([[1.0, 2, 4]]), {"rtol": 0, "atol": 2}),
    (A([1.0, 2]), A([1.1, 2]), {"rtol": 0.5, "atol": 0}),
    (A(1.0), A(2.0), {}),
    (A(1.0), A(1.0), {}),
    (A([1.0, 2]), A([1.0, 2, 4]), {}),
    (A([1.0, 2]), A([1.0, 2], "float64"), {}),
    (A([1.0, 2]), A([1.0, 2], "float64"), {"check_dtype": False}),
    (A([1.0, 2]), A([1.0, 2.5], "float64"), {"check_dtype": False}),
    (A([1.0, 2], "float16"), A([1.0, 2.001], "float16"), {}),
    (A([1.0, 2], "float16"), A([1.0, 2.1], "float16"), {}),
    ([A([1.0])], [A([1.0]), A([1.0])], {}),
    ([A([1.0, 2])], [A([1.0, 3])], {}),
    ({"a": A([1.0, 2])}, {"b": A([1.0, 3])}, {}),
    ({"a": [A([1.0]), A([1.0, 2])]}, {"a": [A([1.0]), A([1.0, 3])]}, {}),
    (1.0, 2.0, {}),
    (1.0, 1.0 + 1e-9, {}),
    (1, 2, {}),
    (True, False, {}),
    (True, True, {}),
    (1.0, 2, {}),
    (1.0, 1, {"check_dtype": False}),
    (None, 1.0, {}),
    (None, None, {}),
    ("a", "a", {}),
    (A([nan]), A([nan]), {}),
    (A([nan]), A([nan]), {"equal_nan": True}),
    (nan, nan, {}),
    (nan, nan, {"equal_nan": True}),
    (A([nan]), A([1.0]), {}),
    (A([1.0]), A([2.0]), {"rtol": 1}),
    (A([1.0]), A([2.0]), {"atol": 1}),
    (A([1.0]), A([2.0]), {"msg": "hello"}),
    (A([1.0]), A([2.0]), {"msg": lambda m: "before: " + m}),
    (A([1.0]), [1.0], {}),
    (A([0.0]), A([1.0]), {}),
    (A([1.0]), A([0.0]), {}),
    (A([True], "bool"), A([False], "bool"), {}),
    (A([]), A([]), {}),
    (A([inf, 1]), A([inf, 1]), {}),
    (A([inf, 1]), A([inf, 2]), {}),
    (A([inf, 1]), A([-inf, 1]), {}),
    (A([[1.0, 5], [3, 4]]), A([[1.5, 2], [3, 4]]), {}),
    (A([1, 2], "uint8"), A([2, 1], "uint8"), {}),
]


def outcome(function, actual, expected, settings):
    try:
        function(actual, expected, **settings)
    except (AssertionError, ValueError, TypeError) as error:
        return type(error), str(error)
    return None


@pytest.mark.parametrize("case", range(len(CASES)))
def test_as_torch(case):
    torch = pytest.importorskip("torch")
    actual, expected, settings = CASES[case]
    ours = outcome(assert_close, convert(actual, as_tensor), convert(expected, as_tensor), settings)
    tensor = torch.from_numpy
    theirs = outcome(
        torch.testing.assert_close, convert(actual, tensor), convert(expected, tensor), settings
    )
    if theirs is None or ours is None:
        assert ours == theirs
        return
    assert ours[0] is theirs[0]
    if ours[0] is AssertionError:
        assert ours[1] == theirs[1]
    else:  # these name Python types, or say a little more
        assert ours[1].split("inputs of type")[0].split(" (only")[0].rstrip(".") in theirs[1]


def test_arrays_are_compared_too():
    assert_close(numpy.ones(3), numpy.ones(3))
    with pytest.raises(AssertionError, match="Mismatched elements: 1 / 2"):
        assert_close(numpy.array([1.0, 2.0]), numpy.array([1.0, 2.1]))


def test_strides():
    x = as_tensor(numpy.ones((2, 3)))
    y = as_tensor(numpy.ones((3, 2)).T)
    assert_close(x, y)
    with pytest.raises(AssertionError, match=r"'stride\(\)' do not match: \(3, 1\) != \(1, 2\)"):
        assert_close(x, y, check_stride=True)
