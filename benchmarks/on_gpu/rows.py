"""The rows of the comparison on a GPU: what each one is, and how it is found.

A row has a name, a section and a function of a Bench that gives a dictionary for the report. Sections
come in this order: ceilings, checks, steps, kernels.
"""

import contextlib
import functools
import gc
from collections.abc import Callable
from dataclasses import dataclass

from minigrad.benchmarks.on_gpu import (  # noqa: F401  (the others fill CASES)
    ceilings,
    kernels,
    others,
    products,
)
from minigrad.benchmarks.on_gpu.cases import CASES, Case, Runnable, host
from minigrad.benchmarks.on_gpu.check import Wrong, check_case, poisoned, worst
from minigrad.benchmarks.on_gpu.clock import Clock
from minigrad.benchmarks.on_gpu.modes import MODES, Mode, Training, check_step, why_not
from minigrad.benchmarks.on_gpu.sides import PRECISIONS, Precision, Side
from minigrad.benchmarks.on_gpu.steps import STEPS

import minigrad

COMPARED = 1 << 20  # numbers of a result that are compared at the size it is timed at


class Skipped(Exception):
    """The row can't be found here, for the reason given."""


@dataclass
class Bench:
    """What rows work with. tiny: sizes for the stand-in; fresh: entered where results are checked."""

    ours: Side
    theirs: Side | None
    clock: Clock
    tiny: bool
    seconds: float  # that a row is timed for
    fresh: Callable = contextlib.nullcontext

    @classmethod
    def open(cls, cupy, torch, *, tiny: bool = False, quick: bool = False) -> "Bench":
        """For the GPU in use. torch: the module or None; with tiny it computes on the CPU."""
        properties = minigrad.cuda.get_device_properties()
        clock = Clock(cupy, 0 if tiny else properties.L2_cache_size, tiny)
        theirs = None if torch is None else Side("torch", torch, "cpu" if tiny else "cuda")
        seconds = 0.0 if tiny else 0.2 if quick else 0.3
        fresh = contextlib.nullcontext if tiny else functools.partial(poisoned, cupy)
        return cls(Side("minigrad", minigrad, "cuda"), theirs, clock, tiny, seconds, fresh)

    @property
    def sides(self) -> list[Side]:
        """minigrad, and torch where it is there."""
        return [self.ours] if self.theirs is None else [self.ours, self.theirs]

    def free(self) -> None:
        """Give back what the last row needed."""
        gc.collect()
        gc.freeze()  # what the libraries keep need not be looked through after each row
        for side in self.sides:
            side.free()


@dataclass
class Row:
    """One line of the report."""

    name: str
    section: str
    find: Callable[[Bench], dict]
    quick: bool = True


def rows(quick: bool = False) -> list[Row]:
    """All rows in their order; quick: those of the short run."""
    found = [*_ceilings(), *_checks(), *_step_rows(), *_kernel_rows()]
    return [row for row in found if row.quick or not quick]


def _ceilings():
    sizes = lambda bench, tiny, full: tiny if bench.tiny else full
    yield Row(
        "bandwidth", "ceilings",
        lambda bench: ceilings.bandwidth(bench.clock, sizes(bench, 1 << 12, _triad_size())),
    )  # fmt: skip
    for precision in PRECISIONS.values():
        yield Row(
            f"products, {precision.name}", "ceilings",
            lambda bench, p=precision: ceilings.products(
                bench.clock, bench.sides, p, sizes(bench, 16, 8192)
            ),
        )  # fmt: skip
    yield Row(
        "launch", "ceilings",
        lambda bench: ceilings.launch(bench.clock, sizes(bench, 3, 500)),
    )  # fmt: skip


def _triad_size() -> int:
    """Floats of an array for the bandwidth: 2 GB, or a 20th of a smaller GPU's memory."""
    return min(1 << 29, minigrad.cuda.get_device_properties().total_memory // 80 // 1024 * 1024)


def _case_rows(section, before, precisions, run):
    """A row for each case, precision of its precisions(case), and direction."""
    for one in CASES.values():
        for precision in map(PRECISIONS.get, precisions(one)):
            for direction in one.directions:
                yield Row(
                    f"{before}{one.name}, {direction}, {precision.name}", section,
                    functools.partial(run, one, precision, direction), one.quick,
                )  # fmt: skip


def _checks():
    yield from _case_rows("checks", "check: ", lambda one: one.checks, _check)
    for name in STEPS:
        for mode in MODES.values():
            yield Row(
                f"check: step of {name}, {mode.name}", "checks",
                functools.partial(_check_step, name, mode), mode.quick,
            )  # fmt: skip


def _check(one: Case, precision: Precision, direction: str, bench: Bench) -> dict:
    _must(bench.ours.why_not(precision))
    sizes = one.tiny if bench.tiny else one.check
    return check_case(one, precision, direction, sizes, bench.ours, bench.theirs, bench.fresh)


def _check_step(name: str, mode: Mode, bench: Bench) -> dict:
    _must(why_not(bench.ours, mode))
    size = "tiny" if bench.tiny else "check"
    return check_step(name, mode, size, bench.ours, bench.theirs, bench.fresh)


def _must(reason: str | None) -> None:
    if reason:
        raise Skipped(reason)


def _step_rows():
    for name in STEPS:
        for mode in MODES.values():
            yield Row(
                f"step of {name}, {mode.name}", "steps", functools.partial(_time_step, name, mode),
                mode.quick,
            )  # fmt: skip


def _time_step(name: str, mode: Mode, bench: Bench) -> dict:
    _must(why_not(bench.ours, mode))
    build = lambda side: Training(name, side, mode, "tiny" if bench.tiny else "full")
    sides = {side.name: (side, why_not(side, mode)) for side in bench.sides}
    timed, _ = _timed(bench, sides, build, mode.computed, cold=False)
    return {"step": name, "mode": mode.name, **timed}


def _kernel_rows():
    yield from _case_rows("kernels", "", lambda one: one.times, _time_case)


def _time_case(one: Case, precision: Precision, direction: str, bench: Bench) -> dict:
    _must(bench.ours.why_not(precision))
    sizes = one.tiny if bench.tiny else one.sizes
    build = lambda side: Runnable(one, side, precision, direction, sizes)
    sides = {side.name: (side, side.why_not(precision)) for side in bench.sides}
    if bench.theirs is not None and one.name.startswith("attention"):
        for name, scope in products.attention_scopes(bench.theirs.t).items():
            side = bench.theirs.with_scope(f"torch, {name}", scope)
            reason = "no CPU version" if bench.theirs.device == "cpu" else side.why_not(precision)
            sides[side.name] = side, reason
    timed, programs = _timed(bench, sides, build, precision, cold=True, compare=not one.random)
    return {
        "case": one.name, "precision": precision.name, "direction": direction, "sizes": sizes,
        "formula": one.formula, "bytes": programs["minigrad"].bytes,
        "flops": programs["minigrad"].flops, **timed,
    }  # fmt: skip


def _timed(bench, sides: dict, build, precision, *, cold: bool, compare=False):
    """({"times": by side, "missing": reasons by side}, the programs by side).

    compare: the first results of both sides must agree in the precision's bounds. What goes wrong on
    torch's side leaves its place empty, with the reason; what does on ours is raised.
    """
    programs, row = {}, {"times": {}, "missing": {}}
    with contextlib.ExitStack() as stack:
        for side in bench.sides:
            stack.enter_context(side.computing(precision))
        for name, (side, reason) in sides.items():
            if reason:
                row["missing"][name] = reason
                continue
            try:
                program = build(side)
                program.run()
            except RuntimeError as error:
                if side is bench.ours:
                    raise
                row["missing"][name] = str(error)[:300]
            else:
                programs[name] = program
        if compare and "torch" in programs:
            row["apart"] = _agreement(programs["minigrad"], programs["torch"], precision)
        times = bench.clock.measure([p.run for p in programs.values()], bench.seconds, cold)
    row["times"] = dict(zip(programs, times, strict=True))
    return row, programs


def _agreement(ours, theirs, precision) -> float:
    """How far the sides are apart at the size that is timed, in about a million numbers of each result."""
    few = lambda program: {name: _some(x) for name, x in program.tensors().items()}
    where, apart = worst(few(ours), few(theirs))
    if not apart <= 4 * precision.bound:
        raise Wrong(
            f"at the size that is timed {where} differs from torch's by {apart:.2g}, more than "
            f"{4 * precision.bound:.2g}"
        )
    return apart


def _some(tensor):
    flat = tensor.detach().reshape(-1)
    return host(flat[:: max(1, -(-len(flat) // COMPARED))])
