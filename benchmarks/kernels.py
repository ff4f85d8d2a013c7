"""Each kernel against its reference, the same function in plain NumPy: how much faster is it?

    python benchmarks/kernels.py [--only NAME] [--json FILE]

Kernels are timed on the arguments that they get in the training steps (benchmarks/programs.py), or in
the programs below where no step uses them: while a program runs once, the largest call of every
kernel is kept. References are run in turn with kernels; a gain below 1.5 has no place in the library.
"""

import argparse
import contextlib

import numpy
from minigrad.benchmarks import measure  # first: it sets the number of threads
from minigrad.benchmarks.measure import alternate, describe, machine, say, spread, table, write_json
from minigrad.benchmarks.programs import STEPS
from minigrad.kernels import kernel as kernels

import minigrad
from minigrad import nn, optim
from minigrad.train.vectors.glove import train_glove
from minigrad.train.vectors.word2vec import train_fasttext

LEAST = 1.5
F = nn.functional


def _numbers(*shape):
    return minigrad.randn(*shape, requires_grad=True)


def _optimizer(make):
    """One step of an optimizer over a million parameters."""

    def program():
        parameters = [nn.Parameter(minigrad.randn(1000, 1000)), nn.Parameter(minigrad.randn(1000))]
        optimizer = make(parameters)
        for parameter in parameters:
            parameter.grad = minigrad.randn(*parameter.shape)
        optimizer.step()

    return program


def _sparse(make):
    """One step for the rows that 4,096 ids of a table with 30,000 rows touch."""

    def program():
        table = nn.Embedding(30_000, 100, sparse=True)
        optimizer = make(table.parameters())
        table(minigrad.randint(30_000, (4096,))).sum().backward()
        optimizer.step()

    return program


def _activation(function):
    return lambda: function(_numbers(2048, 1024)).sum().backward()


def _recurrent(layer):
    return lambda: layer(100, 128)(_numbers(100, 32, 100))[0].sum().backward()


def _glove():
    """Counts of a text of 20,000 words that fall like 1/rank, and an epoch over its pairs."""
    draw = numpy.random.default_rng(0)
    words = numpy.minimum(draw.zipf(1.2, 20_000), 3000).astype(str).tolist()
    train_glove([words[k : k + 25] for k in range(0, len(words), 25)], 100, 1, min_count=1)


def _fasttext():
    """An epoch over two sentences of a thousand words each that fall like 1/rank."""
    draw = numpy.random.default_rng(0)
    words = numpy.minimum(draw.zipf(1.2, 2000), 3000).astype(str).tolist()
    train_fasttext([words[:1000], words[1000:]], buckets=10_000, min_count=1, epochs=1, sample=0)


PROGRAMS = {
    "conv1d and maximum": lambda: F.conv1d(
        _numbers(64, 300, 64), _numbers(128, 300, 5), _numbers(128)
    ).relu().amax(2).sum().backward(),
    "conv1d_relu_max": lambda: F.conv1d_relu_max(
        _numbers(50, 300, 56), _numbers(100, 300, 4), _numbers(100)
    ).sum().backward(),
    "linear_cross_entropy": lambda: F.linear_cross_entropy(
        _numbers(1024, 100), _numbers(30_000, 100), minigrad.randint(30_000, (1024,))
    ).backward(),
    "rnn": _recurrent(nn.RNN),
    "batch_norm": lambda: nn.BatchNorm1d(256)(_numbers(512, 256)).sum().backward(),
    "rms_norm": lambda: nn.RMSNorm(256)(_numbers(2048, 256)).sum().backward(),
    "dropout": lambda: F.dropout(_numbers(2048, 1024), 0.1).sum().backward(),
    **{
        name: _activation(getattr(F, name)) for name in ("relu", "gelu", "silu", "sigmoid")
    },
    "gelu_tanh": _activation(lambda x: F.gelu(x, approximate="tanh")),
    "erf": _activation(minigrad.erf),
    "GloVe": _glove,
    "fastText": _fasttext,
    "SGD": _optimizer(lambda p: optim.SGD(p, 0.1, momentum=0.9)),
    **{
        name: _optimizer(getattr(optim, name))
        for name in (
            "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "RMSprop", "Adadelta",
        )
    },
    "sparse SGD": _sparse(lambda p: optim.SGD(p, 0.1)),
    "sparse Adagrad": _sparse(optim.Adagrad),
    "SparseAdam": _sparse(optim.SparseAdam),
}  # fmt: skip


def _size(arguments):
    return sum(
        _size(x) if isinstance(x, (tuple, list)) else getattr(x, "size", 0) for x in arguments
    )


def _copy(x):
    if isinstance(x, (tuple, list)):
        return type(x)(map(_copy, x))
    return x.copy("K") if isinstance(x, numpy.ndarray) else x


@contextlib.contextmanager
def recording(largest):
    """Inside, the largest call of every kernel is kept in `largest`: {name: (arguments, options)}."""
    choose = kernels.Kernel.__getitem__

    def watched(self, xp):
        implementation = choose(self, xp)

        def call(*arguments, **options):
            size = _size(arguments)
            if size > largest.get(self.name, (0,))[0]:
                largest[self.name] = size, _copy(arguments), _copy_options(options)
            return implementation(*arguments, **options)

        return call

    kernels.Kernel.__getitem__ = watched
    try:
        yield
    finally:
        kernels.Kernel.__getitem__ = choose


def _copy_options(options):
    return {name: _copy(value) for name, value in options.items()}


def calls() -> dict:
    """{kernel: (where, arguments, options)}: the largest call of each in all programs."""
    found, where = {}, {}
    programs = {name: step.program(minigrad).run for name, step in STEPS.items()}
    for name, program in {**programs, **PROGRAMS}.items():
        say(f"recording {name}")
        before = {key: value[0] for key, value in found.items()}
        with recording(found):
            program()
        where |= {key: name for key in found if found[key][0] != before.get(key)}
    return {key: (where[key], *found[key][1:]) for key in sorted(found)}


def _shapes(arguments):
    """The shapes of the first two arrays, wherever they stand."""
    shown = list(_arrays(arguments))
    text = ", ".join("x".join(map(str, x.shape)) for x in shown[:2])
    return text + (f" and {len(shown) - 2} more" if len(shown) > 2 else "")


def _arrays(arguments):
    for x in arguments:
        if isinstance(x, numpy.ndarray) and x.ndim:
            yield x
        elif isinstance(x, (tuple, list)):
            yield from _arrays(x)


def run(only=None, rounds: int = 5) -> dict:
    """Time every kernel and its reference; returns what write_json writes."""
    results = {"machine": machine(), "kernels": {}}
    for name, (where, arguments, options) in calls().items():
        if only and name not in only:
            continue
        one = kernels.REGISTRY[name]
        fast, slow = one[numpy], one.reference
        if fast is slow:
            continue
        times = alternate(
            [lambda f=f: f(*arguments, **options) for f in (fast, slow)],
            rounds,
            1,
            seconds=0.05,
            pause=0.1,  # NumPy's BLAS keeps its threads spinning for 30 ms after a product
        )
        kernel_ms, reference_ms = ([1e3 * q for q in t.quartiles] for t in times)
        results["kernels"][name] = {
            "program": where, "arguments": _shapes(arguments), "kernel": kernel_ms,
            "reference": reference_ms, "gain": reference_ms[1] / kernel_ms[1],
        }  # fmt: skip
        say(f"{name}: {results['kernels'][name]['gain']:.1f}")
    results["never called"] = sorted(kernels.REGISTRY.keys() - results["kernels"].keys())
    return results


def show(results: dict) -> str:
    """The results as a table in Markdown."""
    rows = [
        [
            name, row["program"], row["arguments"], spread(*row["reference"], 3),
            spread(*row["kernel"], 3), f"{row['gain']:.1f}",
        ]
        for name, row in results["kernels"].items()
    ]  # fmt: skip
    header = ["kernel", "in", "arguments", "reference, ms", "kernel, ms", "gain"]
    lines = [describe(results["machine"]), "", table(header, rows)]
    slow = [n for n, row in results["kernels"].items() if row["gain"] < LEAST]
    lines += ["", f"below {LEAST}: {', '.join(slow) or 'none'}"]
    if results["never called"]:
        lines += [f"not timed here: {', '.join(results['never called'])}"]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="KERNEL")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    args = parser.parse_args()
    measure.import_torch()
    results = run(args.only, args.rounds)
    print(show(results))
    if args.json:
        write_json(args.json, results)


if __name__ == "__main__":
    main()
