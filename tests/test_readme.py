"""The README's promises: its code runs and prints what it says, its files exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


@pytest.mark.cpu_only(reason="a process of its own, in which the CPU is the default")
def test_the_forty_lines_run():
    program = blocks("python")[0]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert (
        done.stdout.endswith("right: 6 of 6\n")
        and "(rnn): GRU(16, 16, batch_first=True)" in done.stdout
    )


def test_the_new_operation_passes_every_check():
    from minigrad import checks, op

    declaration = blocks("python")[1].replace("softsign", "readme_softsign")
    try:
        exec(declaration, {"primitive": op.primitive})
        rows = checks.check_op(op.REGISTRY["readme_softsign"])
    finally:
        op.REGISTRY.pop("readme_softsign", None)
    assert rows and all(row.ok for row in rows), rows


def test_the_map_names_what_is_there():
    for path in re.findall(r"^\| `([\w/.]+)`", README, re.M):
        assert (ROOT / path).exists(), path
    for command in re.findall(r"`python (benchmarks/\w+\.py)", README):
        assert (ROOT / command).is_file(), command
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert (
        ".venv/bin/python -m pytest -n 2\n" in ci and ".venv/bin/python -m pytest -n 2\n" in README
    )
