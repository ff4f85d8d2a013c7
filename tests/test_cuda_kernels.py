"""The CUDA kernels, run on the CPU (tests/cuda/shim), against their references.

Each runs in several orders of threads and blocks, which must give the same bits, while bounds, races
and alignment are watched; once more under AddressSanitizer and UndefinedBehaviorSanitizer.
"""

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
    assert_near,
    check,
    gpu,  # noqa: F401
    numbers,
    odd_layout,
    on_gpu,
    run_under_sanitizers,
    widened,
)
from cuda.shim import builder
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import (
    activations,
    clip,
    cross_entropy,
    cuda_parts,
    cuda_source,
    dropout,
    embedding,
    gru,
    lstm,
    norm,
    optimizers,
    recurrent_cuda,
)

import minigrad

pytestmark = SKIPS


# -- embedding ---------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(1, 9), st.integers(0, 20), st.integers(1, 40), DTYPES, LAYOUTS)
def test_gather_rows(size, count, width, dtype, layout):
    table = odd_layout(numbers(size, width, dtype=dtype), layout)
    ids = numpy.random.default_rng(count).integers(0, size, (count, 2))
    check(embedding.gather_rows, table, ids)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.integers(0, 150), st.integers(1, 12), st.integers(1, 40), DTYPES, LAYOUTS, st.booleans()
)  # fmt: skip
def test_sums_of_rows(count, size, width, dtype, layout, skewed):
    rows = odd_layout(numbers(count, width, dtype=dtype), layout)
    ids = numpy.random.default_rng(count).integers(0, size, count)
    ids = ids // size if skewed else ids  # all the same
    expected = embedding.scatter_add_rows.reference(widened(rows), ids, size).astype(dtype)
    found, _ = on_gpu(embedding.scatter_add_rows, rows, ids, size)
    assert_near(found, [expected], 10)
    if count:
        found, _ = on_gpu(embedding.sum_equal_rows, rows, ids, size)
        present = numpy.unique(ids)
        assert_near(found, [present, expected[present]], 10)


def test_long_segments_are_summed_in_several_steps():
    count = 3 * embedding.PIECE**2 + 5
    rows, ids = numbers(count, 3, dtype="float64"), numpy.zeros(count, "int64")
    ids[7] = 2
    check(embedding.scatter_add_rows, rows, ids, 4, factor=10)


@pytest.mark.parametrize("dtype", NAMES)
def test_atomic_sums_of_rows(dtype, monkeypatch):
    monkeypatch.setattr(embedding, "deterministic", True)  # put back afterwards
    minigrad.use_deterministic_algorithms(False)
    assert not minigrad.are_deterministic_algorithms_enabled()
    rows = (
        numpy.random.default_rng(1).integers(-4, 5, (90, 5)).astype(dtype)
    )  # sums without rounding
    ids = numpy.random.default_rng(2).integers(0, 7, 90)
    check(embedding.scatter_add_rows, rows, ids, 7)


# -- norms -------------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.integers(0, 9),
    st.integers(1, 300),
    DTYPES,
    LAYOUTS,
    st.booleans(),
    st.sampled_from(["none", "weight", "bias", "both"]),
    st.booleans(),
)
def test_normalise_rows(rows, n, dtype, layout, centred, which, summed):
    x, g = (odd_layout(a, layout) for a in numbers(2, rows, n, dtype=dtype))
    w, b = numbers(2, n, dtype=dtype, seed=1)
    w = w if which in ("weight", "both") else 0
    b = b if which in ("bias", "both") else 0
    factor = 300 if n < 3 else 3  # two numbers a row: the standard deviation can be about sqrt(eps)
    eps = 0.1 if dtype in NARROW else 1e-3
    check(norm.normalise_rows, x, w, b, eps, centred, factor=factor)
    backward = norm.normalise_rows_backward
    check(backward, g, x, w, eps, centred, summed, factor=(10 if dtype in NARROW else 30) * factor)


def test_norm_of_many_rows():
    x, g = numbers(2, 200, 33)
    check(norm.normalise_rows_backward, g, x, numbers(33, seed=1), 1e-5, True, factor=30)


def test_norm_of_numbers_far_from_zero():
    x = numbers(3, 100) + numpy.float32(3000)
    check(norm.normalise_rows, x, 0, 0, 1e-5, True, factor=100)


# -- cross-entropy -----------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.integers(0, 8),
    st.integers(1, 300),
    DTYPES,
    LAYOUTS,
    st.booleans(),
    st.sampled_from([0.0, 0.1]),
    st.booleans(),
)
def test_cross_entropy(rows, classes, dtype, layout, weighted, smoothing, in_place):
    rng = numpy.random.default_rng(rows)
    factor = 1 if dtype in NARROW else 10
    logits = odd_layout((4 * numbers(rows, classes)).astype(dtype), layout)
    target = numpy.where(rng.random(rows) < 0.2, -100, rng.integers(0, classes, rows))
    weight = rng.random(classes).astype(dtype) if weighted else None
    options = target, weight, smoothing, -100
    check(cross_entropy.cross_entropy, logits, *options, factor=factor)
    if rows:
        wide = widened((logits, *options))
        total = cross_entropy.cross_entropy.reference(*wide)[1]
        scale = numbers(rows, dtype=dtype, seed=2)
        out = numpy.empty(logits.shape, dtype)[:, ::-1] if in_place else None
        backward = cross_entropy.cross_entropy_backward
        expected = backward.reference(widened(scale), wide[0], total, *wide[1:])
        total = total.astype(on_gpu(cross_entropy.cross_entropy, logits, *options)[0][1].dtype)
        found, (_, _, _, *_, written) = on_gpu(backward, scale, logits, total, *options, out)
        assert_near(found, [expected], factor)
        if in_place:
            assert_near([written], [expected], factor)


def test_cross_entropy_backward_in_the_place_of_the_logits():
    logits, target = numbers(5, 40), numpy.arange(5)
    options = target, None, 0.0, -100
    total = cross_entropy.cross_entropy.reference(logits, *options)[1]
    scale = numpy.ones(5, "float32")
    expected = cross_entropy.cross_entropy_backward.reference(scale, logits, total, *options)
    run = cross_entropy.cross_entropy_backward.implementations["cupy"]
    assert run(scale, logits, total, *options, logits) is logits
    assert_near([logits], [expected])


def test_cross_entropy_of_infinite_logits():
    logits = numbers(4, 50)
    logits[0, 3:] = -numpy.inf
    logits[1, :] = -numpy.inf
    logits[2, 7] = numpy.nan
    logits[3, 2] = numpy.inf
    found, _ = on_gpu(
        cross_entropy.cross_entropy, logits, numpy.array([1, 1, 1, 1]), None, 0.0, -100
    )
    with numpy.errstate(all="ignore"):
        expected = cross_entropy.cross_entropy.reference(
            logits, numpy.ones(4, int), None, 0.0, -100
        )
    assert_near(found[:1], expected[:1])  # a number, then NaN three times


# -- elementwise -------------------------------------------------------------------------------------

ONE = "relu sigmoid_of erf_of silu gelu gelu_tanh".split()
TWO = "relu_gradient silu_gradient gelu_gradient gelu_tanh_gradient".split()


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(st.sampled_from(ONE + TWO), st.integers(0, 1100), DTYPES, LAYOUTS)
def test_activations(name, n, dtype, layout):
    x, g = (odd_layout(3 * a, layout) for a in numbers(2, 1, n, dtype=dtype))
    x.ravel()[: n // 9] = 0
    if n > 3:
        x[0, :3] = numpy.nan, 100, -100
    one = getattr(activations, name)
    arguments = (g, x) if name in TWO else (x,)
    check(one, *arguments, factor=2 if dtype in NARROW else 1)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.integers(0, 1100), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.integers(0, 2**62 - 1), DTYPES,
    LAYOUTS,
)  # fmt: skip
def test_dropout_keeps_what_the_cpu_keeps(n, p, seed, dtype, layout):
    x = odd_layout(numbers(1, n, dtype=dtype), layout)
    found, _ = on_gpu(dropout.dropout, x, p, seed)
    assert numpy.array_equal(found[0], dropout.dropout.reference(x, p, seed))


# -- optimizers --------------------------------------------------------------------------------------

OPTIMIZERS = {  # name: (arrays a row, numbers)
    "sgd": (3, (0.1, 0.9, 0.7, 0.01, True, 1)),
    "sgd plain": (2, (0.1, 0.0, 1.0, 0.0, False, -1)),
    "adam": (4, (1e-2, 0.9, 0.99, 0.3, 1e-8, 0.01, 1, False, 1)),
    "adam amsgrad": (5, (1e-2, 0.9, 0.99, 0.3, 1e-8, 0, 0.99, True, -1)),
    "adamax": (4, (1e-2, 0.9, 0.99, 1e-8, 0.01, 1)),
    "nadam": (4, (1e-2, 2e-2, 0.9, 0.99, 0.3, 1e-8, 0.0, 0.99, 1)),
    "radam": (4, (1e-2, 0.9, 0.99, True, 1e-8, 0.01, 1, 1)),
    "radam early": (4, (1e-2, 0.9, 0.99, False, 1e-8, 0.01, 1, 1)),
    "adagrad": (3, (1e-2, 1e-8, 0.01, 1)),
    "rmsprop": (3, (1e-2, 0.9, 1e-6, 0.01, 0.0, False, 1)),
    "rmsprop momentum": (4, (1e-2, 0.9, 1e-6, 0.01, 0.5, False, 1)),
    "rmsprop centered": (4, (1e-2, 0.9, 1e-1, 0.01, 0.0, True, 1)),
    "rmsprop both": (5, (1e-2, 0.9, 1e-1, 0.01, 0.5, True, 1)),
    "adadelta": (4, (1.0, 0.9, 1e-6, 0.01, 1)),
}


def parameters(width, shapes, dtype, strided=False):
    rows = []
    for i, shape in enumerate(shapes):
        row = [numbers(*shape, dtype=dtype, seed=9 * i)]
        row.append(
            odd_layout(numbers(*shape, dtype=dtype, seed=9 * i + 1), "strided" if strided else "")
        )
        rows.append(
            (*row, *(abs(numbers(*shape, dtype=dtype, seed=9 * i + j)) for j in range(2, width)))
        )
    return rows


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name, dtype, monkeypatch):
    monkeypatch.setattr(cuda_parts, "PART", 64)  # so that there are several
    width, options = OPTIMIZERS[name]
    one = getattr(optimizers, name.split()[0])
    check(one, parameters(width, [(5, 13), (3,), (0,), (2, 40), (1, 1)], dtype), *options, factor=3)
    check(one, parameters(width, [(3, 7)], dtype, strided=True), *options, factor=3)


def test_optimizers_leave_odd_rows_to_the_reference():
    rows = parameters(4, [(4, 6), (5,)], "float32")
    rows[0] = tuple(x.T for x in rows[0])
    rows.append(tuple(x.astype("int64") for x in rows[1]))
    rows = rows[:2]
    check(optimizers.adam, rows, 1e-2, 0.9, 0.99, 0.3, 1e-8, 0.01, 1, False, 1, factor=3)
    rows = parameters(4, [(4, 6)], "float32")
    check(optimizers.adam, rows * 2, 1e-2, 0.9, 0.99, 0.3, 1e-8, 0.01, 1, False, 1, factor=3)


@pytest.mark.parametrize("dtype", NAMES)
def test_clipping(dtype, monkeypatch):
    monkeypatch.setattr(cuda_parts, "PART", 64)
    arrays = [numbers(*shape, dtype=dtype) for shape in [(5, 13), (3,), (0,), (200,)]]
    check(clip.total_norm, arrays)
    check(clip.total_norm, [arrays[0].T, arrays[1]])
    check(clip.total_norm, [arrays[2]])
    check(clip.scale_all, arrays, 0.3)
    check(clip.scale_all, [arrays[0].T, arrays[1]], 0.3)


# -- LSTM and GRU ------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.sampled_from(["lstm", "gru"]),
    st.lists(st.integers(0, 6), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(1, 40),
    DTYPES,
    st.sampled_from(["steps", "packed", "batch first"]),
    st.booleans(),
    st.booleans(),
)
def test_recurrent(kind, sizes, inputs, size, dtype, order, reverse, keep):
    sizes = sorted(sizes, reverse=True) if order == "packed" else [sizes[0] + 1] * len(sizes)
    n, batch = sum(sizes), max(sizes)
    walk = tuple(sizes), order == "batch first", reverse
    count = 4 if kind == "lstm" else 3
    arrays = [(n, inputs), *[(batch, size)] * 2, (count * size, inputs), (count * size, size)]
    arrays += [(count * size,)] * 2
    x, h0, c0, w_ih, w_hh, *biases = (
        (numbers(*shape, seed=i) * 0.5).astype(dtype) for i, shape in enumerate(arrays)
    )
    g_out, g_h, g_c = numbers(n, size, dtype=dtype), *numbers(2, batch, size, dtype=dtype)
    wanted = keep, True, True
    if kind == "lstm":
        given = x, h0, c0, w_ih, w_hh
        check(lstm.lstm_forward, *given, biases[0], *walk, keep, factor=3)
        wide = widened((*given, biases[0]))
        kept = lstm.lstm_forward.reference(*wide, *walk, True)
        out, gates, cells = (kept[i].astype(dtype) for i in (0, 3, 4))
        check(
            lstm.lstm_backward, g_out, g_h, g_c, out, gates, cells, *given, *walk, wanted, factor=10
        )
    else:
        given = x, h0, w_ih, w_hh
        check(gru.gru_forward, *given, *biases, *walk, keep, factor=3)
        kept = gru.gru_forward.reference(*widened((*given, *biases)), *walk, True)
        out, gates = (kept[i].astype(dtype) for i in (0, 2))
        check(gru.gru_backward, g_out, g_h, out, gates, *given, *walk, wanted, factor=10)
    assert recurrent_cuda._fits(*given) == (n > 0)


# -- all of them, otherwise -------------------------------------------------------------------------


def test_sources_know_their_lines():
    with pytest.raises(builder.CompileError, match=r"embedding.cu:\d+"):
        builder.build(cuda_source.source("embedding.cu").replace("long long j", "nonsense j"),
                      {"NUMBER": "float"})  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(MODE == "address", reason="this is what runs there")
def test_sanitizers_have_no_complaint():
    run_under_sanitizers(__file__)
