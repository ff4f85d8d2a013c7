"""The command: list | run NAME ... [--seeds N] [--limit N] [--set KEY=VALUE] | table | curves."""

import argparse
import ast
import importlib
import pkgutil
from pathlib import Path

from . import curves, table
from .experiments import EXPERIMENTS, FOLDER, perform


def load_all() -> None:
    """Import every file of experiments in this folder, so that they enter the list."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if not module.name.startswith("_"):
            importlib.import_module(f"{__package__}.{module.name}")


def _change(text: str) -> tuple[str, object]:
    key, _, value = text.partition("=")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m minigrad.benchmarks.papers")
    parser.add_argument("what", choices=["list", "run", "table", "curves"])
    parser.add_argument("names", nargs="*", help="the experiments to run")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--limit", type=int, help="at most so many values a seed (folds, say)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the records go")
    args = parser.parse_args(arguments)
    load_all()
    if args.what == "list":
        for experiment, record in table.rows(args.folder):
            ours = "not measured" if record is None else f"{record.mean:.2f}"
            print(f"{experiment.name:24} {experiment.model}, {experiment.data}: {ours}")
    elif args.what == "table":
        print(table.write(folder=args.folder))
    elif args.what == "curves":
        print(curves.draw(args.folder, EXPERIMENTS))
    else:
        if not args.names:
            parser.error("name the experiments to run, or see: list")
        unknown = [name for name in args.names if name not in EXPERIMENTS]
        if unknown:
            parser.error(f"there is no experiment {', '.join(unknown)}; see: list")
        changes = dict(_change(text) for text in args.changes)
        for name in args.names:
            record = perform(
                EXPERIMENTS[name], args.seeds, args.limit, changes, args.folder,
                say=lambda line: print(line, flush=True),
            )  # fmt: skip
            spread = "" if record.spread is None else f" ± {record.spread:.2f}"
            print(f"{name}: {record.mean:.2f}{spread}; paper: {EXPERIMENTS[name].paper}")


if __name__ == "__main__":
    main()
