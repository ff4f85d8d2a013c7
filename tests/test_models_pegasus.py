"""Pegasus against transformers, with and without cache; norms before each sublayer, and sines."""

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
    torch,
    transformers,
)

import minigrad as mg
from minigrad import models

SIZES = dict(
    vocab_size=50, d_model=24, encoder_layers=2, decoder_layers=3, encoder_attention_heads=4,
    decoder_attention_heads=3, encoder_ffn_dim=36, decoder_ffn_dim=28, max_position_embeddings=16,
    dropout=0.0, activation_function="relu", scale_embedding=True,
)  # fmt: skip
INPUTS, LABELS = source_and_target()


def config(**changes):
    return transformers.PegasusConfig(**SIZES | changes)


@pytest.mark.parametrize("scale", [True, False])
def test_equals_transformers(scale, tmp_path):
    name = "PegasusForConditionalGeneration"
    check_model(name, config(scale_embedding=scale), INPUTS | {"labels": LABELS}, tmp_path)


def test_model_without_head_equals_transformers(tmp_path):
    check_model("PegasusModel", config(), INPUTS, tmp_path)


def test_cache_and_padding(tmp_path):
    ours, _ = both("PegasusForConditionalGeneration", config(), tmp_path)
    check_target_cache(ours, INPUTS)
    check_source_padding(ours, INPUTS)


def test_generates_as_transformers(tmp_path):
    ours, model = both("PegasusForConditionalGeneration", config(), tmp_path)
    check_generates(ours, model, INPUTS)


def test_dropouts():
    dropouts = ("dropout", "attention_dropout", "activation_dropout")
    check_dropouts("PegasusForConditionalGeneration", config(), INPUTS, dropouts)


def test_defaults():
    check_defaults("PegasusConfig")


def test_vectors_in_place_of_ids(tmp_path):
    ours, model = both("PegasusModel", config(), tmp_path)
    ours.double(), model.double()
    source, target = DRAW.standard_normal((2, 5, 24)), DRAW.standard_normal((2, 4, 24))
    found = ours(inputs_embeds=mg.tensor(source), decoder_inputs_embeds=mg.tensor(target))[0]
    expected = model(
        inputs_embeds=torch.tensor(source), decoder_inputs_embeds=torch.tensor(target)
    )[0]
    numpy.testing.assert_allclose(found.numpy(force=True), expected.detach().numpy(), atol=1e-10)


def test_starts_as_published():
    model = models.PegasusModel(models.PegasusConfig(**SIZES | {"d_model": 48, "vocab_size": 5000}))
    table = model.get_input_embeddings().weight
    assert table[0].abs().sum() == 0 and abs(table[1:].std().item() - 0.02) < 1e-3
    known = transformers.PegasusModel(config(d_model=48, vocab_size=5000))
    assert model.num_parameters() == known.num_parameters()
    numpy.testing.assert_array_equal(
        model.encoder.embed_positions.weight.numpy(), known.encoder.embed_positions.weight.numpy()
    )
    learned = sum(p.numel() for p in known.parameters() if p.requires_grad)
    assert model.num_parameters(only_trainable=True) == learned
