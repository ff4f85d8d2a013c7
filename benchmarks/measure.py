"""Measuring programs fairly: two threads each, in turn, medians with their spread.

Import this before torch: it sets how many threads the arithmetic may use, by environment variable
for libraries not yet loaded and by call for those that are.
"""

import os

os.environ["OMP_NUM_THREADS"] = "2"
os.environ["OPENBLAS_NUM_THREADS"] = "2"
os.environ["MKL_NUM_THREADS"] = "2"
os.environ["NUMBA_NUM_THREADS"] = str(min(2, len(os.sched_getaffinity(0))))  # more is an error

import gc
import json
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy

import minigrad
from minigrad.files import atomic

THREADS = 2


def import_torch():
    """torch on the threads allowed here, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        torch = None
    else:
        torch.set_num_threads(THREADS)
    try:
        minigrad.set_num_threads(THREADS)  # after torch: it too may bring a BLAS along
    except ImportError as error:
        warnings.warn(f"NumPy's BLAS may use more threads than {THREADS}: {error}")
    return torch


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """(lower quartile, median, upper quartile), linearly interpolated between the values."""
    low, middle, high = numpy.percentile(numpy.asarray(values, dtype=float), (25, 50, 75))
    return float(low), float(middle), float(high)


@dataclass
class Times:
    """Seconds of every step of one program, by round."""

    rounds: list[list[float]]

    @property
    def quartiles(self) -> tuple[float, float, float]:
        return quartiles([step for steps in self.rounds for step in steps])

    @property
    def median(self) -> float:
        return self.quartiles[1]


def ratio(ours: Times, theirs: Times) -> tuple[float, float, float]:
    """(lower quartile of the rounds' ratios, ratio of the medians, upper quartile)."""
    pairs = zip(ours.rounds, theirs.rounds, strict=True)
    rounds = [statistics.median(x) / statistics.median(y) for x, y in pairs]
    low, _, high = quartiles(rounds)
    return low, ours.median / theirs.median, high


def geometric_mean(values: Sequence[float]) -> float:
    return statistics.geometric_mean(values)


def alternate(
    programs: Sequence[Callable[[], object]],
    rounds: int = 7,
    warmup: int = 2,
    *,
    seconds: float = 0.1,
    pause: float = 0.02,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Times]:
    """Run programs in turn and return the times of each.

    A round is a few steps of every program, about `seconds` long each, in an order that turns
    around every round. Before a program's turn comes a pause and one step that is not counted:
    the threads of the one before keep spinning for a while, and the caches hold its numbers.
    """
    if rounds < 1 or warmup < 1:
        raise ValueError(f"alternate: rounds and warmup must be 1 or more, got {rounds}, {warmup}")
    counts = []
    for program in programs:
        last = _timed(program, warmup, clock)[-1]
        counts.append(max(2, min(100, int(seconds / max(last, 1e-6)))))
    times = [Times([]) for _ in programs]
    order = list(range(len(programs)))
    for _ in range(rounds):
        for k in order:
            gc.collect()
            sleep(pause)
            times[k].rounds.append(_timed(programs[k], 1 + counts[k], clock)[1:])
        order.reverse()
    return times


def _timed(program, count, clock):
    """Seconds of each of a few steps; a program in a process of its own measures them itself."""
    if hasattr(program, "timed"):
        return program.timed(count)
    found = []
    for _ in range(count):
        begin = clock()
        program()
        found.append(clock() - begin)
    return found


def machine() -> dict:
    """What the figures depend on: processor, cores, threads, versions, BLAS."""
    torch = sys.modules.get("torch")
    blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    about = {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": THREADS,
        "load": round(os.getloadavg()[0], 1),  # what else was running: 0 is best
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "numpy's BLAS": f"{blas['name']} {blas['version']}",
    }
    if torch is not None:
        about["torch"] = torch.__version__
        about["torch's BLAS"] = _torch_blas(torch)
    return about


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model n")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _torch_blas(torch) -> str:
    if torch.backends.mkl.is_available():
        return "MKL"
    return "OpenBLAS" if "openblas" in torch.__config__.show().lower() else "unknown"


def describe(about: dict) -> str:
    return ", ".join(f"{key} {value}" for key, value in about.items())


def spread(low: float, middle: float, high: float, digits: int = 2) -> str:
    """`middle [low, high]`"""
    return f"{middle:,.{digits}f} [{low:,.{digits}f}, {high:,.{digits}f}]"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that reads well as text and is Markdown too; the first column stands left."""
    lines = [list(header), *map(list, rows)]
    widths = [max(3, *(len(line[k]) for line in lines)) for k in range(len(header))]
    cells = [
        [
            c.ljust(w) if k == 0 else c.rjust(w)
            for k, (c, w) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    rule = [("-" * w) if k == 0 else "-" * (w - 1) + ":" for k, w in enumerate(widths)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [cells[0], rule, *cells[1:]])


def write_json(path, data: dict) -> None:
    """Write data as JSON, whole or not at all."""
    with atomic(path, "w") as file:
        json.dump(data, file, indent=1)
        file.write("\n")


def say(text: str) -> None:
    """A line of progress on stderr, apart from the results."""
    print(text, file=sys.stderr, flush=True)
