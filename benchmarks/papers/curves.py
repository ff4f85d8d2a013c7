"""Curves of the experiments that log as they train: kept beside the records, drawn in one picture."""

import json
from pathlib import Path

from minigrad.files import atomic

TIMES = ("_runtime", "_per_second")


def keep(folder, name: str, seed: int, log_history: list[dict]) -> Path:
    """Write a run's logs, times left out, as curves/NAME.json, which has those of other seeds too."""
    path = Path(folder) / "curves" / f"{name}.json"
    runs = load(path) if path.is_file() and seed else {}
    runs[str(seed)] = [
        {key: _short(value) for key, value in log.items() if not key.endswith(TIMES)}
        for log in log_history
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path, "w") as file:  # a log a line
        rows = [
            f' "{seed}": [\n' + ",\n".join(f"  {json.dumps(log)}" for log in logs) + "\n ]"
            for seed, logs in runs.items()
        ]
        file.write("{\n" + ",\n".join(rows) + "\n}\n")
    return path


def load(path) -> dict[str, list[dict]]:
    """{seed: logs} as `keep` wrote them."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def draw(folder, experiments: dict, path=None) -> Path:
    """Draw the first seed's run of every experiment with a curve; ValueError where there is none."""
    from minigrad.train.finetuning.plots import plot_log_histories

    folder = Path(folder)
    found = {
        f"{entry.data}\n{name}": load(folder / "curves" / f"{name}.json")["0"]
        for name, entry in experiments.items()
        if (folder / "curves" / f"{name}.json").is_file()
    }
    path = folder.parent / "finetuning_curves.png" if path is None else Path(path)
    plot_log_histories(found, path)
    return path


def _short(value):
    return float(f"{value:.6g}") if isinstance(value, float) else value
