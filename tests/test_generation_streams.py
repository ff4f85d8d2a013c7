"""Texts that stop at strings, and texts that are given out while they are written."""

import threading
from queue import Empty

import numpy
import pytest
from generation_checks import saved
from pretrained_checks import torch, transformers

import minigrad as mg
from minigrad.generation import (
    BaseStreamer,
    EosTokenCriteria,
    MaxLengthCriteria,
    MaxTimeCriteria,
    StoppingCriteria,
    StoppingCriteriaList,
    StopStringCriteria,
    TextIteratorStreamer,
    TextStreamer,
)
from minigrad.pretrained import train_tokenizer

TEXTS = [
    "the cat sat on the mat, and the dog stopped barking at the door",
    "stop, said the topper; the stopper popped out of the bottle at once",
    "naïve café — 今天天气很好 — ωραία μέρα — 🎉 done\nnext line",
] * 3


@pytest.fixture(scope="module", params=["bpe", "unigram", "wordpiece"])
def tokenizer(request):
    return train_tokenizer(TEXTS, request.param, 330)


@pytest.fixture(scope="module")
def bpe():
    return train_tokenizer(TEXTS, "bpe", 330)


def encode(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


# -- stop strings ----------------------------------------------------------------------------------


def first_stop(tokenizer, ids, strings):
    """How many tokens until one of the strings stands in the decoded text; None where none does."""
    for size in range(1, len(ids) + 1):
        text = tokenizer.decode(ids[:size])
        if any(string in text for string in strings):
            return size
    return None


@pytest.mark.parametrize(
    "strings",
    [["stop"], ["the d"], ["t, a"], ["top", "at the"], ["天气"], ["🎉"], ["\nnext"], ["é"]],
)
def test_stops_with_the_token_that_finishes_a_string(strings, tokenizer):
    criterion = StopStringCriteria(tokenizer, strings)
    for text in TEXTS[:3]:
        ids = encode(tokenizer, text)
        sizes = [s for s in range(1, len(ids) + 1) if criterion.ends(ids[:s])]
        assert (sizes[0] if sizes else None) == first_stop(tokenizer, ids, strings)


def test_every_string_at_every_border(bpe):
    """All cuts of a text into tokens, all strings of it: letters, too, are tokens."""
    text = "a stopper popped"
    for pieces in (list(text), [text[i : i + 3] for i in range(0, len(text), 3)], [text]):
        ids = [token for piece in pieces for token in encode(bpe, piece)]
        for start in range(len(text)):
            for size in (1, 3, 6):
                string = text[start : start + size]
                criterion = StopStringCriteria(bpe, string)
                ends = [s for s in range(1, len(ids) + 1) if criterion.ends(ids[:s])]
                assert ends[0] == first_stop(bpe, ids, [string])


def test_a_string_that_was_there_before_stops_nothing(bpe):
    ids = encode(bpe, "stop it and go")
    criterion = StopStringCriteria(bpe, "stop")
    assert not criterion.ends(ids)
    assert criterion.ends([*ids, *encode(bpe, " stop")])
    rows = mg.tensor([[*ids, *encode(bpe, "s")], [*ids, *encode(bpe, "x")]])
    ends = StopStringCriteria(bpe, ["gos", "none"])(rows, None)
    assert ends.tolist() == [True, False] and ends.dtype is mg.bool


def test_stops_as_transformers_does(bpe, tmp_path):
    config = transformers.GPT2Config(
        vocab_size=len(bpe), n_embd=16, n_layer=1, n_head=2, n_positions=90, bos_token_id=0,
        eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    ours, model = saved("GPT2LMHeadModel", config, tmp_path)
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe.backend_tokenizer)
    ids = numpy.array([encode(bpe, "the cat")[:2], encode(bpe, "stop it")[:2]])
    stopped = 0
    for seed in range(2):
        for string in ("e", "t"):
            options = dict(max_new_tokens=25, do_sample=True, top_k=0, stop_strings=[string])
            torch.manual_seed(seed), mg.manual_seed(seed)
            expected = model.generate(torch.tensor(ids), tokenizer=theirs, **options).numpy()
            found = ours.generate(mg.tensor(ids), tokenizer=bpe, **options).numpy()
            numpy.testing.assert_array_equal(found, expected)
            stopped += int((found[:, 2:] == 1).any(1).sum())
    assert stopped >= 2
    with pytest.raises(ValueError, match="stop_strings must be texts that are not empty"):
        StopStringCriteria(bpe, [""])


def test_criteria():
    ids = mg.tensor([[1, 2, 3], [1, 2, 4]])
    assert MaxLengthCriteria(3)(ids, None).tolist() == [True, True]
    assert MaxLengthCriteria(4)(ids, None).tolist() == [False, False]
    assert EosTokenCriteria(3)(ids, None).tolist() == [True, False]
    assert EosTokenCriteria([3, 4])(ids, None).tolist() == [True, True]
    assert MaxTimeCriteria(10.0)(ids, None).tolist() == [False, False]
    assert MaxTimeCriteria(10.0, initial_timestamp=0.0)(ids, None).tolist() == [True, True]
    rules = StoppingCriteriaList([MaxLengthCriteria(9), EosTokenCriteria(4)])
    assert rules(ids, None).tolist() == [False, True] and rules.max_length == 9
    assert StoppingCriteriaList([]).max_length is None
    with pytest.raises(NotImplementedError, match="does not say when a text ends"):
        StoppingCriteria()(ids, None)


# -- streamers -------------------------------------------------------------------------------------


class Pieces(TextStreamer):
    """Keeps what it would print."""

    def on_finalized_text(self, text, stream_end=False):
        self.__dict__.setdefault("pieces", []).append(text)
        self.ended = stream_end


def stream(tokenizer, ids, prompt=1, **options):
    streamer = Pieces(tokenizer, **options)
    streamer.put(mg.tensor([ids[:prompt]]))
    for token in ids[prompt:]:
        streamer.put(mg.tensor([token]))
    streamer.end()
    assert streamer.ended
    return [piece for piece in streamer.pieces if piece]


def test_pieces_are_whole_words(tokenizer):
    for text in TEXTS[:3]:
        ids = encode(tokenizer, text)
        pieces = stream(tokenizer, ids, prompt=2)
        whole = tokenizer.decode(ids)
        assert "".join(pieces) == whole
        for piece in pieces[:-1]:
            assert piece[-1] in " \n" or "一" <= piece[-1] <= "鿿"
        assert len(pieces) > 5


def test_no_half_characters(bpe):
    """A character of several bytes is several tokens here."""
    text = "ω 🎉🎉 ж́ 日本 done"
    ids = encode(bpe, text)
    assert len(ids) > len(text)
    pieces = stream(bpe, ids)
    assert "".join(pieces) == text and not any("\ufffd" in piece for piece in pieces)
    cut = encode(bpe, "a 🎉")[:-1]  # a text that ends within one
    assert "".join(stream(bpe, cut)) == bpe.decode(cut)


def test_together_the_text_of_transformers(bpe, capsys):
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe.backend_tokenizer)
    for text in TEXTS[:3]:
        ids = encode(bpe, text)
        printed = []
        for kind, tensor, own in (
            (TextStreamer, mg.tensor, bpe),
            (transformers.TextStreamer, torch.tensor, theirs),
        ):
            streamer = kind(own, skip_prompt=True)
            streamer.put(tensor([ids[:2]]))
            for token in ids[2:]:
                streamer.put(tensor([token]))
            streamer.end()
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1] == bpe.decode(ids[2:]) + "\n"


def test_special_tokens_and_a_second_text(bpe):
    ids = [0, *encode(bpe, "the cat sat"), 2]
    assert "".join(stream(bpe, ids, skip_special_tokens=True)) == "the cat sat"
    assert "".join(stream(bpe, ids)) == bpe.decode(ids)
    streamer = Pieces(bpe, skip_prompt=True)
    for _ in range(2):
        streamer.put(mg.tensor([ids[:2]]))
        streamer.put(mg.tensor(ids[2:-1]))
        streamer.end()
    assert "".join(streamer.pieces) == 2 * bpe.decode(ids[2:-1])
    with pytest.raises(ValueError, match="takes one text, not 2"):
        streamer.put(mg.tensor([[1], [2]]))
    for call in (BaseStreamer().end, lambda: BaseStreamer().put(None)):
        with pytest.raises(NotImplementedError):
            call()


def test_a_step_costs_the_same_however_long_the_text(bpe):
    lengths = []

    class Counting:
        def decode(self, ids, **options):
            lengths.append(len(ids))
            return bpe.decode(ids, **options)

    stream(Counting(), encode(bpe, TEXTS[0]) * 20)
    assert max(lengths) < 12
    lengths.clear()
    StopStringCriteria(Counting(), "stop").ends(encode(bpe, TEXTS[0]) * 20)
    assert max(lengths) < 12


def test_generate_streams(bpe, tmp_path):
    config = transformers.GPT2Config(
        vocab_size=len(bpe), n_embd=16, n_layer=1, n_head=2, n_positions=90, bos_token_id=0,
        eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    ours, _ = saved("GPT2LMHeadModel", config, tmp_path)
    ids = mg.tensor([encode(bpe, "the cat")])
    options = dict(max_new_tokens=30, do_sample=True)
    mg.manual_seed(3)
    found = ours.generate(ids, **options)
    streamer = TextIteratorStreamer(bpe, timeout=30)
    mg.manual_seed(3)
    thread = threading.Thread(
        target=ours.generate, args=(ids,), kwargs=options | {"streamer": streamer}
    )
    thread.start()
    pieces = list(streamer)
    thread.join()
    assert "".join(pieces) == bpe.decode(found[0]) and len(pieces) == 32
    with pytest.raises(Empty):
        next(TextIteratorStreamer(bpe, timeout=0.01))
