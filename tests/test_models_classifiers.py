"""The text classifiers on torch and here, option by option; what they say about bad input."""

import numpy
import pytest
from model_checks import check_model, on_both

import minigrad as mg
from minigrad import models
from minigrad.text.ngrams import fnv1a, ngram_buckets

DRAW = numpy.random.default_rng(0)
IDS = DRAW.integers(1, 20, (4, 9))
LENGTHS = [9, 4, 1, 6]
for row, length in zip(IDS, LENGTHS, strict=True):
    row[length:] = 0
LABELS = [0, 2, 1, 2]
WORDS = mg.tensor(IDS)
VECTORS = DRAW.standard_normal((20, 6))
VECTORS[0] = 0


def check(name, build, *inputs, train=False):
    """The model on both sides, in evaluation mode unless it is to be in training."""

    def loss(model, torch, tensor):
        model.train(train)
        logits = model(*map(tensor, inputs))
        return torch.nn.functional.cross_entropy(logits, tensor(LABELS)), (logits,)

    check_model(name, build, loss)


@pytest.mark.parametrize(
    "options",
    [{}, {"embeddings": VECTORS}, {"embeddings": VECTORS, "freeze": True},
     {"embeddings": VECTORS, "multichannel": True}, {"kernel_sizes": (1, 2, 9)},
     {"wide": True, "kernel_sizes": (3, 12)}],
)  # fmt: skip
def test_textcnn(options):
    def build(m, torch):
        given = dict(options)
        if "embeddings" in given:
            given["embeddings"] = torch.tensor(VECTORS, dtype=torch.float32)
        return m.TextCNN(20, 3, embed_dim=6, num_filters=5, **given)

    check("textcnn", build, IDS)


def test_wide_textcnn_tells_where_a_text_begins():
    narrow, wide = (
        models.TextCNN(20, 3, num_filters=5, wide=wide).eval() for wide in (False, True)
    )
    for conv in narrow.convs:
        mg.nn.init.zeros_(conv.bias)  # so that windows of nothing but padding give 0
    wide.load_state_dict(narrow.state_dict())
    front, back = (
        mg.tensor([row]) for row in ([[0] * 6 + [7, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 7]])
    )
    assert wide(mg.tensor([[7]])).shape == (1, 3)  # a text of one word needs no padding
    inside = wide(front)
    mg.testing.assert_close(wide(mg.tensor([[7]])), inside)  # it is seen at every place of a filter
    assert not mg.allclose(narrow(back), inside)  # which the narrow one, at a text's edge, does not


def test_textcnn_channels_are_filtered_apart_and_summed():
    torch = pytest.importorskip("torch")
    model = models.TextCNN(20, 3, num_filters=5, embeddings=mg.tensor(VECTORS), multichannel=True)
    model.double().eval()
    with mg.no_grad():
        model.embedding.weight.mul_(1.5)  # the trained copy has moved
    maps = []
    for conv in model.convs:
        weight, bias = (torch.tensor(p.numpy(force=True)) for p in (conv.weight, conv.bias))
        both = [
            torch.nn.functional.conv1d(
                torch.tensor(table.weight.numpy(force=True))[torch.tensor(IDS)].mT, weight
            )
            for table in (model.embedding, model.static)
        ]
        maps.append(torch.relu(both[0] + both[1] + bias[:, None]).amax(2))
    found = model(mg.tensor(IDS))
    expected = torch.nn.functional.linear(
        torch.cat(maps, 1),
        *(torch.tensor(p.numpy(force=True)) for p in (model.fc.weight, model.fc.bias)),
    )
    numpy.testing.assert_allclose(found.numpy(force=True), expected.numpy(), rtol=1e-12)
    assert not model.static.weight.requires_grad and model.embedding.weight.requires_grad


@pytest.mark.parametrize("conv", ["1d", "2d"])
@pytest.mark.parametrize("given", [False, True])
def test_sentimentcnn(conv, given):
    def build(m, torch):
        vectors = torch.tensor(VECTORS, dtype=torch.float32) if given else None
        return m.SentimentCNN(20, 3, 6, 5, vectors=vectors, conv=conv)

    check("sentimentcnn", build, IDS)


def test_sentimentcnn_in_one_and_two_dimensions_is_the_same_sum():
    one = models.SentimentCNN(20, 3, 6, 5, conv="1d").eval()
    two = models.SentimentCNN(20, 3, 6, 5, conv="2d").eval()
    state = one.state_dict()
    for key in state:
        if key.startswith("convs") and key.endswith("weight"):
            state[key] = state[key].transpose(1, 2).unsqueeze(1)  # (F, D, k) -> (F, 1, k, D)
    two.load_state_dict(state)
    numpy.testing.assert_allclose(
        one(mg.tensor(IDS)).numpy(force=True), two(mg.tensor(IDS)).numpy(force=True), atol=1e-5
    )


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("options", [{}, {"batch_norm": False}, {"hidden_sizes": ()}])
def test_textmlp(options, train):
    counts = DRAW.integers(0, 3, (4, 12)).astype(float)
    check("textmlp", lambda m, _: m.TextMLP(12, 3, **{"hidden_sizes": (7, 5), "dropout": 0.0} | options),
          counts, train=train)  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"batch_norm": True}, {"freeze": True}])
def test_average(options):
    def build(m, torch):
        given = torch.tensor(VECTORS, dtype=torch.float32) if "freeze" in options else None
        return m.AverageMLP(20, 3, 6, (7,), 0.0, 0.0, embeddings=given, **options)

    check("textmlp", build, IDS, train=True)


def test_average_leaves_padding_out():
    model = models.AverageMLP(20, 3, 6).eval()
    short, wide = mg.tensor([[3, 4]]), mg.tensor([[3, 4, 0, 0, 0]])
    numpy.testing.assert_allclose(
        model(short).numpy(force=True), model(wide).numpy(force=True), rtol=1e-5
    )


def test_average_drops_words_in_training_only():
    model = models.AverageMLP(20, 3, 6, (), 0.0, word_dropout=0.5)
    model.fc.bias.data.zero_()
    outputs = {tuple(model(mg.tensor([[3, 4]])).tolist()[0]) for _ in range(40)}
    one, other, both, none = (
        tuple(model.eval()(mg.tensor([ids])).tolist()[0])
        for ids in ([3, 0], [0, 4], [3, 4], [0, 0])
    )
    near = lambda a, b: numpy.allclose(a, b, rtol=1e-4, atol=1e-7)
    kinds = (one, other, both, none)
    assert all(any(near(found, kind) for kind in kinds) for found in outputs)
    assert all(any(near(found, kind) for found in outputs) for kind in kinds)


def test_fasttext():
    ids, offsets = [3, 4, 5, 5, 1, 2, 9, 7, 7], [0, 3, 4, 4]
    check("fasttext", lambda m, _: m.FastText(12, 3, 5), ids, offsets)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("pooling", ["last", "max", "mean", "kmax", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_rnn_classifier(cell, pooling, bidirectional):
    def build(m, _):
        return m.RNNClassifier(
            20, 3, cell, 5, 4, bidirectional=bidirectional, pooling=pooling, dropout=0.0
        )

    check("rnn_classifier", build, IDS, LENGTHS, train=True)


def test_rnn_classifier_layers_and_vectors():
    def build(m, torch):
        given = torch.tensor(VECTORS, dtype=torch.float32)
        return m.RNNClassifier(20, 3, num_layers=2, hidden_size=4, embeddings=given, freeze=True)

    check("rnn_classifier", build, IDS, LENGTHS)


@pytest.mark.parametrize("pooling", ["last", "max", "mean", "kmax", "attention"])
def test_what_stands_after_a_text_has_no_effect(pooling):
    model = models.RNNClassifier(20, 3, hidden_size=4, bidirectional=True, pooling=pooling).eval()
    alone = model(mg.tensor(IDS[1:2, :4]), mg.tensor([4]))
    rubbish = IDS.copy()
    rubbish[1, 4:] = 7
    among = model(mg.tensor(rubbish), mg.tensor(LENGTHS))[1:2]
    numpy.testing.assert_allclose(
        alone.numpy(force=True), among.numpy(force=True), rtol=1e-5, atol=1e-6
    )


def test_k_max_keeps_the_order_of_time():
    model = models.RNNClassifier(20, 3, hidden_size=2, pooling="kmax", k=2)
    out = mg.tensor([[[1.0, 9.0], [5.0, 0.0], [3.0, 4.0]], [[-2.0, -3.0], [0.0, 0.0], [0.0, 0.0]]])
    lengths = mg.tensor([3, 1])
    mask = (mg.arange(3) < lengths.unsqueeze(1)).unsqueeze(2)
    assert model.pool(out, mask, lengths).tolist() == [[5, 9, 3, 4], [-2, -3, 0, 0]]
    one = mg.tensor([1, 1])  # a batch of fewer than k words
    assert model.pool(out[:, :1], mask[:, :1], one).tolist() == [[1, 9, 0, 0], [-2, -3, 0, 0]]


def test_dropout_of_word_vectors_in_training_only():
    model = models.TextCNN(20, 3, 6, num_filters=4, dropout=0.0, embed_dropout=0.5)
    model.embedding.weight.data.fill_(1.0)
    taken = []
    model.convs[0].register_forward_hook(lambda _, inputs, __: taken.append(inputs[0]))
    model(WORDS)
    model.eval()(WORDS)
    trained, evaluated = (set(x.flatten().tolist()) for x in taken)
    assert trained == {0.0, 2.0} and evaluated == {1.0}  # scaled by 1 / (1 - 0.5)


def test_several_labels_a_text():
    ours, theirs = on_both("textcnn")
    torch = pytest.importorskip("torch")
    model, other = ours.TextCNN(20, 3, 6, num_filters=4), theirs.TextCNN(20, 3, 6, num_filters=4)
    other.load_state_dict({k: torch.tensor(v.numpy()) for k, v in model.state_dict().items()})
    holds = [[1.0, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]]
    ours, theirs = (
        t.nn.BCEWithLogitsLoss()(m.eval()(t.tensor(IDS)), t.tensor(holds))
        for t, m in ((mg, model), (torch, other))
    )
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


BAD = {
    "shorter than the widest filter": (
        lambda: models.TextCNN(20, 3)(WORDS[:, :4]), ValueError, "widest filter, 5: pad them"),
    "too short for filters of two": (
        lambda: models.SentimentCNN(20, 3, kernel_sizes=(2,))(WORDS[:, :1]), ValueError, "pad them to 2"),
    "an id out of the vocabulary": (
        lambda: models.TextCNN(20, 3)(WORDS + 15), IndexError, r"the table has 20 rows \(ids 0 to 19\)"),
    "a bucket out of the table": (
        lambda: models.FastText(5, 3)(mg.tensor([9]), mg.tensor([0])), IndexError, "5 rows"),
    "counts with another vocabulary": (
        lambda: models.TextMLP(12, 3)(mg.zeros(2, 11)), ValueError, r"12 words.*\(2, 11\)"),
    "a text of length 0": (
        lambda: models.RNNClassifier(20, 3)(WORDS, mg.tensor([9, 4, 0, 6])), ValueError,
        "at least one word.*one unknown word"),
    "an empty batch": (
        lambda: models.RNNClassifier(20, 3)(WORDS[:0], mg.tensor([], dtype=mg.int64)), ValueError,
        "a batch at least one text"),
    "a length beyond the batch's width": (
        lambda: models.RNNClassifier(20, 3)(WORDS, mg.tensor([9, 4, 10, 6])), RuntimeError,
        "length of 10 exceeds the padded length 9"),
    "a label out of range": (
        lambda: mg.nn.functional.cross_entropy(models.TextCNN(20, 3)(WORDS), mg.tensor([0, 1, 2, 3])),
        IndexError, "there are 3 classes"),
    "two channels without vectors": (
        lambda: models.TextCNN(20, 3, multichannel=True), ValueError, "pass embeddings="),
    "an unknown cell": (lambda: models.RNNClassifier(20, 3, "lst"), ValueError, "rnn, lstm, gru"),
    "an unknown pooling": (
        lambda: models.RNNClassifier(20, 3, pooling="sum"), ValueError, "last, max, mean, kmax"),
    "no largest value": (lambda: models.RNNClassifier(20, 3, k=0), ValueError, "at least 1"),
    "an unknown kind of convolution": (
        lambda: models.SentimentCNN(20, 3, conv="3d"), ValueError, "'1d' or '2d'"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_plain_words(what):
    call, kind, message = BAD[what]
    with pytest.raises(kind, match=message):
        call()


def test_fnv_hashes():
    # isthe.com/chongo/src/fnv/test_fnv.c: the 32-bit FNV-1a test vectors of "", "a", "foobar"
    assert [fnv1a(text) for text in ("", "a", "foobar")] == [0x811C9DC5, 0xE40C292C, 0xBF9CF968]


def test_fnv_hashes_as_fasttext_does():
    gensim = pytest.importorskip("gensim.models.fasttext_inner")
    texts = ["film", "é", "naïve café", "日本", ""]
    for text in texts:
        expected = gensim.ft_hash_bytes(text.encode("utf-8"))
        assert fnv1a(text) == expected, text


def test_ngrams():
    words = "a very good film".split()
    assert ngram_buckets(words, 1) == [] and len(ngram_buckets(words, 2)) == 3
    found = ngram_buckets(words, 3, 1000)
    assert len(found) == 5 and all(0 <= bucket < 1000 for bucket in found)
    assert (
        found[0] == ngram_buckets(["a", "very"], 2, 1000)[0]
    )  # bigram, then trigram, of each word
    assert found[2] == ngram_buckets(["very", "good"], 2, 1000)[0]
    assert ngram_buckets(["very", "a"], 2, 10**6) != ngram_buckets(["a", "very"], 2, 10**6)
    # by fastText's own arithmetic: int32 hashes, uint64 sums
    h = numpy.array([fnv1a(w) for w in words[:2]], numpy.uint32).view(numpy.int32)
    h = h.astype(numpy.uint64)
    with numpy.errstate(over="ignore"):
        bucket = (h[0] * numpy.uint64(116049371) + h[1]) % numpy.uint64(2_000_000)
    assert ngram_buckets(words[:2]) == [int(bucket)]
    with pytest.raises(ValueError, match="n must be at least 1"):
        ngram_buckets(words, 0)
    with pytest.raises(ValueError, match="at least one bucket"):
        ngram_buckets(words, 2, 0)
