"""RecurrentLM: the same on torch weight for weight, its gradient, its state, what it samples."""

import numpy
import pytest
from model_checks import check_model, on_both

import minigrad
from minigrad.models.language_model import RecurrentLM, detach_state, filter_logits, next_ids

V = 13
WINDOWS = numpy.random.default_rng(0).integers(0, V, (2, 6, 3))  # two windows of (T, B) ids


def loss(model, torch, tensor):
    """Two windows, the state carried from one to the next without its graph."""
    detach = detach_state
    model.eval()
    state = detach(model.init_hidden(3))
    total, outputs = 0, []
    for ids in WINDOWS:
        logits, state = model(tensor(ids[:-1]), state)
        total = total + torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), tensor(ids[1:]).flatten()
        )
        outputs.append(logits)
    return total, tuple(outputs)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
def test_the_model_is_torchs(cell, tied):
    check_model(
        "language_model",
        lambda m, torch: m.RecurrentLM(V, 5, 5, 2, dropout=0.3, cell=cell, tie_weights=tied),
        loss,
    )


def test_one_layer_with_the_layers_own_weights():
    check_model("language_model", lambda m, torch: m.RecurrentLM(V, 4, 6, 1, init_range=None), loss)


def test_dropout_is_on_the_way_up_only():
    """In training; what is passed on in time stays whole, and no mask is drawn in evaluation."""
    minigrad.manual_seed(0)
    model = RecurrentLM(V, 40, 40, 1, dropout=0.5).train()
    ids = minigrad.tensor(WINDOWS[0])
    hidden, (h, _) = model.features(ids)
    dropped = (hidden == 0).float().mean().item()
    assert 0.4 < dropped < 0.6
    assert (h != 0).all()
    model.eval()
    first, second = (model.features(ids)[0] for _ in range(2))
    assert (first == second).all()
    assert (first != 0).all()


def test_reading_in_two_windows_is_reading_in_one():
    minigrad.manual_seed(0)
    model = RecurrentLM(V, 4, 6, 2).eval()
    ids = minigrad.tensor(WINDOWS[0])
    whole, end = model(ids)
    first, state = model(ids[:2])
    second, last = model(ids[2:], state)
    numpy.testing.assert_allclose(
        minigrad.cat([first, second]).detach().numpy(), whole.detach().numpy(), atol=1e-6
    )
    numpy.testing.assert_allclose(last[1].detach().numpy(), end[1].detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_detached_state_cuts_the_graph(cell):
    model = RecurrentLM(V, 4, 6, 2, cell=cell)
    ids = minigrad.tensor(WINDOWS[0])
    _, state = model(ids)
    parts = state if isinstance(state, tuple) else (state,)
    cut = detach_state(state)
    cut = cut if isinstance(cut, tuple) else (cut,)
    for before, after in zip(parts, cut, strict=True):
        assert before.requires_grad
        assert not after.requires_grad
        assert (before.detach() == after).all()
    assert detach_state(None) is None


OPTIONS = [
    dict(),
    dict(temperature=0.5),
    dict(temperature=1.7, top_k=4),
    dict(top_p=0.6),
    dict(top_k=6, top_p=0.8),
    dict(greedy=True),
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: ",".join(o) or "plain")
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_is_sampled_is_what_torch_samples(options, cell):
    torch = pytest.importorskip("torch")
    ours, theirs = on_both("language_model")
    found = []
    for models, library in ((ours, minigrad), (theirs, torch)):
        library.manual_seed(3)
        model = models.RecurrentLM(V, 8, 8, 2, cell=cell, init_range=1.0)
        one, state = model.generate(library.tensor([1, 2, 3]), 40, **options)
        more, _ = model.generate(one[-1:], 20, state=state, **options)
        several, _ = model.generate(library.tensor(WINDOWS[0]), 10, **options)
        found.append([part.numpy() for part in (one, more, several)])
    for mine, other in zip(*found, strict=True):
        assert mine.dtype == other.dtype == numpy.int64
        numpy.testing.assert_array_equal(mine, other)
    assert [part.shape for part in found[0]] == [(40,), (20,), (10, 3)]


def test_going_on_from_the_state_is_going_on():
    minigrad.manual_seed(0)
    model = RecurrentLM(V, 8, 8, 2, init_range=1.0)
    minigrad.manual_seed(9)
    whole, _ = model.generate(minigrad.tensor([4]), 30)
    minigrad.manual_seed(9)
    first, state = model.generate(minigrad.tensor([4]), 12)
    second, _ = model.generate(first[-1:], 18, state=state)
    assert whole.tolist() == first.tolist() + second.tolist()


def test_filters():
    probabilities = minigrad.tensor([[0.1, 0.4, 0.2, 0.3], [0.7, 0.1, 0.1, 0.1]])
    logits = probabilities.log()
    kept = lambda **options: minigrad.isfinite(filter_logits(logits, **options)).tolist()
    assert kept(top_k=2)[0] == [False, True, False, True]
    assert kept(top_p=0.69) == [[False, True, False, True], [True, False, False, False]]
    assert kept(top_p=0.71)[0] == [False, True, True, True]
    assert kept(top_p=1e-9) == [[False, True, False, False], [True, False, False, False]]
    assert kept(top_p=1.0)[0] == [True] * 4
    assert kept(top_k=99) == [[True] * 4] * 2
    assert kept(top_k=3, top_p=0.5)[0] == [False, True, False, True]  # 0.4 is 0.44 of the three


def test_samples_follow_the_probabilities():
    logits = minigrad.tensor([0.5, 0.3, 0.2]).log().expand(20_000, 3)
    generator = minigrad.Generator().manual_seed(0)
    for temperature in (1.0, 0.5, 2.0):
        expected = numpy.array([0.5, 0.3, 0.2]) ** (1 / temperature)
        ids = next_ids(logits, temperature, generator=generator)
        share = numpy.bincount(ids.numpy(), minlength=3) / 20_000
        numpy.testing.assert_allclose(share, expected / expected.sum(), atol=0.015)
    assert next_ids(logits[:2], greedy=True).tolist() == [0, 0]


def test_sampling_leaves_the_model_as_it_was():
    model = RecurrentLM(V, 4, 4, 2, dropout=0.5).train()
    state = minigrad.get_rng_state()
    generator = minigrad.Generator().manual_seed(1)
    ids, _ = model.generate(minigrad.tensor([0]), 5, generator=generator)
    assert model.training
    assert not ids.requires_grad
    assert (minigrad.get_rng_state() == state).all()
    with pytest.raises(ValueError, match="temperature"):
        model.generate(minigrad.tensor([0]), 5, temperature=0)
    assert model.training


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(temperature=0.0), "temperature must be above 0, not 0.0; greedy=True"),
        (dict(temperature=-1.0), "temperature must be above 0, not -1"),
        (dict(temperature=float("nan")), "temperature must be above 0, not nan"),
        (dict(top_k=0), "top_k must be at least 1, not 0"),
        (dict(top_p=0.0), "top_p must be above 0 and at most 1, not 0"),
        (dict(top_p=1.5), "top_p must be above 0 and at most 1, not 1.5"),
        (dict(length=0), "length must be at least 1, not 0"),
        (dict(prompt=[]), r"expected a prompt of one id or more, .*got \(0,\)"),
        (dict(prompt=[[[1]]]), r"got \(1, 1, 1\)"),
    ],
)
def test_bad_requests(options, message):
    options = {"prompt": [1], "length": 3, **options}
    prompt = minigrad.tensor(options.pop("prompt"), dtype=minigrad.int64)
    with pytest.raises(ValueError, match=message):
        RecurrentLM(V, 4, 4, 1).generate(prompt, **options)


def test_bad_sizes():
    with pytest.raises(ValueError, match="tied weights need embed_dim = hidden_size, not 4 and 6"):
        RecurrentLM(V, 4, 6, tie_weights=True)
    with pytest.raises(ValueError, match="one of lstm, gru, rnn, not 'elman'"):
        RecurrentLM(V, cell="elman")
    model = RecurrentLM(V, 4, 4, 1)
    with pytest.raises(IndexError):
        model(minigrad.tensor([[V]]))
    with pytest.raises(RuntimeError, match="Expected hidden"):
        model(minigrad.tensor([[1, 2]]), model.init_hidden(3))
