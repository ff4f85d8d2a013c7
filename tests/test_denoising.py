"""Text infilling, sentence permutation and gap sentences: what they draw, and what can be restored."""

import collections
import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.pretrained import (
    DataCollatorForDenoising,
    DataCollatorForSeq2Seq,
    choose_gaps,
    gap_sentence_examples,
    infill,
    permute,
    principal_sentences,
    restore,
    rouge1_f1,
    stretches,
    train_tokenizer,
)
from minigrad.pretrained.gap_sentences import words_of

MASK = 4
TEXT = [
    "the cat sat on the mat .", "a dog ran to the cat .", "we saw the dog and the cat .",
    "it rained all day .", "the dog sat on the mat too .", "nobody went out .",
]  # fmt: skip
SENTENCES = st.lists(
    st.lists(st.sampled_from("the cat sat on a mat dog ran".split()), min_size=1, max_size=6).map(
        " ".join
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXT, "bpe", vocab_size=300, add_prefix_space=True)


def stream(seed):
    return mg.Generator().manual_seed(seed)


# -- text infilling --------------------------------------------------------------------------------


@pytest.mark.parametrize(("ratio", "mean"), [(1.5, 3.0), (-0.1, 3.0), (0.3, 0.0), (0.3, -1.0)])
def test_infilling_refuses_what_has_no_end_or_no_room(ratio, mean):
    with pytest.raises(ValueError, match="infill: mask_ratio lies between 0 and 1"):
        infill(range(9), MASK, ratio, mean)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 80), st.floats(0, 1), st.floats(0.2, 8), st.integers(0, 2**31))
def test_infilled_texts_can_be_restored(length, ratio, mean, seed):
    ids = list(range(10, 10 + length))
    damaged, spans = infill(ids, MASK, ratio, mean, stream(seed))
    assert restore(damaged, spans, MASK) == ids
    assert damaged.count(MASK) == len(spans) and sum(map(len, spans)) == round(ratio * length)
    assert (damaged, spans) == infill(ids, MASK, ratio, mean, stream(seed))


@pytest.mark.parametrize("mean", [1.0, 3.0])
def test_span_lengths_are_poissons(mean):
    lengths = []
    generator = stream(1)
    for _ in range(120):
        _, spans = infill(range(400), -1, 0.3, mean, generator)
        lengths += map(len, spans)
    counts = collections.Counter(lengths)
    total = len(lengths)
    # the last span of a text is cut to fit: 1 in 40, or 1 in 120
    assert abs(numpy.mean(lengths) - mean) < 0.05 * mean
    for length in range(8):
        share = math.exp(-mean) * mean**length / math.factorial(length)
        slack = 4 * math.sqrt(share / total) + 0.01
        assert abs(counts[length] / total - share) < slack, length
    assert counts[0] > 100  # masks where nothing is missing


def test_every_arrangement_of_spans_is_as_likely():
    """4 tokens, half of them masked; with spans of length 1 almost surely not cut, count the places."""
    seen = collections.Counter()
    generator = stream(2)
    for _ in range(6000):
        damaged, spans = infill([10, 11, 12, 13], MASK, 0.5, 3.0, generator)
        if [len(span) for span in spans] == [2]:
            seen[tuple(damaged)] += 1
    assert set(seen) == {(4, 12, 13), (10, 4, 13), (10, 11, 4)}
    counts = numpy.array(list(seen.values()))
    expected = counts.sum() / 3
    assert ((counts - expected) ** 2 / expected).sum() < 13.8  # chi square, 2 degrees, p = 0.001


def test_permutations_are_uniform():
    generator = stream(3)
    counts = collections.Counter(tuple(permute("abcd", generator)) for _ in range(4800))
    assert len(counts) == 24
    expected = 4800 / 24
    assert sum((n - expected) ** 2 / expected for n in counts.values()) < 49.7  # 23 degrees, 0.001


def test_collator_damages_and_keeps_the_whole(tokenizer):
    rows = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    whole = tokenizer.build_inputs_with_special_tokens([t for row in rows for t in row])
    collate = DataCollatorForDenoising(tokenizer, seed=5)
    batch = collate([{"sentences": rows}, {"input_ids": rows[0]}])
    assert batch["labels"][0].tolist() == whole
    short = tokenizer(TEXT[0])["input_ids"]
    assert batch["labels"][1].tolist() == short + [-100] * (len(whole) - len(short))
    ids = batch["input_ids"]
    assert ids[0, 0] == tokenizer.bos_token_id and tokenizer.eos_token_id in ids[0].tolist()
    masked = len(whole) - 2 - (ids[0] > 4).sum().item()
    assert masked == round(0.3 * (len(whole) - 2))
    again = DataCollatorForDenoising(tokenizer, seed=5)(
        [{"sentences": rows}, {"input_ids": rows[0]}]
    )
    assert mg.equal(again["input_ids"], ids)
    assert not mg.equal(collate([{"sentences": rows}])["input_ids"][0], ids[0])  # drawn anew


def test_sentences_change_places_only_as_often_as_asked(tokenizer):
    rows = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    whole = tokenizer.build_inputs_with_special_tokens([t for row in rows for t in row])
    collate = DataCollatorForDenoising(tokenizer, mask_ratio=0.0, permute_ratio=0.5, seed=0)
    moved = [collate.damage({"sentences": rows})["input_ids"] != whole for _ in range(400)]
    assert 0.42 < numpy.mean(moved) < 0.58  # 1 in 720 drawn orders is the old one
    found = DataCollatorForDenoising(tokenizer, mask_ratio=0.0, seed=1).damage({"sentences": rows})
    left = found["input_ids"][1:-1]
    while left:  # the sentences themselves are whole
        row = next(row for row in rows if left[: len(row)] == row)
        left = left[len(row) :]
    assert sorted(found["input_ids"]) == sorted(whole) and found["labels"] == whole


def test_collator_refuses(tokenizer):
    with pytest.raises(ValueError, match="mask_ratio must lie between 0 and 1, got 1.2"):
        DataCollatorForDenoising(tokenizer, mask_ratio=1.2)
    with pytest.raises(ValueError, match="poisson_lambda must be more than 0"):
        DataCollatorForDenoising(tokenizer, poisson_lambda=0.0)
    with pytest.raises(ValueError, match="no mask token"):
        DataCollatorForDenoising(train_tokenizer(TEXT, "t5", vocab_size=40, extra_ids=0))


# -- gap sentences ---------------------------------------------------------------------------------


def f1(first, second):
    """ROUGE-1 by hand, of two lists of words."""
    rest, common = list(second), 0
    for word in first:
        if word in rest:
            rest.remove(word)
            common += 1
    return 2 * common / (len(first) + len(second)) if common else 0.0


def oracle(sentences, count, sequential, unique):
    """principal_sentences by its definition, from lists of words."""

    def score(numbers):
        inside = [w for i in numbers for w in sentences[i].split()]
        outside = [w for i, s in enumerate(sentences) if i not in numbers for w in s.split()]
        if unique:
            inside, outside = sorted(set(inside)), sorted(set(outside))
        return f1(inside, outside)

    chosen = []
    if not sequential:
        order = sorted(range(len(sentences)), key=lambda i: (-score([i]), i))
        return sorted(order[:count])
    for _ in range(count):
        left = [i for i in range(len(sentences)) if i not in chosen]
        best = max(score([*chosen, i]) for i in left)
        chosen.append(next(i for i in left if score([*chosen, i]) == best))
    return sorted(chosen)


@settings(max_examples=80, deadline=None)
@given(SENTENCES, st.integers(0, 6), st.booleans(), st.booleans())
def test_principal_sentences_equal_an_oracle(sentences, count, sequential, unique):
    count = min(count, len(sentences))
    found = principal_sentences(sentences, count, sequential, unique)
    assert found == oracle(sentences, count, sequential, unique)


@settings(max_examples=40, deadline=None)
@given(SENTENCES, SENTENCES)
def test_rouge_is_that_of_the_package(first, second):
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rouge1"])
    a, b = " ".join(first), " ".join(second)
    expected = scorer.score(a, b)["rouge1"].fmeasure
    assert rouge1_f1(words_of(a), words_of(b)) == pytest.approx(expected, abs=1e-12)


def test_gaps_by_strategy():
    assert choose_gaps(TEXT, 0.3) == principal_sentences(TEXT, 2)
    assert choose_gaps(TEXT, 0.5, "lead") == [0, 1, 2]
    assert choose_gaps(TEXT, 0.01, "lead") == [0]  # one at least
    generator = stream(4)
    counts = collections.Counter(
        i for _ in range(1500) for i in choose_gaps(TEXT, 0.3, "random", generator=generator)
    )
    assert sum(counts.values()) == 3000 and all(abs(n - 500) < 85 for n in counts.values())
    with pytest.raises(ValueError, match="no strategy 'best'"):
        choose_gaps(TEXT, 0.3, "best")
    with pytest.raises(ValueError, match="ratio must lie between 0 and 1, got 1"):
        choose_gaps(TEXT, 1)
    with pytest.raises(ValueError, match="no sentences to choose from"):
        choose_gaps([], 0.5)
    with pytest.raises(ValueError, match="7 of 6 sentences"):
        principal_sentences(TEXT, 7)


def test_examples_with_gaps_are_whole_together(tokenizer):
    examples = gap_sentence_examples([TEXT, TEXT[:1], []], tokenizer, 200, 200, ratio=0.5)
    (example,) = examples  # a single sentence has nothing to be told from
    gaps = choose_gaps(TEXT, 0.5)
    rows = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    add = tokenizer.build_inputs_with_special_tokens
    assert example["labels"] == add([t for i in gaps for t in rows[i]])
    source = [t for i, row in enumerate(rows) for t in ([MASK] if i in gaps else row)]
    assert example["input_ids"] == add(source) and tokenizer.mask_token_id == MASK
    spans = iter([rows[i] for i in gaps])
    whole = [t for t0 in source for t in (next(spans) if t0 == MASK else [t0])]
    assert whole == [t for row in rows for t in row]
    with pytest.raises(ValueError, match="the tokenizer has no token '<mask_1>'"):
        gap_sentence_examples([TEXT], tokenizer, mask_token="<mask_1>")


@settings(max_examples=25, deadline=None)
@given(room=st.integers(1, 40))
def test_stretches_have_all_sentences_in_order(tokenizer, room):
    rows = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    found = list(stretches(TEXT, tokenizer, room))
    assert [text for texts, _ in found for text in texts] == TEXT
    assert [row for _, ids in found for row in ids] == [row[:room] for row in rows]
    sizes = [sum(map(len, ids)) for _, ids in found]
    assert max(sizes) <= room
    firsts = [len(ids[0]) for _, ids in found]
    assert all(a + b > room for a, b in zip(sizes, firsts[1:], strict=False))  # as long as can be


# -- sources and targets ---------------------------------------------------------------------------


class Shifts:
    """A model that says how its decoder's inputs come from labels."""

    def prepare_decoder_input_ids_from_labels(self, labels):
        return labels + 1


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(
    "options", [{}, {"pad_to_multiple_of": 8}, {"padding": "max_length", "max_length": 12}]
)
def test_pairs_are_padded_as_by_transformers(side, options, tmp_path):
    transformers = pytest.importorskip("transformers")
    own = train_tokenizer(TEXT, "bpe", vocab_size=300, padding_side=side)
    own.save_pretrained(tmp_path)
    known = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path)
    features = [
        {"input_ids": [5, 6, 7], "attention_mask": [1, 1, 1], "labels": [8, 9]},
        {"input_ids": [5], "attention_mask": [1], "labels": [8, 9, 10, 11]},
    ]
    expected = transformers.DataCollatorForSeq2Seq(known, **options)([dict(f) for f in features])
    found = DataCollatorForSeq2Seq(own, **options)(features)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].tolist() == value.tolist(), name
    prepared = DataCollatorForSeq2Seq(own, Shifts(), **options)(features)
    assert mg.equal(prepared["decoder_input_ids"], prepared["labels"] + 1)
    arrays = DataCollatorForSeq2Seq(own, return_tensors="np", **options)(features)
    assert isinstance(arrays["labels"], numpy.ndarray)


def test_pairs_without_labels(tokenizer):
    collate = DataCollatorForSeq2Seq(tokenizer, Shifts())
    assert set(collate([{"input_ids": [5, 6]}, {"input_ids": [7]}])) == {
        "input_ids", "attention_mask",
    }  # fmt: skip
    with pytest.raises(ValueError, match="text 1 has no labels, and others have"):
        collate([{"input_ids": [5], "labels": [6]}, {"input_ids": [5], "labels": None}])
    with pytest.raises(ValueError, match="labels of 3 tokens are longer than max_length 2"):
        DataCollatorForSeq2Seq(tokenizer, padding="max_length", max_length=2)(
            [{"input_ids": [5], "labels": [6, 7, 8]}]
        )
    with pytest.raises(ValueError, match="one at least"):
        collate([])
