"""DataLoader: batches of a data set, in order or shuffled, made here or in worker processes."""

import itertools
import weakref
from collections import deque
from collections.abc import Callable, Iterable

from ...generator import Generator
from .collate import default_collate, default_convert
from .dataset import Dataset, IterableDataset
from .pool import Pool
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, draw_seed
from .worker import END, FAILURE, Fetcher, Job

# what iterators in use rely on
_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class _Forever(Sampler):
    """None without end: a stream decides for itself when it is over."""

    def __iter__(self):
        return itertools.repeat(None)


class DataLoader:
    """Iterates over a data set in batches; every `for` is one pass, shuffled afresh if asked for.

    The order under `manual_seed` is torch's. num_workers > 0 makes the batches in that many
    processes, prefetch_factor batches ahead each, and gives them in the same order as without
    (in_order=False: as they get ready). timeout: seconds to wait for a worker, 0 for ever.
    multiprocessing_context: "fork", "spawn" or "forkserver"; None is Python's default.
    pin_memory is accepted and has no effect.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler | Iterable | None = None,
        batch_sampler: Sampler | Iterable | None = None,
        num_workers: int = 0,
        collate_fn: Callable | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context=None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ):
        if num_workers < 0:
            raise ValueError(
                "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing."
            )
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 "
                "to enable multiprocessing, otherwise set prefetch_factor to None."
            )
        if prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError("prefetch_factor option should be non-negative")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        context = _context(multiprocessing_context, num_workers)
        self.dataset = dataset
        self._iterable = isinstance(dataset, IterableDataset)
        if self._iterable:
            for name, given in (
                ("shuffle", shuffle),
                ("sampler", sampler),
                ("batch_sampler", batch_sampler),
            ):
                if given not in (None, False):
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                        f"{name}={given}"
                    )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and "
                    "drop_last"
                )
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
            )
        if sampler is None:
            if self._iterable:
                sampler = _Forever()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.persistent_workers = persistent_workers
        self.multiprocessing_context = context
        self.in_order = in_order
        self._auto = batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if self._auto else default_convert)
        self._iterator = None  # kept from pass to pass when workers are persistent

    def __setattr__(self, name, value):
        if name in _FIXED and "_iterator" in self.__dict__:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(name, value)

    @property
    def _index_sampler(self):
        return self.batch_sampler if self._auto else self.sampler

    def __len__(self) -> int:
        if not self._iterable:
            return len(self._index_sampler)
        count = len(self.dataset)
        if self.batch_size is None:
            return count
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self):
        if self.num_workers == 0:
            return _HereIterator(self)
        if self._iterator is not None:
            self._iterator.start(self)
            return self._iterator
        iterator = _WorkersIterator(self)
        if self.persistent_workers:
            self._iterator = iterator
        return iterator


def _context(given, num_workers):
    """The multiprocessing context that a user named or gave, or None."""
    if given is None:
        return None
    if num_workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > 0), "
            "but got num_workers=0"
        )
    import multiprocessing  # slow to import, and most loaders have no workers

    if isinstance(given, str):
        methods = multiprocessing.get_all_start_methods()
        if given not in methods:
            raise ValueError(
                "multiprocessing_context option should specify a valid start method in "
                f"{methods!r}, but got multiprocessing_context={given!r}"
            )
        return multiprocessing.get_context(given)
    if not isinstance(given, multiprocessing.context.BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string "
            f"specifying the start method, but got multiprocessing_context={given}"
        )
    return given


class _Iterator:
    """One pass over a loader's data."""

    def __init__(self, loader):
        self.sampler = loader._index_sampler
        self.indices = iter(self.sampler)
        # torch draws this seed for every pass, with workers or without, before the first index
        self.seed = draw_seed(loader.generator)

    def __iter__(self):
        return self

    def __len__(self) -> int:
        return len(self.sampler)


class _HereIterator(_Iterator):
    """A pass whose batches are made in this process."""

    def __init__(self, loader):
        super().__init__(loader)
        self.fetch = Fetcher(
            loader.dataset, loader._iterable, loader.collate_fn, loader.drop_last, loader._auto
        )

    def __next__(self):
        kind, batch = self.fetch(next(self.indices))
        if kind == END:
            raise StopIteration
        return batch


class _WorkersIterator(_Iterator):
    """A pass whose batches are made by worker processes, each a few tasks ahead."""

    def __init__(self, loader):
        super().__init__(loader)
        self.count = loader.num_workers
        self.ahead = max(1, loader.prefetch_factor) * self.count  # tasks under way in all
        self.in_order = loader.in_order
        self.timeout = loader.timeout
        self.persistent = loader.persistent_workers
        job = Job(
            loader.dataset,
            loader._iterable,
            loader.collate_fn,
            loader.drop_last,
            loader._auto,
            loader.worker_init_fn,
            self.count,
            self.seed,
        )
        self.pool = Pool(job, loader.multiprocessing_context)
        # called once: at the end of the pass, or when nobody holds the iterator any more
        self.close = weakref.finalize(self, self.pool.close)
        self.close.atexit = False  # multiprocessing ends daemons then
        self._begin()

    def start(self, loader) -> None:
        """Another pass with the same workers."""
        self.indices = iter(loader._index_sampler)
        self._begin()

    def _begin(self):
        self.pool.epoch += 1
        self.turns = itertools.cycle(range(self.count))
        self.live = [True] * self.count  # a worker whose stream has ended gets no more tasks
        self.pending = deque()  # which worker has which task, in the order of the tasks
        for _ in range(self.ahead):
            self._send()

    def _send(self):
        """The next task to the next worker that can take one."""
        indices = next(self.indices, _NONE)
        if indices is _NONE:
            return
        for worker in itertools.islice(self.turns, self.count):
            if self.live[worker] and (self.in_order or self._has_room(worker)):
                self.pool.send(worker, indices)
                self.pending.append(worker)
                return

    def _has_room(self, worker):
        return self.pending.count(worker) < self.ahead // sum(self.live)

    def __next__(self):
        while self.pending:
            expected = [self.pending[0]] if self.in_order else set(self.pending)
            worker, kind, value = self.pool.receive(expected, self.timeout)
            self.pending.remove(worker)
            if kind == END:
                self.live[worker] = False
                self.pending = deque(other for other in self.pending if other != worker)
            self._send()
            if kind == FAILURE:
                value.reraise(worker)
            if kind != END:
                return value
        if not self.persistent:
            self.close()
        raise StopIteration


_NONE = object()  # the end of the indices: None itself is what a stream's sampler gives
