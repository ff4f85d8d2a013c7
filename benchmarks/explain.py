"""A fused op beside the same function composed of plain ops: both times, both gradients, their difference.

    python benchmarks/explain.py lstm        or        minigrad bench --explain lstm

The op is called as a training step calls it (benchmarks/programs.py): with the inputs of its largest
call there. Then it and its composite, `op.composite`, go forward, and backward from the same random
gradients.
"""

import argparse

import numpy
from minigrad.benchmarks import measure  # first: it sets the number of threads
from minigrad.benchmarks.kernels import PROGRAMS
from minigrad.benchmarks.measure import alternate, describe, machine, spread, table
from minigrad.benchmarks.programs import STEPS

import minigrad
from minigrad.op import REGISTRY, Op, Variable

# what people call an op: (its name, the program that calls it)
NAMES = {
    "lstm": ("lstm_layer", "lstm"),
    "gru": ("gru_layer", "gru"),
    "rnn": ("rnn_layer", "rnn"),
    "attention": ("attention_fused", "attention512"),
    "conv1d_relu_max": ("convolve_relu_max", "conv1d_relu_max"),
    "cross_entropy": ("softmax_cross_entropy", "lm"),
    "linear_cross_entropy": ("linear_softmax_cross_entropy", "linear_cross_entropy"),
    "layer_norm": ("normalise", "maskedlm"),
    "rms_norm": ("normalise", "rms_norm"),
    "batch_norm": ("normalise_channels", "batch_norm"),
    "gelu": ("gelu_exact_gradient", "gelu"),
    "silu": ("swish_gradient", "silu"),
}


class Recorder:
    """The largest call of one op while a program runs."""

    def __init__(self, op):
        self.op = op
        self.size = -1
        self.inputs = self.options = None

    def __enter__(self):
        self.call = call = Op.__call__

        def watched(op, *inputs, **options):
            if op is self.op:
                size = sum(getattr(getattr(x, "array", x), "size", 0) for x in inputs)
                if size > self.size:
                    self.size, self.inputs, self.options = size, inputs, options
            return call(op, *inputs, **options)

        Op.__call__ = watched
        return self

    def __exit__(self, *error):
        Op.__call__ = self.call


def recorded(name: str, small: bool = False) -> tuple:
    """(op, inputs, options): fresh leaves for the tensors of its largest call in its program."""
    if name not in NAMES:
        raise ValueError(f"explain: there is no {name!r}: choose one of {', '.join(NAMES)}")
    op_name, program = NAMES[name]
    op = REGISTRY[op_name]
    run = PROGRAMS[program] if program in PROGRAMS else STEPS[program].program(minigrad, small).run
    with Recorder(op) as found:
        run()
    if found.inputs is None:
        raise RuntimeError(f"explain: {program} did not call {op_name}")
    inputs = []
    for x in found.inputs:
        array = getattr(x, "array", x)
        if isinstance(array, numpy.ndarray) and array.dtype.kind == "f":
            wanted = x.requires_grad if isinstance(x, Variable) else True
            x = minigrad.from_numpy(array.copy("K")).requires_grad_(wanted)
        inputs.append(x)
    return op, inputs, {**op.defaults, **found.options}


def explain(name: str, rounds: int = 5, small: bool = False) -> dict:
    """Times of both ways, forward and backward, and how far apart outputs and gradients are."""
    op, inputs, options = recorded(name, small)
    leaves = [x for x in inputs if isinstance(x, Variable) and x.requires_grad]
    ways = {"fused": op, "composed": op.composite}
    seeds = None
    outs, grads, times = {}, {}, {}
    for way, function in ways.items():
        found = _outputs(function(*inputs, **options), op)
        if seeds is None:
            rng = numpy.random.default_rng(0)
            seeds = [
                minigrad.from_numpy(rng.standard_normal(y.shape).astype(y.array.dtype))
                for y in found
            ]
        outs[way] = [y.detach().numpy() for y in found]
        grads[way] = [
            g.numpy() for g in minigrad.autograd.grad(found, leaves, seeds, materialize_grads=True)
        ]
    programs = []
    for function in ways.values():
        programs.append(lambda f=function: f(*inputs, **options))
        programs.append(
            lambda f=function: minigrad.autograd.grad(
                _outputs(f(*inputs, **options), op), leaves, seeds, materialize_grads=True
            )
        )
    measured = alternate(programs, rounds, 1, seconds=0.05)
    for way, pair in zip(ways, (measured[:2], measured[2:]), strict=True):
        times[way] = [[1e3 * q for q in t.quartiles] for t in pair]
    names = [
        n for n, x in zip(op.inputs, inputs, strict=False) if any(x is leaf for leaf in leaves)
    ]
    return {
        "name": name,
        "op": op.name,
        "about": op.__doc__,
        "composite": op.composite.__name__,
        "times": times,
        "outputs": [_distance(x, y) for x, y in zip(*outs.values(), strict=True)],
        "gradients": {
            n: (x.shape, *_distance(x, y))
            for n, x, y in zip(names, grads["fused"], grads["composed"], strict=True)
        },
        "machine": machine(),
    }


def _outputs(out, op):
    out = out if isinstance(out, tuple) else (out,)
    return [y for y in out[: op.outputs] if y.requires_grad]


def _distance(x, y):
    """(largest difference, largest number)."""
    return float(abs(x - y).max(initial=0)), float(abs(y).max(initial=0))


def show(found: dict) -> str:
    """The comparison as text."""
    (fused, both), (composed, all_composed) = found["times"].values()
    rows = [
        ["forward", spread(*fused), spread(*composed), f"{composed[1] / fused[1]:.1f}"],
        ["forward and backward", spread(*both), spread(*all_composed), f"{all_composed[1] / both[1]:.1f}"],
    ]  # fmt: skip
    lines = [
        f"{found['name']}: the op {found['op']}, and {found['composite']} in plain ops",
        "",
        found["about"].strip(),
        "",
        describe(found["machine"]),
        "",
        table(["", "fused, ms", "composed, ms", "gain"], rows),
        "",
    ]
    rows = [
        [f"output {k}", "", f"{apart:.1e}", f"{largest:.1e}"]
        for k, (apart, largest) in enumerate(found["outputs"])
    ]
    rows += [
        [f"gradient of {name}", "x".join(map(str, shape)), f"{apart:.1e}", f"{largest:.1e}"]
        for name, (shape, apart, largest) in found["gradients"].items()
    ]
    lines.append(table(["", "shape", "largest difference", "largest number"], rows))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    measure.import_torch()
    print(show(explain(args.name, args.rounds)))


if __name__ == "__main__":
    main()
