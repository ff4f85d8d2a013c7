"""Every implementation of every kernel against its reference, over random shapes."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import embedding, kernel


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 12),
    st.integers(1, 6),
    st.lists(st.integers(0, 4), min_size=1, max_size=2),
    st.sampled_from(["float32", "float64", "int64"]),
    st.booleans(),
)
def test_scatter_add_rows(count, size, width, dtype, reverse):
    rng = numpy.random.default_rng(count + size)
    rows = (rng.standard_normal((count, *width)) * 8).astype(dtype)
    rows = rows[::-1] if reverse else rows
    ids = rng.integers(0, size, count)
    expected = embedding.scatter_add_rows.reference(rows, ids, size)
    found = embedding.scatter_add_rows[numpy](rows, ids, size)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    numpy.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.skipif(kernel.REFERENCE_ONLY, reason="the switch is on already")
def test_the_switch_gives_the_reference(monkeypatch):
    assert embedding.scatter_add_rows[numpy] is not embedding.scatter_add_rows.reference
    monkeypatch.setattr(kernel, "REFERENCE_ONLY", True)
    for one in kernel.REGISTRY.values():
        assert one[numpy] is one.reference


def test_without_numba_the_reference_answers(monkeypatch):
    monkeypatch.setattr(kernel, "numba", lambda: None)
    for one in kernel.REGISTRY.values():
        assert one[numpy] is one.reference


def test_same_bits_on_every_run():
    rng = numpy.random.default_rng(0)
    rows, ids = rng.standard_normal((5000, 16)).astype("float32"), rng.integers(0, 9, 5000)
    first = embedding.scatter_add_rows[numpy](rows, ids, 9)
    assert all(
        numpy.array_equal(first, embedding.scatter_add_rows[numpy](rows, ids, 9)) for _ in range(3)
    )


@pytest.mark.parametrize("name", sorted(kernel.REGISTRY))
def test_kernels_say_what_they_compute(name):
    assert kernel.REGISTRY[name].__doc__
