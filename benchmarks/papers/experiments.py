"""Experiments: each a generator of measured values, its record a JSON file that grows as it runs."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from minigrad.files import atomic

from . import curves

FOLDER = Path(__file__).parent.parent / "results" / "papers"


@dataclass
class Experiment:
    """A model trained on a data set, and what the paper reports for it.

    run(settings, seed) yields (what, value), (what, value, other figures) or (what, value, other
    figures, logs of training) as each is measured: one for a test set, ten for a cross-validation.
    values: the same measure for all. also: those of the other figures that the table shows.
    """

    name: str
    model: str
    data: str
    measure: str
    paper: str
    settings: dict
    run: Callable[[dict, int], Iterator[tuple]]
    note: str = ""
    also: tuple[str, ...] = ()


@dataclass
class Record:
    """What was measured, with what, in how many minutes of computing."""

    name: str
    settings: dict
    values: list[dict] = field(default_factory=list)
    minutes: float = 0.0
    machine: str = ""

    @property
    def numbers(self) -> list[float]:
        """The measured values alone."""
        return [row["value"] for row in self.values]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.mean(self.numbers)

    @property
    def spread(self) -> float | None:
        """Their standard deviation; None for a single value."""
        return statistics.stdev(self.numbers) if len(self.values) > 1 else None

    def mean_of(self, figure: str) -> float:
        """The mean of one of the other figures."""
        return statistics.mean(row[figure] for row in self.values)

    def save(self, folder: Path = FOLDER) -> Path:
        """Write the record as JSON, whole or not at all."""
        path = Path(folder) / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path, "w") as file:
            json.dump(vars(self), file, indent=1, default=str)
            file.write("\n")
        return path

    @classmethod
    def load(cls, path) -> "Record":
        """Read what `save` wrote."""
        return cls(**json.loads(Path(path).read_text(encoding="utf-8")))


EXPERIMENTS: dict[str, Experiment] = {}


def experiment(
    name: str, *, model: str, data: str, measure: str, paper: str, settings: dict, note: str = "",
    also: tuple[str, ...] = (),
):  # fmt: skip
    """Enter a generator function `run(settings, seed)` in the list of experiments."""

    def enter(run):
        if name in EXPERIMENTS:
            raise ValueError(f"there are two experiments called {name}")
        EXPERIMENTS[name] = Experiment(name, model, data, measure, paper, settings, run, note, also)
        return run

    return enter


def perform(
    chosen: Experiment,
    seeds: int = 1,
    limit: int | None = None,
    changes: dict | None = None,
    folder: Path = FOLDER,
    say: Callable[[str], None] = print,
) -> Record:
    """Run an experiment under seeds 0 .. seeds-1, at most `limit` values a seed; keep the record.

    changes: settings other than the experiment's own; an unknown name is an error.
    """
    unknown = set(changes or {}) - set(chosen.settings)
    if unknown:
        raise ValueError(
            f"{chosen.name} has no setting {', '.join(sorted(unknown))}; it has: "
            f"{', '.join(chosen.settings)}"
        )
    settings = chosen.settings | (changes or {})
    record = Record(chosen.name, settings, machine=_machine())
    begin = time.perf_counter()
    for seed in range(seeds):
        for count, (what, value, *more) in enumerate(chosen.run(settings, seed), start=1):
            others = more[0] if more else {}
            if len(more) > 1:
                curves.keep(folder, chosen.name, seed, more[1])
            record.values.append({"what": what, "seed": seed, "value": float(value), **others})
            record.minutes = round((time.perf_counter() - begin) / 60, 2)
            record.save(folder)
            figures = "".join(f", {key} {figure}" for key, figure in others.items())
            say(f"{chosen.name}, seed {seed}, {what}: {value:.2f}{figures}; {record.minutes} min")
            if count == limit:
                break
    return record


def _machine() -> str:
    from minigrad import get_num_threads

    return f"{platform.machine()}, {get_num_threads()} threads, Python {platform.python_version()}"
