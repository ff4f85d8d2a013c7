"""Recurrent language models trained by truncated backpropagation through time.

The text runs in B columns; a step reads T rows, foretells each next id, and passes the state on to the
next step without its graph (Zaremba et al. 2014; Mikolov et al. 2010). Perplexity is exp(mean loss).
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

from ..models.language_model import detach_state
from ..nn.utils import clip_grad_norm_
from ..optim import SGD, Adam
from ..random import manual_seed
from ..text.language import Corpus, Windows, batchify
from .devices import brought_to
from .history import History
from .language_loss import evaluate_language_model, window_loss
from .language_settings import LanguageModelSettings
from .loop import Loop
from .saved_language_model import LanguageModel
from .stopping import EarlyStopping

OPTIMIZERS: dict[str, Callable] = {"sgd": SGD, "adam": Adam}


@dataclass
class LanguageEpoch:
    """The figures of one epoch: losses in nats a token, the time with validation in seconds."""

    number: int
    train_loss: float
    valid_loss: float
    learning_rate: float
    seconds: float
    tokens_per_second: float

    @property
    def train_perplexity(self) -> float:
        """exp of the training loss, taken while the weights change."""
        return math.exp(self.train_loss)

    @property
    def valid_perplexity(self) -> float:
        """exp of the validation loss after the epoch."""
        return math.exp(self.valid_loss)


class LanguageHistory(History):
    """All epochs of a run."""

    epoch_type = LanguageEpoch

    @property
    def best(self) -> LanguageEpoch | None:
        """The epoch with the lowest validation loss."""
        return min(self.epochs, key=lambda epoch: epoch.valid_loss, default=None)


class LanguageModelTrainer(Loop):
    """Trains a RecurrentLM on columns of text and keeps the weights of the best epoch.

    folder, progress: as for every Loop.
    """

    history_type = LanguageHistory

    def __init__(self, model, settings: LanguageModelSettings, folder=None, progress=None):
        if settings.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"there is no optimizer {settings.optimizer!r}; there are: {', '.join(OPTIMIZERS)}"
            )
        optimizer = OPTIMIZERS[settings.optimizer](model.parameters(), lr=settings.learning_rate)
        stopping = EarlyStopping(patience=None, mode="min")
        super().__init__(model, optimizer, stopping, folder, progress)
        self.settings = settings

    def fit(self, train, valid, after_epoch: Callable | None = None) -> LanguageHistory:
        """Train on ids (N,) up to `settings.epochs` in all; the model ends with its best weights.

        after_epoch: called with the LanguageEpoch, the weights being those it ended with.
        """
        settings = self.settings
        windows = Windows(batchify(train, settings.columns), settings.steps)
        batchify(valid, settings.eval_columns)  # a text that is too short is told before the epoch
        return self.run(
            settings.epochs, lambda number: self._epoch(number, windows, valid), after_epoch
        )

    def _epoch(self, number, windows, valid):
        rate = self.settings.rate(number)
        self.set_rate(rate)
        begin = time.perf_counter()
        loss = self._train(number, windows)
        trained = time.perf_counter() - begin
        valid_loss = evaluate_language_model(self.model, valid, self.settings.eval_columns)
        count = windows.columns.numel() - windows.columns.shape[1]
        epoch = LanguageEpoch(
            number, loss, valid_loss, rate, time.perf_counter() - begin, count / trained
        )
        return self.epoch_done(epoch, valid_loss)

    def _train(self, number, windows):
        self.model.train()
        total, count, state = 0.0, 0, None
        for step, (inputs, targets) in enumerate(brought_to(self.model, windows), start=1):
            loss, state = self.step(inputs, targets, detach_state(state))
            if not math.isfinite(loss):
                raise RuntimeError(
                    f"epoch {number}, step {step}: the loss is {loss}; a lower learning rate or a "
                    f"smaller max_norm may help"
                )
            total += loss * targets.numel()
            count += targets.numel()
            if self.progress is not None:
                self.progress.step_done(number, step, len(windows), total / count)
        return total / count

    def step(self, inputs, targets, state):
        """One update from a window (T, B): (mean loss, state after it)."""
        self.optimizer.zero_grad()
        loss, state = window_loss(self.model, inputs, targets, state)
        (loss * len(inputs) if self.settings.sum_over_time else loss).backward()
        clip_grad_norm_(self.model.parameters(), self.settings.max_norm)
        self.optimizer.step()
        return loss.item(), state

    def state(self) -> dict:
        """All that changes while training, but for the random stream, and the settings."""
        return super().state() | {"settings": asdict(self.settings)}

    def check(self, parts: dict, path) -> None:
        """ValueError for the checkpoint of another kind of run, or of one with other settings.

        The number of epochs alone may differ.
        """
        super().check(parts, path)
        for name in (f.name for f in fields(self.settings) if f.name != "epochs"):
            before, now = parts["settings"].get(name), getattr(self.settings, name)
            if before != now:
                raise ValueError(f"{path} was trained with {name} {before}, not {now}")


@dataclass
class LanguageModelResult:
    """What a training run gives back; losses in nats a token, None for a part without text."""

    language_model: LanguageModel
    history: LanguageHistory
    valid_loss: float
    test_loss: float | None

    @property
    def test_perplexity(self) -> float | None:
        """exp of the loss on the test part, read as one column."""
        return None if self.test_loss is None else math.exp(self.test_loss)


def train_language_model(
    corpus: Corpus,
    settings: LanguageModelSettings | None = None,
    folder=None,
    progress=None,
    resume=None,
    sample: Callable[[str], None] | None = None,
    sample_length: int = 200,
) -> LanguageModelResult:
    """Train on a corpus, keep the best epoch on its validation part, measure on its test part.

    folder: where checkpoints go after every epoch; resume: the checkpoint to go on from. sample: is
    given a text that the model wrote after each epoch; it doesn't touch the run's random numbers.
    """
    settings = settings or LanguageModelSettings()
    for name in ("train", "valid"):
        if len(getattr(corpus, name)) == 0:
            raise ValueError(f"{corpus.name}: the part {name!r} is empty")
    manual_seed(settings.seed)
    language_model = LanguageModel(settings, corpus.vocab, corpus.level)
    trainer = LanguageModelTrainer(language_model.model, settings, folder, progress)
    if resume is not None:
        trainer.resume(resume)

    def write(epoch):
        sample(language_model.generate("", sample_length, seed=epoch.number))

    trainer.fit(corpus.train, corpus.valid, None if sample is None else write)
    language_model.model.eval()
    test_loss = None
    if len(corpus.test):
        test_loss = evaluate_language_model(language_model.model, corpus.test)
    return LanguageModelResult(
        language_model, trainer.history, trainer.history.best.valid_loss, test_loss
    )
