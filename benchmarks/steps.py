"""Whole training steps: minigrad against torch on two threads, in turn, in one process.

    python benchmarks/steps.py                          # all, about two minutes
    python benchmarks/steps.py --only textcnn --only lstm
    python benchmarks/steps.py --check                  # compare the losses, measure nothing
    python benchmarks/steps.py --apart                  # each side in a process of its own

float32, default settings, the same initial weights and data on both sides. First the losses of
three steps are compared (without dropout: the masks differ); then both are timed with dropout.
A ratio below 1 means that minigrad takes less time. Without torch minigrad is timed alone.

`--apart` is what a program that uses one of them sees. In one process the heap is shared: it has
grown for both, glibc hands less of it back to the system, and both meet fewer page faults.
"""

import argparse

import numpy
from minigrad.benchmarks.measure import (
    alternate,
    describe,
    geometric_mean,
    import_torch,
    machine,
    ratio,
    say,
    spread,
    table,
    write_json,
)
from minigrad.benchmarks.programs import STEPS
from minigrad.benchmarks.worker import Worker

import minigrad


class Disagreement(RuntimeError):
    """Both sides were to compute the same, and did not."""


def pair(step, torch, **sizes):
    """The step's programs for minigrad and torch, minigrad's with the weights of torch's."""
    ours = step.program(minigrad, **sizes)
    theirs = step.program(torch, **sizes)
    if theirs.model is not None:
        state = theirs.model.state_dict()
        ours.model.load_state_dict({k: minigrad.tensor(v.numpy()) for k, v in state.items()})
    return ours, theirs


def check(step, torch, steps: int = 3, rtol: float = 1e-4, **sizes) -> list[tuple[float, float]]:
    """The (minigrad, torch) losses of a few steps without dropout; raises Disagreement.

    The gradients of the first step are compared too: a loss that hardly moves proves little.
    """
    if "dropout" in step.sizes:
        sizes["dropout"] = 0.0
    ours, theirs = pair(step, torch, **sizes)
    losses = []
    for k in range(1, steps + 1):
        ours.run()
        theirs.run()
        x, y = (program.value().numpy(force=True) for program in (ours, theirs))
        _agree(f"{step.name}, step {k}", x, y, rtol)
        losses.append(tuple(float((z**2).mean() ** 0.5) for z in (x, y)))
        if k == 1 and theirs.model is not None:
            _same_gradients(step.name, ours.model, theirs.model, rtol)
    return losses


def _same_gradients(name, ours, theirs, rtol):
    expected = dict(theirs.named_parameters())
    for path, parameter in ours.named_parameters():
        if expected[path].grad is not None:
            gradients = (p.grad.numpy(force=True) for p in (parameter, expected[path]))
            _agree(f"{name}, gradient of {path}", *gradients, rtol)


def _agree(what, x, y, rtol):
    # an entry near zero is a sum of terms that cancel: it is held to the size of the largest
    if not numpy.allclose(x, y, rtol=rtol, atol=rtol * float(numpy.abs(y).max())):
        raise Disagreement(
            f"{what}: minigrad {x.ravel()[:3]}, torch {y.ravel()[:3]}, "
            f"largest difference {numpy.abs(x - y).max():.3g}"
        )


def measure(step, torch, rounds: int = 7, apart: bool = False, **sizes) -> dict:
    """Milliseconds of a step as quartiles, and the ratio where torch is there."""
    if apart and torch is not None:
        sides = (Worker(side, step.name, **sizes) for side in ("minigrad", "torch"))
        with next(sides) as ours, next(sides) as theirs:
            return _compared(*alternate([ours, theirs], rounds))
    if torch is None:
        (times,) = alternate([step.program(minigrad, **sizes).run], rounds)
        return {"minigrad": [1e3 * q for q in times.quartiles]}
    ours, theirs = pair(step, torch, **sizes)
    return _compared(*alternate([ours.run, theirs.run], rounds))


def _compared(x, y):
    return {
        "minigrad": [1e3 * q for q in x.quartiles],
        "torch": [1e3 * q for q in y.quartiles],
        "ratio": list(ratio(x, y)),
    }


def chosen(names) -> list:
    """The steps of these names (all for none)."""
    unknown = set(names or ()) - STEPS.keys()
    if unknown:
        raise ValueError(f"no step {', '.join(sorted(unknown))}: there are {', '.join(STEPS)}")
    return [STEPS[name] for name in names or STEPS]


def run(
    names=None,
    rounds: int = 7,
    *,
    only_check: bool = False,
    apart: bool = False,
    small: bool = False,
) -> dict:
    """Check and time the steps; returns what write_json writes."""
    torch = import_torch()
    results = {"machine": machine(), "rounds": rounds, "apart": apart, "small": small, "steps": {}}
    steps = chosen(names)
    for k, step in enumerate(steps, 1):
        row = {"about": step.about}
        if torch is not None:
            row["losses"] = check(step, torch, small=small)
            losses = "; ".join(f"{x:.5f} {y:.5f}" for x, y in row["losses"])
            say(f"[{k}/{len(steps)}] {step.name}: losses of minigrad and torch {losses}")
        if not only_check:
            row |= measure(step, torch, rounds, apart, small=small)
            say(f"[{k}/{len(steps)}] {step.name}: {_summary(row)}")
        results["steps"][step.name] = row
    ratios = [row["ratio"][1] for row in results["steps"].values() if "ratio" in row]
    if ratios:
        results["geometric mean"] = geometric_mean(ratios)
    return results


def _summary(row) -> str:
    times = ", ".join(f"{t} {row[t][1]:.2f} ms" for t in ("minigrad", "torch") if t in row)
    return times + (f", ratio {row['ratio'][1]:.2f}" if "ratio" in row else "")


def show(results: dict) -> str:
    """The results as a table in Markdown, with the machine above and the mean below."""
    columns = ("minigrad", "torch", "ratio")
    rows = [
        [f"{name}: {row['about']}", *(spread(*row[c]) if c in row else "" for c in columns)]
        for name, row in results["steps"].items()
    ]
    header = ["training step", "minigrad, ms", "torch, ms", "ratio"]
    lines = [describe(results["machine"]), "", table(header, rows)]
    if "geometric mean" in results:
        lines += ["", f"geometric mean of the ratios: {results['geometric mean']:.3f}"]
    else:
        lines += ["", "torch is not installed: minigrad was timed alone"]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="NAME", help=", ".join(STEPS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--apart", action="store_true", help="each side in its own process")
    parser.add_argument("--check", action="store_true", help="only compare the losses")
    args = parser.parse_args()
    results = run(args.only, args.rounds, only_check=args.check, apart=args.apart)
    if not args.check:
        print(show(results))
    if args.json:
        write_json(args.json, results)


if __name__ == "__main__":
    main()
