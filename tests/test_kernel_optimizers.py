"""Kernels of optimizers, clipping and row-sparse gradients: against references and torch."""

import copy

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import clip, embedding, optimizers, parts, row_updates

import minigrad
from minigrad.sparse import RowSparse

KERNELS = [
    ("sgd", 2, (0.1, 0, 1, 0, False, 1)),
    ("sgd", 3, (0.1, 0.9, 0.7, 0.01, False, -1)),
    ("sgd", 3, (0.1, 0.9, 1, 0, True, 1)),
    ("adam", 4, (0.1, 0.9, 0.99, 0.3, 1e-8, 0.1, 1, False, 1)),
    ("adam", 5, (0.1, 0.9, 0.99, 0.3, 1e-8, 0, 0.9, True, -1)),
    ("adamax", 4, (0.1, 0.9, 0.99, 1e-8, 0.1, 1)),
    ("nadam", 4, (0.1, 0.2, 0.9, 0.99, 0.3, 1e-8, 0.1, 1, 1)),
    ("radam", 4, (0.1, 0.9, 0.99, True, 1e-8, 0.1, 0.9, 1)),
    ("radam", 4, (0.1, 0.9, 0.99, False, 1e-8, 0, 1, 1)),
    ("adagrad", 3, (0.1, 1e-10, 0.1, 1)),
    ("rmsprop", 3, (0.1, 0.9, 1e-8, 0.1, 0, False, 1)),
    ("rmsprop", 4, (0.1, 0.9, 1e-8, 0, 0.9, False, 1)),
    ("rmsprop", 4, (0.1, 0.9, 1e-8, 0, 0, True, 1)),
    ("rmsprop", 5, (0.1, 0.9, 1e-8, 0, 0.9, True, -1)),
    ("adadelta", 4, (0.1, 0.9, 1e-6, 0.1, 1)),
]
MIXED = [(), (7,), (0,), (3, 0, 2), (130, 3), (2 * parts.PART + 5,), (1,)]


def make(kernel, shapes, width, dtype, seed=0):
    """Rows of arrays; the states of mean squares larger than the squares of means, as they are."""
    rng = numpy.random.default_rng(seed)
    rows = []
    for shape in shapes:
        row = [rng.standard_normal(shape) for _ in range(width)]
        row[2:] = [abs(x) + 0.5 for x in row[2:]]
        if kernel == "rmsprop":
            row[2] = row[-1] ** 2 + 1
        rows.append(tuple(numpy.asarray(x, dtype) for x in row))
    return rows


def assert_rows(found, expected, tolerance):
    for row, wanted in zip(found, expected, strict=True):
        for x, y in zip(row, wanted, strict=True):
            assert x.dtype == y.dtype
            numpy.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, width, options", KERNELS, ids=str)
def test_kernels_against_references(name, width, options, dtype):
    kernel = getattr(optimizers, name)
    expected, found = make(name, MIXED, width, dtype), make(name, MIXED, width, dtype)
    for _ in range(3):
        kernel.reference(expected, *options)
        kernel[numpy](found, *options)
    assert_rows(found, expected, 1e-5 if dtype == "float32" else 1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 40), max_size=3), max_size=5),
    st.sampled_from(KERNELS),
    st.sampled_from(["float16", "float32", "float64"]),
)
def test_any_shapes(shapes, case, dtype):
    name, width, options = case
    kernel = getattr(optimizers, name)
    expected, found = make(name, shapes, width, dtype), make(name, shapes, width, dtype)
    kernel.reference(expected, *options)
    kernel[numpy](found, *options)
    assert_rows(found, expected, {"float16": 0, "float32": 1e-5, "float64": 1e-12}[dtype])


def layouts(row):
    """The same numbers in other layouts of memory: transposed, gaps in w, a strided gradient."""
    yield tuple(numpy.asfortranarray(x) for x in row)
    yield tuple(numpy.asfortranarray(x) if i != 1 else x for i, x in enumerate(row))
    yield tuple(numpy.asfortranarray(x) if i == 1 else x for i, x in enumerate(row))
    yield tuple(numpy.repeat(x, 2, 1)[:, ::2] for x in row)
    yield (row[0], numpy.repeat(row[1], 2, 1)[:, ::2], *row[2:])
    yield tuple(numpy.asfortranarray(x) if i == 2 else x for i, x in enumerate(row))
    frozen = row[1].copy()
    frozen.flags.writeable = False
    yield (row[0], frozen, *row[2:])


@pytest.mark.parametrize("name, width, options", KERNELS, ids=str)
def test_layouts_of_memory(name, width, options):
    kernel = getattr(optimizers, name)
    for which in range(7):
        expected = make(name, [(6, 5)], width, "float64")
        found = [list(layouts(copy.deepcopy(expected[0])))[which]]
        gradient = found[0][1].copy()
        kernel.reference(expected, *options)
        kernel[numpy](found, *options)
        assert_rows(found, expected, 1e-12)
        assert numpy.array_equal(found[0][1], gradient)


def test_a_gradient_of_another_dtype():
    row = make("sgd", [(40,)], 3, "float32")[0]
    rows = [(row[0].copy(), row[1].astype("float64"), row[2].copy())]
    optimizers.sgd[numpy](rows, 0.1, 0.9, 1, 0, False, 1)
    optimizers.sgd.reference([row], 0.1, 0.9, 1, 0, False, 1)
    assert_rows([(rows[0][0], rows[0][2])], [(row[0], row[2])], 1e-6)


@pytest.mark.parametrize("name, width, options", KERNELS, ids=str)
def test_nan_and_infinity(name, width, options):
    kernel = getattr(optimizers, name)
    expected = make(name, [(64,)], width, "float32")
    expected[0][0][3] = numpy.inf
    expected[0][1][[5, 9, 11]] = numpy.nan, numpy.inf, -numpy.inf
    expected[0][1][[6, 10, 12]] = 1e20, -3e19, 1e-30  # whose squares are infinite or 0
    expected[0][-1][20] = numpy.nan
    found = copy.deepcopy(expected)
    with numpy.errstate(all="ignore"):
        kernel.reference(expected, *options)
    kernel[numpy](found, *options)
    assert_rows(found, expected, 1e-5)


@pytest.mark.parametrize("name, width, options", KERNELS, ids=str)
def test_same_bits_for_any_number_of_threads(name, width, options):
    kernel = getattr(optimizers, name)
    shapes = [(100_003,), (9,), (301, 77), (16,)]
    results = []
    before = minigrad.get_num_threads()
    try:
        for threads in (1, 2, 2, 3):
            minigrad.set_num_threads(threads)
            rows = make(name, shapes, width, "float32")
            kernel[numpy](rows, *options)
            results.append(rows)
    finally:
        minigrad.set_num_threads(before)
    for rows in results[1:]:
        assert_rows(rows, results[0], 0)


def test_the_same_parameter_twice_is_updated_twice():
    x, twice = minigrad.zeros(3, requires_grad=True), minigrad.zeros(3, requires_grad=True)
    x.grad = twice.grad = minigrad.ones(3)
    with pytest.warns(UserWarning, match="duplicate"):
        optimizer = minigrad.optim.SGD([twice, twice], lr=0.5, momentum=0.9)
    single = minigrad.optim.SGD([x], lr=0.5, momentum=0.9)
    optimizer.step()
    single.step()
    single.step()
    assert x.tolist() == twice.tolist()


def test_parameters_at_different_steps_and_of_different_dtypes():
    torch = pytest.importorskip("torch")
    found = []
    for t in (torch, minigrad):
        params = [
            t.ones(3, requires_grad=True),
            t.ones(2, 2, dtype=t.float64, requires_grad=True),
            t.ones(5, requires_grad=True),
        ]
        optimizers = [
            t.optim.AdamW(params, lr=0.1),
            t.optim.NAdam(params),
            t.optim.RAdam(params),
            t.optim.SGD(params, lr=0.1, momentum=0.9, dampening=0.5),
        ]
        for optimizer in optimizers:
            for step in range(9):
                for i, p in enumerate(params):
                    p.grad = None if (step + i) % 3 == 0 else t.full_like(p, 0.3 * step - 1)
                optimizer.step()
        found.append([p.detach().numpy() for p in params])
    for theirs, ours in zip(*found, strict=True):
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_transposed_parameters_against_torch(name):
    torch = pytest.importorskip("torch")
    start = numpy.random.default_rng(0).standard_normal((4, 6)).astype("float32")
    found = []
    for t in (torch, minigrad):
        p = t.tensor(start).T.requires_grad_() if t is torch else _leaf(start.T)
        options = {"momentum": 0.9} if name == "SGD" else {}
        optimizer = getattr(t.optim, name)([p], lr=0.1, **options)
        for _ in range(4):
            optimizer.zero_grad()
            (p**2 * t.arange(4.0)).sum().backward()
            optimizer.step()
        found.append(p.detach().numpy())
    numpy.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-6)


def _leaf(array):
    assert not array.flags.c_contiguous
    return minigrad.as_tensor(array).requires_grad_()


# -- clipping --------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 60), max_size=2), min_size=1, max_size=6),
    st.sampled_from(["float32", "float64"]),
    st.booleans(),
)
def test_total_norm_and_scaling(shapes, dtype, transposed):
    rng = numpy.random.default_rng(len(shapes))
    arrays = [numpy.asarray(rng.standard_normal(shape), dtype) for shape in shapes]
    arrays = [x.T for x in arrays] if transposed else arrays
    norm = clip.total_norm[numpy](arrays)
    assert type(norm) is numpy.ndarray and norm.shape == () and norm.dtype == dtype
    numpy.testing.assert_allclose(norm, clip.total_norm.reference(arrays), rtol=1e-5)
    scaled = [x.copy(order="K") for x in arrays]
    clip.scale_all[numpy](scaled, 0.3)
    for x, y in zip(scaled, arrays, strict=True):
        assert numpy.array_equal(x, y * y.dtype.type(0.3))


def test_norm_of_nan_and_infinity_and_its_bits():
    x = numpy.random.default_rng(0).standard_normal(70_001).astype("float32")
    norms = []
    before = minigrad.get_num_threads()
    try:
        for threads in (1, 2, 2):
            minigrad.set_num_threads(threads)
            norms.append(clip.total_norm[numpy]([x, x[:5]]))
    finally:
        minigrad.set_num_threads(before)
    assert norms[0] == norms[1] == norms[2]
    x[1] = numpy.inf
    assert clip.total_norm[numpy]([x]) == numpy.inf
    x[2] = numpy.nan
    assert numpy.isnan(clip.total_norm[numpy]([x]))


def test_clipping_notices_what_a_graph_saved():
    p = minigrad.ones(3, requires_grad=True)
    p.grad = minigrad.full((3,), 5.0)
    q = minigrad.ones(3, requires_grad=True)
    product = q * p.grad
    minigrad.nn.utils.clip_grad_norm_([p], 1.0)
    assert p.grad.norm().item() == pytest.approx(1, abs=1e-5)
    with pytest.raises(RuntimeError, match="modified"):
        product.sum().backward()


# -- row-sparse gradients --------------------------------------------------------------------------


ROWS = st.tuples(
    st.integers(0, 40),
    st.integers(1, 200),
    st.lists(st.integers(0, 5), min_size=1, max_size=2),
    st.sampled_from(["float32", "float64", "float16"]),
)


def sparse(count, size, width, dtype):
    rng = numpy.random.default_rng(count + size)
    rows = rng.standard_normal((count, *width)).astype(dtype)
    table = rng.standard_normal((size, *width)).astype(dtype)
    return rng.integers(0, size, count), rows, table


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_sums_of_rows(case):
    ids, rows, table = sparse(*case)
    found = embedding.sum_equal_rows[numpy](rows, ids, len(table))
    expected = embedding.sum_equal_rows.reference(rows, ids, len(table))
    assert numpy.array_equal(found[0], expected[0]) and found[1].dtype == rows.dtype
    tolerance = 1e-2 if rows.dtype == "float16" else 1e-6
    numpy.testing.assert_allclose(found[1], expected[1], rtol=tolerance, atol=tolerance)
    one = RowSparse(ids, rows, table.shape)
    dense = numpy.zeros_like(table)
    numpy.add.at(dense, ids, rows)
    numpy.testing.assert_allclose(one.to_dense(), dense, rtol=tolerance, atol=tolerance)
    numpy.testing.assert_allclose(one.coalesce().to_dense(), dense, rtol=tolerance, atol=tolerance)


def test_many_equal_ids_in_a_large_table():
    rng = numpy.random.default_rng(0)
    for size in (3, 100, 100_000):
        ids = rng.integers(0, min(size, 50), 3000)
        rows = rng.standard_normal((3000, 20))
        expected = embedding.scatter_add_rows.reference(rows, ids, size)
        assert numpy.array_equal(embedding.scatter_add_rows[numpy](rows, ids, size), expected)
        found, sums = embedding.sum_equal_rows[numpy](rows, ids, size)
        assert numpy.array_equal(sums, expected[found])


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_updates_of_rows(case):
    ids, rows, table = sparse(*case)
    tolerance = 1e-2 if rows.dtype == "float16" else 1e-6
    states = [numpy.full_like(table, 0.5) for _ in range(2)]
    once, sums = embedding.sum_equal_rows.reference(rows, ids, len(table))
    for kernel, tables, gradient, options in (
        (row_updates.sgd_rows, [table], (ids, rows), (0.1,)),
        (row_updates.adagrad_rows, [table, states[0]], (once, sums), (0.1, 1e-10)),
        (row_updates.adam_rows, [table, *states], (once, sums), (0.1, 0.9, 0.99, 1e-8)),
    ):
        expected, found = copy.deepcopy(tables), copy.deepcopy(tables)
        kernel.reference(*expected, *gradient, *options)
        kernel[numpy](*found, *gradient, *options)
        for x, y in zip(found, expected, strict=True):
            numpy.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("name", ["SGD", "Adagrad", "SparseAdam"])
def test_sparse_steps_against_torch(name, maximize):
    torch = pytest.importorskip("torch")
    rng = numpy.random.default_rng(0)
    start = rng.standard_normal((300, 20)).astype("float32")
    batches = rng.integers(0, 300, (5, 64, 6))
    found = []
    for t in (torch, minigrad):
        layer = t.nn.Embedding.from_pretrained(t.tensor(start), freeze=False, sparse=True)
        optimizer = getattr(t.optim, name)(layer.parameters(), lr=0.1, maximize=maximize)
        for ids in batches:
            optimizer.zero_grad()
            (layer(t.tensor(ids)).sum(1) ** 2).mean().backward()
            optimizer.step()
        found.append(layer.weight.detach().numpy())
    numpy.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-5)


def test_sparse_same_bits_for_any_number_of_threads():
    ids, rows, table = sparse(9000, 700, [33], "float32")
    results = []
    before = minigrad.get_num_threads()
    try:
        for threads in (1, 2, 2):
            minigrad.set_num_threads(threads)
            w = table.copy()
            row_updates.sgd_rows[numpy](w, ids, rows, 0.1)
            results.append((w, embedding.scatter_add_rows[numpy](rows, ids, 700)))
    finally:
        minigrad.set_num_threads(before)
    for one in results[1:]:
        assert all(numpy.array_equal(x, y) for x, y in zip(one, results[0], strict=True))
