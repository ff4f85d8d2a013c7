"""The models of word2vec and fastText against torch, and what their losses promise."""

import numpy
import pytest
from model_checks import check_model

import minigrad
from minigrad.models import word2vec

V, D, B, K = 9, 6, 7, 3
COUNTS = [40, 21, 13, 8, 5, 3, 2, 1, 1]
RAND = numpy.random.default_rng(5)
CENTRE, AROUND, DRAWN = RAND.integers(0, V, B), RAND.integers(0, V, B), RAND.integers(0, V, (B, K))
BAGS, OFFSETS = RAND.integers(0, V, 20), numpy.array([0, 3, 4, 8, 9, 13, 16])

HEADS = {
    "negative": lambda m: m.NegativeSampling(COUNTS, D),
    "hierarchical": lambda m: m.HierarchicalSoftmax(COUNTS, D),
    "full": lambda m: m.FullSoftmax(V, D),
}
INPUTS = {
    "skip_gram": (lambda m, head: m.SkipGram(V, D, head), (CENTRE, AROUND)),
    "cbow": (lambda m, head: m.CBOW(V, D, head), (BAGS, OFFSETS, CENTRE)),
    "subwords": (lambda m, head: m.SubwordSkipGram(V, 5, D, head), (BAGS, OFFSETS, AROUND)),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("inputs", INPUTS)
def test_like_torch(inputs, head):
    make, arrays = INPUTS[inputs]
    if head == "negative":
        arrays = (*arrays, DRAWN)

    def build(models, torch):
        model = make(models, HEADS[head](models))
        with torch.no_grad():  # zeros would hide what the inputs' gradient is
            model.head.out.weight.normal_(std=0.5)
            model.embedding.weight.normal_(std=0.5)
        return model

    check_model("word2vec", build, lambda model, torch, tensor: model(*map(tensor, arrays)))


def test_huffman_is_optimal_and_prefix_free():
    points, codes = word2vec.huffman(COUNTS)
    texts = ["".join(map(str, code)) for code in codes]
    assert len(set(texts)) == V
    assert not any(a != b and b.startswith(a) for a in texts for b in texts)
    assert sum(2.0 ** -len(text) for text in texts) == 1
    cost = sum(count * len(text) for count, text in zip(COUNTS, texts, strict=True))
    assert cost == sum(_inner(COUNTS))
    assert all(path[0] == V - 2 for path in points)
    assert all(len(path) == len(code) for path, code in zip(points, codes, strict=True))


def _inner(counts):
    """The counts of the inner nodes of an optimal tree, whose sum is its cost."""
    counts = sorted(counts)
    while len(counts) > 1:
        both = counts[0] + counts[1]
        yield both
        counts = sorted([both, *counts[2:]])


def test_huffman_needs_two_words():
    with pytest.raises(ValueError, match="2 words or more, got 1"):
        word2vec.huffman([3])


def test_hierarchical_softmax_is_a_probability():
    minigrad.manual_seed(0)
    head = word2vec.HierarchicalSoftmax(COUNTS, D)
    minigrad.nn.init.normal_(head.out.weight)
    h = minigrad.randn(1, D)
    losses = [head(h, minigrad.tensor([word])).item() for word in range(V)]
    assert sum(numpy.exp(-numpy.array(losses))) == pytest.approx(1, abs=1e-5)


def test_drawn_words_follow_the_counts():
    head = word2vec.NegativeSampling([1, 0, 16], 4)
    numpy.testing.assert_allclose(head.noise.numpy(), [1, 0, 8])
    minigrad.manual_seed(0)
    minigrad.nn.init.normal_(head.out.weight)
    h, word = minigrad.randn(5, 4), minigrad.tensor([0, 1, 2, 0, 2])
    losses = {head(h, word).item() for _ in range(5)}
    assert len(losses) > 1


@pytest.mark.parametrize("inputs", INPUTS)
def test_training_lowers_the_loss(inputs):
    make, arrays = INPUTS[inputs]
    minigrad.manual_seed(1)
    model = make(word2vec, word2vec.FullSoftmax(V, D))
    optimizer = minigrad.optim.Adam(model.parameters(), lr=0.1)
    tensors = [minigrad.tensor(x) for x in arrays]
    first = model(*tensors)
    for _ in range(60):
        loss = model(*tensors)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert first.item() == pytest.approx(numpy.log(V), rel=1e-4)
    assert loss.item() < 0.6 * first.item()
