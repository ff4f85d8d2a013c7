"""nanoGPT's recipe for a CPU, the whole of it, here and in torch: time and losses.

    python benchmarks/nanogpt.py                 # 2,000 updates of both, some minutes
    python benchmarks/nanogpt.py --iters 200 --folder runs/nanogpt

GPT of 4 layers of 128 with 4 heads, tiny-Shakespeare by the character, batches of 12 x 64, AdamW with
decay of matrices alone, warm-up and cosine, gradient norm at most 1, 20 random batches of either part
every 250 updates. Both sides start from the same weights and see the same batches, each in a process of
its own with two threads; they take turns of 100 updates, so that what else runs on the machine meets
both. The model here is models/gpt.py; torch's is written out in nanogpt_side.py, with its fused attention
and fused=True AdamW. A ratio below 1 means that minigrad takes less time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy

# measure first: it sets how many threads the arithmetic may use, for both processes too
from minigrad.benchmarks.measure import describe as describe_machine
from minigrad.benchmarks.measure import import_torch, machine, quartiles, spread, table

import minigrad
from minigrad.extra import need
from minigrad.files import atomic
from minigrad.models.gpt import GPT
from minigrad.text.language import Corpus, tiny_shakespeare
from minigrad.train.gpt import GPTSettings

FOLDER = Path(__file__).parent / "results"
TURN, EVERY = 100, 250
OURS, THEIRS = "#1f5fa8", "#d9772b"


class Process:
    """A side in a process of its own, which never loads the other's library."""

    def __init__(self, name: str, folder: Path):
        self.name = name
        program = Path(__file__).with_name("nanogpt_side.py")
        command = [sys.executable, str(program), name, str(folder)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.losses, self.seconds, self.estimates = [], [], {}

    def __call__(self, *what) -> dict:
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} ended with {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def prepare(folder: Path, corpus: Corpus, settings: GPTSettings, iters: int) -> None:
    """What both sides start from: weights, texts, places of the batches, learning rates."""
    minigrad.manual_seed(settings.seed)
    config = settings.config(len(corpus.vocab))
    weights = GPT(config).state_dict()
    shape = iters, settings.batch_size
    starts = minigrad.randint(len(corpus.train) - settings.block_size, shape)
    arrays = {"train": corpus.train, "valid": corpus.valid, "starts": starts}
    arrays |= {f"weight {name}": weight for name, weight in weights.items()}
    numpy.savez(
        folder / "arrays.npz",
        **{name: x.numpy(force=True) for name, x in arrays.items()},
    )
    plan = {
        "settings": asdict(settings), "config": asdict(config), "weights": list(weights),
        "rates": [settings.rate(number) for number in range(iters)],
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(plan))


def run(iters: int, seed: int, say) -> list[Process]:
    """[minigrad's side, torch's] with all that they measured; whole: the validation text's loss."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), tiny_shakespeare(), GPTSettings(seed=seed), iters)
        sides = [Process(name, Path(folder)) for name in ("minigrad", "torch")]
        try:
            marks = {*range(0, iters, TURN), *range(0, iters, EVERY), iters}
            places = sorted(marks)
            for turn, (first, last) in enumerate(zip(places, places[1:], strict=False)):
                for side in sides if turn % 2 else sides[::-1]:
                    found = side("train", first, last)
                    side.losses += found["losses"]
                    side.seconds += found["seconds"]
                    if last % EVERY == 0 or last == iters:
                        side.estimates[last] = side("estimate", last)
                say(progress(sides, last))
            for side in sides:
                side.whole = side("text")["loss"]
        finally:
            for side in sides:
                side.close()
    return sides


def progress(sides, done: int) -> str:
    """A line on how far both are."""
    times = [1e3 * float(numpy.median(side.seconds[-TURN:])) for side in sides]
    losses = [side.losses[-1] for side in sides]
    return (
        f"{done}: {times[0]:.1f} ms, torch {times[1]:.1f} ms, ratio {times[0] / times[1]:.2f}; loss "
        f"{losses[0]:.4f}, torch {losses[1]:.4f}"
    )


def ratios(sides) -> list[float]:
    """Our time by torch's of every turn."""
    ours, theirs = (numpy.array(side.seconds) for side in sides)
    count = max(1, len(ours) // TURN)
    pairs = zip(numpy.array_split(ours, count), numpy.array_split(theirs, count), strict=True)
    return [float(numpy.median(a) / numpy.median(b)) for a, b in pairs]


def draw(sides, path) -> None:
    """Losses of all updates, estimates on the validation text, and time: a PNG."""
    figure = need("matplotlib.figure").Figure((9, 3.8))
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    numbers = numpy.arange(1, len(sides[0].losses) + 1)
    for side, colour, wide in zip(sides, (OURS, THEIRS), (1.2, 3.5), strict=True):
        kernel = numpy.ones(min(25, len(numbers))) / min(25, len(numbers))
        smooth = numpy.convolve(side.losses, kernel, "valid")
        left.plot(numbers[len(kernel) - 1 :], smooth, color=colour, lw=wide, zorder=3 - wide)
        valid = [e["valid"] for e in side.estimates.values()]
        label = f"{side.name}, whole validation text: {side.whole:.3f}"
        left.plot(
            list(side.estimates),
            valid,
            "o",
            color=colour,
            ms=2 + 2 * wide,
            zorder=9 - wide,
            label=label,
        )
        right.plot(numpy.cumsum(side.seconds), numbers, color=colour, label=side.name)
    left.axhline(1.88, color="black", lw=0.8, ls="--", label="nanoGPT's README: 1.88")
    left.set_xlabel("update (lines: training, mean of 25; dots: validation)")
    left.set_ylabel("loss, nats a character")
    right.set_xlabel("seconds of training")
    right.set_ylabel("updates")
    for ax in (left, right):
        ax.legend(frameon=False, fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    with atomic(path) as file:
        figure.savefig(file, format="png", dpi=120)


def describe(sides) -> str:
    """What was measured, as Markdown."""
    import_torch()
    ours, theirs = sides
    gap = numpy.abs(numpy.subtract(ours.losses, theirs.losses))
    names = {
        "an update, ms": lambda s: spread(*(1e3 * q for q in quartiles(s.seconds)), digits=1),
        "all updates, s": lambda s: f"{sum(s.seconds):.1f}",
        "with estimates, s": lambda s: f"{whole_time(s):.1f}",
        "validation loss, lowest estimate": lambda s: (
            f"{min(e['valid'] for e in s.estimates.values()):.4f}"
        ),
        "validation loss, whole text": lambda s: f"{s.whole:.4f}",
    }
    rows = [[name, *(figure(side) for side in sides)] for name, figure in names.items()]
    medians = [float(numpy.median(side.seconds)) for side in sides]
    low, _, high = quartiles(ratios(sides))
    return "\n".join(
        [
            "# nanoGPT's recipe for a CPU, here and in torch",
            "",
            f"`python benchmarks/nanogpt.py`; {len(ours.losses):,} updates; {describe_machine(machine())}.",
            "Each side in a process of its own with two threads, in turns of 100 updates; medians",
            "[quartiles]. nanoGPT's README tells a validation loss of 1.88.",
            "",
            table(["", "minigrad", "torch"], rows),
            "",
            f"**Ratio of the medians {medians[0] / medians[1]:.2f}** [{low:.2f}, {high:.2f}] (quartiles "
            f"of the turns'), of the whole time {whole_time(ours) / whole_time(theirs):.2f}. Largest "
            f"difference of the first 50 losses: {gap[:50].max():.1e}.",
            "",
            "![losses and time](nanogpt.png)",
            "",
        ]
    )


def whole_time(side: Process) -> float:
    """Seconds of all updates and estimates."""
    return sum(side.seconds) + sum(e["seconds"] for e in side.estimates.values())


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iters", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1337)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the results go")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    sides = run(args.iters, args.seed, lambda text: print(text, flush=True))
    draw(sides, args.folder / "nanogpt.png")
    text = describe(sides)
    with atomic(args.folder / "nanogpt.md", "w") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
