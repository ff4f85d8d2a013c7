"""The table of papers' figures and ours, written from the records."""

from pathlib import Path

from minigrad.files import atomic

from .experiments import EXPERIMENTS, FOLDER, Record


def rows(folder: Path = FOLDER):
    """(experiment, its record or None) for every experiment, in the order of their declaration."""
    for name, experiment in EXPERIMENTS.items():
        path = Path(folder) / f"{name}.json"
        yield experiment, Record.load(path) if path.is_file() else None


def _figure(record: Record) -> str:
    count = len(record.values)
    if count == 1:
        return f"**{record.mean:.2f}**"
    return f"**{record.mean:.2f}** ± {record.spread:.2f} ({count} runs)"


def _settings(settings: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def markdown(folder: Path = FOLDER) -> str:
    """The whole table as Markdown."""
    lines = [
        "# Papers' figures and ours",
        "",
        "Written by `python -m minigrad.benchmarks.papers table` from the records in `papers/`; a row is",
        "measured again by `python -m minigrad.benchmarks.papers run NAME`. ± is one standard deviation",
        "over folds or seeds; each record notes its machine and threads. * behind a paper: its figure is",
        "quoted as remembered, and has not been looked up again. Losses and validation figures of the",
        "fine-tuned models are in `papers/curves/`, and drawn by `... papers curves` in",
        "[finetuning_curves.png](finetuning_curves.png).",
        "",
        "| model | data | measure | paper | ours | also measured | minutes | name |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    notes, missing = [], []
    for experiment, record in rows(folder):
        if record is None:
            missing.append(f"`{experiment.name}`")
            continue
        also = ", ".join(f"{name} {record.mean_of(name):.2f}" for name in experiment.also)
        lines.append(
            f"| {experiment.model} | {experiment.data} | {experiment.measure} | {experiment.paper} | "
            f"{_figure(record)} | {also} | {record.minutes:.1f} | `{experiment.name}` |"
        )
        note = f" {experiment.note}" if experiment.note else ""
        notes.append(f"- `{experiment.name}`: {_settings(record.settings)}.{note}")
    lines += ["", "## Settings", "", *notes]
    if missing:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def write(path: Path | None = None, folder: Path = FOLDER) -> Path:
    """Write the table beside the folder of records; its path."""
    path = path or Path(folder).with_suffix(".md")
    with atomic(path, "w") as file:
        file.write(markdown(folder))
    return path
