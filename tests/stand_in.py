"""A GPU for tests: the real one where CuPy finds one, else the strict stand-in for CuPy.

`from stand_in import cuda` gives a test module the fixture; the stand-in is gone again after it.
"""

import contextlib
import functools
import importlib
import os
import sys
from pathlib import Path

import pytest
from minigrad.kernels import cublas, cuda_source, kernel

from minigrad import backend

FOLDER = Path(__file__).parent / "cuda" / "fake_cupy"
OURS = ("cupy", "cupyx", "cublas")
_modules: dict = {}  # the stand-in's, between two uses: its classes must stay the same


def _loaded():
    return {name: m for name, m in sys.modules.items() if name.partition(".")[0] in OURS}


@contextlib.contextmanager
def gpu():
    """minigrad sees a GPU inside: gives the cupy module. MINIGRAD_TEST_CUPY=real insists on a real one."""
    inside = str(FOLDER) in sys.path
    if inside or os.environ.get("MINIGRAD_TEST_CUPY") == "real":
        yield backend.require_cupy()
        return
    before = _loaded()
    for name in before:
        del sys.modules[name]
    sys.modules.update(_modules)
    sys.path.insert(0, str(FOLDER))
    kept = backend._cupy, backend.gpus, cublas.library
    backend._cupy, backend.gpus = None, 0
    try:
        cupy = backend.require_cupy()
        cublas.library = functools.cache(importlib.import_module("cublas").Library)
        yield cupy
    finally:
        backend._cupy, backend.gpus, cublas.library = kept
        sys.path.remove(str(FOLDER))
        _modules.update(_loaded())
        for name in _modules:
            sys.modules.pop(name, None)
        sys.modules.update(before)


@pytest.fixture(scope="module", autouse=True)
def cuda():
    """A GPU for all tests of the module that imports this name."""
    with gpu() as cupy:
        yield cupy


@pytest.fixture(autouse=True, name="launches")
def remembered_launches(monkeypatch):
    """`launches`, for a module that imports this name: the kernels launched on the GPU, in order.

    On the CPU the references compute meanwhile: its kernels have tests of their own.
    """
    names, launch = [], cuda_source.launch

    def remembered(file, name, *arguments, **options):
        names.append(name)
        return launch(file, name, *arguments, **options)

    monkeypatch.setattr(cuda_source, "launch", remembered)
    monkeypatch.setattr(kernel, "numba", lambda: None)
    return names
