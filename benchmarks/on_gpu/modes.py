"""Ways to take a training step: float32, TF32, autocast, float16 with scaled losses, CUDA graphs.

The optimizer is AdamW(fused=True). A graph is captured once, as in torch's manual: after some steps on
another stream, zero_grad, forward, backward and step become one launch, with gradients that stay where
they are.
"""

import contextlib
from dataclasses import dataclass

from minigrad.benchmarks.on_gpu.cases import host
from minigrad.benchmarks.on_gpu.check import compare
from minigrad.benchmarks.on_gpu.sides import PRECISIONS, REFERENCE, Maker, Precision, Side
from minigrad.benchmarks.on_gpu.steps import build

SCALE = 1024.0  # of a float16 loss, at first: small enough for the first step to count


@dataclass
class Mode:
    """How a step is taken. autocast: the dtype, or None; precision: whose bounds hold; quick: it belongs
    to the short run."""

    name: str
    precision: str
    autocast: str | None = None
    graph: bool = False
    quick: bool = True

    @property
    def computed(self) -> Precision:
        """What is computed in but for autocast."""
        return PRECISIONS["float32" if self.autocast else self.precision]


MODES = {
    m.name: m
    for m in (
        Mode("float32", "float32"),
        Mode("float32, graph", "float32", graph=True),
        Mode("tf32", "tf32", quick=False),
        Mode("bfloat16 autocast", "bfloat16", "bfloat16", quick=False),
        Mode("bfloat16 autocast, graph", "bfloat16", "bfloat16", graph=True),
        Mode("float16 autocast", "float16", "float16", quick=False),
    )
}


def why_not(side: Side, mode: Mode) -> str | None:
    """Why a side can't take a step so, or None."""
    missing = side.why_not(PRECISIONS[mode.precision])
    if missing is None and mode.graph:
        if side.device != "cuda":
            return f"{side.name} has no CUDA graphs on a CPU"
        if not hasattr(side.t.cuda, "CUDAGraph"):
            return f"{side.name} has no cuda.CUDAGraph"
    if missing is None and mode.autocast and not hasattr(side.t, "autocast"):
        return f"{side.name} has no autocast"
    return missing


class Training:
    """A step of a model on a side; `run` takes one. check: no dropout, and weights that stay.

    Whoever builds and runs it does so inside `side.computing(mode.computed)`.
    """

    def __init__(self, name: str, side: Side, mode: Mode, size: str, *, check=False):
        self.side, self.mode = side, mode
        with side.scope():
            maker = Maker(side, mode.computed)
            self.model, self.loss = build(name, maker, size, dropout=not check)
            rate, decay = (0.0, 0.0) if check else (1e-4, 1e-2)
            options = {} if side is REFERENCE else {"fused": True, "capturable": mode.graph}
            self.optimizer = side.t.optim.AdamW(
                self.model.parameters(), lr=rate, weight_decay=decay, **options
            )
            self.scaler = None
            if mode.autocast == "float16":
                self.scaler = side.t.amp.GradScaler(side.device, init_scale=SCALE)
            self.replay = self._captured() if mode.graph else None
        self.last = None

    def _autocast(self):
        if self.mode.autocast is None:
            return contextlib.nullcontext()
        t = self.side.t
        return t.autocast(device_type=self.side.device, dtype=getattr(t, self.mode.autocast))

    def _step(self):
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            loss = self.loss()
        if self.scaler is None:
            loss.backward()
            self.optimizer.step()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return loss.detach()

    def _captured(self):
        """The step as a graph: a function that launches it."""
        cuda = self.side.t.cuda
        aside = cuda.Stream()
        aside.wait_stream(cuda.current_stream())
        with cuda.stream(aside):
            for _ in range(3):
                self._step()
        cuda.current_stream().wait_stream(aside)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            self.output = self._step()
        return graph.replay

    def run(self):
        """One step."""
        if self.replay is None:
            with self.side.scope():
                self.last = self._step()
        else:
            self.replay()
            self.last = self.output

    def values(self) -> dict:
        """{name: float64 array} of the last step's loss and gradients."""
        gradients = {
            f"gradient of {name}": host(p.grad) for name, p in self.model.named_parameters()
        }
        return {"loss": host(self.last), **gradients}


def check_step(name: str, mode: Mode, size: str, ours: Side, theirs: Side | None, fresh) -> dict:
    """Errors of a step's loss and gradients, ours and torch's; Wrong if ours is above the bound.

    A gradient far below the others is held to their size: the key's bias has none but rounding.
    """
    reference = Training(name, REFERENCE, MODES["float32"], size, check=True)
    reference.run()
    right = reference.values()
    gradients = [float((x**2).sum()) for key, x in right.items() if key != "loss"]
    least = 1e-2 * (sum(gradients) / len(gradients)) ** 0.5

    def computed(side):
        with side.computing(mode.computed):
            training = Training(name, side, mode, size, check=True)
            training.run()
            return training.values()

    other = None if theirs is None or why_not(theirs, mode) else theirs
    bound = PRECISIONS[mode.precision].step
    return compare(
        f"step of {name}, {mode.name}", computed, right, bound, ours, other, fresh, least
    )
