"""What pretraining buys: SST-2 with 50, 200 and 1,000 labels, from published weights and from drawn ones.

    python benchmarks/label_efficiency.py        # writes results/label_efficiency.{json,png}

The same encoder (MiniLM's, 6 layers of 384) with the same settings is fine-tuned on the first so many
sentences of a drawn order, once from its published weights, once from weights drawn anew, and measured
on the 1,821 sentences of the test part.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from minigrad.benchmarks.measure import describe, machine, say, write_json

from minigrad import manual_seed
from minigrad.extra import need
from minigrad.files import atomic
from minigrad.generator import Generator
from minigrad.models import AutoModelForSequenceClassification
from minigrad.pretrained.minilm_package import minilm_folder
from minigrad.pretrained.tokenizer import AutoTokenizer
from minigrad.text.datasets import load
from minigrad.train.finetuning import Trainer, TrainingArguments
from minigrad.train.finetuning.tasks import text_task

RESULTS = Path(__file__).parent / "results"
EPOCHS = {50: 15, 200: 10, 1000: 5}  # fewer sentences are seen more often
STARTS = ("published", "drawn")


def model_from(start: str, options: dict):
    """The encoder with a new head, its weights published or drawn."""
    published = AutoModelForSequenceClassification.from_pretrained(minilm_folder(), **options)
    if start == "published":
        return published
    return AutoModelForSequenceClassification.from_config(published.config)


def accuracy(task, start: str, count: int, seed: int, tokenizer) -> float:
    """Accuracy on the test part after fine-tuning on `count` sentences."""
    order = Generator().manual_seed(seed).permutation(len(task.train)).tolist()[:count]
    manual_seed(seed)
    args = TrainingArguments(
        output_dir=f"runs/label_efficiency/{start}-{count}", num_train_epochs=EPOCHS[count],
        per_device_train_batch_size=16, per_device_eval_batch_size=64, learning_rate=1e-4,
        warmup_ratio=0.1, weight_decay=0.01, group_by_length=True, seed=seed, save_strategy="no",
        logging_strategy="no",
    )  # fmt: skip
    trainer = Trainer(
        model=model_from(start, task.options),
        args=args,
        train_dataset=[task.train[i] for i in order],
        processing_class=tokenizer,
        compute_metrics=task.metrics,
    )
    trainer.train()
    return task.test(trainer)["accuracy"]


def draw(rows, path) -> None:
    """Accuracy by labels, a line for each start."""
    pyplot = need("matplotlib.pyplot")
    figure, axis = pyplot.subplots(figsize=(5.6, 4))
    for start in STARTS:
        own = [row for row in rows if row["start"] == start]
        axis.plot(
            [row["labels"] for row in own], [100 * row["accuracy"] for row in own], marker="o",
            label=f"{start} weights",
        )  # fmt: skip
    axis.axhline(50, color="grey", linestyle="--", linewidth=1)
    axis.set_xscale("log")
    counts = sorted({row["labels"] for row in rows})
    axis.set_xticks(counts, [f"{count:,}" for count in counts])
    axis.minorticks_off()
    axis.set(xlabel="labelled sentences", ylabel="test accuracy, %", title="SST-2, MiniLM encoder")
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    with atomic(path) as file:
        figure.savefig(file, format="png", dpi=120, bbox_inches="tight")
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=int, nargs="+", choices=list(EPOCHS), default=list(EPOCHS))
    parser.add_argument("--test", type=int, help="only so many sentences of the test part")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    data = load("sst2")
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    task = text_task(replace(data, test=data.test[: args.test]), tokenizer)
    rows = []
    for count in args.labels:
        for start in STARTS:
            found = accuracy(task, start, count, args.seed, tokenizer)
            rows.append({"labels": count, "start": start, "accuracy": found})
            say(f"{count} labels, {start} weights: {found:.2%}")
    record = {"epochs": EPOCHS, "seed": args.seed, "machine": describe(machine()), "rows": rows}
    write_json(RESULTS / "label_efficiency.json", record)
    draw(rows, RESULTS / "label_efficiency.png")


if __name__ == "__main__":
    main()
