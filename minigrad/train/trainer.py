"""The training loop: epochs over batches, validation, early stopping, schedules, checkpoints."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ..engine import no_grad
from ..nn import functional as F
from ..nn.utils import clip_grad_norm_
from ..optim.lr_scheduler import ReduceLROnPlateau
from .checkpoint import load_checkpoint, save_checkpoint
from .history import Epoch, History


class EarlyStopping:
    """Says when to stop: after `patience` epochs without a better validation figure.

    better: at least min_delta above ("max") or below ("min") the best one so far.
    """

    def __init__(self, patience: int = 3, mode: str = "max", min_delta: float = 0.0):
        if mode not in ("min", "max"):
            raise ValueError(f"EarlyStopping: mode must be 'min' or 'max', not {mode!r}")
        self.patience = patience
        self.sign = 1 if mode == "max" else -1
        self.min_delta = min_delta
        self.best: float | None = None
        self.waited = 0

    def step(self, value: float) -> bool:
        """Note an epoch's figure; True if it is the best so far."""
        if self.best is None or self.sign * (value - self.best) > self.min_delta:
            self.best = value
            self.waited = 0
            return True
        self.waited += 1
        return False

    @property
    def should_stop(self) -> bool:
        """True once patience has run out."""
        return self.waited >= self.patience

    def state_dict(self) -> dict:
        """Best figure and epochs waited."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a saved state."""
        self.best, self.waited = state["best"], state["waited"]


def apply(model, inputs):
    """The model's outputs; a tuple of inputs (ids and lengths, say) is one argument each."""
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def decide(logits, labels):
    """(what is predicted, how many of it are right): the likeliest label, labels being (B,).

    Labels (B, C) are sets of labels: those with a probability above one half are predicted, and a
    prediction is right if the whole set is.
    """
    if labels.dim() == 1:
        chosen = logits.array.argmax(1)
        return chosen, int((chosen == labels.array).sum())
    chosen = logits.array > 0
    return chosen, int((chosen == (labels.array > 0.5)).all(1).sum())


def evaluate(model, batches: Iterable, loss_fn: Callable = F.cross_entropy):
    """(mean loss, accuracy, predictions, labels) of a classifier in evaluation mode."""
    was_training = model.training
    model.eval()
    total, right, count = 0.0, 0, 0
    predicted, truth = [], []
    with no_grad():
        for inputs, labels in batches:
            logits = apply(model, inputs)
            total += loss_fn(logits, labels).item() * len(labels)
            chosen, hits = decide(logits, labels)
            right += hits
            count += len(labels)
            predicted += chosen.tolist()
            truth += labels.tolist()
    model.train(was_training)
    if count == 0:
        raise ValueError("evaluate: there are no examples")
    return total / count, right / count, predicted, truth


class Trainer:
    """Trains a classifier on (inputs, labels) batches and keeps the weights of the best epoch.

    after_step: called with the model after every update (Kim's norm constraint, say). max_norm: clip
    the gradient's norm. folder: where `last.safetensors` and `best.safetensors` go after each epoch;
    a run continued from the former gives the same numbers as one that was never interrupted.
    """

    def __init__(
        self,
        model,
        optimizer,
        loss_fn: Callable = F.cross_entropy,
        scheduler=None,
        max_norm: float | None = None,
        early_stopping: EarlyStopping | None = None,
        after_step: Callable | None = None,
        folder=None,
        progress=None,
    ):
        self.model = model
        self.optimizer = optimizer
        self.loss_fn = loss_fn
        self.scheduler = scheduler
        self.max_norm = max_norm
        self.stopping = early_stopping or EarlyStopping(patience=10**9)
        self.after_step = after_step
        self.folder = None if folder is None else Path(folder)
        self.progress = progress
        self.history = History()
        self.best_weights: dict | None = None

    def fit(self, train_batches, valid_batches, epochs: int) -> History:
        """Train up to `epochs` epochs in all; the model ends with the weights of the best one."""
        while len(self.history.epochs) < epochs and not self.stopping.should_stop:
            self._epoch(len(self.history.epochs) + 1, train_batches, valid_batches)
            if self.folder is not None:
                self.save(self.folder / "last.safetensors")
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
        return self.history

    def _epoch(self, number, train_batches, valid_batches):
        begin = time.perf_counter()
        rate = self.optimizer.param_groups[0]["lr"]
        loss, accuracy = self._train(number, train_batches)
        valid_loss, valid_accuracy, _, _ = evaluate(self.model, valid_batches, self.loss_fn)
        epoch = Epoch(
            number, loss, accuracy, valid_loss, valid_accuracy, float(rate),
            time.perf_counter() - begin,
        )  # fmt: skip
        self.history.append(epoch)
        best = self.stopping.step(valid_accuracy if self.stopping.sign > 0 else valid_loss)
        if best:
            self.best_weights = {k: v.clone() for k, v in self.model.state_dict().items()}
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(valid_loss)
        elif self.scheduler is not None:
            self.scheduler.step()
        if self.progress is not None:
            self.progress.epoch_done(epoch, best)

    def _train(self, number, batches):
        self.model.train()
        total, right, count = 0.0, 0, 0
        steps = len(batches)
        for step, (inputs, labels) in enumerate(batches, start=1):
            self.optimizer.zero_grad()
            logits = apply(self.model, inputs)
            loss = self.loss_fn(logits, labels)
            loss.backward()
            if self.max_norm is not None:
                clip_grad_norm_(self.model.parameters(), self.max_norm)
            self.optimizer.step()
            if self.after_step is not None:
                with no_grad():
                    self.after_step(self.model)
            total += loss.item() * len(labels)
            right += decide(logits, labels)[1]
            count += len(labels)
            if self.progress is not None:
                self.progress.step_done(number, step, steps, total / count)
        if count == 0:
            raise ValueError("Trainer.fit: the training set is empty")
        return total / count, right / count

    # -- checkpoints -----------------------------------------------------------------------------

    def save(self, path) -> None:
        """Write everything that `resume` needs."""
        save_checkpoint(
            path,
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            scheduler=None if self.scheduler is None else self.scheduler.state_dict(),
            stopping=self.stopping.state_dict(),
            history=self.history.state_dict(),
            best=self.best_weights,
        )

    def resume(self, path) -> None:
        """Go on from a checkpoint, the random stream included."""
        parts = load_checkpoint(path)
        self.model.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(parts["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(parts["scheduler"])
        self.stopping.load_state_dict(parts["stopping"])
        self.history = History.from_state_dict(parts["history"])
        self.best_weights = parts["best"]
