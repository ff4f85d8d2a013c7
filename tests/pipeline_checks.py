"""Tiny folders for pipelines, and holding ours against transformers' on them.

check("ner", folders["ner"], [((text,), {"stride": 3})])    # see tests/test_pipelines.py
"""

import json

import numpy
import pytest
from pretrained_checks import theirs, transformers

from minigrad.pipelines import pipeline

WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] the a un ##believ ##able film was good bad ada love ##lace in tur "
    "##in paris is new york ##er who did it this example sports about politics . , ? ! ##s run ##ning"
).split()
TEXTS = [
    "Ada Lovelace was in Turin, the New Yorker!",
    "unbelievable",
    "The film was good. A bad film, running in Paris?",
    "zebra about unbelievable sports",
]
LABELS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
NLI = {0: "contradiction", 1: "neutral", 2: "entailment"}


def make(folder, name, longest=40, **changes):
    """A tiny BERT of transformers' and a tokenizer, in a folder."""
    sizes = dict(
        vocab_size=len(WORDS), hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=36, max_position_embeddings=longest,
    )  # fmt: skip
    theirs(name, transformers.BertConfig(**sizes | changes)).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": longest}
        )
    )
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder for each kind of model, by its head."""
    root = tmp_path_factory.mktemp("pipelines")
    return {
        "classes": make(root / "classes", "BertForSequenceClassification", num_labels=4),
        "nli": make(root / "nli", "BertForSequenceClassification", id2label=NLI,
                    label2id={v: k for k, v in NLI.items()}),
        "ner": make(root / "ner", "BertForTokenClassification", id2label=LABELS,
                    label2id={v: k for k, v in LABELS.items()}),
        "words": make(root / "words", "BertForMaskedLM"),
        "spans": make(root / "spans", "BertForQuestionAnswering"),
    }  # fmt: skip


def same(found, expected, place=""):
    """Equal strings and whole numbers, scores to 1e-5, whatever they are nested in."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), place
        for name, value in expected.items():
            same(found[name], value, f"{place}.{name}")
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), place
        for number, pair in enumerate(zip(found, expected, strict=True)):
            same(*pair, f"{place}[{number}]")
    elif isinstance(expected, (float, numpy.floating)):
        assert isinstance(found, float) and found == pytest.approx(float(expected), abs=1e-5), place
    else:
        assert found == expected, place


def oracle(task, folder, **options):
    """transformers' pipeline."""
    return transformers.pipeline(task, str(folder), device="cpu", **options)


def check(task, folder, calls, **options):
    """Ours and theirs on the same arguments: one text, several, one at a time and in batches."""
    ours, other = pipeline(task, folder, **options), oracle(task, folder, **options)
    for arguments, more in calls:
        expected = other(*arguments, **more)
        for batch_size in (1, 3):
            same(ours(*arguments, batch_size=batch_size, **more), expected, f"{arguments} {more}")
    return ours
