"""CoNLL files: readers, writer, errors with their place; marks of entities from one scheme to another."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.text import conll, datasets
from minigrad.text.conll import (
    iob1_to_iob2,
    iob2_to_iob1,
    iob2_to_iobes,
    iobes_to_iob2,
    read_columns,
    read_conll2003,
    read_conllu,
    spans,
    write_columns,
)

NEWS = """-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O

Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER
Berlin NNP B-NP I-LOC
Bonn NNP I-NP B-LOC
"""

TREEBANK = """# sent_id = 1
# text = I don't.
1\tI\tI\tPRON\tPRP\t_\t2\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVBP\t_\t0\troot\t_\t_
3\tn't\tnot\tPART\tRB\t_\t2\tadvmod\t_\t_
3.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t_\t_
4\t.\t.\tPUNCT\t.\t_\t2\tpunct\t_\t_

# a comment
1\tYes\tyes\tINTJ\tUH\t_\t0\troot\t_\t_
"""


@st.composite
def entities(draw):
    """[(type or None, length)]: a sentence as a row of entities and words outside."""
    kinds = st.sampled_from([None, "PER", "LOC", "A-B"])
    return draw(st.lists(st.tuples(kinds, st.integers(1, 4)), max_size=8))


def marked(sentence):
    """(IOB2 tags, spans) of a sentence."""
    tags, found = [], []
    for kind, length in sentence:
        if kind is not None:
            found.append((kind, len(tags), len(tags) + length))
        tags += ["O"] * length if kind is None else [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
    return tags, found


@given(entities())
def test_schemes_there_and_back(sentence):
    tags, found = marked(sentence)
    assert iob1_to_iob2(iob2_to_iob1(tags)) == tags
    assert iobes_to_iob2(iob2_to_iobes(tags)) == tags
    assert iob1_to_iob2(tags) == tags
    assert spans(tags) == spans(iob2_to_iob1(tags)) == found
    marks = iob2_to_iobes(tags)
    for kind, begin, end in found:
        inner = [f"B-{kind}", *[f"I-{kind}"] * (end - begin - 2), f"E-{kind}"]
        assert marks[begin:end] == ([f"S-{kind}"] if end - begin == 1 else inner)


@given(entities())
@settings(deadline=None)
def test_spans_are_those_of_seqeval(sentence):
    metrics = pytest.importorskip("seqeval.metrics.sequence_labeling")
    tags, found = marked(sentence)
    assert [(k, b, e + 1) for k, b, e in metrics.get_entities(tags)] == found


def test_schemes_by_example():
    iob1 = ["I-PER", "I-PER", "B-PER", "I-LOC", "O", "I-LOC"]
    iob2 = ["B-PER", "I-PER", "B-PER", "B-LOC", "O", "B-LOC"]
    assert iob1_to_iob2(iob1) == iob2
    assert iob2_to_iob1(iob2) == iob1
    assert iob2_to_iobes(iob2) == ["B-PER", "E-PER", "S-PER", "S-LOC", "O", "S-LOC"]
    assert iobes_to_iob2(["E-PER", "S-LOC", "I-LOC"]) == ["I-PER", "B-LOC", "I-LOC"]


@pytest.mark.parametrize("tag", ["", "X-PER", "B", "B-", "-PER", "PER", "o", "BI-PER", "O-PER"])
@pytest.mark.parametrize(
    "convert", [iob1_to_iob2, iob2_to_iob1, iob2_to_iobes, iobes_to_iob2, spans]
)
def test_what_is_no_tag(convert, tag):
    with pytest.raises(ValueError, match=r"is no IOB.* tag: expected O or"):
        convert(["O", tag])


@pytest.mark.parametrize("tags", [["I-PER"], ["O", "I-PER"], ["B-LOC", "I-PER"]])
@pytest.mark.parametrize("convert", [iob2_to_iob1, iob2_to_iobes])
def test_iob1_taken_for_iob2(convert, tags):
    with pytest.raises(ValueError, match=f"I-PER at place {len(tags) - 1} continues no entity"):
        convert(tags)


def test_conll2003_file(tmp_path):
    path = tmp_path / "news"
    path.write_text(NEWS)
    assert read_conll2003(path) == [
        (["EU", "rejects"], ["B-ORG", "O"]),
        (["Peter", "Blackburn", "Berlin", "Bonn"], ["B-PER", "I-PER", "B-LOC", "B-LOC"]),
    ]
    assert read_conll2003(path, "pos")[0] == (["EU", "rejects"], ["NNP", "VBZ"])
    assert read_conll2003(path, "chunk")[1][1] == ["B-NP", "I-NP", "B-NP", "I-NP"]
    packed = tmp_path / "news.gz"
    packed.write_bytes(gzip.compress(NEWS.replace("\n", "\r\n").encode()))
    assert read_conll2003(packed) == read_conll2003(path)
    with pytest.raises(ValueError, match="no column 'tag'; there are: word, pos, chunk, ner"):
        read_conll2003(path, "tag")


def test_conllu_file(tmp_path):
    path = tmp_path / "tree.conllu"
    path.write_text(TREEBANK)
    assert read_conllu(path) == [
        (["I", "do", "n't", "."], ["PRON", "AUX", "PART", "PUNCT"]),
        (["Yes"], ["INTJ"]),
    ]
    assert read_conllu(path, "xpos")[0][1] == ["PRP", "VBP", "RB", "."]


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (
            read_conll2003,
            "a b c O\n\na b O\n",
            r":3: expected 4 columns apart by blanks, got 'a b O'",
        ),
        (read_conll2003, "a b c O extra\n", ":1: expected 4 columns"),
        (read_columns, "a B\nb\n", ":2: expected 2 columns"),
        (read_columns, "alone\n", ":1: expected 2 columns"),
        (read_conllu, TREEBANK + "\n1 I I PRON\n", ":13: expected 10 columns apart by tabs, got 1"),
        (read_conllu, "1\tI\n", ":1: expected 10 columns apart by tabs, got 2"),
        (read_conllu, "x" + 9 * "\t_" + "\n", ":1: expected the id 1, got 'x'"),
        (read_conllu, "2" + 9 * "\t_" + "\n", ":1: expected the id 1, got '2'"),
        (read_conllu, 2 * ("1" + 9 * "\t_" + "\n"), ":2: expected the id 2, got '1'"),
    ],
)
def test_malformed_lines_are_named(tmp_path, read, text, message):
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"file{message}"):
        read(path)


def test_what_is_no_text(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"caf\xe9 O\n")
    with pytest.raises(ValueError, match="file: this is no UTF-8 text"):
        read_columns(path)
    packed = tmp_path / "file.gz"
    packed.write_bytes(gzip.compress(NEWS.encode())[:40])
    with pytest.raises(ValueError, match="is damaged"):
        read_columns(packed)


words = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=5)
rows = st.lists(st.tuples(words, words), min_size=1, max_size=5)


@given(st.lists(rows, max_size=4))
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, sentences):
    sentences = [tuple(map(list, zip(*row, strict=True))) for row in sentences]
    path = tmp_path_factory.mktemp("conll") / "file"
    write_columns(path, sentences, header="-DOCSTART- O")
    assert read_columns(path) == sentences


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((["a", "b"], ["O"]), r"columns of \[2, 1\] cells"),
        (([], []), r"columns of \[0, 0\] cells"),
        ((["a b"], ["O"]), "empty cell or one with a blank"),
        ((["a"], [""]), "empty cell or one with a blank"),
    ],
)
def test_what_cannot_be_written(tmp_path, columns, message):
    path = tmp_path / "file"
    with pytest.raises(ValueError, match=message):
        write_columns(path, [(["fine"], ["O"]), columns])
    assert not list(tmp_path.iterdir())


def test_missing_files_are_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(datasets.DataNotFound, match="eng.train .* no public source: put it there"):
        conll.conll2003()


def _present(name):
    return any((datasets.data_home() / f"{name}{end}").is_file() for end in ("", ".gz"))


@pytest.mark.skipif(not _present("conll2003/eng.train"), reason="CoNLL-2003 is not on this machine")
def test_conll2003():
    data = conll.conll2003()
    assert sum(len(words) for words, _ in data.train) == 203_621
    assert sum(len(words) for words, _ in data.valid) == 51_362
    assert sum(len(words) for words, _ in data.test) == 46_435
    assert len(data.tags) == 9 and data.entities
    entities = [len(spans(tags)) for _, tags in data.test]
    assert sum(entities) == 5648  # table 2 of the task's paper: 1668 + 1661 + 702 + 1617


@pytest.mark.skipif(
    not _present("ud_en_ewt/en_ewt-ud-train.conllu"), reason="UD English-EWT is not on this machine"
)
def test_ud_en_ewt():
    data = conll.ud_en_ewt()
    counts = [sum(len(words) for words, _ in part) for part in (data.train, data.valid, data.test)]
    assert counts == [204_577, 25_147, 25_094]
    assert len(data.tags) == 17 and not data.entities
