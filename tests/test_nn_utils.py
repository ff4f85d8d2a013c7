"""nn.utils: clipping, vectors, packed sequences, parametrizations, norms of weights, pruning."""

import copy
import pickle

import numpy
import pytest

import minigrad
from minigrad import nn
from minigrad.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    parameters_to_vector,
    parametrizations,
    parametrize,
    prune,
    vector_to_parameters,
)
from minigrad.nn.utils.rnn import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)

rng = numpy.random.default_rng(0)


def x(*shape):
    return rng.standard_normal(shape).astype("float32")


def close(ours, theirs, atol=1e-6):
    numpy.testing.assert_allclose(
        ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-5, atol=atol
    )


def same_state(ours, theirs, atol=1e-6):
    mine, other = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(other)
    for key in mine:
        close(mine[key], other[key], atol)


# -- clipping --------------------------------------------------------------------------------------

GRADS = [x(3, 4), x(5), x(2, 2) * 3]


def with_grads(lib):
    parameters = []
    for grad in GRADS:
        p = lib.nn.Parameter(lib.zeros(*grad.shape))
        p.grad = lib.tensor(grad)
        parameters.append(p)
    return [*parameters, lib.nn.Parameter(lib.zeros(2))]


@pytest.mark.parametrize("norm_type", [2, 1, 3.0, float("inf"), "inf"])
@pytest.mark.parametrize("max_norm", [0.5, 1000.0])
def test_clip_grad_norm(norm_type, max_norm):
    torch = pytest.importorskip("torch")
    norms, clipped = [], []
    for lib in (minigrad, torch):
        parameters = with_grads(lib)
        norms.append(lib.nn.utils.clip_grad_norm_(iter(parameters), max_norm, norm_type))
        clipped.append([p.grad for p in parameters[:-1]])
    close(*norms)
    for ours, theirs in zip(*clipped):
        close(ours, theirs)


def test_clip_grad_norm_details():
    parameters = with_grads(minigrad)
    grads = [p.grad for p in parameters[:-1]]
    total = get_total_norm(grads)
    norm = clip_grad_norm_(parameters, 1.0)
    assert norm.item() == pytest.approx(total.item()) and not norm.requires_grad
    assert parameters[0].grad is grads[0]  # in place
    assert get_total_norm(grads).item() == pytest.approx(1.0, abs=1e-5)
    clip_grads_with_norm_(parameters, 0.5, minigrad.tensor(1.0))
    assert get_total_norm(grads).item() == pytest.approx(0.5, abs=1e-5)
    assert clip_grad_norm_([], 1.0).item() == 0
    assert clip_grad_norm_(parameters[0], 1.0).shape == ()
    with pytest.warns(UserWarning, match="empty generator"):
        clip_grad_norm_((p for p in ()), 1.0)
    parameters[0].grad[0, 0] = float("nan")
    before = parameters[1].grad.clone()
    with pytest.raises(RuntimeError, match="norm of order 2.0 .* is non-finite"):
        clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    assert bool((parameters[1].grad == before).all())
    with pytest.warns(FutureWarning, match="deprecated in favor of"):
        nn.utils.clip_grad_norm(parameters, 1.0)


def test_clip_grad_value():
    parameters = with_grads(minigrad)
    clip_grad_value_(parameters, 0.3)
    for p, grad in zip(parameters, GRADS):
        numpy.testing.assert_allclose(p.grad.numpy(), numpy.clip(grad, -0.3, 0.3))


# -- vectors ---------------------------------------------------------------------------------------


def test_parameters_to_vector_and_back():
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    vector = parameters_to_vector(net.parameters())
    assert vector.shape == (11,)
    (vector * minigrad.arange(11.0)).sum().backward()
    assert net[0].weight.grad.tolist() == [[0, 1, 2], [3, 4, 5]]
    weight = net[0].weight
    vector_to_parameters(minigrad.arange(11.0), net.parameters())
    assert net[0].weight is weight and weight.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert net[1].bias.tolist() == [10]
    with pytest.raises(TypeError, match="expected torch.Tensor, but got: list"):
        vector_to_parameters([1.0], net.parameters())
    with pytest.raises(RuntimeError, match="holds 5 numbers for 11"):
        vector_to_parameters(minigrad.zeros(5), net.parameters())
    assert weight.tolist() == [[0, 1, 2], [3, 4, 5]]


# -- sequences -------------------------------------------------------------------------------------

LENGTHS = [(5, 3, 3, 1), (1, 5, 2, 5), (4, 4)]


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("trailing", [(), (2,), (2, 3)], ids=str)
def test_pack_and_pad_match_torch(lengths, batch_first, trailing):
    torch = pytest.importorskip("torch")
    values = x(len(lengths), max(lengths), *trailing)
    if not batch_first:
        values = values.swapaxes(0, 1).copy()
    u = x(*values.shape)
    results = []
    for lib in (minigrad, torch):
        rnn = lib.nn.utils.rnn
        padded = lib.tensor(values, requires_grad=True)
        packed = rnn.pack_padded_sequence(
            padded, lib.tensor(lengths), batch_first, enforce_sorted=False
        )
        again, sizes = rnn.pad_packed_sequence(packed, batch_first, -1.0)
        longer, _ = rnn.pad_packed_sequence(packed, batch_first, total_length=7)
        (again * lib.tensor(u)).sum().backward()
        results.append([*packed, again, sizes, longer, padded.grad])
    for ours, theirs in zip(*results):
        assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
        close(ours, theirs)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_pad_sequence_matches_torch(batch_first, side, dtype):
    torch = pytest.importorskip("torch")
    values = [(x(n, 2) * 10).astype(dtype) for n in (2, 4, 1)]
    results = [
        lib.nn.utils.rnn.pad_sequence([lib.tensor(v) for v in values], batch_first, 7, side)
        for lib in (minigrad, torch)
    ]
    close(*results)


def test_pad_sequence_gradient():
    parts = [minigrad.ones(2, requires_grad=True), minigrad.ones(3, requires_grad=True)]
    padded = pad_sequence(parts, batch_first=True)
    (padded * minigrad.arange(6.0).reshape(2, 3)).sum().backward()
    assert parts[0].grad.tolist() == [0, 1] and parts[1].grad.tolist() == [3, 4, 5]


def test_pack_sequence_and_back():
    parts = [minigrad.tensor(x(n, 2)) for n in (3, 1, 2)]
    packed = pack_sequence(parts, enforce_sorted=False)
    assert packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.sorted_indices.tolist() == [0, 2, 1]
    assert packed.unsorted_indices.tolist() == [0, 2, 1]
    for a, b in zip(unpack_sequence(packed), parts):
        assert bool((a == b).all())
    padded = pad_sequence(parts)
    before = padded.shape
    for a, b in zip(unpad_sequence(padded, minigrad.tensor([3, 1, 2])), parts):
        assert bool((a == b).all())
    assert padded.shape == before
    doubled = packed.double()
    assert isinstance(doubled, PackedSequence) and doubled.data.dtype == minigrad.float64
    assert packed.to(minigrad.float32) is packed
    assert packed.to(packed.data.device).sorted_indices is packed.sorted_indices
    assert invert_permutation(minigrad.tensor([2, 0, 1])).tolist() == [1, 2, 0]
    assert invert_permutation(None) is None


def test_packing_errors():
    padded = minigrad.zeros(5, 2, 3)
    for lengths, match in (
        ([3, 5], "must be sorted in decreasing order"),
        ([5, 0], "has to be greater than 0"),
        ([5, 3, 1], "to be equal to batch_size, but got 3"),
        ([6, 3], "a length of 6 exceeds the padded length 5"),
    ):
        with pytest.raises(RuntimeError, match=match):
            pack_padded_sequence(padded, lengths)
    with pytest.raises(RuntimeError, match="Cannot pack empty tensors"):
        pack_padded_sequence(minigrad.zeros(0, 2), [1, 1])
    packed = pack_padded_sequence(padded, [5, 3])
    with pytest.raises(ValueError, match="at least the length of the longest sequence"):
        pad_packed_sequence(packed, total_length=3)
    with pytest.raises(RuntimeError, match="same trailing dimensions"):
        pad_sequence([minigrad.zeros(2, 3), minigrad.zeros(2, 4)])
    with pytest.raises(RuntimeError, match="empty list"):
        pad_sequence([])
    with pytest.raises(RuntimeError, match="padding_side"):
        pad_sequence([minigrad.zeros(2)], padding_side="middle")
    with pytest.raises(RuntimeError, match="Expected iterable"):
        pad_sequence(3)


# -- parametrizations ------------------------------------------------------------------------------


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).T

    def right_inverse(self, w):
        return w.triu()


class Doubled(nn.Module):
    def forward(self, w):
        return w * 2


def test_parametrize():
    layer = nn.Linear(3, 3)
    weight = layer.weight
    assert parametrize.register_parametrization(layer, "weight", Symmetric()) is layer
    assert parametrize.is_parametrized(layer) and parametrize.is_parametrized(layer, "weight")
    assert not parametrize.is_parametrized(layer, "bias")
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    assert layer.parametrizations.weight.original is weight
    assert bool((layer.weight == layer.weight.T).all())
    layer(minigrad.randn(2, 3)).sum().backward()
    assert weight.grad is not None and weight.grad[2, 0].item() == 0
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)
    layer.weight = minigrad.ones(3, 3)
    assert bool((layer.weight == 1).all())
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert bool((layer.weight == 2).all())
    with pytest.raises(RuntimeError, match="Doubled does not implement right_inverse"):
        layer.weight = minigrad.ones(3, 3)
    again = copy.deepcopy(layer)
    assert bool((again.weight == 2).all()) and again.parametrizations is not layer.parametrizations
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(layer)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and layer.weight is weight and bool((weight == 2).all())
    assert list(layer.state_dict()) == ["bias", "weight"]
    parametrize.remove_parametrizations(again, "weight", leave_parametrized=False)
    assert bool((again.weight == minigrad.ones(3, 3).triu()).all())


def test_parametrize_cached():
    calls = []

    class Counting(nn.Module):
        def forward(self, w):
            calls.append(1)
            return w

    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Counting())
    calls.clear()
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert len(calls) == 1
    assert layer.weight is not None and len(calls) == 2


def test_parametrize_errors():
    class Changing(nn.Module):
        def forward(self, w):
            return w[:1]

    class Casting(nn.Module):
        def forward(self, w):
            return w.double()

    for wrong, match in ((Changing(), "may not change the shape"), (Casting(), "change the dtype")):
        layer = nn.Linear(2, 2)
        with pytest.raises(ValueError, match=match):
            parametrize.register_parametrization(layer, "weight", wrong)
        assert type(layer) is nn.Linear and "weight" in layer._parameters
    with pytest.raises(ValueError, match="with name 'nothing'"):
        parametrize.register_parametrization(nn.Linear(2, 2), "nothing", Doubled())
    with pytest.raises(ValueError, match="does not have a parametrization on weight"):
        parametrize.remove_parametrizations(nn.Linear(2, 2), "weight")
    unsafe = parametrize.register_parametrization(
        nn.Linear(2, 2), "weight", Changing(), unsafe=True
    )
    assert unsafe.weight.shape == (1, 2)


def test_transfer_parametrizations():
    source = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    target = nn.Linear(3, 3)
    parametrize.transfer_parametrizations_and_params(source, target)
    assert bool((target.weight == source.weight).all())
    assert target.parametrizations.weight.original is source.parametrizations.weight.original


LAYERS = [
    lambda lib: lib.nn.Linear(4, 3),
    lambda lib: lib.nn.Conv1d(4, 3, 2),
    lambda lib: lib.nn.ConvTranspose1d(4, 3, 2),
]
APPLY = {
    "parametrized weight norm": lambda lib, m: lib.nn.utils.parametrizations.weight_norm(m),
    "parametrized weight norm, dim 1": lambda lib, m: lib.nn.utils.parametrizations.weight_norm(
        m, dim=1
    ),
    "parametrized weight norm, all": lambda lib, m: lib.nn.utils.parametrizations.weight_norm(
        m, dim=None
    ),
    "weight norm": lambda lib, m: lib.nn.utils.weight_norm(m),
    "weight norm, all": lambda lib, m: lib.nn.utils.weight_norm(m, dim=None),
    "parametrized spectral norm": lambda lib, m: lib.nn.utils.parametrizations.spectral_norm(m),
    "spectral norm": lambda lib, m: lib.nn.utils.spectral_norm(m, n_power_iterations=2),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("make", LAYERS, ids=["linear", "conv", "transpose"])
@pytest.mark.parametrize("which", APPLY)
def test_weight_norms_match_torch(make, which):
    torch = pytest.importorskip("torch")
    values = x(2, 4, 5)
    results = []
    for lib in (minigrad, torch):
        lib.manual_seed(3)
        layer = APPLY[which](lib, make(lib))
        inputs = lib.tensor(
            values if "Conv" in type(layer).__name__ else values.swapaxes(1, 2).copy()
        )
        state = {k: v.clone() for k, v in layer.state_dict().items()}
        for _ in range(2):
            layer.zero_grad()
            out = layer(inputs)
            (out * out).sum().backward()
        grads = [p.grad for p in layer.parameters()]
        layer.eval()
        results.append([*state.values(), out, *grads, layer.weight, layer(inputs)])
        results[-1] = [list(state), [n for n, _ in layer.named_parameters()], *results[-1]]
    for ours, theirs in zip(*results):
        if isinstance(ours, list):
            assert ours == theirs
        else:
            close(ours, theirs, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_removing_norms():
    layer = nn.utils.weight_norm(nn.Linear(4, 3))
    with pytest.raises(RuntimeError, match="Cannot register two weight_norm hooks"):
        nn.utils.weight_norm(layer)
    inputs = minigrad.randn(2, 4)
    out = layer(inputs)
    nn.utils.remove_weight_norm(layer)
    assert minigrad.allclose(layer(inputs), out, atol=1e-6)
    assert isinstance(layer.weight, nn.Parameter) and not layer._forward_pre_hooks
    with pytest.raises(ValueError, match="weight_norm of 'weight' not found"):
        nn.utils.remove_weight_norm(layer)
    layer = nn.utils.spectral_norm(nn.Linear(4, 3))
    with pytest.raises(RuntimeError, match="Cannot register two spectral_norm hooks"):
        nn.utils.spectral_norm(layer)
    out = layer.eval()(inputs)
    nn.utils.remove_spectral_norm(layer)
    assert minigrad.allclose(layer(inputs), out, atol=1e-6)
    with pytest.raises(ValueError, match="spectral_norm of 'weight' not found"):
        nn.utils.remove_spectral_norm(layer)
    with pytest.raises(ValueError, match="n_power_iterations to be positive"):
        nn.utils.spectral_norm(layer, n_power_iterations=0)


def test_spectral_norm_is_one():
    layer = parametrizations.spectral_norm(nn.Linear(20, 10))
    for _ in range(50):
        layer(minigrad.randn(1, 20))
    sigma = numpy.linalg.svd(layer.weight.detach().numpy(), compute_uv=False)[0]
    assert sigma == pytest.approx(1, abs=1e-3)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weight_norm_loads_old_states():
    old = nn.utils.weight_norm(nn.Linear(4, 3))
    new = parametrizations.weight_norm(nn.Linear(4, 3))
    new.load_state_dict(old.state_dict())
    inputs = minigrad.randn(2, 4)
    assert minigrad.allclose(new(inputs), old(inputs), atol=1e-6)


# -- pruning ---------------------------------------------------------------------------------------

PRUNINGS = {
    "l1": lambda p, m: p.l1_unstructured(m, "weight", amount=0.4),
    "l1, a number": lambda p, m: p.l1_unstructured(m, "weight", amount=3),
    "random": lambda p, m: p.random_unstructured(m, "weight", amount=0.4),
    "ln": lambda p, m: p.ln_structured(m, "weight", amount=0.5, n=2, dim=0),
    "ln, dim 1": lambda p, m: p.ln_structured(m, "weight", amount=2, n=1, dim=-1),
    "random structured": lambda p, m: p.random_structured(m, "weight", amount=0.5, dim=1),
    "identity": lambda p, m: p.identity(m, "weight"),
    "twice": lambda p, m: p.l1_unstructured(
        p.ln_structured(m, "weight", amount=1, n=2, dim=0), "weight", amount=0.3
    ),
}


@pytest.mark.parametrize("which", PRUNINGS)
def test_pruning_matches_torch(which):
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch.nn.utils.prune")
    values = x(2, 6)
    results = []
    for lib in (minigrad, torch):
        lib.manual_seed(3)
        layer = lib.nn.Linear(6, 4)
        PRUNINGS[which](lib.nn.utils.prune, layer)
        state = layer.state_dict()
        inputs = lib.tensor(values)
        layer(inputs).sum().backward()
        results.append([list(state), *state.values(), layer.weight, layer.weight_orig.grad])
        assert lib.nn.utils.prune.is_pruned(layer)
        lib.nn.utils.prune.remove(layer, "weight")
        assert not lib.nn.utils.prune.is_pruned(layer)
        results[-1] += [list(layer.state_dict()), layer.weight, layer(inputs)]
    for ours, theirs in zip(*results):
        if isinstance(ours, list):
            assert ours == theirs
        else:
            close(ours, theirs)


def test_global_pruning():
    net = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2))
    parameters = [(net[0], "weight"), (net[1], "weight")]
    prune.global_unstructured(parameters, prune.L1Unstructured, amount=0.5)
    zeros = sum(int((module.weight == 0).sum()) for module, _ in parameters)
    assert zeros == 16
    kept = [module.weight.abs() for module, _ in parameters]
    gone = [(module.weight_orig * (1 - module.weight_mask)).abs() for module, _ in parameters]
    smallest = min(float(k[k > 0].min()) for k in kept)
    assert max(float(g.max()) for g in gone) <= smallest
    with pytest.raises(TypeError, match='Only "unstructured" PRUNING_TYPE'):
        prune.global_unstructured(parameters, prune.LnStructured, amount=1, n=2)
    with pytest.raises(TypeError, match="not an Iterable"):
        prune.global_unstructured(3, prune.L1Unstructured, amount=1)


def test_custom_mask_and_training():
    layer = nn.Linear(3, 2)
    mask = minigrad.tensor([[1, 0, 1], [0, 1, 1]])
    prune.custom_from_mask(layer, "weight", mask)
    layer(minigrad.randn(4, 3)).sum().backward()
    with minigrad.no_grad():
        layer.weight_orig.sub_(layer.weight_orig.grad + 0.1)
    layer(minigrad.randn(4, 3))
    assert bool((layer.weight[mask == 0] == 0).all())
    assert not bool((layer.weight_orig == 0).any())
    pruned = prune.L1Unstructured(amount=2).prune(minigrad.tensor([3.0, -1.0, 2.0, -4.0]))
    assert pruned.tolist() == [3, 0, 0, -4]


@pytest.mark.parametrize(
    "action, error, match",
    [
        (lambda m: prune.l1_unstructured(m, "weight", 1.5), ValueError, "float in the range"),
        (lambda m: prune.l1_unstructured(m, "weight", -1), ValueError, "non-negative integer"),
        (lambda m: prune.l1_unstructured(m, "weight", "a"), TypeError, "Invalid type for amount"),
        (lambda m: prune.l1_unstructured(m, "weight", 99), ValueError, "should be smaller than"),
        (lambda m: prune.ln_structured(m, "bias", 1, 2, 0), ValueError, "multidimensional"),
        (lambda m: prune.ln_structured(m, "weight", 1, 2, 5), IndexError, "Invalid index 5"),
        (lambda m: prune.remove(m, "weight"), ValueError, "has to be pruned before"),
        (
            lambda m: prune.custom_from_mask(m, "weight", minigrad.ones(2)),
            AssertionError,
            "the mask has shape",
        ),
    ],
)
def test_pruning_errors_change_nothing(action, error, match):
    layer = nn.Linear(3, 2)
    weight = layer.weight
    with pytest.raises(error, match=match):
        action(layer)
    assert layer.weight is weight and list(layer.state_dict()) == ["weight", "bias"]
    assert not layer._forward_pre_hooks
