"""The benchmark of a GPU, on the stand-in for CuPy: it runs, it notices errors, it goes on after them."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy
import pytest
from minigrad.benchmarks import gpu
from minigrad.benchmarks.on_gpu import check, report, worker
from minigrad.benchmarks.on_gpu.cases import CASES
from minigrad.benchmarks.on_gpu.rows import Bench, Row, rows
from minigrad.benchmarks.on_gpu.sides import PRECISIONS, rounded
from minigrad.benchmarks.on_gpu.supervisor import Supervisor
from minigrad.kernels import kernel, norm
from stand_in import cuda  # noqa: F401

import minigrad

ROOT = Path(__file__).parent.parent
LATER = time.time() + 1e6
LAUNCHED = (
    "activations attention attention_backward batch_norm capturable conv1d conv1d_max cross_entropy "
    "dropout embedding grad_scaling gru_sequence lstm_sequence norm optimizers recurrent rnn row_updates"
)
pytestmark = [
    pytest.mark.skipif(kernel.REFERENCE_ONLY, reason="there are no kernels to measure"),
    pytest.mark.skipif(sys.platform != "linux", reason="the stand-in compiles kernels on Linux"),
]


# -- the whole of it ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(the process, what it wrote as JSON, the folder) of a run with every row."""
    folder = tmp_path_factory.mktemp("gpu")
    command = [sys.executable, "benchmarks/gpu.py", "--stand-in", "--minutes", "30"]
    done = subprocess.run(
        [*command, "--out", str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=1500
    )
    return done, json.loads((folder / "gpu.json").read_text()), folder


@pytest.mark.slow
def test_every_row_is_found(whole):
    done, results, folder = whole
    assert done.returncode == 0, done.stderr[-3000:]
    assert [row["name"] for row in results["rows"]] == [row.name for row in rows()]
    assert results["failures"] == []
    for row in results["rows"]:
        if "skipped" not in row:
            assert {"ceilings": "value", "checks": "error"}.get(row["section"], "times") in row
    machine = results["machine"]
    assert machine["device"] == "Stand-in GPU" and machine["minigrad"] == minigrad.__version__
    assert {"driver", "driver's CUDA", "CuPy's CUDA", "cupy", "torch"} <= machine.keys()
    assert (folder / "gpu.png").read_bytes()[1:4] == b"PNG"
    assert "the times mean nothing" in (folder / "gpu.md").read_text()


@pytest.mark.slow
def test_rows_are_left_out_for_a_reason_alone(whole):
    _, results, _ = whole
    for row in results["rows"]:
        if "skipped" in row:
            assert row["skipped"].startswith("minigrad")
        missing = row.get("missing", {})
        for side, reason in missing.items() if isinstance(missing, dict) else ():
            assert side.startswith("torch") and reason


@pytest.mark.slow
def test_errors_are_held_to_their_bounds(whole):
    _, results, _ = whole
    checks = [row for row in results["rows"] if "error" in row]
    assert checks
    assert all(row["error"] <= row["bound"] for row in checks)
    launched = {name.partition(":")[0] for row in checks for name in row["kernels"]}
    assert {f"{name}.cu" for name in LAUNCHED.split()} <= launched


@pytest.mark.slow
def test_times_have_ratios_and_fractions_of_the_ceilings(whole):
    _, results, _ = whole
    pytest.importorskip("torch")
    timed = [row for row in results["rows"] if row["section"] == "kernels" and "times" in row]
    assert timed
    for row in timed:
        assert row["times"]["minigrad"]["ms"][1] > 0
        assert row["fractions"]["minigrad"] > 0 or row["precision"] == "tf32"
        if "torch" in row["times"]:
            assert row["ratio"] > 0 and row["ratio of calls"] > 0


# -- errors are noticed, and the rest goes on --------------------------------------------------------


@pytest.fixture(scope="module")
def bench(cuda):  # noqa: F811
    return Bench.open(cuda, None, tiny=True)


def named(*names):
    """The rows of these names."""
    every = {row.name: row for row in rows()}
    return [every[name] for name in names]


def found(bench, chosen, until=LATER):
    told = []
    assert worker.find_all(chosen, bench, until, told.append)
    return [line for line in told if "begins" not in line]


LAYER_NORM = "check: layer norm, forward, float32"


@pytest.mark.parametrize("wrong", ["off", "nan", "unwritten"])
def test_a_wrong_kernel_is_named(bench, monkeypatch, wrong):
    right = norm.normalise_rows.implementations["cupy"]

    def planted(x, *others):
        y = right(x, *others)
        if wrong == "off":
            return y * 1.0001
        y.reshape(-1)[-1:] = numpy.nan if wrong == "nan" else 0
        return y

    monkeypatch.setitem(norm.normalise_rows.implementations, "cupy", planted)
    first, second = found(bench, named(LAYER_NORM, "check: GELU, forward, float32"))
    assert "layer norm, forward, float32: output has relative error" in first["failed"]
    assert "norm.cu: normalise_rows" in first["failed"]
    assert second["error"] <= second["bound"]
    results = report.complete({"rows": [first, second], "machine": {}})
    assert len(results["failures"]) == 1 and LAYER_NORM in results["failures"][0]


def test_the_run_ends_with_an_error_that_names_the_kernel(monkeypatch, tmp_path, capsys):
    row = {"name": LAYER_NORM, "section": "checks", "failed": "layer norm: relative error 1"}
    about = {"machine": {}, "about times": "", "about torch": "", "stand-in": True}
    monkeypatch.setattr(gpu, "run", lambda args: report.complete({"rows": [row], **about}))
    assert gpu.main(["--stand-in", "--out", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "FAILED: " + LAYER_NORM in shown.out and LAYER_NORM in shown.err
    assert json.loads((tmp_path / "gpu.json").read_text())["failures"]


def test_times_of_sides_that_disagree_are_refused(bench, monkeypatch):
    torch = pytest.importorskip("torch")
    both = Bench(bench.ours, bench.theirs, bench.clock, True, 0.0)
    both.theirs = worker.Bench.open(bench.clock.cupy, torch, tiny=True).theirs
    (row,) = found(both, named("layer norm, forward, float32"))
    assert row["apart"] < 1e-6 and {"minigrad", "torch"} == row["times"].keys()
    right = norm.normalise_rows.implementations["cupy"]
    wrong = lambda x, *others: right(x, *others) * 1.001
    monkeypatch.setitem(norm.normalise_rows.implementations, "cupy", wrong)
    (row,) = found(both, named("layer norm, forward, float32"))
    assert "differs from torch's by 0.001" in row["failed"]


def test_what_does_not_fit_is_reported_and_the_run_goes_on(bench, cuda):  # noqa: F811
    pool = cuda.get_default_memory_pool()
    bench.free()
    pool.set_limit(size=pool.total_bytes() + (1 << 16))
    try:
        first, second = found(bench, named("AdamW, forward, float32", LAYER_NORM))
    finally:
        pool.set_limit(size=0)
    assert "out of memory" in first["memory"].lower() and "times" not in first
    assert second["error"] <= second["bound"]
    text = report.show(
        report.complete(
            {"rows": [first, second], "machine": {}, "about times": "", "about torch": ""}
        )
    )
    assert "out of memory: AdamW, forward, float32" in text


def test_an_error_inside_a_row_is_reported(bench):
    def broken(bench):
        raise ValueError("no such thing")

    first, second = found(bench, [Row("broken", "checks", broken), *named(LAYER_NORM)])
    assert first["failed"] == "ValueError: no such thing" and "error" in second


def test_rows_that_begin_too_late_say_so(bench):
    (row,) = found(bench, named(LAYER_NORM), until=0.0)
    assert row["skipped"] == "no time was left"


# -- the process that watches ------------------------------------------------------------------------

WORKER = """
import json, os, sys, time
tell = lambda line: print(json.dumps(line), flush=True)
tell({"machine": {"device": "none"}})
for name in json.load(sys.stdin)["rows"]:
    tell({"begins": name})
    if name == "dies":
        os._exit(7)
    if name == "hangs":
        time.sleep(600)
    tell({"name": name, "seconds": 0.0})
"""


def test_another_process_goes_on_after_one_that_dies_or_hangs():
    names = ["a", "dies", "b", "hangs", "c"]
    supervisor = Supervisor([sys.executable, "-c", WORKER], LATER, patience=5)
    lines = supervisor.find(names)
    assert supervisor.machine == {"device": "none"} and not supervisor.running
    assert [line["name"] for line in lines] == names
    failed = {line["name"]: line["failed"] for line in lines if "failed" in line}
    assert failed.keys() == {"dies", "hangs"}
    assert "exit status 7" in failed["dies"] and "no end after 5 s" in failed["hangs"]


def test_a_process_that_can_not_begin_is_an_error():
    supervisor = Supervisor([sys.executable, "-c", "import sys; sys.stdin.read()"], LATER)
    with pytest.raises(RuntimeError, match="ended before its first row"):
        supervisor.find(["a"])


def test_rows_are_shared_out_and_come_back_in_order():
    supervisor = Supervisor([sys.executable, "-c", WORKER], LATER)
    lines = supervisor.find(["a", "b", "dies", "c", "d"], 2)
    assert [line["name"] for line in lines] == ["a", "b", "dies", "c", "d"]
    assert ["failed" in line for line in lines] == [False, False, True, False, False]


def test_no_process_is_started_when_the_time_is_over():
    (line,) = Supervisor(["no such program"], until=0.0).find(["a"])
    assert line == {"name": "a", "skipped": "no time was left"}


def test_an_interrupted_run_tells_what_it_has():
    supervisor = Supervisor([sys.executable, "-c", WORKER], LATER)
    lines = []
    with supervisor.ending_early():
        threading.Timer(3, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        lines = supervisor.find(["a", "hangs", "b"])
    assert [line["name"] for line in lines] == ["a", "hangs", "b"]
    assert "failed" not in lines[0] and lines[2]["skipped"] == "interrupted"


# -- its parts ---------------------------------------------------------------------------------------


def test_relative_error():
    right = numpy.array([3.0, 4.0])
    assert check.error(right, right) == 0
    assert check.error(right + [0.0, 0.05], right) == pytest.approx(0.01)
    assert check.error(right + [0.0, 0.05], right, least=50.0) == pytest.approx(0.001)
    assert check.error(numpy.array([3.0, math.nan]), right) == math.inf
    assert check.error(right[:1], right) == math.inf
    assert check.error(right, 0 * right) == math.inf
    assert check.worst({"x": right, "y": right * 2}, {"x": right, "y": right}) == ("y", 1.0)


def test_numbers_are_rounded_as_the_dtypes_have_them():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = numpy.random.default_rng(0).standard_normal(1000, dtype="float32")
    x[:3] = 1 + 2.0**-8, 1 + 3 * 2.0**-8, 0
    for dtype, kind in (("float16", "float16"), ("bfloat16", ml_dtypes.bfloat16)):
        assert numpy.array_equal(rounded(x, dtype), x.astype(kind).astype("float32"))


def test_fractions_and_ratios():
    times = lambda ms: {"ms": [ms] * 3, "call": 2 * ms}
    sides = {"minigrad": times(1.0), "torch": times(2.0)}
    kernel_row = {"name": "k", "section": "kernels", "precision": "float32", "flops": None}
    lines = [
        {"name": "bandwidth", "section": "ceilings", "value": 1e12, "unit": "B/s"},
        {"name": "products, float32", "section": "ceilings", "value": 1e13, "unit": "FLOP/s"},
        kernel_row | {"bytes": 5e8, "times": sides},
        kernel_row | {"bytes": None, "flops": 1e9, "times": sides},
        kernel_row | {"bytes": 5e8, "times": {"minigrad": times(4.0)}},
    ]
    results = report.complete({"rows": lines})
    moved, computed, alone = results["rows"][2:]
    assert moved["fractions"] == pytest.approx({"minigrad": 0.5, "torch": 0.25})
    assert computed["fractions"] == pytest.approx({"minigrad": 0.1, "torch": 0.05})
    assert moved["ratio"] == moved["ratio of calls"] == 0.5
    assert "ratio" not in alone and alone["fractions"]["minigrad"] == pytest.approx(0.125)
    assert results["means"] == {"kernels": 0.5}


def test_what_is_timed_is_checked():
    names = [row.name for row in rows()]
    assert len(set(names)) == len(names)
    short = {row.name for row in rows(quick=True)}
    assert short < set(names)
    for one in CASES.values():
        assert set(one.times) | set(one.checks) <= PRECISIONS.keys()
        family = [c for c in CASES.values() if c.name.split(" ")[:2] == one.name.split(" ")[:2]]
        assert set(one.times) <= {p for c in family for p in c.checks}


def test_results_on_the_stand_in_are_no_results():
    with pytest.raises(SystemExit):
        gpu.main(["--stand-in"])
