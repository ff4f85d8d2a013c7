"""Tasks of fine-tuning: how texts, pairs, tagged sentences and questions become examples and figures.

A Task holds the examples of its parts, a model class for it, and how its figures are counted:

    task = text_task(load("sst2"), tokenizer)
    trainer = task.trainer(folder, TrainingArguments(...), tokenizer)
    trainer.train(); task.test(trainer)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy

from ...models import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from ...pretrained.alignment import IGNORED, align_labels
from ...pretrained.collators import DataCollatorForTokenClassification
from ...text.conll import Sentence
from ...text.pairs import PairDataset
from ..report import classification_report
from ..tagging.tagger import entity_report, score
from .trainer import Trainer


@dataclass
class Task:
    """What fine-tuning needs to know. metrics(EvalPrediction) -> figures; measure is the one that counts.

    test_metrics: those of the test part, where they need its own texts (answers).
    report(predictions) -> a table of classes, where there are some.
    """

    name: str
    model: type
    train: list[dict]
    valid: list[dict]
    test_rows: list[dict]
    measure: str
    metrics: Callable | None = None
    collator: Callable | None = None
    options: dict = field(default_factory=dict)  # of the model's from_pretrained
    test_metrics: Callable | None = None
    report: Callable | None = None

    def new_model(self, folder):
        """The model of a folder; its head starts anew where it is missing or has other classes.

        Raises RuntimeError where weights of the model under the head have another shape.
        """
        model, info = self.model.from_pretrained(
            folder, ignore_mismatched_sizes=True, output_loading_info=True, **self.options
        )
        wrong = [
            name for name in info["mismatched_keys"]
            if name.startswith(f"{model.base_model_prefix}.")
        ]  # fmt: skip
        if wrong:
            raise RuntimeError(
                f"{self.name}: {folder} has {', '.join(wrong[:3])} of other shapes than its own "
                "config.json says"
            )
        return model

    def trainer(self, folder, args, tokenizer, **options) -> Trainer:
        """A Trainer for the published model of a folder, its head new."""
        return Trainer(
            model_init=lambda: self.new_model(folder),
            args=args,
            data_collator=self.collator,
            train_dataset=self.train,
            eval_dataset=self.valid,
            processing_class=tokenizer,
            compute_metrics=self.metrics,
            **options,
        )

    def test(self, trainer) -> dict[str, float]:
        """The figures on the test part; fractions."""
        return self.figures(trainer.predict(self.test_rows))

    def figures(self, output) -> dict[str, float]:
        """The figures of predictions for the test part; fractions."""
        metrics = self.test_metrics or self.metrics
        return {k: float(v) for k, v in metrics(output).items()}


def accuracy(prediction) -> dict[str, float]:
    """The share of examples whose likeliest class is right."""
    logits, labels = prediction.predictions, prediction.label_ids
    return {"accuracy": float((numpy.argmax(logits, -1) == labels).mean())}


def _labelled(names: Sequence[str]) -> dict:
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {label: number for number, label in enumerate(names)},
        "problem_type": "single_label_classification",
    }


def _report_of(labels: Sequence[str]) -> Callable:
    return lambda output: classification_report(
        output.label_ids, numpy.argmax(output.predictions, -1), labels
    )


def text_task(
    data, tokenizer, valid=None, max_length: int = 128,
    model: type = AutoModelForSequenceClassification,
) -> Task:  # fmt: skip
    """Classes of texts: data of text.datasets; valid: (text, label) pairs where it has none of its own.

    model: a class whose from_pretrained(folder, id2label=...) makes a classifier of texts.
    """

    def rows(pairs):
        encoded = tokenizer([text for text, _ in pairs], truncation=True, max_length=max_length)
        return _rows(encoded, tokenizer, [label for _, label in pairs])

    return Task(
        data.name, model, rows(data.train), rows(valid or data.valid), rows(data.test), "accuracy",
        accuracy, options=_labelled(data.labels), report=_report_of(data.labels),
    )  # fmt: skip


def pair_task(data: PairDataset, tokenizer, max_length: int = 128) -> Task:
    """Classes of pairs of sentences, read one behind the other."""

    def rows(pairs):
        encoded = tokenizer(
            [pair.first for pair in pairs], [pair.second for pair in pairs], truncation=True,
            max_length=max_length,
        )  # fmt: skip
        return _rows(encoded, tokenizer, [pair.label for pair in pairs])

    return Task(
        data.name, AutoModelForSequenceClassification, rows(data.train), rows(data.valid),
        rows(data.test), "accuracy", accuracy, options=_labelled(data.labels),
        report=_report_of(data.labels),
    )  # fmt: skip


def _rows(encoded, tokenizer, labels) -> list[dict]:
    names = [name for name in tokenizer.model_input_names if name in encoded]
    return [
        {name: encoded[name][i] for name in names} | {"labels": label}
        for i, label in enumerate(labels)
    ]


# -- tags ----------------------------------------------------------------------------------------


def tagging_task(
    name: str, train: Sequence[Sentence], valid: Sequence[Sentence], test: Sequence[Sentence],
    tokenizer, entities: bool = True, max_length: int = 192,
) -> Task:  # fmt: skip
    """A tag for every word, told to its first piece (Devlin et al. 2019, section 5.3); IOB2 entities.

    Figures are those of the words that stand in max_length pieces; the rest of a sentence is cut.
    """
    tags = sorted({tag for _, row in train for tag in row}, key=lambda tag: (tag != "O", tag))
    number = {tag: i for i, tag in enumerate(tags)}

    def rows(sentences):
        encoded = tokenizer(
            [words for words, _ in sentences], is_split_into_words=True, truncation=True,
            max_length=max_length,
        )  # fmt: skip
        labels = [
            align_labels(encoded.word_ids(i), [number[tag] for tag in row])
            for i, (_, row) in enumerate(sentences)
        ]
        return _rows(encoded, tokenizer, labels)

    def read(prediction):
        chosen, labels = numpy.argmax(prediction.predictions, -1), prediction.label_ids
        truth = [[tags[i] for i in row[row != IGNORED]] for row in labels]
        found = [
            [tags[i] for i in row[: len(own)][own != IGNORED]]
            for row, own in zip(chosen, labels, strict=True)
        ]
        return truth, found

    def report(prediction):
        if entities:
            return entity_report(*read(prediction))
        labels = prediction.label_ids
        chosen = numpy.argmax(prediction.predictions, -1)[:, : labels.shape[1]]
        return classification_report(labels[labels != IGNORED], chosen[labels != IGNORED], tags)

    return Task(
        name, AutoModelForTokenClassification, rows(train), rows(valid), rows(test),
        "f1" if entities else "accuracy", lambda prediction: score(*read(prediction), entities),
        DataCollatorForTokenClassification(tokenizer), _named(tags), report=report,
    )  # fmt: skip


def _named(tags) -> dict:
    return {name: value for name, value in _labelled(tags).items() if name != "problem_type"}
