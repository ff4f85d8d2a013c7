"""The commands finetune and pipeline: files they write, tables they print, errors in one line."""

import json

import numpy
import pytest
from finetuning_checks import figures

import minigrad
from minigrad import cli, models
from minigrad.cli.finetune import parts_and_layers
from minigrad.text.labelled_files import labelled_dataset, read_labelled
from minigrad.text.questions import Question
from minigrad.train.finetuning import Trainer, named
from minigrad.train.finetuning.answers import question_task
from minigrad.train.finetuning.tasks import tagging_task

for package in ("tokenizers", "typer", "rich", "matplotlib", "seqeval"):
    pytest.importorskip(package)

WORDS = "good bad film plot Ada Bob Rome Oslo in saw lives warm dull very not".split()
LEARN = ["--epochs", "6", "--batch-size", "8", "--learning-rate", "5e-3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT, its weights as drawn, and a tokenizer."""
    path = tmp_path_factory.mktemp("encoder")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str.lower, WORDS)]
    (path / "vocab.txt").write_text("\n".join([*pieces, "this", "example", "is", ",", "."]))
    tokenizer = models.AutoTokenizer.from_pretrained(path)
    tokenizer.save_pretrained(path)
    minigrad.manual_seed(0)
    models.BertForMaskedLM(
        models.BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=64, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, initializer_range=0.2,
        )
    ).save_pretrained(path)  # fmt: skip
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    """A command: (exit status, what it printed, its line of error)."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["minigrad", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *capsys.readouterr()

    return call


def write_csv(path, count, seed=0, header="text,label\n"):
    draw = numpy.random.default_rng(seed)
    lines = [
        f'"{" ".join([label, *draw.choice(WORDS[2:], 3)])}",{"yes" if label == "good" else "no"}'
        for label in draw.permutation(["good", "bad"] * (count // 2))
    ]
    path.write_text(header + "\n".join(lines) + "\n")
    return path


# -- finetune --------------------------------------------------------------------------------------


def test_texts_of_a_file(run, folder, tmp_path):
    train, test = write_csv(tmp_path / "films.csv", 80), write_csv(tmp_path / "test.csv", 20, 1, "")
    out = tmp_path / "out"
    code, printed, _ = run(
        "finetune", train, "--model", folder, "--out", out, "--test", test, *LEARN
    )
    assert code == 0
    assert "BertForSequenceClassification on films: 72 / 8 / 20 examples" in printed
    assert "test part" in printed and "accuracy" in printed
    names = {path.name for path in out.iterdir()}
    assert names >= {
        "config.json", "model.safetensors", "tokenizer.json", "training_args.json",
        "history.json", "history.png", "report.txt",
    }  # fmt: skip
    history = json.loads((out / "history.json").read_text())
    assert sum("eval_accuracy" in log for log in history) == 6 and "loss" in history[0]
    report = (out / "report.txt").read_text().splitlines()
    (figure,) = [float(line.split()[1]) for line in report if line.startswith("accuracy ")]
    assert figure >= 0.9 and any(line.split()[:1] == ["yes"] for line in report)
    assert f"{figure:.2%}" in printed

    code, printed, _ = run(
        "pipeline", "sentiment-analysis", "good film", "bad [b]plot", "--model", out
    )
    rows = [line.split("│") for line in printed.splitlines() if "│" in line]
    assert [[cell.strip() for cell in row[1:3]] for row in rows] == [
        ["good film", "yes"], ["bad [b]plot", "no"],
    ]  # fmt: skip
    code, printed, _ = run(
        "pipeline", "text-classification", "good film", "--model", out, "--top-k", 2
    )
    assert printed.count("good film") == 2


def test_resuming_gives_the_same_weights(run, folder, tmp_path, monkeypatch):
    train = write_csv(tmp_path / "films.csv", 60)
    options = [
        "--model",
        folder,
        "--freeze",
        "embeddings,0",
        "--layer-decay",
        0.9,
        "--batch-size",
        4,
    ]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run("finetune", train, "--out", whole, "--epochs", 2, *options)[0] == 0

    with monkeypatch.context() as broken:
        evaluate = Trainer.evaluate

        def fails_the_second_time(self, *arguments, **more):
            if self.state.epoch == 2:
                raise RuntimeError("out of power")
            return evaluate(self, *arguments, **more)

        broken.setattr(Trainer, "evaluate", fails_the_second_time)
        code, _, error = run("finetune", train, "--out", parts, "--epochs", 2, *options)
        assert (code, error) == (2, "minigrad: out of power\n")
    assert [path.name for path in parts.iterdir()] == ["checkpoint-12"]
    code, _, error = run("finetune", train, "--out", parts, "--epochs", 2, "--resume", *options)
    assert (code, error) == (0, "")
    logs = [json.loads((path / "history.json").read_text()) for path in (whole, parts)]
    assert len(logs[0]) > 20 and figures(logs[0]) == figures(logs[1])
    weights = [models.AutoModelForSequenceClassification.from_pretrained(p) for p in (whole, parts)]
    start = models.AutoModelForMaskedLM.from_pretrained(folder)
    frozen = 0
    for name, value in weights[0].state_dict().items():
        assert minigrad.equal(value, weights[1].state_dict()[name]), name
        if "embeddings" in name or ".layer.0." in name:
            assert minigrad.equal(value, start.state_dict()[name]), name
            frozen += 1
    assert frozen > 15
    above = "bert.encoder.layer.1.output.dense.weight"
    assert not minigrad.equal(weights[0].state_dict()[above], start.state_dict()[above])
    code, _, error = run("finetune", train, "--out", tmp_path / "new", "--resume", *options)
    assert code == 2 and error.startswith("minigrad: Trainer: there is no checkpoint to resume in")


def test_pairs_unfrozen_gradually(run, folder, tmp_path):
    path = tmp_path / "pairs.jsonl"
    draw = numpy.random.default_rng(0)
    rows = [
        {
            "first": (a := str(draw.choice(WORDS[:4]))),
            "second": a if i % 2 else "Oslo",
            "label": i % 2,
        }
        for i in range(60)
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    out = tmp_path / "out"
    code, printed, _ = run(
        "finetune", path, "--model", folder, "--out", out, "--unfreeze-gradually", *LEARN
    )
    assert code == 0 and "48 / 6 / 6 examples" in printed
    model = models.AutoModelForSequenceClassification.from_pretrained(out)
    assert model.config.id2label == {0: "0", 1: "1"}


def test_tags_then_entities(run, folder, tmp_path, monkeypatch):
    tag = {"Ada": "B-PER", "Bob": "B-PER", "Rome": "B-LOC", "Oslo": "B-LOC"}

    def part(count, seed):
        rows = [numpy.random.default_rng(seed + i).choice(WORDS, 5).tolist() for i in range(count)]
        return [(row, [tag.get(word, "O") for word in row]) for row in rows]

    task = lambda tokenizer, seed: tagging_task(
        "names", part(64, 0), part(16, 100), part(16, 200), tokenizer
    )
    monkeypatch.setitem(named.TASKS, "conll2003", task)
    out = tmp_path / "out"
    assert run("finetune", "conll2003", "--model", folder, "--out", out, *LEARN)[0] == 0
    report = (out / "report.txt").read_text()
    assert "PER" in report and "LOC" in report and "micro avg" in report
    code, printed, _ = run("pipeline", "ner", "Ada saw Rome", "--model", out)
    cells = [line.split("│")[2:4] for line in printed.splitlines() if "│" in line]
    found = [(entity.strip(), kind.strip()) for entity, kind in cells]
    assert code == 0 and found == [("Ada", "PER"), ("Rome", "LOC")]


def test_questions_then_answers(run, folder, tmp_path, monkeypatch):
    def part(count):
        return [
            Question(str(i), "in" if i % 2 else "saw", context := f"{who} lives in {where}",
                     [answer := where if i % 2 else who], [context.index(answer)], i)
            for i, (who, where) in enumerate(
                numpy.random.default_rng(count).choice([("Ada", "Rome"), ("Bob", "Oslo")], count)
            )
        ]  # fmt: skip

    task = lambda tokenizer, seed: question_task(
        "who", part(64), part(16), part(16), tokenizer, 32, 4
    )
    monkeypatch.setitem(named.TASKS, "xquad", task)
    out = tmp_path / "out"
    code, printed, _ = run("finetune", "xquad", "--model", folder, "--out", out, *LEARN)
    assert code == 0 and "exact" in printed and "f1" in printed
    arguments = ["pipeline", "question-answering", "Bob lives in Oslo", "--model", out]
    code, printed, _ = run(*arguments, "--question", "in", "--top-k", 2)
    cells = [line.split("│")[2].strip() for line in printed.splitlines() if "│" in line]
    assert code == 0 and cells[0] == "Oslo" and len(cells) == 2
    assert run(*arguments)[0::2] == (2, "minigrad: question-answering needs --question\n")


# -- pipeline --------------------------------------------------------------------------------------


def test_words_vectors_and_labels(run, folder, tmp_path):
    code, printed, _ = run(
        "pipeline", "fill-mask", "a [MASK] film [MASK]", "--model", folder, "--top-k", 3
    )
    rows = [line.split("│") for line in printed.splitlines() if "│" in line]
    assert code == 0 and [row[2].strip() for row in rows] == ["1"] * 3 + ["2"] * 3
    code, printed, _ = run(
        "pipeline", "feature-extraction", "good", "good", "Rome Oslo", "--model", folder
    )
    rows = [line.split("│") for line in printed.splitlines() if "│" in line]
    assert code == 0 and [row[2].strip() for row in rows] == ["3 x 32", "3 x 32", "4 x 32"]
    assert rows[0][4].split()[:2] == ["1.00", "1.00"] and rows[0][4].split()[2] != "1.00"
    minigrad.manual_seed(0)
    config = models.BertConfig.from_pretrained(
        folder, id2label={0: "contradiction", 1: "neutral", 2: "entailment"},
        label2id={"contradiction": 0, "neutral": 1, "entailment": 2},
    )  # fmt: skip
    nli = tmp_path / "nli"
    models.BertForSequenceClassification(config).save_pretrained(nli)
    models.AutoTokenizer.from_pretrained(folder).save_pretrained(nli)
    code, printed, _ = run(
        "pipeline",
        "zero-shot-classification",
        "good film",
        "--model",
        nli,
        "--labels",
        "warm, dull",
    )
    cells = [line.split("│")[2:4] for line in printed.splitlines() if "│" in line]
    assert code == 0 and {label.strip() for label, _ in cells} == {"warm", "dull"}
    shares = [float(share.strip().rstrip("%")) for _, share in cells]
    assert sum(shares) == pytest.approx(100, abs=0.11) and shares[0] >= shares[1]


@pytest.mark.parametrize("arguments, message", [
    (["pipeline", "summarization", "a"], "there is no task 'summarization'; there are: "),
    (["pipeline", "ner", "a", "--question", "who?"], "--question is for question-answering, not for "),
    (["pipeline", "ner", "a", "--top-k", "2"], "--top-k is for fill-mask, question-answering, text-"),
    (["pipeline", "zero-shot-classification", "a"], "zero-shot-classification needs --labels"),
    (["pipeline", "ner", "a"], "token-classification: "),
    (["pipeline", "fill-mask", "a"], "fill-mask: no [MASK] among the tokens of 'a'"),
    (["finetune", "cola"], "there is no task 'cola'; there are: conll2003, mrpc, sick, sst2, sst2_of_five, trec, "),
    (["finetune", "sst2", "--valid", "a.csv"], "sst2 has a validation and a test part of its own"),
    (["finetune", "missing.csv"], "[Errno 2] No such file or directory: 'missing.csv'"),
])  # fmt: skip
def test_errors_are_one_line(run, folder, arguments, message):
    code, _, error = run(*arguments, "--model", folder)
    assert code == 2 and error.startswith(f"minigrad: {message}") and error.count("\n") == 1, error


def test_wrong_settings_are_one_line(run, folder, tmp_path):
    train = write_csv(tmp_path / "films.csv", 20)
    for options, message in (
        (["--freeze", "roof"], "BertForSequenceClassification has no part 'roof'"),
        (["--freeze", "7"], "BertForSequenceClassification has layers 0 to 1, no layer 7"),
        (["--layer-decay", "1.5"], "layerwise_groups: decay must be above 0 and at most 1"),
        (["--epochs", "0"], "TrainingArguments: num_train_epochs must be greater than 0"),
        (["--warmup", "2"], "TrainingArguments: warmup_ratio must be from 0 to 1"),
        (["--model", tmp_path], f"{tmp_path}"),
    ):
        code, _, error = run(
            "finetune", train, "--model", folder, "--out", tmp_path / "out", *options
        )
        assert code == 2 and error.startswith(f"minigrad: {message}"), (options, error)
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_parts_and_layers():
    assert parts_and_layers("embeddings, 0-2,5") == (["embeddings"], [0, 1, 2, 5])
    assert parts_and_layers("encoder.layer.0-x") == (["encoder.layer.0-x"], [])
    assert parts_and_layers("") == ([], [])


# -- files of labelled texts -----------------------------------------------------------------------


def test_files_of_all_kinds_are_read_alike(tmp_path):
    contents = {
        "a.csv": 'text,Label\n"one, two",x\n three ,y\n',
        "b.csv": '\ufeff"one, two",x\n\nthree,y\n',
        "c.tsv": "one, two\tx\nthree\ty\n",
        "d.jsonl": '{"text": "one, two", "label": "x"}\n\n{"label": "y", "text": "three"}\n',
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert read_labelled(tmp_path / name) == [(("one, two",), "x"), (("three",), "y")], name


@pytest.mark.parametrize("name, content, message", [
    ("a.csv", "one,x\ntwo,y,z\n", r"a.csv:2: expected 2 values, found 3"),
    ("a.csv", "one\n", r"a.csv:1: expected text, label or text, text, label, found 1"),
    ("a.csv", "one,x\ntwo,\n", r"a.csv:2: one of the 2 values is empty"),
    ("a.csv", 'one,x\n"two,y\n', r"a.csv:3: unexpected end of data"),
    ("a.csv", "text,label\n", r"a.csv: there are no rows"),
    ("a.tsv", b"one\tx\n\xff\ty\n", r"a.tsv:2: .*utf-8"),
    ("a.jsonl", '{"text": "one", "label": 1}\n[]\n', r'a.jsonl:2: expected an object with "label"'),
    ("a.jsonl", '{"text": "one", "label": 1}\n{\n', r"a.jsonl:2: "),
    ("a.jsonl", '{"t": "a", "label": 1}\n{"u": "a", "label": 1}', r"a.jsonl:2: has u, label, but the"),
    ("a.jsonl", '{"text": 3, "label": 1}\n', r"a.jsonl:1: texts are strings"),
    ("a.txt", "one,x\n", r"a.txt: a file of labelled texts ends with .csv, .tsv"),
])  # fmt: skip
def test_wrong_files_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        read_labelled(path)


def test_parts_of_files(tmp_path):
    train = write_csv(tmp_path / "a.csv", 40)
    data = labelled_dataset(train, seed=3)
    assert data.labels == ["no", "yes"] and data.name == "a"
    assert [len(part) for part in (data.train, data.valid, data.test)] == [32, 4, 4]
    texts = lambda data: sorted(data.train + data.valid + data.test)
    assert texts(data) == texts(labelled_dataset(train, seed=4)) != []
    assert data.valid != labelled_dataset(train, seed=4).valid
    whole = labelled_dataset(train, train, train)
    assert whole.train != whole.valid == whole.test and sorted(whole.train) == sorted(whole.test)
    (tmp_path / "new.csv").write_text("a,maybe\n")
    (tmp_path / "one.csv").write_text("a,x\nb,x\n")
    (tmp_path / "few.csv").write_text("a,x\nb,y\n")
    (tmp_path / "pair.csv").write_text("a,b,yes\n")
    for arguments, message in (
        ((train, tmp_path / "new.csv"), "new.csv: the labels maybe are not in"),
        ((train, None, tmp_path / "pair.csv"), "pair.csv has 2 texts a row, but .*a.csv has 1"),
        ((tmp_path / "one.csv",), "all rows have the label 'x'"),
        ((tmp_path / "few.csv",), "too few rows to cut off"),
    ):
        with pytest.raises(ValueError, match=message):
            labelled_dataset(*arguments)
