"""Kernels of a decoder's single step, against their definitions: few rows, 8 bits, one query, rotation."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels.attention_step import attend_once, turn_heads
from minigrad.kernels.few_rows import few_rows, gated_rows, quantise_rows, three_rows

import minigrad

pytestmark = pytest.mark.cpu_only(reason="compiled loops on NumPy arrays")

DRAW = numpy.random.default_rng(11)
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
dtypes = st.sampled_from(["float32", "float64"])
sizes = st.integers(1, 80)


def draw(*shape, dtype="float32"):
    return DRAW.standard_normal(shape).astype(dtype)


def close(found, expected, dtype):
    assert found.dtype == dtype and found.shape == expected.shape
    scale = TOLERANCE[str(numpy.dtype(dtype))] * max(1.0, abs(expected).max(initial=0))
    numpy.testing.assert_allclose(found, expected, rtol=0, atol=scale)


@pytest.fixture(autouse=True)
def threads():
    before = minigrad.get_num_threads()
    yield
    minigrad.set_num_threads(before)


def same_for_threads(kernel, *arguments):
    """The result, the same bits with one thread and with two."""
    found = []
    for count in (1, 2):
        minigrad.set_num_threads(count)
        found.append(kernel[numpy](*arguments))
    numpy.testing.assert_array_equal(found[0], found[1])
    return found[0]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 12), sizes, sizes, dtypes, st.booleans())
def test_few_rows(rows, n, k, dtype, whole):
    x, w = draw(rows, k, dtype=dtype), draw(n, k, dtype=dtype)
    given = quantise_rows(w) if whole else (w, None)
    close(same_for_threads(few_rows, x, *given), few_rows.reference(x, *given), dtype)
    big = numpy.concatenate([x, x], 1)[:, ::2]  # rows that are not contiguous
    if big.shape == x.shape:
        close(few_rows[numpy](big, *given), few_rows.reference(big, *given), dtype)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 10), sizes, sizes, sizes, sizes, dtypes, st.booleans())
def test_three_rows(rows, a, b, c, k, dtype, whole):
    x = draw(rows, k, dtype=dtype)
    pairs = [
        quantise_rows(w) if whole else (w, None)
        for w in (draw(n, k, dtype=dtype) for n in (a, b, c))
    ]
    given = tuple(zip(*pairs, strict=True))
    close(same_for_threads(three_rows, x, *given), three_rows.reference(x, *given), dtype)
    alone = [few_rows.reference(x, *pair) for pair in pairs]
    close(three_rows[numpy](x, *given), numpy.concatenate(alone, 1), dtype)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 10), sizes, sizes, dtypes, st.booleans())
def test_gated_rows(rows, n, k, dtype, whole):
    x = draw(rows, k, dtype=dtype)
    pairs = [draw(n, k, dtype=dtype) for _ in range(2)]
    given = [y for w in pairs for y in (quantise_rows(w) if whole else (w, None))]
    close(same_for_threads(gated_rows, x, *given), gated_rows.reference(x, *given), dtype)


def test_large_enough_for_threads():
    x, w = draw(1, 576), draw(1536, 576)
    for pair in ((w, None), quantise_rows(w)):
        close(same_for_threads(few_rows, x, *pair), few_rows.reference(x, *pair), "float32")
    keys, values = draw(3, 300, 64), draw(3, 300, 64)
    q = draw(9, 64)
    close(same_for_threads(attend_once, q, keys, values, 0.125),
          attend_once.reference(q, keys, values, 0.125), "float32")  # fmt: skip


def test_quantised_rows():
    w = draw(40, 30)
    w[3] = 0
    q, scales = quantise_rows(w)
    assert q.dtype == numpy.int8 and scales.dtype == numpy.float32 and scales[3] == 0
    assert abs(q.astype(int)).max() == 127 and (abs(q.astype(int)).max(1)[[0, 1, 2]] == 127).all()
    assert (abs(w - q * scales[:, None]) <= 0.5001 * scales[:, None]).all()
    numpy.testing.assert_allclose(abs(w).max(1), 127 * scales, rtol=1e-6)
    q, scales = quantise_rows(w.astype("float64"))
    assert scales.dtype == numpy.float64


def test_other_dtypes_and_what_is_no_number():
    x, w = draw(2, 8), draw(5, 8)
    half = few_rows[numpy](x.astype("float16"), w.astype("float16"))
    assert half.dtype == numpy.float16
    fortran = numpy.asfortranarray(w)
    close(few_rows[numpy](x, fortran), few_rows.reference(x, w), "float32")
    x[0, 3] = numpy.nan
    found = few_rows[numpy](x, w)
    assert numpy.isnan(found[0]).all() and numpy.isfinite(found[1]).all()
    assert numpy.isnan(gated_rows[numpy](x, w, None, w, None)[0]).all()
    x[0, 3] = numpy.inf
    assert numpy.isinf(few_rows[numpy](x, w)[0]).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 40), st.integers(1, 12), dtypes)
def test_one_query(shared, group, count, half, dtype):
    width = 2 * half
    q = draw(shared * group, width, dtype=dtype)
    rooms = draw(2, shared, count + 5, width, dtype=dtype)
    keys, values = rooms[0, :, :count], rooms[1, :, :count]
    found = same_for_threads(attend_once, q, keys, values, 0.3)
    close(found, attend_once.reference(q, keys, values, 0.3), dtype)
    expected = minigrad.nn.functional.scaled_dot_product_attention(
        *(minigrad.tensor(x)[None] for x in (q[:, None], keys, values)), scale=0.3, enable_gqa=True
    )
    close(found, expected.numpy()[0, :, 0], dtype)
    apart = attend_once[numpy](q, keys[::-1], values[::-1], 0.3)
    close(apart, attend_once.reference(q, keys[::-1], values[::-1], 0.3), dtype)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 12), dtypes)
def test_rotation(heads, places, half, dtype):
    x = draw(places * heads, 2 * half, dtype=dtype)
    angles = draw(places, half, dtype=dtype)
    cos, sin = numpy.cos(angles), numpy.sin(angles)
    points = (x[:, :half] + 1j * x[:, half:]).reshape(places, heads, half)
    turned = (points * numpy.exp(1j * angles)[:, None]).reshape(-1, half)
    expected = numpy.concatenate([turned.real, turned.imag], 1).astype(dtype)
    for turn in (turn_heads[numpy], turn_heads.reference):
        found = x.copy()
        assert turn(found, cos, sin) is found
        close(found, expected, dtype)
    part = numpy.concatenate([x, x])
    same_for_threads(turn_heads, part[: len(x)].copy(), cos, sin)
    turn_heads[numpy](part[: len(x)], cos, sin)  # in place, the rest untouched
    close(part, numpy.concatenate([expected, x]), dtype)


def test_attention_to_what_is_no_number():
    q, keys, values = draw(2, 4), draw(1, 3, 4), draw(1, 3, 4)
    keys[0, 1, 0] = numpy.nan
    assert numpy.isnan(attend_once[numpy](q, keys, values, 0.5)).all()
