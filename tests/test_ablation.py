"""The ablation: parts of a fold, paired differences, its table and its picture."""

import math

import pytest
from minigrad.benchmarks import ablation

from minigrad.text.datasets import TextDataset
from minigrad.train.classification.models import settings_for

PAIRS = [(f"a {'warm' if i % 2 else 'dull'} film {i}", i % 2) for i in range(400)]
DATA = TextDataset("tiny", ["bad", "good"], PAIRS, [], [])


def test_every_change_is_a_setting():
    for changes in ablation.GROUPS.values():
        for change in changes.values():
            settings_for("textcnn", **{k: v for k, v in change.items() if k != "unbalanced"})


def test_parts_do_not_overlap_and_may_be_made_unbalanced():
    train, valid, test = ablation.parts(DATA, 1)
    assert len(train) + len(valid) + len(test) == 400 and len(test) == 40 and len(valid) == 36
    assert not set(train) & set(valid) and not set(test) & (set(train) | set(valid))
    unbalanced = ablation.parts(DATA, 1, unbalanced=4)
    assert unbalanced[2] == test and set(unbalanced[0]) | set(unbalanced[1]) < set(train + valid)
    labels = [label for part in unbalanced[:2] for _, label in part]
    assert labels.count(0) == sum(label == 0 for _, label in train + valid)
    assert labels.count(1) == -(-sum(label == 1 for _, label in train + valid) // 4)


def figures(accuracy):
    return {
        "accuracy": accuracy, "recalls": [accuracy, accuracy], "test_loss": 0.5,
        "train_accuracy": 90.0, "epochs": 5, "best": 3, "seconds": 2.0,
    }  # fmt: skip


GROUPS = {"pair": {"first": {}, "second": {"dropout": 0.0}}}
RECORD = {
    "first": {"0/0": figures(70.0), "1/0": figures(76.0), "2/0": figures(73.0)},
    "second": {"0/0": figures(71.0), "1/0": figures(78.0)},
}


def test_differences_are_paired():
    first, second = ablation.rows(RECORD, GROUPS)
    assert first["runs"] == 3 and first["mean"] == pytest.approx(73) and first["gain"] is None
    assert first["sd"] == pytest.approx(3)
    assert second["runs"] == 2 and second["mean"] == pytest.approx(74.5)
    assert second["gain"] == pytest.approx((1.5, 0.5))  # of 1 and 2; the folds' own spread is out
    assert ablation.mean_and_error([1.0])[0] == 1 and math.isnan(ablation.mean_and_error([1.0])[1])


def test_intervals_are_students():
    stats = pytest.importorskip("scipy.stats")
    for runs in range(2, 12):
        want = stats.t.ppf(0.975, runs - 1)
        assert ablation.half_interval(1.0, runs) == pytest.approx(want, abs=1e-3)
    assert ablation.half_interval(math.nan, 1) == math.inf


def test_table_and_picture(tmp_path):
    pytest.importorskip("matplotlib")
    found = ablation.rows(RECORD, GROUPS)
    text = ablation.markdown(found)
    assert (
        "| first | 73.00 ± 3.00 |  |" in text and "| second | 74.50 ± 4.95 | +1.50 ± 0.50 |" in text
    )
    ablation.picture(found, tmp_path / "bars.png")
    assert (tmp_path / "bars.png").read_bytes()[:4] == b"\x89PNG"


def test_a_run_measures_what_the_record_lacks(tmp_path, capsys):
    groups = {
        "pair": {"first": {"epochs": 1, "embed_dim": 8}, "second": {"epochs": 1, "unbalanced": 4}}
    }
    path = tmp_path / "record.json"
    record = ablation.run(1, 1, path, DATA, groups)
    assert set(record) == {"first", "second"} and ablation.read(path) == record
    assert 0 <= record["first"]["0/0"]["accuracy"] <= 100
    assert capsys.readouterr().out.count("1 epochs") == 2
    again = ablation.run(2, 1, path, DATA, groups)
    assert again["first"]["0/0"] == record["first"]["0/0"] and set(again["first"]) == {"0/0", "1/0"}
    assert capsys.readouterr().out.count("1 epochs") == 2
