"""Training a tagger: epochs, the score on the validation part, early stopping, checkpoints."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy

from ...nn.utils import clip_grad_norm_
from ...op import wrap
from ...optim import SGD, Adam
from ...random import manual_seed
from ...text.conll import Sentence, iob2_to_iobes
from ...text.vocab import build_vocab_from_iterator
from ..checkpoint import load_checkpoint, save_checkpoint
from ..history import History
from ..progress import Progress
from ..trainer import EarlyStopping
from .batches import TagBatches, WordEncoder, checked
from .tagger import Tagger, TaggerSettings, score

OPTIMIZERS = {"adam": Adam, "sgd": lambda parameters, lr: SGD(parameters, lr, momentum=0.9)}


@dataclass
class TagEpoch:
    """The figures of one epoch; score is F1 for entities, else accuracy; times are seconds."""

    number: int
    train_loss: float
    valid_loss: float
    valid_accuracy: float
    valid_score: float
    learning_rate: float
    seconds: float


class TagHistory(History):
    """All epochs of a tagger's training."""

    @property
    def best(self) -> TagEpoch | None:
        """The first epoch with the highest score."""
        return max(self.epochs, key=lambda e: e.valid_score, default=None)

    @classmethod
    def from_state_dict(cls, epochs: list[dict]) -> "TagHistory":
        """The history that `state_dict` described."""
        return cls([TagEpoch(**epoch) for epoch in epochs])


class TagProgress(Progress):
    """A bar for the running epoch, a row with the score for every finished one."""

    def epoch_done(self, epoch, best):
        """Print the row of an epoch, marked where it is the best so far."""
        if self.lines == 0:
            self.bar.console.print(
                "[bold]epoch  train loss  valid loss  valid acc  valid score      lr  seconds[/]"
            )
        self.lines += 1
        mark = " [green]best[/]" if best else ""
        self.bar.console.print(
            f"{epoch.number:5d}  {epoch.train_loss:10.4f}  {epoch.valid_loss:10.4f} "
            f" {epoch.valid_accuracy:9.2%}  {epoch.valid_score:11.2%}  {epoch.learning_rate:6.0e}"
            f"  {epoch.seconds:7.1f}{mark}"
        )


class TagTrainer:
    """Trains a Tagger and keeps the weights of the epoch with the best validation score.

    folder: where `last.safetensors` goes after each epoch; a run that goes on from it gives the same
    numbers as one that was never interrupted.
    """

    def __init__(self, tagger: Tagger, folder=None, progress=None):
        settings = tagger.settings
        if settings.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"there is no optimizer {settings.optimizer!r} for taggers; there are: "
                f"{', '.join(OPTIMIZERS)}"
            )
        self.tagger = tagger
        self.model = tagger.model
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = OPTIMIZERS[settings.optimizer](parameters, lr=settings.learning_rate)
        self.stopping = EarlyStopping(settings.patience)
        self.folder = None if folder is None else Path(folder)
        self.progress = progress
        self.history = TagHistory()
        self.best_weights: dict | None = None

    def fit(self, batches: TagBatches, valid: TagBatches, truth: Sequence[Sequence[str]]):
        """Train until the settings' epochs are done or patience has run out; the best weights stay.

        truth: the tags of the validation sentences. Returns the history.
        """
        batches.sampler.epoch = len(self.history.epochs)
        while len(self.history.epochs) < self.tagger.settings.epochs:
            if self.stopping.should_stop:
                break
            self._epoch(len(self.history.epochs) + 1, batches, valid, truth)
            if self.folder is not None:
                self.save(self.folder / "last.safetensors")
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
        return self.history

    def _epoch(self, number, batches, valid, truth):
        begin = time.perf_counter()
        settings = self.tagger.settings
        rate = settings.learning_rate / (1 + settings.decay * (number - 1))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self._train(number, batches)
        found, valid_loss = self.tagger.evaluate(valid)
        figures = score(truth, found, settings.entities)
        epoch = TagEpoch(
            number, loss, valid_loss, figures["accuracy"], figures["score"], rate,
            time.perf_counter() - begin,
        )  # fmt: skip
        self.history.append(epoch)
        best = self.stopping.step(epoch.valid_score)
        if best:
            self.best_weights = {k: v.clone() for k, v in self.model.state_dict().items()}
        if self.progress is not None:
            self.progress.epoch_done(epoch, best)

    def _train(self, number, batches):
        self.model.train()
        total, count = 0.0, 0
        for step, batch in enumerate(batches, start=1):
            self.optimizer.zero_grad()
            scores = self.model(batch.words, batch.lengths, batch.chars, batch.caps)
            loss = self.model.loss(scores, batch.tags, batch.lengths)
            loss.backward()
            clip_grad_norm_(self.model.parameters(), self.tagger.settings.clip_norm)
            self.optimizer.step()
            words = int(batch.lengths.sum())
            total += loss.item() * words
            count += words
            if self.progress is not None:
                self.progress.step_done(number, step, len(batches), total / count)
        return total / count

    # -- checkpoints -----------------------------------------------------------------------------

    def save(self, path) -> None:
        """Write everything that `resume` needs."""
        save_checkpoint(
            path,
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            stopping=self.stopping.state_dict(),
            history=self.history.state_dict(),
            best=self.best_weights,
        )

    def resume(self, path) -> None:
        """Go on from a checkpoint, the random stream included."""
        parts = load_checkpoint(path)
        self.model.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.stopping.load_state_dict(parts["stopping"])
        self.history = TagHistory.from_state_dict(parts["history"])
        self.best_weights = parts["best"]


@dataclass
class TagResult:
    """What training a tagger gives back: itself, its trainer, its figures on the test part."""

    tagger: Tagger
    trainer: TagTrainer
    figures: dict[str, float]
    found: list[list[str]]


def train_tagger(
    train: Sequence[Sentence],
    valid: Sequence[Sentence],
    test: Sequence[Sentence],
    settings: TaggerSettings | None = None,
    vectors=None,
    folder=None,
    progress=None,
    resume=None,
) -> TagResult:
    """Train on sentences (words, tags), stop early on the validation part, measure on the test part.

    vectors: WordVectors to start from; words of the other parts that have one are then known too.
    folder: where checkpoints go after every epoch; resume: the checkpoint to go on from.
    Raises ValueError for an empty part, for tags that don't fit, for a validation tag not in training.
    """
    settings = settings or TaggerSettings()
    for name, part in (("training", train), ("validation", valid), ("test", test)):
        if not part:
            raise ValueError(f"the {name} set is empty")
    manual_seed(settings.seed)
    tagger = new_tagger(train, settings, [*valid, *test], vectors)
    trainer = TagTrainer(tagger, folder, progress)
    batches = tagger.batches(
        train, batch_size=settings.batch_size, shuffle=True, seed=settings.seed,
        singletons=singletons(tagger.encoder, train), drop=settings.singletons,
    )  # fmt: skip
    if resume is not None:
        trainer.resume(resume)
    trainer.fit(batches, tagger.batches(valid, batch_size=64), [tags for _, tags in valid])
    found = tagger.predict([words for words, _ in test])
    figures = score([tags for _, tags in test], found, settings.entities)
    return TagResult(tagger, trainer, figures, found)


def new_tagger(train, settings: TaggerSettings, others=(), vectors=None) -> Tagger:
    """An untrained tagger with the vocabularies and tags of training sentences.

    With vectors, words of `others` that have one join the vocabulary.
    """
    words = [words for words, _ in train]
    checked(words)
    encoder = WordEncoder.build(
        words, settings.min_freq, settings.lower, settings.digits, settings.max_chars
    )
    table = None
    if vectors is not None:
        more = {encoder.word(word) for words, _ in others for word in words}
        for word in sorted(more):
            if word in vectors and word not in encoder.words:
                encoder.words.append_token(word)
        table = vectors.matrix(encoder.words, lower=True, seed=settings.seed)
        settings = replace(settings, embed_dim=table.shape[1])
    rows = (iob2_to_iobes(tags) if settings.entities else tags for _, tags in train)
    return Tagger(settings, encoder, build_vocab_from_iterator(rows), table)


def singletons(encoder: WordEncoder, train: Sequence[Sentence]):
    """Which words of the vocabulary occur once in training, (V) of bool."""
    counts = Counter(encoder.word(word) for words, _ in train for word in words)
    return wrap(numpy.array([counts[word] == 1 for word in encoder.words.itos]))
