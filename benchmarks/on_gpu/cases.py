"""Cases: single functions written once for torch and minigrad, with what they must move and compute.

A case is a function of a Maker and of its sizes. It gives a Built: the forward computation, what
gradients are taken for, and the bytes and operations that cannot be avoided, forward and backward.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

from minigrad.benchmarks.on_gpu.sides import PRECISIONS, REFERENCE, Maker, Precision, Side

ITEM = {"float32": 4, "float16": 2, "bfloat16": 2}  # bytes of a number


@dataclass
class Built:
    """A case for one side. bytes and flops: (forward, backward); None where the other one binds."""

    forward: Callable[[], object]
    inputs: dict = field(default_factory=dict)  # {name: tensor} that gradients are taken for
    bytes: tuple | None = None
    flops: tuple | None = None
    outputs: Callable[[], dict] | None = None  # what came out, where forward() doesn't give it
    around: Callable = contextlib.nullcontext  # entered for every run


@dataclass
class Case:
    """One function. check: sizes at which it is compared, odd ones; sizes: those it is timed at;
    tiny: those on the stand-in."""

    name: str
    build: Callable[..., Built]
    formula: str
    sizes: dict
    check: dict
    tiny: dict
    times: tuple  # names of precisions that it is timed in
    checks: tuple
    directions: tuple
    random: bool  # draws masks: torch's are others
    quick: bool  # belongs to the short run


CASES: dict[str, Case] = {}
BANDWIDTH = "float32", "float16"  # times of what memory binds: bfloat16 moves as much as float16
ALL = tuple(PRECISIONS)
EXACT = "float32", "float16", "bfloat16"  # no product in it that TF32 could round


def case(
    name, formula, sizes, check, times=BANDWIDTH, checks=EXACT, directions=("forward", "backward"),
    random=False, quick=False, tiny=(),
):  # fmt: skip
    """Register a case: see Case. formula: the bytes or operations, for the reader; tiny: what differs
    from `check` on the stand-in."""

    def register(build):
        less = {**check, **dict(tiny)}
        CASES[name] = Case(
            name, build, formula, sizes, check, less, times, checks, directions, random, quick
        )
        return build

    return register


class Runnable:
    """A case built for a side in one direction: `run` is timed, `values` tells what came out.

    Whoever builds and runs it does so inside `side.computing(precision)`.
    """

    def __init__(self, one: Case, side: Side, precision: Precision, direction: str, sizes: dict):
        self.side, self.backward = side, direction == "backward"
        maker = Maker(side, precision)
        with side.scope():
            self.built = built = one.build(maker, SimpleNamespace(**sizes))
            if self.backward:
                with built.around():
                    self.out = built.forward()
                self.g = maker.normal(*self.out.shape)
        self.bytes, self.flops = (
            None if pair is None else pair[self.backward] for pair in (built.bytes, built.flops)
        )
        self.found = None

    def run(self):
        """Once; the results are kept until the next run."""
        with self.side.scope(), self.built.around():
            if self.backward:
                inputs = list(self.built.inputs.values())
                self.found = self.side.t.autograd.grad(self.out, inputs, self.g, retain_graph=True)
            else:
                self.found = self.built.forward()

    def tensors(self) -> dict:
        """{name: tensor} of the last run's results."""
        if self.backward:
            names = (f"gradient of {name}" for name in self.built.inputs)
            return dict(zip(names, self.found, strict=True))
        if self.built.outputs is not None:
            return self.built.outputs()
        return {"output": self.found}

    def values(self) -> dict:
        """{name: float64 array} of the last run's results."""
        return {name: host(x) for name, x in self.tensors().items()}


def host(tensor):
    """A tensor's numbers as a NumPy array of float64."""
    wide = tensor.detach().to("cpu")
    return (wide if wide.dtype.itemsize > 4 else wide.float()).numpy().astype("float64")


def expected(one: Case, precision: Precision, direction: str, sizes: dict) -> dict:
    """What the reference gives."""
    runnable = Runnable(one, REFERENCE, precision, direction, sizes)
    runnable.run()
    return runnable.values()
