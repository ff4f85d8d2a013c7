"""DistilBERT against transformers, head by head; its own names; what bad input is told."""

import numpy
import pytest
from pretrained_checks import (
    DRAW,
    both,
    check_attentions,
    check_defaults,
    check_dropouts,
    check_model,
    check_padding,
    heads_of,
    texts,
    torch,
    transformers,
)

import minigrad as mg
from minigrad import models

SIZES = dict(
    vocab_size=50, dim=24, n_layers=2, n_heads=4, hidden_dim=36, max_position_embeddings=16,
    dropout=0.0, attention_dropout=0.0, qa_dropout=0.0, seq_classif_dropout=0.0,
)  # fmt: skip
IDS, MASK = texts()
INPUTS = {"input_ids": IDS, "attention_mask": MASK}
HEADS = heads_of("DistilBert", IDS, MASK, INPUTS)


def config(name="", **changes):
    classes = {} if "Question" in name else {"num_labels": 3}
    return transformers.DistilBertConfig(**SIZES | classes | changes)


@pytest.mark.parametrize("name", HEADS)
def test_equals_transformers(name, tmp_path):
    mask = None if "Choice" in name else MASK
    model = check_model(name, config(name), INPUTS | HEADS[name], tmp_path, mask=mask)
    if "Choice" not in name:
        check_attentions(model, INPUTS)


@pytest.mark.parametrize("name", HEADS)
def test_dropouts_stand_where_they_do_in_transformers(name):
    names = ("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout")
    check_dropouts(name, config(name), INPUTS | HEADS[name], names)


def test_vectors_and_places_of_ones_own(tmp_path):
    ours, model = both("DistilBertModel", config(), tmp_path)
    ours.double(), model.double()
    vectors, places = DRAW.standard_normal((2, 5, 24)), numpy.array([[3, 1, 4, 1, 5]])
    expected = model(inputs_embeds=torch.tensor(vectors), position_ids=torch.tensor(places))[0]
    found = ours(inputs_embeds=mg.tensor(vectors), position_ids=mg.tensor(places))[0]
    numpy.testing.assert_allclose(found.numpy(force=True), expected.detach().numpy(), atol=1e-10)
    by_place = ours(mg.tensor(IDS), mg.tensor(MASK), return_dict=False)
    assert len(by_place) == 1 and mg.equal(
        by_place[0], ours(**{k: mg.tensor(v) for k, v in INPUTS.items()})[0]
    )


def test_padding_changes_nothing(tmp_path):
    ours, _ = both("DistilBertModel", config(), tmp_path)
    check_padding(ours, IDS, MASK)


@pytest.mark.parametrize("width", [24, 23])
def test_places_start_as_waves_where_wanted(width):
    sizes = SIZES | {"sinusoidal_pos_embds": True, "dim": width, "n_heads": 1}
    known = transformers.DistilBertModel(transformers.DistilBertConfig(**sizes))
    expected = known.embeddings.position_embeddings.weight
    for kind in (models.DistilBertModel, models.DistilBertForMaskedLM):
        found = kind(
            models.DistilBertConfig(**sizes)
        ).base_model.embeddings.position_embeddings.weight
        numpy.testing.assert_allclose(found.numpy(force=True), expected.detach().numpy(), atol=1e-7)
        assert found.requires_grad == expected.requires_grad


def test_starts_as_published():
    model = models.DistilBertForMaskedLM(
        models.DistilBertConfig(**SIZES | {"vocab_size": 5000, "dim": 64})
    )
    table = model.distilbert.get_input_embeddings().weight
    assert table[0].abs().sum() == 0 and abs(table[1:].std().item() - 0.02) < 1e-3
    assert 0 < model.distilbert.embeddings.position_embeddings.weight.std() < 0.03
    assert model.vocab_projector.weight is table
    known = transformers.DistilBertForMaskedLM(config(vocab_size=5000, dim=64))
    assert model.num_parameters() == known.num_parameters()


def test_a_head_on_a_saved_encoder_starts_anew(tmp_path):
    _, model = both("DistilBertModel", config(), tmp_path)
    with pytest.warns(
        UserWarning, match=r"classifier.bias, .*pre_classifier.weight are not in .* anew"
    ):
        ours = models.AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=4)
    assert type(ours) is models.DistilBertForSequenceClassification
    assert ours.classifier.out_features == 4 and ours.pre_classifier.bias.abs().sum() == 0
    table = model.embeddings.word_embeddings.weight.detach().numpy()
    numpy.testing.assert_array_equal(ours.get_input_embeddings().weight.numpy(force=True), table)


def test_names_of_values(tmp_path):
    check_defaults("DistilBertConfig")
    ours = models.DistilBertConfig(hidden_size=30, num_attention_heads=5, n_layers=1)
    known = transformers.DistilBertConfig(hidden_size=30, num_attention_heads=5, n_layers=1)
    for usual, own in models.DistilBertConfig.attribute_map.items():
        assert (
            getattr(ours, usual)
            == getattr(ours, own)
            == getattr(known, usual)
            == getattr(known, own)
        )
    ours.num_hidden_layers = 3
    assert ours.n_layers == 3 and "num_hidden_layers" not in ours.to_dict()
    ours.save_pretrained(tmp_path)
    assert models.AutoConfig.from_pretrained(tmp_path) == ours
    assert transformers.DistilBertConfig.from_pretrained(tmp_path).n_layers == 3
    assert models.DistilBertConfig.from_pretrained(tmp_path, hidden_size=40).dim == 40
    with pytest.raises(AttributeError, match="DistilBertConfig has no 'intermediate_size'"):
        ours.intermediate_size


def test_bad_input():
    model = models.DistilBertModel(models.DistilBertConfig(**SIZES)).eval()
    assert model(mg.full((1, 16), 7))[0].shape == (1, 16, 24)
    with pytest.raises(ValueError, match="17 tokens are more than the 16 positions it has"):
        model(mg.full((1, 17), 7))
    with pytest.raises(ValueError, match="DistilBertModel: pass either input_ids"):
        model()
    with pytest.raises(ValueError, match=r"attention_mask \(1, 4\) does not fit inputs \(1, 3\)"):
        model(mg.tensor([[2, 3, 4]]), mg.ones(1, 4))
    with pytest.raises(ValueError, match=r"inputs_embeds \(1, 3, 1\) must be \(B, T, 24\)"):
        model(inputs_embeds=mg.ones(1, 3, 1))
    with pytest.raises(IndexError, match="the table has 50 rows"):
        model(mg.tensor([[2, 99]]))
    with pytest.raises(ValueError, match="DistilBertConfig: dim 24 cannot be cut into 5 heads"):
        models.DistilBertModel(models.DistilBertConfig(**SIZES | {"n_heads": 5}))
    with pytest.raises(ValueError, match="there is no activation 'golu'"):
        models.DistilBertModel(models.DistilBertConfig(**SIZES | {"activation": "golu"}))
    with pytest.raises(ValueError, match="DistilBertForQuestionAnswering: .* must be 2, not 3"):
        models.DistilBertForQuestionAnswering(models.DistilBertConfig(**SIZES, num_labels=3))
    with pytest.raises(
        ValueError, match="distilbert models have no DistilBertForNextSentencePrediction"
    ):
        models.AutoModelForNextSentencePrediction.from_config(models.DistilBertConfig(**SIZES))
