"""autocast and GradScaler on the CPU, against torch: dtypes exactly, values as bfloat16 allows."""

import threading
import warnings

import numpy
import pytest
from amp_cases import CASES, Inputs

import minigrad as mg
from minigrad import autocasting
from minigrad.amp import op_lists

torch = pytest.importorskip("torch")
pytest.importorskip("ml_dtypes")
EPS = 2.0**-8  # of bfloat16, rounding to nearest


def outcome(t, name, dtype, amp):
    """(dtype, numbers) of a case under autocast, or the error's type and None."""
    inputs = Inputs(t, dtype)
    try:
        with t.autocast("cpu", dtype=getattr(t, amp)):
            out = CASES[name](t, inputs)
    except RuntimeError as error:
        return type(error).__name__, None
    return str(out.dtype), out.detach().to(t.float64).numpy()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_dtypes_and_values_are_torchs(name, dtype):
    if (name, dtype) == ("layer_norm", "float64"):
        pytest.skip("of inputs of two dtypes, an error in torch; here the wider one")
    expected, found = outcome(torch, name, dtype, "bfloat16"), outcome(mg, name, dtype, "bfloat16")
    assert found[0] == expected[0]
    if expected[1] is not None:
        size = max(1, numpy.abs(expected[1]).max())
        numpy.testing.assert_allclose(found[1], expected[1], rtol=0, atol=3 * EPS * size)


@pytest.mark.parametrize("name", ["matmul", "conv1d", "attention", "mse_loss", "softmax", "sum"])
def test_float16_on_the_cpu(name):
    expected, found = (outcome(t, name, "float32", "float16") for t in (torch, mg))
    assert found[0] == expected[0]
    numpy.testing.assert_allclose(found[1], expected[1], rtol=0, atol=5e-3)


LAYERS = {
    "LSTM": lambda n: n.LSTM(8, 6, num_layers=2, bidirectional=True, batch_first=True),
    "GRU": lambda n: n.GRU(8, 6, batch_first=True),
    "RNN": lambda n: n.RNN(8, 6, batch_first=True),
    "encoder layer": lambda n: n.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True),
    "with norms": lambda n: n.Sequential(n.Linear(8, 8), n.LayerNorm(8), n.GELU(), n.Linear(8, 4)),
    "convolutions": lambda n: n.Sequential(n.Conv1d(5, 6, 3), n.BatchNorm1d(6), n.ReLU()),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_and_their_gradients(name):
    results = []
    weights = LAYERS[name](torch.nn).state_dict()
    for t in (torch, mg):
        layer = LAYERS[name](t.nn)
        layer.load_state_dict({key: t.tensor(value.numpy()) for key, value in weights.items()})
        x = t.tensor(numpy.random.default_rng(1).standard_normal((3, 5, 8)).astype("float32"))
        with t.autocast("cpu", dtype=t.bfloat16):
            out = layer(x)
        out = out[0] if isinstance(out, tuple) else out
        out.float().pow(2).mean().backward()
        grads = {key: p.grad for key, p in layer.named_parameters()}
        results.append((str(out.dtype), out.detach().float().numpy(), grads))
    (dtype, expected, expected_grads), (found_dtype, found, grads) = results
    assert found_dtype == dtype
    numpy.testing.assert_allclose(found, expected, rtol=0, atol=8 * EPS * abs(expected).max())
    largest = max(grad.abs().max().item() for grad in expected_grads.values())
    for key, grad in grads.items():
        assert grad.dtype is mg.float32, key
        right = expected_grads[key].numpy()  # a bias before batch norm has 0, but for rounding
        near = 10 * EPS * max(abs(right).max(), 0.1 * largest)
        numpy.testing.assert_allclose(grad.numpy(), right, rtol=0, atol=near, err_msg=key)


def test_lists_name_ops_and_decorated_functions():
    from minigrad import linalg
    from minigrad.nn import functional
    from minigrad.op import REGISTRY

    decorated = [mg, functional, linalg]
    for group in (op_lists.CPU, op_lists.CUDA):
        names = [name for names in group.values() for name in names.split()]
        assert len(names) == len(set(names))
        for name in set(names) - set(REGISTRY):
            functions = [getattr(m, name) for m in decorated if hasattr(m, name)]
            assert any(hasattr(f, "__wrapped__") for f in functions), name


def test_lists_are_those_of_torchs_dispatcher():
    """Functions of the same name are on torch's lists for both devices, and absent from them alike."""
    key = {"cpu": "AutocastCPU", "cuda": "AutocastCUDA"}
    overloads = {"softmax_along": "softmax.int", "log_softmax_along": "log_softmax.int",
                 "reduce_sum": "sum", "reduce_prod": "prod", "running_sum": "cumsum",
                 "running_product": "cumprod", "normalise": "layer_norm", "squared_error": "mse_loss",
                 "multiply_matrices": "matmul", "affine": "linear", "convolve": "conv1d",
                 "pow_arrays": "pow.Tensor_Tensor", "soft_plus": "softplus", "join_along": "cat",
                 "bernoulli_nll": "binary_cross_entropy", "reduce_logsumexp": "logsumexp",
                 "parametric_relu": "prelu"}  # fmt: skip
    for name in ("exp", "log", "log1p", "expm1", "acos", "asin", "sinh", "cosh", "tan", "rsqrt",
                 "reciprocal", "tanh", "sqrt", "addmv", "addr", "einsum", "baddbmm", "l1_loss",
                 "kl_div", "huber_loss", "cosine_similarity", "tensordot", "cdist", "dist",
                 "atan2", "scaled_dot_product_attention"):  # fmt: skip
        overloads[name] = name
    for device, named in key.items():
        for ours, theirs in overloads.items():
            listed = torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{theirs}", named)
            assert listed == (ours in autocasting.lists[device]), (device, ours)


# -- regions -----------------------------------------------------------------------------------------


def test_regions_nest_and_settings_come_back():
    x = mg.randn(3, 3)
    assert autocasting.regions == 0 and not mg.is_autocast_enabled("cpu")
    with mg.autocast("cpu"):
        assert mg.is_autocast_enabled("cpu") and not mg.is_autocast_enabled()
        assert (x @ x).dtype is mg.bfloat16
        with mg.autocast("cpu", enabled=False):
            assert (x @ x).dtype is mg.float32
            with mg.autocast("cpu", dtype=mg.float16):
                assert (x @ x).dtype is mg.float16
                assert mg.get_autocast_dtype("cpu") is mg.float16
        assert (x @ x).dtype is mg.bfloat16
    assert autocasting.regions == 0 and mg.get_autocast_dtype("cpu") is mg.bfloat16
    with pytest.raises(KeyError), mg.autocast("cpu"):
        raise KeyError
    assert not mg.is_autocast_enabled("cpu") and autocasting.regions == 0


def test_as_a_decorator_also_recursively():
    @mg.autocast("cpu")
    def power(x, n):
        """x ** n."""
        return x if n == 1 else x @ power(x, n - 1)

    assert power(mg.eye(2), 4).dtype is mg.bfloat16 and power.__doc__ == "x ** n."
    with pytest.raises(TypeError, match="requires a callable, but got Tensor"):
        mg.autocast("cpu")(mg.eye(2))


def test_other_threads_are_not_concerned():
    found = []
    x = mg.eye(2)
    with mg.autocast("cpu"):
        thread = threading.Thread(target=lambda: found.append((x @ x).dtype))
        thread.start()
        thread.join()
    assert found == [mg.float32]


def test_settings_without_a_region():
    x = mg.eye(2)
    mg.set_autocast_enabled("cpu", True)
    mg.set_autocast_dtype("cpu", mg.float16)
    assert (x @ x).dtype is mg.float16
    mg.set_autocast_enabled("cpu", False)
    mg.set_autocast_dtype("cpu", mg.bfloat16)
    assert (x @ x).dtype is mg.float32 and mg.is_autocast_cache_enabled()


def test_wrong_arguments_as_in_torch():
    for t in (torch, mg):
        with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
            t.autocast(t.device("cpu"))
        with pytest.raises(RuntimeError):
            t.autocast("nonsense")
        with pytest.warns(UserWarning, match="target dtype is not supported. Disabling autocast"):
            region = t.autocast("cpu", dtype=t.float64)
        with region:
            assert (t.eye(2) @ t.eye(2)).dtype is t.float32
    with pytest.warns(UserWarning, match="CUDA is not available. Disabling"):
        mg.autocast("cuda")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with pytest.warns(
            FutureWarning, match=r"`torch.cuda.amp.autocast\(args...\)` is deprecated"
        ):
            mg.cuda.amp.autocast()
        with pytest.warns(
            FutureWarning, match=r"`torch.cpu.amp.autocast\(args...\)` is deprecated"
        ):
            mg.cpu.amp.autocast()
        with pytest.warns(
            FutureWarning, match=r"`torch.cuda.amp.GradScaler\(args...\)` is deprecated"
        ):
            mg.cuda.amp.GradScaler()
    assert mg.amp.autocast is mg.autocast


# -- weights and gradients ---------------------------------------------------------------------------


def test_weights_are_cast_once_in_an_outermost_region(monkeypatch):
    layer, x = mg.nn.Linear(4, 4), mg.randn(2, 4)
    settings = autocasting.settings
    with mg.autocast("cpu"):
        layer(x)
        first = settings.cache[id(layer.weight)][3]
        with mg.autocast("cpu"):
            layer(layer(x))
        assert settings.cache[id(layer.weight)][3] is first
        with mg.no_grad():
            layer.weight.mul_(2)  # a changed weight is cast again
        assert layer(x).dtype is mg.bfloat16
        assert settings.cache[id(layer.weight)][3] is not first
    assert not settings.cache
    with mg.autocast("cpu", cache_enabled=False):
        layer(x)
        assert not settings.cache


def test_gradients_of_weights_used_twice_are_float32_sums():
    layer, x = mg.nn.Linear(4, 4, bias=False), mg.randn(2, 4)
    with mg.autocast("cpu"):
        loss = layer(layer(x)).float().sum()
    loss.backward()
    assert layer.weight.grad.dtype is mg.float32
    twice = layer.weight.grad.clone()
    with mg.autocast("cpu"):
        loss = layer(layer(x)).float().sum()
        loss.backward()  # inside, the backward pass is none of autocast's business
    assert mg.equal(layer.weight.grad, 2 * twice)


def test_derivatives_of_derivatives():
    x = mg.randn(3, 3, requires_grad=True)
    with mg.autocast("cpu"):
        y = (x @ x).float().pow(3).sum()
    (g,) = mg.autograd.grad(y, x, create_graph=True)
    assert g.dtype is mg.float32
    g.pow(2).sum().backward()
    exact = x.detach().double().requires_grad_()
    (h,) = mg.autograd.grad((exact @ exact).pow(3).sum(), exact, create_graph=True)
    h.pow(2).sum().backward()
    size = exact.grad.abs().max().item()
    numpy.testing.assert_allclose(x.grad.numpy(), exact.grad.numpy(), rtol=0, atol=0.05 * size)


def test_checkpointed_parts_run_again_as_they_ran():
    layer, x = mg.nn.Linear(4, 4), mg.randn(2, 4, requires_grad=True)
    grads = []
    for run in (lambda f, x: f(x), mg.utils.checkpoint.checkpoint):
        layer.zero_grad()
        with mg.autocast("cpu"):
            out = run(lambda x: mg.tanh(layer(x)), x)
        assert out.dtype is mg.bfloat16
        out.float().pow(2).sum().backward()
        grads.append(layer.weight.grad.numpy())
    assert numpy.array_equal(*grads)


def test_functions_of_ones_own():
    for t in (torch, mg):
        seen = []

        def remember(x, t=t, seen=seen):
            seen.append((x.dtype is t.float32, (x @ x).dtype is t.bfloat16))
            return x

        class Plain(t.autograd.Function):
            @staticmethod
            @t.amp.custom_fwd(device_type="cpu")
            def forward(ctx, x, remember=remember):
                return remember(x).clone()

            @staticmethod
            @t.amp.custom_bwd(device_type="cpu")
            def backward(ctx, g, remember=remember):
                return remember(g)

        class Cast(Plain):
            forward = staticmethod(
                t.amp.custom_fwd(device_type="cpu", cast_inputs=t.float32)(
                    lambda ctx, x, remember=remember: remember(x).clone()
                )
            )

        x = t.eye(2, requires_grad=True)
        with t.autocast("cpu"):
            a, b = Plain.apply(x), Cast.apply(x.bfloat16())
        (a + b).sum().backward()
        Plain.apply(x)
        assert seen == [
            (True, True), (True, False), (True, False), (True, True), (True, False),
        ], (t, seen)  # fmt: skip
        with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
            t.amp.custom_fwd(lambda: 0, device_type=3)
