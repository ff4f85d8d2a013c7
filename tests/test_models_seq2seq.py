"""Recurrent encoder-decoders on torch and here; masks, teacher forcing, steps, errors."""

import numpy
import pytest
from model_checks import check_model, on_both

import minigrad
from minigrad.models.decoding import greedy
from minigrad.models.seq2seq import Seq2Seq

draw = numpy.random.default_rng(0)
SOURCE = draw.integers(1, 9, (3, 5))
SOURCE[1, 3:] = 0
SOURCE[2, 1:] = 0
TARGET = draw.integers(1, 11, (3, 4))
FOLLOWING = draw.integers(1, 11, (3, 4))
FOLLOWING[1, 2:] = 0

VARIANTS = {
    "sutskever_lstm": dict(cell="lstm", bidirectional=False, num_layers=2),
    "gru_both_ways": dict(num_layers=2),
    "lstm_both_ways": dict(cell="lstm"),
    "cho_gru": dict(context=True, bidirectional=False),
    "cho_lstm_maxout": dict(context=True, cell="lstm", readout=6, tied=True),
    "bahdanau_gru": dict(attention="bahdanau"),
    "bahdanau_lstm_maxout": dict(attention="bahdanau", cell="lstm", num_layers=2, readout=4),
    "luong_dot": dict(attention="dot", bidirectional=False, cell="lstm"),
    "luong_general": dict(attention="general"),
    "luong_concat": dict(attention="concat", num_layers=2),
    "luong_general_fed": dict(attention="general", input_feeding=True, cell="lstm"),
    "luong_concat_fed": dict(attention="concat", input_feeding=True, tied=True, readout=6),
}


def build(**options):
    return Seq2Seq(9, 11, embed_dim=6, hidden_size=5, **options)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_on_torch(variant):
    def loss(model, torch, tensor):
        model.eval()
        features, weights = model.features(tensor(SOURCE), tensor(TARGET))
        logits = model.logits(features)
        value = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), tensor(FOLLOWING).flatten(), ignore_index=0
        )
        return value, (logits,) if weights is None else (logits, weights)

    def make(models, torch):
        options = dict(VARIANTS[variant], init_range=0.5)
        return models.Seq2Seq(9, 11, embed_dim=6, hidden_size=5, **options)

    check_model("seq2seq", make, loss)


@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_changes_nothing_and_gets_no_attention(variant):
    model = build(**VARIANTS[variant], init_range=0.5).double().eval()
    source, target = minigrad.tensor(SOURCE), minigrad.tensor(TARGET)
    features, weights = model.features(source, target)
    for row, length in ((0, 5), (1, 3), (2, 1)):
        alone, _ = model.features(source[row : row + 1, :length], target[row : row + 1])
        numpy.testing.assert_allclose(
            features[row].numpy(force=True), alone[0].numpy(force=True), rtol=1e-12, atol=1e-14
        )
        if weights is not None:
            found = weights[row].numpy(force=True)
            assert (found[:, length:] == 0).all()
            numpy.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_call_over_the_target_equals_step_by_step(variant):
    model = build(**VARIANTS[variant], init_range=0.5).double().eval()
    source, target = minigrad.tensor(SOURCE), minigrad.tensor(TARGET)
    expected = model(source, target).log_softmax(2).numpy(force=True)
    state = model.start(source)
    for t in range(target.shape[1]):
        found, state = model.step(target[:, t], state)
        numpy.testing.assert_allclose(
            found.numpy(force=True), expected[:, t], rtol=1e-10, atol=1e-12
        )


def test_without_teacher_forcing_the_model_sees_its_own_words():
    model = build(attention="general", init_range=0.5).eval()
    source = minigrad.tensor(SOURCE)
    own = greedy(model.step, model.start(source), 3, 2, 10, max_length=4)
    target = minigrad.tensor([[2, 5, 5, 5]] * 3)  # only the first word is looked at
    words = model(source, target, teacher_forcing=0.0).argmax(2).tolist()
    for row, hypothesis in zip(words, own, strict=True):
        assert row[: len(hypothesis.tokens)] == hypothesis.tokens


@pytest.mark.parametrize("attention", [None, "bahdanau", "general"])
def test_mixed_teacher_forcing_draws_as_torch_does(attention):
    torch = pytest.importorskip("torch")
    ours, theirs = on_both("seq2seq")
    found = []
    for models, library in ((ours, minigrad), (theirs, torch)):
        library.manual_seed(3)
        model = models.Seq2Seq(
            9, 11, embed_dim=6, hidden_size=5, attention=attention, init_range=0.5
        )
        source, target = library.tensor(SOURCE), library.tensor(TARGET)
        logits = model(source, target, teacher_forcing=0.5)
        logits.sum().backward()
        found.append((logits, model.decoder.rnn.weight_hh_l0.grad))
    for a, b in zip(*found, strict=True):
        numpy.testing.assert_allclose(
            a.numpy(force=True), b.numpy(force=True), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("variant", ["sutskever_lstm", "bahdanau_gru", "luong_general_fed"])
def test_searches_find_the_same_sentences_on_torch(variant):
    torch = pytest.importorskip("torch")
    found = []
    weights = None
    for index, library in enumerate((torch, minigrad)):
        models, search = on_both("seq2seq")[1 - index], on_both("decoding")[1 - index]
        library.manual_seed(0)
        model = models.Seq2Seq(
            9, 11, embed_dim=6, hidden_size=5, **VARIANTS[variant], init_range=1.0
        )
        model = model.double().eval()
        if weights is None:
            weights = {k: v.numpy() for k, v in model.state_dict().items()}
        model.load_state_dict({k: library.tensor(v) for k, v in weights.items()})
        state = lambda: model.start(library.tensor(SOURCE))
        with library.no_grad():
            best = search.beam_search(model.step, state(), 3, 2, 3, beam=4, max_length=9, best=4)
            first = search.greedy(model.step, state(), 3, 2, 3, max_length=9)
        found.append([h for hypotheses in best for h in hypotheses] + first)
    for theirs, ours in zip(*found, strict=True):
        assert ours.tokens == theirs.tokens
        assert ours.log_prob == pytest.approx(theirs.log_prob, rel=1e-9)


def test_the_fast_path_is_one_call_of_the_recurrent_layer():
    for options, calls in (
        (dict(attention="general"), 1),
        (dict(attention="concat"), 1),
        (dict(), 1),
        (dict(context=True), 1),
        (dict(attention="bahdanau"), 4),
        (dict(attention="general", input_feeding=True), 4),
    ):
        model = build(**options)
        count = []
        model.decoder.rnn.register_forward_hook(lambda *_: count.append(1))
        model(minigrad.tensor(SOURCE), minigrad.tensor(TARGET))
        assert len(count) == calls, options


def test_tied_embeddings_are_one_parameter_with_both_gradients():
    model = build(attention="general", tied=True, readout=6)
    assert model.output.weight is model.embedding.weight
    assert "output.weight" not in dict(model.named_parameters())
    assert (model.embedding.weight[0].numpy(force=True) == 0).all()


@pytest.mark.parametrize(
    "options, message",
    [
        (
            dict(attention="dot"),
            "dot attention: decoder states have 5 numbers and encoder outputs 10",
        ),
        (dict(attention="none"), "attention must be one of bahdanau, concat, dot, general"),
        (dict(cell="rnn"), "cell must be one of lstm, gru"),
        (dict(context=True, attention="dot"), "context=True is for a decoder without attention"),
        (dict(input_feeding=True), "input_feeding needs attention"),
        (dict(attention="bahdanau", input_feeding=True), "input_feeding needs attention"),
        (dict(tied=True), "tied embeddings need 6 numbers .* not 5: set readout=6"),
    ],
)
def test_options_that_contradict(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_sources_and_targets_that_cannot_be():
    model = build(attention="general")
    target = minigrad.tensor([[2, 3]])
    for source, message in (
        (minigrad.tensor([[0, 0]]), "row 0 of the source is empty"),
        (minigrad.tensor([[3, 0, 4]]), "padding may only stand at the end"),
        (minigrad.zeros(0, 3, dtype=minigrad.int64), "expected ids"),
        (minigrad.tensor([3, 4]), r"expected ids \(B, S\), got shape \(2,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            model.encode(source)
    with pytest.raises(ValueError, match=r"expected target ids \(1, T\)"):
        model(minigrad.tensor([[3, 4]]), minigrad.tensor([[2], [2]]))
    with pytest.raises(ValueError, match="teacher_forcing must be from 0 to 1"):
        model(minigrad.tensor([[3, 4]]), target, teacher_forcing=1.5)
    with pytest.raises(ValueError, match="without attention has no weights"):
        build().align(minigrad.tensor([[3, 4]]), target)
    with pytest.raises(IndexError):
        model(minigrad.tensor([[30, 4]]), target)
