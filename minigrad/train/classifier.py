"""A text classifier as one thing: tokenizer, vocabulary, labels and model; trained, saved, used."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..engine import no_grad
from ..files import atomic
from ..models import TextCNN
from ..nn import functional as F
from ..optim import Adam
from ..random import manual_seed
from ..serialization import load_safetensors, save_safetensors
from ..text.batch import BucketBatchSampler, collate_classification, pad_ids
from ..text.tokenize import get_tokenizer
from ..text.vocab import Vocab, build_vocab_from_iterator
from ..utils.data import DataLoader
from .report import classification_report, confusion_matrix
from .trainer import EarlyStopping, Trainer, evaluate

MODELS: dict[str, Callable] = {"textcnn": TextCNN}


@dataclass
class Settings:
    """How a text classifier is built and trained."""

    model: str = "textcnn"
    embed_dim: int = 128
    num_filters: int = 100
    kernel_sizes: tuple[int, ...] = (3, 4, 5)
    dropout: float = 0.5
    tokenizer: str = "kim"
    min_freq: int = 1
    max_length: int = 400
    batch_size: int = 50
    learning_rate: float = 1e-3
    max_norm: float = 3.0
    epochs: int = 12
    patience: int = 3
    seed: int = 0


class TextClassifier:
    """A trained model with all it takes to classify a text: `classifier.predict(["a fine film"])`."""

    def __init__(self, settings: Settings, vocab: Vocab, labels: Sequence[str], model=None):
        self.settings = settings
        self.vocab = vocab
        self.labels = list(labels)
        self.tokenize = get_tokenizer(settings.tokenizer)
        if settings.model not in MODELS:
            raise ValueError(
                f"there is no model called {settings.model!r}; there are: {', '.join(MODELS)}"
            )
        self.model = model or MODELS[settings.model](
            len(vocab),
            len(self.labels),
            embed_dim=settings.embed_dim,
            num_filters=settings.num_filters,
            kernel_sizes=tuple(settings.kernel_sizes),
            dropout=settings.dropout,
        )

    @property
    def min_length(self) -> int:
        """The fewest words the model can take: the width of its widest filter."""
        return max(self.settings.kernel_sizes)

    def encode(self, text: str) -> list[int]:
        """A text's ids, cut at the longest length."""
        return self.vocab(self.tokenize(text))[: self.settings.max_length]

    def batches(self, pairs, shuffle: bool, seed: int = 0) -> DataLoader:
        """(ids, labels) batches of (text, label) pairs, texts of similar length together."""
        encoded = [(self.encode(text), label) for text, label in pairs]
        sampler = BucketBatchSampler(
            [len(ids) for ids, _ in encoded], self.settings.batch_size, shuffle, seed=seed
        )
        collate = collate_classification(min_length=self.min_length)
        return DataLoader(encoded, batch_sampler=sampler, collate_fn=collate)

    def probabilities(self, texts: Sequence[str]):
        """The probability of every label for every text, (N, labels)."""
        if isinstance(texts, str):
            raise TypeError("pass a list of texts, not a single string")
        if not texts:
            raise ValueError("there are no texts to classify")
        ids = pad_ids([self.encode(text) for text in texts], min_length=self.min_length)
        was_training = self.model.training
        self.model.eval()
        with no_grad():
            found = F.softmax(self.model(ids), 1)
        self.model.train(was_training)
        return found

    def predict(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """(label, probability) of the likeliest label of every text."""
        best = self.probabilities(texts).max(1)
        return [
            (self.labels[int(i)], float(p)) for p, i in zip(best.values, best.indices, strict=True)
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

    folder: where checkpoints go after every epoch; resume: the checkpoint to go on from.
    """
    settings = settings or Settings()
    for name, part in (("training", train), ("validation", valid), ("test", test)):
        if not part:
            raise ValueError(f"the {name} set is empty")
        for text, label in part:
            if not 0 <= label < len(labels):
                raise ValueError(
                    f"label {label} of {text[:40]!r} in the {name} set is none of the {len(labels)} labels"
                )
    manual_seed(settings.seed)
    tokenize = get_tokenizer(settings.tokenizer)
    vocab = build_vocab_from_iterator(
        (tokenize(text) for text, _ in train), settings.min_freq, ["<pad>", "<unk>"]
    )
    vocab.set_default_index(vocab["<unk>"])
    classifier = TextClassifier(settings, vocab, labels)
    model = classifier.model
    limit = settings.max_norm
    trainer = Trainer(
        model,
        Adam(model.parameters(), lr=settings.learning_rate),
        early_stopping=EarlyStopping(settings.patience),
        after_step=(lambda m: constrain_norms(m.fc.weight, limit))
        if math.isfinite(limit)
        else None,
        folder=folder,
        progress=progress,
    )
    train_batches = classifier.batches(train, shuffle=True, seed=settings.seed)
    if resume is not None:
        trainer.resume(resume)
        train_batches.batch_sampler.epoch = len(trainer.history.epochs)
    trainer.fit(train_batches, classifier.batches(valid, shuffle=False), settings.epochs)
    loss, accuracy, predicted, truth = evaluate(model, classifier.batches(test, shuffle=False))
    return Result(
        classifier,
        trainer,
        accuracy,
        loss,
        classification_report(truth, predicted, labels),
        confusion_matrix(truth, predicted, len(labels)),
    )
