"""ALBERT against transformers, head by head; shared layers; what bad input is told."""

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
    vocab_size=50, embedding_size=10, hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
    intermediate_size=36, max_position_embeddings=16, classifier_dropout_prob=0.0,
)  # fmt: skip
IDS, MASK = texts()
INPUTS = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": (IDS % 2)}
HEADS = heads_of("Albert", IDS, MASK, INPUTS)
HEADS["AlbertForPreTraining"] = HEADS["AlbertForMaskedLM"] | {
    "sentence_order_label": numpy.array([0, 1, 0])
}


def config(name="", **changes):
    classes = {} if "Question" in name or "Pre" in name else {"num_labels": 3}
    return transformers.AlbertConfig(**SIZES | classes | changes)


@pytest.mark.parametrize("name", HEADS)
def test_equals_transformers(name, tmp_path):
    mask = None if "Choice" in name else MASK
    model = check_model(name, config(name), INPUTS | HEADS[name], tmp_path, mask=mask)
    if "Choice" not in name:
        check_attentions(model, INPUTS)


@pytest.mark.parametrize("name", HEADS)
def test_dropouts_stand_where_they_do_in_transformers(name):
    names = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob")
    check_dropouts(name, config(name), INPUTS | HEADS[name], names)


@pytest.mark.parametrize("depth, groups, inner", [(4, 3, 1), (3, 2, 2)])
def test_layers_share_weights_as_in_transformers(depth, groups, inner, tmp_path):
    sizes = config(num_hidden_layers=depth, num_hidden_groups=groups, inner_group_num=inner)
    labels = {"labels": numpy.array([0, 2, 1])}
    ours = check_model(
        "AlbertForSequenceClassification", sizes, INPUTS | labels, tmp_path, mask=MASK
    )
    output = ours(mg.tensor(IDS), output_hidden_states=True, output_attentions=True)
    assert (
        len(output.hidden_states) == 1 + depth * inner and len(output.attentions) == depth * inner
    )
    assert len(list(ours.albert.encoder.layers())) == depth * inner
    check_attentions(ours, INPUTS)


def test_groups_where_rounding_tells_them():
    sizes = models.AlbertConfig(**SIZES | {"num_hidden_layers": 18, "num_hidden_groups": 14})
    encoder = models.AlbertModel(sizes).encoder
    groups = [group.albert_layers[0] for group in encoder.albert_layer_groups]
    found = [groups.index(layer) for layer in encoder.layers()]
    assert found == [int(layer / (18 / 14)) for layer in range(18)]
    assert found[9] == 6 and 9 * 14 // 18 == 7


def test_depth_costs_no_parameters():
    def count(**changes):
        return models.AlbertModel(models.AlbertConfig(**SIZES | changes)).num_parameters()

    assert count() == count(num_hidden_layers=9)
    assert count(num_hidden_groups=2) > count()
    for name in ("AlbertModel", "AlbertForPreTraining"):
        ours = getattr(models, name)(models.AlbertConfig(**SIZES))
        assert ours.num_parameters() == getattr(transformers, name)(config("Pre")).num_parameters()


def test_vectors_and_places_of_ones_own(tmp_path):
    ours, model = both("AlbertModel", config(), tmp_path)
    ours.double(), model.double()
    vectors, places = DRAW.standard_normal((2, 5, 10)), numpy.array([[3, 1, 4, 1, 5]])
    expected = model(inputs_embeds=torch.tensor(vectors), position_ids=torch.tensor(places))
    found = ours(inputs_embeds=mg.tensor(vectors), position_ids=mg.tensor(places))
    for a, b in zip(found.to_tuple(), expected.to_tuple(), strict=True):
        numpy.testing.assert_allclose(a.numpy(force=True), b.detach().numpy(), atol=1e-10)


def test_padding_changes_nothing(tmp_path):
    ours, _ = both("AlbertModel", config(), tmp_path)
    check_padding(ours, IDS, MASK, token_type_ids=IDS % 2)


def test_starts_as_published():
    model = models.AlbertForMaskedLM(models.AlbertConfig(**SIZES | {"vocab_size": 5000}))
    table = model.albert.get_input_embeddings().weight
    assert table.shape == (5000, 10)
    assert table[0].abs().sum() == 0 and abs(table[1:].std().item() - 0.02) < 1e-3
    assert model.albert.pooler is None and model.predictions.decoder.weight is table
    assert model.predictions.decoder.bias is model.predictions.bias
    pooler = models.AlbertModel(models.AlbertConfig(**SIZES)).pooler
    assert pooler.bias.abs().sum() == 0 and 0.015 < pooler.weight.std() < 0.025


def test_heads_on_a_saved_encoder_start_anew(tmp_path):
    _, model = both("AlbertModel", config(), tmp_path)
    with pytest.warns(UserWarning, match=r"classifier.bias, classifier.weight are not in .* anew"):
        ours = models.AutoModelForTokenClassification.from_pretrained(tmp_path, num_labels=4)
    assert type(ours) is models.AlbertForTokenClassification and ours.classifier.out_features == 4
    table = model.embeddings.word_embeddings.weight.detach().numpy()
    numpy.testing.assert_array_equal(
        ours.albert.get_input_embeddings().weight.numpy(force=True), table
    )
    with pytest.warns(UserWarning, match="predictions.* and|predictions.bias"):
        head = models.AutoModelForPreTraining.from_pretrained(tmp_path)
    assert type(head) is models.AlbertForPreTraining
    numpy.testing.assert_array_equal(
        head.albert.pooler.weight.numpy(force=True), model.pooler.weight.detach().numpy()
    )


def test_configuration(tmp_path):
    check_defaults("AlbertConfig")
    ours = models.AlbertConfig(**SIZES, num_labels=3, inner_group_num=2)
    ours.save_pretrained(tmp_path)
    assert models.AutoConfig.from_pretrained(tmp_path) == ours
    assert transformers.AlbertConfig.from_pretrained(tmp_path).inner_group_num == 2
    without = models.AlbertConfig(
        **SIZES | {"classifier_dropout_prob": None, "hidden_dropout_prob": 0.3}
    )
    assert models.AlbertForTokenClassification(without).dropout.p == 0.3


def test_bad_input():
    model = models.AlbertModel(models.AlbertConfig(**SIZES)).eval()
    assert model(mg.full((1, 16), 7))[0].shape == (1, 16, 24)
    with pytest.raises(ValueError, match="17 tokens are more than the 16 positions it has"):
        model(mg.full((1, 17), 7))
    with pytest.raises(ValueError, match="AlbertModel: pass either input_ids"):
        model()
    with pytest.raises(ValueError, match=r"attention_mask \(1, 4\) does not fit inputs \(1, 3\)"):
        model(mg.tensor([[2, 3, 4]]), mg.ones(1, 4))
    with pytest.raises(ValueError, match=r"inputs_embeds \(1, 3, 24\) must be \(B, T, 10\)"):
        model(inputs_embeds=mg.ones(1, 3, 24))
    with pytest.raises(IndexError, match="the table has 50 rows"):
        model(mg.tensor([[2, 99]]))
    for changes, message in (
        ({"num_attention_heads": 5}, "AlbertConfig: hidden_size 24 cannot be cut into 5 heads"),
        ({"num_hidden_groups": 0}, "num_hidden_groups 0 and inner_group_num 1 must be 1 at least"),
        ({"inner_group_num": 0}, "num_hidden_groups 1 and inner_group_num 0 must be 1 at least"),
    ):
        with pytest.raises(ValueError, match=message):
            models.AlbertModel(models.AlbertConfig(**SIZES | changes))
    with pytest.raises(ValueError, match="AlbertForQuestionAnswering: .* must be 2, not 3"):
        models.AlbertForQuestionAnswering(models.AlbertConfig(**SIZES, num_labels=3))
