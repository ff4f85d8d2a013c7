"""The command `minigrad finetune`: a published model trained further on a task, and measured."""

import json
import warnings
from pathlib import Path

from ..extra import need
from ..files import atomic


def parts_and_layers(text: str) -> tuple[list[str], list[int]]:
    """What --freeze names: "embeddings,0-2" is (["embeddings"], [0, 1, 2])."""
    parts, layers = [], []
    for word in filter(None, (word.strip() for word in text.split(","))):
        first, _, last = word.partition("-")
        if first.isdigit() and (last or first).isdigit():
            layers += range(int(first), int(last or first) + 1)
        else:
            parts.append(word)
    return parts, layers


def prepare(trainer, freeze: str, layer_decay: float) -> None:
    """Freeze what shall not learn, and give lower layers lower rates."""
    from ..optim import AdamW
    from ..train.finetuning import freeze as freeze_parts
    from ..train.finetuning import layerwise_groups

    args = trainer.args
    parts, layers = parts_and_layers(freeze)
    if parts or layers:
        freeze_parts(trainer.model, *parts, layers=layers)
    if layer_decay != 1:
        groups = layerwise_groups(trainer.model, args.learning_rate, layer_decay, args.weight_decay)
        trainer.optimizer = AdamW(groups, args.learning_rate)


def write_results(trainer, task, out: Path, title: str) -> dict[str, float]:
    """Measure the test part; write the model, its history and a report; the figures, as fractions."""
    from ..train.finetuning.plots import plot_log_history

    output = trainer.predict(task.test_rows)
    figures = task.figures(output)
    trainer.save_model(out)
    history = trainer.state.log_history
    with atomic(out / "history.json", "w") as file:
        json.dump(history, file, indent=1)
        file.write("\n")
    plot_log_history(history, out / "history.png", title)
    lines = [title, "", *(f"{name:10s} {value:.4f}" for name, value in figures.items())]
    if task.report is not None:
        lines += ["", task.report(output)]
    (out / "report.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return figures


def add(app, console) -> None:
    """Add the command to the command line's app."""
    typer = need("typer")
    from ..train.finetuning.named import TASKS, named_task

    @app.command()
    def finetune(
        task: str = typer.Argument(
            ..., help=f"{', '.join(TASKS)}; or a file (.csv, .tsv, .jsonl) of text, label or text, "
            "text, label"
        ),
        model: Path = typer.Option(None, help="a published model's folder; by default MiniLM"),
        out: Path = typer.Option(None, help="by default runs/finetune/TASK"),
        valid: Path = typer.Option(None, help="a file's validation part; by default a tenth of it"),
        test: Path = typer.Option(None, help="a file's test part; by default a tenth of it"),
        max_length: int = typer.Option(128, min=3, help="tokens to which a file's texts are cut"),
        epochs: float = typer.Option(3.0, help="how often all examples are seen"),
        batch_size: int = typer.Option(32, min=1),
        learning_rate: float = typer.Option(1e-4, help="the highest learning rate"),
        warmup: float = typer.Option(0.1, help="the share of all updates in which the rate rises"),
        weight_decay: float = typer.Option(0.01, help="not of biases and norms"),
        freeze: str = typer.Option("", help="what does not learn: embeddings,0-2 are layers 0 to 2"),
        unfreeze_gradually: bool = typer.Option(
            False, help="begin with the head; one layer more learns every epoch, from the top"
        ),
        layer_decay: float = typer.Option(1.0, help="a layer's rate, relative to that above it"),
        seed: int = typer.Option(0),
        resume: bool = typer.Option(False, help="go on from the last checkpoint in the folder"),
    ):  # fmt: skip
        """Fine-tune a published model on a task; keep the best epoch, its curve and a report."""
        from ..pretrained.minilm_package import minilm_folder
        from ..pretrained.tokenizer import AutoTokenizer
        from ..train.finetuning import GradualUnfreezing, TrainingArguments

        folder = minilm_folder() if model is None else model
        tokenizer = AutoTokenizer.from_pretrained(folder)
        chosen = named_task(task, tokenizer, seed, valid, test, max_length)
        out = Path("runs/finetune") / chosen.name if out is None else out
        args = TrainingArguments(
            output_dir=str(out), num_train_epochs=epochs, per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=64, learning_rate=learning_rate, warmup_ratio=warmup,
            weight_decay=weight_decay, group_by_length=True, logging_steps=0.01,
            eval_strategy="epoch", save_strategy="epoch", save_total_limit=1,
            load_best_model_at_end=True, metric_for_best_model=chosen.measure,
            greater_is_better=True, seed=seed, disable_tqdm=False,
        )  # fmt: skip
        callbacks = [GradualUnfreezing()] if unfreeze_gradually else []
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".* start anew")  # a new head is trained here
            trainer = chosen.trainer(folder, args, tokenizer, callbacks=callbacks)
        prepare(trainer, freeze, layer_decay)
        parts = (chosen.train, chosen.valid, chosen.test_rows)
        title = f"{type(trainer.model).__name__} on {chosen.name}"
        console.print(
            f"[bold]{title}[/]: {' / '.join(f'{len(part):,}' for part in parts)} examples to train / "
            "validate / test"
        )
        trainer.train(resume_from_checkpoint=resume)
        figures = write_results(trainer, chosen, out, title)
        table = need("rich.table").Table("test part", "")
        for name, value in figures.items():
            table.add_row(name, f"{value:.2%}")
        console.print(table)
        console.print(f"model, tokenizer, history and report are in {out}/", soft_wrap=True)
