"""Causal language models: documents packed into blocks, labels of batches, perplexity by windows."""

import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
from minigrad.models.gpt import GPT, GPTConfig
from minigrad.models.language_model import RecurrentLM
from minigrad.pretrained import (
    DataCollatorForLanguageModeling,
    pack_documents,
    pack_texts,
    train_tokenizer,
)
from minigrad.train.perplexity import Perplexity, next_logits, perplexity, windows

DOCUMENTS = st.lists(st.lists(st.integers(0, 50), max_size=12), max_size=8)
TEXTS = ["a red dog sees the old tree", "the cat", "one dog likes a small red bird"] * 4


# -- packing ---------------------------------------------------------------------------------------


@given(DOCUMENTS, st.integers(1, 9), st.none() | st.integers(51, 60), st.booleans())
@settings(deadline=None)
def test_nothing_is_lost_or_doubled(documents, length, separator, drop_last):
    blocks = pack_documents(documents, length, separator, drop_last)
    end = [] if separator is None else [separator]
    row = [i for document in documents for i in document + end]
    if drop_last:
        row = row[: len(row) // length * length]
    assert [i for block in blocks for i in block] == row
    assert all(len(block) == length for block in blocks[:-1])
    assert all(1 <= len(block) <= length for block in blocks)
    if separator is not None and not drop_last:  # the documents can be told apart again
        found, rest = [], row
        while rest:
            found.append(rest[: rest.index(separator)])
            rest = rest[rest.index(separator) + 1 :]
        assert found == documents


def test_packing_takes_arrays_and_tensors():
    documents = [numpy.array([1, 2]), minigrad.tensor([3, 4, 5])]
    assert pack_documents(documents, 2, 0) == [[1, 2], [0, 3], [4, 5], [0]]
    with pytest.raises(ValueError, match="at least one id, not 0"):
        pack_documents(documents, 0)
    with pytest.raises(TypeError, match="document 1 is no list of ids: 'words'"):
        pack_documents([[1], "words"], 2)


@pytest.fixture(scope="module")
def tokenizer():
    pytest.importorskip("tokenizers")
    return train_tokenizer(TEXTS, "bpe", 300)


def test_texts_end_with_eos(tokenizer):
    blocks = pack_texts(TEXTS, tokenizer, 8)
    row = [i for block in blocks for i in block]
    assert row.count(tokenizer.eos_token_id) == len(TEXTS)
    assert tokenizer.decode(row).split(tokenizer.eos_token)[:-1] == TEXTS
    without = train_tokenizer(TEXTS, "wordpiece", 60)
    without.eos_token = None
    with pytest.raises(ValueError, match="no end-of-sequence token"):
        pack_texts(TEXTS, without, 8)


@pytest.mark.parametrize("as_dicts", [True, False])
def test_labels_are_ids_without_padding(tokenizer, as_dicts):
    blocks = pack_texts(TEXTS, tokenizer, 7)
    assert len(blocks[-1]) < 7  # so that there is padding
    features = [{"input_ids": block} for block in blocks] if as_dicts else blocks
    batch = DataCollatorForLanguageModeling(tokenizer, mlm=False)(features)
    ids, labels = batch["input_ids"], batch["labels"]
    real = ids != tokenizer.pad_token_id
    assert ids.shape == labels.shape == (len(blocks), 7)
    assert int(real.sum()) == sum(map(len, blocks))
    assert (labels == minigrad.where(real, ids, -100)).all()
    assert ids[real].tolist() == [i for block in blocks for i in block]


def test_labels_are_those_of_transformers(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    tokenizer.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    blocks = pack_texts(TEXTS, tokenizer, 7)
    for features in (blocks, [{"input_ids": block} for block in blocks], blocks[:-1]):
        ours = DataCollatorForLanguageModeling(tokenizer, mlm=False)(features)
        other = transformers.DataCollatorForLanguageModeling(theirs, mlm=False)(features)
        assert {k: v.tolist() for k, v in ours.items()} == {k: v.tolist() for k, v in other.items()}


def test_blocks_of_one_length_need_no_padding_token(tokenizer):
    blocks = pack_texts(TEXTS, tokenizer, 8, drop_last=True)
    without = train_tokenizer(TEXTS, "bpe", 300)
    without.pad_token = None
    batch = DataCollatorForLanguageModeling(without, mlm=False)(blocks)
    assert batch["input_ids"].tolist() == batch["labels"].tolist() == blocks
    with pytest.raises(ValueError, match="no pad token"):
        DataCollatorForLanguageModeling(without, mlm=False)([*blocks, [1]])
    with pytest.raises(ValueError, match="no pad token"):
        DataCollatorForLanguageModeling(without, mlm=False, pad_to_multiple_of=3)(blocks)


# -- perplexity ------------------------------------------------------------------------------------


def tiny(**changes):
    minigrad.manual_seed(0)
    sizes = dict(block_size=12, vocab_size=9, n_layer=2, n_head=2, n_embd=8) | changes
    model = GPT(GPTConfig(**sizes)).double()
    for weight in model.parameters():  # far from knowing nothing, or all windows would say the same
        weight.data.mul_(8)
    return model


IDS = minigrad.tensor(numpy.random.default_rng(1).integers(0, 9, 40))


def by_hand(model, ids, window, stride):
    """Each token from the tokens before it in the first window that holds it, one at a time."""
    total, count, begin = 0.0, 0, 0
    for i in range(len(ids)):
        while i >= begin + window:
            begin += stride
        if i > begin:
            logits, _ = model(ids[None, begin:i])
            total -= float(minigrad.log_softmax(logits[0, -1], 0)[int(ids[i])])
            count += 1
    return total, count


@given(st.integers(2, 13), st.data())  # 13 tokens, of which the model reads 12
@settings(deadline=None, max_examples=15)
def test_every_token_counts_once(window, data):
    stride = data.draw(st.integers(1, window))
    length = data.draw(st.integers(2, 40))
    batch = data.draw(st.integers(1, 4))
    model = tiny().eval()
    found = perplexity(model, IDS[:length], window, stride, batch_size=batch)
    total, count = by_hand(model, IDS[:length], window, stride)
    assert found.tokens == count
    assert found.total_nats == pytest.approx(total, rel=1e-10)
    if stride < window:
        assert count == length - 1


def test_a_window_that_covers_all():
    model = tiny(block_size=64).eval()
    logits, _ = model(IDS[None, :-1])
    mean = minigrad.nn.functional.cross_entropy(logits[0], IDS[1:]).item()
    for window in (40, 64):
        found = perplexity(model, IDS, window, characters=100)
        assert found.tokens == 39
        assert found.nats == pytest.approx(mean, rel=1e-12)
        assert found.perplexity == pytest.approx(math.exp(mean), rel=1e-12)
        assert found.bits_per_character == pytest.approx(39 * mean / math.log(2) / 100, rel=1e-12)


def test_the_guide_of_transformers():
    """The loop of the guide "Perplexity of fixed-length models", summed."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=9, n_positions=12, n_embd=8, n_layer=2, n_head=2)
    theirs = transformers.GPT2LMHeadModel(config).double().eval()

    class Ours(minigrad.nn.Module):
        def forward(self, ids):
            with torch.no_grad():
                return minigrad.tensor(theirs(torch.tensor(ids.numpy())).logits.numpy())

    encodings, nlls, last = torch.tensor(IDS.numpy())[None], [], 0
    for begin in range(0, 40, 5):
        end = min(begin + 12, 40)
        ids = encodings[:, begin:end]
        targets = ids.clone()
        targets[:, : -(end - last)] = -100
        with torch.no_grad():  # theirs(ids, labels=targets).loss is this as a mean, in float32
            logits = theirs(ids).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, targets[0, 1:], reduction="sum")
        nlls.append(loss.item())
        last = end
        if end == 40:
            break
    found = perplexity(Ours(), IDS, 12, 5)
    assert found.total_nats == pytest.approx(sum(nlls), rel=1e-12)
    assert found.tokens == 39


def test_a_longer_look_back_is_told_by_the_stride():
    assert windows(10, 4, 2) == [(0, 4, 4), (2, 6, 2), (4, 8, 2), (6, 10, 2)]
    assert windows(10, 4, 4) == [(0, 4, 4), (4, 8, 4), (8, 10, 2)]
    assert windows(3, 4, 1) == [(0, 3, 3)]


def test_models_of_other_kinds():
    minigrad.manual_seed(0)
    model = RecurrentLM(9, 4, 4).double()

    class Rows(minigrad.nn.Module):  # a RecurrentLM takes (T, B)
        def forward(self, ids):
            return model(ids.t())[0].transpose(0, 1)

    class Record:
        logits = "logits"

    found = perplexity(Rows(), IDS, 40)
    logits, _ = model(IDS[:-1, None])
    expected = minigrad.nn.functional.cross_entropy(logits[:, 0], IDS[1:]).item()
    assert found.nats == pytest.approx(expected, rel=1e-12)
    assert next_logits(lambda ids: Record(), IDS) == "logits"


def test_the_mode_of_the_model_stays():
    model = tiny(dropout=0.5).train()
    first = perplexity(model, IDS, 12)
    assert model.training
    assert perplexity(model, IDS[None], 12).total_nats == first.total_nats  # no dropout


@pytest.mark.parametrize(
    "ids, options, message",
    [
        ([1], {}, r"two ids or more, .* got \(1,\)"),
        ([[1, 2], [3, 4]], {}, r"two ids or more, .* got \(2, 2\)"),
        ([1, 2, 3], dict(window=1), "not 1 and 1"),
        ([1, 2, 3], dict(stride=5), "not 4 and 5"),
        ([1, 2, 3], dict(stride=0), "not 4 and 0"),
        ([1, 2, 3], dict(batch_size=0), "batch_size must be at least 1"),
    ],
)
def test_bad_arguments(ids, options, message):
    with pytest.raises(ValueError, match=message):
        perplexity(tiny(), minigrad.tensor(ids), **dict(window=4) | options)


def test_bits_need_the_length():
    with pytest.raises(ValueError, match=r"characters=len\(text\)"):
        Perplexity(1.0, 1).bits_per_character
