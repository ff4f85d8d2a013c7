"""Checkpoint folders: output_dir/checkpoint-N with weights, optimizer, schedule, streams and state.

config.json, model.safetensors      the model, which from_pretrained reads
training.safetensors                optimizer, schedule, random streams, where in the data
trainer_state.json                  TrainerState
training_args.json                  TrainingArguments
"""

import os
import random
import re
import shutil
from pathlib import Path

import numpy

from ...pretrained import PreTrainedModel
from ...pretrained.weights import read_weights, write_weights
from ...random import manual_seed, set_rng_state
from ..checkpoint import load_checkpoint, save_checkpoint

PREFIX = "checkpoint-"
TRAINING = "training.safetensors"


def set_seed(seed: int) -> None:
    """Start the random streams of Python, NumPy and minigrad."""
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    manual_seed(seed)


def _other_streams() -> dict:
    """Where Python's and NumPy's streams are, as plain data; minigrad's is in every checkpoint."""
    name, keys, *rest = numpy.random.get_state()
    return {"python": random.getstate(), "numpy": (name, keys.tolist(), *map(float, rest))}


def checkpoints(folder) -> list[Path]:
    """The checkpoints in a folder by their number, lowest first."""
    found = {}
    if Path(folder).is_dir():
        for path in Path(folder).iterdir():
            match = re.fullmatch(PREFIX + r"(\d+)", path.name)
            if match and path.is_dir():
                found[int(match[1])] = path
    return [found[number] for number in sorted(found)]


def get_last_checkpoint(folder) -> str | None:
    """The path of the checkpoint with the highest number; None where there is none."""
    found = checkpoints(folder)
    return str(found[-1]) if found else None


def rotate(folder, limit: int | None, best: str | None) -> None:
    """Delete the oldest checkpoints until `limit` are left; never the best nor the newest."""
    found = checkpoints(folder)
    if limit is None or not found:
        return
    names = {found[-1].name, None if best is None else Path(best).name}
    spared = [path for path in found if path.name in names]
    surplus = len(found) - max(limit, len(spared))
    for path in [path for path in found if path not in spared][: max(0, surplus)]:
        shutil.rmtree(path)


def keep_alone(folder, best: str) -> None:
    """Delete all checkpoints but the best one."""
    for path in checkpoints(folder):
        if path.name != Path(best).name:
            shutil.rmtree(path)


# -- models --------------------------------------------------------------------------------------


def save_model(model, folder) -> None:
    """Write a model into a folder; one of minigrad.pretrained with its config.json."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    if isinstance(model, PreTrainedModel):
        model.save_pretrained(folder)
    else:
        write_weights(model.state_dict(), folder)


def load_model(model, folder) -> None:
    """Give a model the weights that `save_model` wrote; RuntimeError for those of another model."""
    weights = read_weights(folder)
    if isinstance(model, PreTrainedModel):
        for name, source in model.ties().items():
            if source in weights:
                weights[name] = weights[source]
    model.load_state_dict(weights)


# -- all the rest --------------------------------------------------------------------------------


def save_training(folder, **parts) -> None:
    """Write what a run needs besides the model to go on, the random streams included."""
    save_checkpoint(Path(folder) / TRAINING, **parts, streams=_other_streams())


def load_training(folder) -> dict:
    """The parts that `save_training` wrote; FileNotFoundError for a checkpoint of weights alone."""
    path = Path(folder) / TRAINING
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no {TRAINING}: a run can't be resumed from it (save_only_model=True writes "
            "weights alone)"
        )
    return load_checkpoint(path, restore_rng=False)


def restore_streams(parts: dict) -> None:
    """Let all random streams go on where they were when `save_training` was called."""
    set_rng_state(parts["rng"])
    random.setstate(parts["streams"]["python"])
    name, keys, place, has_spare, spare = parts["streams"]["numpy"]
    keys = numpy.asarray(keys, numpy.uint32)
    numpy.random.set_state((name, keys, int(place), int(has_spare), spare))


class Writing:
    """A folder that takes its place only when the block ends without an error."""

    def __init__(self, folder):
        self.final = Path(folder)
        self.folder = self.final.with_name(f".{self.final.name}.part")

    def __enter__(self) -> Path:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self.folder

    def __exit__(self, kind, error, trace):
        if kind is None:
            if self.final.exists():
                shutil.rmtree(self.final)
            os.replace(self.folder, self.final)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
