"""T5 against transformers, with both kinds of feed-forward layer; caches; published forms of folders."""

import copy
import math

import numpy
import pytest
from pretrained_checks import (
    DRAW,
    both,
    check_attentions,
    check_dropouts,
    check_model,
    texts,
    theirs,
    to_ours,
    to_theirs,
    torch,
    transformers,
)
from transformers.models.t5 import modeling_t5

import minigrad as mg
from minigrad import models
from minigrad.models.t5_layers import relative_position_bucket
from minigrad.serialization import load_safetensors, save_safetensors

SIZES = dict(
    vocab_size=50, d_model=16, d_kv=6, d_ff=20, num_layers=2, num_decoder_layers=3, num_heads=4,
    relative_attention_num_buckets=8, relative_attention_max_distance=9, dropout_rate=0.0,
    initializer_factor=0.3, decoder_start_token_id=0,
)  # fmt: skip
IDS, MASK = texts()
INPUTS = {"input_ids": IDS, "attention_mask": MASK}
TARGETS = DRAW.integers(5, 50, (3, 7))
LABELS = numpy.where(DRAW.random(TARGETS.shape) < 0.2, -100, TARGETS)
KINDS = ["relu", "gated-gelu"]


@pytest.fixture(autouse=True)
def norms_in_float64(monkeypatch):
    """transformers' norm rounds its mean of squares to float32; here it is held in the input's dtype."""

    def forward(self, x):
        return torch.nn.functional.rms_norm(x, x.shape[-1:], self.weight, self.variance_epsilon)

    monkeypatch.setattr(modeling_t5.T5LayerNorm, "forward", forward)


def config(kind="relu", **changes):
    return transformers.T5Config(**SIZES | {"feed_forward_proj": kind} | changes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name, more",
    [
        ("T5Model", {"decoder_input_ids": TARGETS}),
        ("T5EncoderModel", {}),
        ("T5ForConditionalGeneration", {"labels": LABELS}),
        ("T5ForTokenClassification", {"labels": numpy.where(MASK == 1, IDS % 3, -100)}),
    ],
)
def test_equals_transformers(name, more, kind, tmp_path):
    model = check_model(name, config(kind, num_labels=3), INPUTS | more, tmp_path, mask=MASK)
    if name == "T5EncoderModel":
        check_attentions(model, INPUTS)


def test_class_of_a_text_equals_transformers(tmp_path):
    ids = IDS.copy()
    for row, length in zip(ids, MASK.sum(1), strict=True):
        row[length - 1], row[length:] = 1, 0
    inputs = {"input_ids": ids, "attention_mask": MASK}
    name, labels = "T5ForSequenceClassification", {"labels": numpy.array([2, 0, 1])}
    model = check_model(name, config(num_labels=3), inputs | labels, tmp_path, mask=MASK)
    check_dropouts(name, config(num_labels=3), inputs, ["dropout_rate", "classifier_dropout"])
    ids[1] = 7
    with pytest.raises(ValueError, match=r"every text needs its end token \(eos_token_id 1\)"):
        model(**to_ours(inputs))
    with pytest.raises(ValueError, match=r"T5ForSequenceClassification: pass input_ids \(B, T\)"):
        model(inputs_embeds=mg.ones(1, 2, 16))


def test_defaults():
    ours, known = models.T5Config(), transformers.T5Config()
    known.decoder_start_token_id = 0  # as every published config.json says; the class has none
    for name in ours._names():
        assert getattr(ours, name) == getattr(known, name, None), name
    for name in ("is_gated_act", "dense_act_fn", "scale_decoder_outputs"):
        assert getattr(ours, name) == getattr(known, name)
    flan = models.T5Config(feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    assert (flan.is_gated_act, flan.dense_act_fn, flan.scale_decoder_outputs) == (
        True, "gelu_new", False,
    )  # fmt: skip
    assert models.T5Config(hidden_size=7, num_layers=3).d_model == 7
    assert models.T5Config(num_layers=3).num_decoder_layers == 3
    assert models.T5Config.from_dict(flan.to_dict()) == flan
    silu = models.T5Config(feed_forward_proj="gated-silu")
    assert silu.dense_act_fn == "silu" and silu.is_gated_act


@pytest.mark.parametrize("kind", KINDS)
def test_starts_as_transformers(kind):
    """The standard deviation of every matrix is that of transformers' own drawing."""
    sizes = dict(vocab_size=300, d_model=64, d_kv=32, d_ff=150, initializer_factor=0.7)
    buckets = dict(relative_attention_num_buckets=32, relative_attention_max_distance=20)
    cfg = config(kind, **sizes, **buckets, num_labels=40)
    for name in ("ForConditionalGeneration", "ForTokenClassification", "ForSequenceClassification"):
        name = f"T5{name}"
        mg.manual_seed(0)
        torch.manual_seed(0)
        kind_of_model = getattr(models, name)
        ours = kind_of_model(kind_of_model.config_class.from_dict(cfg.to_dict()))
        known = dict(getattr(transformers, name)(cfg).named_parameters())
        found = dict(ours.named_parameters())
        assert found.keys() == known.keys()
        for key, weight in found.items():
            a, b = weight.numpy(force=True), known[key].detach().numpy()
            if a.ndim == 1:
                numpy.testing.assert_array_equal(a, b, key)
            else:  # the standard deviation of n draws is known to 1 / sqrt(2 n)
                assert a.std() == pytest.approx(b.std(), rel=6 / math.sqrt(a.size)), key
                assert abs(a.mean()) < 5 * b.std() / math.sqrt(a.size), key


def test_dropouts_stand_where_theirs_do():
    cfg = config(num_labels=3)
    check_dropouts(
        "T5ForConditionalGeneration", cfg, INPUTS | {"labels": TARGETS}, ["dropout_rate"]
    )
    check_dropouts("T5ForTokenClassification", cfg, INPUTS, ["dropout_rate", "classifier_dropout"])


def test_dropout_reaches_attention_and_feed_forward():
    model = models.T5EncoderModel(models.T5Config(**SIZES | {"dropout_rate": 0.5})).train()
    block = model.encoder.block[0]
    x = mg.ones(2, 5, 16)
    for layer in (block.layer[0].SelfAttention, block.layer[1].DenseReluDense):
        first, second = (layer(x) for _ in range(2))
        first, second = (y[0] if isinstance(y, tuple) else y for y in (first, second))
        assert not mg.equal(first, second)


# -- positions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("buckets, farthest", [(32, 128), (8, 20), (4, 3), (16, 1000), (64, 65)])
def test_buckets_equal_transformers(bidirectional, buckets, farthest):
    apart = numpy.arange(-3000, 3001)
    expected = modeling_t5.T5Attention._relative_position_bucket(
        torch.tensor(apart), bidirectional, buckets, farthest
    )
    found = relative_position_bucket(mg.tensor(apart), bidirectional, buckets, farthest)
    numpy.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_buckets_of_the_paper():
    """32 buckets: one a distance to 7, then growing ones to 128; those behind are 16 higher."""
    apart = mg.tensor([0, -1, -7, -8, -11, -12, -127, -128, -9999, 1, 8, 128])
    found = relative_position_bucket(apart).tolist()
    assert found == [0, 1, 7, 8, 8, 9, 15, 15, 15, 17, 24, 31]
    one_sided = relative_position_bucket(apart, bidirectional=False).tolist()
    assert one_sided[:6] == [0, 1, 7, 8, 11, 12] and one_sided[7:] == [31, 31, 0, 0, 0]


def test_places_count_only_from_each_other(tmp_path):
    """A text moved to the right by padding on its left gives the same states."""
    ours, _ = both("T5EncoderModel", config(), tmp_path)
    ours.double()
    alone = ours(mg.tensor(IDS)).last_hidden_state
    ids = numpy.pad(IDS, ((0, 0), (4, 0)))
    moved = ours(mg.tensor(ids), attention_mask=mg.tensor((ids > 0) * 1)).last_hidden_state
    numpy.testing.assert_allclose(
        moved[:, 4:].numpy(force=True), alone.numpy(force=True), rtol=1e-10, atol=1e-12
    )


# -- caches ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[1] * 7, [3, 1, 3], [7]])
def test_with_and_without_cache(pieces, tmp_path):
    ours, model = both("T5ForConditionalGeneration", config("gated-gelu"), tmp_path)
    ours.double(), model.double()
    source, targets = to_ours(INPUTS), mg.tensor(TARGETS)
    whole = ours(**source, decoder_input_ids=targets)
    assert whole.past_key_values is None  # gradients are recorded
    with mg.no_grad():
        cache, found, begin = None, [], 0
        encoded = ours.get_encoder()(**source)
        for length in pieces:
            output = ours(
                attention_mask=source["attention_mask"],
                encoder_outputs=encoded,
                decoder_input_ids=targets[:, begin : begin + length],
                past_key_values=cache,
            )
            cache, begin = output.past_key_values, begin + length
            assert cache.get_seq_length() == begin
            found.append(output.logits)
        weights = ours(
            attention_mask=source["attention_mask"],
            encoder_outputs=tuple(encoded.values()),
            decoder_input_ids=targets[:, :1],
            past_key_values=cache,
            output_attentions=True,
        )
        with pytest.raises(
            ValueError, match=r"attention_mask \(\d+, 1\) does not fit encoder_outputs"
        ):
            ours(
                attention_mask=source["attention_mask"][:, :1], encoder_outputs=encoded,
                decoder_input_ids=targets,
            )  # fmt: skip
    numpy.testing.assert_allclose(
        mg.cat(found, dim=1).numpy(), whole.logits.numpy(force=True), rtol=1e-10, atol=1e-12
    )
    assert weights.decoder_attentions[0].shape == (3, 4, 1, 8)
    assert weights.cross_attentions[0].shape == (3, 4, 1, 9)
    given = to_theirs(INPUTS | {"decoder_input_ids": TARGETS})
    expected = model(**given, use_cache=False).logits.detach().numpy()
    numpy.testing.assert_allclose(whole.logits.numpy(force=True), expected, atol=1e-10)


def test_padded_targets_change_nothing(tmp_path):
    """Targets padded at their left or right, by decoder_attention_mask, at once and with a cache."""
    ours, model = both("T5ForConditionalGeneration", config(), tmp_path)
    ours.double(), model.double()
    looks = numpy.ones_like(TARGETS)
    looks[1, :3] = looks[2, 5:] = 0
    inputs = INPUTS | {"decoder_input_ids": TARGETS, "decoder_attention_mask": looks}
    expected = model(**to_theirs(inputs), use_cache=False).logits.detach().numpy()
    found = ours(**to_ours(inputs)).logits.numpy(force=True)
    numpy.testing.assert_allclose(found[looks == 1], expected[looks == 1], atol=1e-10)
    cut = numpy.delete(TARGETS[1:2], [0, 1, 2], axis=1)
    own = {k: v[1:2] for k, v in INPUTS.items()} | {"decoder_input_ids": cut}
    numpy.testing.assert_allclose(
        found[1:2, 3:], ours(**to_ours(own)).logits.numpy(force=True), atol=1e-10
    )
    source = to_ours(INPUTS)
    first = ours(
        **source, decoder_input_ids=mg.tensor(TARGETS[:, :4]), use_cache=True,
        decoder_attention_mask=mg.tensor(looks[:, :4]),
    )  # fmt: skip
    second = ours(
        **source, decoder_input_ids=mg.tensor(TARGETS[:, 4:]),
        decoder_attention_mask=mg.tensor(looks), past_key_values=first.past_key_values,
    )  # fmt: skip
    parts = [x.logits.numpy(force=True) for x in (first, second)]
    numpy.testing.assert_allclose(
        numpy.concatenate(parts, 1)[looks == 1], found[looks == 1], atol=1e-10
    )


def test_vectors_in_place_of_ids(tmp_path):
    ours, _ = both("T5ForConditionalGeneration", config(), tmp_path)
    table = ours.get_input_embeddings()
    ids = to_ours(INPUTS | {"decoder_input_ids": TARGETS})
    vectors = dict(
        inputs_embeds=table(ids["input_ids"]), decoder_inputs_embeds=table(ids["decoder_input_ids"])
    )
    found = ours(attention_mask=ids["attention_mask"], labels=mg.tensor(LABELS), **vectors)
    assert mg.equal(found.logits, ours(**ids).logits) and found.loss.item() > 0


# -- folders ---------------------------------------------------------------------------------------


def own_head(folder, changes):
    """transformers' model with a head of its own, saved, its config.json changed; the model."""
    model = theirs("T5ForConditionalGeneration", config("gated-gelu", tie_word_embeddings=False))
    model.save_pretrained(folder)
    path = folder / "model.safetensors"
    weights = load_safetensors(path)
    weights["lm_head.weight"] = mg.tensor(DRAW.standard_normal((50, 16)).astype("float32"))
    save_safetensors(weights, path, {"format": "pt"})
    values = models.T5Config.from_pretrained(folder).to_dict() | changes
    models.T5Config.from_dict(values).save_pretrained(folder)
    return type(model).from_pretrained(folder, attn_implementation="eager").eval()


@pytest.mark.parametrize(
    "changes",
    [
        {"tie_word_embeddings": False, "scale_decoder_outputs": None},  # as Flan-T5 is published
        {"tie_word_embeddings": True, "scale_decoder_outputs": False},  # written by transformers 5
    ],
)
def test_a_head_of_its_own(changes, tmp_path):
    model = own_head(tmp_path, changes).double()
    assert model.lm_head.weight is not model.shared.weight
    ours = models.T5ForConditionalGeneration.from_pretrained(tmp_path).double()
    assert ours.lm_head.weight is not ours.shared.weight
    assert ours.encoder.embed_tokens.weight is ours.shared.weight
    inputs = INPUTS | {"labels": LABELS}
    found, expected = ours(**to_ours(inputs)), model(**to_theirs(inputs), use_cache=False)
    numpy.testing.assert_allclose(
        found.logits.numpy(force=True), expected.logits.detach().numpy(), atol=1e-10
    )
    found.loss.backward(), expected.loss.backward()
    for layer in ("shared", "lm_head"):
        a, b = (getattr(m, layer).weight.grad.numpy() for m in (ours, model))
        numpy.testing.assert_allclose(a, b, atol=1e-10)
    ours.float().save_pretrained(tmp_path / "ours")
    again = models.T5ForConditionalGeneration.from_pretrained(tmp_path / "ours")
    assert mg.equal(again.lm_head.weight, ours.lm_head.weight)
    back = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path / "ours")
    numpy.testing.assert_array_equal(back.lm_head.weight.detach(), ours.lm_head.weight.detach())
    assert back.config.scale_decoder_outputs is False


def test_one_table_in_training_and_in_files(tmp_path):
    model = models.T5ForConditionalGeneration(models.T5Config(**SIZES))
    tables = [model.shared, model.encoder.embed_tokens, model.decoder.embed_tokens, model.lm_head]
    assert all(layer.weight is tables[0].weight for layer in tables)
    model.save_pretrained(tmp_path)
    weights = load_safetensors(tmp_path / "model.safetensors")
    assert "shared.weight" in weights and not {"lm_head.weight"} & weights.keys()
    weights["encoder.embed_tokens.weight"] = weights.pop("shared.weight")  # under another name
    save_safetensors(weights, tmp_path / "model.safetensors")
    again = models.T5ForConditionalGeneration.from_pretrained(tmp_path)
    assert mg.equal(again.lm_head.weight, model.shared.weight)


def test_parts_of_a_folder(tmp_path):
    whole = models.T5ForConditionalGeneration(models.T5Config(**SIZES)).eval()
    whole.save_pretrained(tmp_path)
    encoder = models.T5EncoderModel.from_pretrained(tmp_path)
    source = to_ours(INPUTS)
    assert mg.equal(encoder(**source)[0], whole.get_encoder()(**source)[0])
    body = models.T5Model.from_pretrained(tmp_path)
    targets = mg.tensor(TARGETS)
    states = body(**source, decoder_input_ids=targets).last_hidden_state
    logits = whole(**source, decoder_input_ids=targets).logits
    assert mg.equal(whole.lm_head(states * 0.25), logits)
    with pytest.warns(UserWarning, match="classifier.bias, classifier.weight are not in"):
        tagger = models.T5ForTokenClassification.from_pretrained(tmp_path, num_labels=900)
    assert tagger.classifier.weight.std().item() == pytest.approx(0.3, rel=0.1)
    with pytest.warns(UserWarning, match="lm_head.weight are not in"):
        models.T5ForConditionalGeneration.from_pretrained(tmp_path, tie_word_embeddings=False)
    auto = models.AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert type(auto) is models.T5ForConditionalGeneration


def test_bad_input():
    model = models.T5ForConditionalGeneration(models.T5Config(**SIZES))
    ids = mg.tensor([[1, 2, 3]])
    with pytest.raises(ValueError, match="T5Stack: pass either input_ids"):
        model(ids)
    with pytest.raises(ValueError, match=r"attention_mask \(1, 2\) does not fit inputs \(1, 3\)"):
        model(ids, mg.ones(1, 2), decoder_input_ids=ids)
    with pytest.raises(ValueError, match="not 'gated-gelu-2'"):
        models.T5Model(models.T5Config(**SIZES | {"feed_forward_proj": "gated-gelu-2"}))
    with pytest.raises(ValueError, match="there is no activation 'golu'"):
        models.T5Model(models.T5Config(**SIZES | {"feed_forward_proj": "golu"}))
    with pytest.raises(ValueError, match="relative_attention_num_buckets 3 must be 4 or more"):
        models.T5Model(models.T5Config(**SIZES | {"relative_attention_num_buckets": 3}))
    with pytest.raises(ValueError, match="max_distance 4 more than half"):
        models.T5Model(models.T5Config(**SIZES | {"relative_attention_max_distance": 4}))
    startless = copy.deepcopy(model.config)
    startless.decoder_start_token_id = None
    with pytest.raises(ValueError, match="needs a decoder_start_token_id"):
        models.T5ForConditionalGeneration(startless)(ids, labels=ids)


# -- generation ------------------------------------------------------------------------------------


# transformers' cache of generate has num_layers layers: both sides have as many here
SEARCHES = {
    "greedy": dict(max_new_tokens=12),
    "beam": dict(max_new_tokens=12, num_beams=3),
    "beams back": dict(max_new_tokens=12, num_beams=4, num_return_sequences=2, length_penalty=0.2),
    "no repeat": dict(max_new_tokens=12, no_repeat_ngram_size=2, min_length=5),
}


@pytest.mark.parametrize("kind", KINDS)
def test_generates_as_transformers(kind, tmp_path):
    """The same ids for three sources of different lengths, with and without cache, alone and together."""
    ours, model = both(
        "T5ForConditionalGeneration", config(kind, eos_token_id=3, num_decoder_layers=2), tmp_path
    )
    ours.double(), model.double()
    lengths = set()
    for name, options in SEARCHES.items():
        expected = model.generate(**to_theirs(INPUTS), **options).numpy()
        for use_cache in (True, False):
            found = ours.generate(**to_ours(INPUTS), **options, use_cache=use_cache)
            numpy.testing.assert_array_equal(found.numpy(), expected, f"{name} {use_cache}")
        lengths |= set((expected != 0).sum(1).tolist())
        if "num_return_sequences" in options:
            continue
        for row, (text, keep) in enumerate(zip(IDS, MASK.sum(1), strict=True)):
            alone = ours.generate(mg.tensor(text[None, :keep]), **options)[0].tolist()
            whole = expected[row].tolist()
            assert alone == whole[: len(alone)] and not any(whole[len(alone) :]), name
    assert len(lengths) > 1  # some texts end before the last token


def test_goes_on_from_a_given_beginning(tmp_path):
    ours, model = both("T5ForConditionalGeneration", config(num_decoder_layers=2), tmp_path)
    ours.double(), model.double()
    begin = numpy.array([[0, 7, 8], [0, 9, 10], [0, 11, 12]])
    options = dict(max_new_tokens=8)
    expected = model.generate(**to_theirs(INPUTS | {"decoder_input_ids": begin}), **options).numpy()
    found = ours.generate(**to_ours(INPUTS | {"decoder_input_ids": begin}), **options).numpy()
    numpy.testing.assert_array_equal(found, expected)


def test_weights_in_half_precision():
    model = models.T5Model(models.T5Config(**SIZES)).half().eval()
    inputs = to_ours(INPUTS | {"decoder_input_ids": TARGETS})
    with mg.no_grad():
        found, plain = model(**inputs, output_attentions=True), model(**inputs)
    assert {w.dtype for w in found.cross_attentions} == {mg.float16}
    states = (found.last_hidden_state.float().numpy(), plain.last_hidden_state.float().numpy())
    numpy.testing.assert_allclose(*states, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    "option", [{"encoder_repetition_penalty": 1.5}, {"encoder_no_repeat_ngram_size": 2}]
)
def test_rules_about_the_source_need_its_ids(option):
    model = models.T5ForConditionalGeneration(models.T5Config(**SIZES)).eval()
    with mg.no_grad():
        encoded = model.get_encoder()(mg.tensor(IDS))
    with pytest.raises(ValueError, match=f"{next(iter(option))} looks at the source's tokens"):
        model.generate(encoder_outputs=encoded, max_new_tokens=3, **option)
