"""The training loop: epochs over batches, validation, early stopping, schedules, checkpoints."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ..engine import no_grad
from ..nn import functional as F
from ..nn.utils import clip_grad_norm_, clip_grad_value_
from ..optim.lr_scheduler import ReduceLROnPlateau
from .averaging import Average
from .checkpoint import load_checkpoint, save_checkpoint
from .history import Epoch, History
from .schedule import Schedule
from .unfreeze import Unfreeze


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

    scheduler: a Schedule, which changes the rate after every update, or one of
    `optim.lr_scheduler`, stepped after every epoch. max_norm, max_value: clip the gradient. accumulate:
    the mean gradient of so many batches makes an update. after_step: called with the model after every
    update (Kim's norm constraint, say). average: the averaged weights are measured and kept in place
    of the last ones. unfreeze: embeddings that wait. keep_best: end with the best epoch's weights,
    rather than the last. valid_loss_fn: where validation's loss is another than training's.
    folder: where `last.safetensors` goes after each epoch; a run continued from it gives the same
    numbers as one that was never interrupted.
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
        *,
        max_value: float | None = None,
        accumulate: int = 1,
        average: Average | None = None,
        unfreeze: Unfreeze | None = None,
        keep_best: bool = True,
        valid_loss_fn: Callable | None = None,
    ):
        if accumulate < 1:
            raise ValueError(f"Trainer: accumulate must be at least 1, not {accumulate}")
        self.model = model
        self.optimizer = optimizer
        self.loss_fn = loss_fn
        self.valid_loss_fn = valid_loss_fn or loss_fn
        self.scheduler = scheduler
        self.max_norm = max_norm
        self.max_value = max_value
        self.accumulate = accumulate
        self.average = average
        self.unfreeze = unfreeze
        self.stopping = early_stopping or EarlyStopping(patience=10**9)
        self.after_step = after_step
        self.folder = None if folder is None else Path(folder)
        self.progress = progress
        self.keep_best = keep_best
        self.history = History()
        self.best_weights: dict | None = None

    @classmethod
    def from_recipe(cls, recipe, model, batches: int, counts=None, **options) -> "Trainer":
        """A Trainer that does as a Recipe says, for epochs of so many batches.

        counts: of the examples of each class, where classes are balanced; options: after_step, folder,
        progress.
        """
        recipe.check()
        loss = recipe.make_loss(counts)
        optimizer = recipe.make_optimizer(model)
        return cls(
            model,
            optimizer,
            loss,
            recipe.make_schedule(optimizer, batches),
            recipe.clip_norm,
            None if recipe.patience is None else EarlyStopping(recipe.patience),
            max_value=recipe.clip_value,
            accumulate=recipe.accumulate,
            average=recipe.make_average(model),
            unfreeze=recipe.make_unfreeze(model),
            keep_best=recipe.keep_best,
            valid_loss_fn=loss.plain,
            **options,
        )

    @property
    def measured(self):
        """The model whose weights are measured and kept: the averaged one, if there is an average."""
        return self.model if self.average is None else self.average.model

    def fit(self, train_batches, valid_batches, epochs: int) -> History:
        """Train up to `epochs` epochs in all; the model ends with the weights of the best one."""
        while len(self.history.epochs) < epochs and not self.stopping.should_stop:
            self._epoch(len(self.history.epochs) + 1, train_batches, valid_batches)
            if self.folder is not None:
                self.save(self.folder / "last.safetensors")
        if self.keep_best and self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
        elif self.measured is not self.model:
            self.model.load_state_dict(self.measured.state_dict())
        return self.history

    def _epoch(self, number, train_batches, valid_batches):
        begin = time.perf_counter()
        if self.unfreeze is not None:
            self.unfreeze.epoch_begins(number)
        rate = self.optimizer.param_groups[0]["lr"]
        loss, accuracy = self._train(number, train_batches)
        if self.average is not None:
            self.average.epoch_done(number)
        valid_loss, valid_accuracy, _, _ = evaluate(
            self.measured, valid_batches, self.valid_loss_fn
        )
        epoch = Epoch(
            number, loss, accuracy, valid_loss, valid_accuracy, float(rate),
            time.perf_counter() - begin,
        )  # fmt: skip
        self.history.append(epoch)
        best = self.stopping.step(valid_accuracy if self.stopping.sign > 0 else valid_loss)
        if best:
            self.best_weights = {k: v.clone() for k, v in self.measured.state_dict().items()}
        if isinstance(self.scheduler, Schedule):
            self.scheduler.epoch_done(valid_loss)
        elif isinstance(self.scheduler, ReduceLROnPlateau):
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
            if (step - 1) % self.accumulate == 0:
                self.optimizer.zero_grad()
                together = min(self.accumulate, steps - step + 1)
            logits = apply(self.model, inputs)
            loss = self.loss_fn(logits, labels)
            (loss if together == 1 else loss / together).backward()
            if step % self.accumulate == 0 or step == steps:
                self._update()
            total += loss.item() * len(labels)
            right += decide(logits, labels)[1]
            count += len(labels)
            if self.progress is not None:
                self.progress.step_done(number, step, steps, total / count)
        if count == 0:
            raise ValueError("Trainer.fit: the training set is empty")
        return total / count, right / count

    def _update(self):
        """What happens between backward and the next batch: clip, step, schedule, average."""
        if self.max_value is not None:
            clip_grad_value_(self.model.parameters(), self.max_value)
        if self.max_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.max_norm)
        self.optimizer.step()
        if self.after_step is not None:
            with no_grad():
                self.after_step(self.model)
        if isinstance(self.scheduler, Schedule):
            self.scheduler.step()
        if self.average is not None:
            self.average.update_done()

    # -- checkpoints -----------------------------------------------------------------------------

    def save(self, path) -> None:
        """Write everything that `resume` needs."""
        save_checkpoint(
            path,
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            scheduler=None if self.scheduler is None else self.scheduler.state_dict(),
            average=None if self.average is None else self.average.state_dict(),
            stopping=self.stopping.state_dict(),
            history=self.history.state_dict(),
            best=self.best_weights,
        )

    def resume(self, path) -> None:
        """Go on from a checkpoint, the random stream included."""
        parts = load_checkpoint(path)
        if (self.average is None) != (parts.get("average") is None):
            there, here = ("no", "an") if self.average is not None else ("an", "no")
            raise ValueError(
                f"{path} is of a run with {there} average of weights; this one has {here} average"
            )
        self.model.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(parts["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(parts["scheduler"])
        if self.average is not None:
            self.average.load_state_dict(parts["average"])
        self.stopping.load_state_dict(parts["stopping"])
        self.history = History.from_state_dict(parts["history"])
        self.best_weights = parts["best"]
