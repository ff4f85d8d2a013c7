"""DataLoader: batches of a data set, in order or shuffled, made here or in worker processes."""

import itertools
import queue
import time
import warnings
from collections.abc import Callable, Iterable

from ...generator import Generator
from .collate import default_collate, default_convert
from .dataset import Dataset, IterableDataset
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, draw_seed
from .worker import END, Failure, fetch, work


class _Forever(Sampler):
    """None without end: a stream decides for itself when it is over."""

    def __iter__(self):
        return itertools.repeat(None)


class DataLoader:
    """Iterates over a data set in batches; every `for` is one pass, shuffled afresh if asked for.

    The order under `manual_seed` is torch's. num_workers > 0 makes the batches in that many
    processes, prefetch_factor batches ahead each; their order is the same as without. pin_memory is
    accepted and has no effect.
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
        self.multiprocessing_context = multiprocessing_context
        self._auto = batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if self._auto else default_convert)
        self._pool = None

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
        # torch draws this seed for every pass, with workers or without, before the first index
        if self.generator is None:
            seed = draw_seed()
        else:
            seed = int(self.generator.long_words(1)[0]) & (2**63 - 1)
        if self.num_workers == 0:
            return self._here()
        return self._in_workers(seed)

    def _here(self):
        stream = iter(self.dataset) if self._iterable else None
        for indices in self._index_sampler:
            try:
                batch = fetch(
                    self.dataset, stream, indices, self.collate_fn, self.drop_last, self._auto
                )
            except StopIteration:
                return
            yield batch

    def _in_workers(self, seed):
        pool = self._pool
        if pool is None:
            pool = _Pool(self, seed)
            if self.persistent_workers:
                self._pool = pool
        try:
            yield from pool.run(iter(self._index_sampler))
        finally:
            if not self.persistent_workers:
                pool.close()


class _Pool:
    """The worker processes of a loader; tasks go round them in turn, results come back in order."""

    def __init__(self, loader, seed):
        import multiprocessing  # slow to import, and most loaders have no workers

        context = loader.multiprocessing_context
        if context is None or isinstance(context, str):
            context = multiprocessing.get_context(context)
        self.loader = loader
        self.epoch = 0
        self.results = context.Queue()
        self.tasks = [context.Queue() for _ in range(loader.num_workers)]
        self.processes = []
        for number, tasks in enumerate(self.tasks):
            process = context.Process(
                target=work,
                args=(
                    loader.dataset, loader._iterable, loader.collate_fn, loader.drop_last, loader._auto,
                    loader.worker_init_fn, number, loader.num_workers, seed, tasks, self.results,
                ),
                daemon=True,
            )  # fmt: skip
            with warnings.catch_warnings():
                # the children run the data set's own code only, never a parallel kernel
                warnings.filterwarnings("ignore", "This process .* is multi-threaded")
                process.start()
            self.processes.append(process)

    def run(self, indices):
        """One pass: keep every worker prefetch_factor tasks ahead, and yield batches in order."""
        self.epoch += 1
        live = list(range(len(self.tasks)))
        turn = itertools.count()
        owner, arrived = {}, {}
        sent = 0

        def send():
            nonlocal sent
            if not live:
                return
            try:
                task = next(indices)
            except StopIteration:
                return
            owner[sent] = live[next(turn) % len(live)]
            self.tasks[owner[sent]].put((self.epoch, sent, task))
            sent += 1

        for _ in range(max(1, self.loader.prefetch_factor) * len(live)):
            send()
        wanted = 0
        while wanted < sent:
            while wanted not in arrived:
                epoch, batch, _, answer = self._receive(owner[wanted])
                if epoch == self.epoch:
                    arrived[batch] = answer
            answer = arrived.pop(wanted)
            worker = owner.pop(wanted)
            wanted += 1
            if isinstance(answer, Failure):
                answer.reraise(worker)
            if isinstance(answer, str) and answer == END:
                if worker in live:
                    live.remove(worker)
                send()
                continue
            send()
            yield answer

    def _receive(self, worker):
        """The next result, with an eye on workers that have died and on the timeout."""
        limit = self.loader.timeout
        deadline = time.monotonic() + limit if limit else None
        while True:
            try:
                return self.results.get(timeout=min(1.0, limit) if limit else 1.0)
            except queue.Empty:
                dead = [p.pid for p in self.processes if not p.is_alive()]
                if dead:
                    raise RuntimeError(
                        f"DataLoader worker (pid(s) {', '.join(map(str, dead))}) exited unexpectedly"
                    ) from None
                if deadline is not None and time.monotonic() > deadline:
                    raise RuntimeError(
                        f"DataLoader timed out after {limit} seconds, waiting for worker {worker}"
                    ) from None

    def close(self):
        """Ask the workers to end; they are daemons, so nothing outlives the program."""
        for tasks in self.tasks:
            tasks.put(None)
        for process in self.processes:
            process.join(timeout=2)
            if process.is_alive():
                process.terminate()

    def __del__(self):
        if self.processes and self.processes[0].is_alive():
            self.close()
