"""The loss curve of a language model in training, step by step, here and in torch.

    python benchmarks/lm_curve.py                  # a whole epoch of PTB, both in turn
    python benchmarks/lm_curve.py --schedule zaremba --steps 300 --control

The small model of Zaremba 2014 (dropout 0) from the same seed, on the same windows in the same order,
the state carried, gradients clipped to the norm 5. Two schedules: "adam", rate 0.001, the loss averaged
over all ids of a window; "zaremba", SGD with rate 1, the loss summed over the window's 20 steps, as in
the paper's program. With the latter, rounding grows until any two runs part: `--control` holds torch
against itself, started with one weight changed in its last bit. What parts the two libraries first is
the norm that clipping divides by: torch sums a float32 gradient's squares less exactly.
The model here is models/language_model.py; torch's is written out below, from torch's own modules.
"""

import argparse
import itertools
import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy

import minigrad
from minigrad.extra import need
from minigrad.files import atomic
from minigrad.models.language_model import ZAREMBA, RecurrentLM, detach_state
from minigrad.text.language import Windows, batchify, load_corpus

COLUMNS, STEPS, NORM = 20, 20, 5.0
SCHEDULES = {
    "adam": ("Adam, rate 0.001, mean loss", lambda t, weights: t.optim.Adam(weights, lr=1e-3)),
    "zaremba": (
        "SGD, rate 1, loss summed over the steps",
        lambda t, weights: t.optim.SGD(weights, lr=1.0),
    ),
}
OURS, THEIRS = "#1f5fa8", "#d9772b"
HEAD = """# The loss curve of a language model, here and in torch

Written by `python benchmarks/lm_curve.py`. Penn Treebank, LSTM of 2 x 200 (Zaremba 2014, small,
dropout 0), 20 columns, 20 steps, gradient norm at most 5, state carried; the same seed, the same windows
in the same order.
"""
FOLDER = Path(__file__).parent / "results"


def torch_model(torch, vocab_size, embed_dim, hidden_size, num_layers, init_range, **_):
    """The same model of torch's own modules; its weights are drawn in the same order."""
    nn = torch.nn

    class LanguageModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(vocab_size, embed_dim)
            self.rnn = nn.LSTM(embed_dim, hidden_size, num_layers)
            self.decoder = nn.Linear(hidden_size, vocab_size)
            for weight in self.parameters():
                nn.init.uniform_(weight, -init_range, init_range)

        def forward(self, ids, state=None):
            output, state = self.rnn(self.embedding(ids), state)
            return self.decoder(output), state

    return LanguageModel()


class Side:
    """One library's model and optimizer; `step` makes an update and returns the loss before it."""

    def __init__(self, library, model, schedule):
        self.library = library
        self.sum_over_time = schedule == "zaremba"
        self.model = model
        self.optimizer = SCHEDULES[schedule][1](library, model.parameters())
        self.state = None
        self.losses = []
        self.seconds = []
        self.norm_errors = []  # of the gradient's norm as clipping finds it, relative

    def step(self, inputs, targets):
        """Truncated backpropagation through one window of ids (T, B), given as NumPy arrays."""
        t = self.library
        inputs, targets = t.tensor(inputs), t.tensor(targets)
        begin = time.perf_counter()
        self.optimizer.zero_grad()
        logits, self.state = self.model(inputs, detach_state(self.state))
        loss = t.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        (loss * len(inputs) if self.sum_over_time else loss).backward()
        seconds = time.perf_counter() - begin
        exact = self.norm()
        begin = time.perf_counter()
        found = float(t.nn.utils.clip_grad_norm_(self.model.parameters(), NORM))
        self.optimizer.step()
        self.losses.append(loss.item())
        self.seconds.append(seconds + time.perf_counter() - begin)
        self.norm_errors.append(abs(found - exact) / exact)

    def norm(self) -> float:
        """The norm of the whole gradient, its squares summed in float64."""
        gradients = [
            weight.grad.numpy(force=True).astype("float64").ravel()
            for weight in self.model.parameters()
        ]
        return math.sqrt(sum(float(g @ g) for g in gradients))


@dataclass
class Curves:
    """What a run measured; `control` is torch from a start one bit away, where that was asked for."""

    schedule: str
    dtype: str
    ours: Side
    theirs: Side
    control: Side | None
    first_weights: float  # the largest difference before the first step

    def gap(self, side: Side) -> numpy.ndarray:
        """|loss - torch's loss| at every step."""
        return numpy.abs(numpy.subtract(side.losses, self.theirs.losses))


def run(
    ids, vocab_size, steps=None, schedule="adam", dtype="float32", control=False, sizes=None,
    say=print, every=100,
) -> Curves:  # fmt: skip
    """Both models, and the control where it is asked for, over `steps` windows of ids (N,)."""
    torch = need("torch", extra="test")
    sizes = sizes or ZAREMBA["small"]

    def theirs():
        torch.manual_seed(0)
        return torch_model(torch, vocab_size, **sizes).to(getattr(torch, dtype))

    minigrad.manual_seed(0)
    ours = RecurrentLM(vocab_size, **sizes).to(getattr(minigrad, dtype))
    sides = [Side(minigrad, ours, schedule), Side(torch, theirs(), schedule)]
    if control:
        nudged = theirs()
        with torch.no_grad():
            weight = nudged.rnn.weight_hh_l0[0]
            weight[0] = torch.nextafter(weight[0], torch.ones_like(weight[0]))
        sides.append(Side(torch, nudged, schedule))
    pairs = zip(sides[0].model.parameters(), sides[1].model.parameters(), strict=True)
    pairs = [(a.numpy(force=True), b.numpy(force=True)) for a, b in pairs]
    start = max(float(numpy.abs(a - b).max()) for a, b in pairs)
    curves = Curves(schedule, dtype, *sides[:2], sides[2] if sides[2:] else None, start)
    windows = Windows(batchify(ids, COLUMNS), STEPS)
    for number, (inputs, targets) in enumerate(itertools.islice(windows, steps), start=1):
        for side in sides if number % 2 else reversed(sides):
            side.step(inputs.numpy(force=True), targets.numpy(force=True))
        if number % every == 0:
            apart = "".join(f", torch's from itself {curves.gap(s).max():.1e}" for s in sides[2:])
            say(
                f"step {number}: loss {sides[0].losses[-1]:.6f}, torch {sides[1].losses[-1]:.6f}, "
                f"largest difference so far {curves.gap(sides[0]).max():.1e}{apart}"
            )
    return curves


def draw(curves: Curves, path) -> None:
    """Both losses, and the differences on a logarithmic scale, as a PNG."""
    figure = need("matplotlib.figure").Figure((8, 5.6))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    ours, theirs = numpy.array(curves.ours.losses), numpy.array(curves.theirs.losses)
    numbers = numpy.arange(1, len(ours) + 1)
    width = max(1, min(50, len(ours) // 10))
    mean = lambda values: numpy.convolve(values, numpy.ones(width) / width, "valid")
    top.plot(numbers, theirs, color=THEIRS, lw=0.4, alpha=0.35)
    top.plot(numbers[width - 1 :], mean(theirs), color=THEIRS, lw=3.5, label="torch")
    top.plot(numbers[width - 1 :], mean(ours), color=OURS, lw=1.2, label="minigrad")
    top.set_ylabel(f"loss, nats (mean of {width} steps)")
    top.legend(frameon=False)
    lines = [(curves.ours, OURS, "minigrad, torch")]
    if curves.control is not None:
        lines.append((curves.control, THEIRS, "torch, torch from one bit away"))
    for side, colour, label in lines:
        gap = numpy.maximum(curves.gap(side), 1e-8 if curves.dtype == "float32" else 1e-16)
        bottom.semilogy(numbers, gap, color=colour, lw=0.5, alpha=0.5)
        bottom.semilogy(numbers, numpy.maximum.accumulate(gap), color=colour, lw=1.2, label=label)
    bottom.axhline(1e-3, color="black", lw=0.8, ls="--")
    bottom.set_ylabel("difference of losses")
    bottom.set_xlabel("step (thick: the largest difference so far)")
    bottom.legend(frameon=False)
    for ax in (top, bottom):
        ax.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    with atomic(path) as file:
        figure.savefig(file, format="png", dpi=120)


def table(curves: Curves) -> list[str]:
    """Losses at a few steps, with the largest difference up to each, as rows of Markdown."""
    ours, theirs = curves.ours.losses, curves.theirs.losses
    far = [numpy.maximum.accumulate(curves.gap(curves.ours))]
    head = "| step | loss | loss in torch | largest difference so far |"
    if curves.control is not None:
        head += " torch from torch, one bit away |"
        far.append(numpy.maximum.accumulate(curves.gap(curves.control)))
    marks = [n for n in (1, 10, 20, 50, 100, 200, 300, 500, 1000, 1500, 2000) if n < len(ours)]
    lines = [head, "|" + " --- |" * head.count(" | ") + " --- |"]
    for n in [*marks, len(ours)]:
        gaps = "".join(f" {row[n - 1]:.1e} |" for row in far)
        lines.append(f"| {n} | {ours[n - 1]:.6f} | {theirs[n - 1]:.6f} |{gaps}")
    return lines


def describe(curves: Curves, picture: str, whole: int) -> list[str]:
    """What was measured, as Markdown."""
    torch = need("torch", extra="test")
    gap = curves.gap(curves.ours)
    ours, theirs = (numpy.array(side.losses) for side in (curves.ours, curves.theirs))
    mine, other = (1e3 * statistics.median(s.seconds) for s in (curves.ours, curves.theirs))
    errors = [max(side.norm_errors) for side in (curves.ours, curves.theirs)]
    covered = "the whole first epoch" if len(gap) == whole else f"of {whole:,} in an epoch"
    return [
        f"## {SCHEDULES[curves.schedule][0]}, {curves.dtype}",
        "",
        f"{len(gap):,} steps ({covered}); torch {torch.__version__}; largest difference of the first",
        f"weights: {curves.first_weights:.1e}. **Largest difference of a step's loss: {gap.max():.1e}**",
        f"nats (step {gap.argmax() + 1}), median {numpy.median(gap):.1e}; mean loss over all steps "
        f"{ours.mean():.5f}, torch {theirs.mean():.5f}.",
        f"The gradient's norm, which clipping finds, is off by at most {errors[0]:.0e} of itself here, "
        f"{errors[1]:.0e} in torch.",
        f"A step in the median: {mine:.0f} ms, torch {other:.0f} ms, in turn in one process, one thread.",
        "",
        *table(curves),
        "",
        f"![both curves and their difference]({picture})",
        "",
    ]


def write(curves: Curves, folder: Path, whole: int) -> Path:
    """The picture, and the page: this schedule's part is written anew, others stay as they are."""
    picture = f"lm_curve_{curves.schedule}_{curves.dtype}.png"
    draw(curves, folder / picture)
    part = describe(curves, picture, whole)
    path = folder / "lm_curve.md"
    old = path.read_text(encoding="utf-8").split("\n## ")[1:] if path.is_file() else []
    parts = {text.partition("\n")[0]: text for text in old}
    parts[part[0].removeprefix("## ")] = "\n".join(part).removeprefix("## ")
    with atomic(path, "w") as file:
        file.write("\n## ".join([HEAD, *(parts[title] for title in sorted(parts))]))
    return path


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python benchmarks/lm_curve.py")
    parser.add_argument("--steps", type=int, help="so many windows; without it a whole epoch")
    parser.add_argument("--schedule", default="adam", choices=list(SCHEDULES))
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--control", action="store_true", help="also torch from one bit away")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the results go")
    args = parser.parse_args(arguments)
    need("torch", extra="test").set_num_threads(1)
    minigrad.set_num_threads(1)
    corpus = load_corpus("ptb")
    whole = len(Windows(batchify(corpus.train, COLUMNS), STEPS))
    curves = run(
        corpus.train, len(corpus.vocab), args.steps, args.schedule, args.dtype, args.control,
        say=lambda line: print(line, flush=True),
    )  # fmt: skip
    print(f"written: {write(curves, args.folder, whole)}")


if __name__ == "__main__":
    main()
