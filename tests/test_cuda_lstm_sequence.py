"""An LSTM's sequence in one launch, run on the CPU (tests/cuda/shim), against the definition."""

import numpy
import pytest
from cuda.machine import (
    EXAMPLES,
    MODE,
    SKIPS,
    Machine,
    check,
    gpu,  # noqa: F401
    numbers,
    run_under_sanitizers,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import cuda_source, lstm, lstm_sequence_cuda, recurrent, recurrent_cuda

pytestmark = SKIPS


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=4),
    st.sampled_from([4, 8, 12, 32]),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from(["steps", "packed", "batch first"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 0.4, 1.0]),
)
def test_all_steps_at_once(sizes, size, dtype, order, reverse, keep, on_chip):
    """on_chip: how much of W_hh has room in shared memory."""
    sizes = sorted(sizes, reverse=True) if order == "packed" else [sizes[0] + 1] * len(sizes)
    if not sum(sizes):
        return
    n, batch = sum(sizes), max(sizes)
    walk = tuple(sizes), order == "batch first", reverse
    shapes = [(n, 3), (batch, size), (batch, size), (4 * size, 3), (4 * size, size), (4 * size,)]
    x, h0, c0, w_ih, w_hh, bias = (
        (numbers(*shape, seed=i) * 0.5).astype(dtype) for i, shape in enumerate(shapes)
    )
    given = x, h0, c0, w_ih, w_hh
    kind = numpy.dtype(dtype)
    room = lstm_sequence_cuda._room(size, kind) + int(on_chip * w_hh.nbytes)
    Machine.launched.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_source, "gpu", lambda: Machine.gpu._replace(shared=room))
        kept, more = lstm_sequence_cuda._kept(size, kind, lstm_sequence_cuda.PARTS)
        assert more <= on_chip * w_hh.nbytes and kept == int(on_chip * size / 4)
        check(lstm.lstm_forward, *given, bias, *walk, keep, factor=3)
        out, _, _, gates, cells = lstm.lstm_forward.reference(*given, bias, *walk, True)
        grads = numbers(n, size, dtype=dtype), *numbers(2, batch, size, dtype=dtype)
        wanted = True, True, True
        check(lstm.lstm_backward, *grads, out, gates, cells, *given, *walk, wanted, factor=10)
    assert Machine.launched == {"lstm_sequence", "lstm_sequence_backward"}


def test_large_or_odd_layers_go_step_by_step():
    for size, batch, dtype, fits in (
        (256, 64, "float32", True),
        (260, 64, "float32", False),
        (30, 4, "float32", False),
        (64, 4 * 4 * 132, "float32", True),
        (64, 4 * 4 * 132 + 1, "float32", False),
        (64, 4, "float16", False),
    ):
        x = numpy.zeros(1, dtype)
        assert lstm_sequence_cuda.fits(x, batch, size) == fits


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=5), st.booleans(), st.booleans(), st.booleans()
)
def test_states_before_each_step(sizes, packed, batch_first, reverse):
    sizes = tuple(sorted(sizes, reverse=True)) if packed else (sizes[0],) * len(sizes)
    walk = sizes, batch_first and not packed, reverse
    state, first = numbers(sum(sizes), 2), numbers(sizes[0], 2, seed=1)
    found = recurrent_cuda._previous(state, first, *walk)
    assert numpy.array_equal(found, recurrent.previous(state, first, *walk))


@pytest.mark.slow
@pytest.mark.skipif(MODE == "address", reason="this is what runs there")
def test_under_sanitizers():
    run_under_sanitizers(__file__)
