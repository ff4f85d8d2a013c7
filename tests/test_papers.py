"""Experiments: values kept as they come, settings checked, the table written from the records."""

import json

import pytest
from minigrad.benchmarks.papers import curves, experiments, table
from minigrad.benchmarks.papers.experiments import Record, experiment, perform


@pytest.fixture
def listed(monkeypatch):
    monkeypatch.setattr(experiments, "EXPERIMENTS", {})
    monkeypatch.setattr(table, "EXPERIMENTS", experiments.EXPERIMENTS)

    @experiment(
        "dice", model="Dice", data="none", measure="points", paper="3.5", settings={"by": 2}
    )
    def dice(settings, seed):
        for fold in range(3):
            yield f"fold {fold}", settings["by"] * fold + seed, {"fold": fold}

    return experiments.EXPERIMENTS


def test_every_value_is_kept_with_its_seed(listed, tmp_path):
    lines = []
    record = perform(listed["dice"], seeds=2, folder=tmp_path, say=lines.append)
    assert record.numbers == [0, 2, 4, 1, 3, 5]
    assert len(lines) == 6
    stored = Record.load(tmp_path / "dice.json")
    assert stored.values[4] == {"what": "fold 1", "seed": 1, "value": 3.0, "fold": 1}
    assert stored.settings == {"by": 2}
    assert stored.mean == 2.5


def test_what_an_interrupted_run_measured_is_kept(listed, tmp_path):
    def broken(settings, seed):
        yield "first", 1.0
        raise RuntimeError("out of power")

    listed["dice"].run = broken
    with pytest.raises(RuntimeError, match="out of power"):
        perform(listed["dice"], folder=tmp_path, say=lambda line: None)
    assert json.loads((tmp_path / "dice.json").read_text())["values"][0]["value"] == 1.0


def test_limit_and_changed_settings(listed, tmp_path):
    record = perform(listed["dice"], 1, 2, {"by": 10}, folder=tmp_path, say=lambda line: None)
    assert record.numbers == [0, 10]
    with pytest.raises(ValueError, match="no setting color; it has: by"):
        perform(listed["dice"], changes={"color": 1}, folder=tmp_path)


def test_two_of_one_name_are_refused(listed):
    with pytest.raises(ValueError, match="two experiments called dice"):
        experiment("dice", model="", data="", measure="", paper="", settings={})(lambda s, n: ())


def test_the_table_names_what_was_not_measured(listed, tmp_path):
    assert "Not measured yet: `dice`" in table.markdown(tmp_path)
    perform(listed["dice"], folder=tmp_path, say=lambda line: None)
    text = table.markdown(tmp_path)
    assert "| Dice | none | points | 3.5 | **2.00** ± 2.00 (3 runs) |" in text
    assert "- `dice`: by 2." in text


def test_curves_are_kept_by_seed_and_drawn(listed, tmp_path):
    pytest.importorskip("matplotlib")

    @experiment("walk", model="", data="Steps", measure="points", paper="", settings={})
    def walk(settings, seed):
        logs = [
            {"loss": 1 / 3 + seed, "epoch": 0.5, "step": 1},
            {"eval_loss": 0.5, "eval_f1": 0.25, "eval_runtime": 7.0, "epoch": 1.0, "step": 2},
        ]
        yield "test", 1.0, {}, logs

    with pytest.raises(ValueError, match="no runs to draw"):
        curves.draw(tmp_path, experiments.EXPERIMENTS)
    for _ in range(2):  # the second time in place of the first
        perform(listed["walk"], seeds=2, folder=tmp_path, say=lambda line: None)
    kept = curves.load(tmp_path / "curves" / "walk.json")
    assert list(kept) == ["0", "1"]
    assert kept["1"] == [
        {"loss": 1.33333, "epoch": 0.5, "step": 1},
        {"eval_loss": 0.5, "eval_f1": 0.25, "epoch": 1.0, "step": 2},
    ]
    path = curves.draw(tmp_path / ".", experiments.EXPERIMENTS, tmp_path / "all.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert "values" in json.loads((tmp_path / "walk.json").read_text())
