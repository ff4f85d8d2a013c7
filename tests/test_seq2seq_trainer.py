"""Seq2SeqTrainer: what it evaluates is what generate writes; its options, and its losses."""

import numpy
import pytest

import minigrad as mg
from minigrad.models import BartConfig, BartForConditionalGeneration
from minigrad.pretrained import DataCollatorForSeq2Seq, train_tokenizer
from minigrad.train.finetuning import (
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    Trainer,
    TrainingArguments,
)

TEXTS = ["the cat sat", "a dog", "a cat on the mat ran to a dog", "the mat", "a dog ran"]


@pytest.fixture(scope="module")
def parts():
    tokenizer = train_tokenizer(TEXTS, "bpe", vocab_size=280)
    mg.manual_seed(0)
    sizes = dict(
        d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, init_std=0.5,
        max_position_embeddings=32, forced_eos_token_id=None,
    )  # fmt: skip
    model = BartForConditionalGeneration(BartConfig(vocab_size=len(tokenizer), **sizes))
    rows = [
        {"input_ids": ids, "labels": ids[-4:]} for ids in tokenizer(TEXTS)["input_ids"]
    ]  # texts of several lengths in each batch
    return tokenizer, model, rows


def trainer(parts, folder, kind=Seq2SeqTrainer, arguments=Seq2SeqTrainingArguments, **options):
    tokenizer, model, rows = parts
    metrics = options.pop("compute_metrics", None)
    args = arguments(
        str(folder), per_device_eval_batch_size=2, save_strategy="no", disable_tqdm=True, **options
    )
    collator = DataCollatorForSeq2Seq(tokenizer, model)
    return kind(model, args, collator, rows, rows, compute_metrics=metrics)


def written(model, tokenizer, rows, **options):
    """What generate writes for each text, as lists without what follows the end."""
    model.eval()
    found = []
    for row in rows:
        ids = model.generate(mg.tensor([row["input_ids"]]), **options)[0].tolist()
        found.append(ids)
    return found


def trimmed(row, padding):
    """A row of predictions without what fills it up."""
    row = [int(token) for token in row if token != -100]
    while row and row[-1] == padding:
        row.pop()
    return row


@pytest.mark.parametrize(
    "set_before, given, options",
    [
        ({"generation_max_length": 9}, {}, {"max_length": 9}),
        (
            {"generation_max_length": 9, "generation_num_beams": 3}, {"max_new_tokens": 5},
            {"max_new_tokens": 5, "num_beams": 3},
        ),
        ({"generation_num_beams": 3}, {"num_beams": 1, "max_length": 7}, {"max_length": 7}),
    ],
)  # fmt: skip
def test_predictions_are_what_generate_writes(parts, set_before, given, options, tmp_path):
    tokenizer, model, rows = parts
    seen = []

    def metrics(asked):
        seen.append(asked)
        return {"texts": len(asked.predictions)}

    own = trainer(
        parts, tmp_path, predict_with_generate=True, compute_metrics=metrics, **set_before
    )
    figures = own.evaluate(**given)
    expected = written(model, tokenizer, rows, **options)
    padding = tokenizer.pad_token_id
    found = [trimmed(row, padding) for row in seen[0].predictions]
    assert found == [trimmed(row, padding) for row in expected]
    labels = [[t for t in row if t != -100] for row in seen[0].label_ids.tolist()]
    assert labels == [row["labels"] for row in rows] and figures["eval_texts"] == len(rows)
    again = own.predict(rows, **given)
    numpy.testing.assert_array_equal(again.predictions, seen[0].predictions)
    plain = trainer(parts, tmp_path, Trainer, TrainingArguments)
    assert figures["eval_loss"] == pytest.approx(plain.evaluate()["eval_loss"], rel=1e-6)


def test_options_of_one_call_do_not_stay(parts, tmp_path):
    own = trainer(parts, tmp_path, predict_with_generate=True, generation_max_length=6)
    assert own.predict(own.eval_dataset, max_new_tokens=12).predictions.shape[1] > 6
    assert own.predict(own.eval_dataset).predictions.shape[1] <= 6


def test_logits_without_predict_with_generate(parts, tmp_path):
    own = trainer(parts, tmp_path)
    plain = trainer(parts, tmp_path, Trainer, TrainingArguments)
    found, expected = own.predict(own.eval_dataset), plain.predict(own.eval_dataset)
    numpy.testing.assert_array_equal(found.predictions[0], expected.predictions[0])
    with pytest.raises(TypeError, match="TrainingArguments has no generation_beams here"):
        Seq2SeqTrainingArguments(generation_beams=3)
