"""The GPT on torch and here; GPT-2's numbers from the same weights; what a token may see; writing."""

import gc
import importlib.util
import math
import tracemalloc
from pathlib import Path

import numpy
import pytest
from minigrad.kernels.kernel import REFERENCE_ONLY
from model_checks import check_model

import minigrad
from minigrad.models.gpt import GPT, GPTConfig

draw = numpy.random.default_rng(0)
IDS = draw.integers(0, 11, (3, 6))
TARGETS = draw.integers(0, 11, (3, 6))
TARGETS[1, 4:] = -100
SIZES = dict(block_size=7, vocab_size=11, n_layer=2, n_head=2, n_embd=6)
NANO = GPTConfig(64, 65, n_layer=4, n_head=4, n_embd=128, bias=False)


def tiny(seed=0, **changes):
    minigrad.manual_seed(seed)
    return GPT(GPTConfig(**SIZES | changes)).eval()


@pytest.mark.parametrize(
    "changes", [{}, dict(bias=False), dict(n_head=1, n_layer=1), dict(dropout=0.3)], ids=str
)
def test_on_torch(changes):
    def loss(model, torch, tensor):
        model.eval()
        logits, value = model(tensor(IDS), tensor(TARGETS))
        return value, (logits, *model.attentions(tensor(IDS)))

    check_model("gpt", lambda models, _: models.GPT(models.GPTConfig(**SIZES | changes)), loss)


def test_the_numbers_of_gpt2():
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=11, n_positions=7, n_embd=6, n_layer=2, n_head=2, activation_function="gelu"
        )
    ).double()
    turned = "c_attn.weight", "c_fc.weight", "c_proj.weight"  # there inputs come first
    weights = {
        name: minigrad.tensor((w.T if name.endswith(turned) else w).numpy(force=True))
        for name, w in theirs.state_dict().items()
    }
    ours = tiny().double()
    ours.load_state_dict(weights)
    logits, none = ours(minigrad.tensor(IDS))
    expected = theirs.eval()(torch.tensor(IDS)).logits
    assert none is None
    numpy.testing.assert_allclose(logits.numpy(force=True), expected.numpy(force=True), atol=1e-12)


def test_starting_weights():
    minigrad.manual_seed(0)
    model = GPT(NANO)
    spread = {name: float(w.detach().numpy().std()) for name, w in model.named_parameters()}
    for name, found in spread.items():
        if name.endswith("c_proj.weight"):
            assert found == pytest.approx(0.02 / math.sqrt(8), rel=0.03)
        elif w_is_matrix(model, name):
            assert found == pytest.approx(0.02, rel=0.03)
    assert model.lm_head.weight is model.transformer.wte.weight
    matrices = 65 * 128 + 64 * 128 + 4 * 12 * 128 * 128
    assert sum(w.numel() for w in model.parameters()) == matrices + 9 * 128
    _, loss = model(minigrad.randint(65, (4, 64)), minigrad.randint(65, (4, 64)))
    assert loss.item() == pytest.approx(math.log(65), abs=0.1)  # it knows nothing yet


def w_is_matrix(model, name):
    return model.get_parameter(name).dim() > 1


def test_a_token_sees_none_that_follow():
    model = tiny().double()
    ids = minigrad.tensor(IDS)
    before, _ = model(ids)
    changed = ids.clone()
    changed[:, 4] = (changed[:, 4] + 1) % 11
    after, _ = model(changed)
    same = (before == after).all(2).all(0)
    assert same.tolist() == [True] * 4 + [False] * 2
    for weights in model.attentions(ids):
        assert (weights.triu(1) == 0).all()
        numpy.testing.assert_allclose(weights.sum(3).numpy(force=True), 1, rtol=1e-12)


def test_writing():
    model = tiny(n_embd=24)
    prompt = minigrad.tensor(IDS[:, :2])
    greedy = model.generate(prompt, 9, greedy=True)
    assert greedy.shape == (3, 11)
    for n in range(2, 11):  # the last 7 alone are seen
        logits, _ = model(greedy[:, max(0, n - 7) : n])
        assert (logits[:, -1].argmax(1) == greedy[:, n]).all()
    drawn = [
        model.generate(prompt, 9, generator=minigrad.Generator().manual_seed(seed)).tolist()
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert (model.generate(prompt, 9, top_k=1) == greedy).all()
    assert model.generate(prompt, 0).tolist() == prompt.tolist()
    model.train()
    model.generate(prompt, 1)
    assert model.training


@pytest.mark.parametrize("shape", [(2, 8), (2, 0), (6,)])
def test_too_many_tokens(shape):
    with pytest.raises(ValueError, match=r"1 to block_size = 7 tokens, got shape \("):
        tiny()(minigrad.zeros(shape, dtype=minigrad.int64))


def test_heads_of_one_size():
    with pytest.raises(ValueError, match="a width of 6 can't be shared by 4 heads"):
        tiny(n_head=4)


@pytest.mark.slow
def test_two_layers_learn_in_context_and_one_does_not(capsys):
    path = Path(__file__).parent.parent / "examples" / "induction.py"
    spec = importlib.util.spec_from_file_location("induction", path)
    induction = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(induction)
    ids, places = induction.draw(5)
    for row, asked in zip(ids.tolist(), places.tolist(), strict=True):
        pairs = dict(zip(row[:12:2], row[1:12:2], strict=True))
        assert len(pairs) == 6  # each first token once, so that there is one answer
        assert [row[place + 1] for place in asked] == [pairs[row[place]] for place in asked]
        assert asked == list(range(12, 24, 2))
    minigrad.manual_seed(0)
    one, two = (induction.accuracy(induction.train(layers, 240)) for layers in (1, 2))
    assert one < 0.5 < 0.9 < two
    assert capsys.readouterr().out.count("right") == 16


@pytest.mark.skipif(REFERENCE_ONLY, reason="the plain definition holds all weights")
def test_memory_grows_with_the_length_not_its_square():
    def peak(length):
        minigrad.manual_seed(0)
        model = GPT(GPTConfig(length, 11, n_layer=2, n_head=2, n_embd=16))
        ids = minigrad.randint(11, (1, length))
        model(ids[:, :64], ids[:, :64])[1].backward()  # what is made once
        gc.collect()
        tracemalloc.start()
        model(ids, ids)[1].backward()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    short, long = peak(1024), peak(4096)
    assert long < 4.4 * short
    assert long < 4096 * 4096 * 4  # one layer's weights of one head would be as much
