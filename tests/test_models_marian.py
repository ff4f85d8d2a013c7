"""Marian against transformers: one vocabulary or two, with and without cache; folders without sines."""

import numpy
import pytest
from pretrained_checks import (
    both,
    check_defaults,
    check_dropouts,
    check_generates,
    check_model,
    check_source_padding,
    check_target_cache,
    source_and_target,
    torch,
    transformers,
)

import minigrad as mg
from minigrad import models
from minigrad.serialization import load_safetensors, save_safetensors

SIZES = dict(
    vocab_size=50, decoder_vocab_size=50, d_model=24, encoder_layers=2, decoder_layers=2,
    encoder_attention_heads=4, decoder_attention_heads=3, encoder_ffn_dim=36, decoder_ffn_dim=28,
    max_position_embeddings=16, dropout=0.0, scale_embedding=True, activation_function="swish",
    pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, forced_eos_token_id=1,
)  # fmt: skip
INPUTS, LABELS = source_and_target()


def config(**changes):
    return transformers.MarianConfig(**SIZES | changes)


@pytest.mark.parametrize("words", [50, 43])
@pytest.mark.parametrize("name", ["MarianModel", "MarianMTModel"])
def test_equals_transformers(name, words, tmp_path):
    settings = config(decoder_vocab_size=words, share_encoder_decoder_embeddings=words == 50)
    inputs = INPUTS | ({"labels": LABELS % 43} if name == "MarianMTModel" else {})
    inputs["decoder_input_ids"] = inputs["decoder_input_ids"] % 43
    check_model(name, settings, inputs, tmp_path)


def test_cache_and_padding(tmp_path):
    ours, _ = both("MarianMTModel", config(), tmp_path)
    check_target_cache(ours, INPUTS)
    check_source_padding(ours, INPUTS)


def test_generates_as_transformers(tmp_path):
    ours, model = both("MarianMTModel", config(), tmp_path)
    check_generates(ours, model, INPUTS)


def test_dropouts():
    inputs = INPUTS | {"labels": LABELS}
    dropouts = ("dropout", "attention_dropout", "activation_dropout")
    check_dropouts("MarianMTModel", config(), inputs, dropouts)


def test_defaults():
    check_defaults("MarianConfig")


def test_sines_need_not_be_in_a_folder(tmp_path):
    ours, _ = both(
        "MarianMTModel", config(), tmp_path / "without"
    )  # and nothing is said about them
    assert "model.encoder.embed_positions.weight" not in load_safetensors(
        tmp_path / "without" / "model.safetensors"
    )
    table = ours.model.decoder.embed_positions.weight
    expected = transformers.MarianModel(config()).decoder.embed_positions.weight.numpy()
    numpy.testing.assert_array_equal(table.numpy(), expected)
    assert (
        not table.requires_grad
        and ours.state_dict()["model.decoder.embed_positions.weight"] is not None
    )
    weights = load_safetensors(tmp_path / "without" / "model.safetensors")
    weights.pop("final_logits_bias")
    save_safetensors(weights, tmp_path / "without" / "model.safetensors")
    again = models.MarianMTModel.from_pretrained(tmp_path / "without")
    assert again.final_logits_bias.abs().sum() == 0


def test_the_bias_of_words_counts(tmp_path):
    model = transformers.MarianMTModel(config()).eval()
    model.final_logits_bias.normal_()
    model.save_pretrained(tmp_path)
    ours = models.AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert type(ours) is models.MarianMTModel
    found = ours(**{k: mg.tensor(v) for k, v in INPUTS.items()}).logits
    expected = model(**{k: torch.tensor(v) for k, v in INPUTS.items()}).logits
    numpy.testing.assert_allclose(found.numpy(force=True), expected.detach().numpy(), atol=1e-5)


def test_bad_input():
    with pytest.raises(
        ValueError, match="vocab_size 50 and decoder_vocab_size 43 are of one table"
    ):
        models.MarianModel(models.MarianConfig(**SIZES | {"decoder_vocab_size": 43}))
    with pytest.raises(ValueError, match="cannot be cut into 5 heads of one size"):
        models.MarianModel(models.MarianConfig(**SIZES | {"decoder_attention_heads": 5}))
    model = models.MarianMTModel(models.MarianConfig(**SIZES))
    with pytest.raises(ValueError, match=r"MarianModel: pass decoder_input_ids \(B, T\) or"):
        model(mg.ones(1, 3, dtype=mg.int64))


def test_a_beginning_is_of_the_targets_vocabulary():
    sizes = dict(
        vocab_size=20, decoder_vocab_size=40, share_encoder_decoder_embeddings=False, d_model=8,
        encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=8, decoder_ffn_dim=8, pad_token_id=0, eos_token_id=1, forced_eos_token_id=1,
        decoder_start_token_id=0, max_position_embeddings=16,
    )  # fmt: skip
    model = models.MarianMTModel(models.MarianConfig(**sizes)).eval()
    source, begin = mg.tensor([[3, 4]]), mg.tensor([[0, 39]])
    found = model.generate(source, decoder_input_ids=begin, max_new_tokens=2)
    assert found[:, :2].tolist() == begin.tolist()
    with pytest.raises(ValueError, match="decoder_input_ids has token 40; .* from 0 to 39"):
        model.generate(source, decoder_input_ids=begin + mg.tensor([[0, 1]]), max_new_tokens=2)
