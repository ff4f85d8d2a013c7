"""CUDA graphs: what can't be captured is refused by name, and leaves everything as it was."""

import pytest
from minigrad.kernels import kernel
from stand_in import cuda  # noqa: F401

import minigrad as mg
from minigrad import nn, optim

pytestmark = pytest.mark.skipif(kernel.REFERENCE_ONLY, reason="products are captured by a kernel")


def there(x):
    return mg.tensor(x, device="cuda")


X = {
    "item": lambda x: x.sum().item(),
    "__float__": lambda x: float(x[0]),
    "__bool__": lambda x: bool(x[0] > 0),
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "__repr__": lambda x: repr(x),
    "nonzero": lambda x: x.nonzero(),
    "masked_select": lambda x: x.masked_select(x > 0),
    "unique": lambda x: mg.unique(x),
    "sort": lambda x: x.sort(),
    "synchronize": lambda x: mg.cuda.synchronize(),
    "to": lambda x: mg.zeros(3).to("cuda"),
    "copy_": lambda x: x.copy_(mg.zeros(3)),
    "tensor": lambda x: mg.tensor([1.0, 2.0], device="cuda"),
    "clip_grad_norm_": lambda x: nn.utils.clip_grad_norm_(
        [_with_gradient()], 1.0, error_if_nonfinite=True
    ),
}


def _with_gradient():
    p = nn.Parameter(mg.ones(3, device="cuda"))
    p.grad = mg.ones(3, device="cuda")
    return p


@pytest.mark.parametrize("name", X)
def test_refused(name):
    x = there([1.0, -2.0, 3.0])
    graph = mg.cuda.CUDAGraph()
    with (
        pytest.raises(RuntimeError, match=rf"^{name}: .*CUDA graph"),
        mg.cuda.graph(graph),
    ):
        x.mul_(2)
        X[name](x)
    assert x.tolist() == [1, -2, 3]  # nothing was done
    assert not mg.cuda.is_current_stream_capturing()
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        graph.replay()
    with mg.cuda.graph(graph):  # it can be filled after all
        y = x * 2
    graph.replay()
    assert y.tolist() == [2, -4, 6]


def test_errors_of_the_program_stay_what_they_are():
    x = there([1.0, 2.0])
    graph = mg.cuda.CUDAGraph()
    with pytest.raises(ZeroDivisionError), mg.cuda.graph(graph):
        x / (1 // 0)
    with pytest.raises(RuntimeError, match="must match the size"), mg.cuda.graph(graph):
        x + mg.ones(3, device="cuda")
    with mg.cuda.graph(graph):
        x + 1


def test_misuse():
    x = there([1.0])
    graph, other = mg.cuda.CUDAGraph(), mg.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="non-default stream"):
        graph.capture_begin()
    with pytest.raises(RuntimeError, match="Unknown capture error mode"):
        graph.capture_begin(capture_error_mode="none")
    with pytest.raises(RuntimeError, match="not being captured"):
        graph.capture_end()
    with pytest.raises(RuntimeError, match="pool"):
        graph.pool()
    stream = mg.cuda.Stream()
    with mg.cuda.stream(stream):
        graph.capture_begin(capture_error_mode="thread_local")
        with pytest.raises(RuntimeError, match="already owns"):
            graph.capture_begin()
        with pytest.raises(RuntimeError, match="another graph is being captured"):
            other.capture_begin()
        with pytest.raises(RuntimeError, match="being captured"):
            graph.reset()
        x.add_(1)
        graph.capture_end()
    graph.replay()
    assert x.tolist() == [2]
    with mg.cuda.stream(stream):
        other.capture_begin()
        with pytest.raises(RuntimeError, match="StreamCaptureUnsupported"):
            x.item()
        with pytest.raises(RuntimeError, match="capture failed"):
            other.capture_end()
    assert x.item() == 2
    second = mg.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="replay"), mg.cuda.graph(second):
        graph.replay()


def test_optimizers_that_count_on_the_host():
    p = _with_gradient()
    for build in (lambda: optim.AdamW([p]), lambda: optim.RMSprop([p])):
        optimizer = build()
        optimizer.step()
        before = p.tolist()
        with (
            pytest.raises(RuntimeError, match="param_groups' capturable is False"),
            mg.cuda.graph(mg.cuda.CUDAGraph()),
        ):
            optimizer.step()
        assert p.tolist() == before
    for build in (
        lambda: optim.Adam([p], capturable=True),
        lambda: optim.SGD([p], momentum=0.9),
    ):
        optimizer = build()
        with (
            pytest.raises(RuntimeError, match="take a step before the capture"),
            mg.cuda.graph(mg.cuda.CUDAGraph()),
        ):
            optimizer.step()
        assert not any(optimizer.state.values())
    on_host = nn.Parameter(mg.ones(3))
    on_host.grad = mg.ones(3)
    with pytest.raises(AssertionError, match="capturable=True, params and state_steps"):
        optim.Adam([on_host], capturable=True).step()


def test_checks_of_numbers_are_left_out():
    """A GPU has no way to say that an id is wrong while it is captured; before and after it has."""
    table, ids = nn.Embedding(4, 2).to("cuda"), there([0, 3])
    graph = mg.cuda.CUDAGraph()
    with mg.cuda.graph(graph):
        rows = table(ids)
    graph.replay()
    assert mg.equal(rows, table.weight[ids])
    ids.fill_(7)
    with pytest.raises(IndexError, match="out of range"):
        table(ids)
