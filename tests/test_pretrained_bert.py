"""BERT against transformers, head by head; folders; what bad input is told."""

import json

import numpy
import pytest
from pretrained_checks import (
    DRAW,
    both,
    check_attentions,
    check_model,
    check_padding,
    texts,
    theirs,
    torch,
    transformers,
)

import minigrad as mg
from minigrad import models
from minigrad.pretrained import PreTrainedModel
from minigrad.pretrained.config import PretrainedConfig
from minigrad.serialization import load_safetensors, save_safetensors

SIZES = dict(
    vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=36,
    max_position_embeddings=16, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip
IDS, MASK = texts()
INPUTS = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": (IDS % 2)}
WORDS = numpy.where((DRAW.random(IDS.shape) < 0.4) & (MASK == 1), IDS, -100)


def config(**changes):
    return transformers.BertConfig(**SIZES | changes)


@pytest.mark.parametrize(
    "name, labels",
    [
        ("BertModel", {}),
        ("BertForPreTraining", {"labels": WORDS, "next_sentence_label": numpy.array([0, 1, 0])}),
        ("BertForMaskedLM", {"labels": WORDS}),
        ("BertForNextSentencePrediction", {"labels": numpy.array([0, 1, 1])}),
        ("BertForSequenceClassification", {"labels": numpy.array([0, 2, 1])}),
        ("BertForTokenClassification", {"labels": numpy.where(MASK == 1, IDS % 3, -100)}),
    ],
)
def test_equals_transformers(name, labels, tmp_path):
    model = check_model(name, config(num_labels=3), INPUTS | labels, tmp_path, mask=MASK)
    check_attentions(model, INPUTS)


def test_spans_equal_transformers(tmp_path):
    labels = {"start_positions": numpy.array([1, 0, 40]), "end_positions": numpy.array([3, 0, 1])}
    check_model("BertForQuestionAnswering", config(), INPUTS | labels, tmp_path, mask=MASK)


def test_choices_equal_transformers(tmp_path):
    inputs = {key: numpy.stack([value, value[::-1]], 1) for key, value in INPUTS.items()}
    labels = {"labels": numpy.array([0, 1, 1])}
    check_model("BertForMultipleChoice", config(), inputs | labels, tmp_path)


@pytest.mark.parametrize(
    "problem, labels",
    [
        ("regression", numpy.array([0.5, -1.0, 2.0])),
        ("multi_label_classification", DRAW.integers(0, 2, (3, 3)).astype(float)),
        ("single_label_classification", numpy.array([0, 2, 1])),
    ],
)
def test_losses_by_what_labels_are(problem, labels, tmp_path):
    count = 1 if problem == "regression" else 3
    ours, model = both("BertForSequenceClassification", config(num_labels=count), tmp_path)
    found = ours.double()(mg.tensor(IDS), labels=mg.tensor(labels)).loss
    expected = model.double()(torch.tensor(IDS), labels=torch.tensor(labels)).loss
    numpy.testing.assert_allclose(found.item(), expected.item(), rtol=1e-12)
    assert ours.config.problem_type == problem == model.config.problem_type


def test_masks_of_each_token_and_vectors_in_place_of_ids(tmp_path):
    ours, model = both("BertModel", config(), tmp_path)
    ours.double(), model.double()
    looks = numpy.tril(numpy.ones((9, 9), int))[None].repeat(3, 0)
    hidden = torch.tensor((1 - looks[:, None]) * -1e300)
    expected = model(torch.tensor(IDS), hidden).last_hidden_state
    found = ours(mg.tensor(IDS), mg.tensor(looks)).last_hidden_state
    numpy.testing.assert_allclose(found.numpy(force=True), expected.detach().numpy(), atol=1e-10)
    vectors = DRAW.standard_normal((2, 5, 24))
    places = numpy.array([[3, 1, 4, 1, 5]])
    expected = model(
        inputs_embeds=torch.tensor(vectors), position_ids=torch.tensor(places)
    ).pooler_output
    found = ours(inputs_embeds=mg.tensor(vectors), position_ids=mg.tensor(places)).pooler_output
    numpy.testing.assert_allclose(found.numpy(force=True), expected.detach().numpy(), atol=1e-10)


def test_padding_changes_nothing(tmp_path):
    ours, model = both("BertModel", config(), tmp_path)
    check_padding(ours, IDS, MASK, token_type_ids=IDS % 2)
    nothing = ours(mg.tensor(IDS), attention_mask=mg.zeros(3, 9, dtype=mg.int64))[0]
    model.set_attn_implementation(
        "sdpa"
    )  # texts without a token that counts: attention gives zeros
    expected = model.double()(torch.tensor(IDS), torch.zeros(3, 9, dtype=torch.int64))[0]
    numpy.testing.assert_allclose(nothing.numpy(force=True), expected.detach().numpy(), atol=1e-10)


def test_outputs_are_records():
    model = models.BertModel(models.BertConfig(**SIZES)).eval()
    output = model(mg.tensor(IDS))
    assert output[0] is output["last_hidden_state"] is output.last_hidden_state
    assert output.hidden_states is None and list(output) == ["last_hidden_state", "pooler_output"]
    states, pooled = model(mg.tensor(IDS), return_dict=False)
    assert mg.equal(states, output[0]) and mg.equal(pooled, output[1])
    assert len(output[:2]) == 2 and len(model(mg.tensor(IDS), output_hidden_states=True)[2]) == 3
    with pytest.raises(AttributeError, match="has no 'logits'; it has: last_hidden_state"):
        output.logits


def test_starts_as_published():
    model = models.BertModel(models.BertConfig(**SIZES | {"vocab_size": 5000, "hidden_size": 64}))
    table = model.get_input_embeddings().weight
    assert table[0].abs().sum() == 0 and abs(table[1:].std().item() - 0.02) < 1e-3
    assert model.pooler.dense.bias.abs().sum() == 0
    assert (
        model.num_parameters()
        == transformers.BertModel(config(vocab_size=5000, hidden_size=64)).num_parameters()
    )


# -- folders ---------------------------------------------------------------------------------------


def test_a_head_on_a_saved_encoder_starts_anew(tmp_path):
    model = theirs("BertModel", config())
    model.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match=r"classifier.bias, classifier.weight are not in .* anew"):
        ours, info = models.BertForTokenClassification.from_pretrained(
            tmp_path, num_labels=5, output_loading_info=True
        )
    assert ours.classifier.out_features == 5 and not ours.training
    assert 0.01 < ours.classifier.weight.std() < 0.03 and ours.classifier.bias.abs().sum() == 0
    assert info["missing_keys"] == ["classifier.bias", "classifier.weight"]
    assert sorted(info["unexpected_keys"]) == ["pooler.dense.bias", "pooler.dense.weight"]
    weight = model.embeddings.word_embeddings.weight.detach().numpy()
    found = ours.bert.embeddings.word_embeddings.weight.numpy(force=True)
    numpy.testing.assert_array_equal(found, weight)


def test_an_encoder_out_of_a_model_with_a_head(tmp_path):
    model = theirs("BertForPreTraining", config())
    model.save_pretrained(tmp_path)
    ours = models.BertModel.from_pretrained(tmp_path)
    found, expected = ours(mg.tensor(IDS)), model.bert(torch.tensor(IDS))
    numpy.testing.assert_allclose(
        found[1].numpy(force=True), expected[1].detach().numpy(), atol=1e-5
    )


def test_reading_a_folder_draws_only_what_it_lacks(tmp_path):
    models.BertForMaskedLM(models.BertConfig(**SIZES)).save_pretrained(tmp_path)
    mg.manual_seed(3)
    models.BertForMaskedLM.from_pretrained(tmp_path)
    assert mg.equal(mg.rand(2), mg.rand(2, generator=mg.Generator().manual_seed(3)))
    with mg.nn.init.undrawn():
        layer = mg.nn.Linear(3, 2)
    assert layer.reset_parameters() is None and layer.weight.abs().max() < 0.58  # draws again


@pytest.mark.parametrize("form", ["bin", "shards", "old names"])
def test_other_forms_of_folders(form, tmp_path):
    ours = models.BertForMaskedLM(models.BertConfig(**SIZES))
    ours.save_pretrained(tmp_path, safe_serialization=form != "bin")
    if form == "bin":
        assert "bert.embeddings.word_embeddings.weight" in torch.load(
            tmp_path / "pytorch_model.bin", map_location="cpu"
        )
    else:
        whole = load_safetensors(tmp_path / "model.safetensors")
        (tmp_path / "model.safetensors").unlink()
        if form == "old names":
            old = {
                k.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                    "LayerNorm.bias", "LayerNorm.beta"
                ): v
                for k, v in whole.items()
            }
            old["bert.embeddings.position_ids"] = mg.arange(16)[None]
            save_safetensors(old, tmp_path / "model.safetensors")
        else:
            places = {}
            for number, part in enumerate((list(whole)[:7], list(whole)[7:])):
                name = f"model-{number}.safetensors"
                save_safetensors({key: whole[key] for key in part}, tmp_path / name)
                places |= dict.fromkeys(part, name)
            (tmp_path / "model.safetensors.index.json").write_text(
                json.dumps({"weight_map": places})
            )
    again = models.BertForMaskedLM.from_pretrained(tmp_path)
    for name, weight in ours.state_dict().items():
        assert mg.equal(again.state_dict()[name], weight), name
    assert again.cls.predictions.decoder.weight is again.bert.embeddings.word_embeddings.weight
    if form == "shards":
        (tmp_path / "model-1.safetensors").unlink()
        with pytest.raises(FileNotFoundError, match="names the shard model-1.safetensors"):
            models.BertForMaskedLM.from_pretrained(tmp_path)


def test_weights_that_do_not_fit(tmp_path):
    models.BertForSequenceClassification(models.BertConfig(**SIZES)).save_pretrained(tmp_path)
    with pytest.raises(
        RuntimeError, match=r"classifier.bias of shape \(2,\), the model \(7,\) \(2 such\)"
    ):
        models.BertForSequenceClassification.from_pretrained(tmp_path, num_labels=7)
    with pytest.warns(UserWarning, match="start anew"):
        models.BertForSequenceClassification.from_pretrained(
            tmp_path, num_labels=7, ignore_mismatched_sizes=True
        )
    path = tmp_path / "model.safetensors"
    weights = load_safetensors(path)
    gone = "bert.encoder.layer.1.attention.self.key.weight"
    save_safetensors({k: v for k, v in weights.items() if k != gone}, path)
    with pytest.raises(RuntimeError, match=rf"lacks {gone}; it has 40 of"):
        models.BertForSequenceClassification.from_pretrained(tmp_path)
    save_safetensors({"encoder.w": mg.ones(2)}, path)
    with pytest.raises(
        RuntimeError, match=r"lacks .* more weights; it has 0 of .* 1 others \(encoder.w"
    ):
        models.BertModel.from_pretrained(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(RuntimeError, match="truncated or corrupt"):
        models.BertModel.from_pretrained(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="holds no weights"):
        models.BertModel.from_pretrained(tmp_path)


def test_configurations(tmp_path):
    config = models.BertConfig(**SIZES, id2label={"0": "bad", "1": "good", "2": "fine"}, mine=[1])
    assert config.num_labels == 3 and config.label2id["good"] == 1 and config.hidden_act == "gelu"
    config.save_pretrained(tmp_path)
    again = models.BertConfig.from_pretrained(tmp_path)
    assert again == config and again.mine == [1]
    assert models.BertConfig.from_pretrained(tmp_path, num_labels=2).id2label[1] == "LABEL_1"
    known = transformers.BertConfig.from_pretrained(tmp_path)
    assert known.num_labels == 3 and known.hidden_size == 24
    for name in ("vocab_size", "hidden_size", "layer_norm_eps", "type_vocab_size", "pad_token_id"):
        assert getattr(models.BertConfig(), name) == getattr(transformers.BertConfig(), name)
    (tmp_path / "config.json").write_text('{"model_type": "roberta"}')
    with pytest.raises(ValueError, match="is of a roberta model, not bert"):
        models.BertModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        models.BertModel.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="reads a local folder"):
        models.BertModel.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="hidden_size 24 cannot be cut into 5 heads"):
        models.BertModel(models.BertConfig(**SIZES | {"num_attention_heads": 5}))
    with pytest.raises(ValueError, match="is_decoder must be False"):
        models.BertModel(models.BertConfig(**SIZES, is_decoder=True))
    with pytest.raises(TypeError, match="takes a BertConfig, not a PretrainedConfig"):
        models.BertModel(PretrainedConfig())


def test_bad_input():
    model = models.BertModel(models.BertConfig(**SIZES))
    with pytest.raises(ValueError, match="20 tokens are more than the 16 positions it has"):
        model(mg.ones(1, 20, dtype=mg.int64))
    with pytest.raises(ValueError, match="pass either input_ids"):
        model()
    with pytest.raises(ValueError, match=r"input_ids are \(B, T\)"):
        model(mg.tensor([1, 2]))
    with pytest.raises(ValueError, match=r"attention_mask \(1, 4\) does not fit inputs \(1, 3\)"):
        model(mg.tensor([[1, 2, 3]]), mg.ones(1, 4))
    with pytest.raises(IndexError, match="the table has 50 rows"):
        model(mg.tensor([[1, 99]]))
    with pytest.raises(ValueError, match=r"inputs_embeds \(1, 3, 1\) must be \(B, T, 24\)"):
        model(inputs_embeds=mg.ones(1, 3, 1))
    with pytest.raises(NotImplementedError, match="PreTrainedModel does not say which"):
        PreTrainedModel(PretrainedConfig()).get_input_embeddings()
    with pytest.raises(ValueError, match="there is no activation 'golu'"):
        models.BertModel(models.BertConfig(**SIZES | {"hidden_act": "golu"}))
