"""Training a tagger: epochs, the score on the validation part, early stopping, checkpoints."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy

from ...nn.utils import clip_grad_norm_
from ...ops.creation import as_tensor
from ...optim import SGD, Adam
from ...random import manual_seed
from ...text.conll import Sentence, iob2_to_iobes
from ...text.vocab import build_vocab_from_iterator
from ..devices import brought_to
from ..history import History
from ..loop import Loop
from ..stopping import EarlyStopping
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

    epoch_type = TagEpoch

    @property
    def best(self) -> TagEpoch | None:
        """The first epoch with the highest score."""
        return max(self.epochs, key=lambda e: e.valid_score, default=None)


class TagTrainer(Loop):
    """Trains a Tagger and keeps the weights of the epoch with the best validation score.

    folder, progress: as for every Loop.
    """

    history_type = TagHistory

    def __init__(self, tagger: Tagger, folder=None, progress=None):
        settings = tagger.settings
        if settings.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"there is no optimizer {settings.optimizer!r} for taggers; there are: "
                f"{', '.join(OPTIMIZERS)}"
            )
        parameters = [p for p in tagger.model.parameters() if p.requires_grad]
        optimizer = OPTIMIZERS[settings.optimizer](parameters, lr=settings.learning_rate)
        stopping = EarlyStopping(settings.patience)
        super().__init__(tagger.model, optimizer, stopping, folder, progress)
        self.tagger = tagger

    def fit(self, batches: TagBatches, valid: TagBatches, truth: Sequence[Sequence[str]]):
        """Train until the settings' epochs are done or patience has run out; the best weights stay.

        truth: the tags of the validation sentences. Returns the history.
        """
        batches.sampler.epoch = len(self.history.epochs)
        return self.run(
            self.tagger.settings.epochs,
            lambda number: self._epoch(number, batches, valid, truth),
        )

    def _epoch(self, number, batches, valid, truth):
        begin = time.perf_counter()
        settings = self.tagger.settings
        rate = settings.learning_rate / (1 + settings.decay * (number - 1))
        self.set_rate(rate)
        loss = self._train(number, batches)
        found, valid_loss = self.tagger.evaluate(valid)
        figures = score(truth, found, settings.entities)
        epoch = TagEpoch(
            number, loss, valid_loss, figures["accuracy"], figures["score"], rate,
            time.perf_counter() - begin,
        )  # fmt: skip
        return self.epoch_done(epoch, epoch.valid_score)

    def _train(self, number, batches):
        self.model.train()
        total, count = 0.0, 0
        for step, batch in enumerate(brought_to(self.model, batches), start=1):
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
    return as_tensor(numpy.array([counts[word] == 1 for word in encoder.words.itos]))
