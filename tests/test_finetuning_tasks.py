"""Tasks of fine-tuning: examples, figures, and that tiny encoders learn tiny tasks."""

import numpy
import pytest

import minigrad
from minigrad import models
from minigrad.pretrained.alignment import question_windows
from minigrad.pretrained.training_tokenizers import train_tokenizer
from minigrad.text.datasets import TextDataset
from minigrad.text.pairs import Pair, PairDataset
from minigrad.text.questions import Question
from minigrad.train.finetuning import TrainingArguments
from minigrad.train.finetuning.answers import (
    answer_figures,
    answers_from,
    by_articles,
    question_task,
)
from minigrad.train.finetuning.tasks import pair_task, tagging_task, text_task

pytest.importorskip("tokenizers")

WORDS = "good bad film plot Ada Bob Rome Oslo in saw lives warm dull very not".split()


@pytest.fixture(autouse=True)
def draw():
    """Words drawn, and a head's first weights, that do not depend on the tests before."""
    minigrad.manual_seed(0)
    return numpy.random.default_rng(0)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([" ".join(WORDS)] * 3, kind="wordpiece", vocab_size=120)


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder")
    minigrad.manual_seed(0)
    models.BertModel(
        models.BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=64, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, initializer_range=0.2,
        )
    ).save_pretrained(path)  # fmt: skip
    return path


def learn(task, folder, tokenizer, tmp_path, epochs=6):
    args = TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=epochs, per_device_train_batch_size=8,
        learning_rate=3e-3, warmup_ratio=0.1, eval_strategy="epoch", save_strategy="epoch",
        save_only_model=True, save_total_limit=1, load_best_model_at_end=True,
        metric_for_best_model=task.measure, disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    with pytest.warns(UserWarning, match="start anew"):
        trainer = task.trainer(folder, args, tokenizer)
        trainer.train()
    return task.test(trainer)


def test_texts(folder, tokenizer, tmp_path, draw):
    def part(count):
        return [
            (" ".join(["good" if i % 2 else "bad", *draw.choice(WORDS[2:], 3)]), i % 2)
            for i in range(count)
        ]

    data = TextDataset("tiny", ["no", "yes"], part(64), part(16), part(32))
    task = text_task(data, tokenizer)
    assert task.options["id2label"] == {0: "no", 1: "yes"} and set(task.train[0]) >= {
        "input_ids",
        "labels",
    }
    assert learn(task, folder, tokenizer, tmp_path)["accuracy"] > 0.9

    class Own(models.BertForSequenceClassification):
        pass

    own = text_task(data, tokenizer, model=Own).trainer(
        folder, TrainingArguments(str(tmp_path)), None
    )
    assert type(own.model) is Own and own.model.config.id2label == {0: "no", 1: "yes"}


def test_a_head_of_other_classes_starts_anew(folder, tokenizer, tmp_path):
    rows = [("good", 0), ("bad", 1)]
    task = text_task(TextDataset("tiny", ["no", "yes"], rows, rows, rows), tokenizer)
    with pytest.warns(UserWarning, match="start anew"):
        three = models.BertForSequenceClassification.from_pretrained(folder, num_labels=3)
    three.save_pretrained(tmp_path / "three")
    with pytest.warns(UserWarning, match="classifier.bias, classifier.weight .* start anew"):
        model = task.new_model(tmp_path / "three")
    assert model.classifier.weight.shape == (2, 32)
    for name, value in three.bert.state_dict().items():
        assert minigrad.equal(value, model.bert.state_dict()[name])
    models.BertConfig.from_pretrained(folder, intermediate_size=16).save_pretrained(
        tmp_path / "three"
    )
    with (
        pytest.warns(UserWarning, match="start anew"),
        pytest.raises(RuntimeError, match=r"tiny: .* has bert.encoder.* of other shapes"),
    ):
        task.new_model(tmp_path / "three")


def test_pairs(folder, tokenizer, tmp_path, draw):
    def part(count):
        return [
            Pair(a := str(draw.choice(WORDS[:4])), a if i % 2 else "Oslo", label=i % 2)
            for i in range(count)
        ]

    data = PairDataset("tiny", part(48), part(16), part(24), ["different", "same"])
    task = pair_task(data, tokenizer)
    assert learn(task, folder, tokenizer, tmp_path, 15)["accuracy"] > 0.9


def test_tags(folder, tokenizer, tmp_path, draw):
    tag = {"Ada": "B-PER", "Bob": "B-PER", "Rome": "B-LOC", "Oslo": "B-LOC"}

    def part(count):
        rows = [draw.choice(WORDS, 5).tolist() for _ in range(count)]
        return [(row, [tag.get(word, "O") for word in row]) for row in rows]

    parts = part(64), part(16), part(24)
    figures = learn(tagging_task("tiny", *parts, tokenizer), folder, tokenizer, tmp_path)
    assert figures["f1"] > 0.9 and figures["accuracy"] > 0.9


def questions(count, draw):
    found = []
    for i in range(count):
        who, where = str(draw.choice(["Ada", "Bob"])), str(draw.choice(["Rome", "Oslo"]))
        context = f"{who} lives in {where}"
        answer = where if i % 2 else who
        found.append(
            Question(
                str(i),
                f"{'in' if i % 2 else 'saw'}",
                context,
                [answer],
                [context.index(answer)],
                i // 4,
            )
        )
    return found


def test_answers(folder, tokenizer, tmp_path, draw):
    task = question_task(
        "tiny", questions(64, draw), questions(16, draw), questions(24, draw), tokenizer, 32, 8
    )
    figures = learn(task, folder, tokenizer, tmp_path, 8)
    assert figures["exact"] > 0.9 and figures["f1"] >= figures["exact"]


def test_answers_are_read_back_from_windows(tokenizer, draw):
    rows = questions(2, draw)
    windows = question_windows(tokenizer, rows, max_length=9, stride=1)
    width = max(len(w["input_ids"]) for w in windows)
    start = numpy.full((len(windows), width), -5.0)
    end = start.copy()
    for i, window in enumerate(windows):
        if window["start_positions"]:
            start[i, window["start_positions"]] = end[i, window["end_positions"]] = 3.0
    assert answers_from(windows, start, end, rows) == [row.answers[0] for row in rows]
    rows[1].answers.clear()
    start[:, 0] = end[:, 0] = 9.0  # no answer is likelier, and may be the right one
    assert answers_from(windows, start, end, rows) == ["", ""]
    assert answer_figures(["", ""], rows) == {"exact": 0.5, "f1": 0.5}
    with pytest.raises(ValueError, match="there are no questions"):
        answer_figures([], [])


def test_parts_share_no_article(draw):
    rows = questions(80, draw)
    parts = by_articles(rows, (0.6, 0.2, 0.2), seed=1)
    assert [len(part) for part in parts] == [48, 16, 16]
    articles = [{question.article for question in part} for part in parts]
    assert not articles[0] & articles[1] and not articles[1] & articles[2]
