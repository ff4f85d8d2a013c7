"""Taggers on torch and here, with every option; padding and letters."""

import numpy
import pytest
from model_checks import check_model

import minigrad
from minigrad.models import BiLSTMCRF, BiLSTMTagger, CharCNN, CharLSTM

DRAW = numpy.random.default_rng(0)
LENGTHS = numpy.array([3, 5, 1])
INSIDE = numpy.arange(5) < LENGTHS[:, None]
WORDS = DRAW.integers(1, 12, (3, 5)) * INSIDE
CAPS = DRAW.integers(1, 4, (3, 5)) * INSIDE
TAGS = DRAW.integers(0, 4, (3, 5)) * INSIDE
SPELLED = DRAW.integers(1, 7, (3, 5))  # letters of each word
CHARS = DRAW.integers(1, 9, (3, 5, 6)) * (numpy.arange(6) < SPELLED[..., None]) * INSIDE[..., None]
SIZES = {"embed_dim": 4, "hidden_size": 3, "num_chars": 9, "char_dim": 3, "char_features": 4}
VECTORS = DRAW.normal(size=(12, 5)).astype("float32") * (numpy.arange(12) > 0)[:, None]


def loss_of(model, torch, tensor):
    model.eval()
    lengths, chars, caps = tensor(LENGTHS), tensor(CHARS), tensor(CAPS)
    scores = model(tensor(WORDS), lengths, chars, caps)
    paths = model.decode(scores, lengths)
    assert [len(path) for path in paths] == LENGTHS.tolist()
    keep = tensor(INSIDE)
    return model.loss(scores, tensor(TAGS), lengths), (scores[keep], *map(tensor, paths))


@pytest.mark.parametrize("name", ["BiLSTMTagger", "BiLSTMCRF"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"characters": "cnn"},
        {"characters": "lstm"},
        {"num_caps": 4, "caps_dim": 2},
        {"characters": "cnn", "num_caps": 4, "num_layers": 2},
    ],
    ids=["plain", "cnn", "lstm", "caps", "cnn-caps-2"],
)
def test_taggers_on_torch(name, options):
    check_model("tagger", lambda m, torch: getattr(m, name)(12, 4, **SIZES, **options), loss_of)


@pytest.mark.parametrize("freeze", [False, True])
def test_pretrained_vectors_on_torch(freeze):
    def build(models, torch):
        vectors = torch.tensor(VECTORS)
        return models.BiLSTMCRF(12, 4, **SIZES, embeddings=vectors, freeze=freeze)

    check_model("tagger", build, loss_of)
    model = build(__import__("minigrad.models.tagger", fromlist=["*"]), minigrad)
    assert model.embedding.weight.requires_grad is not freeze
    numpy.testing.assert_array_equal(model.embedding.weight.detach().numpy(), VECTORS)


@pytest.mark.parametrize(("layer", "options"), [("CharCNN", {"dropout": 0.0}), ("CharLSTM", {})])
def test_letters_on_torch(layer, options):
    chars = CHARS.reshape(15, 6)[INSIDE.ravel()]

    def loss(model, torch, tensor):
        features = model(tensor(chars))
        return (features**2).sum(), (features,)

    check_model("tagger", lambda m, torch: getattr(m, layer)(9, 3, 4, **options), loss)


@pytest.mark.parametrize("layer", [CharCNN(9, 3, 4), CharLSTM(9, 3, 4)], ids=["cnn", "lstm"])
def test_padding_letters_have_no_effect(layer):
    layer.eval()
    word = minigrad.tensor([[3, 1, 4]])
    padded = minigrad.tensor([[3, 1, 4, 0, 0], [5, 5, 5, 5, 5], [0, 0, 0, 0, 0]])
    assert layer(word).shape == (1, layer.out_features)
    numpy.testing.assert_allclose(
        layer(padded)[:1].detach().numpy(), layer(word).detach().numpy(), rtol=1e-6
    )
    assert layer(padded).isfinite().all()


@pytest.mark.parametrize("kind", [BiLSTMTagger, BiLSTMCRF])
@pytest.mark.parametrize("characters", ["cnn", "lstm"])
def test_a_sentence_is_tagged_alike_alone_and_in_a_batch(kind, characters):
    minigrad.manual_seed(1)
    model = kind(12, 4, **SIZES, characters=characters, num_caps=4).eval()
    words, chars, caps = map(minigrad.tensor, (WORDS, CHARS, CAPS))
    lengths = minigrad.tensor(LENGTHS)
    scores = model(words, lengths, chars, caps)
    paths = model.decode(scores, lengths)
    for row, n in enumerate(LENGTHS.tolist()):
        part = slice(row, row + 1)
        alone = model(words[part, :n], lengths[part], chars[part, :n], caps[part, :n])
        numpy.testing.assert_allclose(
            alone[0].detach().numpy(), scores[row, :n].detach().numpy(), rtol=1e-4, atol=1e-6
        )
        assert model.decode(alone, lengths[part]) == [paths[row]]


def test_the_loss_is_a_mean_over_words():
    """Cross-entropy and a CRF without transitions are the same function."""
    minigrad.manual_seed(2)
    plain, crf = BiLSTMTagger(12, 4, **SIZES).eval(), BiLSTMCRF(12, 4, **SIZES).eval()
    crf.load_state_dict(plain.state_dict(), strict=False)
    for parameter in crf.crf.parameters():
        parameter.data.zero_()
    words, lengths, tags = map(minigrad.tensor, (WORDS, LENGTHS, TAGS))
    losses = [model.loss(model(words, lengths), tags, lengths).item() for model in (plain, crf)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_padding_rows_of_the_tables_stay_zero():
    model = BiLSTMCRF(12, 4, **SIZES, characters="cnn", num_caps=4)
    words, lengths, tags, chars, caps = map(minigrad.tensor, (WORDS, LENGTHS, TAGS, CHARS, CAPS))
    model.loss(model(words, lengths, chars, caps), tags, lengths).backward()
    for table in (model.embedding, model.characters.embedding, model.caps):
        assert (table.weight[0] == 0).all()
        assert (table.weight.grad[0] == 0).all()


def test_bad_input():
    words, lengths = minigrad.tensor(WORDS), minigrad.tensor(LENGTHS)
    with pytest.raises(ValueError, match="'cnn', 'lstm' or None, not 'rnn'"):
        BiLSTMTagger(12, 4, characters="rnn")
    with pytest.raises(ValueError, match="kernel_size must be odd, not 4"):
        CharCNN(9, kernel_size=4)
    with pytest.raises(ValueError, match=r"pass chars \(B, T, L\)"):
        BiLSTMTagger(12, 4, **SIZES, characters="cnn")(words, lengths)
    with pytest.raises(ValueError, match=r"pass caps \(B, T\)"):
        BiLSTMTagger(12, 4, **SIZES, num_caps=4)(words, lengths)
    model = BiLSTMTagger(12, 4, **SIZES)
    with pytest.raises(RuntimeError, match="greater than 0"):
        model(words, minigrad.tensor([3, 0, 1]))
    with pytest.raises(RuntimeError, match="empty"):
        model(words[:0], lengths[:0])
