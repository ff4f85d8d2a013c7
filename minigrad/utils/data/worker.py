"""What a worker process of a DataLoader does: fetch examples, collate them, send the batch back."""

import pickle
import random
import traceback
from typing import NamedTuple

import numpy

from ...generator import default_generator

_info = None


class WorkerInfo(NamedTuple):
    """Which worker this process is: its number, how many there are, its seed, its data set."""

    id: int
    num_workers: int
    seed: int
    dataset: object


def get_worker_info() -> WorkerInfo | None:
    """In a worker process, its WorkerInfo; elsewhere None."""
    return _info


class Failure(NamedTuple):
    """An exception on its way from a worker to the loader."""

    error: BaseException
    text: str

    def reraise(self, worker: int):
        """Raise the exception again, with the worker's traceback in its message."""
        message = f"Caught {type(self.error).__name__} in DataLoader worker process {worker}.\n{self.text}"
        try:
            error = type(self.error)(message)
        except TypeError:
            error = RuntimeError(message)
        raise error


END = "end of the stream"


def fetch(dataset, stream, indices, collate, drop_last, auto):
    """One batch: of the examples at indices, or of as many as a stream gives."""
    if stream is None:
        if not auto:
            return collate(dataset[indices])
        if hasattr(dataset, "__getitems__"):
            return collate(dataset.__getitems__(indices))
        return collate([dataset[i] for i in indices])
    if not auto:
        return collate(next(stream))
    examples = []
    for _ in indices:
        try:
            examples.append(next(stream))
        except StopIteration:
            break
    if not examples or (drop_last and len(examples) < len(indices)):
        raise StopIteration
    return collate(examples)


def work(dataset, iterable, collate, drop_last, auto, init, number, count, seed, tasks, results):
    """The loop of a worker: a task is (epoch, batch number, indices); None ends it."""
    global _info
    _info = WorkerInfo(number, count, seed + number, dataset)
    random.seed(seed + number)
    numpy.random.seed((seed + number) % 2**32)
    default_generator.manual_seed((seed + number) % 2**63)
    stream, stream_epoch = None, None
    try:
        failure = None
        if init is not None:
            init(number)
    except Exception as error:
        failure = Failure(error, traceback.format_exc())
    while (task := tasks.get()) is not None:
        epoch, batch, indices = task
        try:
            if failure is not None:
                raise failure.error
            if iterable and stream_epoch != epoch:
                stream, stream_epoch = iter(dataset), epoch
            answer = fetch(dataset, stream, indices, collate, drop_last, auto)
        except StopIteration:
            answer = END
        except Exception as error:
            answer = Failure(_sendable(error), traceback.format_exc())
        results.put((epoch, batch, number, answer))


def _sendable(error):
    """The exception, or a RuntimeError in its place if it can't be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(str(error))
    return error
