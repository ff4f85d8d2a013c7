"""The harness that runs CUDA sources on the CPU (tests/cuda/shim): right results, planted mistakes."""

import pathlib
import re
import subprocess
import sys

import numpy
import pytest
from cuda.shim import builder
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = pathlib.Path(__file__).parent / "cuda"
pytestmark = pytest.mark.skipif(builder.GXX is None, reason="g++ is not installed")
MODES = [False, "races"]
SEEDS = [0, 1, 2]


def kernel(name, mode="races"):
    return builder.build(HERE / "checks.cu", sanitize=mode).kernel(name)


def numbers(*shape, dtype="float32", seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape).astype(dtype)


# -- right results -----------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 3000), st.integers(1, 32), st.integers(1, 5), st.integers(0, 2**40))
def test_block_sum(n, warps, blocks, seed):
    x, out = numbers(n), numpy.empty(blocks, "float32")
    kernel("block_sum")(blocks, 32 * warps, (x, out, numpy.int32(n)), seed=seed)
    numpy.testing.assert_allclose(out.sum(), x.sum(dtype="float64"), atol=1e-3)
    again = numpy.empty_like(out)
    kernel("block_sum", False)(blocks, 32 * warps, (x, again, numpy.int32(n)), seed=seed + 1)
    assert numpy.array_equal(out, again)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", SEEDS)
def test_warp_sum_by_shared_memory(mode, seed):
    x, out = numbers(96), numpy.empty(96, "float32")
    kernel("warp_sum", mode)(1, 96, (x, out), shared_mem=4 * 96, seed=seed)
    expected = x.reshape(3, 32).sum(1).repeat(32)
    numpy.testing.assert_allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_shuffles(seed):
    x, out = numbers(64, dtype="float64"), numpy.empty((5, 64))
    kernel("shuffles")(1, 64, (x, out), seed=seed)
    lane = numpy.arange(64) % 32
    warp = numpy.arange(64) - lane
    first = warp + 5
    first[:8] = numpy.arange(8) ^ 1
    assert numpy.array_equal(out[0], x[first])
    assert numpy.array_equal(out[1], x[warp + lane // 8 * 8 + 1])
    assert numpy.array_equal(out[2], x[warp + numpy.where(lane < 3, lane, lane - 3)])
    assert numpy.array_equal(out[3], x[warp + numpy.where(lane % 16 > 13, lane, lane + 2)])
    assert numpy.array_equal(out[4], x[warp + (lane ^ 4)])


@pytest.mark.parametrize("seed", SEEDS)
def test_votes(seed):
    x = numpy.random.default_rng(3).integers(0, 5, 64).astype("int32")
    out = numpy.empty((7, 64), "int32")
    kernel("votes")(1, 64, (x, out), seed=seed)
    for warp in (slice(0, 32), slice(32, 64)):
        mine = x[warp]
        bits = 1 << numpy.arange(32, dtype="int64")
        assert (out[0, warp].astype("uint32") == bits[mine > 2].sum()).all()
        assert (out[1, warp] == 1 + 2 * (4 in mine)).all()
        same = [bits[mine == value].sum() for value in mine]
        assert (out[2, warp].astype("uint32") == same).all()
        assert (out[3, warp] == mine.sum() + 1000 * mine.max()).all()
    assert (out[4] == 4 * (x == 1).sum() + 2).all()
    assert (out[5] == 1).all() and (out[6] == 32).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", SEEDS)
def test_atomics(mode, seed):
    x = numpy.random.default_rng(4).integers(0, 8, 192).astype("int32")
    counts, total, total64 = numpy.zeros(8, "int32"), numpy.zeros(1, "float32"), numpy.zeros(1)
    most, ticket = numpy.array([-9, 99], "int32"), numpy.zeros(1, "uint32")
    product = numpy.ones(1, "uint64")
    args = x, counts, total, total64, most, ticket, product
    kernel("atomics", mode)(3, 64, args, seed=seed)
    assert (counts == numpy.bincount(x, minlength=8)).all()
    assert total[0] == total64[0] == x.sum()
    assert most.tolist() == [x.max(), x.min()] and ticket[0] == 192 % 3
    assert product[0] == numpy.multiply.reduce(2 * x.astype("uint64") + 1)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(width=32), min_size=8, max_size=8))
def test_halves(values):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    with numpy.errstate(all="ignore"):
        z = numpy.array(values, "float32")
        x, y = z.astype("float16"), z.astype(ml_dtypes.bfloat16)
        out = [numpy.empty_like(a) for a in (x, x, y, x, y)]
        kernel("halves")(1, 8, (x, y, *out, z))
        other = numpy.arange(8) ^ 1
        expected = x + x[other], x * x[other], y + y[other], x, y
        for found, wanted in zip(out, expected, strict=True):
            numpy.testing.assert_array_equal(found.astype("float32"), wanted.astype("float32"))


def test_wide_loads_and_a_struct_by_value():
    x, y = numbers(32), numpy.empty(32, "float32")
    four = builder.build(HERE / "checks.cu", sanitize="races").kernel("wide")
    assert four.parameters == ["ps16", "ps16", "s12"]
    unused = numpy.zeros((), numpy.dtype([("x", "3u4")]))[()]
    pointers = [numpy.uint64(a.ctypes.data) for a in (x, y)]
    four(1, 8, (*pointers, unused), reach=[x, y])
    assert numpy.array_equal(y.reshape(8, 4), x.reshape(8, 4)[:, ::-1])


@pytest.mark.parametrize("seed", SEEDS)
def test_threads_know_their_places(seed):
    out = numpy.zeros(2 * 3 * 2 * 24, "int32")
    kernel("places", False)((2, 3, 2), (4, 3, 2), (out,), seed=seed)
    assert (out.reshape(12, 24) == 1000 * numpy.arange(12)[:, None] + numpy.arange(24)).all()


# -- mistakes ----------------------------------------------------------------------------------------


def zeros(n):
    return numpy.zeros(n, "float32")


MISTAKES = [
    (
        "shared_race",
        64,
        zeros(64),
        r"race: .*static shared memory.*checks.cu:\d+ \[shared_race, block",
    ),
    ("warp_race", 32, zeros(32), r"race: .*warp 0, lanes"),
    ("global_race", 32, zeros(16), r"race: .*argument 0"),
    ("half_atomic", 32, numpy.zeros(1, "int32"), r"race: .*atomically changes"),
    ("never_written", 32, zeros(32), r"byte 0 of shared memory, which no thread has written"),
    (
        "beyond_global",
        32,
        zeros(31),
        r"a write of 4 bytes at byte 124 of argument 0, which has 124",
    ),
    ("beyond_dynamic", 33, zeros(33), r"at byte 128 of shared memory, which has 128 bytes"),
    ("skipped_barrier", 64, zeros(64), r"left the kernel|deadlock"),
    ("two_barriers", 64, zeros(64), r"divergent barrier: .* line \d+, another in line \d+"),
    ("lane_left", 32, zeros(32), r"__shfl_sync|deadlock.*left the kernel"),
    (
        "lane_elsewhere",
        32,
        zeros(32),
        r"deadlock.*0 to 15 at __shfl_sync.*16 to 31 at __syncthreads",
    ),
    ("other_masks", 32, zeros(32), r"mask 0xffffffff.*mask 0xffff0000|deadlock.*left the kernel"),
    ("not_in_mask", 32, zeros(32), r"lane \d+ calls it with mask 0xff, which lacks it|deadlock"),
    ("from_outside", 32, zeros(32), r"reads lane 9, which is not in the mask 0xff"),
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("name", "block", "out", "message"), MISTAKES, ids=[m[0] for m in MISTAKES]
)
def test_mistakes_are_told(name, block, out, message, seed):
    with pytest.raises(builder.CudaError, match=message):
        kernel(name)(1, block, (out.copy(),), shared_mem=128, seed=seed)
    kernel("block_sum")(1, 32, (zeros(9), zeros(1), numpy.int32(9)))  # the next launch is well


@pytest.mark.parametrize("seed", SEEDS)
def test_blocks_that_write_one_place_race(seed):
    with pytest.raises(builder.CudaError, match=r"race: .*another block"):
        kernel("block_race")(2, 32, (zeros(1),), seed=seed)


def test_a_race_shows_in_two_orders_too():
    found = set()
    for seed in range(6):
        out = zeros(64)
        kernel("shared_race", False)(1, 64, (out,), seed=seed)
        found.add(out.tobytes())
    assert len(found) > 1


def test_arguments_must_fit():
    x, out, n = zeros(4), zeros(1), numpy.int32(4)
    run = kernel("block_sum", False)
    for args, message in [
        ((x, out), "2 arguments for 3 parameters"),
        ((x, out, numpy.int64(4)), r"argument 2 is .*int64.*i4"),
        ((x.astype("float64"), out, n), "argument 0 is an array of float64"),
        ((x, out, 4), "NumPy scalars"),
        ((numpy.float32(1), out, n), "argument 0"),
    ]:
        with pytest.raises(builder.CudaError, match=message):
            run(1, 32, args)
    for grid, block in [(0, 32), (1, 0), (1, 1025), ((1, 70000), 32), (1, (512, 3))]:
        with pytest.raises(builder.CudaError, match="grid|block"):
            run(grid, block, (x, out, n))
    with pytest.raises(builder.CudaError, match="shared memory"):
        run(1, 32, (x, out, n), shared_mem=50000)
    with pytest.raises(builder.CompileError, match="nonsense"):
        builder.build('\nextern "C" __global__ void f() { nonsense(); }\n')


# -- sanitizers --------------------------------------------------------------------------------------

PLANTED = {
    "beyond_global": ("zeros(31, 'f'),", 32, "heap-buffer-overflow"),
    "beyond_static": ("zeros(32, 'f'), int32(1)", 32, "overflow|out of bounds"),
    "beyond_dynamic": ("zeros(33, 'f'),", 33, "heap-buffer-overflow"),
    "misaligned": ("zeros(8, 'f'),", 1, "misaligned address"),
    "too_far_a_shift": ("zeros(1, 'i'), int32(33)", 1, "shift exponent 33 is too large"),
    "block_sum": ("ones(70, 'f'), zeros(1, 'f'), int32(70)", 64, "^the end$"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_sanitizers(name):
    arguments, block, message = PLANTED[name]
    program = f"""
import sys; sys.path.insert(0, {str(HERE / "shim")!r})
from numpy import *
import builder
run = builder.build({str(HERE / "checks.cu")!r}, sanitize=True).kernel({name!r})
for seed in 0, 1: run(1, {block}, ({arguments}), shared_mem=128, seed=seed)
print("the end")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=builder.sanitizer_environment(),
    )
    told = done.stdout + done.stderr
    assert re.search(message, told, re.MULTILINE), told[-3000:]
    assert (done.returncode == 0) == (name == "block_sum")
