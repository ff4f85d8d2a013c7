"""Llama against transformers, head by head; rotary positions; its cache; what bad input is told."""

import numpy
import pytest
from generation_checks import check_generate, prompts, saved
from pretrained_checks import (
    both,
    check_attentions,
    check_defaults,
    check_model,
    check_padding,
    texts,
    torch,
    transformers,
)
from transformers import modeling_rope_utils
from transformers.loss.loss_utils import LOSS_MAPPING
from transformers.models.llama import modeling_llama

import minigrad as mg
from minigrad import models
from minigrad.models import llama
from minigrad.models.rope import RotaryEmbedding

SIZES = dict(
    vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=36,
    num_key_value_heads=2, max_position_embeddings=16, pad_token_id=0, bos_token_id=1, eos_token_id=2,
)  # fmt: skip
IDS, MASK = texts()
IDS = IDS * MASK  # padding is token 0, by which the last token is found
INPUTS = {"input_ids": IDS, "attention_mask": MASK}
WORDS = numpy.where(MASK == 1, IDS, -100)
SCALED = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "llama3": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
}  # fmt: skip


def config(**changes):
    return transformers.LlamaConfig(**SIZES | changes)


class WideTorch:
    """torch, where float32 is float64."""

    float = float32 = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


@pytest.fixture
def exact(monkeypatch):
    """transformers makes angles, norms, softmax and losses in float32 whatever its dtype; here not."""
    for place in (modeling_llama, modeling_rope_utils):
        monkeypatch.setattr(place, "torch", WideTorch())

    def token_loss(logits, labels, config, **options):
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())

    monkeypatch.setitem(LOSS_MAPPING, "ForTokenClassification", token_loss)


@pytest.mark.parametrize(
    "name, labels",
    [
        ("LlamaModel", {}),
        ("LlamaForCausalLM", {"labels": WORDS}),
        ("LlamaForSequenceClassification", {"labels": numpy.array([0, 2, 1])}),
        ("LlamaForTokenClassification", {"labels": numpy.where(MASK == 1, IDS % 3, -100)}),
    ],
)
def test_equals_transformers(name, labels, tmp_path, exact):
    check_model(name, config(num_labels=3), INPUTS | labels, tmp_path, mask=MASK)


@pytest.mark.parametrize(
    "changes",
    [
        {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "head_dim": 8},
        {"num_key_value_heads": 1, "hidden_act": "gelu"},
        {"num_key_value_heads": 4, "rope_theta": 500.0, "rope_scaling": SCALED["llama3"]},
    ],
)
def test_options_equal_transformers(changes, tmp_path, exact):
    ours = check_model(
        "LlamaForCausalLM", config(**changes), INPUTS | {"labels": WORDS}, tmp_path, mask=MASK
    )
    tied = ours.lm_head.weight is ours.model.embed_tokens.weight
    assert tied == changes.get("tie_word_embeddings", False)


def test_padding_and_attentions(tmp_path):
    ours, _ = both("LlamaModel", config(), tmp_path)
    check_attentions(ours, INPUTS)
    check_padding(ours, IDS, MASK)


# -- rotary positions ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["default", *SCALED])
@pytest.mark.parametrize("last", [15, 4000])
def test_rotations_equal_transformers(kind, last):
    known = config(rope_theta=1e5, rope_scaling=SCALED.get(kind), head_dim=16)
    places = numpy.array([[0, 1, 7, last]])
    theirs = modeling_llama.LlamaRotaryEmbedding(known)
    expected = theirs(torch.zeros(1), torch.tensor(places))
    ours = RotaryEmbedding(models.LlamaConfig.from_dict(known.to_dict()))
    found = ours(mg.tensor(places), mg.zeros(1))
    for a, b in zip(found, expected, strict=True):
        assert a.shape == (1, 1, 4, 8) and a.dtype == mg.float32
        # an angle of 4000 has steps of 2.4e-4 in float32; each side rounds its frequencies
        atol = 1e-6 if last == 15 else 1e-3
        numpy.testing.assert_allclose(a[:, 0].numpy(), b[..., :8].numpy(), rtol=0, atol=atol)


@pytest.mark.parametrize("kind", SCALED)
def test_scaled_rotations_in_a_model(kind, tmp_path):
    ours, model = both("LlamaForCausalLM", config(rope_scaling=SCALED[kind]), tmp_path)
    ids = numpy.arange(40)[None] % 49 + 1  # more than the 16 places of training
    found, expected = ours(mg.tensor(ids)), model(torch.tensor(ids))
    numpy.testing.assert_allclose(
        found.logits.numpy(force=True), expected.logits.detach().numpy(), rtol=1e-4, atol=1e-4
    )


def test_half_precision(tmp_path):
    ours, model = both("LlamaForCausalLM", config(), tmp_path, dtype="float16")
    found = ours(mg.tensor(IDS)).logits
    expected = model.half()(torch.tensor(IDS)).logits
    assert found.dtype == mg.float16
    a, b = found.numpy(force=True).astype("float32"), expected.detach().float().numpy()
    numpy.testing.assert_allclose(a, b, rtol=0, atol=0.02 * abs(b).max())


# -- the cache -------------------------------------------------------------------------------------


def test_reading_in_parts_gives_the_same(tmp_path):
    ours, model = both("LlamaForCausalLM", config(num_hidden_layers=3), tmp_path)
    ours.double(), model.double()
    ids = mg.tensor(IDS % 48 + 1)
    with mg.no_grad():
        whole = ours(ids)
        assert whole.past_key_values.get_seq_length() == 9
        assert ours(ids, use_cache=False).past_key_values is None
        cache, parts = None, []
        for part in (ids[:, :4], ids[:, 4:5], ids[:, 5:9]):
            output = ours(part, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            parts.append(output.logits)
        numpy.testing.assert_allclose(mg.cat(parts, 1).numpy(), whole.logits.numpy(), atol=1e-10)
        last = ours(ids, logits_to_keep=2).logits
    assert cache.layers[0].keys.shape == (3, 2, 9, 6)  # grouped keys are kept once
    assert mg.allclose(last, whole.logits[:, -2:], rtol=0, atol=1e-12)
    assert ours(ids).past_key_values is None  # gradients are recorded


def test_padding_on_the_left_changes_nothing(tmp_path):
    ours, model = both("LlamaForCausalLM", config(), tmp_path)
    ours.double()
    short = mg.tensor(IDS[2:3, :2])
    padded = mg.cat([mg.zeros(1, 5, dtype=mg.int64), short], 1)
    mask = (mg.arange(7) >= 5).long()[None]
    with mg.no_grad():
        first = ours(padded, attention_mask=mask)
        alone = ours(short)
        assert mg.allclose(first.logits[:, 5:], alone.logits, rtol=0, atol=1e-10)
        mask = mg.cat([mask, mg.ones(1, 1, dtype=mg.int64)], 1)
        step = mg.tensor([[7]])
        after = ours(step, attention_mask=mask, past_key_values=first.past_key_values)
        expected = ours(step, past_key_values=alone.past_key_values)
    assert mg.allclose(after.logits, expected.logits, rtol=0, atol=1e-10)


# -- configurations and errors ---------------------------------------------------------------------


def test_configurations(tmp_path):
    check_defaults("LlamaConfig")
    old = models.LlamaConfig(
        **SIZES, rope_theta=5e5, rope_scaling={"type": "linear", "factor": 2.0}
    )
    assert old.rope_parameters == {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5}
    assert old.head_dim == 6 and models.LlamaConfig(**SIZES | {"num_key_value_heads": None}).num_key_value_heads == 4  # fmt: skip
    old.save_pretrained(tmp_path)
    assert models.AutoConfig.from_pretrained(tmp_path) == old
    assert transformers.AutoConfig.from_pretrained(tmp_path).rope_parameters == old.rope_parameters
    assert models.AutoModelForCausalLM.from_config(old).config is old


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"num_key_value_heads": 3}, "4 heads of queries cannot share 3 heads of keys"),
        ({"hidden_size": 25}, "hidden_size 25 cannot be cut into 4 heads"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "no rope_type 'yarn' here; .* llama3"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 2.0}}, "'llama3' lack low_freq_factor, high"),
        ({"rope_scaling": {"rope_type": "linear"}}, "'linear' lack factor"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor must be 1, not 0.5"),
        ({"head_dim": 5}, "head_dim must be even for rotary positions, not 5"),
        ({"hidden_act": "golu"}, "there is no activation 'golu'"),
    ],
)  # fmt: skip
def test_bad_configurations(changes, message):
    with pytest.raises(ValueError, match=message):
        models.LlamaModel(models.LlamaConfig(**SIZES | changes))


def test_bad_input():
    model = models.LlamaForCausalLM(models.LlamaConfig(**SIZES)).eval()
    with pytest.raises(ValueError, match="pass either input_ids"):
        model()
    with pytest.raises(ValueError, match=r"attention_mask \(1, 4\) does not fit inputs \(1, 3\)"):
        model(mg.tensor([[1, 2, 3]]), mg.ones(1, 4))
    with pytest.raises(IndexError, match="the table has 50 rows"):
        model(mg.tensor([[1, 99]]))
    with mg.no_grad():
        cache = model(mg.tensor([[1, 2, 3]])).past_key_values
        with pytest.raises(ValueError, match="a cache goes on with the texts that it began with"):
            model(mg.tensor([[1], [2]]), past_key_values=cache)


# -- single steps, and weights of 8 bits -----------------------------------------------------------


def stepped(model, ids, first=3, most=1):
    """The logits (1, T, V) read in parts after the `first`; how many steps were of the kernels."""
    parts, cache, calls = [], None, []
    original = llama.step

    def counted(*arguments):
        calls.append(original(*arguments))
        return calls[-1]

    llama.step = counted
    try:
        with mg.no_grad():
            for part in (ids[:, :first], *ids[:, first:].split(most, dim=1)):
                output = model(part, past_key_values=cache, use_cache=True)
                cache = output.past_key_values
                parts.append(output.logits)
    finally:
        llama.step = original
    return mg.cat(parts, 1), sum(state is not None for state in calls)


@pytest.mark.cpu_only(reason="a step by the CPU's kernels")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("changes", [{}, {"num_key_value_heads": 4, "head_dim": 10}])
def test_steps_by_kernels_equal_the_layers(dtype, changes):
    mg.manual_seed(0)
    config = models.LlamaConfig(**SIZES | {"initializer_range": 0.3} | changes)
    model = models.LlamaForCausalLM(config).eval().to(getattr(mg, dtype))
    ids = mg.tensor(IDS[:1])
    found, steps = stepped(model, ids)
    assert steps == 7  # the prompt, then six tokens
    assert mg.allclose(stepped(model, ids, first=4, most=3)[0], found, rtol=0, atol=1e-4)
    with mg.no_grad():
        expected = model(ids, use_cache=False).logits
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    assert found.dtype == expected.dtype
    assert mg.allclose(found, expected, rtol=0, atol=tolerance)
    model.model.layers[0].mlp.register_forward_hook(lambda module, inputs, output: output * 0)
    other, steps = stepped(model, ids)  # a hook is called, by the layers themselves
    assert steps == 0 and not mg.allclose(other, expected, rtol=0, atol=0.1)


@pytest.mark.parametrize("changes", [{"attention_bias": True}, {"hidden_act": "gelu"}])
def test_steps_that_the_kernels_leave_to_the_layers(changes):
    model = models.LlamaForCausalLM(models.LlamaConfig(**SIZES | changes)).eval()
    ids = mg.tensor(IDS[:1])
    found, steps = stepped(model, ids)
    assert steps == 0
    with mg.no_grad():
        assert mg.allclose(found, model(ids).logits, rtol=0, atol=1e-5)
        both = model(ids[:, :1].expand(2, 1), use_cache=True)  # two texts
        assert both.logits.shape == (2, 1, 50)


@pytest.mark.parametrize("tied", [True, False])
def test_eight_bits(tied, tmp_path):
    mg.manual_seed(0)
    config = models.LlamaConfig(
        **SIZES | {"initializer_range": 0.3, "tie_word_embeddings": tied, "mlp_bias": not tied}
    )
    model = models.LlamaForCausalLM(config).eval()
    model.save_pretrained(tmp_path)
    ids = mg.tensor(IDS)
    with mg.no_grad():
        exact = model(ids).logits
        small = models.AutoModelForCausalLM.from_pretrained(tmp_path, load_in_8bit=True)
        found = small(ids).logits
        for module in model.modules():  # the same numbers in a model of float32
            if type(module) in (mg.nn.Linear, mg.nn.Embedding):
                if type(module) is mg.nn.Embedding and not tied:
                    continue
                if module is model.lm_head and tied:
                    continue
                w = module.weight
                scales = w.abs().amax(1, keepdim=True) / 127
                w.copy_((w / scales.clamp(min=1e-12)).round() * scales)
        expected = model(ids).logits
    assert mg.allclose(found, expected, rtol=0, atol=1e-4)
    assert 0 < (found - exact).abs().max() < 0.2 * exact.abs().max()
    inside = small.model.layers[0].mlp.up_proj
    assert inside.weight.dtype == mg.int8 and inside.scales.shape == (36,)
    assert repr(inside) == f"Int8Linear(in_features=24, out_features=36, bias={not tied})"
    shared = small.lm_head.weight is getattr(small.model.embed_tokens, "weight", None)
    assert shared == tied
    one, steps = stepped(small, ids[:1])
    assert steps == (7 if tied and ids.is_cpu else 0) and mg.allclose(one, found[:1], rtol=0, atol=1e-4)
    long = mg.tensor(numpy.arange(30)[None] % 50)  # products in tiles
    with mg.no_grad():
        assert mg.allclose(small(long).logits, model(long).logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["BertForMaskedLM", "GPT2LMHeadModel", "T5ForConditionalGeneration"]
)
def test_eight_bits_in_other_families(name):
    mg.manual_seed(0)
    sizes = {
        "BertForMaskedLM": dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
                                intermediate_size=36),
        "GPT2LMHeadModel": dict(n_embd=24, n_layer=2, n_head=4),
        "T5ForConditionalGeneration": dict(d_model=24, d_kv=6, d_ff=36, num_layers=2, num_heads=4,
                                           decoder_start_token_id=0),
    }  # fmt: skip
    kind = getattr(models, name)
    model = kind(kind.config_class(vocab_size=50, **sizes[name])).eval()
    given = {"input_ids": mg.tensor(IDS)}
    if name.startswith("T5"):
        given["decoder_input_ids"] = mg.tensor(IDS[:, :4])
    with mg.no_grad():
        exact = model(**given).logits
        found = model.quantize_int8()(**given).logits
    assert 0 < (found - exact).abs().max() < 0.05 * exact.abs().max()
    table = model.get_input_embeddings()
    assert table.weight.dtype == mg.int8 and table.padding_idx == (0 if "Bert" in name else None)
    assert repr(table) == "Int8Embedding(50, 24)"


def test_eight_bits_are_for_reading():
    model = models.LlamaForCausalLM(models.LlamaConfig(**SIZES, tie_word_embeddings=True))
    assert model.quantize_int8() is model and not model.training
    with pytest.raises(RuntimeError, match="8 bits are not written; save the model before"):
        model.save_pretrained("nowhere")
    with pytest.raises(ValueError, match="has no Linear layer left"):
        model.quantize_int8()
    with pytest.raises(RuntimeError, match="8 bits don't learn, and pass no gradient on"):
        model(inputs_embeds=mg.zeros(1, 3, 24, requires_grad=True))
    with pytest.raises(RuntimeError, match="expected 24 input features, got x of shape"):
        model.lm_head(mg.zeros(1, 3, 7))
    with pytest.raises(IndexError, match="ids from 0 to 49: the table has 50 rows"):
        model(mg.tensor([[1, 50]]))


# -- generation ------------------------------------------------------------------------------------


def test_generation_equals_transformers(tmp_path):
    ours, model = saved("LlamaForCausalLM", config(eos_token_id=None), tmp_path)
    ids, mask = prompts()
    for options in (
        {},
        {"num_beams": 3},
        {"use_cache": False},
        {"num_beams": 2, "use_cache": False},
    ):
        found = check_generate(ours, model, ids, mask, max_new_tokens=9, **options)
        assert found.shape == (3, 16)
        one = check_generate(ours, model, ids[:1], max_new_tokens=9, **options)  # by kernels
        assert mg.equal(one[0], found[0])
