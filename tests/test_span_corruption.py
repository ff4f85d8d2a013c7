"""Span corruption: what is cut out, how long inputs and targets are, that both make the text again."""

import itertools

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tokenizers")

import minigrad as mg
from minigrad.pretrained import AutoTokenizer, pack_documents, train_tokenizer
from minigrad.pretrained.span_corruption import (
    DataCollatorForSpanCorruption,
    compute_input_and_target_lengths,
    corrupt_spans,
    fill_spans,
    random_spans_noise_mask,
    sentinel_ids,
)

TEXTS = [
    "the cat sat on the mat while the rain fell on the old roof",
    "a small dog ran after the red ball down the long hill",
    "Ünder the bridge, three birds sang; nobody heard them at all.",
] * 20


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, "t5", 150, extra_ids=30)


def runs(mask):
    """The lengths of a mask's stretches, by their value, in order."""
    return [(value, len(list(group))) for value, group in itertools.groupby(mask.tolist())]


# -- which tokens ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 300), st.floats(0.01, 0.9), st.floats(1, 10), st.integers(0, 2**31))
def test_noise_is_as_much_and_as_many_spans_as_asked(length, density, mean, seed):
    mask = random_spans_noise_mask(length, density, mean, mg.Generator().manual_seed(seed))
    assert mask.shape == (length,) and mask.dtype == mg.bool
    noise = min(max(round(length * density), 1), length - 1)
    spans = min(max(round(noise / mean), 1), noise, length - noise)
    assert int(mask.sum()) == noise
    assert [value for value, _ in runs(mask)] == [False, True] * spans
    again = random_spans_noise_mask(length, density, mean, mg.Generator().manual_seed(seed))
    assert mg.equal(mask, again)


def test_paper_s_setting():
    """15 % in spans of 3 on average: of 512 tokens 77, in 26 spans."""
    mask = random_spans_noise_mask(512)
    lengths = [n for value, n in runs(mask) if value]
    assert (
        sum(lengths) == 77 and len(lengths) == 26 and numpy.mean(lengths) == pytest.approx(3, 0.02)
    )


def test_all_cuts_are_equally_likely():
    """6 tokens to cut out of 12, in 3 spans: each of the 10 x 10 ways, as chi-squared says."""
    generator = mg.Generator().manual_seed(1)
    draws = 2000
    counts: dict = {}
    for _ in range(draws):
        way = tuple(n for _, n in runs(random_spans_noise_mask(12, 0.5, 2.0, generator)))
        counts[way] = counts.get(way, 0) + 1
    assert len(counts) == 100
    distance = sum((n - draws / 100) ** 2 / (draws / 100) for n in counts.values())
    assert 60 < distance < 149  # 99 degrees of freedom: outside by chance once in a thousand times


def test_bad_settings():
    with pytest.raises(ValueError, match="a text needs 2 tokens, .* not 1"):
        random_spans_noise_mask(1)
    for density in (0, 1, -0.1):
        with pytest.raises(ValueError, match="noise_density lies between 0 and 1"):
            random_spans_noise_mask(10, density)
    with pytest.raises(ValueError, match="mean_noise_span_length is 1 or more, got 0.5"):
        random_spans_noise_mask(10, 0.15, 0.5)
    with pytest.raises(ValueError, match="inputs_length 2 is too short"):
        compute_input_and_target_lengths(2)


# -- lengths ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 300), st.floats(0.05, 0.5), st.floats(1, 6))
def test_lengths_leave_no_padding(inputs_length, density, mean):
    length, targets_length = compute_input_and_target_lengths(inputs_length, density, mean)
    sentinels = range(1000, 1400)

    def corrupted(n):
        return corrupt_spans(range(n), random_spans_noise_mask(n, density, mean), sentinels, 1)

    inputs, targets = corrupted(length)
    assert len(inputs) <= inputs_length and len(targets) == targets_length
    assert len(corrupted(length + 1)[0]) > inputs_length


def test_lengths_of_the_paper():
    """Inputs of 512 are made of 568 tokens, targets are 114 long, as in T5's own code."""
    assert compute_input_and_target_lengths(512) == (568, 114)
    assert compute_input_and_target_lengths(128) == (141, 29)


# -- texts -----------------------------------------------------------------------------------------


def test_example_of_the_paper():
    words = "Thank you for inviting me to your party last week .".split()
    cut = [word in ("for", "inviting", "last") for word in words]
    inputs, targets = corrupt_spans(words, cut, ["<X>", "<Y>"], "</s>")
    assert " ".join(inputs) == "Thank you <X> me to your party <Y> week . </s>"
    assert " ".join(targets) == "<X> for inviting <Y> last </s>"
    assert fill_spans(inputs, targets, ["<X>", "<Y>"], "</s>") == words


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(2, 99), st.booleans()), max_size=40), st.booleans())
def test_inputs_and_targets_make_the_text_again(tokens, ended):
    ids, mask = [i for i, _ in tokens], [b for _, b in tokens]
    sentinels, end = list(range(100, 140)), 1 if ended else None
    inputs, targets = corrupt_spans(ids, mask, sentinels, end)
    assert fill_spans(inputs, targets, sentinels, end) == ids
    spans = sum(value for value, _ in itertools.groupby(mask))
    assert len(inputs) + len(targets) == len(ids) + 2 * spans + 2 * ended
    assert [i for i in inputs if i >= 100] == [i for i in targets if i >= 100] == sentinels[:spans]


def test_what_a_model_wrote_fills_the_gaps():
    written = [
        7,
        100,
        8,
        9,
        102,
        5,
        100,
        4,
        1,
        101,
        3,
    ]  # begins with no sentinel, lacks one, ends early
    assert fill_spans([2, 100, 3, 101, 102, 1], written, [100, 101, 102], 1) == [2, 8, 9, 4, 3, 5]


def test_bad_texts():
    with pytest.raises(ValueError, match="a mask of 2 for 3 tokens"):
        corrupt_spans([1, 2, 3], [True, False], [9])
    with pytest.raises(ValueError, match="2 spans need as many sentinels, there are 1"):
        corrupt_spans([1, 2, 3], mg.tensor([True, False, True]), [9])


# -- collator --------------------------------------------------------------------------------------


def test_batches_make_their_texts_again(tokenizer):
    collate = DataCollatorForSpanCorruption(tokenizer, noise_density=0.3, seed=3)
    texts = tokenizer(TEXTS[:3])["input_ids"]
    assert len(set(map(len, texts))) > 1
    batch = collate([{"input_ids": ids} for ids in texts])
    assert list(batch) == ["input_ids", "attention_mask", "labels"]
    sentinels = sentinel_ids(tokenizer)
    for row, text in enumerate(texts):
        inputs, looks, labels = (batch[name][row] for name in batch)
        count = int(looks.sum())
        assert inputs[count - 1] == 1 and (inputs[count:] == 0).all() and looks[:count].all()
        asked = labels[labels != -100]
        assert asked[-1] == 1 and (labels[len(asked) :] == -100).all()
        assert fill_spans(inputs, asked, sentinels, 1) == text[:-1]
    whole = tokenizer.decode(fill_spans(batch["input_ids"][0], batch["labels"][0], sentinels, 1))
    assert whole == TEXTS[0]


def test_seeds_and_streams(tokenizer):
    texts = tokenizer(TEXTS[:3])["input_ids"]

    def draws(**options):
        collate = DataCollatorForSpanCorruption(tokenizer, **options)
        return [collate(texts)["input_ids"].tolist() for _ in range(3)]

    assert draws(seed=1) == draws(seed=1) != draws(seed=2)
    assert len({str(batch) for batch in draws(seed=1)}) == 3  # other spans every time
    mg.manual_seed(5)
    first = draws()
    mg.manual_seed(5)
    assert first == draws()
    state = mg.get_rng_state()
    draws(seed=4)
    assert mg.equal(state, mg.get_rng_state())


def test_packed_texts_waste_nothing(tokenizer):
    length, targets = compute_input_and_target_lengths(40)
    ids = tokenizer(TEXTS, add_special_tokens=False).input_ids
    blocks = pack_documents(ids, length, drop_last=True)
    batch = DataCollatorForSpanCorruption(tokenizer, return_tensors="np")(blocks)
    assert batch["input_ids"].shape == (len(blocks), 40) and batch["attention_mask"].all()
    assert batch["labels"].shape == (len(blocks), targets) and (batch["labels"] >= 0).all()


def test_bad_collators(tokenizer):
    plain = train_tokenizer(TEXTS, "wordpiece", 100)
    with pytest.raises(ValueError, match="has no eos_token"):
        DataCollatorForSpanCorruption(plain)
    with pytest.raises(ValueError, match="has no sentinels"):
        DataCollatorForSpanCorruption(train_tokenizer(TEXTS, "t5", 100, extra_ids=0))
    with pytest.raises(ValueError, match="expected a list of texts, one at least"):
        DataCollatorForSpanCorruption(tokenizer)([])
    with pytest.raises(ValueError, match="a text needs 2 tokens"):
        DataCollatorForSpanCorruption(tokenizer)([[5, 1]])
    with pytest.raises(ValueError, match="noise_density lies between"):
        DataCollatorForSpanCorruption(tokenizer, noise_density=1.5)
    with pytest.raises(ValueError, match="spans need as many sentinels, there are 30"):
        DataCollatorForSpanCorruption(tokenizer)([list(range(40, 70)) * 30])


# -- tokenizer -------------------------------------------------------------------------------------


def test_tokenizer_is_t5_s(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert type(theirs).__name__ == "T5Tokenizer" and len(theirs) == len(tokenizer)
    texts = [*TEXTS[:3], "a <extra_id_0> cat  <extra_id_29>, ''no``", "", "?"]
    for pair in (None, texts[::-1]):
        options = dict(padding=True, return_offsets_mapping=True)
        assert dict(tokenizer(texts, pair, **options)) == dict(theirs(texts, pair, **options))
    assert tokenizer.all_special_ids == theirs.all_special_ids
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again(texts).input_ids == tokenizer(texts).input_ids
    assert sentinel_ids(again) == sentinel_ids(tokenizer) == list(range(3, 33))
    assert tokenizer.convert_ids_to_tokens(range(4)) == ["<pad>", "</s>", "<unk>", "<extra_id_0>"]
    assert tokenizer("cat", "dog").tokens().count("</s>") == 2
    assert "Ü" in tokenizer.get_vocab()  # letters and accents as they are
