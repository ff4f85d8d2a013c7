"""CUDA graphs: training steps captured and replayed, random numbers, memory, errors."""

import gc
import re
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import cublas, kernel
from stand_in import cuda  # noqa: F401

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim
from minigrad.models.gpt import GPT, GPTConfig
from minigrad.models.textcnn import TextCNN

pytestmark = pytest.mark.skipif(kernel.REFERENCE_ONLY, reason="products are captured by a kernel")
RANDOM = numpy.random.default_rng(0)


def there(x):
    return mg.tensor(x, device="cuda")


def captured(function, **options):
    """(a graph of function(), what it returned)."""
    graph = mg.cuda.CUDAGraph()
    with mg.cuda.graph(graph, **options):
        found = function()
    return graph, found


# -- training steps --------------------------------------------------------------------------------


class Classifier(nn.Module):
    def __init__(self, layer=nn.LSTM):
        super().__init__()
        self.embedding = nn.Embedding(11, 5, padding_idx=0)
        self.layer = layer(5, 6, batch_first=True)
        self.out = nn.Linear(6, 3)

    def forward(self, ids):
        return self.out(self.layer(self.embedding(ids))[0][:, -1])


def perceptron():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 3))


def gpt(dropout=0.0):
    return GPT(GPTConfig(8, 13, n_layer=2, n_head=2, n_embd=8, dropout=dropout))


def adam(parameters):  # eps: or a gradient of 0, but for rounding, would be as good as any other
    return optim.AdamW(parameters, lr=0.05, eps=1e-3, capturable=True)


def sgd(parameters):
    return optim.SGD(parameters, lr=there(0.1), momentum=0.9)


def of_classes(model, x, y):
    return F.cross_entropy(model(x), y)


def of_tokens(model, x, y):
    return model(x, y)[1]


NUMBERS = [RANDOM.standard_normal((4, 6)).astype("float32") for _ in range(3)]
CLASSES = [RANDOM.integers(0, 3, 4) for _ in range(3)]
IDS = [RANDOM.integers(0, 11, (4, 8)) for _ in range(3)]
CASES = {
    "perceptron": (perceptron, adam, NUMBERS, CLASSES, of_classes),
    "perceptron, sgd": (perceptron, sgd, NUMBERS, CLASSES, of_classes),
    "text cnn": (lambda: TextCNN(11, 3, 8, 4), adam, IDS, CLASSES, of_classes),
    "lstm": (Classifier, adam, IDS, CLASSES, of_classes),
    "gru": (lambda: Classifier(nn.GRU), adam, IDS, CLASSES, of_classes),
    "gpt": (gpt, adam, IDS, IDS, of_tokens),
    "gpt, dropout": (lambda: gpt(0.2), adam, IDS, IDS, of_tokens),
}


def train(case, replays, warm_up=2):
    """(losses, parameters) after some steps, of which all but the first come from a graph or don't."""
    build, optimizer, xs, ys, loss_of = case
    mg.manual_seed(0)
    model = build().to("cuda")
    optimizer = optimizer(model.parameters())
    x, y = there(xs[0]), there(ys[0])

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model, x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    losses = []
    graph = None
    for i in range(warm_up + 5):
        x.copy_(mg.tensor(xs[i % 3]))
        y.copy_(mg.tensor(ys[i % 3]))
        if i == warm_up and replays:
            before = [p.detach().clone() for p in model.parameters()]
            graph, loss = captured(step)
            for p, q in zip(model.parameters(), before, strict=True):
                assert mg.equal(p, q)  # nothing has been done yet
        if graph is None:
            loss = step()
        else:
            graph.replay()
        losses.append(loss.item())
    return losses, [p.detach().cpu() for p in model.parameters()]


@pytest.mark.parametrize("name", CASES)
def test_a_replayed_step_is_the_step(name):
    """With dropout too: a replay draws the seeds that the step would have drawn."""
    losses, parameters = train(CASES[name], False)
    replayed, others = train(CASES[name], True)
    assert len(set(losses)) == len(losses)
    mg.testing.assert_close(replayed, losses, rtol=1e-5, atol=1e-6)
    mg.testing.assert_close(others, parameters, rtol=1e-4, atol=1e-6)


def test_each_replay_drops_other_places():
    x = mg.ones(64, 64, device="cuda", requires_grad=True)

    def drop():
        y = F.dropout(x, 0.25)
        channels = F.dropout1d(x.detach(), 0.5)
        (g,) = mg.autograd.grad(y.sum(), x)
        return y.detach(), g, channels

    mg.manual_seed(3)
    state = mg.get_rng_state()
    graph, (y, g, channels) = captured(drop)
    assert mg.equal(mg.get_rng_state(), state)  # a capture draws nothing
    seen = []
    for _ in range(5):
        graph.replay()
        assert mg.equal(y, g)  # backward meets the mask of forward
        assert abs(y.mean().item() - 1) < 0.05
        assert set(channels.sum(1).tolist()) <= {0.0, 128.0}
        seen.append(y.cpu())
    assert len({tuple(m.flatten().tolist()) for m in seen}) == 5
    mg.manual_seed(3)
    for mask in seen:
        assert mg.equal(drop()[0].cpu(), mask)  # those of a loop without a graph


def test_an_optimizer_follows_its_learning_rate():
    for build in (
        lambda p, lr: optim.SGD([p], lr=lr),
        lambda p, lr: optim.AdamW([p], lr=lr, capturable=True),
        lambda p, lr: optim.Adam([p], lr=lr, weight_decay=0.1, amsgrad=True, capturable=True),
    ):
        found = []
        for capture in (False, True):
            p = nn.Parameter(mg.tensor([1.0, -2.0], device="cuda"))
            p.grad = mg.tensor([0.5, 0.25], device="cuda")
            lr = there(0.5)
            optimizer = build(p, lr)
            optimizer.step()
            schedule = optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
            step = captured(optimizer.step)[0].replay if capture else optimizer.step
            for _ in range(3):
                step()
                schedule.step()
            found.append(p.detach().cpu())
        mg.testing.assert_close(found[0], found[1], rtol=1e-6, atol=0)


def test_capturable_state_dicts():
    p = nn.Parameter(mg.ones(3, device="cuda"))
    p.grad = mg.ones(3, device="cuda")
    captured_by = optim.Adam([p], capturable=True)
    captured_by.step()
    assert captured_by.state[p]["step"].device.type == "cuda"
    plain = optim.Adam([p])
    plain.load_state_dict(captured_by.state_dict())
    for group in plain.param_groups:
        group["capturable"] = False
    plain.step()
    assert plain.state[p]["step"].item() == 2
    captured_by.load_state_dict(optim.Adam([p]).state_dict())
    host = optim.Adam([p])
    host.step()
    captured_by.load_state_dict(host.state_dict())
    captured_by.param_groups[0]["capturable"] = True
    captured_by.step()
    assert captured_by.state[p]["step"].device.type == "cuda"
    assert captured_by.state[p]["step"].item() == 2


# -- what a graph is ---------------------------------------------------------------------------------


def test_inputs_are_changed_in_place():
    x, y = mg.zeros(4, device="cuda"), mg.ones(4, device="cuda")
    assert not mg.cuda.is_current_stream_capturing()

    def work():
        assert mg.cuda.is_current_stream_capturing()
        z = (x + 1) * y
        y.add_(1)
        return z, mg.zeros(2, device="cuda") + mg.arange(2, device="cuda")

    graph, (z, new) = captured(work)
    assert y.tolist() == [1] * 4  # captured, not done
    x.copy_(mg.arange(4.0))
    graph.replay()
    assert (z.tolist(), y.tolist(), new.tolist()) == ([1, 2, 3, 4], [2] * 4, [0, 1])
    x.fill_(5)
    graph.replay()
    assert (z.tolist(), y.tolist()) == ([12] * 4, [3] * 4)
    graph.reset()
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        graph.replay()


def test_two_graphs_of_one_pool():
    x = mg.arange(4.0, device="cuda")
    first, y = captured(lambda: (x + 1) * 2)
    second, z = captured(lambda: (y * y + 1) * 1, pool=first.pool())
    assert second.pool() is first.pool()
    for value in (1.0, 2.0):
        x.fill_(value)
        first.replay()
        second.replay()
        assert z.tolist() == [(2 * value + 2) ** 2 + 1] * 4
    handle = mg.cuda.graph_pool_handle()
    assert captured(lambda: x * 2, pool=handle)[0].pool() is handle


def test_memory_belongs_to_the_graph():
    x = mg.ones(1000, device="cuda")
    graph, y = captured(lambda: (x * 2 + 1) * 3)
    before = mg.cuda.memory_allocated()
    others = [mg.full((1000,), float(i), device="cuda") for i in range(20)]
    graph.replay()
    assert y.tolist() == [9] * 1000
    assert all(o.tolist() == [float(i)] * 1000 for i, o in enumerate(others))
    del others
    assert mg.cuda.memory_allocated() == before
    del graph
    gc.collect()
    y.fill_(4)  # what it returned keeps its memory
    assert y.tolist() == [4] * 1000


def test_memory_freed_under_a_graph_is_noticed():
    """By the stand-in: a GPU would compute with whatever is there."""

    def capture():
        x = mg.ones(3, device="cuda")
        return captured(lambda: x * 2)[0]

    graph = capture()
    with pytest.raises(RuntimeError, match="freed after its capture"):
        graph.replay()


def test_tables_of_addresses_stay():
    """More optimizers than tables are kept: the graph keeps those that it uses."""
    from minigrad.kernels import cuda_parts

    p = nn.Parameter(mg.zeros(3, device="cuda"))
    p.grad = mg.ones(3, device="cuda")
    graph, _ = captured(optim.SGD([p], lr=1.0).step)
    cuda_parts._table.cache_clear()
    gc.collect()
    graph.replay()
    graph.replay()
    assert p.tolist() == [-2] * 3


LAYOUTS = ["plain", "transposed", "wide rows", "every second", "heads"]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(
        [((), ()), ((3,), (3,)), ((3,), ()), ((2, 3), (3,)), ((2, 1), (2, 3)), ((1,), (4,))]
    ),
    st.integers(0, 5),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from(LAYOUTS),
    st.sampled_from(LAYOUTS),
    st.sampled_from(["float32", "float64", "float16"]),
    st.booleans(),
)
def test_products(leads, k, m, n, of_a, of_b, dtype, out):
    """cuBLAS is given the right addresses, sizes and distances, whatever lies how in memory."""
    a = RANDOM.integers(-3, 4, (*leads[0], m, k)).astype(dtype)
    b = RANDOM.integers(-3, 4, (*leads[1], k, n)).astype(dtype)
    x, y = (there(z).array for z in (a, b))
    if a.size and b.size:
        x, y = _laid_out(x, of_a), _laid_out(y, of_b)
    room = there(numpy.zeros((m, 2 * n), dtype)).array[:, :n] if out and leads == ((), ()) else None
    graph = mg.cuda.CUDAGraph()
    with mg.cuda.stream(mg.cuda.Stream()):
        graph.capture_begin()
        found = cublas.matmul(x, y, room)
        graph.capture_end()
    graph.replay()
    assert numpy.array_equal(found.get(), a @ b)
    assert room is None or found is room


def _laid_out(x, layout):
    import cupy

    if layout == "transposed":
        return cupy.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2)
    if layout in ("wide rows", "every second"):
        twice = cupy.concatenate([x, x], -1) if layout == "wide rows" else cupy.stack([x, x], -1)
        twice = twice.reshape(*x.shape[:-1], 2 * x.shape[-1])
        return twice[..., : x.shape[-1]] if layout == "wide rows" else twice[..., ::2]
    if layout == "heads" and x.ndim == 4:
        return cupy.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
    return x


@pytest.mark.parametrize(
    "shapes", [((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 2)), ((2, 3, 4), (4,))]
)
def test_products_of_vectors(shapes):
    a, b = (RANDOM.integers(-3, 4, shape).astype("float32") for shape in shapes)
    x, y = there(a), there(b)
    graph, found = captured(lambda: x @ y)
    graph.replay()
    assert numpy.array_equal(found.cpu().numpy(), a @ b)


def test_the_documents_python_runs():
    text = (Path(__file__).parent.parent / "docs" / "cuda_graphs.md").read_text(encoding="utf-8")
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(block, names)
    assert names["loss"].isfinite()
    assert all(p.grad is not None for p in names["model"].parameters())


def test_many_tensors_are_joined():
    """CuPy copies their addresses from main memory, if they are more than eight."""
    parts = [mg.full((2, 3), float(i), device="cuda", requires_grad=True) for i in range(30)]

    def work():
        joined, stacked = mg.cat(parts, 1), mg.stack(parts)
        return joined, stacked, *mg.autograd.grad((joined.sum() + stacked.sum()), parts[:1])

    graph, found = captured(work)
    graph.replay()
    for x, y in zip(found, work(), strict=True):
        assert mg.equal(x, y)
