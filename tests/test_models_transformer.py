"""The Transformer on torch and here; nn.Transformer's numbers, masks, the cache, positions, errors."""

import math

import numpy
import pytest
from model_checks import check_model, on_both

import minigrad
from minigrad.models.decoding import beam_search, greedy
from minigrad.models.multihead import MultiHeadAttention, look_back
from minigrad.models.positions import LearnedPositions, SinusoidalPositions, sinusoids
from minigrad.models.transformer import Transformer

draw = numpy.random.default_rng(0)
SOURCE = draw.integers(1, 11, (3, 5))
SOURCE[1, 3:] = 0
SOURCE[2, 1:] = 0
TARGET = draw.integers(1, 11, (3, 4))
FOLLOWING = draw.integers(1, 11, (3, 4))
FOLLOWING[1, 2:] = 0

SIZES = dict(d_model=6, heads=2, layers=2, feedforward=7, max_length=9)
VARIANTS = {
    "paper": dict(tied=True, shared=True),
    "nothing_shared": dict(layers=1),
    "tied": dict(tied=True, layers=1),
    "shared": dict(shared=True, layers=1),
    "norm_first": dict(norm_first=True),
    "learned": dict(positions="learned"),
    "norm_first_learned_paper": dict(
        norm_first=True, positions="learned", tied=True, shared=True
    ),
    "one_head_one_layer": dict(heads=1, layers=1),
    "with_dropout_in_eval": dict(layers=1, dropout=0.3, inner_dropout=0.2),
}  # fmt: skip


def build(models=None, **options):
    cls = Transformer if models is None else models.Transformer
    return cls(11, 11, **SIZES | dict(dropout=0.0) | options)


def as_array(x):
    return x.numpy(force=True)


def close(a, b, rtol=1e-10, atol=1e-12):
    numpy.testing.assert_allclose(as_array(a), as_array(b), rtol=rtol, atol=atol)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_on_torch(variant):
    def loss(model, torch, tensor):
        model.eval()
        logits = model(tensor(SOURCE), tensor(TARGET))
        value = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), tensor(FOLLOWING).flatten(), ignore_index=0, label_smoothing=0.1
        )
        weights = model.attentions(tensor(SOURCE), tensor(TARGET))
        return value, (logits, *weights.source, *weights.target, *weights.cross)

    check_model("transformer", lambda models, _: build(models, **VARIANTS[variant]), loss)


def test_dropout_stands_where_the_paper_and_its_code_have_it():
    model = build(dropout=0.3, inner_dropout=0.2)
    rates = {
        name: module.p
        for name, module in model.named_modules()
        if isinstance(module, minigrad.nn.Dropout)
    }
    outer = {name for name in rates if "around_" in name or ".inputs." in name}
    assert len(outer) == 2 + 2 * (2 + 3)  # inputs, and every sub-layer of two layers
    assert all(rate == (0.3 if name in outer else 0.2) for name, rate in rates.items())
    source, target = minigrad.tensor(SOURCE), minigrad.tensor(TARGET)
    for options, changes in (
        (dict(), False),
        (dict(dropout=0.3), True),
        (dict(inner_dropout=0.2), True),
    ):
        model = build(**options)
        assert (as_array(model(source, target)) != as_array(model(source, target))).any() == changes
        model.eval()
        assert (as_array(model(source, target)) == as_array(model(source, target))).all()
    attention = MultiHeadAttention(6, 2, dropout=0.5)  # of the weights, in both ways alike
    keys, values = attention.keys_and_values(minigrad.randn(1, 400, 6))
    values = minigrad.ones(1, 2, 400, 3)
    with minigrad.no_grad():
        attention.out.weight.copy_(minigrad.eye(6))
        attention.out.bias.zero_()
    for want_weights in (False, True):
        found, _ = attention(minigrad.randn(1, 50, 6), keys, values, want_weights=want_weights)
        assert as_array(found).mean() == pytest.approx(1, abs=0.02)
        assert 0.01 < as_array(found).std() < 0.2


# -- nn.Transformer --------------------------------------------------------------------------------


def copy_layer(ours, theirs, cross):
    """Our layer's weights into nn.Transformer's."""
    attentions = [(ours.attention, theirs.self_attn)]
    norms = [ours.around_attention.norm, ours.around_feedforward.norm]
    if cross:
        attentions.append((ours.cross_attention, theirs.multihead_attn))
        norms.insert(1, ours.around_cross_attention.norm)
    pairs = [
        (ours.feedforward.linear1, theirs.linear1),
        (ours.feedforward.linear2, theirs.linear2),
        *[(norm, getattr(theirs, f"norm{i}")) for i, norm in enumerate(norms, start=1)],
    ]
    for mine, other in attentions:
        parts = mine.query, mine.key, mine.value
        other.in_proj_weight.copy_(minigrad.cat([part.weight for part in parts]))
        other.in_proj_bias.copy_(minigrad.cat([part.bias for part in parts]))
        pairs.append((mine.out, other.out_proj))
    for mine, other in pairs:
        other.weight.copy_(mine.weight)
        other.bias.copy_(mine.bias)


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_numbers_are_those_of_nn_transformer(norm_first):
    ours = build(norm_first=norm_first).double().eval()
    theirs = minigrad.nn.Transformer(
        6, 2, 2, 2, 7, 0.0, batch_first=True, norm_first=norm_first, dtype=minigrad.float64
    )
    theirs.eval()
    with minigrad.no_grad():
        for parameter in ours.parameters():
            parameter.normal_(0.0, 0.5)  # biases and norms too
        for mine, other, cross in (
            (ours.encoder, theirs.encoder, False),
            (ours.decoder, theirs.decoder, True),
        ):
            for a, b in zip(mine.layers, other.layers, strict=True):
                copy_layer(a, b, cross)
            if norm_first:
                other.norm.weight.copy_(mine.norm.weight)
                other.norm.bias.copy_(mine.norm.bias)
            else:
                other.norm = None  # the paper has none behind norms that come last
        source, target = minigrad.tensor(SOURCE), minigrad.tensor(TARGET)
        inputs = lambda part, ids: part.inputs(part.embedding(ids))
        features = theirs(
            inputs(ours.encoder, source),
            inputs(ours.decoder, target),
            tgt_mask=minigrad.nn.Transformer.generate_square_subsequent_mask(4),
            src_key_padding_mask=source == 0,
            memory_key_padding_mask=source == 0,
        )
        close(ours(source, target), ours.output(features))


# -- masks and the cache ---------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_changes_nothing_and_gets_no_attention(variant):
    model = build(**VARIANTS[variant]).double().eval()
    source, target = minigrad.tensor(SOURCE), minigrad.tensor(TARGET)
    logits, weights = model(source, target), model.attentions(source, target)
    for row, length in ((0, 5), (1, 3), (2, 1)):
        alone = model(source[row : row + 1, :length], target[row : row + 1])
        close(logits[row], alone[0])
        for layer in (*weights.source, *weights.cross):
            assert (as_array(layer)[row, :, :, length:] == 0).all()
    for layer in (*weights.source, *weights.target, *weights.cross):
        numpy.testing.assert_allclose(as_array(layer).sum(3), 1, rtol=1e-12)
    padded = minigrad.cat([target, minigrad.zeros(3, 2, dtype=minigrad.int64)], dim=1)
    close(model(source, padded)[:, :4], logits)


@pytest.mark.parametrize("variant", ["paper", "norm_first", "learned"])
def test_no_word_is_seen_before_its_time(variant):
    model = build(**VARIANTS[variant]).double().eval()
    source, target = minigrad.tensor(SOURCE), minigrad.tensor(TARGET)
    before = as_array(model(source, target))
    for t in range(1, 4):
        changed = target.clone()
        changed[:, t] = (target[:, t] + 3) % 10 + 1
        after = as_array(model(source, changed))
        numpy.testing.assert_array_equal(after[:, :t], before[:, :t])
        assert (abs(after[:, t:] - before[:, t:]).max(2) > 1e-6).all()
    for layer in model.attentions(source, target).target:
        assert (as_array(layer).transpose(2, 3, 0, 1)[numpy.triu_indices(4, 1)] == 0).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_word_by_word_with_the_cache_equals_one_call(variant):
    model = build(**VARIANTS[variant]).double().eval()
    source, target = minigrad.tensor(SOURCE), minigrad.tensor(TARGET)
    expected = model(source, target)
    state = model.start(source)
    for t in range(4):
        found, state = model.step(target[:, t], state)
        close(found, expected[:, t].log_softmax(1))
    heads = model.decoder.layers[0].attention.heads
    assert [cache.keys.shape for cache in state[0]] == [(3, heads, 4, 6 // heads)] * len(
        model.decoder.layers
    )


def test_several_words_after_those_in_the_cache():
    model = build().double().eval()
    source, target = minigrad.tensor(SOURCE), minigrad.tensor(TARGET)
    memory, mask, _ = model.encode(source)
    first, caches, _, _ = model.decoder(target[:, :2], model.decoder.start(memory), mask)
    for want_weights in (False, True):
        rest, _, own, _ = model.decoder(target[:, 2:], caches, mask, want_weights)
        close(model.output(minigrad.cat([first, rest], dim=1)), model(source, target))
    assert own[0].shape == (3, 2, 2, 4)
    assert (as_array(own[0])[:, :, 0, 3] == 0).all()
    assert look_back(2, 1).tolist() == [[True, True, False], [True, True, True]]


def test_align_is_the_mean_of_the_last_layer_s_heads():
    model = build().double().eval()
    source, target = minigrad.tensor(SOURCE), minigrad.tensor(TARGET)
    last = as_array(model.attentions(source, target).cross[1])
    numpy.testing.assert_allclose(as_array(model.align(source, target)), last.mean(1))


# -- attention, positions, where training starts ---------------------------------------------------


def test_attention_by_its_formula():
    attention = MultiHeadAttention(6, 3).double()
    x, words = minigrad.randn(2, 4, 6).double(), minigrad.randn(2, 5, 6).double()
    q, k, v = (
        as_array(layer(part))
        for layer, part in zip(
            (attention.query, attention.key, attention.value), (x, words, words), strict=True
        )
    )
    heads = []
    for a in range(3):
        part = slice(2 * a, 2 * a + 2)
        scores = q[:, :, part] @ k[:, :, part].transpose(0, 2, 1) / math.sqrt(2)
        weights = numpy.exp(scores) / numpy.exp(scores).sum(2, keepdims=True)
        heads.append(weights @ v[:, :, part])
    expected = attention.out(minigrad.tensor(numpy.concatenate(heads, axis=2)))
    for want_weights in (False, True):
        found, _ = attention(x, *attention.keys_and_values(words), want_weights=want_weights)
        close(found, expected)
    with pytest.raises(ValueError, match="a width of 6 can't be shared by 4 heads"):
        MultiHeadAttention(6, 4)


def test_sinusoids_by_their_formula():
    found = sinusoids(3, 40, 8).numpy()
    for p in (3, 17, 42):
        for i in range(4):
            angle = p / 10000 ** (2 * i / 8)
            assert found[p - 3, 2 * i] == pytest.approx(math.sin(angle), abs=1e-12)
            assert found[p - 3, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-12)
    x = minigrad.randn(2, 3, 8)
    moved = SinusoidalPositions(8)(x, first=3)
    assert moved.dtype == minigrad.float32
    close(moved - x, minigrad.tensor(found[:3]).expand(2, 3, 8), 1e-5, 1e-6)
    with pytest.raises(ValueError, match="the width must be even, not 5"):
        SinusoidalPositions(5)


def test_learned_positions_end():
    positions = LearnedPositions(4, 5)
    x = minigrad.zeros(1, 2, 4)
    close(positions(x, first=3)[0], positions.table.weight[3:5])
    with pytest.raises(
        ValueError, match="there are 5 positions, and the text has 6 .*max_length=6"
    ):
        positions(x, first=4)
    with pytest.raises(ValueError, match="there are 4 positions, and the text has 5 words"):
        build(positions="learned", max_length=4)(minigrad.tensor(SOURCE), minigrad.tensor(TARGET))


def test_words_and_matrices_start_as_they_should():
    minigrad.manual_seed(0)
    model = Transformer(500, 400, d_model=64, heads=4, layers=1, feedforward=128, tied=True)
    for table in (model.embedding, model.encoder.embedding):
        weight = as_array(table.weight)
        assert (weight[0] == 0).all()
        assert weight[1:].std() == pytest.approx(1 / 8, rel=0.02)
    weight = as_array(model.encoder.layers[0].feedforward.linear1.weight)
    bound = math.sqrt(6 / (64 + 128))
    assert abs(weight).max() <= bound and weight.std() == pytest.approx(bound / 3**0.5, rel=0.03)
    assert (as_array(model.output.bias) == 0).all()
    words = model.encoder.embedding(minigrad.tensor([[3, 4]])) * 8  # sqrt(64)
    model.encoder.inputs.eval()
    expected = words + sinusoids(0, 2, 64).to(words.dtype)
    close(model.encoder.inputs(model.encoder.embedding(minigrad.tensor([[3, 4]]))), expected)


def test_tables_are_shared_as_asked():
    count = lambda **options: sum(p.numel() for p in build(**options).parameters())
    table = 11 * 6
    assert count() - count(tied=True) == table
    assert count() - count(shared=True) == table
    assert count() - count(tied=True, shared=True) == 2 * table
    model = build(tied=True, shared=True)
    assert model.output.weight is model.embedding.weight is model.encoder.embedding.weight


# -- searches, and what is learned -----------------------------------------------------------------


def test_greedy_is_a_beam_of_one_and_both_are_torch_s():
    torch = pytest.importorskip("torch")
    found, weights = [], None
    for index, library in enumerate((torch, minigrad)):
        models, search = on_both("transformer")[1 - index], on_both("decoding")[1 - index]
        library.manual_seed(0)
        model = build(models).double().eval()
        if weights is None:
            weights = {k: v.numpy() * 3 for k, v in model.state_dict().items()}
        model.load_state_dict({k: library.tensor(v) for k, v in weights.items()})
        state = lambda: model.start(library.tensor(SOURCE))
        with library.no_grad():
            first = search.greedy(model.step, state(), 3, 2, 3, max_length=9)
            alone = search.beam_search(model.step, state(), 3, 2, 3, beam=1, max_length=9)
            best = search.beam_search(model.step, state(), 3, 2, 3, beam=4, max_length=9, best=4)
        assert [h.tokens for h in first] == [h.tokens for (h,) in alone]
        found.append([h for hypotheses in best for h in hypotheses] + first)
    for theirs, ours in zip(*found, strict=True):
        assert ours.tokens == theirs.tokens
        assert ours.log_prob == pytest.approx(theirs.log_prob, rel=1e-9)


@pytest.mark.slow
def test_copying_is_learned():
    minigrad.manual_seed(0)
    numbers = numpy.random.default_rng(1)
    model = Transformer(
        12, 12, d_model=32, heads=2, layers=1, feedforward=64, dropout=0.0, tied=True, shared=True
    )
    optimizer = minigrad.optim.Adam(model.parameters(), 5e-3, betas=(0.9, 0.98), eps=1e-9)
    schedule = minigrad.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, 300)
    bos, eos = 1, 2
    some = lambda count: numbers.integers(3, 12, (count, 6))
    for _ in range(300):
        words = some(64)
        inputs = minigrad.tensor(numpy.insert(words, 0, bos, axis=1))
        following = minigrad.tensor(numpy.insert(words, 6, eos, axis=1))
        logits = model(minigrad.tensor(words), inputs)
        loss = minigrad.nn.functional.cross_entropy(logits.flatten(0, 1), following.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()
    words = some(200)
    with minigrad.no_grad():
        state = model.start(minigrad.tensor(words))
    first = greedy(model.step, state, 200, bos, eos, max_length=9)
    assert [h.tokens for h in first] == words.tolist()
    best = beam_search(model.step, state, 200, bos, eos, beam=3, max_length=9)
    assert [hypotheses[0].tokens for hypotheses in best] == words.tolist()


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(positions="none"), "positions must be 'sinusoidal' or 'learned', not 'none'"),
        (dict(heads=4), "a width of 6 can't be shared by 4 heads"),
        (dict(layers=0), "there must be a layer, not 0"),
        (dict(d_model=5, heads=1), "the width must be even"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_sources_and_targets_that_cannot_be():
    with pytest.raises(ValueError, match="one vocabulary, not 11 source and 12 target words"):
        Transformer(11, 12, **SIZES, shared=True)
    model = build()
    target = minigrad.tensor([[2, 3]])
    for source, message in (
        (minigrad.tensor([[4, 3], [0, 0]]), "row 1 of the source is empty"),
        (minigrad.zeros(0, 3, dtype=minigrad.int64), "expected source ids"),
        (minigrad.tensor([[3, 0, 4]]), "source padding may only stand at the end"),
        (minigrad.tensor([3, 4]), r"expected source ids \(B, T\) .* shape \(2,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            model(source, target)
    with pytest.raises(ValueError, match=r"expected target ids \(1, T\), got \(2, 1\)"):
        model(minigrad.tensor([[3, 4]]), minigrad.tensor([[2], [2]]))
    with pytest.raises(ValueError, match="target padding may only stand at the end"):
        model(minigrad.tensor([[3, 4]]), minigrad.tensor([[2, 0, 3]]))
    with pytest.raises(ValueError, match="expected target ids"):
        model(minigrad.tensor([[3, 4]]), minigrad.zeros(1, 0, dtype=minigrad.int64))
