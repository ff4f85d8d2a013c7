"""The weights of a folder: one file or several, safetensors or torch's, read without running code."""

import json
import re
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


def write_weights(tensors: dict, folder, safe: bool = True, max_shard_size="5GB") -> list[Path]:
    """Write the named tensors into a folder; the paths of the files.

    One file, or, where that would be larger than max_shard_size ("5GB", "200MB" or a number of
    bytes), several and an index that says which tensor is in which. Files of weights that were there
    before go, once the new ones are whole. Raises ValueError for a size that is none.
    """
    folder, name = Path(folder), SAFE if safe else TORCH
    shards = _shards(tensors, size_in_bytes(max_shard_size))
    stem, _, ending = name.rpartition(".")
    names = [f"{stem}-{i + 1:05d}-of-{len(shards):05d}.{ending}" for i in range(len(shards))]
    if len(shards) == 1:
        names = [name]
    for path, shard in zip(names, shards, strict=True):
        _write(shard, folder / path, safe)
    index = folder / f"{name}.index.json"
    if len(shards) > 1:
        places = {key: path for path, shard in zip(names, shards, strict=True) for key in shard}
        values = {
            "metadata": {"total_size": sum(map(_bytes, tensors.values()))},
            "weight_map": dict(sorted(places.items())),
        }
        with atomic(index, "w") as file:
            file.write(json.dumps(values, indent=2) + "\n")
        names.append(index.name)
    for path in [folder / name, index, *folder.glob(f"{stem}-*-of-*.{ending}")]:
        if path.name not in names:
            path.unlink(missing_ok=True)
    return [folder / path for path in names]


def _write(tensors: dict, path: Path, safe: bool) -> None:
    if safe:
        save_safetensors(tensors, path, {"format": "pt"})
    else:
        with atomic(path) as file:
            save(tensors, file)


def _bytes(tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _shards(tensors: dict, limit: int) -> list[dict]:
    """The tensors in order, in groups of at most `limit` bytes; a larger one is a group of its own."""
    groups, room = [{}], limit
    for name, tensor in tensors.items():
        size = _bytes(tensor)
        if groups[-1] and size > room:
            groups.append({})
            room = limit
        groups[-1][name] = tensor
        room -= size
    return groups


def size_in_bytes(size: int | str) -> int:
    """ "5GB" as 5,000,000,000, "1MiB" as 1,048,576, a number as it is; ValueError for anything else."""
    if isinstance(size, int) and size > 0:
        return size
    found = re.fullmatch(r"(\d+)\s*([KMGT])(i?)B", str(size), re.IGNORECASE)
    if found is None or not int(found[1]):
        raise ValueError(
            f"max_shard_size is a number of bytes or a string like '5GB', not {size!r}"
        )
    base = 1024 if found[3] else 1000
    return int(found[1]) * base ** ("KMGT".index(found[2].upper()) + 1)
