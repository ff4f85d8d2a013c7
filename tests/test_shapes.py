"""Random shapes: broadcasting, reductions, products and indexing against torch, by hypothesis."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg

torch = pytest.importorskip("torch")
QUICK = settings(max_examples=60, deadline=None)
SIZES = st.integers(0, 4)


def both(function, *arrays):
    """Values and gradients of a function on both sides, from the same numbers and cotangent."""
    results = []
    for t in (torch, mg):
        inputs = [t.tensor(array, requires_grad=True) for array in arrays]
        out = function(t, *inputs)
        weight = numpy.random.default_rng(5).standard_normal(tuple(out.shape))
        (out * t.tensor(weight)).sum().backward()
        results.append([out.detach().numpy(), *(x.grad.numpy() for x in inputs)])
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)


def numbers(shape, seed=0):
    return numpy.random.default_rng(seed).uniform(0.2, 2.0, shape)


@QUICK
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4, min_side=0))
def test_broadcasting(shapes):
    x, y = numbers(shapes.input_shapes[0]), numbers(shapes.input_shapes[1], 1)
    for function in (
        lambda t, a, b: a + b,
        lambda t, a, b: a * b - b / a,
        lambda t, a, b: t.maximum(a, b),
        lambda t, a, b: a**b,
        lambda t, a, b: t.where(a.detach() > 1, a, b),
    ):
        both(function, x, y)


@st.composite
def shape_and_dims(draw, smallest=0):
    shape = tuple(draw(st.lists(st.integers(smallest, 4), min_size=1, max_size=4)))
    dims = draw(st.lists(st.integers(0, len(shape) - 1), unique=True, max_size=len(shape)))
    signs = draw(st.lists(st.booleans(), min_size=len(dims), max_size=len(dims)))
    named = tuple(d - len(shape) if s else d for d, s in zip(dims, signs, strict=True))
    return shape, named, draw(st.booleans())


@QUICK
@given(shape_and_dims())
def test_reductions(case):
    shape, dims, keep = case
    if not dims:
        return
    both(lambda t, x: x.sum(dims, keepdim=keep), numbers(shape))
    if 0 not in shape:
        both(lambda t, x: x.mean(dims, keepdim=keep), numbers(shape))
        both(lambda t, x: x.amax(dims, keepdim=keep), numbers(shape))
        both(lambda t, x: x.logsumexp(dims, keepdim=keep), numbers(shape))
        both(lambda t, x: x.var(dims, correction=0, keepdim=keep), numbers(shape))
        both(lambda t, x: x.prod(dims[0], keepdim=keep), numbers(shape))
        both(lambda t, x: x.cumsum(dims[0]).flip(0), numbers(shape))
        both(lambda t, x: x.softmax(dims[0]) + x.log_softmax(dims[0]), numbers(shape))


@QUICK
@given(st.lists(SIZES, max_size=2), st.lists(SIZES, max_size=2), SIZES, SIZES, SIZES, st.data())
def test_matmul(a, b, n, k, m, data):
    shared = [max(x, 1) for x in a[: min(len(a), len(b))]]
    first = tuple(shared) + tuple(a[len(shared) :])
    second = tuple(data.draw(st.sampled_from([1, s])) for s in shared)
    if len(first) != len(second):
        second = ()
    both(lambda t, x, y: x @ y, numbers((*first, n, k)), numbers((*second, k, m), 1))
    both(lambda t, x, y: x @ y, numbers((*first, n, k)), numbers((k,), 1))
    both(lambda t, x, y: x @ y, numbers((k,)), numbers((*second, k, m), 1))


@QUICK
@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5), st.data())
def test_basic_indexing(shape, data):
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(p, slice) and (p.step or 1) < 1 for p in parts):
        return
    both(lambda t, x: x[index], numbers(shape))

    def assign(t, x):
        y = x * 1
        y[index] = (x * 2)[index]
        return y

    both(assign, numbers(shape))


@QUICK
@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4), st.data())
def test_integer_indexing(shape, data):
    index = data.draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2)))
    both(lambda t, x: x[tuple(t.tensor(i) for i in index)], numbers(shape))
    mask = numpy.random.default_rng(2).random(shape) > 0.5
    both(lambda t, x: x[t.tensor(mask)], numbers(shape))
    both(lambda t, x: x.masked_fill(t.tensor(mask), 0.5), numbers(shape))


@QUICK
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.data())
def test_views_and_joins(shape, data):
    order = data.draw(st.permutations(range(len(shape))))
    both(lambda t, x: x.permute(*order).reshape(-1), numbers(shape))
    both(lambda t, x: t.stack([x, x * 2], len(shape)).flatten(), numbers(shape))
    both(lambda t, x: t.cat([x, x * 2, x], -1), numbers(shape))
    dim = data.draw(st.integers(0, len(shape) - 1))
    sizes = data.draw(st.integers(1, 3))
    both(
        lambda t, x: t.cat([p * (i + 1) for i, p in enumerate(x.split(sizes, dim))], dim),
        numbers(shape),
    )
    both(lambda t, x: x.unsqueeze(dim).expand(*shape[:dim], 3, *shape[dim:]), numbers(shape))


@QUICK
@given(st.integers(1, 4), st.integers(1, 5), st.data())
def test_gather_and_scatter(rows, columns, data):
    dim = data.draw(st.integers(0, 1))
    shape = (rows, columns)
    limit = shape[dim]
    index = data.draw(hnp.arrays("int64", shape, elements=st.integers(0, limit - 1)))
    both(lambda t, x: x.gather(dim, t.tensor(index)), numbers(shape))
    both(lambda t, x, y: x.scatter_add(dim, t.tensor(index), y), numbers(shape), numbers(shape, 1))
    both(lambda t, x: x.index_select(dim, t.tensor(index[:, 0])), numbers(shape))
    both(lambda t, x: x.sort(dim).values * x.topk(limit, dim).values, numbers(shape))


@QUICK
@given(
    hnp.arrays(
        "float32", (2, 40, 2), elements=st.sampled_from([*range(-60, 60), numpy.inf, -numpy.inf])
    ),
    st.integers(0, 5),
    st.booleans(),
    st.sampled_from([0, 0, 1, 3]),
)
def test_few_of_many_are_those_that_sorting_puts_first(array, k, largest, nans):
    array[0, :nans, 0] = numpy.nan
    x = mg.tensor(array)
    found, full = x.topk(k, 1, largest), x.sort(1, descending=largest)
    assert (found.indices.numpy() == full.indices.numpy()[:, :k]).all()
    numpy.testing.assert_array_equal(found.values.numpy(), full.values.numpy()[:, :k])


@pytest.mark.parametrize("name", ["float64", "float16", "bfloat16", "int64", "uint8", "bool"])
def test_topk_of_every_dtype(name):
    if name == "bfloat16":
        pytest.importorskip("ml_dtypes")
    x = (mg.arange(100).flip(0) % 2).to(getattr(mg, name))
    x[[7, 40]] = 1
    assert x.topk(3).indices.tolist() == [0, 2, 4]
    assert x.reshape(1, 100).expand(0, 100).topk(2).indices.shape == (0, 2)


def test_results_of_wrong_arguments_name_op_and_shapes():
    x = mg.zeros(2, 3)
    for call, error, message in (
        (lambda: x + mg.zeros(4), RuntimeError, r"add.*tensor a \(3\).*tensor b \(4\).*\(2, 3\)"),
        (lambda: x @ mg.zeros(2, 3), RuntimeError, r"matmul: .*\(2x3 and 2x3\)"),
        (lambda: x.sum(5), IndexError, r"sum: Dimension out of range.*\[-2, 1\].*5"),
        (
            lambda: x.reshape(4, 2),
            RuntimeError,
            r"reshape: shape '\[4, 2\]' is invalid for input of size 6",
        ),
        (lambda: x[5], IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
        (
            lambda: x[mg.tensor([7])],
            IndexError,
            "index 7 is out of bounds for dimension 0 with size 2",
        ),
        (
            lambda: mg.cat([x, mg.zeros(2, 4)]),
            RuntimeError,
            r"cat: Sizes of tensors must match.*3.*4",
        ),
        (
            lambda: mg.stack([x, mg.zeros(3)]),
            RuntimeError,
            "stack expects each tensor to be equal size",
        ),
        (
            lambda: x.expand(2, 4),
            RuntimeError,
            r"expand: .*\(4\) must match the existing size \(3\)",
        ),
        (lambda: mg.arange(3).mean(), RuntimeError, r"mean\(\).*Got: Long; convert"),
        (lambda: mg.zeros(3, dtype=mg.int64).requires_grad_(), RuntimeError, "floating point"),
        (lambda: mg.tensor([[1, 2], [3]]), ValueError, r"data\[1\]"),
        (lambda: mg.einsum("ij,kj", x), RuntimeError, "2 operands, but 1"),
        (lambda: x.gather(1, mg.tensor([[0, 9, 0]])), (IndexError, RuntimeError), "gather.*9"),
    ):
        with pytest.raises(error, match=message):
            call()


@pytest.mark.cpu_only(reason="about machines without a GPU")
def test_without_a_gpu():
    with pytest.raises(RuntimeError, match=r"cuda.*minigrad\[cuda1[23]\]|no NVIDIA driver"):
        mg.zeros(2, 3).to("cuda")
