"""Labels of words on their pieces and back; answers of questions on tokens of windows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.pretrained.alignment import (
    align_labels,
    answer_tokens,
    question_windows,
    words_from_tokens,
)
from minigrad.text.questions import Question

PIECES = [None, 0, 1, 1, 1, 2, None]


def test_labels():
    assert align_labels(PIECES, [7, 8, 9]) == [-100, 7, 8, -100, -100, 9, -100]
    assert align_labels(PIECES, [7, 8, 9], every=True) == [-100, 7, 8, 8, 8, 9, -100]
    assert words_from_tokens(PIECES, "zabcdez", 4, "?") == ["a", "b", "e", "?"]
    with pytest.raises(ValueError, match="3 words or more, but 2 labels"):
        align_labels(PIECES, [1, 2])
    assert align_labels([None, None], []) == [-100, -100]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 4), max_size=8))
def test_labels_there_and_back(pieces):
    ids = [None, *(word for word, count in enumerate(pieces) for _ in range(count)), None]
    labels = list(range(10, 10 + len(pieces)))
    given_back = words_from_tokens(ids, align_labels(ids, labels), len(labels))
    assert given_back == labels


def tokenizer():
    tokenizers = pytest.importorskip("tokenizers")
    from minigrad.pretrained.tokenizer import PreTrainedTokenizerFast

    vocab = {name: i for i, name in enumerate("[PAD] [UNK] [CLS] [SEP] ?".split())}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocab, unk_token="[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )  # fmt: skip
    return PreTrainedTokenizerFast(backend, pad_token="[PAD]", unk_token="[UNK]")


def test_windows_hold_the_answer_where_they_reach():
    context = "one two three four five six seven eight nine ten"
    question = Question("q", "where ?", context, ["five six"], [context.index("five six")])
    windows = question_windows(tokenizer(), [question], max_length=10, stride=2)
    assert len(windows) == 3 and all(len(w["input_ids"]) <= 10 for w in windows)
    found = []
    for window in windows:
        start, end = window["start_positions"], window["end_positions"]
        if start:
            spans = window["offsets"]
            found.append(context[spans[start][0] : spans[end][1]])
        else:
            assert (start, end) == (0, 0)
        assert window["question"] == 0 and window["offsets"][0] is None
    assert found and set(found) == {"five six"} and len(found) < len(windows)


def test_answers_that_a_window_cuts_are_none():
    question = Question("q", "?", "abcdef", ["cd"], [2])
    assert answer_tokens(question, [None, (0, 2), (2, 3), (3, 4), (4, 6)]) == (2, 3)
    assert answer_tokens(question, [None, (3, 4), (4, 6)]) == (0, 0)
    assert answer_tokens(question, [None, (0, 2), (2, 3)]) == (0, 0)
    assert answer_tokens(question, [None, (0, 6)]) == (1, 1)  # a token that is more than the answer
    assert answer_tokens(Question("q", "?", "abc", [], []), [None, (0, 3)]) == (0, 0)
