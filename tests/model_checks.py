"""A model file of ours also run on torch: same weights from the same seed, same outputs, same gradients.

    ours, theirs = on_both("textcnn")     # the module, and its copy with torch in minigrad's place
    check_model("textcnn", build, loss)   # everything at once

build(models, torch) makes the model, loss(model, torch, tensor) a scalar from it, or (scalar,
outputs); `models` is the file as a namespace, `torch` the library, `tensor` makes its tensors from
NumPy arrays.
"""

import re
import sys
import types
from pathlib import Path

import numpy
import pytest

import minigrad

MODELS = Path(minigrad.__file__).parent / "models"


def on_torch(name: str) -> types.ModuleType:
    """The model file with torch in minigrad's place; the files it imports from likewise."""
    pytest.importorskip("torch")
    key = f"models_on_torch.{name}"
    if key in sys.modules:
        return sys.modules[key]
    source = (MODELS / f"{name}.py").read_text(encoding="utf-8")
    source = source.replace("import minigrad as torch", "import torch")
    source = source.replace("import minigrad.nn.functional as F", "import torch.nn.functional as F")
    source = source.replace("from minigrad import nn", "from torch import nn")
    for other in re.findall(r"^from \.(\w+) import", source, flags=re.MULTILINE):
        on_torch(other)
    source = re.sub(r"^from \.(\w+) import", r"from models_on_torch.\1 import", source, flags=re.M)
    assert "minigrad" not in re.sub(r'""".*?"""|#.*', "", source, flags=re.DOTALL), (
        f"models/{name}.py imports more of minigrad than torch, nn and F"
    )
    sys.modules.setdefault("models_on_torch", types.ModuleType("models_on_torch")).__path__ = []
    module = types.ModuleType(key)
    sys.modules[key] = module
    exec(compile(source, str(MODELS / f"{name}.py"), "exec"), module.__dict__)
    return module


def on_both(name: str):
    """(our model file, the same file on torch)."""
    return __import__(f"minigrad.models.{name}", fromlist=["*"]), on_torch(name)


def _parts(result):
    return result if isinstance(result, tuple) else (result, ())


def check_model(name, build, loss, *, same_start=True, rtol=1e-9, seed=0):
    """Hold a model against its copy on torch, and its gradient against finite differences.

    Float64: state_dict keys, shapes, the weights that a seed gives (unless same_start is False), the
    loss, the other outputs, every gradient; then float32 once more, loosely. The loss must be
    deterministic (dropout 0 or eval).
    """
    torch = pytest.importorskip("torch")
    ours, theirs = on_both(name)
    torch.manual_seed(seed)
    minigrad.manual_seed(seed)
    their_model, our_model = build(theirs, torch), build(ours, minigrad)
    their_state, our_state = their_model.state_dict(), our_model.state_dict()
    assert list(our_state) == list(their_state)
    for key, weight in their_state.items():
        assert our_state[key].shape == tuple(weight.shape), key
        if same_start:
            found = our_state[key].numpy()
            numpy.testing.assert_allclose(found, weight.numpy(), rtol=1e-6, atol=1e-7, err_msg=key)
    our_model.load_state_dict({k: minigrad.tensor(v.numpy()) for k, v in their_state.items()})
    for dtype, tolerance in (("float64", rtol), ("float32", 2e-4)):
        our_model.to(getattr(minigrad, dtype))
        their_model.to(getattr(torch, dtype))
        _compare(our_model, their_model, loss, torch, dtype, tolerance)
    our_model.load_state_dict({k: minigrad.tensor(v.numpy()) for k, v in their_state.items()})
    our_model.to(minigrad.float64)
    check_gradient(
        our_model, lambda: _parts(loss(our_model, minigrad, _maker(minigrad, "float64")))[0]
    )


def _maker(library, dtype):
    def tensor(values):
        values = numpy.asarray(values)
        if values.dtype.kind == "f":
            values = values.astype(dtype)
        return library.tensor(values)

    return tensor


def _compare(our_model, their_model, loss, torch, dtype, tolerance):
    results = []
    for model, library in ((our_model, minigrad), (their_model, torch)):
        model.zero_grad()
        value, outputs = _parts(loss(model, library, _maker(library, dtype)))
        value.backward()
        results.append((value, outputs))
    (ours, our_outputs), (theirs, their_outputs) = results
    assert ours.numpy(force=True).dtype == dtype
    close = lambda a, b, what: numpy.testing.assert_allclose(
        a.numpy(force=True), b.numpy(force=True), rtol=tolerance, atol=tolerance, err_msg=what
    )
    close(ours, theirs, "loss")
    for number, (a, b) in enumerate(zip(our_outputs, their_outputs, strict=True)):
        close(a, b, f"output {number}")
    gradients = dict(their_model.named_parameters())
    for key, parameter in our_model.named_parameters():
        if gradients[key].grad is None:
            assert parameter.grad is None, f"{key} has a gradient here, none in torch"
        else:
            close(parameter.grad, gradients[key].grad.to_dense(), f"gradient of {key}")


def check_gradient(model, loss, step=1e-6, rtol=1e-5, seed=1):
    """Each parameter's gradient along a random direction against central differences, in float64.

    The row of a table that stands for padding has no gradient by definition: it stays as it is.
    """
    draw = numpy.random.default_rng(seed)
    padding = {
        f"{name}.weight": module.padding_idx
        for name, module in model.named_modules()
        if getattr(module, "padding_idx", None) is not None
    }
    model.zero_grad()
    loss().backward()
    for key, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, f"{key} has no gradient"
        direction = draw.standard_normal(parameter.shape)
        if key in padding:
            direction[padding[key]] = 0
        expected = float((parameter.grad.numpy() * direction).sum())
        kept = parameter.detach().clone()
        values = []
        for sign in (1, -1):
            with minigrad.no_grad():
                parameter.copy_(kept + sign * step * minigrad.tensor(direction))
                values.append(loss().item())
        with minigrad.no_grad():
            parameter.copy_(kept)
        found = (values[0] - values[1]) / (2 * step)
        assert abs(found - expected) <= rtol * max(1e-2, abs(found), abs(expected)), (
            f"{key}: finite differences {found}, gradient {expected}"
        )
