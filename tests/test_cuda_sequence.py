"""A recurrent layer's sequence in one launch, run on the CPU (tests/cuda/shim), against the definition."""

import numpy
import pytest
from cuda.machine import (
    EXAMPLES,
    MODE,
    NAMES,
    SKIPS,
    Machine,
    check,
    gpu,  # noqa: F401
    numbers,
    run_under_sanitizers,
    widened,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import cuda_source, gru, lstm, recurrent, recurrent_cuda, sequence_cuda

pytestmark = SKIPS


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(
    st.sampled_from(["lstm", "gru"]),
    st.lists(st.integers(0, 9), min_size=1, max_size=4),
    st.sampled_from([4, 8, 12, 32]),
    st.sampled_from(NAMES),
    st.sampled_from(["steps", "packed", "batch first"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 0.4, 1.0]),
)
def test_all_steps_at_once(kind, sizes, size, dtype, order, reverse, keep, on_chip):
    """on_chip: how much of W_hh has room in shared memory."""
    sizes = sorted(sizes, reverse=True) if order == "packed" else [sizes[0] + 1] * len(sizes)
    if not sum(sizes):
        return
    n, batch, gates = sum(sizes), max(sizes), 4 if kind == "lstm" else 3
    walk = tuple(sizes), order == "batch first", reverse
    shapes = [(n, 3), (batch, size), (batch, size), (gates * size, 3), (gates * size, size)]
    x, h0, c0, w_ih, w_hh, *biases = (
        (numbers(*shape, seed=i) * 0.5).astype(dtype)
        for i, shape in enumerate([*shapes, (gates * size,), (gates * size,)])
    )
    g_out, g_h, g_c = (numbers(*a.shape, dtype=dtype, seed=9) for a in (numbers(n, size), h0, c0))
    bytes_of_all = 4 * size * size * cuda_source.wider(x.dtype).itemsize
    room = sequence_cuda._room(size, x.dtype) + int(on_chip * bytes_of_all)
    wanted = True, True, True
    Machine.launched.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_source, "gpu", lambda: Machine.gpu._replace(shared=room))
        kept, more = sequence_cuda._kept(size, x.dtype, 16)
        assert more <= on_chip * bytes_of_all and kept == int(on_chip * size / 4)
        if kind == "lstm":
            given = x, h0, c0, w_ih, w_hh
            check(lstm.lstm_forward, *given, biases[0], *walk, keep, factor=3)
            found = lstm.lstm_forward.reference(*widened((*given, biases[0])), *walk, True)
            kept = [found[i].astype(dtype) for i in (0, 3, 4)]
            grads = g_out, g_h, g_c
            check(lstm.lstm_backward, *grads, *kept, *given, *walk, wanted, factor=10)
        else:
            given = x, h0, w_ih, w_hh
            check(gru.gru_forward, *given, *biases, *walk, keep, factor=3)
            found = gru.gru_forward.reference(*widened((*given, *biases)), *walk, True)
            kept = [found[i].astype(dtype) for i in (0, 2)]
            check(gru.gru_backward, g_out, g_h, *kept, *given, *walk, wanted, factor=10)
    assert Machine.launched == {f"{kind}_sequence", f"{kind}_sequence_backward"}


def test_large_or_odd_layers_go_step_by_step():
    for size, batch, dtype, fits in (
        (256, 64, "float32", True),
        (256, 64, "float64", True),
        (260, 64, "float32", False),
        (30, 4, "float32", False),
        (64, 4 * 4 * 132, "float16", True),
        (64, 4 * 4 * 132 + 1, "float32", False),
    ):
        assert sequence_cuda.fits(numpy.zeros(1, dtype), batch, size) == fits


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
