"""Property tests: nn.functional held against torch over random shapes and arguments.

Each case runs once with each library on equal float64 numbers. Compared are shapes, dtypes, values and
the gradients of a randomly weighed sum; where torch refuses the arguments, minigrad must refuse too.
"""

import numpy
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minigrad
from minigrad.nn import functional

torch = pytest.importorskip("torch")

small = st.integers(1, 4)
flag = st.booleans()
seeds = st.integers(0, 2**31)
reductions = st.sampled_from(["none", "mean", "sum"])


def cases(**arguments):
    """A property test of 25 examples, with the generator `rng` of its numbers."""

    def decorate(test):
        rng = seeds.map(numpy.random.default_rng)
        return settings(max_examples=25, deadline=None)(given(rng=rng, **arguments)(test))

    return decorate


def outcome(library, call, arrays):
    """(outputs, gradients of the float inputs) of a call, or the exception that it raised."""
    inputs = [
        library.tensor(array, requires_grad=array.dtype.kind == "f")
        if isinstance(array, numpy.ndarray)
        else array
        for array in arrays
    ]
    try:
        result = call(functional if library is minigrad else torch.nn.functional, *inputs)
    except Exception as error:
        return error
    outputs = result if isinstance(result, tuple) else (result,)
    rng = numpy.random.default_rng(3)
    total = 0
    for out in outputs:
        if out.requires_grad:
            total = total + (out * library.tensor(rng.standard_normal(tuple(out.shape)))).sum()
    if isinstance(total, library.Tensor):
        total.backward()
    grads = [x.grad for x in inputs if isinstance(x, library.Tensor) and x.requires_grad]
    return [out.detach() for out in outputs], grads


def agree(call, *arrays, rtol=1e-9, atol=1e-10):
    """Assert that call(F, *tensors) has the same outputs and gradients, or the same error, in both."""
    theirs = outcome(torch, call, arrays)
    ours = outcome(minigrad, call, arrays)
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs), f"torch: {theirs!r}; minigrad: {ours!r}"
        return
    if isinstance(ours, Exception):
        raise ours
    for found, expected in zip(ours, theirs, strict=True):
        for mine, reference in zip(found, expected, strict=True):
            assert (mine is None) == (reference is None)
            if reference is not None:
                assert tuple(mine.shape) == tuple(reference.shape)
                assert str(mine.dtype) == str(reference.dtype)
                numpy.testing.assert_allclose(mine.numpy(), reference.numpy(), rtol=rtol, atol=atol)


# -- linear maps and convolutions --------------------------------------------------------------------


@cases(lead=st.lists(st.integers(0, 3), max_size=3), n=small, out=st.integers(0, 4), bias=flag)
def test_linear(rng, lead, n, out, bias):
    """`out` 0 stands for a weight of one dimension, which drops the last one."""
    weight = rng.standard_normal((out, n) if out else n)
    shift = rng.standard_normal(out) if bias and out else None
    agree(lambda F, *args: F.linear(*args), rng.standard_normal((*lead, n)), weight, shift)


@cases(batch=st.integers(0, 3), m=small, n=small, out=small)
def test_bilinear(rng, batch, m, n, out):
    shapes = [(batch, m), (batch, n), (out, m, n), (out,)]
    agree(lambda F, *args: F.bilinear(*args), *map(rng.standard_normal, shapes))


@cases(
    lead=st.sampled_from([(), (1,), (3,)]), per_group=small, groups=st.integers(1, 3),
    out=st.integers(1, 3), length=st.integers(1, 9), kernel=st.integers(1, 5), bias=flag,
    stride=st.integers(1, 3), dilation=st.integers(1, 3),
    padding=st.one_of(st.integers(0, 4), st.sampled_from(["same", "valid"])),
)  # fmt: skip
def test_conv1d(rng, lead, per_group, groups, out, length, kernel, bias, stride, dilation, padding):
    agree(
        lambda F, x, w, b: F.conv1d(x, w, b, stride, padding, dilation, groups),
        rng.standard_normal((*lead, per_group * groups, length)),
        rng.standard_normal((out * groups, per_group, kernel)),
        rng.standard_normal(out * groups) if bias else None,
    )


pairs = st.tuples(st.integers(1, 2), st.integers(1, 3))


@cases(
    lead=st.sampled_from([(), (2,)]), groups=st.integers(1, 2), size=st.tuples(small, small),
    kernel=pairs, stride=st.one_of(st.integers(1, 2), pairs), dilation=pairs,
    padding=st.one_of(st.tuples(st.integers(0, 2), st.integers(0, 2)), st.just("same")),
)  # fmt: skip
def test_conv2d(rng, lead, groups, size, kernel, stride, dilation, padding):
    agree(
        lambda F, x, w: F.conv2d(x, w, None, stride, padding, dilation, groups),
        rng.standard_normal((*lead, 2 * groups, *size)),
        rng.standard_normal((3 * groups, 2, *kernel)),
    )


@cases(
    lead=st.sampled_from([(), (2,)]), groups=st.integers(1, 2), length=small, kernel=small,
    stride=st.integers(1, 3), padding=st.integers(0, 2), extra=st.integers(0, 2),
    dilation=st.integers(1, 2), bias=flag,
)  # fmt: skip
def test_conv_transpose1d(
    rng, lead, groups, length, kernel, stride, padding, extra, dilation, bias
):
    agree(
        lambda F, *a: F.conv_transpose1d(*a, stride, padding, extra, groups, dilation),
        rng.standard_normal((*lead, 2 * groups, length)),
        rng.standard_normal((2 * groups, 3, kernel)),
        rng.standard_normal(3 * groups) if bias else None,
    )


# -- pooling and padding -----------------------------------------------------------------------------


@cases(
    lead=st.sampled_from([(2,), (2, 3)]), length=st.integers(1, 9), kernel=small, ceil_mode=flag,
    stride=st.one_of(st.none(), small), padding=st.integers(0, 2), dilation=st.integers(1, 3),
    indices=flag,
)  # fmt: skip
def test_max_pool1d(rng, lead, length, kernel, ceil_mode, stride, padding, dilation, indices):
    assume(
        length >= dilation
    )  # else a window may lie in the padding; torch's gradient is then wild
    x = rng.integers(-3, 3, (*lead, length)).astype(float)  # ties: the first of equals is taken
    agree(
        lambda F, x: F.max_pool1d(
            x, kernel, stride, padding, dilation, ceil_mode, return_indices=indices
        ),
        x,
    )


@cases(
    lead=st.sampled_from([(2,), (2, 3)]), length=st.integers(1, 9), kernel=small, ceil_mode=flag,
    stride=st.one_of(st.none(), small), padding=st.integers(0, 2), count_padding=flag,
)  # fmt: skip
def test_avg_pool1d(rng, lead, length, kernel, ceil_mode, stride, padding, count_padding):
    x = rng.standard_normal((*lead, length))
    agree(lambda F, x: F.avg_pool1d(x, kernel, stride, padding, ceil_mode, count_padding), x)


@cases(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)), kernel=pairs, ceil_mode=flag,
    stride=st.one_of(st.none(), pairs), padding=st.integers(0, 1), count_padding=flag,
    divisor=st.sampled_from([None, 3]),
)  # fmt: skip
def test_pool2d(rng, size, kernel, ceil_mode, stride, padding, count_padding, divisor):
    x = rng.standard_normal((2, 3, *size))
    options = (kernel, stride, padding, ceil_mode, count_padding, divisor)
    agree(lambda F, x: F.avg_pool2d(x, *options), x)
    agree(lambda F, x: F.max_pool2d(x, kernel, stride, padding, 1, ceil_mode), x)


@cases(size=st.tuples(st.integers(1, 7), st.integers(1, 7)), bins=st.tuples(small, small))
def test_adaptive_pools(rng, size, bins):
    x = rng.standard_normal((2, 3, *size))
    agree(lambda F, x: F.adaptive_avg_pool1d(x, bins[0]), x[0])
    agree(lambda F, x: F.adaptive_max_pool1d(x, bins[0], return_indices=True), x[0])
    agree(lambda F, x: F.adaptive_avg_pool2d(x, bins), x)


@cases(
    widths=st.lists(st.integers(-1, 3), min_size=2, max_size=2),
    mode=st.sampled_from(["constant", "reflect", "replicate", "circular"]), length=st.integers(1, 5),
)  # fmt: skip
def test_pad(rng, widths, mode, length):
    if mode == "circular":  # torch reads numbers it never wrote where more is added than is left
        assume(max(widths) <= length + min(*widths, 0))
    agree(lambda F, x: F.pad(x, widths, mode), rng.standard_normal((2, 3, length)))
