"""The pool: all of a range is done once, whatever the number of threads, forks and other threads."""

import multiprocessing
import os
import subprocess
import sys
import threading

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import kernel, threads
from minigrad.kernels.kernel import compiled
from minigrad.kernels.matmul import product
from minigrad.kernels.threads import share

import minigrad

pytestmark = pytest.mark.cpu_only(reason="threads and compiled loops, which share main memory")


@compiled
def count_up(begin, end, x, amount):
    for i in range(begin, end):
        x[i] += amount


@pytest.fixture(autouse=True)
def same_number_of_threads_after():
    before = minigrad.get_num_threads()
    yield
    minigrad.set_num_threads(before)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(1, 50), st.integers(1, 5))
def test_every_place_is_done_once(count, grain, number):
    minigrad.set_num_threads(number)
    x = numpy.zeros(count, numpy.int64)
    share(count_up, count, x, 1, grain=grain)
    assert (x == 1).all()


def test_many_jobs_in_a_row():
    minigrad.set_num_threads(4)
    x = numpy.zeros(64, numpy.int64)
    for _ in range(3000):
        share(count_up, 64, x, 1)
    assert (x == 3000).all()


def test_from_several_threads_at_once():
    minigrad.set_num_threads(3)
    found = []

    def work():
        x = numpy.zeros(1000, numpy.int64)
        for _ in range(300):
            share(count_up, 1000, x, 1, grain=10)
        found.append((x == 300).all())

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert found == [True] * 4


def _in_child(queue):
    x = numpy.zeros(1000, numpy.int64)
    for _ in range(50):
        share(count_up, 1000, x, 1, grain=10)
    queue.put(bool((x == 50).all()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_in_a_forked_child():
    minigrad.set_num_threads(2)
    share(count_up, 100, numpy.zeros(100, numpy.int64), 1)  # the parent's pool runs
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0


def test_numbers_of_threads_are_checked():
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(RuntimeError, match="expects a positive integer"):
            minigrad.set_num_threads(wrong)
    minigrad.set_num_threads(3)
    assert minigrad.get_num_threads() == 3


def test_idle_workers_go_to_sleep():
    minigrad.set_num_threads(2)
    share(count_up, 100, numpy.zeros(100, numpy.int64), 1)
    worker = threads._pool.workers[0]
    for _ in range(200):
        if worker.asleep:
            break
        threading.Event().wait(0.02)
    assert worker.asleep


# -- products ------------------------------------------------------------------------------------


SHAPES = [
    ((40, 300), (300, 700)),
    ((700, 300), (300, 40)),
    ((129, 257), (257, 131)),
    ((20, 5000), (5000, 30)),
    ((1, 9), (9, 1)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_products_of_views(shapes, dtype):
    rng = numpy.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    wide = rng.standard_normal((shapes[0][0], 2 * shapes[0][1])).astype(dtype)
    tolerance = 1e-3 if dtype == "float32" else 1e-11
    for left in (a, numpy.asfortranarray(a), wide[:, : a.shape[1]], wide[:, ::2], a[::-1]):
        for right in (b, numpy.asfortranarray(b), b[:, ::-1]):
            found = product[numpy](left, right)
            assert found.dtype == dtype
            numpy.testing.assert_allclose(found, left @ right, rtol=tolerance, atol=tolerance)
    bias = rng.standard_normal(b.shape[1]).astype(dtype)
    found = product[numpy](a, b, bias=bias)
    numpy.testing.assert_allclose(found, a @ b + bias, rtol=tolerance, atol=tolerance)
    out = numpy.full((a.shape[0], b.shape[1] + 3), 7, dtype)
    product[numpy](a, b, out=out[:, 1:-2])
    numpy.testing.assert_allclose(out[:, 1:-2], a @ b, rtol=tolerance, atol=tolerance)
    product[numpy](a, b, out=out[:, 1:-2], add=True)
    numpy.testing.assert_allclose(out[:, 1:-2], 2 * (a @ b), rtol=tolerance, atol=tolerance)
    assert (out[:, 0] == 7).all() and (out[:, -2:] == 7).all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 3), max_size=2),
    st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(0, 90)),
    st.booleans(),
    st.booleans(),
)
def test_products_of_stacks(lead, sizes, transposed, alone):
    m, k, n = sizes
    rng = numpy.random.default_rng(m)
    a = rng.standard_normal((*lead, m, k))
    b = rng.standard_normal((n, k)).T if alone else rng.standard_normal((*lead, k, n))
    if transposed:
        a = a.swapaxes(-1, -2).copy().swapaxes(-1, -2)
    numpy.testing.assert_allclose(product[numpy](a, b), a @ b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    "shapes",
    [((512, 300), (300, 640)), ((20, 9000), (9000, 30)), ((30, 64, 80), (30, 80, 64))],
    ids=str,
)
def test_products_do_not_depend_on_the_number_of_threads(shapes):
    rng = numpy.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype("float32") for shape in shapes)
    found = []
    for number in (1, 2, 3, 2):
        minigrad.set_num_threads(number)
        found.append(product[numpy](a, b).tobytes())
    assert len(set(found)) == 1


def test_blas_has_its_threads_back_after_a_product():
    from minigrad.kernels import matmul

    library = matmul.blas()
    if library is None:
        pytest.skip("NumPy's BLAS is not an OpenBLAS")
    before = library.threads()
    product[numpy](numpy.ones((400, 400), "float32"), numpy.ones((400, 400), "float32"))
    assert library.threads() == before


# -- compiled code on disk -------------------------------------------------------------------------

LOOP = """
import sys
sys.path.insert(0, {folder!r})
import numpy
from minigrad.kernels import kernel
kernel._sources = lambda: {stamp!r}
from loops import double
x = numpy.ones(4)
double(0, 4, x)
print(x.tolist())
"""


def run_loop(folder, stamp):
    code = LOOP.format(folder=str(folder), stamp=stamp)
    environment = {k: v for k, v in os.environ.items() if k != "MINIGRAD_KERNELS"}
    run = [sys.executable, "-c", code]
    return subprocess.run(run, capture_output=True, text=True, check=True, env=environment)


def test_compiled_code_is_kept_and_a_stale_one_noticed(tmp_path):
    source = tmp_path / "loops.py"
    text = (
        "from minigrad.kernels.kernel import compiled\n\n\n"
        "@compiled\ndef double(begin, end, x):\n    for i in range(begin, end):\n        x[i] *= 2\n"
    )
    source.write_text(text)
    first = run_loop(tmp_path, 1)
    assert "compiling loops.double" in first.stderr and first.stdout == "[2.0, 2.0, 2.0, 2.0]\n"
    again = run_loop(tmp_path, 1)
    assert "compiling" not in again.stderr and again.stdout == first.stdout
    other = run_loop(tmp_path, 2)  # some file of the kernels has changed
    assert "compiling loops.double" in other.stderr
    source.write_text(text.replace("*= 2", "*= 3"))
    changed = run_loop(tmp_path, 2)
    assert changed.stdout == "[3.0, 3.0, 3.0, 3.0]\n"


def test_every_kernel_has_a_reference_that_says_what_it_computes():
    for one in kernel.REGISTRY.values():
        assert one.__doc__, one.name
