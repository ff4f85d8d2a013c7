"""Convolution over time on the GPU: conv1d.cu on the shim, against conv1d.py's references."""

import math
import re
import shutil
import subprocess

import numpy
import pytest
from cuda.machine import (
    DTYPES,
    EXAMPLES,
    LAYOUTS,
    MODE,
    NAMES,
    NARROW,
    SEEDS,
    SKIPS,
    Machine,
    assert_near,
    check,
    gpu,  # noqa: F401
    numbers,
    odd_layout,
    on_gpu,
    run_under_sanitizers,
    widened,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import conv1d as kernels
from minigrad.kernels import conv1d_cuda, cuda_source

pytestmark = SKIPS
NVCC = shutil.which("nvcc")

SHAPES = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 3),
        "channels": st.sampled_from([1, 3, 4, 5, 8, 17, 20]),
        "filters": st.sampled_from([1, 3, 4, 8, 66, 68]),
        "kernel": st.integers(1, 4),
        "more": st.sampled_from([0, 1, 2, 7, 15, 33, 70]),
        "stride": st.integers(1, 4),
        "dilation": st.integers(1, 3),
        "dtype": DTYPES,
        "layout": LAYOUTS,
        "products": st.sampled_from(["ordinary", "exact", "TF32"]),
    }
)


def arrays(batch, channels, filters, kernel, more, stride, dilation, dtype, layout, **_):
    """x, w, bias and the gradient of the output."""
    length = dilation * (kernel - 1) + 1 + more
    x = odd_layout(numbers(batch, length, channels, dtype=dtype), layout)
    w = numbers(filters, channels, kernel, dtype=dtype, seed=1)
    bias = odd_layout(numbers(filters, dtype=dtype, seed=2), layout)
    g = odd_layout(numbers(batch, more // stride + 1, filters, dtype=dtype, seed=3), layout)
    return x, w, bias, g


def on_shim(one, *arguments, products="exact"):
    """The results of the kernels, which must have run: the reference would be no news.

    products of float32: "ordinary", as on GPUs of 2018, or on tensor cores, "exact" or rounded to "TF32".
    """
    Machine.launched.clear()
    with pytest.MonkeyPatch.context() as patch:
        capability = 75 if products == "ordinary" and arguments[0].dtype == "float32" else 80
        patch.setattr(Machine, "gpu", Machine.gpu._replace(capability=capability))
        patch.setattr(conv1d_cuda, "tf32", lambda: products == "TF32")
        found, _ = on_gpu(one, *arguments, seeds=SEEDS[:2])
    assert Machine.launched
    return found


def factor(count, case):
    """Of the tolerance, for sums of so many products, which 16 bits are too coarse to tell."""
    if case["dtype"] in NARROW:
        return 1
    rounding = 100 if case["dtype"] == "float32" and case["products"] == "TF32" else 1
    return 3 * rounding * max(1, math.sqrt(count))


@settings(max_examples=EXAMPLES, deadline=None)
@given(SHAPES, st.booleans())
def test_forward(case, biased):
    x, w, bias, _ = arrays(**case)
    options = case["stride"], case["dilation"]
    given = x, w, *options, bias if biased else None
    found = on_shim(kernels.conv1d, *given, products=case["products"])
    x, w, bias = map(widened, (x, w, bias))
    expected = kernels.conv1d.reference(x, w, *options, bias if biased else None)
    assert_near(found, [expected], factor(w[0].size, case))


@settings(max_examples=EXAMPLES, deadline=None)
@given(SHAPES, st.integers(0, 2))
def test_gradient_for_the_input(case, unread):
    x, w, _, g = arrays(**case)
    length = x.shape[1] + unread  # a stride may leave so many that no window reaches
    options = length, case["stride"], case["dilation"]
    found = on_shim(kernels.conv1d_input, g, w, *options, products=case["products"])
    expected = kernels.conv1d_input.reference(*map(widened, (g, w)), *options)
    assert_near(found, [expected], factor(w[:, 0].size, case))


@settings(max_examples=EXAMPLES, deadline=None)
@given(SHAPES, st.sampled_from([1, 20, 256]))
def test_gradient_for_the_weights(case, least):
    x, w, _, g = arrays(**case)
    options = w.shape[2], case["stride"], case["dilation"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv1d_cuda, "LEAST", least)  # rows that make a part
        found = on_shim(kernels.conv1d_weight, g, x, *options, products=case["products"])
    expected = kernels.conv1d_weight.reference(*map(widened, (g, x)), *options)
    assert_near(found, [expected], factor(len(x) * g.shape[1], case))


@settings(max_examples=EXAMPLES, deadline=None)
@given(SHAPES, st.sampled_from([1, 256]), st.sampled_from([-30.0, 0.0]))
def test_maximum_over_time(case, many, low):
    x, w, bias, _ = arrays(**case)
    bias += bias.dtype.type(low)  # far below zero: hardly any number passes the ReLU
    options = case["stride"], case["dilation"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv1d_cuda, "MANY", many)  # blocks: with 1, texts are not cut into parts
        given = x, w, bias, *options
        best, where = on_shim(kernels.conv1d_relu_max, *given, products=case["products"])
    x, w, bias = map(widened, (x, w, bias))
    every = numpy.maximum(kernels.conv1d.reference(x, w, *options, bias), 0)
    assert_near([best], [every.max(1)], factor(w[0].size, case))
    there = numpy.take_along_axis(every, where[:, None], 1)[:, 0]
    assert_near([there], [every.max(1)], factor(w[0].size, case))
    assert not where[every.max(1) == 0].any()


@settings(max_examples=EXAMPLES, deadline=None)
@given(SHAPES, st.sampled_from([(True, True), (True, False), (False, True)]), st.booleans())
def test_gradients_of_the_maximum(case, wanted, crowded):
    x, w, _, g = arrays(**case)
    rng = numpy.random.default_rng(0)
    where = rng.integers(0, g.shape[1], (len(x), len(w)))
    where[crowded:] = 0  # all filters of most texts at the same step
    g = numpy.where(rng.random(where.shape) < 0.7, g[:, 0], 0).astype(x.dtype)
    given = g, where, x if wanted[1] else None, w
    options = x.shape[1], case["stride"], case["dilation"], wanted
    found = on_shim(kernels.conv1d_relu_max_backward, *given, *options)
    g, x, w = map(widened, (g, x, w))
    expected = kernels.conv1d_relu_max_backward.reference(g, where, x, w, *options)
    expected = [a for a in expected if a is not None]
    assert_near(found, expected, factor(len(w), case))


@pytest.mark.parametrize("products", ["ordinary", "exact"])
def test_a_long_text_is_cut_into_parts(products):
    x, w, bias = numbers(1, 400, 3), numbers(5, 3, 2, seed=1), numbers(5, seed=2)
    check(kernels.conv1d_relu_max, x, w, bias, 1, 1, factor=3)
    x[0, 70, 1] = x[0, 300, 2] = numpy.nan  # the first of them is the maximum
    if products == "ordinary":  # else NaN too
        x[0, 7] = numpy.inf
    best, where = on_shim(kernels.conv1d_relu_max, x, w, bias, 1, 1, products=products)
    with numpy.errstate(all="ignore"):
        every = numpy.maximum(kernels.conv1d.reference(x, w, 1, 1, bias), 0)
    assert numpy.isnan(best).all() and numpy.array_equal(where, every.argmax(1))


@pytest.mark.parametrize("dtype", NAMES)
def test_equal_maxima_stand_at_the_first(dtype):
    x = numpy.ones((2, 200, 4), dtype)
    w, bias = numpy.ones((3, 4, 2), dtype), numpy.array([0, 1, -9], dtype)
    best, where = on_shim(kernels.conv1d_relu_max, x, w, bias, 1, 1)
    assert (best == numpy.array([8, 9, 0])).all() and not where.any()


@pytest.mark.parametrize(("products", "expected"), [("exact", 1 + 2**-12), ("TF32", 1.0)])
def test_tf32_has_11_bits(products, expected):
    x = numpy.full((1, 3, 1), 1 + 2**-12, "float32")
    (out,) = on_shim(kernels.conv1d, x, numpy.ones((1, 1, 1), "float32"), 1, 1, products=products)
    assert (out == numpy.float32(expected)).all()


@pytest.mark.slow
@pytest.mark.skipif(MODE == "address" or NVCC is None, reason="nvcc, once, where there is one")
@pytest.mark.parametrize(
    ("dtype", "tensor"), [("float32", 3), ("float32", 1), ("float16", 1), ("bfloat16", 1)]
)
def test_compiles_for_tensor_cores_and_stays_in_registers(dtype, tensor, tmp_path):
    file = tmp_path / "conv1d.cu"
    file.write_text(cuda_source.source("conv1d.cu"))
    command = [NVCC, "-std=c++17", "-fatbin", "-Werror=all-warnings", "-Xptxas=-v"]
    command += [f"-gencode=arch=compute_{n},code=sm_{n}" for n in (80, 90)]
    command += [*cuda_source.MACROS[dtype], f"-DTENSOR={tensor}", "-o", str(tmp_path / "out")]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    spilled = set(re.findall(r"(\d+) bytes spill", done.stderr))
    assert spilled == {"0"}


def test_what_does_not_fit_is_the_references():
    x, w = numbers(2, 9, 3), numbers(4, 3, 2, seed=1)
    check(kernels.conv1d, x.astype("int64"), w.astype("int64"), 1, 1)
    check(kernels.conv1d, x[:0], w, 1, 1)
    check(kernels.conv1d_relu_max, x, w, numpy.zeros(4), 1, 1)
    check(kernels.conv1d_input, numbers(2, 8, 4)[:, :0], w, 9, 1, 1)
    check(kernels.conv1d_weight, numbers(2, 8, 4), x.astype("float64"), 2, 1, 1)
    many = numbers(5000, 1, 1)  # more filters than fit into shared memory
    arguments = numbers(1, 5000), numpy.zeros((1, 5000), int), x[:1, :, :1], many, 9, 1, 1
    check(kernels.conv1d_relu_max_backward, *arguments, (True, True), factor=100)


@pytest.mark.slow
@pytest.mark.skipif(MODE == "address", reason="this is what runs there")
def test_sanitizers_have_no_complaint():
    run_under_sanitizers(__file__)
