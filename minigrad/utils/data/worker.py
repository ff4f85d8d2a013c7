"""What a worker process of a DataLoader does: fetch examples, collate them, send the batch back."""

import pickle
import queue
import random
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import numpy

from ...backend import set_default_device
from ...generator import default_generator

BATCH, END, FAILURE = "batch", "end", "failure"  # the kinds of answer to a task

_info = None


@dataclass
class WorkerInfo:
    """Which worker this process is: its number, how many there are, its seed, its data set."""

    id: int
    num_workers: int
    seed: int
    dataset: object


def get_worker_info() -> WorkerInfo | None:
    """In a worker process, its WorkerInfo; elsewhere None."""
    return _info


class Fetcher:
    """Makes batches: of the examples at some indices, or of the next ones of a stream."""

    def __init__(self, dataset, iterable: bool, collate: Callable, drop_last: bool, auto: bool):
        self.dataset = dataset
        self.iterable = iterable
        self.collate = collate
        self.drop_last = drop_last
        self.auto = auto  # whether examples are put together to batches at all
        self.restart()

    def restart(self) -> None:
        """Begin the stream afresh, where the data set is one."""
        self.stream = iter(self.dataset) if self.iterable else None

    def __call__(self, indices) -> tuple[str, object]:
        """(BATCH, the batch), or (END, None) when a stream is over."""
        return self._next(indices) if self.iterable else (BATCH, self._pick(indices))

    def _pick(self, indices):
        if not self.auto:
            return self.collate(self.dataset[indices])
        pick_many = getattr(self.dataset, "__getitems__", None)
        if pick_many is not None:
            return self.collate(pick_many(indices))
        return self.collate([self.dataset[i] for i in indices])

    def _next(self, indices):
        examples = []
        for _ in indices if self.auto else range(1):
            try:
                examples.append(next(self.stream))
            except StopIteration:
                break
        if not examples or (self.auto and self.drop_last and len(examples) < len(indices)):
            return END, None
        return BATCH, self.collate(examples if self.auto else examples[0])


class _ReadableKeyError(str):
    """A message with line breaks, which KeyError would otherwise print as \\n."""

    __repr__ = str.__str__


@dataclass
class Failure:
    """An exception on its way from a worker to the loader."""

    kind: type[Exception]
    text: str  # the worker's traceback

    def reraise(self, worker: int):
        """Raise the exception again, with the worker's traceback in its message."""
        message = (
            f"Caught {self.kind.__name__} in DataLoader worker process {worker}.\n"
            f"Original {self.text}"
        )
        if self.kind is KeyError:
            raise KeyError(_ReadableKeyError(message))
        try:
            error = self.kind(message)
        except Exception:  # it takes other arguments than a message
            error = RuntimeError(message)
        raise error


@dataclass
class Job:
    """What all workers of a loader are told when they start."""

    dataset: object
    iterable: bool
    collate: Callable
    drop_last: bool
    auto: bool
    init: Callable[[int], None] | None
    count: int  # of workers
    seed: int


def seed_all(seed: int, number: int) -> None:
    """Seed Python's, minigrad's and NumPy's generators for this worker, as torch seeds them."""
    random.seed(seed + number)
    default_generator.manual_seed((seed + number) % 2**63)
    # NumPy takes 32 bits at most, so the seed is spread over four words by its own hash
    entropy = [number, seed & 0xFFFFFFFF, seed >> 32, 0]
    numpy.random.seed(numpy.random.SeedSequence(entropy).generate_state(4))


def work(job: Job, number: int, tasks, answers, stop) -> None:
    """The life of a worker: (epoch, indices) come in by one pipe, answers go out by another.

    It ends when there is something in the pipe `stop`, or the process that started it is gone.
    """
    global _info
    set_default_device(None)  # a process has no part in the GPU of the one it was forked from
    seed_all(job.seed, number)
    _info = WorkerInfo(number, job.count, job.seed + number, job.dataset)
    # a thread sends, so that a full pipe doesn't keep the next batch from being made
    outbox = queue.SimpleQueue()
    threading.Thread(target=_send_all, args=(outbox, answers), daemon=True).start()
    try:
        broken, fetch = _prepare(job, number)
        epoch = 1
        while _has_task(tasks, stop):
            previous, (epoch, indices) = epoch, tasks.recv()
            kind, value = broken or _answer(fetch, indices, epoch != previous)
            outbox.put(_packed(epoch, kind, value))
    except KeyboardInterrupt:
        pass  # the main process has got it too, and says so


def _prepare(job, number):
    """(None, the fetcher), or (the answer to every task, None) if that failed."""
    try:
        if job.init is not None:
            job.init(number)
        return None, Fetcher(job.dataset, job.iterable, job.collate, job.drop_last, job.auto)
    except Exception as error:
        return (FAILURE, Failure(type(error), traceback.format_exc())), None


def _has_task(tasks, stop) -> bool:
    """Wait for a task; False if the worker is to end instead."""
    import multiprocessing.connection  # slow to import, and most loaders have no workers

    parent = multiprocessing.parent_process().sentinel
    ready = multiprocessing.connection.wait([tasks, stop, parent])
    return stop not in ready and parent not in ready


def _answer(fetch, indices, new_epoch):
    try:
        if new_epoch:
            fetch.restart()
        return fetch(indices)
    except Exception as error:
        return FAILURE, Failure(type(error), traceback.format_exc())


def _packed(epoch, kind, value) -> bytes:
    """The answer pickled here, where an error can still be reported."""
    if kind == FAILURE:
        value = _sendable(value)
    try:
        return pickle.dumps((epoch, kind, value), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        text = f"{traceback.format_exc()}\nThe batch can't be sent to the main process: {error}"
        return pickle.dumps((epoch, FAILURE, Failure(RuntimeError, text)))


def _sendable(failure):
    """The failure, as a RuntimeError if its class can't be pickled."""
    try:
        pickle.loads(pickle.dumps(failure.kind))
    except Exception:
        return Failure(RuntimeError, failure.text)
    return failure


def _send_all(outbox, answers):
    while True:
        try:
            answers.send_bytes(outbox.get())
        except OSError:  # the loader is gone, and the process ends soon
            return
