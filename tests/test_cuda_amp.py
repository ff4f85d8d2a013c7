"""autocast and GradScaler on the "cuda" device: dtypes by torch's documentation, and small trainings."""

import numpy
import pytest
from amp_cases import CASES, ELEMENTWISE, LOSSES, PRODUCTS, REDUCTIONS, Inputs
from minigrad.kernels import cublas
from minigrad.kernels.kernel import REFERENCE_ONLY
from stand_in import cuda  # noqa: F401

import minigrad as mg
from minigrad.models.gpt import GPT, GPTConfig
from minigrad.models.textcnn import TextCNN

pytest.importorskip("ml_dtypes")
EPS = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
# "CUDA Ops that can autocast to float16" and "... to float32", pytorch.org/docs/stable/amp.html.
IN_LOWER = {*PRODUCTS, "mv"} - {"outer"}
IN_FLOAT32 = {
    *LOSSES, "sum", "sum over a dimension", "prod", "cumsum", "cumprod", "norm", "softmax",
    "log_softmax", "layer_norm", "layer_norm alone", "cdist", "exp", "expm1", "log", "log1p", "pow",
    "rsqrt", "reciprocal", "softplus", "logsumexp", "vector_norm",
}  # fmt: skip
MIXED = {"add", "mul", "cat", "stack"}  # with float32: the widest
DOUBLE = {name for name in CASES if "einsum" in name}  # calls .float() itself


def double(x):
    floating = hasattr(x, "is_floating_point") and x.is_floating_point()
    return x.double().cpu() if floating else x.cpu()


@pytest.mark.parametrize("amp", ["float16", "bfloat16"])
@pytest.mark.parametrize("given", ["float32", "lower"])
@pytest.mark.parametrize("name", CASES)
def test_dtypes_by_the_documentation(name, given, amp):
    if REFERENCE_ONLY and amp == "bfloat16" and "bmm" in name:
        pytest.skip("CuPy itself has no product for stacks of bfloat16 matrices")
    inputs = Inputs(mg, amp if given == "lower" else "float32", "cuda")
    with mg.autocast("cuda", dtype=getattr(mg, amp)):
        out = CASES[name](mg, inputs)
    widest = given == "float32" or name in IN_FLOAT32 | MIXED
    lower = name in IN_LOWER or not widest
    assert out.dtype is getattr(mg, amp if lower else "float32")
    if name in DOUBLE:
        return
    exact = Inputs(mg, "float32")
    vars(exact).update({key: double(x) for key, x in vars(inputs).items()})
    right = CASES[name](mg, exact).numpy()
    near = 6 * EPS[amp] * max(1, abs(right).max())
    numpy.testing.assert_allclose(double(out).numpy(), right, rtol=0, atol=near)


def test_a_dtype_that_is_asked_for():
    x = mg.rand(3, 4, device="cuda")
    with mg.autocast("cuda"):
        for name in ("sum", "prod", "cumsum", "softmax", "log_softmax"):
            assert getattr(mg, name)(x, dim=1, dtype=mg.float16).dtype is mg.float16
            assert getattr(mg, name)(x.half(), dim=1).dtype is mg.float32
        assert x.half().prod(dtype=mg.float16).dtype is mg.float16


def test_lists_of_the_tests_are_complete():
    assert IN_LOWER | IN_FLOAT32 | MIXED <= set(CASES) == {
        *PRODUCTS, *LOSSES, *REDUCTIONS, *ELEMENTWISE,
    }  # fmt: skip


def test_what_is_refused_and_what_is_left_alone():
    p, t = (mg.tensor([0.25, 0.5], device="cuda") for _ in range(2))
    with mg.autocast("cuda"):
        with pytest.raises(
            RuntimeError, match="unsafe to autocast.*binary_cross_entropy_with_logits"
        ):
            mg.nn.functional.binary_cross_entropy(p, t)
        wide = mg.eye(3, dtype=mg.float64, device="cuda")
        assert (wide @ wide).dtype is mg.float64 and mg.exp(wide).dtype is mg.float64
        main = mg.eye(3)
        assert (main @ main).dtype is mg.float32  # of another kind of device
        assert mg.arange(3, device="cuda").sum().dtype is mg.int64
        assert mg.is_autocast_enabled() and not mg.is_autocast_enabled("cpu")
    with mg.autocast("cpu"):
        assert (wide.float() @ wide.float()).dtype is mg.float32
    with pytest.warns(FutureWarning, match="Please use `torch.amp.autocast"):
        region = mg.cuda.amp.autocast()
    with region:
        assert (wide.float() @ wide.float()).dtype is mg.float16


@pytest.mark.skipif(REFERENCE_ONLY, reason="then the products are CuPy's own")
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("turned", ["", "a", "b", "both"])
def test_stacks_of_16_bits_go_to_the_library_as_they_are(name, turned, monkeypatch):
    called = []
    call = cublas._call
    monkeypatch.setattr(cublas, "_call", lambda *given: called.append(given) or call(*given))
    dtype = getattr(mg, name)
    a = mg.randn(2, 3, 4, 5, device="cuda").to(dtype)
    b = mg.randn(3, 5, 6, device="cuda").to(dtype)
    a = a.transpose(-1, -2).contiguous().transpose(-1, -2) if turned in ("a", "both") else a
    b = b.transpose(-1, -2).contiguous().transpose(-1, -2) if turned in ("b", "both") else b
    out = a @ b
    right = double(a) @ double(b)
    assert out.dtype is dtype and [given[0] for given in called][-1] == "cublasGemmStridedBatchedEx"
    near = 2 * EPS[name] * right.abs().max().item()
    numpy.testing.assert_allclose(double(out).numpy(), right.numpy(), rtol=0, atol=near)


# -- training ----------------------------------------------------------------------------------------


def train(model, loss_of, steps, amp, lr=1e-2):
    """Losses of a training; with amp under autocast, and for float16 with a scaler."""
    optimizer = mg.optim.AdamW(model.parameters(), lr=lr)
    scaler = mg.amp.GradScaler("cuda", enabled=amp == "float16")
    dtype = mg.float16 if amp is None else getattr(mg, amp)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        with mg.autocast("cuda", dtype=dtype, enabled=amp is not None):
            loss = loss_of(model)
        scaler.scale(loss).backward()
        assert all(p.grad.dtype is mg.float32 for p in model.parameters() if p.grad is not None)
        scaler.unscale_(optimizer)
        mg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert not scaler.is_enabled() or scaler.get_scale() == 2.0**16
    return losses


def gpt():
    mg.manual_seed(3)
    sizes = dict(block_size=16, vocab_size=12, n_layer=1, n_head=2, n_embd=32, dropout=0.0)
    return GPT(GPTConfig(**sizes)).to("cuda")


def gpt_loss(model):
    ids = mg.tensor(numpy.arange(4 * 17).reshape(4, 17) ** 2 % 11, device="cuda")
    logits = model(ids[:, :-1])
    logits = logits[0] if isinstance(logits, tuple) else logits
    return mg.nn.functional.cross_entropy(logits.reshape(-1, 12), ids[:, 1:].reshape(-1))


def textcnn():
    mg.manual_seed(3)
    return TextCNN(30, 3, embed_dim=16, num_filters=8, dropout=0.0, batch_norm=True).to("cuda")


def textcnn_loss(model):
    draw = numpy.random.default_rng(2)
    ids, labels = draw.integers(1, 30, (12, 9)), numpy.arange(12) % 3
    ids[:, 2] = labels + 1
    logits = model(mg.tensor(ids, device="cuda"))
    return mg.nn.functional.cross_entropy(logits, mg.tensor(labels, device="cuda"))


@pytest.mark.parametrize("amp", ["float16", "bfloat16"])
@pytest.mark.parametrize("make, loss_of, steps", [(gpt, gpt_loss, 6), (textcnn, textcnn_loss, 8)])
def test_training_comes_as_far_as_in_float32(make, loss_of, steps, amp):
    exact, found = (train(make(), loss_of, steps, kind) for kind in (None, amp))
    assert exact[-1] < 0.75 * exact[0]
    numpy.testing.assert_allclose(found, exact, rtol=0, atol=12 * EPS[amp] * exact[0])


def test_a_scale_that_is_too_large_shrinks_until_steps_are_taken():
    layer = mg.nn.Linear(4, 4).to("cuda")
    optimizer = mg.optim.SGD(layer.parameters(), lr=0.1)
    scaler = mg.amp.GradScaler(init_scale=2.0**24)
    before = layer.weight.detach().clone()
    taken = []
    for _ in range(16):
        optimizer.zero_grad()
        with mg.autocast("cuda"):
            loss = layer(mg.ones(2, 4, device="cuda")).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        taken.append(bool((layer.weight.detach() != before).any()))
        if taken[-1]:
            break
    assert taken[-1] and not any(taken[:-1]) and 3 < len(taken) < 12
    assert scaler.get_scale() == 2.0 ** (25 - len(taken))
