"""Everything about minigrad on this machine's GPU, by one call: is it right, how fast is it?

    python benchmarks/gpu.py                       # under 8 minutes; --quick: under 2
    bash benchmarks/gpu_tests.sh                   # installs what is needed, tests, then this
    python benchmarks/gpu.py --stand-in            # without a GPU: every row, on the tests' stand-in

1. ceilings: bytes and products a second of this device, the time of a launch
2. checks: every kernel and the gradients of every training step on random numbers, against float64
   NumPy: ||a - b|| / ||b||, held to a bound by dtype; torch's error beside it
3. steps: whole training steps, in float32, TF32, autocast, by CUDA graphs, against torch
4. kernels: single functions against torch, with the part of the ceiling that they reach

Where torch with CUDA is missing, its columns are empty. The tables go to benchmarks/results/gpu.md, all
numbers to gpu.json, a picture to gpu.png (--out: another folder). If a kernel is wrong, or fails, the
others are still measured; then the run ends with an error that names it.
"""

import argparse
import contextlib
import sys
import time
from pathlib import Path

import numpy  # noqa: F401  (before `measure`: the references may use all processors)
from minigrad.benchmarks.measure import say, write_json
from minigrad.benchmarks.on_gpu import report
from minigrad.benchmarks.on_gpu.picture import draw
from minigrad.benchmarks.on_gpu.rows import rows
from minigrad.benchmarks.on_gpu.supervisor import Supervisor
from minigrad.benchmarks.on_gpu.worker import opened, work

from minigrad.backend import require_cupy
from minigrad.files import atomic

ROOT = Path(__file__).parent.parent
MINUTES, QUICK_MINUTES = 7.5, 1.8
CHECKERS = 4  # processes that check at the same time
ABOUT_TIMES = (
    "The GPU's time is between events, the work queued beforehand and (for kernels) the L2 cache "
    "overwritten: median of samples in turn. A call's is the host's clock, one after the other: what a "
    "program sees. A ratio below 1 means that minigrad takes less time."
)
MEANINGLESS = "On the stand-in for CuPy, with tiny sizes: the times mean nothing."


def torch_on_gpu():
    """(torch where it computes on the GPU, else None; a sentence about it)."""
    install = "install the build of torch for this driver's CUDA"
    try:
        import torch
    except ImportError:
        return None, f"torch is not installed, its columns are empty: {install}"
    if not torch.cuda.is_available():
        return None, f"torch {torch.__version__} finds no GPU, its columns are empty: {install}"
    return torch, f"torch {torch.__version__} computes on the same GPU."


@contextlib.contextmanager
def bench(stand_in: bool, quick: bool):
    """(a Bench, what the machine is), on the GPU or the tests' stand-in."""
    if not stand_in:
        with opened(require_cupy(), torch_on_gpu()[0], quick=quick) as found:
            yield found
        return
    sys.path.insert(0, str(ROOT / "tests"))
    from stand_in import gpu

    try:
        import torch
    except ImportError:
        torch = None
    else:
        torch.set_num_threads(1)
    with gpu() as cupy, opened(cupy, torch, tiny=True, quick=quick) as found:
        yield found


def find(supervisor: Supervisor, chosen, stand_in: bool) -> list[dict]:
    """What the processes tell of these rows, in another order."""
    first = sorted(chosen, key=lambda row: not row.quick)  # should the time not suffice
    names = lambda *sections: [row.name for row in first if row.section in sections]
    with supervisor.ending_early():
        if stand_in:
            return supervisor.find(names("ceilings", "checks", "steps", "kernels"))
        found = supervisor.find(names("ceilings"))
        # kernels are compiled meanwhile, each on one processor
        found += supervisor.find(names("checks"), CHECKERS)
        return found + supervisor.find(names("steps")) + supervisor.find(names("kernels"))


def run(args) -> dict:
    """Find all rows in processes of their own; returns what write_json writes."""
    chosen = rows(args.quick)
    if args.only:
        chosen = [row for row in chosen if any(text in row.name for text in args.only)]
    if not chosen:
        raise ValueError(f"no row has {' or '.join(args.only)} in its name")
    command = [sys.executable, __file__, "--worker"]
    command += ["--stand-in"] * args.stand_in + ["--quick"] * args.quick
    minutes = args.minutes or (QUICK_MINUTES if args.quick else MINUTES)
    begin = time.time()
    supervisor = Supervisor(command, begin + 60 * minutes)
    told = {row["name"]: row for row in find(supervisor, chosen, args.stand_in)}
    return report.complete(
        {
            "machine": supervisor.machine,
            "about times": MEANINGLESS if args.stand_in else ABOUT_TIMES,
            "about torch": "" if args.stand_in else torch_on_gpu()[1],
            "stand-in": args.stand_in,
            "quick": args.quick,
            "seconds": round(time.time() - begin, 1),
            "rows": [{"section": row.section, **told[row.name]} for row in chosen],
        }
    )


def write(results: dict, folder: Path) -> None:
    """gpu.md, gpu.json and gpu.png."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = "![times on a GPU](gpu.png)\n\n" if draw(results, folder / "gpu.png") else ""
    with atomic(folder / "gpu.md", "w") as file:
        file.write(f"# On a GPU\n\n`python benchmarks/gpu.py`\n\n{picture}{report.show(results)}\n")
    write_json(folder / "gpu.json", results)


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rows and samples")
    parser.add_argument("--minutes", type=float, help="rows that begin later are left out")
    parser.add_argument(
        "--only", action="append", metavar="TEXT", help="rows with this in the name"
    )
    parser.add_argument("--out", type=Path, help="folder for gpu.md, gpu.json and gpu.png")
    parser.add_argument("--stand-in", action="store_true", help="no GPU: the stand-in of the tests")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.worker:
        return work(lambda: bench(args.stand_in, args.quick), args.quick)
    if args.stand_in and args.out is None:
        parser.error("--stand-in needs --out: its times are no results")
    if not args.stand_in:
        try:
            require_cupy()
        except RuntimeError as error:
            parser.error(str(error))
    results = run(args)
    write(results, args.out or ROOT / "benchmarks" / "results")
    print(report.show(results))
    for text in results["failures"]:
        say(f"FAILED {text}")
    return 1 if results["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
