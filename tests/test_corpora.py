"""The stream of English text: which pieces there are, what their sentences look like."""

import gzip
import json

import pytest

from minigrad.text import corpora
from minigrad.text.datasets import DataNotFound


def test_sentences():
    text = "It's 5 o'clock. The <UNK> ran -- fast!<br /><br />Mr Smith\nsaid:\n\nno"
    assert list(corpora.sentences(text)) == [
        ["it's", "5", "o'clock"],
        ["the", "ran", "fast"],
        ["mr", "smith", "said"],
        ["no"],
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder with two pieces, and no packages."""
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    monkeypatch.setattr(corpora, "_package", lambda package, pattern: [])
    (tmp_path / "aeslc").mkdir()
    with gzip.open(tmp_path / "aeslc" / "dev.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"body": "Hello. See you", "subject": "A Word"}) + "\n")
    (tmp_path / "conll2003").mkdir()
    with gzip.open(tmp_path / "conll2003" / "eng.train.gz", "wt", encoding="utf-8") as file:
        file.write(
            "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\nPeter NNP I-NP I-PER\n"
        )
    return tmp_path


def test_the_pieces_that_are_there(folder):
    corpus = corpora.english()
    assert corpus.names == ["aeslc", "conll2003"]
    expected = [["hello"], ["see", "you"], ["a", "word"], ["eu", "rejects"], ["peter"]]
    assert list(corpus) == list(corpus) == expected
    assert corpus.count() == {"aeslc": (3, 5), "conll2003": (2, 3)}
    assert corpora.english(["conll2003"]).names == ["conll2003"]
    assert repr(corpus) == "Corpus(aeslc, conll2003)"


def test_a_piece_that_is_missing_or_unknown(folder):
    with pytest.raises(DataNotFound, match="found no files of ptb"):
        corpora.english(["ptb", "aeslc"])
    with pytest.raises(ValueError, match="there is no piece klingon"):
        corpora.english(["klingon"])


def test_no_text_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    monkeypatch.setattr(corpora, "_package", lambda package, pattern: [])
    with pytest.raises(DataNotFound, match="any piece"):
        corpora.english()


def test_a_damaged_line_is_named(folder):
    with gzip.open(folder / "aeslc" / "dev.jsonl.gz", "at", encoding="utf-8") as file:
        file.write("{oops\n")
    with pytest.raises(ValueError, match=r"dev\.jsonl\.gz:2: "):
        list(corpora.english())


def test_a_play_and_an_encyclopedia(tmp_path):
    (tmp_path / "play.md").write_text(
        "# Title\n\n_Enter ROMEO_\n\n**ROMEO**  \nBut soft,  \nwhat light?\n", encoding="utf-8"
    )
    spoken = "".join(corpora._plays([tmp_path / "play.md"]))
    assert list(corpora.sentences(spoken)) == [["but", "soft", "what", "light"]]
    line = "'''Anarchism''' is a [[political philosophy|philosophy]] {{sfn|x}} of &lt;ref&gt;no&lt;/ref&gt; [[state]]s "
    (tmp_path / "wiki.xml").write_text(
        "* a list " * 30 + "\n" + line + "that is long enough to be text.\n", encoding="utf-8"
    )
    (text,) = corpora._wiki([tmp_path / "wiki.xml"])
    assert list(corpora.sentences(text)) == [
        "anarchism is a philosophy of states that is long enough to be text".split()
    ]


@pytest.mark.parametrize("name", list(corpora.PIECES))
def test_every_piece_gives_sentences(name):
    """Where its files are on this machine."""
    if not corpora.PIECES[name]()[1]:
        pytest.skip(f"{name} is not here")
    found = [tokens for _, tokens in zip(range(200), corpora.english([name]), strict=False)]
    assert len(found) == 200
    joined = {token for tokens in found for token in tokens}
    assert len(joined) > 100
    assert all(token == token.lower() for token in joined)
