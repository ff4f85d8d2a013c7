"""Causal language models trained on random windows of a text, by nanoGPT's recipe.

An update sees batch_size windows of block_size tokens, drawn anew from anywhere in the text; AdamW,
which decays matrices alone (Loshchilov and Hutter 2019), with a rate that rises for warmup_iters
updates and falls along a half cosine to min_lr (2017); the gradient's norm is held below grad_clip.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

import minigrad as torch

from ..nn import functional as F
from ..nn.utils import clip_grad_norm_
from ..optim import AdamW
from .devices import device_of, moved
from .language_model import LanguageEpoch, LanguageHistory
from .loop import Loop
from .perplexity import next_logits, perplexity
from .schedule import rate_factor
from .stopping import EarlyStopping


@dataclass
class CausalSettings:
    """How a causal model is trained; names are nanoGPT's, defaults those of its README for a CPU.

    gradient_accumulation_steps: so many batches make up an update. eval_interval: before the first
    and after so many updates the losses on the training and the validation text are estimated, each
    on eval_iters random batches. grad_clip: 0 for none. Raises ValueError for values out of their range.
    """

    block_size: int = 64
    batch_size: int = 12
    gradient_accumulation_steps: int = 1
    max_iters: int = 2000
    learning_rate: float = 1e-3
    min_lr: float = 1e-4
    warmup_iters: int = 100
    lr_decay_iters: int = 2000
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.1
    grad_clip: float = 1.0
    eval_interval: int = 250
    eval_iters: int = 20
    seed: int = 1337

    def __post_init__(self):
        counts = (
            "block_size", "batch_size", "gradient_accumulation_steps", "max_iters", "eval_interval",
            "eval_iters",
        )  # fmt: skip
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"settings: {name} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "min_lr", "warmup_iters", "weight_decay", "grad_clip"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"settings: {name} must be 0 or greater, not {getattr(self, name)}"
                )
        if self.warmup_iters >= self.lr_decay_iters:
            raise ValueError(
                f"settings: a warm-up of {self.warmup_iters} updates leaves none of "
                f"{self.lr_decay_iters} (lr_decay_iters) for the rate to fall"
            )

    def rate(self, update: int) -> float:
        """The learning rate of update 0, 1 ...: lr (t + 1) / (w + 1), then min + (lr - min) cosine.

        cosine = (1 + cos(pi (t - w) / (d - w))) / 2 until update d = lr_decay_iters, then 0.
        """
        factor = rate_factor("cosine", update, self.lr_decay_iters, self.warmup_iters)
        if update < self.warmup_iters:
            return self.learning_rate * factor
        return self.min_lr + factor * (self.learning_rate - self.min_lr)


def random_batch(ids, batch_size: int, block_size: int, generator=None):
    """(inputs, targets), (B, T) each: windows of a text (N,) from random places; targets one further."""
    if len(ids) <= block_size:
        raise ValueError(
            f"random_batch: {len(ids)} ids are too few for a window of {block_size} and its targets"
        )
    where = ids.device
    starts = torch.randint(
        len(ids) - block_size, (batch_size, 1), generator=generator, device=where
    )
    rows = ids[starts + torch.arange(block_size + 1, device=where)]
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def causal_loss(model, inputs, targets):
    """The mean cross-entropy of each next token: inputs and targets (B, T), brought to the model."""
    inputs, targets = moved((inputs, targets), device_of(model))
    logits = next_logits(model, inputs)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def estimate_loss(model, ids, settings: CausalSettings) -> float:
    """The mean loss on eval_iters random batches of a text."""
    was_training = model.training
    model.eval()
    total = 0.0
    with torch.no_grad():
        for _ in range(settings.eval_iters):
            batch = random_batch(ids, settings.batch_size, settings.block_size)
            total += causal_loss(model, *batch).item()
    model.train(was_training)
    return total / settings.eval_iters


def text_loss(model, ids, block_size: int, batch_size: int = 32) -> float:
    """Nats a token over a whole text (N,), block by block: every token but the first counts once.

    A token has 0 to block_size - 1 others before it in its block besides the one that foretells it,
    as in random windows: it is what `estimate_loss` estimates.
    """
    return perplexity(model, ids, block_size + 1, block_size, batch_size=batch_size).nats


def decay_groups(model, weight_decay: float) -> list[dict]:
    """Parameters for an optimizer: matrices and tables with decay, biases and norms' weights without."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class CausalTrainer(Loop):
    """Trains any causal model on a text and keeps the weights of the lowest estimated loss.

    The model takes ids (B, T) and gives logits (B, T, V), as they are, first of a tuple, or in an
    output's `logits`. folder, progress: as for every Loop; an epoch is eval_interval updates, and
    its number is that of the updates made by then, 0 for the estimates before the first. Random
    numbers are drawn in nanoGPT's order, batch and estimates in turn: a seed gives its run.
    """

    history_type = LanguageHistory

    def __init__(self, model, settings: CausalSettings, folder=None, progress=None):
        optimizer = AdamW(
            decay_groups(model, settings.weight_decay),
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
        )
        super().__init__(model, optimizer, EarlyStopping(None, mode="min"), folder, progress)
        self.settings = settings
        self.parameters = list(model.parameters())  # to look for them at every update takes a while
        self.batch = None  # the next to be learned from: it is drawn before an evaluation

    @property
    def updates(self) -> int:
        """How many updates have been made, up to the last evaluation."""
        return self.history.epochs[-1].number if self.history.epochs else 0

    def fit(self, train, valid, after_epoch: Callable | None = None) -> LanguageHistory:
        """Train on ids (N,) up to `settings.max_iters` updates; the model ends with its best weights.

        after_epoch: called with the LanguageEpoch, the weights being those it ended with.
        """
        settings = self.settings
        for ids in (train, valid):  # a text that is too short is told before the first update
            if len(ids) <= settings.block_size:
                raise ValueError(
                    f"CausalTrainer: {len(ids)} ids are too few for windows of {settings.block_size}"
                )
        left = max(0, settings.max_iters - self.updates)
        epochs = max(1, len(self.history.epochs)) - (-left // settings.eval_interval)
        return self.run(epochs, lambda number: self._interval(number, train, valid), after_epoch)

    def _interval(self, number, train, valid):
        settings, first = self.settings, self.updates
        last = min(first + settings.eval_interval, settings.max_iters)
        if not self.history.epochs:
            last, self.batch = 0, self._draw(train)
        begin = time.perf_counter()
        self.model.train()
        total = 0.0
        for update in range(first, last):
            loss = self.step(update, train)
            if not math.isfinite(loss):
                raise RuntimeError(
                    f"update {update}: the loss is {loss}; a lower learning rate may help"
                )
            total += loss
            if self.progress is not None:
                done = update + 1 - first
                self.progress.step_done(number, done, last - first, total / done)
        trained = time.perf_counter() - begin
        losses = [estimate_loss(self.model, ids, settings) for ids in (train, valid)]
        tokens = settings.block_size * settings.batch_size * settings.gradient_accumulation_steps
        epoch = LanguageEpoch(
            last, *losses, settings.rate(max(0, last - 1)), time.perf_counter() - begin,
            (last - first) * tokens / trained,
        )  # fmt: skip
        return self.epoch_done(epoch, epoch.valid_loss)

    def _draw(self, ids):
        return random_batch(ids, self.settings.batch_size, self.settings.block_size)

    def step(self, update: int, ids) -> float:
        """Update number 0, 1 ... from random windows of a text; the mean loss before it."""
        settings = self.settings
        batches = settings.gradient_accumulation_steps
        self.set_rate(settings.rate(update))
        self.optimizer.zero_grad()
        total = 0.0
        for _ in range(batches):
            loss = causal_loss(self.model, *(self.batch or self._draw(ids)))
            self.batch = self._draw(ids)
            (loss if batches == 1 else loss / batches).backward()
            total += loss.item() / batches
        if settings.grad_clip:
            clip_grad_norm_(self.parameters, settings.grad_clip)
        self.optimizer.step()
        return total

    def state(self) -> dict:
        """All that changes while training, but for the random stream, and the settings."""
        return super().state() | {"settings": asdict(self.settings), "batch": self.batch}

    def load_state(self, parts: dict) -> None:
        """Go on from a `state`."""
        super().load_state(parts)
        self.batch = parts["batch"]

    def check(self, parts: dict, path) -> None:
        """ValueError for the checkpoint of another kind of run, or of one with other settings.

        max_iters alone may differ.
        """
        super().check(parts, path)
        for name in (f.name for f in fields(self.settings) if f.name != "max_iters"):
            before, now = parts["settings"].get(name), getattr(self.settings, name)
            if before != now:
                raise ValueError(f"{path} was trained with {name} {before}, not {now}")
