"""Pairs of sentences and questions: real files, their counts, and what malformed ones are told."""

import json

import pytest

from minigrad.text import datasets, pairs, questions


def real(read):
    try:
        return read()
    except datasets.DataNotFound as error:
        pytest.skip(str(error))


def test_stsb():
    data = real(pairs.stsb)
    assert (len(data.train), len(data.valid), len(data.test)) == (5749, 1500, 1379)
    first = data.test[0]
    assert (first.first, first.score) == ("A girl is styling her hair.", 2.5)
    assert all(0 <= pair.score <= 5 and pair.first and pair.second for pair in data.train)


def test_sick_and_mrpc():
    data = real(pairs.sick)
    counts = [len(data.train), len(data.valid), len(data.test)]
    assert counts == [4500, 500, 4927]
    neutral = sum(data.labels[pair.label] == "neutral" for pair in data.test)
    assert round(100 * neutral / 4927, 1) == 56.7  # the largest class, as published
    same = real(pairs.mrpc)
    assert round(100 * sum(pair.label for pair in same.test) / 1725, 1) == 66.5


def test_nli():
    for name in ("snli", "mnli_matched", "mnli_mismatched"):
        found = real(lambda name=name: pairs.nli(name))
        assert {pair.label for pair in found} == {0, 1, 2}
    with pytest.raises(ValueError, match="there are no pairs 'x'"):
        pairs.nli("x")


def test_xquad():
    found = real(questions.xquad)
    assert len(found) == 1190 and len({question.article for question in found}) == 48
    assert found[0].answers == ["308"]


@pytest.mark.parametrize(
    "row, message",
    [("a\tb\tc\td\t9\tx\ty", "0 to 5"), ("a\tb\tc\td\thigh\tx\ty", "could not convert"),
     ("a\tb\tc", "list index")],
)  # fmt: skip
def test_malformed_pairs(row, message, tmp_path, monkeypatch):
    (tmp_path / "stsb").mkdir()
    for part in ("train", "dev", "test"):
        (tmp_path / "stsb" / f"sts-{part}.csv").write_text(f"a\tb\tc\td\t1\tx\ty\n{row}\n")
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="is damaged: its sha256"):
        pairs.stsb()
    monkeypatch.setattr(pairs, "_lines", lambda name, encoding: [("f:1", "-"), ("f:2", row)][1:])
    with pytest.raises(ValueError, match=rf"f:2: .*{message}"):
        pairs.stsb()


def test_malformed_questions():
    def squad(answer, start):
        rows = [{"id": "q7", "question": "?", "answers": [{"text": answer, "answer_start": start}]}]
        return json.dumps({"data": [{"paragraphs": [{"context": "It rained.", "qas": rows}]}]})

    assert questions.read_squad(squad("rained", 3))[0].starts == [3]
    with pytest.raises(ValueError, match="question q7 does not stand at character 4"):
        questions.read_squad(squad("rained", 4))
    for text in ("[]", "{", '{"data": [{}]}'):
        with pytest.raises(ValueError, match="not in SQuAD's format"):
            questions.read_squad(text)


@pytest.mark.parametrize(
    "answer, truth, exact, f1",
    [
        ("The  Panthers!", ["panthers"], 1, 1),
        ("Denver Broncos", ["the Denver Broncos", "Broncos"], 1, 1),
        ("the Broncos of Denver", ["Denver Broncos"], 0, 0.8),
        ("Carolina", ["Denver"], 0, 0),
        ("", [], 1, 1),
        ("something", [], 0, 0),
        ("", ["Denver"], 0, 0),
        ("a b b", ["b b c"], 0, 0.8),
    ],
)
def test_answers_are_compared_as_squad_does(answer, truth, exact, f1):
    assert questions.exact_match(answer, truth) == exact
    assert questions.answer_f1(answer, truth) == pytest.approx(f1)
