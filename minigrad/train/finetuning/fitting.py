"""Training, the part of Trainer that changes weights: epochs, updates, and what comes between them."""

import itertools
import math
import time
from collections.abc import Iterator
from typing import NamedTuple

from ...nn.utils import clip_grad_norm_, get_total_norm
from ...optim.lr_scheduler import ReduceLROnPlateau
from ...random import get_rng_state, set_rng_state
from ...utils.data import DataLoader
from . import checkpoints
from .data import EpochBatches
from .evaluation import speed_metrics
from .precision import Precision
from .saving import Place, Saving
from .state import TrainerState


class TrainOutput(NamedTuple):
    """train()'s answer: updates done, their mean loss, and figures of speed."""

    global_step: int
    training_loss: float
    metrics: dict[str, float]


class Fitting(Saving, Precision):
    """train(), and training_step() which may be overridden."""

    def train(
        self, resume_from_checkpoint: str | bool | None = None, ignore_keys_for_eval=None
    ) -> TrainOutput:
        """Train from the start, or from a checkpoint: its path, or True for output_dir's last one.

        A resumed run gives the numbers of one that was never interrupted, bit for bit.
        Raises ValueError for a checkpoint that is missing or of another run.
        """
        args = self.args
        resume = args.resume_from_checkpoint
        resume = self._checkpoint(
            resume if resume_from_checkpoint is None else resume_from_checkpoint
        )
        loader = self.get_train_dataloader()
        batches = len(loader)
        if batches == 0:
            raise ValueError("Trainer: the training set gives no batch")
        updates = -(-batches // args.gradient_accumulation_steps)
        if args.max_steps > 0:
            max_steps, epochs = int(args.max_steps), math.ceil(args.max_steps / updates)
        else:
            max_steps = math.ceil(args.num_train_epochs * updates)
            epochs = math.ceil(args.num_train_epochs)
        if self._own_schedule:
            self.lr_scheduler = None
        self.scaler = self._make_scaler()
        self.create_optimizer_and_scheduler(max_steps)
        self.state = TrainerState()
        self._place = Place()
        self._pending = None
        if resume is not None:
            self._resume(resume, batches)
        self.state.max_steps, self.state.num_train_epochs = max_steps, epochs
        self.state.train_batch_size = args.train_batch_size
        self.state.compute_steps(args, max_steps)
        self.callback_handler.context |= {
            "optimizer": self.optimizer, "lr_scheduler": self.lr_scheduler,
            "train_dataloader": loader,
        }  # fmt: skip
        self._ignore_keys = ignore_keys_for_eval
        first_step, begin = self.state.global_step, time.perf_counter()
        try:
            self.event("on_train_begin")
            if args.eval_on_start and first_step == 0:
                self._evaluate(step_schedule=False)
            self.optimizer.zero_grad()
            for epoch in range(self._place.epoch, epochs):
                self._run_epoch(loader, epoch, batches)
                if self.control.should_training_stop or self.state.global_step >= max_steps:
                    break
            return self._finish(first_step, time.perf_counter() - begin)
        finally:
            self.reporter.stop()

    def _run_epoch(self, loader, epoch: int, batches: int) -> None:
        """An epoch, from the batch at which the run is."""
        args, place = self.args, self._place
        if place.batches == 0:
            self.state.epoch = float(epoch)
            if self._pending is not None:
                self._restore_streams(self._pending)
                self._pending = None
        self.event("on_epoch_begin")
        iterator = self._open(loader, epoch, place.batches)
        while place.batches < batches and self.state.global_step < self.state.max_steps:
            wanted = min(args.gradient_accumulation_steps, batches - place.batches)
            group, items = self.get_batch_samples(iterator, wanted)
            if len(group) < wanted:
                raise RuntimeError(
                    f"Trainer: the loader has {batches} batches by its length, but gave "
                    f"{place.batches + len(group)}"
                )
            self.current_gradient_accumulation_steps = wanted
            for number, inputs in enumerate(group, start=1):
                if number == 1:
                    self.event("on_step_begin")
                self._add_loss(self.training_step(self.model, inputs, items).item())
                place.batches += 1
                if number < wanted:
                    self.event("on_substep_end")
                else:
                    self._update()
                    self.state.epoch = epoch + place.batches / batches
                    self.event("on_step_end")
                    self._log_evaluate_save()
                if self.control.should_epoch_stop or self.control.should_training_stop:
                    break
            if self.control.should_epoch_stop or self.control.should_training_stop:
                break
        self.optimizer.zero_grad()
        if place.batches == batches or not self.control.should_training_stop:
            place.epoch, place.batches = epoch + 1, 0
        self.event("on_epoch_end")
        self._log_evaluate_save()

    def _open(self, loader, epoch: int, first: int) -> Iterator:
        """The batches of an epoch from a number on; streams go on where a checkpoint has them."""
        order = loader.batch_sampler if isinstance(loader, DataLoader) else None
        ours = isinstance(order, EpochBatches)
        if ours:
            order.start(epoch, first)
        pending, self._pending = self._pending, None  # of a checkpoint in the midst of this epoch
        if pending is not None and not ours:  # a loader of another kind shuffles as it did
            set_rng_state(pending["epoch_rng"])
        self._epoch_rng = get_rng_state()
        iterator = iter(loader)
        if not ours:
            for _ in itertools.islice(iterator, first):
                pass
        if pending is not None:
            self._restore_streams(pending)
        return iterator

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int
    ) -> tuple[list, int | None]:
        """The batches of an update, and how many labels they have."""
        group = list(itertools.islice(epoch_iterator, num_batches))
        return group, self.count_items(group)

    # -- an update -------------------------------------------------------------------------------

    def training_step(self, model, inputs, num_items_in_batch: int | None = None):
        """Forward and backward of a batch; its share of the update's loss, without a graph.

        An update's loss is the mean over its labels where the model's loss is one over a batch's
        labels, otherwise the mean of its batches' losses.
        """
        model.train()
        inputs = self.prepare_inputs(inputs)
        own = self.count_items([inputs])
        with self.autocast_smart_context_manager():
            loss = self.compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)
        scaled = self.loss_is_scaled_for_ga
        if scaled is None:
            scaled = self.compute_loss_func is not None
        if not scaled and self.current_gradient_accumulation_steps > 1:
            if self.means_over_labels() and own is not None and num_items_in_batch:
                loss = loss * (own / num_items_in_batch)
            else:
                loss = loss / self.current_gradient_accumulation_steps
        self.scaler.scale(loss).backward()
        return loss.detach()

    def _add_loss(self, loss: float) -> None:
        """Count a batch's loss; one that is not finite counts as the mean of those before."""
        place = self._place
        if self.args.logging_nan_inf_filter and not math.isfinite(loss):
            loss = place.loss_sum / (1 + self.state.global_step - place.logged_at)
        place.loss_sum += loss

    def _update(self) -> None:
        """Clip, step, go on in the schedule; neither where a gradient of fp16 overflowed."""
        self.scaler.unscale_(self.optimizer)
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        if self.args.max_grad_norm > 0:
            norm = clip_grad_norm_(parameters, self.args.max_grad_norm)
        else:
            norm = get_total_norm([p.grad for p in parameters])
        self._place.grad_norm = norm.item()
        self.event("on_pre_optimizer_step")
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.event("on_optimizer_step")
        self._place.learning_rate = float(self.optimizer.param_groups[0]["lr"])
        stepped = self.scaler.get_scale() >= scale
        if stepped and not isinstance(self.lr_scheduler, ReduceLROnPlateau):
            self.lr_scheduler.step()
        self.optimizer.zero_grad()
        self.state.global_step += 1

    # -- between updates -------------------------------------------------------------------------

    def _log_evaluate_save(self) -> None:
        """Do what the switches of control say."""
        place, step = self._place, self.state.global_step
        if self.control.should_log and step > place.logged_at:
            logs = {"loss": place.loss_sum / (step - place.logged_at)}
            logs |= {"grad_norm": place.grad_norm, "learning_rate": place.learning_rate}
            place.total_loss += place.loss_sum
            place.loss_sum, place.logged_at = 0.0, step
            self.log(logs)
        if self.control.should_evaluate:
            best = self._note_best(self._evaluate())
            if self.args.save_strategy == "best":
                self.control.should_save = best
        if self.control.should_save:
            self._save_checkpoint()
            self.event("on_save")

    def _evaluate(self, step_schedule: bool = True) -> dict:
        metrics = self.evaluate(ignore_keys=self._ignore_keys)
        if step_schedule and isinstance(self.lr_scheduler, ReduceLROnPlateau):
            self.lr_scheduler.step(self._figure(metrics))
        return metrics

    def _figure(self, metrics: dict) -> float:
        """What is compared between evaluations; KeyError, naming all figures, if it is not there."""
        name = self.args.best_figure_name
        if name not in metrics:
            raise KeyError(
                f"metric_for_best_model is {name!r}, which evaluation did not give; it gave: "
                f"{', '.join(metrics)}"
            )
        return metrics[name]

    def _note_best(self, metrics: dict) -> bool:
        """Keep the best figure so far and its step; True if this is it."""
        if self.args.metric_for_best_model is None:
            return False
        figure, best = self._figure(metrics), self.state.best_metric
        sign = 1 if self.args.greater_is_better else -1
        if best is not None and not sign * figure > sign * best:
            return False
        self.state.best_metric, self.state.best_global_step = figure, self.state.global_step
        return True

    def _finish(self, first_step: int, seconds: float) -> TrainOutput:
        """The run's figures; the best weights, where they are asked for."""
        steps, args, place = self.state.global_step, self.args, self._place
        loss = (place.total_loss + place.loss_sum) / max(1, steps)
        done = steps - first_step
        samples = done * args.train_batch_size * args.gradient_accumulation_steps
        metrics = speed_metrics("train", seconds, samples, done) | {"train_loss": loss}
        self.log(metrics)
        best = self.state.best_model_checkpoint
        if args.load_best_model_at_end and best is not None:
            checkpoints.load_model(self.model, best)
        if args.save_total_limit == 1 and best is not None:
            checkpoints.keep_alone(args.output_dir, best)
        self.event("on_train_end")
        return TrainOutput(steps, loss, metrics)
