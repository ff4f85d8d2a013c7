"""A process that finds rows of the comparison on a GPU, and tells of each by a line of JSON."""

import contextlib
import json
import os
import subprocess
import sys
import time
import traceback

import numpy  # noqa: F401  (before `measure`, which lets the references use two threads alone else)
from minigrad.benchmarks.on_gpu.check import Wrong
from minigrad.benchmarks.on_gpu.rows import Bench, Skipped, rows

LOST = 3  # exit status of a process whose GPU doesn't answer any more


def find(row, bench: Bench, until: float) -> dict:
    """The row's dictionary. What keeps it from being found stands under one of these names:

    "skipped": it can't be had here, or there was no time; "memory": it didn't suffice; "failed": an
    error, or a result above its bound.
    """
    found = {"name": row.name, "section": row.section}
    if time.time() > until:
        return found | {"skipped": "no time was left"}
    begin = time.perf_counter()
    try:
        found |= row.find(bench)
    except Skipped as reason:
        found["skipped"] = str(reason)
    except Wrong as error:
        found["failed"] = str(error)
    except Exception as error:
        kind = type(error).__name__
        if isinstance(error, MemoryError) or kind == "OutOfMemoryError":
            found["memory"] = str(error)[:500]
        else:
            traceback.print_exc()
            found["failed"] = f"{kind}: {str(error)[:1500]}"
    return found | {"seconds": round(time.perf_counter() - begin, 2)}


def find_all(chosen, bench: Bench, until: float, tell) -> bool:
    """Find rows one after the other, telling of each before and after; False if the GPU was lost."""
    for row in chosen:
        tell({"begins": row.name})
        found = find(row, bench, until)
        try:
            bench.clock.wait()
            bench.free()
        except Exception as error:  # the error of a kernel stays with the process
            found.setdefault("failed", f"{type(error).__name__}: {str(error)[:1500]}")
            tell(found)
            return False
        tell(found)
    return True


def work(open_bench, quick: bool) -> int:
    """Be the process: what to do comes by stdin as JSON, lines go to stdout, all else to stderr."""
    task = json.load(sys.stdin)
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print
    every = {row.name: row for row in rows(quick)}
    chosen = [every[name] for name in task["rows"]]
    with open_bench() as (bench, machine):
        lines.write(json.dumps({"machine": machine}) + "\n")
        alive = find_all(
            chosen, bench, task["until"], lambda line: lines.write(json.dumps(line) + "\n")
        )
        if not alive:
            lines.flush()
            os._exit(LOST)  # an ordinary end would wait for the GPU
    return 0


@contextlib.contextmanager
def opened(cupy, torch, **options):
    """(a Bench, what the machine is) for `work`."""
    yield Bench.open(cupy, torch, **options), about(cupy, torch)


def about(cupy, torch) -> dict:
    """The device, the driver and the versions that the figures depend on."""
    import minigrad

    properties = minigrad.cuda.get_device_properties()
    version = lambda number: f"{number // 1000}.{number % 1000 // 10}"
    return {
        "device": properties.name,
        "driver": _driver(),
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory": f"{properties.total_memory / 2**30:.0f} GiB",
        "driver's CUDA": version(cupy.cuda.runtime.driverGetVersion()),
        "CuPy's CUDA": version(cupy.cuda.runtime.runtimeGetVersion()),
        "cupy": cupy.__version__,
        "torch": "none" if torch is None else torch.__version__,
        "minigrad": minigrad.__version__,
        "numpy": numpy.__version__,
        "python": sys.version.split()[0],
    }


def _driver() -> str:
    """The driver's version as nvidia-smi tells it."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.stdout.split()[0] if told.stdout.split() else "unknown"
