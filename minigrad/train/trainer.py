"""The training loop of classifiers: clipping, schedules, averages, frozen embeddings."""

import time
from collections.abc import Callable, Iterable

from ..engine import no_grad
from ..nn import functional as F
from ..nn.utils import clip_grad_norm_, clip_grad_value_
from ..optim.lr_scheduler import ReduceLROnPlateau
from .averaging import Average
from .devices import brought_to
from .history import Epoch, History
from .loop import Loop
from .schedule import Schedule
from .stopping import EarlyStopping
from .unfreeze import Unfreeze


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
        for inputs, labels in brought_to(model, batches):
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


class Trainer(Loop):
    """Trains a classifier on (inputs, labels) batches and keeps the weights of the best epoch.

    scheduler: a Schedule, which changes the rate after every update, or one of
    `optim.lr_scheduler`, stepped after every epoch. max_norm, max_value: clip the gradient. accumulate:
    the mean gradient of so many batches makes an update. after_step: called with the model after every
    update (Kim's norm constraint, say). average: the averaged weights are measured and kept in place
    of the last ones. unfreeze: embeddings that wait. keep_best: end with the best epoch's weights,
    rather than the last. valid_loss_fn: where validation's loss is another than training's.
    folder, progress: as for every Loop.
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
        super().__init__(model, optimizer, early_stopping, folder, progress)
        self.loss_fn = loss_fn
        self.valid_loss_fn = valid_loss_fn or loss_fn
        self.scheduler = scheduler
        self.max_norm = max_norm
        self.max_value = max_value
        self.accumulate = accumulate
        self.average = average
        self.unfreeze = unfreeze
        self.after_step = after_step
        self.keep_best = keep_best

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
            EarlyStopping(recipe.patience),
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
        return self.run(epochs, lambda number: self._epoch(number, train_batches, valid_batches))

    def finish(self) -> None:
        """Give the model its best weights, or, without keep_best, the last ones or their average."""
        if self.keep_best:
            super().finish()
        elif self.measured is not self.model:
            self.model.load_state_dict(self.measured.state_dict())

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
        if isinstance(self.scheduler, Schedule):
            self.scheduler.epoch_done(valid_loss)
        elif isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(valid_loss)
        elif self.scheduler is not None:
            self.scheduler.step()
        return self.epoch_done(epoch, valid_accuracy if self.stopping.sign > 0 else valid_loss)

    def _train(self, number, batches):
        self.model.train()
        total, right, count = 0.0, 0, 0
        steps = len(batches)
        for step, (inputs, labels) in enumerate(brought_to(self.model, batches), start=1):
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

    def state(self) -> dict:
        """All that changes while training, but for the random stream."""
        return super().state() | {
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }

    def check(self, parts: dict, path) -> None:
        """ValueError for the checkpoint of another kind of run, or of one with(out) an average."""
        super().check(parts, path)
        if (self.average is None) != (parts.get("average") is None):
            there, here = ("no", "an") if self.average is not None else ("an", "no")
            raise ValueError(
                f"{path} is of a run with {there} average of weights; this one has {here} average"
            )

    def load_state(self, parts: dict) -> None:
        """Go on from a `state`."""
        super().load_state(parts)
        if self.scheduler is not None:
            self.scheduler.load_state_dict(parts["scheduler"])
        if self.average is not None:
            self.average.load_state_dict(parts["average"])
