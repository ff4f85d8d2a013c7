"""The weights of a folder: one file or several, safetensors or torch's, read without running code."""

import json
from pathlib import Path

from ..files import atomic
from ..serialization import load, load_safetensors, save, save_safetensors

SAFE, TORCH = "model.safetensors", "pytorch_model.bin"


def read_weights(folder) -> dict:
    """The named tensors of a folder: model.safetensors, pytorch_model.bin, or their shards.

    Raises FileNotFoundError where there is none, or where a shard is missing.
    """
    folder = Path(folder)
    for name, read in ((SAFE, load_safetensors), (TORCH, load)):
        if (folder / name).is_file():
            return dict(read(folder / name))
        index = folder / f"{name}.index.json"
        if index.is_file():
            return _read_shards(index, read)
    raise FileNotFoundError(
        f"{folder} holds no weights: neither {SAFE} nor {TORCH}, nor an index of their shards"
    )


def _read_shards(index, read) -> dict:
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{index} is no index of shards: {error!r}") from error
    tensors: dict = {}
    for shard in sorted(set(places.values())):
        path = index.parent / shard
        if path.parent != index.parent or not path.is_file():
            raise FileNotFoundError(
                f"{index} names the shard {shard}, which is not in {index.parent}"
            )
        tensors |= read(path)
    missing = sorted(places.keys() - tensors.keys())
    if missing:
        raise ValueError(
            f"{index} promises {missing[0]} and {len(missing) - 1} more: no shard has it"
        )
    return tensors


def write_weights(tensors: dict, folder, safe: bool = True) -> Path:
    """Write the named tensors into a folder, as one file; its path."""
    path = Path(folder) / (SAFE if safe else TORCH)
    if safe:
        save_safetensors(tensors, path, {"format": "pt"})
    else:
        with atomic(path) as file:
            save(tensors, file)
    return path
