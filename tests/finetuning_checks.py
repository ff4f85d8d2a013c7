"""Tiny models, data and arguments for the tests of fine-tuning."""

import numpy

import minigrad as mg
from minigrad import models
from minigrad.train import finetuning as ft

SIZES = dict(
    vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=36,
    max_position_embeddings=16,
)  # fmt: skip
STILL = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
TIMES = ("_runtime", "_per_second")


def examples(count=22, length=9, seed=0, tokens=False):
    """Texts of `length` ids of which the last ones are padding, and labels of 3 classes."""
    draw = numpy.random.default_rng(seed)
    rows = []
    for number in range(count):
        keep = int(draw.integers(3, length + 1))
        ids = draw.integers(5, 50, length)
        ids[keep:] = 0
        labels = number % 3
        if tokens:
            labels = numpy.where(numpy.arange(length) < keep, ids % 3, -100).tolist()
        rows.append(
            {
                "input_ids": ids.tolist(),
                "attention_mask": (numpy.arange(length) < keep).astype(int).tolist(),
                "labels": labels,
            }
        )
    return rows


def tiny(kind="SequenceClassification", **changes):
    """A BERT with weights of its own."""
    mg.manual_seed(1)
    config = models.BertConfig(**SIZES | {"num_labels": 3} | changes)
    return getattr(models, f"BertFor{kind}")(config)


def arguments(folder, **changes):
    return ft.TrainingArguments(
        str(folder),
        **dict(save_strategy="no", disable_tqdm=True, learning_rate=1e-3, logging_steps=1)
        | changes,
    )


def figures(history):
    """Logs without times."""
    return [{k: v for k, v in log.items() if not k.endswith(TIMES)} for log in history]
