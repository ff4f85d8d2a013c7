"""utils.data against torch: orders under a seed, collating, workers, errors."""

import collections
import gc
import os
import random
import re
import signal
import subprocess
import sys
import time

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


def test_a_sampler_that_draws_at_once_and_draws_in_between():
    def program(t, d):
        class Eager(d.Sampler):
            def __iter__(self):
                return iter(t.randperm(6).split(2))

            def __len__(self):
                return 3

        t.manual_seed(2)
        dataset = d.TensorDataset(t.arange(6))
        out = [b[0].tolist() for b in d.DataLoader(dataset, batch_sampler=Eager())]
        iterator = iter(d.DataLoader(dataset, 2, shuffle=True))
        out += [t.rand(1).item(), next(iterator)[0].tolist(), len(iterator)]
        return out + [b[0].item() for b in d.DataLoader(dataset, batch_size=None, shuffle=True)]

    theirs, ours = on_both(program)
    assert ours == theirs


def test_weights_keep_their_precision():
    def program(t, d):
        sampler = d.WeightedRandomSampler([0.1, 0.3, 1e-9], 2, replacement=False)
        t.manual_seed(3)
        return sampler.weights.tolist(), [list(sampler) for _ in range(20)]

    theirs, ours = on_both(program)
    assert ours == theirs


class Point(collections.namedtuple("Point", "x y")):
    pass


def test_containers_keep_their_type():
    def program(t, d):
        ordered = [collections.OrderedDict(a=i, b=[i, str(i)]) for i in range(2)]
        points = [Point(i, numpy.float32(i)) for i in range(2)]
        arrays = {"a": numpy.ones(2, numpy.int16), "b": (numpy.float64(3), "s"), "c": Point(1, 2)}
        scalars = [[True, numpy.bool_(True), b"x"], [False, numpy.bool_(False), b"y"]]
        every = [
            d.default_collate(ordered),
            d.default_collate(points),
            d.default_collate(scalars),
            d.default_convert(arrays),
            d.default_convert(arrays["a"]),
        ]
        return [re.sub(r"torch\.|minigrad\.|, device='cuda:0'", "", str(x)) for x in every], list(
            map(type, every[:2])
        )

    theirs, ours = on_both(program)
    assert ours == theirs


def test_items_by_the_batch():
    asked = []

    class Many(data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, i):
            return -1

        def __getitems__(self, indices):
            asked.append(list(indices))
            return [10 * i for i in indices]

    part = data.Subset(Many(), [5, 3, 1])
    assert [b.tolist() for b in data.DataLoader(part, 2)] == [[50, 30], [10]]
    assert asked == [[5, 3], [1]]
    stacked = data.StackDataset(a=part, b=range(3))
    assert next(iter(data.DataLoader(stacked, 2)))["a"].tolist() == [50, 30]
    tensors = data.TensorDataset(mg.arange(5))
    assert data.Subset(tensors, [4, 2, 0])[[0, 2]][0].tolist() == [4, 0]

    class Half(data.Subset):
        def __getitem__(self, i):
            return super().__getitem__(i) / 2

    with pytest.raises(
        NotImplementedError, match="Half overrides __getitem__ but not __getitems__"
    ):
        Half(tensors, [1])


def test_data_set_errors():
    def program(t, d):
        a, stream = d.TensorDataset(t.arange(3)), TheirStream if t is torch else Stream
        attempts = [
            lambda: d.TensorDataset(t.ones(2), t.ones(3)),
            lambda: d.ConcatDataset([]),
            lambda: d.ConcatDataset([stream()]),
            lambda: (a + a)[-7],
            lambda: list(d.ChainDataset([a])),
            lambda: d.StackDataset(),
            lambda: d.StackDataset(a, [1]),
            lambda: d.random_split(a, [1, 1]),
            lambda: d.random_split(a, [1.5, -0.5]),
            lambda: d.RandomSampler([]),
            lambda: d.RandomSampler([1], replacement=1),
            lambda: d.RandomSampler([1], num_samples=0),
            lambda: d.WeightedRandomSampler([1.0], 0),
            lambda: d.WeightedRandomSampler([[1.0]], 1),
            lambda: d.BatchSampler([1], 2, 3),
            lambda: d.BatchSampler([1], True, False),
            lambda: d.DataLoader([], shuffle=True),
            lambda: d.DataLoader(a, multiprocessing_context="fork"),
            lambda: d.DataLoader(a, num_workers=1, multiprocessing_context="x"),
            lambda: d.DataLoader(a, num_workers=1, multiprocessing_context=3),
            lambda: d.DataLoader(stream(), shuffle=True),
            lambda: setattr(d.DataLoader(a), "batch_size", 3),
            lambda: len(d.DataLoader(stream())),
        ]
        errors = []
        for attempt in attempts:
            with pytest.raises(Exception) as caught:
                attempt()
            message = "" if caught.type is TypeError else str(caught.value)
            errors.append((caught.type, message[:25].rstrip(".:")))
        return errors

    theirs, ours = on_both(program)
    assert ours == theirs


class TheirStream(torch_data.IterableDataset):
    def __init__(self, lengths=(9,)):
        self.lengths = lengths

    def __iter__(self):
        return iter(uneven(torch_data.get_worker_info(), self.lengths))


class Uneven(data.IterableDataset):
    def __init__(self, lengths):
        self.lengths = lengths

    def __iter__(self):
        return iter(uneven(data.get_worker_info(), self.lengths))


def uneven(info, lengths):
    number = 0 if info is None else info.id
    return [100 * number + i for i in range(lengths[number])]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("lengths", [(5,), (7, 1), (2, 6, 3)], ids=str)
def test_streams_in_turn(lengths, drop_last):
    options = {"batch_size": 2, "num_workers": len(lengths), "drop_last": drop_last}
    loader = data.DataLoader(Uneven(lengths), persistent_workers=True, **options)
    expected = [b.tolist() for b in torch_data.DataLoader(TheirStream(lengths), **options)]
    for _ in range(2):
        assert [b.tolist() for b in loader] == expected
    assert list(data.DataLoader(Uneven((3,)), batch_size=None)) == [0, 1, 2]


class Draws(data.Dataset):
    """What a worker's generators give."""

    def __len__(self):
        return 4

    def __getitem__(self, i):
        info = data.get_worker_info()
        drawn = [random.random(), numpy.random.rand(), mg.rand(()).item()]
        return numpy.array([info.id, info.seed, mg.initial_seed() - info.seed, *drawn])


class TheirDraws(Draws, torch_data.Dataset):
    def __getitem__(self, i):
        info = torch_data.get_worker_info()
        drawn = [random.random(), numpy.random.rand(), torch.rand(()).item()]
        return numpy.array([info.id, info.seed, torch.initial_seed() - info.seed, *drawn])


def test_workers_are_seeded_as_torch_seeds_them():
    def program(t, d):
        t.manual_seed(4)
        loader = d.DataLoader((TheirDraws if t is torch else Draws)(), num_workers=2)
        return [b.tolist() for _ in range(2) for b in loader]

    theirs, ours = on_both(program)
    assert ours == theirs


class Behave(data.Dataset):
    """Item 3 does something out of the ordinary."""

    def __init__(self, how=None):
        self.how = how

    def __len__(self):
        return 6

    def __getitem__(self, i):
        if i == 3 and self.how:
            return self.how()
        return i


class Two(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


def raise_two():
    raise Two(1, 2)


def raise_key():
    return {}["missing"]


def die():
    os.kill(os.getpid(), 9)


def leave():
    os._exit(3)


def sleep():
    time.sleep(20)


def unpicklable():
    return lambda: None


def as_list(batch):
    return batch


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (raise_two, RuntimeError, r"(?s)Caught Two in DataLoader worker process 1.*Two: \(1, 2\)"),
        (raise_key, KeyError, r"(?s)Caught KeyError in.*\n.*\nKeyError: 'missing'"),
        (die, RuntimeError, r"worker \(pid\(s\) \d+\) exited unexpectedly by signal 9"),
        (leave, RuntimeError, r"exited unexpectedly with code 3"),
        (unpicklable, RuntimeError, r"(?s)worker process 1.*batch can't be sent"),
        (sleep, RuntimeError, "timed out after 0.5 seconds"),
    ],
)
def test_what_goes_wrong_in_a_worker(how, error, message):
    loader = data.DataLoader(
        Behave(how), 1, num_workers=2, collate_fn=as_list, timeout=0.5 if how is sleep else 60
    )
    iterator, got = iter(loader), []
    workers = iterator.pool.processes
    with pytest.raises(error, match=message):
        while True:
            got.append(next(iterator))
    if how in (die, leave):  # what the worker had not yet sent is lost with it
        assert got == [[0], [1], [2]][: len(got)]
    else:
        assert got == [[0], [1], [2]]
    if how is raise_two:
        assert next(iterator) == [4]
    if how is sleep:
        workers[1].terminate()  # not to wait for it
    del iterator
    gc.collect()  # the error's traceback held it
    assert not any(process.is_alive() for process in workers)


def test_a_pass_given_up_ends_its_workers_and_can_be_begun_again():
    big = data.TensorDataset(mg.arange(40).reshape(8, 5).repeat(1, 40_000))
    loader = data.DataLoader(big, 1, num_workers=2)
    iterator = iter(loader)
    workers = iterator.pool.processes
    next(iterator)
    start = time.monotonic()
    del iterator
    assert not any(process.is_alive() for process in workers)
    assert time.monotonic() - start < 3
    again = data.DataLoader(big, 2, num_workers=2, persistent_workers=True)
    for _ in again:
        break
    assert [b[0][0, 0].item() for b in again] == [0, 10, 20, 30]
    first, second = iter(again), iter(again)
    assert first is second and len(list(second)) == 4


def late(i):
    time.sleep(0.5 if i == 0 else 0)
    return i


class Late(Behave):
    def __getitem__(self, i):
        return late(i)


def test_out_of_order_on_demand():
    loader = data.DataLoader(Late(), num_workers=2, in_order=False)
    order = [b.item() for b in loader]
    assert sorted(order) == list(range(6)) and order[0] == 1


def test_prefetching():
    asked = []

    class Indices(data.Sampler):
        def __iter__(self):
            for i in range(6):
                asked.append(i)
                yield i

    loader = data.DataLoader(Behave(), sampler=Indices(), num_workers=1, prefetch_factor=3)
    iterator = iter(loader)
    assert asked == [0, 1, 2]
    assert next(iterator).item() == 0 and asked == [0, 1, 2, 3]


class Table(data.Dataset):
    """A tensor in the data set, a worker's number in every item."""

    def __init__(self):
        self.rows = mg.arange(6.0)

    def __len__(self):
        return 6

    def __getitem__(self, i):
        return self.rows[i] + 100 * self.offset


def init(number):
    data.get_worker_info().dataset.offset = number + 1


def fail(number):
    raise ValueError(f"no room for {number}")


@pytest.mark.cpu_only(reason="a worker process has no GPU, so its data set must be in main memory")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_start_methods_and_initialisers(method):
    options = {"num_workers": 2, "multiprocessing_context": method}
    loader = data.DataLoader(Table(), 2, worker_init_fn=init, **options)
    assert [b.tolist() for b in loader] == [[100, 101], [202, 203], [104, 105]]
    with pytest.raises(ValueError, match="(?s)worker process 0.*no room for 0"):
        list(data.DataLoader(Table(), worker_init_fn=fail, **options))


ORPHANS = """
import os, signal, sys, time
import minigrad.utils.data as data

class Slow(data.Dataset):
    def __len__(self):
        return 100
    def __getitem__(self, i):
        time.sleep(0.1)
        return i

iterator = iter(data.DataLoader(Slow(), num_workers=2))
next(iterator)
print(*[p.pid for p in iterator.pool.processes], flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
elif sys.argv[1] == "interrupted":
    os.killpg(0, signal.SIGINT)
    time.sleep(5)
"""


def running(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="reads /proc")
@pytest.mark.parametrize("end", ["finished", "killed", "interrupted"])
def test_no_worker_outlives_the_program(end):
    program = subprocess.Popen(
        [sys.executable, "-c", ORPHANS, end],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # programs that a script started in the background are told to ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    pids = program.stdout.readline().split()
    program.wait(20)
    deadline = time.monotonic() + 10
    while any(map(running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pids) == 2 and not any(map(running, pids))
    errors = program.stderr.read()
    assert errors.count("Traceback") == (end == "interrupted"), errors
