"""Tutorial code with only the import changed: what it prints must be what it prints with torch.

Every file in tests/listings is run twice, once with torch and once with minigrad standing in under
torch's name. The two texts are compared token by token: words must be equal, and numbers within
1e-4 of each other, relatively, or 2e-6 absolutely. Which operation `grad_fn` names is left out: torch
names the kernel it happened to run (SumBackward1, AddmmBackward0), we name ours.
"""

import contextlib
import io
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

pytestmark = pytest.mark.cpu_only(reason="a process of its own, in which the CPU is the default")
LISTINGS = sorted((Path(__file__).parent / "listings").glob("*.py"))
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?|\bnan\b|[-+]?\binf\b")

STAND_IN = """
import importlib, pkgutil, sys
import minigrad
for name in [m.name for m in pkgutil.walk_packages(minigrad.__path__, "minigrad.")]:
    if not name.startswith(("minigrad.kernels", "minigrad.cli", "minigrad.train", "minigrad.models")):
        importlib.import_module(name)
for name, module in list(sys.modules.items()):
    if name == "minigrad" or name.startswith("minigrad."):
        sys.modules["torch" + name[len("minigrad"):]] = module
"""


def output_with_minigrad(path):
    """What the listing prints in a fresh process where `torch` is minigrad."""
    run = f"{STAND_IN}\nimport runpy\nrunpy.run_path({str(path)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", run], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def output_with_torch(path):
    """What the listing prints with the real torch, in this process."""
    import torch

    printed = io.StringIO()
    before = torch.get_rng_state()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {"__name__": "__main__"})
    torch.set_rng_state(before)
    torch.set_printoptions(profile="default")
    return printed.getvalue()


def compare(ours, theirs):
    """Fail at the first token that differs."""
    ours, theirs = (re.sub(r"grad_fn=<\w+>", "grad_fn", text) for text in (ours, theirs))
    for number, (a, b) in enumerate(zip(ours.splitlines(), theirs.splitlines(), strict=False), 1):
        where = f"line {number}:\nminigrad: {a}\ntorch:    {b}"
        assert NUMBER.sub("#", a).split() == NUMBER.sub("#", b).split(), where
        for x, y in zip(NUMBER.findall(a), NUMBER.findall(b), strict=True):
            x, y = float(x), float(y)
            near = abs(x - y) <= 1e-4 * max(abs(x), abs(y)) + 2e-6
            assert near or (x != x and y != y) or x == y, where
    assert len(ours.splitlines()) == len(theirs.splitlines())


@pytest.mark.parametrize("path", LISTINGS, ids=lambda path: path.stem)
def test_prints_what_torch_prints(path):
    pytest.importorskip("torch")
    compare(output_with_minigrad(path), output_with_torch(path))


def test_a_different_number_is_noticed():
    with pytest.raises(AssertionError, match="line 2"):
        compare("a 1.0\nb 2.001", "a 1.0\nb 2.0")
    with pytest.raises(AssertionError, match="line 1"):
        compare("tensor([1.0])", "tensor([1.0], dtype=x)")


def test_plateau_still_speaks():
    """torch has dropped `verbose`; its old message is the expected text."""
    code = """
import minigrad as torch
w = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, 'min', patience=1, verbose=True)
for loss in (1.0, 1.0, 1.0, 1.0, 1.0):
    scheduler.step(loss)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "Epoch 00003: reducing learning rate of group 0 to 1.0000e-02.",
        "Epoch 00005: reducing learning rate of group 0 to 1.0000e-03.",
    ]
