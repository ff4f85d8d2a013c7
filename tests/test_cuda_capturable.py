"""The kernels for captured graphs, run on the CPU (tests/cuda/shim), against their references."""

import numpy
import pytest
from cuda.machine import (
    EXAMPLES,
    MODE,
    NAMES,
    SKIPS,
    Machine,
    assert_near,
    check,
    gpu,  # noqa: F401
    numbers,
    on_gpu,
    run_under_sanitizers,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import capturable, cuda_parts, dropout, embedding, optimizers

from minigrad import capture

pytestmark = SKIPS


def parameters(width, shapes, dtype):
    """Rows of that many arrays: those of each shape."""
    return [
        tuple(numpy.abs(numbers(*shape, dtype=dtype, seed=10 * i + k)) for k in range(width))
        for i, shape in enumerate(shapes)
    ]


def counts_of(rows, first):
    return [numpy.array(first + i, "float32") for i in range(len(rows))]


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("apart", [False, True])
def test_adam_with_counts_on_the_gpu(dtype, amsgrad, apart, monkeypatch):
    monkeypatch.setattr(cuda_parts, "PART", 64)  # so that there are several
    rows = parameters(5 if amsgrad else 4, [(5, 13), (3,), (0,), (2, 40)], dtype)
    numbers = 0.9, 0.99, 1e-8, 0.01, apart, amsgrad, 1
    rate = numpy.array(0.01, "float32")
    for first in (0, 7):
        counts = counts_of(rows, first)
        check(capturable.adam_counted, rows, counts, 0.01, *numbers, factor=3)
        check(capturable.adam_counted, rows, counts, rate, *numbers, factor=3)
        Machine.reach = []
        capturable.adam_counted.implementations["cupy"](rows, counts, 0.01, *numbers)
        assert [count.item() for count in counts] == [first + i + 1 for i in range(len(rows))]


def test_it_is_the_adam_that_counts_on_the_host():
    """Bit for bit: the corrections are worked out in float64 on either side."""
    b1, b2, lr = 0.9, 0.999, 1e-3
    for t in (1, 2, 10, 1000):
        mine, other = (parameters(4, [(40,)], "float32") for _ in range(2))
        Machine.reach = []
        counts = [numpy.array(t - 1, "float32")]
        options = b1, b2, 1e-8, 0.01, True, False, 1
        capturable.adam_counted.implementations["cupy"](mine, counts, lr, *options)
        optimizers.adam.implementations["cupy"](
            other, lr / (1 - b1**t), b1, b2, (1 - b2**t) ** 0.5, 1e-8, 0, 1 - lr * 0.01, False, 1
        )
        for x, y in zip(mine[0], other[0], strict=True):
            assert numpy.array_equal(x, y)


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("momentum, nesterov", [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd_with_a_rate_on_the_gpu(dtype, momentum, nesterov):
    rows = parameters(3 if momentum else 2, [(5, 13), (3,)], dtype)
    rate = numpy.array(0.25, "float64")
    check(capturable.sgd_at_rate, rows, rate, momentum, 0.7, 0.01, nesterov, -1, factor=3)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.integers(1, 600), st.integers(1, 300), st.sampled_from([1, 7, 300]), st.sampled_from(NAMES)
)
def test_sums_of_rows_without_sorting(count, size, width, dtype):
    count = min(count, 40) if width == 300 else count
    rows = numbers(count, width, dtype=dtype)
    ids = numpy.random.default_rng(count).integers(0, size, count)
    wide = rows.astype("float64" if dtype == "float64" else "float32")
    expected = embedding.scatter_add_rows.reference(wide, ids, size).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture.now, "capture", capture.Capture(numpy))
        found, _ = on_gpu(embedding.scatter_add_rows, rows, ids, size)
    assert "scatter_add_in_order" in Machine.launched
    assert_near(found, [expected], 10)


def test_dropout_reads_a_seed_that_lies_on_the_gpu():
    x = numbers(3, 70)
    for seed in (0, 5, (1 << 62) - 1):
        lying = numpy.array([seed])
        Machine.reach = [lying]
        at = -lying.ctypes.data
        found = dropout.dropout.implementations["cupy"](x, 0.3, at)
        assert numpy.array_equal(found, dropout.dropout.reference(x, 0.3, seed))
        assert numpy.array_equal(found, dropout.dropout.reference(x, 0.3, capture.Seed(lying)))


@pytest.mark.slow
@pytest.mark.skipif(MODE == "address", reason="this is what runs there")
def test_under_sanitizers():
    run_under_sanitizers(__file__)
