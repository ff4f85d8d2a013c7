"""The emulation of tensor cores and asynchronous copies (tests/cuda/shim/tensor.h).

Where a lane holds which number is written here once more, as the PTX ISA's formulas have it.
"""

import pathlib

import numpy
import pytest
from cuda.shim import builder
from hypothesis import given, settings
from hypothesis import strategies as st

FILE = pathlib.Path(__file__).parent / "cuda" / "mma_checks.cu"
pytestmark = pytest.mark.skipif(builder.GXX is None, reason="g++ is not installed")
LANES = numpy.arange(32)
GROUP, IN_GROUP = LANES >> 2, LANES % 4


def kernel(name, mode="races"):
    return builder.build(FILE, sanitize=mode).kernel(name)


def places(kind):
    """(rows of A, columns of A, rows of B, columns of B), each (lane, element), by the PTX ISA.

    .f16 and .bf16, m16n8k16: of a_i the row is groupID for 0 <= i < 2 or 4 <= i < 6, else groupID + 8,
    the column threadID_in_group * 2 + (i & 1), + 8 for i >= 4; of b_i the row is threadID_in_group * 2 +
    (i & 1), + 8 for i >= 2, the column groupID. .tf32, m16n8k8: of a_i the row is groupID for a0 and a2,
    else groupID + 8, the column threadID_in_group for a0 and a1, else + 4; of b_i the row is
    threadID_in_group for b0, else + 4, the column groupID.
    """
    rows, columns, b_rows = [], [], []
    if kind == "tf32":
        for i in range(4):
            rows.append(GROUP if i in (0, 2) else GROUP + 8)
            columns.append(IN_GROUP if i in (0, 1) else IN_GROUP + 4)
        for i in range(2):
            b_rows.append(IN_GROUP if i == 0 else IN_GROUP + 4)
    else:
        for i in range(8):
            rows.append(GROUP if 0 <= i < 2 or 4 <= i < 6 else GROUP + 8)
            columns.append(IN_GROUP * 2 + (i & 1) + (8 if i >= 4 else 0))
        for i in range(4):
            b_rows.append(IN_GROUP * 2 + (i & 1) + (8 if i >= 2 else 0))
    return [numpy.array(x).T for x in (rows, columns, b_rows, [GROUP] * len(b_rows))]


C_ROWS = numpy.array([GROUP if i < 2 else GROUP + 8 for i in range(4)]).T
C_COLUMNS = numpy.array([IN_GROUP * 2 + (i & 1) for i in range(4)]).T


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(["f16", "bf16", "tf32"]), st.integers(0, 99), st.sampled_from([False, "races"])
)
def test_products(kind, seed, mode):
    rng = numpy.random.default_rng(seed)
    k = 8 if kind == "tf32" else 16
    dtype = numpy.dtype({"f16": "float16", "tf32": "float32"}.get(kind, "float32"))
    if kind == "bf16":
        dtype = numpy.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    a, b = rng.standard_normal((16, k)).astype(dtype), rng.standard_normal((k, 8)).astype(dtype)
    if kind == "tf32":  # only the upper 19 bits count
        exact = [(x.view("uint32") & 0xFFFFE000).view("float32") for x in (a, b)]
    else:
        exact = a, b
    c = rng.standard_normal((16, 8)).astype("float32")
    rows, columns, b_rows, b_columns = places(kind)
    left = numpy.ascontiguousarray(a[rows, columns]).view("uint32")
    right = numpy.ascontiguousarray(b[b_rows, b_columns]).view("uint32")
    found = numpy.ascontiguousarray(c[C_ROWS, C_COLUMNS])
    kernel(f"product_{kind}", mode)(1, 32, (left, right, found), seed=seed)
    expected = c + exact[0].astype("float64") @ exact[1].astype("float64")
    assert numpy.array_equal(found, expected.astype("float32")[C_ROWS, C_COLUMNS])


def test_rounding_to_tf32():
    x = numpy.zeros(32, "float32")
    x[:8] = 1, 1 + 2**-10, 1 + 2**-11, -1 - 2**-11, 1 + 2**-12, numpy.inf, -numpy.inf, numpy.nan
    bits = numpy.empty(32, "uint32")
    kernel("round_to_tf32")(1, 32, (x, bits))
    found = bits.view("float32")[:8]
    expected = 1, 1 + 2**-10, 1 + 2**-10, -1 - 2**-10, 1, numpy.inf, -numpy.inf, numpy.nan
    numpy.testing.assert_array_equal(found, numpy.array(expected, "float32"))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_loads_of_matrices(seed):
    x = numpy.random.default_rng(seed).integers(0, 2**16, (4, 8, 8)).astype("uint16")
    out, turned = numpy.empty((2, 32, 4), "uint32")
    unused = numpy.zeros((), numpy.dtype([("x", "4u4")]))
    assert unused.itemsize == 16
    run = kernel("load_matrices")
    run(1, 32, (numpy.uint64(x.ctypes.data), out, turned), seed=seed, reach=[x])
    pairs = out.view("uint16").reshape(32, 4, 2)
    for lane in range(32):
        for m in range(4):
            assert (pairs[lane, m] == x[m, lane // 4, lane % 4 * 2 : lane % 4 * 2 + 2]).all()
            found = turned.view("uint16").reshape(32, 4, 2)[lane, m]
            assert (found == x[m, lane % 4 * 2 : lane % 4 * 2 + 2, lane // 4]).all()


@pytest.mark.parametrize("mode", [False, "races"])
@pytest.mark.parametrize("missing", [0, 1, 70])
def test_copies(mode, missing):
    x, y = numpy.random.default_rng(1).standard_normal((2, 512)).astype("float32")
    kernel("copy", mode)(1, 64, (x, y, numpy.int32(missing)), seed=missing)
    expected = x.copy()
    expected[512 - 4 * missing :] = 0
    assert numpy.array_equal(y.reshape(2, 64, 4), expected.reshape(2, 64, 4)[:, ::-1])


MISUSE = {
    "product_of_some": r"deadlock.*mma_f16|lane 31, which has left",
    "different_products": r"mma_b?f16, line \d+, .* is at mma_b?f16",
    "load_odd_rows": r"ldmatrix of an address that is no multiple of 16",
    "load_from_afar": r"ldmatrix of an address that is not in shared memory",
    "copy_to_odd": r"copy_async of an address that is no multiple of 16",
    "copy_from_odd": r"copy_async from an address that is no multiple of 16",
    "copy_beyond": r"at byte 512 of argument 0, which has 512 bytes",
    "read_without_barrier": r"race: this thread (reads|writes) byte|which no thread has written",
    "overwrite": r"race: this thread (reads|writes) byte",
    "never_wait": r"asynchronous copies that this thread never waits for",
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", MISUSE)
def test_misuse_is_an_error(name, seed):
    a, c = numpy.zeros(128, "uint32"), numpy.zeros(32, "float32")
    with pytest.raises(builder.CudaError, match=MISUSE[name]):
        kernel(name)(1, 32, (a, c), seed=seed)


def test_who_reads_too_early_reads_nan():
    a, c = numpy.zeros(128, "uint32"), numpy.zeros(32, "float32")
    kernel("read_too_early")(1, 32, (a, c))
    assert numpy.isnan(c).all()
