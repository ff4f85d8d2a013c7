"""CUDA kernels of batch norm, the plain recurrent layer, sparse rows, 8-bit rows and a linear layer's
cross-entropy: on the shim, against their references."""

import numpy
import pytest
from cuda.machine import (
    DTYPES,
    EXAMPLES,
    LAYOUTS,
    MODE,
    NAMES,
    NARROW,
    SKIPS,
    Machine,
    check,
    gpu,  # noqa: F401
    numbers,
    odd_layout,
    run_under_sanitizers,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import (
    batch_norm,
    cross_entropy,
    embedding,
    few_rows,
    linear_cross_entropy_cuda,
    rnn,
    rnn_cuda,
    row_updates,
)

pytestmark = SKIPS


@pytest.fixture(autouse=True)
def launched():
    """The names of the kernels that have been launched."""
    Machine.launched.clear()
    return Machine.launched


def factor(count, dtype):
    """Of the tolerance, for sums of so many numbers, which 16 bits are too coarse to tell."""
    return 1 if dtype in NARROW else 3 * count**0.5


# -- batch norm ----------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.integers(1, 70),
    st.sampled_from([1, 3, 32, 45]),
    st.sampled_from([1, 1, 2, 5, 33, 70]),
    DTYPES,
    LAYOUTS,
)
def test_batch_norm(batch, channels, length, dtype, layout):
    shape = batch, channels, length
    x, g = (odd_layout(numbers(*shape, dtype=dtype, seed=i), layout) for i in range(2))
    a, b, c, mean = (
        odd_layout(numbers(channels, dtype=dtype, seed=i), layout) for i in range(2, 6)
    )
    check(batch_norm.channel_moments, x, 0.1, factor=factor(10, dtype))
    check(batch_norm.channel_affine, x, mean, a, b, factor=factor(3, dtype))
    check(batch_norm.channel_products, g, x, mean, factor=factor(batch * length, dtype))
    check(batch_norm.channel_combine, g, x, mean, a, b, c, factor=factor(3, dtype))


def test_batch_norm_of_numbers_far_from_zero(launched):
    x = numbers(20, 3, 10) + numpy.float32(3000)
    check(batch_norm.channel_moments, x, 1e-5, factor=100)
    assert launched == {"channel_moments"}
    check(batch_norm.channel_affine, x[:0], *numbers(3, 3))


# -- the plain recurrent layer -------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(1, 40),
    st.sampled_from(NAMES[:2]),
    st.sampled_from(["steps", "packed", "batch first"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(True, True, True), (False, True, False)]),
)
def test_plain_recurrent_layer(sizes, inputs, size, dtype, order, reverse, relu, wanted):
    sizes = sorted(sizes, reverse=True) if order == "packed" else [sizes[0] + 1] * len(sizes)
    n, batch = sum(sizes), max(sizes)
    shapes = (n, inputs), (batch, size), (size, inputs), (size, size), (size,)
    given = [numbers(*shape, dtype=dtype, seed=i) * 0.5 for i, shape in enumerate(shapes)]
    walk = tuple(sizes), order == "batch first", reverse, relu
    check(rnn.rnn_forward, *given, *walk, factor=3)
    out = rnn.rnn_forward.reference(*given, *walk)[0]
    g_out, g_h = numbers(n, size, dtype=dtype, seed=6), numbers(batch, size, dtype=dtype, seed=7)
    check(
        rnn.rnn_backward,
        g_out,
        g_h,
        out,
        *given[:4],
        *walk,
        wanted,
        factor=30,
    )
    assert rnn_cuda._fits(*given) == (n > 0)


def test_plain_recurrent_layer_of_halves(launched):
    shapes = (4, 3), (4, 5), (5, 3), (5, 5), (5,), (4, 5), (4, 5)
    *given, g_out, g_h = (numbers(*s, dtype="float16", seed=i) / 2 for i, s in enumerate(shapes))
    walk = (4,), False, False, False  # one step: what is rounded in it, another would take up
    check(rnn.rnn_forward, *given, *walk, factor=2)
    out = rnn.rnn_forward.reference(*given, *walk)[0]
    check(rnn.rnn_backward, g_out, g_h, out, *given[:4], *walk, (True, True, True), factor=4)
    assert launched == {"rnn_step", "rnn_step_backward"}


# -- updates of some rows ------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(1, 30), st.integers(0, 40), st.sampled_from([1, 5, 32, 70]), DTYPES, LAYOUTS)
def test_updates_of_rows(size, count, width, dtype, layout):
    w, m, v = (numbers(size, width, dtype=dtype, seed=i) for i in range(3))
    rows = odd_layout(numbers(count, width, dtype=dtype, seed=4), layout)
    ids = numpy.random.default_rng(count).integers(0, size, count)
    check(row_updates.sgd_rows, w, ids, rows, 0.1, factor=factor(30, dtype))
    once = numpy.unique(ids)
    rows = rows[: len(once)]
    check(row_updates.adagrad_rows, w, abs(m), once, rows, 0.1, 1e-3, factor=factor(3, dtype))
    check(
        row_updates.adam_rows,
        w,
        m,
        abs(v),
        once,
        rows,
        0.1,
        0.9,
        0.99,
        1e-3,
        factor=factor(3, dtype),
    )


def test_updates_of_rows_by_atomic_additions(monkeypatch, launched):
    monkeypatch.setattr(embedding, "deterministic", False)
    whole = numpy.random.default_rng(1).integers(-4, 5, (90, 6)).astype("float32")  # no rounding
    ids = numpy.random.default_rng(2).integers(0, 7, 90)
    check(row_updates.sgd_rows, whole[:7].copy(), ids, whole, -1.0)
    assert launched == {"sgd_rows_atomic"}


def test_updates_that_the_kernels_leave_to_the_reference(launched):
    w, s, rows, ids = numbers(4, 3), abs(numbers(4, 3, seed=1)), numbers(2, 3), numpy.array([2, 0])
    check(row_updates.adagrad_rows, numpy.asfortranarray(w), s, ids, rows, 0.1, 1e-3)
    check(row_updates.adam_rows, w, s, s.copy(), ids[:0], rows[:0], 0.1, 0.9, 0.99, 1e-3)
    assert not launched


# -- 8-bit weights -------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.integers(1, few_rows.FEW), st.integers(1, 70), st.sampled_from([1, 4, 7, 128, 200]), DTYPES,
    st.booleans(),
)  # fmt: skip
def test_rows_of_bytes(count, n, width, dtype, shifted):
    q, scales = few_rows.quantise_rows(numbers(n, width, seed=1))
    if shifted:
        q = odd_layout(q, "shifted")
    x, scales = numbers(count, width, dtype=dtype), scales.astype(dtype)
    check(few_rows.few_rows, x, q, scales, factor=factor(10 * width, dtype))


def test_other_rows_are_the_references(launched):
    x, (q, scales) = numbers(few_rows.FEW + 1, 8), few_rows.quantise_rows(numbers(5, 8, seed=1))
    check(few_rows.few_rows, x, q, scales)
    check(few_rows.few_rows, x[:2], numbers(5, 8))
    check(few_rows.few_rows, x[:2], q[:0], scales[:0])
    assert not launched
    check(few_rows.few_rows, x[:2], q, scales, factor=10)
    assert launched


# -- a linear layer's cross-entropy --------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(1, 60),
    st.sampled_from(NAMES[:2]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 0.1]),
    st.booleans(),
    st.sampled_from([1, 200, 10**6]),
)
def test_linear_cross_entropy(
    rows, width, classes, dtype, biased, weighted, smoothing, gradients, room
):
    rng = numpy.random.default_rng(rows)
    h, w = numbers(rows, width, dtype=dtype), numbers(classes, width, dtype=dtype, seed=1)
    bias = numbers(classes, dtype=dtype, seed=2) if biased else None
    weight = rng.random(classes).astype(dtype) if weighted else None
    target = numpy.where(rng.random(rows) < 0.2, -100, rng.integers(0, classes, rows))
    scale = numbers(rows, dtype=dtype, seed=3)
    arguments = h, w, bias, target, weight, smoothing, -100, scale, gradients
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear_cross_entropy_cuda, "NUMBERS", room)  # logits at a time
        check(cross_entropy.linear_cross_entropy, *arguments, factor=20)


# -- all of them, otherwise ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(MODE == "address", reason="this is what runs there")
def test_sanitizers_have_no_complaint():
    run_under_sanitizers(__file__)
