"""Training on the "cuda" device: layers, optimizers, gradients, saving and loading, data, copies."""

import copy
import io
import pickle

import numpy
import pytest
from minigrad.kernels import kernel
from stand_in import cuda  # noqa: F401

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim
from minigrad.sparse import RowSparse
from minigrad.utils.checkpoint import checkpoint
from minigrad.utils.data import DataLoader, TensorDataset


@pytest.fixture(autouse=True)
def references(monkeypatch):
    """The CPU's kernels have their own tests."""
    monkeypatch.setattr(kernel, "REFERENCE_ONLY", True)


def there(x):
    return mg.tensor(x, device="cuda")


# -- layers ----------------------------------------------------------------------------------------

X = numpy.random.default_rng(0).standard_normal
IDS = numpy.array([[1, 2, 0], [4, 1, 3]])
MASK = numpy.array([[False, False, True], [False, False, False]])
LAYERS = {
    "linear": (lambda: nn.Linear(4, 3), X((2, 4))),
    "bilinear": (lambda: nn.Bilinear(4, 3, 2), X((2, 4)), X((2, 3))),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, padding=1, groups=2), X((2, 4, 5))),
    "conv2d": (lambda: nn.Conv2d(2, 3, 2, stride=2, padding_mode="circular"), X((2, 2, 4, 4))),
    "conv_transpose": (lambda: nn.ConvTranspose1d(4, 3, 3, stride=2), X((2, 4, 5))),
    "max_pool": (lambda: nn.MaxPool1d(2), X((2, 4, 6))),
    "avg_pool": (lambda: nn.AvgPool1d(3, 2, 1), X((2, 4, 6))),
    "adaptive": (lambda: nn.AdaptiveAvgPool1d(3), X((2, 4, 7))),
    "adaptive_max": (lambda: nn.AdaptiveMaxPool1d(3), X((2, 4, 7))),
    "batch_norm": (lambda: nn.BatchNorm1d(4), X((5, 4))),
    "batch_norm_3d": (lambda: nn.BatchNorm1d(4), X((5, 4, 3))),
    "instance_norm": (lambda: nn.InstanceNorm1d(4, affine=True), X((2, 4, 5))),
    "layer_norm": (lambda: nn.LayerNorm(4), X((2, 3, 4))),
    "rms_norm": (lambda: nn.RMSNorm(4), X((2, 4))),
    "group_norm": (lambda: nn.GroupNorm(2, 4), X((2, 4, 3))),
    "embedding": (lambda: nn.Embedding(5, 3, padding_idx=0), IDS),
    "embedding_max_norm": (lambda: nn.Embedding(5, 3, max_norm=0.5), IDS),
    "embedding_scaled": (lambda: nn.Embedding(5, 3, scale_grad_by_freq=True), IDS),
    "embedding_bag": (lambda: nn.EmbeddingBag(5, 3), IDS),
    "embedding_bag_max": (lambda: nn.EmbeddingBag(5, 3, mode="max"), IDS),
    "lstm": (lambda: nn.LSTM(4, 3, 2, bidirectional=True, dropout=0.3), X((5, 2, 4))),
    "lstm_proj": (lambda: nn.LSTM(4, 3, proj_size=2, batch_first=True), X((2, 5, 4))),
    "gru": (lambda: nn.GRU(4, 3, batch_first=True), X((2, 5, 4))),
    "rnn": (lambda: nn.RNN(4, 3, nonlinearity="relu"), X((5, 2, 4))),
    "lstm_cell": (lambda: nn.LSTMCell(4, 3), X((2, 4))),
    "gru_cell": (lambda: nn.GRUCell(4, 3), X((2, 4))),
    "attention": (lambda: nn.MultiheadAttention(4, 2, batch_first=True), *[X((2, 3, 4))] * 3, MASK),
    "encoder": (lambda: nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), X((2, 3, 4))),
    "transformer": (lambda: nn.Transformer(4, 2, 1, 1, 6), X((3, 2, 4)), X((2, 2, 4))),
    "prelu": (lambda: nn.PReLU(4), X((2, 4))),
    "activations": (
        lambda: nn.Sequential(
            nn.ReLU6(), nn.ELU(), nn.SELU(), nn.CELU(), nn.GELU(), nn.GELU("tanh"), nn.Mish(),
            nn.SiLU(), nn.Softplus(), nn.Hardswish(), nn.LogSigmoid(), nn.Softsign(), nn.Tanhshrink(),
            nn.Softmax(-1), nn.LogSoftmax(-1), nn.GLU(), nn.Threshold(0.1, 0.2), nn.Hardtanh(),
        ),
        X((2, 4)),
    ),
    "padding": (lambda: nn.Sequential(nn.ReflectionPad1d(2), nn.ReplicationPad1d(1)), X((2, 4, 3))),
    "dropouts": (lambda: nn.Sequential(nn.Dropout(0.4), nn.Dropout1d(0.3)), X((2, 4, 3))),
    "cosine": (lambda: nn.CosineSimilarity(), X((2, 4)), X((2, 4))),
    "adaptive_softmax": (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 6, [2, 4]), X((3, 4)), IDS[1]),
}  # fmt: skip


def outputs_of(found):
    """The floating tensors in what a layer returns."""
    if isinstance(found, mg.Tensor):
        return [found] if found.is_floating_point() else []
    return [t for part in found if part is not None for t in outputs_of(part)]


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    build, *arrays = LAYERS[name]
    results = []
    for device in ("cuda", "cpu"):
        mg.manual_seed(2)
        layer = build().double().to(device)
        inputs = [mg.tensor(x, device=device) for x in arrays]
        leaves = [x.requires_grad_() for x in inputs if x.is_floating_point()]
        if name == "attention":
            inputs[3:] = []
            found = layer(*inputs, key_padding_mask=mg.tensor(MASK, device=device))
        else:
            found = layer(*inputs)
        outputs = outputs_of(found)
        sum((y * y).sum() for y in outputs).backward()
        grads = [p.grad for p in (*layer.parameters(), *leaves) if p.grad is not None]
        assert outputs and grads or name == "cosine"
        every = [*outputs, *grads, *layer.buffers()]
        assert all(t.device.type == device for t in every)
        results.append([t.detach().cpu() for t in every])
    mg.testing.assert_close(results[0], results[1], rtol=1e-8, atol=1e-10)


LOSSES = {
    "mse": (nn.MSELoss(), X((3, 4)), X((3, 4))),
    "l1": (nn.L1Loss(), X((3, 4)), X((3, 4))),
    "huber": (nn.HuberLoss(), X((3, 4)), X((3, 4))),
    "smooth_l1": (nn.SmoothL1Loss(beta=0.5), X((3, 4)), X((3, 4))),
    "bce_logits": (nn.BCEWithLogitsLoss(), X((3, 4)), abs(X((3, 4))) % 1),
    "bce": (nn.BCELoss(), abs(X((3, 4))) % 1, abs(X((3, 4))) % 1),
    "kl": (nn.KLDivLoss(reduction="batchmean"), X((3, 4)), abs(X((3, 4)))),
    "cross_entropy": (nn.CrossEntropyLoss(label_smoothing=0.1), X((3, 4)), IDS[1] % 4),
    "cross_entropy_soft": (nn.CrossEntropyLoss(), X((3, 4)), abs(X((3, 4)))),
    "cross_entropy_3d": (nn.CrossEntropyLoss(ignore_index=1), X((2, 4, 3)), IDS % 4),
    "nll": (nn.NLLLoss(), X((3, 4)), IDS[1] % 4),
    "hinge": (nn.HingeEmbeddingLoss(), X((3, 4)), numpy.sign(X((3, 4)))),
    "multi_margin": (nn.MultiMarginLoss(), X((3, 4)), IDS[1] % 4),
    "multilabel": (nn.MultiLabelMarginLoss(), X((3, 4)), numpy.array([[3, 0, -1, 1]] * 3)),
    "soft_margin": (nn.SoftMarginLoss(), X((3, 4)), numpy.sign(X((3, 4)))),
    "cosine": (nn.CosineEmbeddingLoss(), X((3, 4)), X((3, 4)), numpy.array([1, -1, 1])),
    "triplet": (nn.TripletMarginLoss(), X((3, 4)), X((3, 4)), X((3, 4))),
    "ranking": (nn.MarginRankingLoss(0.3), X(3), X(3), numpy.array([1.0, -1, 1])),
    "gaussian": (nn.GaussianNLLLoss(), X((3, 4)), X((3, 4)), abs(X((3, 4))) + 0.1),
    "poisson": (nn.PoissonNLLLoss(full=True), X((3, 4)), numpy.floor(3 * abs(X((3, 4))))),
    "ctc": (
        lambda x, y: F.ctc_loss(x.log_softmax(-1), y, mg.tensor([6, 5]), mg.tensor([3, 2])),
        X((6, 2, 5)), IDS % 4 + 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    loss, *arrays = LOSSES[name]
    results = []
    for device in ("cuda", "cpu"):
        inputs = [mg.tensor(x, device=device) for x in arrays]
        value = loss(inputs[0].requires_grad_(), *inputs[1:])
        value.backward()
        assert value.device.type == device
        results.append([value.detach().cpu(), inputs[0].grad.cpu()])
    mg.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-12)


# -- optimizers --------------------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": (optim.SGD, dict(lr=0.1)),
    "momentum": (optim.SGD, dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1)),
    "adam": (optim.Adam, dict(weight_decay=0.1)),
    "amsgrad": (optim.AdamW, dict(amsgrad=True, maximize=True)),
    "adagrad": (optim.Adagrad, {}),
    "adadelta": (optim.Adadelta, {}),
    "adamax": (optim.Adamax, {}),
    "nadam": (optim.NAdam, {}),
    "radam": (optim.RAdam, {}),
    "rmsprop": (optim.RMSprop, dict(centered=True, momentum=0.9)),
    "rprop": (optim.Rprop, {}),
    "asgd": (optim.ASGD, {}),
    "lbfgs": (optim.LBFGS, dict(max_iter=4, line_search_fn="strong_wolfe")),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    make, options = OPTIMIZERS[name]
    results = []
    for device in ("cuda", "cpu"):
        mg.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double().to(device)
        x = mg.randn(6, 4, dtype=mg.float64).to(device)
        y = mg.tensor([0, 1, 2, 0, 1, 2], device=device)
        optimizer = make(model.parameters(), **options)

        def closure(model=model, x=x, y=y, optimizer=optimizer):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), 0.2)
            return loss

        for _ in range(3):
            optimizer.step(closure)
            state = copy.deepcopy(optimizer.state_dict())
            optimizer.load_state_dict(state)
        for p in model.parameters():
            for key, value in optimizer.state[p].items():
                if isinstance(value, mg.Tensor) and value.ndim:
                    assert value.device.type == device, key
        results.append([p.detach().cpu() for p in model.parameters()])
    mg.testing.assert_close(results[0], results[1], rtol=1e-8, atol=1e-10)


def test_gradients_of_embeddings_that_are_sparse():
    for make in (optim.SparseAdam, optim.SGD, optim.Adagrad):
        results = []
        for device in ("cuda", "cpu"):
            mg.manual_seed(0)
            table = nn.Embedding(6, 3, sparse=True, padding_idx=0).to(device)
            optimizer = make(list(table.parameters()), lr=0.1)
            for _ in range(2):
                optimizer.zero_grad()
                (table(mg.tensor([1, 0, 1, 4], device=device)) ** 2).sum().backward()
                assert type(table.weight.grad.array) is RowSparse
                assert table.weight.grad.device == table.weight.device
                assert "0.0000,  0.0000,  0.0000" in repr(table.weight.grad)
                optimizer.step()
            results.append(table.weight.detach().cpu())
        mg.testing.assert_close(results[0], results[1])


# -- the graph ---------------------------------------------------------------------------------------


def test_accumulation_hooks_and_retained_gradients():
    x = mg.ones(3, device="cuda", requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append(g.device.type) or g * 2)
    y = x * 3
    y.retain_grad()
    y.sum().backward()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [12] * 3 and y.grad.is_cuda and seen == ["cuda"] * 2
    layer = nn.Linear(3, 2).cuda()
    layer.register_forward_hook(lambda module, args, out: out * 2)
    layer.register_full_backward_hook(lambda module, before, after: seen.append(after[0].is_cuda))
    layer(x).sum().backward()
    assert True in seen


def test_checkpointing_functions_and_higher_derivatives():
    x = mg.ones(3, device="cuda", dtype=mg.float64, requires_grad=True)
    layer = nn.Linear(3, 2).double().cuda()
    checkpoint(layer, x, use_reentrant=False).sum().backward()
    assert layer.weight.grad.is_cuda
    (g,) = mg.autograd.grad((x**3).sum(), x, create_graph=True)
    (second,) = mg.autograd.grad(g.sum(), x)
    assert second.is_cuda and second.tolist() == [6] * 3

    class Square(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * g * x

    assert mg.autograd.gradcheck(Square.apply, x)
    assert mg.autograd.gradgradcheck(Square.apply, x)
    assert mg.autograd.functional.jacobian(Square.apply, x.detach()).diagonal().tolist() == [2] * 3
    with mg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="returned nan values"):
        (x * 0).sqrt().mul(0).sum().backward()


def test_in_place_changes_are_noticed():
    x = mg.ones(3, device="cuda", requires_grad=True)
    y = x.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation: exp"):
        y.sum().backward()
    z = mg.zeros(3, device="cuda")
    z[1:] = x[1:] * 2
    z.sum().backward()
    assert x.grad.tolist() == [0, 2, 2]


# -- copies, files, data -------------------------------------------------------------------------------


def test_saving_and_loading(tmp_path):
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).cuda()
    model[0].bias = model[1].bias  # one memory under two names
    file = tmp_path / "model.pt"
    mg.save(model.state_dict(), file)
    state = mg.load(file)
    assert all(t.is_cuda for t in state.values())
    assert state["0.bias"].data_ptr() == state["1.bias"].data_ptr()
    for place in ("cpu", mg.device("cpu"), {"cuda:0": "cpu"}, lambda tensor, where: tensor):
        state = mg.load(file, map_location=place)
        assert not any(t.is_cuda for t in state.values())
        for name, value in model.state_dict().items():
            assert mg.equal(state[name], value.cpu())
    at_home = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    at_home.load_state_dict(model.state_dict())
    assert not at_home[0].weight.is_cuda
    model.load_state_dict(at_home.state_dict())
    assert model[0].weight.is_cuda
    mg.save({"x": mg.ones(2)}, file)
    assert mg.load(file, map_location="cuda")["x"].device == mg.device("cuda:0")
    mg.save({"part": mg.arange(6.0, device="cuda").reshape(2, 3).t()[1:]}, file)
    assert mg.load(file, map_location="cpu")["part"].tolist() == [[1, 4], [2, 5]]


def test_torch_reads_what_was_saved_on_a_gpu(tmp_path):
    torch = pytest.importorskip("torch")
    mg.save({"x": mg.arange(3.0, device="cuda")}, tmp_path / "x.pt")
    read = torch.load(tmp_path / "x.pt", map_location="cpu", weights_only=True)
    assert read["x"].tolist() == [0, 1, 2]


def test_loading_files_of_another_machine_without_a_gpu(tmp_path):
    mg.save({"x": mg.ones(2, device="cuda")}, tmp_path / "x.pt")
    from minigrad import backend, serialization

    patch = pytest.MonkeyPatch()
    patch.setattr(serialization, "cuda_is_available", lambda: False)
    try:
        with pytest.raises(RuntimeError, match="cuda:0.*pass map_location='cpu'"):
            mg.load(tmp_path / "x.pt")
        assert mg.load(tmp_path / "x.pt", map_location="cpu")["x"].tolist() == [1, 1]
    finally:
        patch.undo()
    assert backend.gpus


def test_safetensors(tmp_path):
    pytest.importorskip("safetensors")
    mg.save({"x": mg.arange(3.0, device="cuda")}, tmp_path / "x.safetensors")
    assert mg.load(tmp_path / "x.safetensors")["x"].tolist() == [0, 1, 2]
    assert mg.load(tmp_path / "x.safetensors", map_location="cuda")["x"].is_cuda


def test_copies_and_pickles():
    model = nn.Linear(3, 2).cuda()
    model(mg.ones(1, 3, device="cuda")).sum().backward()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.weight.is_cuda and other.weight.data_ptr() != model.weight.data_ptr()
        assert mg.equal(other.weight, model.weight)
    x = mg.ones(2, device="cuda")
    assert pickle.loads(pickle.dumps(x)).is_cuda and copy.copy(x).is_cuda
    buffer = io.BytesIO()
    mg.save(x, buffer)
    buffer.seek(0)
    assert mg.load(buffer).is_cuda


def test_data_loaders():
    host = TensorDataset(mg.arange(10.0).reshape(5, 2), mg.arange(5))
    for x, _ in DataLoader(host, batch_size=2, pin_memory=True):
        assert x.to("cuda", non_blocking=True).is_cuda
    here = TensorDataset(mg.arange(10.0, device="cuda").reshape(5, 2), mg.arange(5, device="cuda"))
    batches = [x for x, _ in DataLoader(here, batch_size=2)]
    assert all(x.is_cuda for x in batches) and mg.cat(batches).sum().item() == 45


def test_packed_sequences():
    results = []
    for device in ("cuda", "cpu"):
        mg.manual_seed(0)
        layer = nn.GRU(2, 3, batch_first=True, bidirectional=True).double().to(device)
        x = mg.tensor(numpy.linspace(-1, 1, 16).reshape(2, 4, 2), device=device)
        packed = nn.utils.rnn.pack_padded_sequence(x, mg.tensor([2, 4]), True, enforce_sorted=False)
        out, state = layer(packed)
        out, lengths = nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
        assert out.device.type == state.device.type == device and lengths.tolist() == [2, 4]
        results.append([out.detach().cpu(), state.detach().cpu()])
    mg.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-12)
