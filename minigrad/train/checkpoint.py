"""Checkpoints: all that a run needs to go on as if it had never stopped.

One safetensors file holds the tensors (weights, optimizer moments, the random stream's state) under
flat names, and in its metadata, as JSON, everything else (step counts, learning rates, history).
"""

import json

from ..random import get_rng_state, set_rng_state
from ..serialization import load_safetensors, save_safetensors
from ..tensor import Tensor

FORMAT = "minigrad-checkpoint-1"


def _flatten(value, path, tensors):
    """Plain data in which every tensor is replaced by the name it is stored under."""
    if isinstance(value, Tensor):
        tensors[path] = value.detach()
        return {"tensor": path}
    if isinstance(value, dict):
        pairs = [[key, _flatten(v, f"{path}.{key}", tensors)] for key, v in value.items()]
        return {"dict": pairs}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_flatten(v, f"{path}.{i}", tensors) for i, v in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"save_checkpoint: {path} is a {type(value).__name__}, which can't be saved")


def _restore(value, tensors):
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _restore(v, tensors) for key, v in content}
    items = [_restore(v, tensors) for v in content]
    return tuple(items) if kind == "tuple" else items


def save_checkpoint(path, **parts) -> None:
    """Write named parts (state_dicts, numbers, lists) and the random stream's state, atomically."""
    tensors: dict[str, Tensor] = {}
    parts = {**parts, "rng": get_rng_state()}
    plan = {name: _flatten(value, name, tensors) for name, value in parts.items()}
    metadata = {"format": FORMAT, "plan": json.dumps(plan)}
    save_safetensors(tensors, path, metadata)


def load_checkpoint(path, restore_rng: bool = True) -> dict:
    """The parts that `save_checkpoint` wrote; the random stream goes on where it was.

    Without restore_rng the stream is left as it is, and its saved state is among the parts: "rng".
    """
    tensors, metadata = load_safetensors(path, with_metadata=True)
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is not a checkpoint of a training run (no {FORMAT} mark)")
    plan = json.loads(metadata["plan"])
    parts = {name: _restore(value, tensors) for name, value in plan.items()}
    if restore_rng:
        set_rng_state(parts.pop("rng"))
    return parts
