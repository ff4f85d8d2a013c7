"""BART against transformers, head by head, with and without cache; what bad input is told."""

import numpy
import pytest
from pretrained_checks import (
    DRAW,
    both,
    check_defaults,
    check_dropouts,
    check_generates,
    check_model,
    check_source_padding,
    check_target_cache,
    source_and_target,
    theirs,
    to_ours,
    torch,
    transformers,
)

import minigrad as mg
from minigrad import models
from minigrad.pretrained import BaseModelOutput
from minigrad.serialization import load_safetensors, save_safetensors

SIZES = dict(
    vocab_size=50, d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
    decoder_attention_heads=3, encoder_ffn_dim=36, decoder_ffn_dim=28, max_position_embeddings=16,
    dropout=0.0,
)  # fmt: skip
INPUTS, LABELS = source_and_target()
SOURCE = {name: INPUTS[name] for name in ("input_ids", "attention_mask")}


def config(**changes):
    return transformers.BartConfig(**SIZES | changes)


def with_ends(ids, mask):
    """The texts, each with one end token, 2, at its end."""
    ids = ids.copy()
    ids[numpy.arange(len(ids)), mask.sum(1) - 1] = 2
    return ids


@pytest.mark.parametrize("scale", [False, True])
def test_equals_transformers(scale, tmp_path):
    name = "BartForConditionalGeneration"
    check_model(name, config(scale_embedding=scale), INPUTS | {"labels": LABELS}, tmp_path)


def test_the_target_from_labels_or_source(tmp_path):
    check_model("BartModel", config(), SOURCE, tmp_path / "source")
    inputs = SOURCE | {"labels": LABELS}
    ours = check_model("BartForConditionalGeneration", config(), inputs, tmp_path / "labels")
    shifted = ours.prepare_decoder_input_ids_from_labels(mg.tensor([[5, 6, 2], [7, 2, -100]]))
    assert shifted.tolist() == [[2, 5, 6], [2, 7, 2]]


def test_classes_equal_transformers(tmp_path):
    ids = with_ends(INPUTS["input_ids"], INPUTS["attention_mask"])
    inputs = SOURCE | {"input_ids": ids, "labels": numpy.array([0, 2, 1])}
    ours = check_model("BartForSequenceClassification", config(), inputs, tmp_path)
    with pytest.raises(ValueError, match=r"every text needs its end token \(eos_token_id 2\)"):
        ours(mg.tensor([[5, 2, 6], [5, 6, 7]]))
    with pytest.raises(ValueError, match="they tell where a text ends"):
        ours(inputs_embeds=mg.ones(1, 3, 24))


def test_spans_equal_transformers(tmp_path):
    spans = {"start_positions": numpy.array([1, 0, 40]), "end_positions": numpy.array([3, 0, 1])}
    check_model("BartForQuestionAnswering", config(), SOURCE | spans, tmp_path)


def test_cache_and_padding(tmp_path):
    ours, _ = both("BartForConditionalGeneration", config(), tmp_path)
    check_target_cache(ours, INPUTS)
    check_source_padding(ours, INPUTS)


def test_generates_as_transformers(tmp_path):
    ours, model = both("BartForConditionalGeneration", config(), tmp_path)
    check_generates(ours, model, INPUTS)


def test_dropouts():
    dropouts = ("dropout", "attention_dropout", "activation_dropout")
    check_dropouts("BartForConditionalGeneration", config(), INPUTS, dropouts)
    ids = with_ends(INPUTS["input_ids"], INPUTS["attention_mask"])
    check_dropouts(
        "BartForSequenceClassification",
        config(),
        SOURCE | {"input_ids": ids},
        ("classifier_dropout",),
    )


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_layers_left_out_in_training(side):
    settings = SIZES | {f"{side}_layerdrop": 0.5, f"{side}_layers": 12}
    model = models.BartForConditionalGeneration(models.BartConfig(**settings))
    ran = []
    for layer in getattr(model.model, side).layers:
        layer.register_forward_hook(lambda *_: ran.append(1))
    counts = []
    mg.manual_seed(0)
    for _ in range(40):
        ran.clear()
        model(**to_ours(INPUTS))
        counts.append(len(ran))
    assert 5 < numpy.mean(counts) < 7 and 1 < numpy.std(counts) < 2.5
    ran.clear()
    model.eval()(**to_ours(INPUTS))
    assert len(ran) == 12


def test_defaults():
    check_defaults("BartConfig")
    assert models.BartConfig().num_labels == 3 and models.BartConfig().hidden_size == 1024


def test_what_the_encoder_gave_before(tmp_path):
    ours, _ = both("BartForConditionalGeneration", config(), tmp_path)
    given = to_ours(INPUTS)
    expected = ours(**given)
    ids = given.pop("input_ids")
    kept = ours.get_encoder()(ids, given["attention_mask"])
    assert type(kept) is BaseModelOutput
    for form in (kept, tuple(kept.values()), (kept[0],)):
        found = ours(encoder_outputs=form, **given)
        assert list(found) == list(expected) and mg.equal(found.logits, expected.logits)
    assert len(ours(input_ids=ids, **given, return_dict=False)) == 2
    given["attention_mask"] = given["attention_mask"][:, :1]
    with pytest.raises(
        ValueError, match=r"attention_mask \(3, 1\) does not fit encoder_outputs \(3, "
    ):
        ours(encoder_outputs=kept, **given)


def test_vectors_in_place_of_ids(tmp_path):
    ours, model = both("BartModel", config(scale_embedding=True), tmp_path)
    ours.double(), model.double()
    source, target = DRAW.standard_normal((2, 5, 24)), DRAW.standard_normal((2, 4, 24))
    found = ours(inputs_embeds=mg.tensor(source), decoder_inputs_embeds=mg.tensor(target))[0]
    expected = model(
        inputs_embeds=torch.tensor(source), decoder_inputs_embeds=torch.tensor(target)
    )[0]
    numpy.testing.assert_allclose(found.numpy(force=True), expected.detach().numpy(), atol=1e-10)


def test_published_files_of_the_whole_model_or_its_base(tmp_path):
    model = theirs("BartForConditionalGeneration", config())
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_safetensors(path)
    weights.pop("final_logits_bias", None)
    names = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
    everything = weights | dict.fromkeys(names, weights["model.shared.weight"])
    one = models.AutoModel.from_pretrained(tmp_path)
    assert type(one) is models.BartModel
    for given in (everything, {k.removeprefix("model."): v for k, v in weights.items()}):
        save_safetensors(given, path)
        ours, info = models.BartForConditionalGeneration.from_pretrained(
            tmp_path, output_loading_info=True
        )
        assert info["missing_keys"] == [] and ours.final_logits_bias.abs().sum() == 0
        assert ours.lm_head.weight is ours.model.shared.weight is ours.get_input_embeddings().weight
        assert mg.equal(ours.model.shared.weight, one.shared.weight)


def test_bad_input():
    model = models.BartForConditionalGeneration(models.BartConfig(**SIZES))
    ids = mg.ones(1, 20, dtype=mg.int64)
    with pytest.raises(ValueError, match="Encoder: 20 tokens are more than the 16 positions"):
        model(ids, labels=ids[:, :3])
    with pytest.raises(ValueError, match="Decoder: 20 tokens are more than the 16 positions"):
        model(ids[:, :3], labels=ids)
    cache = model(ids[:, :3], decoder_input_ids=ids[:, :10], use_cache=True).past_key_values
    with pytest.raises(ValueError, match="10 tokens read before and 7 tokens are more than the 16"):
        model(ids[:, :3], decoder_input_ids=ids[:, :7], past_key_values=cache)
    assert cache.get_seq_length() == 10
    with pytest.raises(ValueError, match=r"attention_mask \(1, 2\) does not fit inputs \(1, 3\)"):
        model(ids[:, :3], mg.ones(1, 2), labels=ids[:, :3])
    with pytest.raises(ValueError, match="is_encoder_decoder must be True"):
        models.BartModel(models.BartConfig(**SIZES, is_encoder_decoder=False))
    with pytest.raises(ValueError, match="needs a decoder_start_token_id and a pad_token_id"):
        settings = SIZES | {"decoder_start_token_id": None}
        models.BartForConditionalGeneration(models.BartConfig(**settings))(
            ids[:, :3], labels=ids[:, :3]
        )
