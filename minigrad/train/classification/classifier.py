"""A text classifier as one thing: tokenizer, vocabulary, labels and model; trained, saved, used."""

import json
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy

from ...engine import no_grad
from ...files import atomic
from ...nn import functional as F
from ...ops.creation import as_tensor, zeros
from ...random import manual_seed
from ...serialization import load_safetensors, save_safetensors
from ...text.batch import BucketBatchSampler
from ...text.tokenize import get_tokenizer
from ...text.vectors.glove_package import glove_package
from ...text.vectors.words import WordVectors
from ...text.vocab import Vocab, build_vocab_from_iterator
from ...utils.data import DataLoader
from ..devices import device_of, moved
from ..objective import class_counts
from ..report import classification_report, confusion_matrix
from ..trainer import Trainer, apply, evaluate
from .models import kind_of
from .multilabel import multilabel_confusion, multilabel_report
from .settings import Settings

VECTORS = {"glove": glove_package}


class TextClassifier:
    """A trained model with all it takes to classify a text: `classifier.predict(["a fine film"])`.

    vectors (rows of the table, size): where the model's word vectors start, with settings.vectors.
    """

    def __init__(self, settings: Settings, vocab: Vocab, labels: Sequence[str], vectors=None):
        self.settings = settings
        self.vocab = vocab
        self.labels = list(labels)
        self.tokenize = get_tokenizer(settings.tokenizer)
        kind = kind_of(settings.model)
        self.encoder = kind.encoder(vocab, settings)
        if settings.vectors is not None and vectors is None:  # weights to be loaded into
            vectors = zeros(self.encoder.rows, settings.embed_dim)
        self.model = kind.build(settings, self.encoder.rows, len(self.labels), vectors)

    def encode(self, text: str) -> list[int]:
        """A text's ids, cut at the longest length."""
        return self.encoder.encode(self.tokenize(text))

    def batches(self, pairs, shuffle: bool, seed: int = 0) -> DataLoader:
        """(inputs, labels) batches of (text, label) pairs, texts of similar length together.

        The inputs are what the model takes. With settings.multilabel a label is a set of numbers,
        and the batch's labels are (B, C), 1 where one holds. A last batch of one text is left out
        of training: batch norm can't take the variance of one.
        """
        encoded = [(self.encode(text), label) for text, label in pairs]
        lengths = [len(ids) for ids, _ in encoded]
        size = self.settings.batch_size
        alone = shuffle and len(encoded) % size == 1 and len(encoded) > 1
        sampler = BucketBatchSampler(lengths, size, shuffle, drop_last=alone, seed=seed)
        return DataLoader(encoded, batch_sampler=sampler, collate_fn=self._join)

    def _join(self, pairs):
        inputs = self.encoder.join([ids for ids, _ in pairs])
        if not self.settings.multilabel:
            return inputs, as_tensor(numpy.array([label for _, label in pairs], numpy.int64))
        holds = numpy.zeros((len(pairs), len(self.labels)), numpy.float32)
        for row, (_, labels) in zip(holds, pairs, strict=True):
            row[list(labels)] = 1
        return inputs, as_tensor(holds)

    def probabilities(self, texts: Sequence[str]):
        """The probability of every label for every text, (N, labels).

        Of one label a text they add up to 1; of sets of labels each stands for itself.
        """
        if isinstance(texts, str):
            raise TypeError("pass a list of texts, not a single string")
        if not texts:
            raise ValueError("there are no texts to classify")
        inputs = self.encoder.join([self.encode(text) for text in texts])
        inputs = moved(inputs, device_of(self.model))
        was_training = self.model.training
        self.model.eval()
        with no_grad():
            logits = apply(self.model, inputs)
        self.model.train(was_training)
        return logits.sigmoid() if self.settings.multilabel else F.softmax(logits, 1)

    def predict(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """(label, probability) of the likeliest label of every text."""
        if self.settings.multilabel:
            raise ValueError("this classifier was trained on sets of labels: call predict_sets")
        best = self.probabilities(texts).max(1)
        return [
            (self.labels[int(i)], float(p)) for p, i in zip(best.values, best.indices, strict=True)
        ]

    def predict_sets(self, texts: Sequence[str], threshold: float = 0.5) -> list[dict[str, float]]:
        """{label: probability} of the labels of every text whose probability exceeds threshold."""
        if not self.settings.multilabel:
            raise ValueError("this classifier was trained on one label a text: call predict")
        return [
            {label: p for label, p in zip(self.labels, row, strict=True) if p > threshold}
            for row in self.probabilities(texts).tolist()
        ]

    def save(self, folder) -> None:
        """Write model.safetensors, vocab.json and settings.json into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_safetensors(self.model.state_dict(), folder / "model.safetensors")
        self.vocab.save(folder / "vocab.json")
        with atomic(folder / "settings.json", "w") as file:
            json.dump({"labels": self.labels, "settings": asdict(self.settings)}, file, indent=1)

    @classmethod
    def load(cls, folder) -> "TextClassifier":
        """Read what `save` wrote."""
        folder = Path(folder)
        for name in ("settings.json", "vocab.json", "model.safetensors"):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} holds no trained classifier: {name} is missing")
        try:
            stored = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
            settings, labels = Settings(**stored["settings"]), stored["labels"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder / 'settings.json'} is damaged: {error}") from error
        classifier = cls(settings, Vocab.load(folder / "vocab.json"), labels)
        classifier.model.load_state_dict(load_safetensors(folder / "model.safetensors"))
        classifier.model.eval()
        return classifier


@dataclass
class Result:
    """What a training run gives back; accuracies are fractions."""

    classifier: TextClassifier
    trainer: Trainer
    test_accuracy: float
    test_loss: float
    report: str
    confusion: object


def constrain_norms(weight, limit: float) -> None:
    """Rows of a weight matrix longer than `limit` scaled back to it (Kim 2014, section 2.1)."""
    norms = weight.norm(dim=1, keepdim=True)
    weight.mul_((limit / norms.clamp(min=1e-12)).clamp(max=1.0))


def _check_labels(parts, labels, multilabel):
    for name, part in parts.items():
        if not part:
            raise ValueError(f"the {name} set is empty")
        for text, label in part:
            if isinstance(label, Collection) != multilabel:
                raise ValueError(
                    f"{label!r} of {text[:40]!r} in the {name} set is "
                    + ("no set of labels" if multilabel else "a set: set multilabel=True")
                )
            for number in label if multilabel else [label]:
                if not 0 <= number < len(labels):
                    raise ValueError(
                        f"label {number} of {text[:40]!r} in the {name} set is none of the "
                        f"{len(labels)} labels: number them from 0 to {len(labels) - 1}"
                    )


def _vocabulary(settings, train, others):
    """(the vocabulary, the settings, the vectors of its words or None).

    The words of the training texts, and of the other texts those with a pretrained vector: a
    classifier that had the whole table at hand would know them too.
    """
    tokenize = get_tokenizer(settings.tokenizer)
    texts = (tokenize(text) for text, _ in train)
    vocab = build_vocab_from_iterator(texts, settings.min_freq, ["<pad>", "<unk>"])
    vocab.set_default_index(vocab["<unk>"])
    if settings.vectors is None:
        return vocab, settings, None
    if settings.vectors not in VECTORS:
        raise ValueError(
            f"there are no vectors called {settings.vectors!r}; there are: {', '.join(VECTORS)}"
        )
    if not kind_of(settings.model).takes_vectors:
        raise ValueError(f"{settings.model} takes no word vectors: leave vectors out")
    vectors = WordVectors(*VECTORS[settings.vectors]())
    seen = dict.fromkeys(word for text, _ in others for word in tokenize(text))
    for word in vectors.known((w for w in seen if w not in vocab), lower=True):
        vocab.append_token(word)
    table = vectors.matrix(vocab, lower=True, seed=settings.seed) * settings.vector_scale
    return vocab, replace(settings, embed_dim=vectors.size), table


def build_classifier(
    labels: Sequence[str], train, valid, test, settings: Settings
) -> TextClassifier:
    """The classifier before it is trained: settings and texts checked, words numbered, weights drawn."""
    settings.check()
    if settings.batch_norm and not kind_of(settings.model).takes_batch_norm:
        raise ValueError(f"{settings.model} has no batch norm: leave batch_norm out")
    parts = {"training": train, "validation": valid, "test": test}
    _check_labels(parts, labels, settings.multilabel)
    manual_seed(settings.seed)
    vocab, settings, vectors = _vocabulary(settings, train, [*valid, *test])
    return TextClassifier(settings, vocab, labels, vectors)


def make_trainer(
    classifier: TextClassifier, train, folder=None, progress=None, watch: Callable | None = None
) -> tuple[Trainer, DataLoader]:
    """(the trainer that the classifier's settings ask for, the training batches).

    watch: called with the model after every update.
    """
    settings = classifier.settings
    batches = classifier.batches(train, shuffle=True, seed=settings.seed)
    counts = None
    if not settings.multilabel:
        counts = class_counts([label for _, label in train], len(classifier.labels))

    def after_step(model):
        if math.isfinite(settings.max_norm):
            constrain_norms(model.fc.weight, settings.max_norm)
        if watch is not None:
            watch(model)

    trainer = Trainer.from_recipe(
        settings, classifier.model, len(batches), counts, after_step=after_step, folder=folder,
        progress=progress,
    )  # fmt: skip
    return trainer, batches


def train_text_classifier(
    labels: Sequence[str],
    train,
    valid,
    test,
    settings: Settings | None = None,
    folder=None,
    progress=None,
    resume=None,
) -> Result:
    """Train on (text, label) pairs, stop early on the validation part, measure on the test part.

    With settings.multilabel a label is a set of numbers; the accuracy is then the share of texts
    whose whole set is right.

    folder: where checkpoints go after every epoch; resume: the checkpoint to go on from.
    """
    classifier = build_classifier(labels, train, valid, test, settings or Settings())
    model, settings = classifier.model, classifier.settings
    trainer, train_batches = make_trainer(classifier, train, folder, progress)
    if resume is not None:
        trainer.resume(resume)
        train_batches.batch_sampler.epoch = len(trainer.history.epochs)
    trainer.fit(train_batches, classifier.batches(valid, shuffle=False), settings.epochs)
    batches = classifier.batches(test, shuffle=False)
    loss, accuracy, predicted, truth = evaluate(model, batches, trainer.valid_loss_fn)
    if settings.multilabel:
        report, confusion = multilabel_report, multilabel_confusion(truth, predicted)
    else:
        report, confusion = classification_report, confusion_matrix(truth, predicted, len(labels))
    return Result(classifier, trainer, accuracy, loss, report(truth, predicted, labels), confusion)
