"""Write docs/compatibility.md: which public names of torch are in minigrad.

    python benchmarks/compatibility.py

Reads `dir()` of both; needs torch.
"""

import types
from pathlib import Path

import torch
import torch.nn.utils.rnn

import minigrad

TARGET = Path(__file__).parent.parent / "docs" / "compatibility.md"
NAMESPACES = [
    ("torch.Tensor", torch.Tensor, minigrad.Tensor),
    ("torch", torch, minigrad),
    ("torch.autograd", torch.autograd, minigrad.autograd),
    ("torch.autograd.functional", torch.autograd.functional, minigrad.autograd.functional),
    ("torch.nn", torch.nn, minigrad.nn),
    ("torch.nn.functional", torch.nn.functional, minigrad.nn.functional),
    ("torch.nn.init", torch.nn.init, minigrad.nn.init),
    ("torch.nn.utils", torch.nn.utils, minigrad.nn.utils),
    ("torch.nn.utils.rnn", torch.nn.utils.rnn, minigrad.nn.utils.rnn),
    ("torch.optim", torch.optim, minigrad.optim),
    ("torch.optim.lr_scheduler", torch.optim.lr_scheduler, minigrad.optim.lr_scheduler),
    ("torch.utils.data", torch.utils.data, minigrad.utils.data),
    ("torch.linalg", torch.linalg, minigrad.linalg),
    ("torch.special", torch.special, minigrad.special),
    ("torch.random", torch.random, minigrad.random),
]
INTRODUCTION = """# Compatibility with PyTorch

Made by `python benchmarks/compatibility.py` from `dir()` of torch {version} and of minigrad. A name that
is listed is there with torch's signature, and the tests hold what it does against torch.

## Where we differ on purpose

- A row of attention that may attend to nothing gives zeros, and passes back zeros, not NaN.
- A failed `load_state_dict` leaves the model as it was: all keys and shapes are checked first.
- `load` never runs code from a file, whatever `weights_only` says; `save` refuses whole modules.
- `ReduceLROnPlateau` and the other schedules still take `verbose`.
- Dropout masks come from the same seeded stream, but are not torch's; everything else that is random is.
- `gradcheck` refuses float32 inputs instead of failing on them.
- Errors name the op, the shapes and the remedy; inside a model, also the path of the layer.
- `grad_fn` names our operation, where torch names the kernel it ran (SumBackward1, AddmmBackward0).
- `as_strided` copies. There are no complex numbers, no quantisation, no distributed training.
- `capturable=True` and `differentiable=True` of optimizers are refused; `foreach`, `fused` do nothing.
- `Muon` orthogonalises in the parameter's own dtype, where torch goes through bfloat16.

"""


def public(namespace):
    """The names that users meet: no underscores, no modules, no names of Python's own."""
    found = set()
    for name in dir(namespace):
        if name.startswith("_") or name == "TYPE_CHECKING":
            continue
        value = getattr(namespace, name, None)
        if isinstance(value, types.ModuleType):
            continue
        borrowed = ("typing", "collections", "builtins", "functools")
        if isinstance(value, type) and value.__module__ in borrowed:
            continue
        found.add(name)
    return found


def main():
    rows = []
    sections = []
    total = 0
    for title, theirs, ours in NAMESPACES:
        wanted, present = public(theirs), set(dir(ours))
        both = sorted(wanted & present)
        total += len(both)
        rows.append(f"| `{title}` | {len(both)} | {len(wanted)} |")
        sections.append(f"### {title}\n\n{', '.join(f'`{name}`' for name in both)}\n")
    text = INTRODUCTION.format(version=torch.__version__.partition("+")[0])
    text += "## How many names\n\n| namespace | here | in torch |\n| --- | --- | --- |\n"
    text += "\n".join(rows) + f"\n\n{total} names in all.\n\n## The names\n\n" + "\n".join(sections)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    print(f"{TARGET.name}: {total} names")


if __name__ == "__main__":
    main()
