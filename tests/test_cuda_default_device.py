"""The default device: set_default_device, get_default_device, `with device(...):`, as in torch."""

import threading

import numpy
import pytest
from stand_in import cuda  # noqa: F401

import minigrad as mg
from minigrad import nn

MADE_THERE = {
    "zeros": lambda: mg.zeros(2),
    "ones": lambda: mg.ones(2),
    "empty": lambda: mg.empty(2),
    "full": lambda: mg.full((2,), 1.0),
    "arange": lambda: mg.arange(3),
    "range": lambda: mg.range(1, 3),
    "linspace": lambda: mg.linspace(0, 1, 3),
    "logspace": lambda: mg.logspace(0, 1, 3),
    "eye": lambda: mg.eye(2),
    "tril_indices": lambda: mg.tril_indices(2, 2),
    "triu_indices": lambda: mg.triu_indices(2, 2),
    "scalar_tensor": lambda: mg.scalar_tensor(1.0),
    "tensor": lambda: mg.tensor([1.0]),
    "tensor of a tensor": lambda: mg.tensor(HERE),
    "as_tensor": lambda: mg.as_tensor([1.0]),
    "as_tensor of a tensor": lambda: mg.as_tensor(HERE),
    "as_tensor of an array": lambda: mg.as_tensor(numpy.ones(2)),
    "asarray": lambda: mg.asarray([1.0]),
    "rand": lambda: mg.rand(2),
    "randn": lambda: mg.randn(2),
    "randint": lambda: mg.randint(3, (2,)),
    "randperm": lambda: mg.randperm(3),
    "Parameter": lambda: nn.Parameter(),
    "Linear": lambda: nn.Linear(2, 2).weight,
    "LSTM": lambda: nn.LSTM(2, 2).bias_hh_l0,
    "BatchNorm1d": lambda: nn.BatchNorm1d(2).running_mean,
    "Embedding": lambda: nn.Embedding(3, 2).weight,
}
HERE = mg.ones(2)
MADE_HERE = {
    "from_numpy": lambda: mg.from_numpy(numpy.ones(2)),
    "frombuffer": lambda: mg.frombuffer(b"ab", dtype=mg.uint8),
    "Tensor": lambda: mg.Tensor([1.0]),
    "FloatTensor": lambda: mg.FloatTensor(2),
    "normal": lambda: mg.normal(0.0, 1.0, (2,)),
    "zeros_like": lambda: mg.zeros_like(HERE),
    "rand_like": lambda: mg.rand_like(HERE),
    "new_ones": lambda: HERE.new_ones(2),
    "new_tensor": lambda: HERE.new_tensor([1.0]),
    "bernoulli": lambda: mg.bernoulli(HERE),
    "device=": lambda: mg.zeros(2, device="cpu"),
    "out=": lambda: mg.zeros(2, out=mg.ones(2, device="cpu")),
    "rand(out=)": lambda: mg.rand(2, out=mg.ones(2, device="cpu")),
}


@pytest.mark.parametrize("name", MADE_THERE | MADE_HERE)
def test_which_functions_follow(name):
    torch = pytest.importorskip("torch")
    make = (MADE_THERE | MADE_HERE)[name]
    with mg.device("cuda"):
        assert make().is_cuda == (name in MADE_THERE)
    assert not make().is_cuda
    if name in ("range", "tensor of a tensor", "out=", "rand(out=)"):  # which have no meta tensors
        return
    theirs = dict(make.__globals__, mg=torch, nn=torch.nn, HERE=torch.ones(2))
    with torch.device("meta"):  # which is not the CPU either
        made = type(make)(make.__code__, theirs)()
    assert made.is_meta == (name in MADE_THERE)


def test_set_default_device():
    assert mg.get_default_device() == mg.device("cpu")
    try:
        mg.set_default_device("cuda")
        assert mg.get_default_device() == mg.device("cuda", 0)
        with mg.cuda.device(1):
            assert mg.get_default_device() == mg.ones(1).device == mg.device("cuda", 1)
        seen = []
        thread = threading.Thread(target=lambda: seen.append(mg.ones(1).device.type))
        thread.start()
        thread.join()
        assert seen == ["cpu"]
        with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"):
            mg.set_default_device("tpu")
        assert mg.ones(1).is_cuda
    finally:
        mg.set_default_device(None)
    assert mg.get_default_device() == mg.device("cpu") and mg.ones(1).is_cpu


def test_a_device_as_context():
    gpu = mg.device("cuda", 1)
    with gpu as entered:
        assert entered is gpu
        with mg.device("cpu"), mg.device("cuda:0"):
            assert mg.ones(1).device.index == 0
        assert mg.ones(1).device == gpu
        with pytest.raises(KeyError), gpu:
            raise KeyError
        assert mg.get_default_device() == gpu
    assert mg.get_default_device().type == "cpu"


def test_lists_beside_tensors_of_another_device():
    with mg.device("cuda"):
        x = HERE.clone()
        x[0] = [2.0]
        assert x.copy_([3.0, 4.0]).tolist() == [3, 4] and x.is_cpu
        assert ([[1.0, 1.0]] @ x).tolist() == [7]


def test_the_default_device_changes_no_random_numbers():
    mg.manual_seed(3)
    expected = [mg.rand(5), mg.randn(5), mg.randperm(5), nn.Linear(3, 2).weight]
    mg.manual_seed(3)
    with mg.device("cuda"):
        found = [mg.rand(5), mg.randn(5), mg.randperm(5), nn.Linear(3, 2).weight]
    for a, b in zip(found, expected, strict=True):
        assert mg.equal(a.cpu(), b)
