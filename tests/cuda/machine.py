"""The GPU of the tests of CUDA kernels: the shim, in several orders of threads, beside the references.

    from cuda.machine import SKIPS, check, gpu  # gpu: a fixture; its module's kernels run on the shim
    pytestmark = SKIPS
    check(norm.normalise_rows, x, w, b, 1e-5, True)

Several orders of threads and blocks must give the same bits, while bounds, races and alignment are
watched. MINIGRAD_SHIM=address runs under AddressSanitizer and UndefinedBehaviorSanitizer instead.
"""

import contextlib
import copy
import os
import subprocess
import sys

import numpy
import pytest
from hypothesis import strategies as st
from minigrad.kernels import cuda_parts, cuda_source, kernel, recurrent_cuda

from .shim import builder

MODE = os.environ.get("MINIGRAD_SHIM", "races")
EXAMPLES = 25 if MODE == "races" else 8
SKIPS = [
    pytest.mark.skipif(builder.GXX is None, reason="g++ is not installed"),
    pytest.mark.skipif(kernel.REFERENCE_ONLY, reason="references are what is compared with"),
]
NARROW = ["float16"]
with contextlib.suppress(ImportError):
    import ml_dtypes  # noqa: F401 (from now on NumPy knows a dtype "bfloat16")

    NARROW.append("bfloat16")
NAMES = ["float32", "float64", *NARROW] if MODE == "races" else ["float32"]
DTYPES = st.sampled_from(NAMES)
TOLERANCE = {"float32": 1e-5, "float64": 1e-12, "float16": 2**-9, "bfloat16": 2**-6}
# of 16 bits: two units in the last place of 11 and of 8 bits
SEEDS = 0, 1, 2


class Machine:
    """The GPU: an order for threads, and the arrays that kernels know by their addresses."""

    mode, seed, reach = MODE, 0, []
    launched: set = set()  # names of kernels

    gpu = cuda_source.Gpu(capability=90, processors=132, shared=227 << 10, shared_by_all=228 << 10)

    @classmethod
    def function(cls, file, name, dtype_name, macros=(), room=0):
        options = *cuda_source.MACROS[dtype_name], *macros
        defines = [option[2:].partition("=")[::2] for option in options]
        defines = {key: value or "1" for key, value in defines}
        code = cuda_source.source(file)
        run = builder.build(code, defines, cls.mode).kernel(name)
        run.max_dynamic_shared_size_bytes = room or cuda_source.SHARED
        cls.launched.add(name)
        return lambda *launch, **options: run(*launch, **options, seed=cls.seed, reach=cls.reach)

    @classmethod
    def address(cls, array):
        cls.reach.append(array)
        return array.ctypes.data


@pytest.fixture(scope="module", autouse=True)
def gpu():
    """Launches of the module's tests run on the shim."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_source, "function", Machine.function)
        patch.setattr(cuda_source, "gpu", lambda: Machine.gpu)
        patch.setattr(cuda_parts, "address", Machine.address)
        patch.setattr(cuda_source, "BLOCKS", 3)  # so that blocks go on in strides
        patch.setattr(recurrent_cuda, "matmul", matmul)
        yield


def matmul(a, b, out=None):
    """The library's product: 16-bit numbers are added up in float32, and rounded at the end."""
    found = numpy.matmul(widened(a), widened(b)).astype(a.dtype)
    if out is None:
        return found
    out[...] = found
    return out


def arrays_in(result):
    """All arrays in nested tuples and lists, in order."""
    if isinstance(result, numpy.ndarray | numpy.generic):
        return [numpy.asarray(result)]
    if isinstance(result, tuple | list):
        return [x for part in result for x in arrays_in(part)]
    return []


def on_gpu(one, *arguments, seeds=SEEDS):
    """([results], the arguments afterwards) of the kernel for CuPy; the same for all seeds."""
    found = []
    for Machine.seed in seeds:
        given = copy.deepcopy(arguments)
        Machine.reach = []
        with numpy.errstate(all="ignore"):
            result = one.implementations["cupy"](*given)
        found.append((arrays_in(result), given))
    bits = [[x.tobytes() for x in arrays_in(each)] for each in found]
    assert all(each == bits[0] for each in bits), "two orders of threads disagree"
    return found[0]


def widened(x):
    """Arrays of 16 bits as float32, in which kernels compute, also in nested tuples and lists."""
    if isinstance(x, tuple | list):
        return type(x)(map(widened, x))
    return x.astype("float32") if hasattr(x, "dtype") and x.dtype.name in NARROW else x


def check(one, *arguments, factor=1, seeds=SEEDS):
    """The kernel's results and what it changed are the reference's, computed in float32 at least."""
    narrow = any(x.dtype.name in NARROW for x in arrays_in(arguments))
    expected_arguments = copy.deepcopy(arguments)
    if narrow:
        expected_arguments = widened(expected_arguments)
    with numpy.errstate(all="ignore"):
        expected = arrays_in(one.reference(*expected_arguments))
    found, changed = on_gpu(one, *arguments, seeds=seeds)
    assert_near(found, expected, factor)
    assert_near(arrays_in(changed), arrays_in(expected_arguments), factor)


def assert_near(found, expected, factor=1):
    """As many arrays of the same shapes, dtypes and, but for rounding, numbers."""
    assert len(found) == len(expected)
    for x, y in zip(found, expected, strict=True):
        narrow = x.dtype.name in NARROW and y.dtype == "float32"
        assert x.shape == y.shape and (narrow or x.dtype == y.dtype)
        tolerance = TOLERANCE.get(x.dtype.name, 0) * factor
        if x.dtype.name in NARROW:
            x, y = x.astype("float32"), y.astype(x.dtype).astype("float32")
        numpy.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def numbers(*shape, dtype="float32", seed=0):
    """Normally distributed numbers."""
    return numpy.random.default_rng(seed).standard_normal(shape).astype(dtype)


def odd_layout(x, layout):
    """The same numbers elsewhere: at an address that is no multiple of 16, or not contiguous."""
    if layout == "shifted":
        room = numpy.empty(x.size + 1, x.dtype)[1:].reshape(x.shape)
        room[...] = x
        return room
    return numpy.repeat(x, 2, -1)[..., ::2] if layout == "strided" else x


LAYOUTS = st.sampled_from(["plain", "shifted", "strided"])


def run_under_sanitizers(file):
    """The tests of a file once more, under AddressSanitizer and UndefinedBehaviorSanitizer."""
    options = ["-qxs", "-p", "no:cacheprovider", "-p", "no:xdist"]  # -s: or what is said is lost
    options += ["-m", "not slow"]  # nvcc's part, which can't run with a sanitizer loaded
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, file],
        capture_output=True,
        text=True,
        env={**builder.sanitizer_environment(), "MINIGRAD_SHIM": "address"},
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    assert " passed" in done.stdout
