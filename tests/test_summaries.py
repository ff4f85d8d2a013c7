"""Mails and subjects: the reader and what it refuses, ROUGE, and a small BART that learns some by heart."""

import gzip
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.text.datasets import DataNotFound
from minigrad.text.summaries import Summarised, aeslc, read_summaries
from minigrad.train import summarisation
from minigrad.train.finetuning import TrainingArguments

ROWS = [
    Summarised("Dear Ann,\nthe gas prices rise in March .\nRegards,", "gas prices"),
    Summarised("Hi Bob,\nplease sign the new contract today .\nThanks,", "new contract"),
    Summarised("All,\nthe meeting on Monday moves to room nine .", "Monday meeting"),
    Summarised("Tom,\nyour flight to Denver was cancelled .\nSorry,", "Denver flight"),
]


def write(path, rows):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(st.text(), st.text(), st.none() | st.text()), max_size=5))
def test_what_is_written_is_read(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("mails") / "rows.jsonl.gz"
    objects = [
        {"body": body, "subject": subject} | ({} if other is None else {"ann0": other})
        for body, subject, other in rows
    ]
    expected = [Summarised(b, s, () if other is None else (other,)) for b, s, other in rows]
    assert read_summaries(write(path, objects), others=("ann0", "ann1")) == expected


def test_other_names_and_plain_files(tmp_path):
    path = write(tmp_path / "rows.jsonl", [{"article": "a b", "highlights": "a"}])
    path.write_text(path.read_text() + "\n  \n")
    assert read_summaries(path, "article", "highlights") == [Summarised("a b", "a")]


@pytest.mark.parametrize(
    "line, message",
    [
        ('{"body": "a", "subject": "b"', "no JSON"),
        ('["a", "b"]', r'expected an object, got \["a", "b"\]'),
        ('{"body": "a"}', "there must be a string under 'subject'"),
        ('{"body": 3, "subject": "b"}', "there must be a string under 'body'"),
        ('{"body": "a", "subject": "b", "ann0": 7}', "there must be a string under 'ann0'"),
    ],
)
def test_malformed_lines(line, message, tmp_path):
    path = write(tmp_path / "rows.jsonl", [{"body": "a", "subject": "b"}])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=rf"rows.jsonl:2: {message}"):
        read_summaries(path, others=("ann0",))


def test_damaged_files(tmp_path):
    path = write(tmp_path / "rows.jsonl.gz", [{"body": "a" * 999, "subject": "b"}] * 9)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(ValueError, match=r"rows.jsonl.gz:\d+: the file is damaged or cut off"):
        read_summaries(path)
    path.write_bytes(b"no gzip at all")
    with pytest.raises(ValueError, match="rows.jsonl.gz:1: the file is damaged or cut off"):
        read_summaries(path)
    plain = tmp_path / "rows.jsonl"
    plain.write_bytes('{"body": "é", "subject": "b"}'.encode("latin-1"))
    with pytest.raises(ValueError, match="rows.jsonl:1: the file is not UTF-8"):
        read_summaries(plain)


def test_aeslc():
    try:
        data = aeslc()
    except DataNotFound as missing:
        pytest.skip(str(missing))
    assert [len(part) for part in (data.train, data.valid, data.test)] == [14436, 1960, 1906]
    assert data.train[0].text.startswith("Greg/Phillip,") and not data.train[0].others
    assert all(len(row.others) == 3 for row in data.valid + data.test)


def test_rouge_and_leads():
    pytest.importorskip("rouge_score")
    found = summarisation.rouge(["the meeting moved", "x"], ["meetings on Monday", "y"])
    assert found == {
        "rouge1": pytest.approx(100 / 6),
        "rouge2": 0,
        "rougeL": pytest.approx(100 / 6),
    }
    with pytest.raises(ValueError, match="1 summaries and 2 references"):
        summarisation.rouge(["a"], ["a", "b"])
    assert summarisation.leads(["a b  c\nd", "e"], 3) == ["a b c", "e"]


@pytest.mark.slow
def test_learns_subjects_by_heart(tmp_path):
    """Restoring mails lowers the loss; then every subject is written, by beams and one by one."""
    pytest.importorskip("rouge_score")
    tokenizer = summarisation.mail_tokenizer(ROWS, 320)
    mg.manual_seed(0)
    model = summarisation.new_bart(
        tokenizer, d_model=48, encoder_ffn_dim=96, decoder_ffn_dim=96, dropout=0.0, init_std=0.1
    )
    shared = dict(
        output_dir=str(tmp_path), per_device_train_batch_size=4, save_strategy="no",
        logging_steps=10, disable_tqdm=True, learning_rate=5e-3,
    )  # fmt: skip
    restoring = summarisation.restore_mails(
        model, tokenizer, ROWS, TrainingArguments(max_steps=40, **shared), length=40
    )
    losses = [row["loss"] for row in restoring.state.log_history if "loss" in row]
    assert losses[-1] < 0.8 * losses[0]
    rows = summarisation.encode(ROWS, tokenizer, max_source=60, max_target=20)
    assert rows[0]["labels"] == tokenizer("gas prices")["input_ids"]
    arguments = TrainingArguments(num_train_epochs=80, label_smoothing_factor=0.05, **shared)
    trainer = summarisation.subject_trainer(model, tokenizer, rows, rows, arguments)
    trainer.train()
    others = 0.05 / len(
        tokenizer
    )  # what smoothing gives to each word: the least loss is an entropy
    right = 1 - others * (len(tokenizer) - 1)
    least = -right * math.log(right) - (1 - right) * math.log(others)
    assert least < trainer.evaluate()["eval_loss"] < least + 0.01
    subjects = [row.summary.lower() for row in ROWS]
    texts = [row.text for row in ROWS]
    for options in ({}, {"num_beams": 1}, {"batch_size": 3, "length_penalty": 2.0}):
        found = summarisation.summarise(model.train(), tokenizer, texts, 60, **options)
        assert found == subjects, options
        assert model.training  # as it was
    assert summarisation.rouge(found, subjects)["rougeL"] == pytest.approx(100)
