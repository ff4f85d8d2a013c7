"""utils.data against torch: orders under a seed, collating, workers, errors."""

import os
import re

import numpy
import pytest

import minigrad as mg
from minigrad.utils import data

torch = pytest.importorskip("torch")
import torch.utils.data as torch_data  # noqa: E402

BOTH = ((torch, torch_data), (mg, data))


def on_both(program):
    return [program(t, d) for t, d in BOTH]


@pytest.mark.parametrize("seed", [0, 3])
def test_shuffled_order_and_what_it_draws(seed):
    def program(t, d):
        t.manual_seed(seed)
        loader = d.DataLoader(d.TensorDataset(t.arange(11)), batch_size=3, shuffle=True)
        epochs = [[batch[0].tolist() for batch in loader] for _ in range(3)]
        return epochs, t.rand(2).tolist()

    assert len({str(result) for result in on_both(program)}) == 1


def test_samplers():
    def program(t, d):
        t.manual_seed(1)
        g = t.Generator().manual_seed(5)
        dataset = d.TensorDataset(t.arange(10))
        return [
            [
                b[0].tolist()
                for b in d.DataLoader(dataset, 4, shuffle=True, generator=g, drop_last=True)
            ],
            [list(part.indices) for part in d.random_split(dataset, [0.7, 0.3], generator=g)],
            [list(part.indices) for part in d.random_split(dataset, [2, 8])],
            list(d.WeightedRandomSampler([0.1, 0.9, 0.5], 5, generator=g)),
            list(d.RandomSampler(range(6), replacement=True, num_samples=40)),
            list(d.SubsetRandomSampler([4, 5, 6])),
            list(d.BatchSampler(range(5), 2, False)),
        ]

    theirs, ours = on_both(program)
    assert ours == theirs


def test_collate():
    def program(t, d):
        batch = [
            {"ids": numpy.arange(2) + i, "n": i, "x": 0.5 * i, "name": f"t{i}", "t": t.ones(2)}
            for i in range(3)
        ]
        out = d.default_collate(batch)
        pairs = d.default_collate([(1, t.zeros(2)), (2, t.ones(2))])
        parts = [out["ids"], out["n"], out["x"], out["t"], *pairs]
        return [(str(p.dtype), p.tolist()) for p in parts], out["name"]

    theirs, ours = on_both(program)
    assert ours == theirs
    with pytest.raises(TypeError, match="must contain tensors, numpy arrays"):
        data.default_collate([object()])
    with pytest.raises(RuntimeError, match="equal size"):
        data.default_collate([[1], [1, 2]])


class Squares(data.Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, i):
        if i == 7 and getattr(self, "broken", False):
            raise ValueError("row 7 is broken")
        return i * i, os.getpid()


class Stream(data.IterableDataset):
    def __iter__(self):
        info = data.get_worker_info()
        start, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(start, 9, step))


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_keep_the_order(workers):
    loader = data.DataLoader(Squares(), batch_size=3, num_workers=workers)
    for _ in range(2):
        batches = list(loader)
        assert [b[0].tolist() for b in batches] == [[0, 1, 4], [9, 16, 25], [36, 49, 64], [81]]
    processes = {pid for b in batches for pid in b[1].tolist()}
    assert (os.getpid() in processes) == (workers == 0)
    streamed = sorted(
        i for b in data.DataLoader(Stream(), 2, num_workers=workers) for i in b.tolist()
    )
    assert streamed == list(range(9))


def test_persistent_workers_and_their_errors():
    loader = data.DataLoader(Squares(), batch_size=5, num_workers=1, persistent_workers=True)
    first = {pid for b in loader for pid in b[1].tolist()}
    assert first == {pid for b in loader for pid in b[1].tolist()}
    broken = Squares()
    broken.broken = True
    with pytest.raises(ValueError, match=r"(?s)worker process 0.*Traceback.*row 7 is broken"):
        list(data.DataLoader(broken, batch_size=4, num_workers=1))


def test_dataset_classes():
    def program(t, d):
        a, b = d.TensorDataset(t.arange(3)), d.TensorDataset(t.arange(3) * 10)
        both = a + b
        stacked = d.StackDataset(x=a, y=b)
        return (
            [both[i][0].item() for i in (0, 3, -1)],
            len(both),
            stacked[1]["y"][0].item(),
            [x[0].item() for x in d.Subset(both, [5, 0])],
        )

    theirs, ours = on_both(program)
    assert ours == theirs


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 0},
        {"num_workers": -1},
        {"shuffle": True, "sampler": [0]},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_size": None, "drop_last": True},
        {"prefetch_factor": 2},
        {"persistent_workers": True},
        {"timeout": -1},
    ],
    ids=str,
)
def test_argument_errors(arguments):
    messages = []
    for t, d in BOTH:
        with pytest.raises(ValueError) as caught:
            d.DataLoader(d.TensorDataset(t.arange(3)), **arguments)
        messages.append(re.split(r"[.;,]", str(caught.value))[0])
    if "persistent_workers" not in arguments:
        assert messages[0] == messages[1]
