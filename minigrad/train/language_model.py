"""Recurrent language models trained by truncated backpropagation through time, saved, and sampled from.

The text runs in B columns; a step reads T rows, foretells each next id, and passes the state on to the
next step without its graph (Zaremba et al. 2014; Mikolov et al. 2010). Perplexity is exp(mean loss).
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from ..engine import no_grad
from ..files import atomic
from ..generator import Generator
from ..models.language_model import ZAREMBA, RecurrentLM, detach_state
from ..nn import functional as F
from ..nn.utils import clip_grad_norm_
from ..optim import SGD, Adam
from ..random import manual_seed
from ..serialization import load_safetensors, save_safetensors
from ..text.language import EOS, Corpus, Windows, batchify, ids_of, tokens_of
from ..text.vocab import Vocab
from .history import History
from .loop import Loop
from .stopping import EarlyStopping

OPTIMIZERS: dict[str, Callable] = {"sgd": SGD, "adam": Adam}


@dataclass
class LanguageModelSettings:
    """How a language model is built and trained; the defaults are the small model of Zaremba 2014.

    The learning rate is `learning_rate` for `steady_epochs` epochs, then it is multiplied by `decay`
    after every epoch. sum_over_time: what is minimised is the mean over columns of the sum over the
    window's steps, as the paper's program has it; otherwise the mean over all.
    """

    cell: str = "lstm"
    embed_dim: int = 200
    hidden_size: int = 200
    num_layers: int = 2
    dropout: float = 0.0
    tie_weights: bool = False
    init_range: float | None = 0.1
    optimizer: str = "sgd"
    learning_rate: float = 1.0
    steady_epochs: int = 4
    decay: float = 0.5
    max_norm: float = 5.0
    columns: int = 20
    steps: int = 20
    eval_columns: int = 1
    epochs: int = 13
    sum_over_time: bool = True
    seed: int = 0

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch; the first has number 1."""
        return self.learning_rate * self.decay ** max(0, epoch - self.steady_epochs)


def zaremba(size: str = "small", **changes) -> LanguageModelSettings:
    """The settings of Zaremba 2014, section 4.1: small, medium or large."""
    if size not in ZAREMBA:
        raise ValueError(f"zaremba: there is no size {size!r}; there are: {', '.join(ZAREMBA)}")
    training = {
        "small": {},
        "medium": dict(steps=35, steady_epochs=6, decay=1 / 1.2, epochs=39),
        "large": dict(steps=35, steady_epochs=14, decay=1 / 1.15, epochs=55, max_norm=10.0),
    }
    return LanguageModelSettings(**{**ZAREMBA[size], **training[size], **changes})


def characters(**changes) -> LanguageModelSettings:
    """Settings for text by the character, with Adam: 2 x 256, 32 columns, 64 steps."""
    chosen = LanguageModelSettings(
        embed_dim=64, hidden_size=256, init_range=None, optimizer="adam", learning_rate=3e-3,
        steady_epochs=3, decay=0.6, max_norm=1.0, columns=32, steps=64, eval_columns=8, epochs=8,
        sum_over_time=False, dropout=0.2,
    )  # fmt: skip
    return replace(chosen, **changes)


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


def window_loss(model, inputs, targets, state):
    """(mean loss over a window, state after it): logits and log-softmax in one, never held whole."""
    hidden, state = model.features(inputs, state)
    decoder = model.decoder
    loss = F.linear_cross_entropy(
        hidden.flatten(0, 1), decoder.weight, targets.reshape(-1), linear_bias=decoder.bias
    )
    return loss, state


def evaluate_language_model(model, ids, columns: int = 1, steps: int = 100) -> float:
    """Nats a token over a text (N,), the state carried through; exact with one column.

    Every column's first id has nothing before it and is not counted.
    """
    windows = Windows(batchify(ids, columns), steps)
    was_training = model.training
    model.eval()
    total, count, state = 0.0, 0, None
    with no_grad():
        for inputs, targets in windows:
            loss, state = window_loss(model, inputs, targets, state)
            total += loss.item() * targets.numel()
            count += targets.numel()
    model.train(was_training)
    return total / count


def stored_settings(folder) -> dict:
    """What settings.json in a language model's folder says, its "kind" among it.

    Raises FileNotFoundError for a folder that lacks a file, ValueError for one of something else.
    """
    folder = Path(folder)
    for name in ("settings.json", "vocab.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no language model: {name} is missing")
    path = folder / "settings.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(stored, dict) or "kind" not in stored:
        raise ValueError(f"{path}: it describes no language model")
    return stored


class LanguageModel:
    """A trained model with its vocabulary: `language_model.generate("ROMEO:", 200)` is a text."""

    kind = "language model"  # what settings.json calls it
    settings_type: type = LanguageModelSettings

    def __init__(self, settings, vocab: Vocab, level: str, model=None):
        tokens_of("", level)  # raises where there is no such level
        self.settings = settings
        self.vocab = vocab
        self.level = level
        self.model = model or self.build()

    def build(self):
        """A model with new weights."""
        settings = self.settings
        return RecurrentLM(
            len(self.vocab),
            settings.embed_dim,
            settings.hidden_size,
            settings.num_layers,
            settings.dropout,
            settings.cell,
            settings.tie_weights,
            settings.init_range,
        )

    def encode(self, text: str):
        """The ids of a prompt, (P,); an empty one is the end of a line.

        Raises ValueError for words or characters that the vocabulary lacks.
        """
        tokens = list(text) if self.level == "character" else text.replace("\n", f" {EOS} ").split()
        end = "\n" if self.level == "character" else EOS
        tokens = tokens or [end]
        unknown = [token for token in dict.fromkeys(tokens) if token not in self.vocab]
        if unknown:
            remedy = "; write <unk> in their place" if "<unk>" in self.vocab else ""
            raise ValueError(
                f"the prompt has {self.level}s that the model does not know: "
                f"{', '.join(map(repr, unknown))}{remedy}"
            )
        return ids_of(tokens, self.vocab)

    def decode(self, ids) -> str:
        """The text of ids: characters joined, words with spaces, <eos> as the end of a line."""
        tokens = self.vocab.lookup_tokens(ids.tolist())
        if self.level == "character":
            return "".join(tokens)
        return " ".join("\n" if token == EOS else token for token in tokens).replace(" \n ", "\n")

    def generate(
        self, prompt: str = "", length: int = 100, seed: int | None = None, **options
    ) -> str:
        """`length` words or characters to follow the prompt; options are those of the model's generate.

        The same seed gives the same text, and the stream of random numbers is not touched; without a
        seed the text is drawn from it.
        """
        generator = None if seed is None else Generator().manual_seed(seed)
        ids = self.next_ids(self.encode(prompt), length, generator=generator, **options)
        return self.decode(ids)

    def next_ids(self, ids, length: int, **options):
        """`length` ids to follow ids (P,); options are those of the model's generate."""
        return self.model.generate(ids, length, **options)[0]

    def perplexity(self, ids) -> float:
        """exp of the mean loss over a text's ids (N,), read as one column."""
        return math.exp(evaluate_language_model(self.model, ids))

    def save(self, folder) -> None:
        """Write model.safetensors, vocab.json and settings.json into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_safetensors(self.model.state_dict(), folder / "model.safetensors")
        self.vocab.save(folder / "vocab.json")
        stored = {"kind": self.kind, "level": self.level, "settings": asdict(self.settings)}
        with atomic(folder / "settings.json", "w") as file:
            json.dump(stored, file, indent=1)

    @classmethod
    def load(cls, folder) -> "LanguageModel":
        """Read what `save` wrote."""
        folder = Path(folder)
        stored = stored_settings(folder)
        path = folder / "settings.json"
        try:
            if stored["kind"] != cls.kind:
                raise ValueError(f"it describes a {stored['kind']!r}, not a {cls.kind!r}")
            settings, level = cls.settings_type(**stored["settings"]), stored["level"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: {error}") from error
        found = cls(settings, Vocab.load(folder / "vocab.json"), level)
        found.model.load_state_dict(load_safetensors(folder / "model.safetensors"))
        found.model.eval()
        return found


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
        for step, (inputs, targets) in enumerate(windows, start=1):
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
