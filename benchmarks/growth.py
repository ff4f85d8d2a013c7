"""How the time of a step grows with batch, length, width and vocabulary, and how far the machine is.

    python benchmarks/growth.py                     # all, about two minutes; growth.json, growth.png
    python benchmarks/growth.py --only lstm-length --out runs/growth

Beside the times of minigrad and torch stands the least time this machine could take for the same
arithmetic: the matrix products at its measured GEMM rate, or the numbers that must be moved at its
measured bandwidth, whichever is longer.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy
from minigrad.benchmarks.measure import (
    THREADS,
    describe,
    import_torch,
    machine,
    say,
    spread,
    table,
    write_json,
)
from minigrad.benchmarks.programs import STEPS
from minigrad.benchmarks.steps import measure


@dataclass
class Series:
    """A step measured at several values of one size, the others fixed."""

    about: str
    step: str
    axis: str
    size: str
    values: tuple[int, ...]
    work: Callable[[dict], tuple[float, float]]  # sizes -> (flops, bytes) that can't be avoided
    fixed: dict


def recurrent_work(s):
    """Three products of every LSTM layer: forward, and backward to the inputs and to the weights."""
    inputs = s["D"] + s["H"] * (s["layers"] - 1)
    weights = 4 * s["H"] * (inputs + s["layers"] * s["H"])
    # Adam reads and writes weight and both moments; the gradient is written once and read once
    parameters = weights + s["V"] * s["D"]
    return 6 * weights * s["batch"] * s["T"], 4 * 8 * parameters


def attention_work(s):
    """Two products forward, four backward, each over the half of the scores that is not masked."""
    one = s["batch"] * s["heads"] * s["T"] ** 2 * s["D"]  # 2 flops, half of T x T
    # q, k, v, out's gradient read; out and three gradients written
    return 6 * one, 4 * 8 * s["batch"] * s["heads"] * s["T"] * s["D"]


def encoder_work(s):
    """Every weight matrix meets every word three times; attention's products come on top."""
    weights = s["layers"] * (4 * s["D"] ** 2 + 2 * s["D"] * s["ff"]) + s["D"] * s["V"]
    words = s["batch"] * s["T"]
    # two products forward, four backward, over all T x T scores
    scores = 6 * 2 * s["layers"] * words * s["T"] * s["D"]
    parameters = weights + s["V"] * s["D"]
    return 6 * weights * words + scores, 4 * 8 * parameters


def lm_work(s):
    """As recurrent_work, with the decoder's product and SGD: the gradient is read by the clip too."""
    weights = s["layers"] * 8 * s["H"] ** 2 + s["H"] * s["V"]
    parameters = weights + s["V"] * s["D"]
    return 6 * weights * s["batch"] * s["T"], 4 * 5 * parameters


SERIES = {
    "lstm-length": Series(
        "LSTM classifier over length", "lstm", "words a text", "T",
        (25, 50, 100, 200), recurrent_work, {},
    ),
    "lstm-batch": Series(
        "LSTM classifier over batch", "lstm", "texts a batch", "batch",
        (1, 8, 32, 128), recurrent_work, {"T": 50},
    ),
    "lstm-width": Series(
        "LSTM classifier over width", "lstm", "hidden units", "H",
        (32, 64, 128, 256, 512), recurrent_work, {"T": 50},
    ),
    "attention-length": Series(
        "Causal attention over length", "attention512", "length (2 x 4 x length x 64)", "T",
        (64, 128, 256, 512, 1024), attention_work, {"batch": 2, "heads": 4},
    ),
    "maskedlm-length": Series(
        "Masked language model over length", "maskedlm", "words a text", "T",
        (32, 64, 128, 256), encoder_work, {"batch": 4},
    ),
    "lm-vocabulary": Series(
        "LSTM language model over vocabulary", "lm", "words in the vocabulary", "V",
        (1_000, 3_000, 10_000, 30_000), lm_work, {},
    ),
}  # fmt: skip


def best(program, times: int = 5) -> float:
    """The shortest of a few runs, in seconds: limits are about what can be reached."""
    program()
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        program()
        found.append(time.perf_counter() - begin)
    return min(found)


def bandwidth(megabytes: int = 128) -> float:
    """Bytes a second of a = b + c on all threads, three arrays of so many megabytes each.

    As in STREAM (McCalpin 1995), two are counted as read and one as written.
    """
    n = megabytes * 2**20 // 4
    a, b, c = (numpy.ones(n, "float32") for _ in range(3))
    parts = [slice(k * n // THREADS, (k + 1) * n // THREADS) for k in range(THREADS)]

    with ThreadPoolExecutor(THREADS) as pool:

        def add():
            list(pool.map(lambda part: numpy.add(b[part], c[part], out=a[part]), parts))

        return 3 * 4 * n / best(add)


def gemm_rate(torch=None, n: int = 2048) -> float:
    """Flops a second of a float32 product of n x n matrices: the better of NumPy's BLAS and torch's."""
    x = numpy.random.default_rng(0).standard_normal((n, n), dtype="float32")
    out = numpy.empty_like(x)
    seconds = best(lambda: numpy.matmul(x, x, out=out))
    if torch is not None:
        y = torch.from_numpy(x)
        seconds = min(seconds, best(lambda: y @ y))
    return 2 * n**3 / seconds


def run(names=None, rounds: int = 3, small: bool = False) -> dict:
    """Time every point of the series; returns what write_json writes."""
    unknown = set(names or ()) - SERIES.keys()
    if unknown:
        raise ValueError(f"no series {', '.join(sorted(unknown))}: there are {', '.join(SERIES)}")
    torch = import_torch()
    n = 64 if small else 2048
    rate, moved = gemm_rate(torch, n), bandwidth(1 if small else 128)
    say(f"limits of this machine: {rate / 1e9:.0f} Gflop/s, {moved / 1e9:.1f} GB/s")
    results = {
        "machine": machine(),
        "limits": {"gflops": rate / 1e9, "gigabytes": moved / 1e9},
        "series": {},
    }
    chosen = names or list(SERIES)
    for k, name in enumerate(chosen, 1):
        series = SERIES[name]
        step = STEPS[series.step]
        points = []
        for value in (2, 4) if small else series.values:
            sizes = {**series.fixed, **(step.small if small else {}), series.size: value}
            point = {"size": value, **measure(step, torch, rounds, **sizes)}
            flops, numbers = series.work({**step.sizes, **sizes})
            point |= {"flops": flops, "bytes": numbers}
            point["bound"] = 1e3 * max(flops / rate, numbers / moved)
            points.append(point)
            times = ", ".join(
                f"{t} {point[t][1]:.2f} ms" for t in ("minigrad", "torch") if t in point
            )
            say(f"[{k}/{len(chosen)}] {name} {value}: {times}, at least {point['bound']:.2f} ms")
        results["series"][name] = {"about": series.about, "axis": series.axis, "points": points}
    return results


def show(results: dict) -> str:
    """The points as a table in Markdown."""
    rows = []
    for row in results["series"].values():
        for point in row["points"]:
            times = (
                spread(*point[c]) if c in point else "" for c in ("minigrad", "torch", "ratio")
            )
            name = f"{row['about']}: {point['size']:,}"
            rows.append([name, *times, f"{point['bound']:,.2f}"])
    header = ["training step", "minigrad, ms", "torch, ms", "ratio", "limit, ms"]
    return f"{describe(results['machine'])}\n\n{table(header, rows)}"


def main():
    from minigrad.benchmarks.pictures import curves

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="NAME", help=", ".join(SERIES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/growth"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    results = run(args.only, args.rounds)
    print(show(results))
    write_json(args.out / "growth.json", results)
    curves(results, args.out / "growth.png")


if __name__ == "__main__":
    main()
