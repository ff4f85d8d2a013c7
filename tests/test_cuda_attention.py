"""Attention's CUDA kernels, run on the CPU (tests/cuda/shim), against the definition.

Every way to multiply (16-bit numbers and floats on tensor cores, ordinary arithmetic) and every cut
(rows a warp, tiles, stages, warps) that attention_cuda.py can choose.
"""

import shutil
import subprocess

import numpy
import pytest
from cuda.machine import (
    EXAMPLES,
    MODE,
    SEEDS,
    SKIPS,
    Machine,
    arrays_in,
    assert_near,
    gpu,  # noqa: F401
    numbers,
    odd_layout,
    on_gpu,
    run_under_sanitizers,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from minigrad.kernels import attention, attention_cuda, cuda_source, tensor_cores

pytestmark = SKIPS
KINDS = ["float32", "float64", "float16", "bfloat16"] if MODE == "races" else ["float32", "float16"]
OLD_GPU = cuda_source.Gpu(capability=75, processors=40, shared=64 << 10, shared_by_all=64 << 10)
SMALL_GPU = cuda_source.Gpu(capability=86, processors=2, shared=99 << 10, shared_by_all=100 << 10)
# Results of 16 bits are rounded once at the end, and weights and slopes once on the way.
NEAR = {"float32": 1e-4, "float64": 1e-11, "float16": 4e-3, "bfloat16": 4e-2, "tf32": 8e-3}


def dtype_of(name):
    if name == "bfloat16":
        return numpy.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    return numpy.dtype(name)


def wide(x):
    """The same numbers with the dtype that is computed with."""
    small = hasattr(x, "dtype") and x.dtype.name in ("float16", "bfloat16")
    return x.astype("float32") if small else x


def near(found, expected, name):
    found, expected = arrays_in(found), arrays_in(expected)
    assert len(found) == len(expected)
    for x, y in zip(found, expected, strict=True):
        assert x.shape == y.shape
        numpy.testing.assert_allclose(
            wide(x),
            y,
            rtol=NEAR[name],
            atol=NEAR[name] * max(1, numpy.nanmax(abs(y), initial=0, where=numpy.isfinite(y))),
        )


def check(q, k, v, *options, name=None, seeds=SEEDS[:2], seed=5):
    """Forward and backward are the definition's, in float32 at least, and the same in each order."""
    name = name or q.dtype.name
    exact = [wide(x) for x in (q, k, v, *options)]
    with numpy.errstate(all="ignore"):
        expected = attention.attention.reference(*exact)
        out, logs = on_gpu(attention.attention, q, k, v, *options, seeds=seeds)[0]
        near([out, logs], expected, name)
        assert out.dtype == q.dtype and logs.dtype == cuda_source.wider(q.dtype)
        g = numbers(*out.shape, seed=seed).astype(q.dtype)
        expected = attention.attention_backward.reference(wide(g), wide(out), logs, *exact)
    given = g, out, logs, q, k, v, *options
    grads = on_gpu(attention.attention_backward, *given, seeds=seeds)[0]
    assert [x.dtype for x in grads] == [q.dtype] * 3
    near(grads, expected, name)


MASKS = ["none", "none", "bools", "numbers", "columns", "rows"]


def mask_of(kind, batch, heads, queries, keys, dtype):
    rng = numpy.random.default_rng(queries)
    return {
        "none": None,
        "bools": rng.random((batch, 1, queries, keys)) < 0.5,
        "numbers": numbers(heads, queries, keys, seed=4).astype(dtype),
        "columns": rng.random((batch, 1, 1, keys)) < 0.5,
        "rows": rng.random((queries, 1)) < 0.7,  # some may attend to nothing
    }[kind]


@settings(max_examples=EXAMPLES * 5 // 8, deadline=None)
@example(
    1, (1, 1), 1, 65, (8, 8), "none", True, 0.0, "float32", "plain", 1.0
)  # keys that none sees
@given(
    st.integers(1, 2),
    st.sampled_from([(1, 1), (2, 2), (4, 2), (2, 1)]),
    st.integers(1, 40),
    st.integers(1, 70),
    st.sampled_from([(8, 8), (16, 16), (13, 5)]),
    st.sampled_from(MASKS),
    st.booleans(),
    st.sampled_from([0.0, 0.0, 0.4, 1.0]),
    st.sampled_from(KINDS),
    st.sampled_from(["plain", "turned", "shifted", "strided"]),
    st.sampled_from([1.0, 1.0, -0.5, 0.0]),
)
def test_attention(
    batch, heads, queries, keys, widths, masked, causal, dropout, dtype, layout, sign
):
    (h, shared), (d, e), dtype = heads, widths, dtype_of(dtype)
    shapes = (batch, h, queries, d), (batch, shared, keys, d), (batch, shared, keys, e)
    q, k, v = (numbers(*shape, seed=i).astype(dtype) for i, shape in enumerate(shapes))
    if layout == "turned":  # as they lie in memory after a projection
        q, k, v = (x.transpose(0, 2, 1, 3).copy().transpose(0, 2, 1, 3) for x in (q, k, v))
    q, k, v = (odd_layout(x, layout) for x in (q, k, v))
    mask = mask_of(masked, batch, h, queries, keys, dtype)
    assert attention_cuda._fits(q, k, v, mask)
    check(q, k, v, mask, sign * d**-0.5, causal, dropout, 12345)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("dtype", KINDS)
def test_attention_of_several_blocks(dtype, causal, monkeypatch):
    monkeypatch.setattr(Machine, "mode", "address" if MODE == "address" else False)
    q, k, v = numbers(3, 1, 2, 150, 64).astype(dtype_of(dtype))
    check(q, k[:, :1, :140], v[:, :1, :140], None, 0.1, causal, 0.0, 7)


@pytest.mark.parametrize(
    "dtype, width", [("float32", 128), ("float16", 128), ("bfloat16", 72), ("float64", 72)]
)
def test_attention_of_wide_heads(dtype, width, monkeypatch):
    monkeypatch.setattr(Machine, "mode", "address" if MODE == "address" else False)
    q, k, v = numbers(3, 1, 1, 70, width).astype(dtype_of(dtype))
    check(q, k, v, None, 0.1, True, 0.2, 7, seeds=SEEDS[:1])


@pytest.mark.parametrize("dtype, width", [("float16", 64), ("bfloat16", 128)])
def test_more_rows_a_warp_where_there_are_many(dtype, width, monkeypatch):
    monkeypatch.setattr(
        Machine, "gpu", SMALL_GPU._replace(shared=227 << 10, shared_by_all=228 << 10)
    )
    monkeypatch.setattr(Machine, "mode", MODE if width == 64 else False)
    q, k, v = numbers(3, 1, 2, 130, width).astype(dtype_of(dtype))
    facts = dtype, width, True, False, 4, Machine.gpu, False
    assert "-DTALL=2" in attention_cuda._plan("attention", *facts).macros
    check(q, k, v, None, 0.1, True, 0.0, 7, seeds=SEEDS[:1])


@pytest.mark.parametrize(
    "dtype, device, width",
    [("float32", SMALL_GPU, 128), ("float32", OLD_GPU, 64), ("bfloat16", OLD_GPU, 64)],
)
def test_gpus_with_less_shared_memory(dtype, device, width, monkeypatch):
    monkeypatch.setattr(Machine, "gpu", device)
    q, k, v = numbers(3, 1, 1, 40, width).astype(dtype_of(dtype))
    check(q, k, v, None, 0.1, True, 0.3, 7, seeds=SEEDS[:1])


def test_every_gpu_has_a_plan():
    for device in (OLD_GPU, SMALL_GPU, Machine.gpu):
        for dtype in ("float32", "float16", "bfloat16"):
            for name in ("attention", "attention_dq", "attention_dkv"):
                for width in (8, 100, 128):
                    facts = dtype, width, False, True, 1000, device, False
                    assert attention_cuda._plan(name, *facts).shared <= device.shared
    facts = "float64", 64, True, True, 1, OLD_GPU, False
    assert all(attention_cuda._plan(name, *facts) for name in ("attention", "attention_dkv"))


def test_tf32_where_it_is_allowed(monkeypatch):
    monkeypatch.setattr(tensor_cores, "_allowed", True)
    q, k, v = numbers(3, 1, 2, 70, 24)
    check(q, k, v, None, 0.2, True, 0.0, 7, name="tf32")
    out, _ = on_gpu(attention.attention, q, k, v, None, 0.2, True, 0.0, 7)[0]
    expected, _ = attention.attention.reference(q, k, v, None, 0.2, True, 0.0, 7)
    assert abs(out - expected).max() > 1e-5  # it is TF32


@pytest.mark.parametrize("dtype", KINDS)
def test_infinite_scores_and_nan(dtype):
    q, k, v = numbers(3, 1, 1, 20, 16).astype(dtype_of(dtype))
    q[0, 0, 3, 0] = numpy.nan
    mask = numpy.zeros((20, 20), q.dtype)
    mask[5] = -numpy.inf
    mask[7, 2:] = -numpy.inf
    found, logs = on_gpu(attention.attention, q, k, v, mask, 0.25, False, 0.0, 0)[0]
    expected, _ = attention.attention.reference(*map(wide, (q, k, v, mask)), 0.25, False, 0.0, 0)
    assert numpy.isnan(wide(found)[0, 0, 3]).all() and (wide(found)[0, 0, 5] == 0).all()
    assert logs[0, 0, 5] == numpy.inf
    near(found[:, :, 4:], expected[:, :, 4:], dtype)


def test_attention_that_does_not_fit_is_the_reference():
    q = numbers(1, 1, 3, 130)
    options = None, 0.1, False, 0.0, 0
    found = on_gpu(attention.attention, q, q, q, *options)[0]
    assert_near(found, list(attention.attention.reference(q, q, q, *options)))
    assert attention_cuda._fits(q[..., :128], q[..., :128], q[..., :128], None)


# -- compiled by NVIDIA's compiler -----------------------------------------------------------------

NVCC = shutil.which("nvcc")


def sources(dtype, device, widths, extras=(False, True), crowds=(1, 1000)):
    """The (file, macros) that a GPU may be asked for, with rows of whole 16 bytes."""
    found = {}
    for name in ("attention", "attention_dq", "attention_dkv"):
        for width in widths:
            for more in extras:
                for allowed in (False, True) if dtype == "float32" else (False,):
                    for blocks in crowds:
                        facts = dtype, width, True, more, blocks, device, allowed
                        file = attention_cuda.FILES.get(name, "attention_backward.cu")
                        found[file, attention_cuda._plan(name, *facts).macros] = None
    return list(found)


def compiled(dtype, file, macros, folder, capability):
    """What ptxas says of each kernel of a file: the line with the bytes that it spills."""
    path = folder / "source.cu"
    path.write_text(cuda_source.source(file))
    command = [NVCC, "-std=c++17", "-cubin", "-Werror=all-warnings", "-Xptxas=-v"]
    command += [f"-arch=sm_{capability}", *cuda_source.MACROS[dtype], *macros]
    command += ["-o", str(folder / "out"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if "spill" in line]


@pytest.mark.slow
@pytest.mark.skipif(NVCC is None, reason="nvcc is not installed")
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_no_registers_are_spilled(dtype, tmp_path):
    for file, macros in sources(dtype, Machine.gpu, (64, 128)):
        told = compiled(dtype, file, macros, tmp_path, 90)
        assert told and all(" 0 bytes spill stores, 0 bytes spill" in line for line in told), macros


@pytest.mark.slow
@pytest.mark.skipif(NVCC is None, reason="nvcc is not installed")
@pytest.mark.parametrize("device", [OLD_GPU, SMALL_GPU])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_smaller_gpus(dtype, device, tmp_path):
    for file, macros in sources(dtype, device, (64,), (True,), (1,)):
        compiled(dtype, file, macros, tmp_path, device.capability)


# -- all of them, otherwise ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(MODE == "address", reason="this is what runs there")
def test_sanitizers_have_no_complaint():
    run_under_sanitizers(__file__)
