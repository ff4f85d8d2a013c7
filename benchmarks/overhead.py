"""What one small operation costs: minigrad against torch, on arrays too small for arithmetic to count.

    python benchmarks/overhead.py

Both run in one process, in turn, on 2 threads each; medians, the interquartile range and the ratio
of medians are printed. Below 1 minigrad takes less time. Also the time to import minigrad, beyond
that of numpy, each in a fresh process.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import platform
import statistics
import subprocess
import sys
import time

import numpy
import torch

import minigrad

torch.set_num_threads(2)

PROGRAMS = {
    "((a * 2 + 1).tanh() * a).sum().backward(), 10 numbers": lambda t, a, w: (
        ((a * 2 + 1).tanh() * a).sum().backward()
    ),
    "the same, forward only": lambda t, a, w: ((a * 2 + 1).tanh() * a).sum(),
    "a * a + a, backward, 10 numbers": lambda t, a, w: (a * a + a).sum().backward(),
    "(w @ w).relu().mean(), backward, 8 x 8": lambda t, a, w: (w @ w).relu().mean().backward(),
}


def timed(program, arguments, number):
    begin = time.perf_counter()
    for _ in range(number):
        program(*arguments)
    return (time.perf_counter() - begin) / number * 1e6


def compare(program, rounds=25, number=400):
    """Microseconds of every round, for torch and for minigrad, run in turn."""
    a = numpy.random.default_rng(0).standard_normal(10).astype("float32")
    w = numpy.random.default_rng(1).standard_normal((8, 8)).astype("float32")
    sides = [
        (t, t.tensor(a, requires_grad=True), t.tensor(w, requires_grad=True))
        for t in (torch, minigrad)
    ]
    for side in sides:
        timed(program, side, number)
    rows = [[timed(program, side, number) for side in sides] for _ in range(rounds)]
    return [sorted(column) for column in zip(*rows, strict=True)]


def import_times(rounds=9):
    """Milliseconds that `import minigrad` takes after `import numpy`, in fresh processes."""
    code = (
        "import time; import numpy; begin = time.perf_counter(); import minigrad; "
        "print((time.perf_counter() - begin) * 1e3)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = [sys.executable, "-c", code]
    results = [
        float(
            subprocess.run(run, capture_output=True, text=True, check=True, env=environment).stdout
        )
        for _ in range(rounds + 1)
    ]
    return sorted(results[1:])  # the first one may compile the sources


def quartiles(values):
    low, high = values[len(values) // 4], values[-len(values) // 4]
    return f"{statistics.median(values):6.1f} [{low:.1f}, {high:.1f}]"


def main():
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, ",
        end="",
    )
    print(f"numpy {numpy.__version__}, torch {torch.__version__}; microseconds: median [quartiles]")
    print(f"{'':55} {'minigrad':>22} {'torch':>22}  ratio")
    for name, program in PROGRAMS.items():
        theirs, ours = compare(program)
        ratio = statistics.median(ours) / statistics.median(theirs)
        print(f"{name:55} {quartiles(ours):>22} {quartiles(theirs):>22}  {ratio:5.2f}")
    print(f"import minigrad after numpy, milliseconds: {quartiles(import_times())}")


if __name__ == "__main__":
    main()
