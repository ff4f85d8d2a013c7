"""The benchmarks: both sides compute the same, and the measuring measures. Nothing here is timed."""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from minigrad.benchmarks import growth, measure, pictures, steps
from minigrad.benchmarks.programs import STEPS
from minigrad.benchmarks.worker import Worker

import minigrad

ROOT = Path(__file__).parent.parent


class FakeClock:
    """A clock that programs move on by themselves."""

    def __init__(self):
        self.now = 0.0
        self.slept = 0.0
        self.log = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept += seconds

    def program(self, name, *durations):
        """A program whose steps take these seconds, the last one again and again."""
        left = list(durations)

        def run():
            self.log.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


# every step computes the same on both sides


@pytest.mark.parametrize("name", STEPS)
def test_losses_agree_with_torch(name):
    torch = pytest.importorskip("torch")
    losses = steps.check(STEPS[name], torch, steps=2, small=True)
    assert len(losses) == 2
    assert all(math.isfinite(loss) for pair in losses for loss in pair)


@pytest.mark.parametrize("name", [n for n in STEPS if not n.startswith(("attention", "encoder"))])
def test_steps_learn(name):
    """Twenty steps lower the loss: the optimizer holds the parameters that the model uses."""
    dropout = {"dropout": 0.0} if "dropout" in STEPS[name].sizes else {}
    program = STEPS[name].program(minigrad, small=True, **dropout)
    program.run()
    first = program.value().item()
    for _ in range(20):
        program.run()
    assert program.value().item() < first


@pytest.mark.parametrize("name", ["textcnn", "lm"])
def test_a_difference_is_noticed(name):
    """A gradient off by a thousandth does not pass for the same."""
    torch = pytest.importorskip("torch")

    def wrong(t, s, random):
        program = STEPS[name].build(t, s, random)
        if t is minigrad:
            last = list(program.model.parameters())[-1]
            last.register_hook(lambda g: g * 1.001)
        return program

    with pytest.raises(steps.Disagreement, match=f"{name}, gradient of"):
        steps.check(replace(STEPS[name], build=wrong), torch, steps=2, small=True)


def test_unknown_names_and_sizes():
    with pytest.raises(ValueError, match="no step nonsense: there are mlp, "):
        steps.chosen(["nonsense"])
    with pytest.raises(ValueError, match="mlp has no sizes .'width'.*'batch'"):
        STEPS["mlp"].program(minigrad, small=True, width=3)
    with pytest.raises(ValueError, match="no series nonsense"):
        growth.run(["nonsense"])
    assert [step.name for step in steps.chosen(["lstm", "mlp"])] == ["lstm", "mlp"]
    assert len(steps.chosen(None)) == len(STEPS)


# the measuring functions, on a clock that does not depend on the machine


def test_alternate_takes_turns():
    clock = FakeClock()
    slow, fast = clock.program("slow", 0.25), clock.program("fast", 0.125)
    x, y = measure.alternate(
        [slow, fast], rounds=2, warmup=1, seconds=0.5, pause=0.5, clock=clock, sleep=clock.sleep
    )
    assert [len(steps) for steps in x.rounds] == [2, 2]  # 0.5 s / 0.25 s
    assert [len(steps) for steps in y.rounds] == [4, 4]
    assert x.median == 0.25
    assert y.quartiles == (0.125, 0.125, 0.125)
    # one step each to warm up; then a step that is not counted before every turn; the order turns
    turn = {"slow": ["slow"] * 3, "fast": ["fast"] * 5}
    rounds = [turn["slow"], turn["fast"], turn["fast"], turn["slow"]]
    assert clock.log == ["slow", "fast", *(name for steps in rounds for name in steps)]
    assert clock.slept == pytest.approx(4 * 0.5)


def test_alternate_discards_the_first_steps():
    clock = FakeClock()
    # compiled in the first call (7 s); after every change of sides the first step takes 1 s
    program = clock.program("p", 7.0, 0.04, 1.0, 0.04, 0.04, 1.0, 0.04)
    (times,) = measure.alternate(
        [program], rounds=2, warmup=2, seconds=0.1, clock=clock, sleep=clock.sleep
    )
    assert times.rounds == [pytest.approx([0.04, 0.04])] * 2


def test_alternate_bounds_the_number_of_steps():
    clock = FakeClock()
    long, instant = clock.program("long", 30.0), clock.program("instant", 0.0)
    x, y = measure.alternate([long, instant], rounds=1, clock=clock, sleep=clock.sleep)
    assert [len(times.rounds[0]) for times in (x, y)] == [2, 100]
    with pytest.raises(ValueError, match="1 or more, got 0"):
        measure.alternate([long], rounds=0)


def test_ratio_and_quartiles():
    assert measure.quartiles([4, 1, 3, 2, 5]) == (2.0, 3.0, 4.0)
    ours = measure.Times([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    theirs = measure.Times([[2.0, 2.0], [2.0, 2.0], [2.0, 2.0]])
    assert measure.ratio(ours, theirs) == pytest.approx((0.75, 1.0, 1.25))
    assert measure.geometric_mean([0.5, 2.0]) == pytest.approx(1.0)


def test_table_is_markdown():
    text = measure.table(["step", "ms"], [["a long name", "1.00"], ["b", "12,345.00"]])
    assert text.splitlines() == [
        "| step        |        ms |",
        "| ----------- | --------: |",
        "| a long name |      1.00 |",
        "| b           | 12,345.00 |",
    ]
    assert measure.spread(1.0, 1234.5678, 2.0) == "1,234.57 [1.00, 2.00]"


def test_machine_is_described():
    about = measure.machine()
    assert about["threads"] == 2
    assert about["cores"] == len(os.sched_getaffinity(0))
    assert minigrad.__name__ not in about
    assert about["cpu"] and about["numpy's BLAS"]
    assert about["numpy"] in measure.describe(about)


def test_limits_are_positive():
    assert growth.bandwidth(1) > 0
    assert growth.gemm_rate(n=32) > 0


def test_counted_work():
    """The counts against sums written out for sizes small enough to do by hand."""
    sizes = dict(batch=1, T=1, V=0, D=2, H=3, layers=1)
    # four gates of 3 units, from 2 inputs and 3 states: 60 weights, 2 flops, 3 products
    assert growth.recurrent_work(sizes) == (6 * 60, 4 * 8 * 60)
    flops, _ = growth.attention_work(dict(batch=1, heads=1, T=4, D=2))
    assert flops == 6 * 2 * (4 * 4 / 2) * 2
    for series in growth.SERIES.values():
        sizes = STEPS[series.step].sizes
        assert all(number > 0 for number in series.work(sizes))
        assert series.size in sizes and sizes.keys() >= series.fixed.keys()


# the command and what it writes


@pytest.mark.cpu_only(reason="a process of its own, in which the CPU is the default")
def test_command_writes_figures_and_pictures(tmp_path):
    pytest.importorskip("typer")
    pytest.importorskip("matplotlib")
    out = tmp_path / "deep" / "bench"
    command = [
        sys.executable, "-m", "minigrad.cli", "bench", "--only", "mlp", "--rounds", "1",
        "--small", "--out", str(out),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    results = json.loads((out / "bench.json").read_text())
    assert list(results["steps"]) == ["mlp"]
    low, middle, high = results["steps"]["mlp"]["minigrad"]
    assert 0 < low <= middle <= high
    assert (out / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert "| mlp: Bag of words" in done.stdout
    assert "[1/1] mlp" in done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["bench.json", "bench.png"]


def test_growth_in_small(tmp_path):
    pytest.importorskip("matplotlib")
    results = growth.run(["lstm-length", "attention-length"], rounds=1, small=True)
    for row in results["series"].values():
        assert [point["size"] for point in row["points"]] == [2, 4]
        assert all(point["bound"] > 0 for point in row["points"])
    assert "| LSTM classifier over length: 4 " in growth.show(results)
    pictures.curves(results, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_without_torch_minigrad_is_timed_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # makes `import torch` an ImportError
    results = steps.run(["mlp"], rounds=1, small=True)
    assert set(results["steps"]["mlp"]) == {"about", "minigrad"}
    assert "torch is not installed: minigrad was timed alone" in steps.show(results)
    assert "torch" not in results["machine"]
    pytest.importorskip("matplotlib")
    pictures.bars(results, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").stat().st_size > 1000


def test_worker_runs_apart():
    with Worker("minigrad", "mlp", small=True) as worker:
        found = worker.timed(3)
    assert len(found) == 3
    assert all(seconds > 0 for seconds in found)
    assert worker.process.returncode == 0


def test_worker_that_ends_is_reported():
    expected = pytest.raises(RuntimeError, match="minigrad's nonsense ended with 1")
    with Worker("minigrad", "nonsense") as worker, expected:
        worker.timed(1)


def test_scripts_say_how_they_are_run():
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "__main__" in text:
            assert re.search(rf"^    python (benchmarks/)?{path.name}\b", text, re.M), path.name
