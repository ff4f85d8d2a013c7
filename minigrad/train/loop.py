"""What every training loop does: count epochs, keep the best weights, stop early, save and resume."""

from collections.abc import Callable
from pathlib import Path

from ..random import set_rng_state
from .checkpoint import load_checkpoint, save_checkpoint
from .history import History
from .stopping import EarlyStopping


def copy_of(weights: dict) -> dict:
    """A state_dict that does not change with the model."""
    return {name: tensor.clone() for name, tensor in weights.items()}


class Loop:
    """Epochs of training a model; a subclass says what an epoch is.

    It gives `run` a function that trains and measures one epoch and ends with `epoch_done`.
    folder: where `last.safetensors` goes after each epoch; a run continued from it gives the same
    numbers as one that was never interrupted. progress: is told of every step and epoch.
    """

    history_type = History

    def __init__(
        self, model, optimizer, stopping: EarlyStopping | None = None, folder=None, progress=None
    ):
        self.model = model
        self.optimizer = optimizer
        self.stopping = stopping or EarlyStopping(patience=None)
        self.folder = None if folder is None else Path(folder)
        self.progress = progress
        self.history = self.history_type()
        self.best_weights: dict | None = None

    @property
    def measured(self):
        """The model whose weights are measured and kept."""
        return self.model

    def run(self, epochs: int, one_epoch: Callable, after_epoch: Callable | None = None) -> History:
        """Call one_epoch(number) up to number `epochs`; the model ends with the best one's weights.

        after_epoch: called with what one_epoch returned, the weights being those it ended with.
        """
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        while len(self.history.epochs) < epochs and not self.stopping.should_stop:
            epoch = one_epoch(len(self.history.epochs) + 1)
            if self.folder is not None:
                self.save(self.folder / "last.safetensors")
            if after_epoch is not None:
                after_epoch(epoch)
        self.finish()
        return self.history

    def epoch_done(self, epoch, figure: float):
        """Note an epoch and keep its weights if its validation figure is the best; returns the epoch."""
        self.history.append(epoch)
        best = self.stopping.step(figure)
        if best:
            self.best_weights = copy_of(self.measured.state_dict())
        if self.progress is not None:
            self.progress.epoch_done(epoch, best)
        return epoch

    def finish(self) -> None:
        """Give the model the weights it ends with."""
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)

    def set_rate(self, rate: float) -> None:
        """Change the learning rate of all parameters."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    # -- checkpoints -----------------------------------------------------------------------------

    def state(self) -> dict:
        """All that changes while training, but for the random stream."""
        return {
            "kind": type(self).__name__,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "stopping": self.stopping.state_dict(),
            "history": self.history.state_dict(),
            "best": self.best_weights,
        }

    def load_state(self, parts: dict) -> None:
        """Go on from a `state`."""
        self.model.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.stopping.load_state_dict(parts["stopping"])
        self.history = self.history_type.from_state_dict(parts["history"])
        self.best_weights = parts["best"]

    def check(self, parts: dict, path) -> None:
        """ValueError where a checkpoint's parts are not of a run like this one."""
        if parts.get("kind") != type(self).__name__:
            raise ValueError(f"{path} is the checkpoint of another kind of run")

    def save(self, path) -> None:
        """Write everything that `resume` needs."""
        save_checkpoint(path, **self.state())

    def resume(self, path) -> None:
        """Go on from a checkpoint, the random stream included; one that doesn't fit changes nothing."""
        parts = load_checkpoint(path, restore_rng=False)
        self.check(parts, path)
        before = self.state() | {"model": copy_of(self.model.state_dict())}
        try:
            self.load_state(parts)
        except Exception:
            self.load_state(before)
            raise
        set_rng_state(parts["rng"])
