"""A process that finds rows of the comparison on a GPU, and the one that watches over it.

An error inside a kernel can leave the GPU of its process unusable, and a kernel may never end. So rows
are found in a process of their own, which tells of each by a line of JSON; when it dies, or says nothing
for too long, the row that it was at has failed and another process goes on with the next.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback

import numpy  # noqa: F401  (before `measure`, which lets the references use two threads alone else)
from minigrad.benchmarks.gpu_check import Wrong
from minigrad.benchmarks.gpu_rows import Bench, Skipped, rows
from minigrad.benchmarks.measure import say

PATIENCE = 90.0  # seconds for one row, compiling included
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
    wanted = set(task["rows"])
    chosen = [row for row in rows(quick) if row.name in wanted]
    with open_bench() as (bench, machine):
        lines.write(json.dumps({"machine": machine}) + "\n")
        alive = find_all(
            chosen, bench, task["until"], lambda line: lines.write(json.dumps(line) + "\n")
        )
        if not alive:
            lines.flush()
            os._exit(LOST)  # an ordinary end would wait for the GPU
    return 0


def supervise(names, command, until: float, patience: float = PATIENCE) -> tuple[dict, list[dict]]:
    """(the machine, the rows of these names) found by as many processes as it takes.

    command: starts a process that does what `work` does. RuntimeError if the first can't even begin.
    Control-C, or a signal that ends programs, ends the measuring but not the report.
    """
    machine, found, left, why = {}, [], list(names), None
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while left and why is None:
            count = len(left)
            with contextlib.closing(
                _lines(command, {"rows": left, "until": until}, patience)
            ) as lines:
                for line in lines:
                    if "machine" in line:
                        machine = line["machine"]
                    elif "begins" not in line:
                        say(_summary(line))
                        found.append(line)
                        left.remove(line["name"])
            if len(left) == count:
                why = "the process that measures ended before its first row"
                if not found:
                    raise RuntimeError(why)
    except KeyboardInterrupt:
        why = "interrupted"
    finally:
        signal.signal(signal.SIGTERM, before)
    return machine, found + [{"name": name, "failed": f"{name}: {why}"} for name in left]


def _summary(line) -> str:
    if "failed" in line:
        return f"FAILED {line['failed']}"
    return f"{line['name']}: {line.get('skipped') or line.get('memory') or line['seconds']}"


def _lines(command, task, patience):
    """What a process tells; a row that it began and did not end is told as failed."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    current, late = None, threading.Event()

    def stop():
        late.set()
        process.kill()

    try:
        process.stdin.write(json.dumps(task))
        process.stdin.close()
        lines = iter(process.stdout)
        while True:
            timer = threading.Timer(patience, stop)
            timer.start()
            line = next(lines, None)
            timer.cancel()
            if line is None:
                break
            line = json.loads(line)
            current = line.get("begins")
            yield line
        status = process.wait()
    finally:
        timer.cancel()
        process.kill()  # where it is over already nothing happens
        process.wait()
        process.stdout.close()
    if current is not None:
        why = f"no end after {patience:.0f} s" if late.is_set() else f"exit status {status}"
        yield {"name": current, "failed": f"{current}: its process ended: {why}"}


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
