"""Tasks by name: data sets at hand as Tasks, or a user's own file of texts and labels."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy

from ...models import BertForSentenceClassification
from ...text.conll import conll2003
from ...text.datasets import load
from ...text.labelled_files import ENDINGS, labelled_dataset
from ...text.pairs import PairDataset, mrpc, sick
from ...text.questions import xquad
from .answers import by_articles, question_task
from .tasks import Task, pair_task, tagging_task, text_task


def _sst2(tokenizer, seed):
    return text_task(load("sst2"), tokenizer)


def _sst2_of_five(tokenizer, seed):
    """SST-2 by way of SST-5: the same sentences in five classes, neutral ones among them.

    Neutral sentences are learned from but not counted: SST-2 is without them. The others are positive
    where the two positive classes together are likelier than the two negative.
    """

    def metrics(prediction):
        # scores (N, 5), from very negative to very positive
        scores, labels = prediction.predictions, prediction.label_ids
        negative, positive = (numpy.logaddexp(scores[:, i], scores[:, i + 1]) for i in (0, 3))
        right = (positive > negative) == (labels > 2)
        return {"accuracy": float(right[labels != 2].mean())}

    return replace(
        text_task(load("sst5"), tokenizer, model=BertForSentenceClassification),
        name="sst2_of_five", metrics=metrics,
    )  # fmt: skip


def _trec(tokenizer, seed):
    data = load("trec")
    train, valid = data.split(0.1, seed=seed)
    return text_task(replace(data, train=train), tokenizer, valid)


def _conll(tokenizer, seed):
    data = conll2003()
    return tagging_task("conll2003", data.train, data.valid, data.test, tokenizer)


def _xquad(tokenizer, seed):
    return question_task("xquad", *by_articles(xquad(), seed=seed), tokenizer)


TASKS: dict[str, Callable[..., Task]] = {
    "conll2003": _conll,
    "mrpc": lambda tokenizer, seed: pair_task(mrpc(), tokenizer),
    "sick": lambda tokenizer, seed: pair_task(sick(), tokenizer),
    "sst2": _sst2,
    "sst2_of_five": _sst2_of_five,
    "trec": _trec,
    "xquad": _xquad,
}


def named_task(
    name: str, tokenizer, seed: int = 0, valid=None, test=None, max_length: int = 128
) -> Task:
    """A task of TASKS, or that of a file (.csv, .tsv, .jsonl) of text, label or text, text, label.

    seed: of the cut where a set lacks a part. valid, test: files, for a file, whose texts are cut to
    max_length tokens.
    Raises ValueError for another name; DataNotFound where a data set is not at hand.
    """
    if name in TASKS:
        if valid is not None or test is not None:
            raise ValueError(f"{name} has a validation and a test part of its own")
        return TASKS[name](tokenizer, seed)
    if Path(name).suffix not in ENDINGS:
        raise ValueError(
            f"there is no task {name!r}; there are: {', '.join(TASKS)}, or a file of yours that ends "
            f"with {', '.join(ENDINGS)}"
        )
    data = labelled_dataset(name, valid, test, seed)
    make = pair_task if isinstance(data, PairDataset) else text_task
    return make(data, tokenizer, max_length=max_length)
