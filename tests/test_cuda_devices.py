"""Mixed devices, several GPUs, memory and running out of it, streams and events, what is missing."""

import re
import subprocess
import sys

import pytest
from stand_in import cuda  # noqa: F401

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import backend, nn

X, Y = mg.ones(3), mg.ones(3)
MIXTURES = {
    "add": lambda x, y: x + y,
    "mul": lambda x, y: y * x,
    "matmul": lambda x, y: x @ y,
    "cat": lambda x, y: mg.cat([x, y]),
    "stack": lambda x, y: mg.stack([x, y]),
    "where": lambda x, y: mg.where(x > 0, x, y),
    "add_": lambda x, y: x.clone().add_(y),
    "masked_fill": lambda x, y: x.masked_fill(y > 0, 0.0),
    "gather": lambda x, y: x.gather(0, y.long() * 0),
    "linear": lambda x, y: F.linear(y.reshape(1, 3), x.reshape(1, 3)),
    "layer": lambda x, y: nn.Linear(3, 2).cuda()(y),
    "lstm": lambda x, y: nn.LSTM(3, 2)(x.reshape(1, 1, 3)),
    "embedding": lambda x, y: F.embedding(y.long(), x.reshape(3, 1)),
    "layer_norm": lambda x, y: F.layer_norm(x, (3,), y, y),
    "conv1d": lambda x, y: F.conv1d(y.reshape(1, 1, 3), x.reshape(1, 1, 3)),
    "cross_entropy": lambda x, y: F.cross_entropy(x.reshape(1, 3), y[:1].long()),
    "mse_loss": lambda x, y: F.mse_loss(x, y),
    "attention": lambda x, y: F.scaled_dot_product_attention(*[v.reshape(1, 3) for v in (x, y, x)]),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXTURES)
def test_mixed_devices_are_named(name):
    with pytest.raises(
        RuntimeError,
        match=r"^\w+: Expected all tensors to be on the same device, but found at least two devices, "
        r"(cuda:0 \(\w+, shape \(.*\) and cpu \(\w+, shape|cpu .* and cuda:0).*Move one with \.to\(",
    ):
        MIXTURES[name](X.cuda(), Y)


def test_an_index_on_the_gpu_of_a_tensor_in_main_memory():
    with pytest.raises(RuntimeError, match="indices should be either on cpu or on the same device"):
        X[mg.tensor([0]).cuda()]


def test_a_number_in_main_memory_goes_with_any_device():
    two = mg.tensor(2.0, requires_grad=True)
    (X.cuda() * two).sum().backward()
    assert two.grad.item() == 3 and not two.grad.is_cuda
    assert (mg.tensor(2.0) + X.cuda()).is_cuda
    assert mg.where(X.cuda() > 0, X.cuda(), mg.tensor(0.5)).is_cuda
    assert (mg.tensor(2, dtype=mg.float64) * X.cuda()).dtype == mg.float32


# -- several GPUs ------------------------------------------------------------------------------------


def test_work_is_done_where_the_tensors_are():
    if mg.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    x = mg.ones(3, device="cuda:1", requires_grad=True)
    assert x.device.index == 1 and mg.cuda.current_device() == 0
    (x * 2).exp().sum().backward()
    assert x.grad.device.index == 1
    other = x.cuda(0)
    assert other.device.index == 0
    (other * other).sum().backward()
    assert x.grad.device.index == 1
    with pytest.raises(RuntimeError, match=r"same device.*cuda:1.*cuda:0"):
        x + mg.ones(3, device="cuda:0")
    assert mg.cuda.current_device() == 0


def test_a_model_trains_on_the_second_gpu():
    if mg.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.LayerNorm(4))
    model.to("cuda:1")
    optimizer = mg.optim.AdamW(model.parameters())
    x, y = mg.randn(2, 3, device="cuda:1"), mg.tensor([0, 1], device="cuda:1")
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert optimizer.state[model[0].weight]["exp_avg"].device.index == 1
    assert mg.cuda.current_device() == 0


def test_choosing_a_gpu():
    count = mg.cuda.device_count()
    last = count - 1
    with mg.cuda.device(last):
        assert mg.cuda.current_device() == last
        assert mg.ones(2).cuda().device.index == last
        with mg.cuda.device(None), mg.cuda.device("cuda:0"):
            assert mg.cuda.current_device() == 0
        assert mg.cuda.current_device() == last
    assert mg.cuda.current_device() == 0
    mg.cuda.set_device(last)
    assert mg.zeros(1, device="cuda").device.index == last
    mg.cuda.set_device(0)
    with pytest.raises(RuntimeError, match=rf"'cuda:{count}': CUDA error: invalid device ordinal"):
        mg.ones(2, device=f"cuda:{count}")
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        mg.cuda.set_device(count)
    with pytest.raises(ValueError, match="Expected a cuda device, but got: cpu"):
        mg.cuda.synchronize("cpu")


def test_what_a_gpu_is():
    assert mg.cuda.is_available() and mg.cuda.is_initialized()
    mg.cuda.init()
    found = mg.cuda.get_device_properties(0)
    assert mg.cuda.get_device_name() == found.name and found.name in repr(found)
    assert mg.cuda.get_device_capability("cuda:0") == (found.major, found.minor)
    assert mg.cuda.is_bf16_supported()
    assert mg.cuda.is_bf16_supported(including_emulation=False) == (found.major >= 8)
    assert found.total_memory > 0 and found.multi_processor_count > 0 and found.warp_size == 32
    free, total = mg.cuda.mem_get_info()
    assert 0 < free <= total
    mg.cuda.synchronize()
    mg.cuda.manual_seed(1)
    mg.cuda.manual_seed_all(1)


# -- memory ------------------------------------------------------------------------------------------


def test_memory_is_counted():
    mg.cuda.empty_cache()
    before = mg.cuda.memory_allocated()
    mg.cuda.reset_peak_memory_stats()
    x = mg.zeros(1000, device="cuda")
    view = x[10:].reshape(2, -1)
    assert mg.cuda.memory_allocated() - before == 4096
    del x
    assert mg.cuda.memory_allocated() - before == 4096  # the view holds it
    y = view + view
    del y, view
    assert mg.cuda.memory_allocated() == before
    assert mg.cuda.max_memory_allocated() - before >= 8000
    assert mg.cuda.memory_reserved() >= before
    assert mg.cuda.max_memory_reserved() >= mg.cuda.max_memory_allocated()
    mg.cuda.reset_peak_memory_stats()
    assert mg.cuda.max_memory_allocated() == before
    mg.cuda.empty_cache()
    assert mg.cuda.memory_reserved() == before


@pytest.fixture
def little_memory(cuda):  # noqa: F811
    """A pool with 2 kB left."""
    pool = cuda.get_default_memory_pool()

    def limit(left=2048):
        pool.free_all_blocks()
        pool.set_limit(size=pool.used_bytes() + left)

    yield limit
    pool.set_limit(size=0)


def test_running_out_of_memory_changes_nothing(little_memory):
    x = mg.ones(1000, device="cuda")
    little_memory()
    with pytest.raises(mg.cuda.OutOfMemoryError, match=r"^mul: CUDA out of memory.* 4,096 bytes"):
        x * 2
    with pytest.raises(mg.cuda.OutOfMemoryError, match="^mul"):
        x.mul_(2)
    assert x.sum().item() == 1000 and x._version[0] == 0
    with pytest.raises(mg.cuda.OutOfMemoryError, match="^to: CUDA out of memory"):
        mg.ones(1000).cuda()
    with pytest.raises(RuntimeError, match="smaller batches"):
        mg.zeros(1000, device="cuda")


def test_a_module_moves_whole_or_not_at_all(little_memory):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(40, 40), nn.BatchNorm1d(4))
    model[0](mg.ones(1, 4)).sum().backward()
    little_memory()
    with pytest.raises(mg.cuda.OutOfMemoryError):
        model.cuda()
    assert not any(t.is_cuda for t in (*model.parameters(), *model.buffers()))
    assert not model[0].weight.grad.is_cuda
    little_memory(1 << 20)
    model.cuda()
    assert all(t.is_cuda for t in (*model.parameters(), *model.buffers(), model[0].weight.grad))


def test_an_optimizer_without_memory_for_its_state_takes_no_step(little_memory):
    layers = [nn.Linear(4, 4).cuda(), nn.Linear(40, 40).cuda()]
    params = [p for layer in layers for p in layer.parameters()]
    before = [p.detach().cpu() for p in params]
    for p in params:
        p.grad = mg.ones_like(p)
    optimizer = mg.optim.Adam(params, lr=0.1)
    little_memory()
    with pytest.raises(mg.cuda.OutOfMemoryError, match=r"^Adam.step: CUDA out of memory"):
        optimizer.step()
    assert all(mg.equal(p.cpu(), old) for p, old in zip(params, before, strict=True))
    little_memory(1 << 20)
    optimizer.step()
    mg.testing.assert_close(params[0].detach().cpu(), before[0] - 0.1)


def test_backward_names_the_operation_that_had_no_memory(little_memory):
    x = mg.ones(1000, device="cuda", requires_grad=True)
    loss = x.exp().sum()
    little_memory(512)
    with pytest.raises(
        mg.cuda.OutOfMemoryError, match="backward of ExpBackward0: CUDA out of memory"
    ):
        loss.backward()
    assert x.grad is None


# -- streams and events ------------------------------------------------------------------------------


def test_streams_and_events():
    stream = mg.cuda.Stream()
    assert mg.cuda.current_stream() == mg.cuda.default_stream() != stream
    start, end = (mg.cuda.Event(enable_timing=True) for _ in range(2))
    with mg.cuda.stream(stream), mg.cuda.stream(None):
        assert mg.cuda.current_stream() == stream
        start.record()
        x = mg.ones(3).cuda(non_blocking=True) * 2
        end.record(stream)
    mg.cuda.current_stream().wait_stream(stream)
    end.wait()
    end.synchronize()
    stream.synchronize()
    assert stream.query() and end.query() and x.sum().item() == 6
    assert start.elapsed_time(end) >= 0
    assert len({stream, mg.cuda.Stream()}) == 2 and "cuda:0" in repr(stream)
    assert isinstance(stream.record_event(), mg.cuda.Event)


# -- what may be missing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "without, message",
    [
        (
            "sys.modules['cupy'] = None",
            r"device 'cuda' needs CuPy: pip install 'minigrad\[cuda13\]'",
        ),
        ("import cupy; cupy.cuda.is_available = lambda: False", "finds no NVIDIA driver or GPU"),
    ],
)
def test_without_a_gpu(without, message):
    from stand_in import FOLDER

    script = f"""
import sys
sys.path.insert(0, {str(FOLDER)!r})
{without}
import minigrad as mg
assert not mg.cuda.is_available() and mg.cuda.device_count() == 0
assert mg.cuda.memory_allocated() == mg.cuda.max_memory_allocated() == 0
mg.cuda.empty_cache()
try:
    mg.ones(3).cuda()
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(message, done.stdout)


def test_main_memory_that_runs_out_is_no_matter_of_the_gpu():
    error = backend.out_of_memory("add", MemoryError("Unable to allocate"))
    assert type(error) is MemoryError and "add: Unable" in str(error)
