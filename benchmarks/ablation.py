"""What each part of a training recipe is worth: TextCNN on MR, one change at a time.

    python benchmarks/ablation.py run          # measures what is not yet in the record
    python benchmarks/ablation.py report       # writes ablation.md and ablation.png

Every change is measured on the same folds with the same seeds as the run it is compared with, so the
differences are paired. A tenth of each training part is for early stopping.
"""

import argparse
import itertools
import json
import math
import statistics
import time
from pathlib import Path

from minigrad.extra import need
from minigrad.files import atomic
from minigrad.text.datasets import load
from minigrad.train.classification.classifier import train_text_classifier
from minigrad.train.classification.models import settings_for

RESULTS = Path(__file__).parent / "results"
RECORD = RESULTS / "ablation.json"

# group -> {change: settings}; the first of each group is what the others are compared with
GROUPS = {
    "random vectors, 128": {
        "baseline": {},
        "dropout 0": {"dropout": 0.0},
        "L2 1e-4": {"l2": 1e-4},
        "decoupled decay 0.1": {"weight_decay": 0.1},
        "no early stopping, last epoch": {"patience": None, "keep_best": False},
        "no limit on rows' norms": {"max_norm": math.inf},
        "batch norm": {"batch_norm": True},
        "no zeros before and behind a text": {"wide": False},
        "label smoothing 0.1": {"label_smoothing": 0.1},
        "clipping, norm 0.5": {"clip_norm": 0.5},
        "warm-up 10 % + linear decay": {"schedule": "linear", "warmup": 0.1},
        "ReduceLROnPlateau": {"schedule": "plateau", "gamma": 0.5},
        "average of weights (EMA)": {"average": "ema", "average_decay": 0.999},
        "Adadelta, rate 1": {"optimizer": "adadelta", "learning_rate": 1.0},
    },
    "GloVe vectors, 50": {
        "GloVe, learned on": {"vectors": "glove"},
        "GloVe, frozen": {"vectors": "glove", "static": True},
        "GloVe, frozen for 3 epochs": {"vectors": "glove", "freeze_epochs": 3},
    },
    "random vectors, training texts 4 : 1": {
        "4 : 1": {"unbalanced": 4},
        "4 : 1, balanced class weights": {"unbalanced": 4, "class_weights": "balanced"},
    },
}


def parts(data, fold: int, unbalanced: int | None = None):
    """(train, valid, test) of a fold; unbalanced=4: of label 1 only every fourth training text."""
    train, test = list(data.folds(10, seed=0))[fold]
    if unbalanced:
        ones = itertools.count()
        train = [pair for pair in train if pair[1] == 0 or next(ones) % unbalanced == 0]
    cut = len(train) // 10
    return train[cut:], train[:cut], test


def measure(data, change: dict, fold: int, seed: int) -> dict:
    """Train once; the figures."""
    options = dict(change)
    train, valid, test = parts(data, fold, options.pop("unbalanced", None))
    begin = time.perf_counter()
    result = train_text_classifier(
        data.labels, train, valid, test, settings_for("textcnn", seed=seed, **options)
    )
    recalls = result.confusion.diagonal() / result.confusion.sum(1)
    history = result.trainer.history
    return {
        "accuracy": 100 * result.test_accuracy,
        "recalls": [round(100 * float(r), 2) for r in recalls],
        "test_loss": result.test_loss,
        "train_accuracy": 100 * history.epochs[-1].train_accuracy,
        "epochs": len(history.epochs),
        "best": history.best.number,
        "seconds": time.perf_counter() - begin,
    }


def read(path=RECORD) -> dict:
    """{change: {"fold/seed": figures}}."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def run(folds: int, seeds: int, path=RECORD, data=None, groups=None) -> dict:
    """Measure every change on every fold and seed that the record lacks; the record grows as it goes."""
    data = data or load("mr")
    record = read(path)
    for place in [f"{fold}/{seed}" for seed in range(seeds) for fold in range(folds)]:
        for changes in (groups or GROUPS).values():
            for name, change in changes.items():
                if place in record.setdefault(name, {}):
                    continue
                figures = measure(data, change, *map(int, place.split("/")))
                record[name][place] = figures
                with atomic(path, "w") as file:
                    json.dump(record, file, indent=1)
                    file.write("\n")
                print(
                    f"{place} {name}: {figures['accuracy']:.2f} %, {figures['epochs']} epochs, "
                    f"{figures['seconds']:.0f} s",
                    flush=True,
                )
    return record


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """The mean, and its standard error s / sqrt(n)."""
    if len(values) < 2:
        return values[0], math.nan
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


# 97.5 % quantile of Student's t for 1, 2 ... degrees of freedom
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def half_interval(error: float, runs: int) -> float:
    """Half the width of the 95 % confidence interval of a mean of so many values."""
    if runs < 2:
        return math.inf
    return STUDENT[min(runs - 1, len(STUDENT)) - 1] * error


def rows(record: dict, groups=None) -> list[dict]:
    """One row for each change that was measured: its mean and the paired difference."""
    found = []
    for group, changes in (groups or GROUPS).items():
        first = next(iter(changes))
        for name in changes:
            runs = record.get(name, {})
            shared = [place for place in runs if place in record.get(first, {})]
            if not shared:
                continue
            values = [runs[place]["accuracy"] for place in shared]
            gains = [runs[place]["accuracy"] - record[first][place]["accuracy"] for place in shared]
            mean = lambda key: statistics.mean(runs[place][key] for place in shared)
            recalls = zip(*(runs[place]["recalls"] for place in shared), strict=True)
            found.append({
                "group": group,
                "name": name,
                "runs": len(values),
                "mean": statistics.mean(values),
                "sd": statistics.stdev(values) if len(values) > 1 else math.nan,
                "gain": None if name == first else mean_and_error(gains),
                "recalls": list(map(statistics.mean, recalls)),
                "test_loss": mean("test_loss"),
                "train_accuracy": mean("train_accuracy"),
                "epochs": mean("epochs"),
                "seconds": mean("seconds"),
            })  # fmt: skip
    return found


def markdown(found: list[dict]) -> str:
    """The table."""
    minutes = sum(row["runs"] * row["seconds"] for row in found) / 60
    lines = [
        "# What each part of the recipe is worth",
        "",
        "TextCNN on MR (sentences of film reviews, two labels), one change at a time. Written by",
        "`python benchmarks/ablation.py report` from `ablation.json`; measured again by",
        f"`... run` in {minutes:.0f} minutes of one thread.",
        "",
        "Accuracy is that of the test fold, in %, mean ± standard deviation over runs (folds of ten-fold",
        "cross-validation, and seeds). The difference is paired: the same folds and seeds as the first",
        "row of the group, ± its standard error; in bold where the 95 % interval (Student's t) leaves out 0.",
        "Of twenty changes that do nothing, one is bold by chance; and folds share most of their training",
        "texts, so that the errors are, if anything, too small.",
    ]
    group = None
    for row in found:
        if row["group"] != group:
            group = row["group"]
            lines += [
                "",
                f"## {group[0].upper()}{group[1:]}",
                "",
                "| change | accuracy | difference | test loss | last training accuracy | recall - / + "
                "| epochs | s a run |",
                "| --- | --- | --- | --- | --- | --- | --- | --- |",
            ]
        gain = ""
        if row["gain"] is not None:
            gain = "{:+.2f} ± {:.2f}".format(*row["gain"])
            if abs(row["gain"][0]) > half_interval(row["gain"][1], row["runs"]):
                gain = f"**{gain}**"
        recalls = " / ".join(f"{recall:.1f}" for recall in row["recalls"])
        lines.append(
            f"| {row['name']} | {row['mean']:.2f} ± {row['sd']:.2f} | {gain} | "
            f"{row['test_loss']:.3f} | {row['train_accuracy']:.1f} | {recalls} | "
            f"{row['epochs']:.1f} | {row['seconds']:.0f} |"
        )
    lines += ["", f"{found[0]['runs']} runs a row. ![differences](ablation.png)"]
    return "\n".join(lines) + "\n"


def picture(found: list[dict], path) -> None:
    """Bars of the paired differences with 95 % intervals, as a PNG."""
    need("matplotlib")
    changed = [row for row in found if row["gain"] is not None]
    figure = need("matplotlib.figure").Figure((7.5, 0.3 * len(changed) + 1.2))
    ax = figure.subplots()
    for place, row in enumerate(changed):
        gain, width = row["gain"][0], half_interval(row["gain"][1], row["runs"])
        sure = abs(gain) > width
        colour = ("#2a7f62" if gain > 0 else "#b5403a") if sure else "#b0b0b0"
        ax.barh(place, gain, color=colour, height=0.65)
        ax.errorbar(gain, place, xerr=width, color="black", lw=1, capsize=3)
    ax.axvline(0, color="black", lw=0.8)
    firsts = {row["group"]: row["name"] for row in reversed(found)}
    ax.set_yticks(
        range(len(changed)),
        [
            row["name"] if firsts[row["group"]] == "baseline" else f"{row['name']} *"
            for row in changed
        ],
    )
    ax.invert_yaxis()
    ax.set_xlabel("difference in accuracy, points (lines: 95 % interval; grey: 0 is within it)")
    ax.set_title("TextCNN on MR, one change; * against its own group's first row", fontsize=10)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    figure.savefig(path, dpi=110, bbox_inches="tight")


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python benchmarks/ablation.py")
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args(arguments)
    if args.what == "run":
        run(args.folds, args.seeds)
        return
    found = rows(read())
    with atomic(RESULTS / "ablation.md", "w") as file:
        file.write(markdown(found))
    picture(found, RESULTS / "ablation.png")
    print(markdown(found))


if __name__ == "__main__":
    main()
