"""Who may import whom: each layer only those to its left, and torch nobody."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [
    {"backend", "capture", "dtypes", "size", "files", "extra"},
    {"generator"},
    {"kernels"},
    {"engine", "op", "sparse", "autocasting"},
    {"ops", "wide"},
    {"memory", "threads", "backends"},
    {"printing"},
    {"tensor"},
    {"methods", "legacy", "random", "cuda", "cuda_graphs", "linalg", "special"},
    {"unpickle"},
    {"serialization"},
    {"autograd"},
    {"checks", "testing", "report"},
    {"nn.functional", "nn.parameter"},
    {"nn"},
    {"optim", "utils", "amp", "graphed_callables"},
    {"profiler", "autograd.profiler"},
    {"text"},
    {"pretrained"},
    {"generation"},
    {"models"},
    {"pipelines"},
    {"train"},
    {"benchmarks"},
    {"cli"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def layer(module: str) -> str:
    """The layer that a module (without the leading "minigrad.") belongs to."""
    parts = module.split(".")
    two = ".".join(parts[:2])
    return two if two in RANK else parts[0]


def files():
    for path in sorted((ROOT / "minigrad").rglob("*.py")):
        yield path, ".".join(path.relative_to(ROOT / "minigrad").with_suffix("").parts)
    for path in sorted((ROOT / "kernels").rglob("*.py")):
        yield path, ".".join(("kernels", *path.relative_to(ROOT / "kernels").with_suffix("").parts))


def _for_hints(node):
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(path, module):
    """The modules of minigrad that a file imports, wherever in it, as dotted names."""
    package = module.split(".")[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # what is imported for type hints alone is never loaded
    tree.body = [n for n in tree.body if not (isinstance(n, ast.If) and _for_hints(n))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name == "torch" or name.name.startswith(("torch.", "minigrad.")):
                    yield name.name.removeprefix("minigrad.")
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *(node.module.split(".") if node.module else [])])
            if not node.level:
                if not source.startswith(("minigrad", "torch")):
                    continue
                source = source.removeprefix("minigrad").removeprefix(".")
            for name in node.names:
                inner = f"{source}.{name.name}".lstrip(".")
                yield inner if layer(inner) in RANK and not source else source or inner


@pytest.mark.parametrize("path, module", list(files()), ids=lambda value: str(value)[-40:])
def test_imports_point_left(path, module):
    if module in ("__init__", "__main__"):
        return
    mine = layer(module)
    assert mine in RANK, f"{module} belongs to no layer: give it a place in LAYERS"
    for found in imports(path, module):
        assert not found.startswith("torch"), f"{module} imports torch"
        theirs = layer(found)
        if theirs not in RANK:
            continue  # a name of the package itself, such as minigrad.tensor the function
        assert RANK[theirs] <= RANK[mine], f"{module} ({mine}) imports {found} ({theirs})"


@pytest.mark.cpu_only(reason="a process of its own, in which the CPU is the default")
def test_nothing_heavy_is_imported():
    import subprocess
    import sys

    code = "import sys, minigrad; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {
        "numba",
        "cupy",
        "torch",
        "matplotlib",
        "sklearn",
        "tokenizers",
        "onnx",
        "rich",
        "pandas",
    }
    assert not heavy & set(loaded.stdout.split())
