"""Averages of weights over training: SWA (Izmailov et al. 2018) and exponential moving averages."""

import itertools
import math
from copy import deepcopy

from ..engine import no_grad
from ..nn import Module
from ..nn.normalization import BatchNorm1d
from ..ops.creation import tensor
from .lr_scheduler import LRScheduler


def get_ema_avg_fn(decay: float = 0.999):
    """avg <- decay avg + (1 - decay) w, as an `avg_fn`."""
    if not 0.0 <= decay <= 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )

    def average(averaged, current, num_averaged):
        return decay * averaged + (1 - decay) * current

    return average


def get_ema_multi_avg_fn(decay: float = 0.999):
    """The same for lists of parameters, in place, as a `multi_avg_fn`."""
    average = get_ema_avg_fn(decay)

    def average_all(averaged, current, num_averaged):
        for a, w in zip(averaged, current, strict=True):
            a.copy_(average(a, w, num_averaged))

    return average_all


def get_swa_avg_fn():
    """avg <- avg + (w - avg) / (n + 1), as an `avg_fn`."""

    def average(averaged, current, num_averaged):
        return averaged + (current - averaged) / (num_averaged + 1)

    return average


class AveragedModel(Module):
    """A copy of a model whose weights average the model's: call update_parameters(model)."""

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def update_parameters(self, model) -> None:
        """Take the model's present weights into the average."""

        def every(m):
            return list(itertools.chain(m.parameters(), m.buffers() if self.use_buffers else []))

        mine, theirs = every(self.module), every(model)
        count = int(self.n_averaged)
        average = self.avg_fn or get_swa_avg_fn()
        with no_grad():
            if count > 0 and self.multi_avg_fn is not None:
                self.multi_avg_fn(mine, theirs, count)
            else:
                for a, w in zip(mine, theirs, strict=True):
                    a.copy_(w if count == 0 else average(a, w, count))
            if not self.use_buffers:
                for a, w in zip(self.module.buffers(), model.buffers(), strict=True):
                    a.copy_(w)
            self.n_averaged += 1


def update_bn(loader, model, device=None) -> None:
    """Compute the running statistics of BatchNorm layers afresh, in one pass over the data."""
    layers = [m for m in model.modules() if isinstance(m, BatchNorm1d)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    was_training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average over all batches
    with no_grad():
        for batch in loader:
            inputs = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(inputs if device is None else inputs.to(device))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """lr moves to swa_lr within anneal_epochs, along a cosine or a line, and stays there."""

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must by one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        rates = (
            swa_lr if isinstance(swa_lr, (list, tuple)) else [swa_lr] * len(optimizer.param_groups)
        )
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, t):
        if self._anneal_strategy == "linear":
            return t
        return (1 - math.cos(math.pi * t)) / 2

    def get_lr(self):
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before = self._share(max(0, min(1, (step - 1) / max(1, self.anneal_epochs))))
        now = self._share(max(0, min(1, step / max(1, self.anneal_epochs))))
        values = []
        for group in self.optimizer.param_groups:
            lr, goal = group["lr"], group["swa_lr"]
            start = lr if before == 1 else (lr - before * goal) / (1 - before)
            values.append(goal * now + start * (1 - now))
        return values
