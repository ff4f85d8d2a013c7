"""GPT-2 against transformers, head by head; its cache; padding; what bad input is told."""

import numpy
import pytest
from pretrained_checks import (
    DRAW,
    both,
    check_defaults,
    check_dropouts,
    check_model,
    check_padding,
    texts,
    torch,
    transformers,
)

import minigrad as mg
from minigrad import models

SIZES = dict(
    vocab_size=50, n_embd=24, n_layer=2, n_head=4, n_positions=16, resid_pdrop=0.0, embd_pdrop=0.0,
    attn_pdrop=0.0, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)  # fmt: skip
IDS, MASK = texts()
IDS = IDS * MASK  # padding is token 0, by which the last token is found
INPUTS = {"input_ids": IDS, "attention_mask": MASK}
WORDS = numpy.where(MASK == 1, IDS, -100)


def config(**changes):
    return transformers.GPT2Config(**SIZES | changes)


@pytest.mark.parametrize(
    "name, labels",
    [
        ("GPT2Model", {}),
        ("GPT2LMHeadModel", {"labels": WORDS}),
        ("GPT2ForSequenceClassification", {"labels": numpy.array([0, 2, 1])}),
        ("GPT2ForTokenClassification", {"labels": numpy.where(MASK == 1, IDS % 3, -100)}),
    ],
)
def test_equals_transformers(name, labels, tmp_path):
    check_model(name, config(num_labels=3), INPUTS | labels, tmp_path, mask=MASK)


def test_spans_equal_transformers(tmp_path):
    spans = {"start_positions": numpy.array([1, 0, 40]), "end_positions": numpy.array([3, 0, 1])}
    check_model("GPT2ForQuestionAnswering", config(), INPUTS | spans, tmp_path, mask=MASK)


def test_defaults_and_dropouts():
    check_defaults("GPT2Config")
    dropouts = ("resid_pdrop", "embd_pdrop", "attn_pdrop")
    check_dropouts("GPT2Model", config(), INPUTS, dropouts)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale_attn_weights": False},
        {"scale_attn_by_inverse_layer_idx": True},
        {"n_inner": 30, "activation_function": "relu", "layer_norm_epsilon": 1e-3},
        {"tie_word_embeddings": False},
        {"reorder_and_upcast_attn": True},
    ],
)
def test_options_equal_transformers(changes, tmp_path):
    ours, model = both("GPT2LMHeadModel", config(**changes), tmp_path)
    inputs = dict(token_type_ids=IDS % 3, position_ids=IDS % 16)
    found = ours(mg.tensor(IDS), **{k: mg.tensor(v) for k, v in inputs.items()}).logits
    expected = model(torch.tensor(IDS), **{k: torch.tensor(v) for k, v in inputs.items()}).logits
    numpy.testing.assert_allclose(
        found.numpy(force=True), expected.detach().numpy(), rtol=1e-4, atol=1e-4
    )


def test_padding_changes_nothing(tmp_path):
    ours, _ = both("GPT2Model", config(), tmp_path)
    check_padding(ours, IDS, MASK)
    left = numpy.ascontiguousarray(IDS[:, ::-1]), numpy.ascontiguousarray(MASK[:, ::-1])
    places = mg.tensor((left[1].cumsum(1) - 1).clip(0))
    states = ours(mg.tensor(left[0]), attention_mask=mg.tensor(left[1]), position_ids=places)[0]
    for row, (text, keep) in enumerate(zip(left[0], MASK.sum(1), strict=True)):
        alone = ours(mg.tensor(text[None, -keep:]))[0]
        mg.testing.assert_close(states[row, -keep:], alone[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("padded", [False, True])
def test_with_a_cache_as_without(padded, tmp_path):
    ours, _ = both("GPT2LMHeadModel", config(), tmp_path)
    ours.double()
    ids = mg.tensor(numpy.ascontiguousarray(IDS[:, ::-1]))
    mask = mg.tensor(numpy.ascontiguousarray(MASK[:, ::-1])) if padded else mg.ones_like(ids)
    places = (mask.cumsum(1) - 1).clamp(min=0)
    whole = ours(ids, attention_mask=mask, position_ids=places)
    assert whole.past_key_values is None  # gradients are recorded
    cache, parts = None, []
    for begin, end in ((0, 3), (3, 4), (4, 5), (5, 9)):
        part = ours(
            ids[:, begin:end], cache, mask[:, :end], position_ids=places[:, begin:end],
            use_cache=True, output_attentions=True,
        )  # fmt: skip
        cache = part.past_key_values
        assert cache.get_seq_length() == end and part.attentions[0].shape == (
            3,
            4,
            end - begin,
            end,
        )
        parts.append(part.logits)
    mg.testing.assert_close(
        mg.cat(parts, 1)[mask == 1], whole.logits[mask == 1], rtol=0, atol=1e-10
    )
    with mg.no_grad():
        assert ours(ids).past_key_values.get_seq_length() == 9
        assert ours(ids, use_cache=False).past_key_values is None
    last = ours(ids, attention_mask=mask, position_ids=places, logits_to_keep=2).logits
    mg.testing.assert_close(last, whole.logits[:, -2:], rtol=0, atol=1e-12)


def test_gradients_through_a_cache(tmp_path):
    ours, _ = both("GPT2LMHeadModel", config(), tmp_path)
    ours.double()
    ids = mg.tensor(IDS[:1])
    ours(ids).logits[:, 4:].square().sum().backward()
    expected = {name: p.grad.clone() for name, p in ours.named_parameters()}
    ours.zero_grad()
    first = ours(ids[:, :4], use_cache=True)
    ours(ids[:, 4:], first.past_key_values).logits.square().sum().backward()
    for name, p in ours.named_parameters():
        mg.testing.assert_close(p.grad, expected[name], rtol=1e-9, atol=1e-9, msg=name)


def test_starts_as_published():
    mg.manual_seed(0)
    model = models.GPT2LMHeadModel(
        models.GPT2Config(n_embd=64, n_layer=8, n_head=4, vocab_size=3000)
    )
    stds = {name: p.std().item() for name, p in model.named_parameters() if p.dim() == 2}
    for name, std in stds.items():
        wanted = 0.02 / 4 if "c_proj" in name else 0.02
        assert abs(std - wanted) < 0.04 * wanted, name
    assert model.transformer.h[0].attn.c_attn.bias.abs().sum() == 0
    assert model.lm_head.weight is model.transformer.wte.weight
    known = transformers.GPT2LMHeadModel(
        config(n_embd=64, n_layer=8, n_positions=1024)
    ).parameters()
    extra = 64 * (3000 - 50)
    assert model.num_parameters() == sum(p.numel() for p in known) + extra


def test_last_tokens_without_padding(tmp_path):
    ours, model = both("GPT2ForSequenceClassification", config(pad_token_id=None), tmp_path)
    found, expected = ours(mg.tensor(IDS[:1])), model(torch.tensor(IDS[:1]))
    numpy.testing.assert_allclose(
        found.logits.numpy(force=True), expected.logits.detach().numpy(), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(
        ValueError, match="3 texts can't be told from their padding: set config.pad"
    ):
        ours(mg.tensor(IDS))
    vectors = DRAW.standard_normal((1, 4, 24)).astype("float32")
    found = ours(inputs_embeds=mg.tensor(vectors)).logits
    expected = model(inputs_embeds=torch.tensor(vectors)).logits
    numpy.testing.assert_allclose(
        found.numpy(force=True), expected.detach().numpy(), rtol=1e-4, atol=1e-4
    )


def test_old_files(tmp_path):
    """The published files hold the masks of attention too, and names without `transformer.`."""
    model = models.GPT2LMHeadModel(models.GPT2Config(**SIZES))
    model.save_pretrained(tmp_path)
    old = {
        name.removeprefix("transformer."): p
        for name, p in model.state_dict().items()
        if name != "lm_head.weight"
    }
    old["h.0.attn.bias"] = mg.ones(1, 1, 16, 16).tril()
    mg.serialization.save_safetensors(old, tmp_path / "model.safetensors")
    again = models.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(again) is models.GPT2LMHeadModel
    assert mg.equal(again(mg.tensor(IDS)).logits, model.eval()(mg.tensor(IDS)).logits)


def test_bad_input():
    model = models.GPT2LMHeadModel(models.GPT2Config(**SIZES))
    with pytest.raises(ValueError, match="GPT2Model: 17 tokens are more than the 16 positions"):
        model(mg.ones(1, 17, dtype=mg.int64))
    cache = model(mg.ones(1, 10, dtype=mg.int64), use_cache=True).past_key_values
    with pytest.raises(ValueError, match="10 tokens read before and 7 tokens are more than the 16"):
        model(mg.ones(1, 7, dtype=mg.int64), cache)
    with pytest.raises(ValueError, match=r"attention_mask \(1, 2\) .* after 10 tokens read before"):
        model(mg.ones(1, 2, dtype=mg.int64), cache, attention_mask=mg.ones(1, 2))
    with pytest.raises(ValueError, match="pass either input_ids"):
        model()
    with pytest.raises(ValueError, match="n_embd 24 cannot be cut into 5 heads"):
        models.GPT2Model(models.GPT2Config(**SIZES | {"n_head": 5}))
    with pytest.raises(ValueError, match="add_cross_attention must be False"):
        models.GPT2Model(models.GPT2Config(**SIZES, add_cross_attention=True))


# -- GPT-3's sizes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", models.GPT3_SIZES)
def test_sizes_of_gpt3(size):
    chosen = models.gpt3_config(size)
    chosen.check()
    count = models.gpt2_parameters(chosen)
    with torch.device("meta"):  # shapes without numbers
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**chosen.to_dict()))
    assert count == model.num_parameters()
    named = float(size[:-1]) * {"M": 1e6, "B": 1e9}[size[-1]]
    assert abs(count - named) < 0.02 * named


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"vocab_size": 100, "n_embd": 36, "n_inner": 50, "n_positions": 8},
        {"vocab_size": 100, "n_embd": 36, "n_layer": 3, "tie_word_embeddings": False},
    ],
)
def test_parameters_are_counted(changes):
    chosen = models.gpt3_config("125M", **changes)
    with mg.nn.init.undrawn():
        model = models.GPT2LMHeadModel(chosen)
    assert model.num_parameters() == models.gpt2_parameters(chosen)


def test_published_gpt2_is_counted():
    assert models.gpt2_parameters(models.GPT2Config()) == 124_439_808
    with pytest.raises(ValueError, match="there is no GPT-3 of '3B'; there are: 125M, 350M"):
        models.gpt3_config("3B")
