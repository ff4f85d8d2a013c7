"""RoBERTa against transformers, head by head; its positions; what bad input is told."""

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
    vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=36,
    max_position_embeddings=18, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip
IDS, MASK = texts()
IDS[MASK == 0] = 1  # padding, which positions skip
INPUTS = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": (IDS % 2)}
HEADS = heads_of("Roberta", IDS, MASK, INPUTS)


def config(name="", **changes):
    classes = {} if "Question" in name else {"num_labels": 3}
    return transformers.RobertaConfig(**SIZES | classes | changes)


@pytest.mark.parametrize("name", HEADS)
def test_equals_transformers(name, tmp_path):
    mask = None if "Choice" in name else MASK
    model = check_model(name, config(name), INPUTS | HEADS[name], tmp_path, mask=mask)
    if "Choice" not in name:
        check_attentions(model, INPUTS)


@pytest.mark.parametrize("name", HEADS)
def test_dropouts_stand_where_they_do_in_transformers(name):
    names = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
    check_dropouts(name, config(name), INPUTS | HEADS[name], names)


def test_a_classifier_without_a_dropout_of_its_own_has_that_of_states():
    sizes = models.RobertaConfig(**SIZES | {"hidden_dropout_prob": 0.3})
    for name in ("SequenceClassification", "TokenClassification"):
        head = getattr(models, f"RobertaFor{name}")(sizes)
        parts = [
            p for key, p in head.named_modules() if key.endswith("dropout") and "roberta" not in key
        ]
        assert [part.p for part in parts] == [0.3]


def test_positions_skip_padding(tmp_path):
    ours, model = both("RobertaModel", config(), tmp_path)
    places = ours.embeddings.positions(mg.tensor([[1, 1, 7, 1, 9, 9, 1]]), None)
    assert places.tolist() == [[1, 1, 2, 1, 3, 4, 1]]
    ours.double(), model.double()
    ids = IDS.copy()
    ids[0, :3] = ids[1, 4] = 1  # before the text, and within
    found = ours(mg.tensor(ids)).last_hidden_state
    expected = model(torch.tensor(ids)).last_hidden_state
    numpy.testing.assert_allclose(found.numpy(force=True), expected.detach().numpy(), atol=1e-10)
    vectors = DRAW.standard_normal((2, 5, 24))
    for given in ({}, {"position_ids": numpy.array([[3, 1, 4, 1, 5]])}):
        expected = model(
            inputs_embeds=torch.tensor(vectors), **{k: torch.tensor(v) for k, v in given.items()}
        )[1]
        found = ours(
            inputs_embeds=mg.tensor(vectors), **{k: mg.tensor(v) for k, v in given.items()}
        )[1]
        numpy.testing.assert_allclose(
            found.numpy(force=True), expected.detach().numpy(), atol=1e-10
        )


def test_padding_changes_nothing(tmp_path):
    ours, _ = both("RobertaModel", config(), tmp_path)
    check_padding(ours, IDS, MASK, token_type_ids=IDS % 2)


def test_starts_as_published():
    model = models.RobertaForMaskedLM(
        models.RobertaConfig(**SIZES | {"vocab_size": 5000, "hidden_size": 64})
    )
    table, places = (
        model.roberta.embeddings.word_embeddings,
        model.roberta.embeddings.position_embeddings,
    )
    assert table.weight[1].abs().sum() == 0 and abs(table.weight[2:].std().item() - 0.02) < 1e-3
    assert places.weight[1].abs().sum() == 0 and places.weight[2].abs().sum() > 0
    assert model.lm_head.decoder.weight is table.weight
    assert model.lm_head.decoder.bias is model.lm_head.bias
    known = transformers.RobertaForMaskedLM(config(vocab_size=5000, hidden_size=64))
    assert model.num_parameters() == known.num_parameters()


def test_a_classifier_on_a_folder_of_masked_words_starts_anew(tmp_path):
    _, model = both("RobertaForMaskedLM", config(), tmp_path)
    with pytest.warns(UserWarning, match=r"classifier.dense.bias, .* are not in .* start anew"):
        ours = models.AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=4)
    assert type(ours) is models.RobertaForSequenceClassification
    assert ours.classifier.out_proj.out_features == 4
    table = model.roberta.embeddings.word_embeddings.weight.detach().numpy()
    numpy.testing.assert_array_equal(
        ours.roberta.embeddings.word_embeddings.weight.numpy(force=True), table
    )
    assert (
        type(models.AutoModelForPreTraining.from_pretrained(tmp_path)) is models.RobertaForMaskedLM
    )


def test_configuration(tmp_path):
    check_defaults("RobertaConfig")
    ours = models.RobertaConfig(**SIZES, num_labels=3)
    ours.save_pretrained(tmp_path)
    assert models.AutoConfig.from_pretrained(tmp_path) == ours
    known = transformers.RobertaConfig.from_pretrained(tmp_path)
    assert known.num_labels == 3 and known.max_position_embeddings == 18
    with pytest.raises(ValueError, match="is of a roberta model, not bert"):
        models.BertConfig.from_pretrained(tmp_path)


def test_bad_input():
    model = models.RobertaModel(models.RobertaConfig(**SIZES)).eval()
    assert model.longest_input() == 16
    assert model(mg.full((1, 16), 7))[0].shape == (1, 16, 24)
    with pytest.raises(ValueError, match="17 tokens are more than the 16 positions it has"):
        model(mg.full((1, 17), 7))
    with pytest.raises(ValueError, match="RobertaModel: pass either input_ids"):
        model()
    with pytest.raises(ValueError, match=r"attention_mask \(1, 4\) does not fit inputs \(1, 3\)"):
        model(mg.tensor([[2, 3, 4]]), mg.ones(1, 4))
    with pytest.raises(ValueError, match=r"inputs_embeds \(1, 3, 1\) must be \(B, T, 24\)"):
        model(inputs_embeds=mg.ones(1, 3, 1))
    with pytest.raises(IndexError, match="the table has 50 rows"):
        model(mg.tensor([[2, 99]]))
    for changes, message in (
        ({"num_attention_heads": 5}, "RobertaConfig: hidden_size 24 cannot be cut into 5 heads"),
        ({"pad_token_id": None}, "positions count from pad_token_id, it is None"),
        ({"max_position_embeddings": 2}, r"positions begin at 2 .* must be larger, not 2"),
        ({"is_decoder": True}, "RobertaConfig: .* is_decoder must be False"),
    ):
        with pytest.raises(ValueError, match=message):
            models.RobertaModel(models.RobertaConfig(**SIZES | changes))
    with pytest.raises(ValueError, match="RobertaForQuestionAnswering: .* must be 2, not 3"):
        models.RobertaForQuestionAnswering(models.RobertaConfig(**SIZES, num_labels=3))
    with pytest.raises(TypeError, match="takes a RobertaConfig, not a BertConfig"):
        models.RobertaModel(models.BertConfig())
