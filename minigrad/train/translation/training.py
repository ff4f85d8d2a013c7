"""Training of encoder-decoders: word by word with the true words before, until validation is best."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ...engine import no_grad
from ...nn import functional as F
from ...nn.utils import clip_grad_norm_
from ...random import manual_seed
from ...text.tokenize import get_tokenizer
from ...text.translation import PAD, build_vocab, pair_batches
from ..devices import brought_to
from ..history import Epoch, History
from ..loop import Loop
from ..stopping import EarlyStopping
from .settings import Seq2SeqSettings, Settings
from .translator import Translator


def word_loss(logits, following, label_smoothing: float = 0.0):
    """Cross-entropy (B, T, V) against (B, T), the mean over words that are not padding."""
    return F.cross_entropy(
        logits.flatten(0, 1),
        following.flatten(),
        ignore_index=PAD,
        label_smoothing=label_smoothing,
    )


def _hits(logits, following) -> int:
    """How many words are the likeliest ones."""
    real = following.array != PAD
    return int((logits.array.argmax(2) == following.array)[real].sum())


def evaluate_words(model, batches) -> tuple[float, float]:
    """(mean loss of a word, in nats; share of words that are the likeliest), the words before given."""
    was_training = model.training
    model.eval()
    total, right, count = 0.0, 0, 0
    with no_grad():
        for (source, inputs), following in brought_to(model, batches):
            logits = model(source, inputs)
            words = int((following.array != PAD).sum())
            total += word_loss(logits, following).item() * words
            right += _hits(logits, following)
            count += words
    model.train(was_training)
    if count == 0:
        raise ValueError("evaluate_words: there are no sentences")
    return total / count, right / count


class Seq2SeqTrainer(Loop):
    """Trains `model(source, inputs) -> logits` on ((source, inputs), next words) batches.

    The learning rate is that of the settings' schedule, which goes on with every update, or stays
    for an epoch. Keeps the weights of the best epoch: that of the lowest validation loss, or, where
    bleu_of is given, that of the highest `bleu_of(model)`. The rest as in every Loop.
    """

    def __init__(
        self,
        model,
        optimizer,
        settings: Settings,
        bleu_of: Callable | None = None,
        folder=None,
        progress=None,
    ):
        stopping = EarlyStopping(settings.patience, "min" if bleu_of is None else "max")
        super().__init__(model, optimizer, stopping, folder, progress)
        self.settings = settings
        self.schedule = settings.schedule(optimizer)
        self.bleu_of = bleu_of
        self.bleu: list[float] = []  # of each epoch, with bleu_of

    def fit(self, train_batches, valid_batches, epochs: int) -> History:
        """Train up to `epochs` epochs in all; the model ends with the weights of the best one."""
        return self.run(epochs, lambda number: self._epoch(number, train_batches, valid_batches))

    def _epoch(self, number, train_batches, valid_batches):
        begin = time.perf_counter()
        if self.schedule is None:
            late = max(0, number - (self.settings.decay_after or number))
            self.set_rate(self.settings.learning_rate * 0.5**late)
        loss, accuracy = self._train(number, train_batches)
        valid_loss, valid_accuracy = evaluate_words(self.model, valid_batches)
        if self.bleu_of is not None:
            self.bleu.append(self.bleu_of(self.model))
        rate = self.optimizer.param_groups[0]["lr"]
        seconds = time.perf_counter() - begin
        epoch = Epoch(number, loss, accuracy, valid_loss, valid_accuracy, rate, seconds)
        return self.epoch_done(epoch, valid_loss if self.bleu_of is None else self.bleu[-1])

    def _train(self, number, batches):
        self.model.train()
        settings = self.settings
        options = settings.forward_options()
        total, right, count = 0.0, 0, 0
        steps = len(batches)
        for step, batch in enumerate(brought_to(self.model, batches), start=1):
            (source, inputs), following = batch
            self.optimizer.zero_grad()
            logits = self.model(source, inputs, **options)
            loss = word_loss(logits, following, settings.label_smoothing)
            loss.backward()
            clip_grad_norm_(self.model.parameters(), settings.max_norm)
            self.optimizer.step()
            if self.schedule is not None:
                self.schedule.step()
            words = int((following.array != PAD).sum())
            total += loss.item() * words
            right += _hits(logits, following)
            count += words
            if self.progress is not None:
                self.progress.step_done(number, step, steps, total / count)
        if count == 0:
            raise ValueError("Seq2SeqTrainer.fit: the training set is empty")
        return total / count, right / count

    def state(self) -> dict:
        """All that changes while training, but for the random stream."""
        schedule = None if self.schedule is None else self.schedule.state_dict()
        return super().state() | {"bleu": self.bleu, "schedule": schedule}

    def check(self, parts: dict, path) -> None:
        """ValueError where a checkpoint's parts are not of a run like this one."""
        super().check(parts, path)
        if (parts.get("schedule") is None) != (self.schedule is None):
            raise ValueError(f"{path} is of a run with another schedule of learning rates")

    def load_state(self, parts: dict) -> None:
        """Go on from a `state`."""
        super().load_state(parts)
        self.bleu = list(parts["bleu"])
        if self.schedule is not None:
            self.schedule.load_state_dict(parts["schedule"])


@dataclass
class Seq2SeqResult:
    """What training gives back."""

    translator: Translator
    trainer: Seq2SeqTrainer


def train_seq2seq(
    train,
    valid,
    settings: Settings | None = None,
    folder=None,
    progress=None,
    resume=None,
) -> Seq2SeqResult:
    """Train on (source, target) texts, stop early on the validation part.

    settings: Seq2SeqSettings for a recurrent model, TransformerSettings for a Transformer.
    folder: where the checkpoint goes after every epoch; resume: the checkpoint to go on from.
    """
    settings = settings or Seq2SeqSettings()
    settings.check()
    for name, part in (("training", train), ("validation", valid)):
        if not part:
            raise ValueError(f"the {name} set is empty")
    manual_seed(settings.seed)
    tokenize = get_tokenizer(settings.tokenizer)
    sides = [(0, 1)] * 2 if settings.one_vocabulary else [(0,), (1,)]
    vocabs = [
        build_vocab((tokenize(pair[i]) for i in side for pair in train), settings.min_freq)
        for side in sides
    ]
    translator = Translator(settings, *vocabs)
    model = translator.model
    bleu_of = (lambda _: translator.score(valid, beam=1)) if settings.stop_on == "bleu" else None
    trainer = Seq2SeqTrainer(
        model,
        settings.optimizer(model.parameters()),
        settings,
        bleu_of,
        folder,
        progress,
    )
    batches = pair_batches(translator.encode(train), settings.batch_size, True, settings.seed)
    if resume is not None:
        trainer.resume(resume)
        batches.batch_sampler.epoch = len(trainer.history.epochs)
    valid_batches = pair_batches(translator.encode(valid), settings.batch_size, False)
    trainer.fit(batches, valid_batches, settings.epochs)
    model.eval()
    return Seq2SeqResult(translator, trainer)
