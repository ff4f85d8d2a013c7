"""Threads: one pool that kernels and matrix products share, so that no two pools fight for the cores.

    share(loop, count, *arguments, grain=...)

runs a compiled loop(begin, end, *arguments) over ranges that together cover range(count), one range a
thread. A loop writes what it computes for its own range only, so that results do not depend on the
number of threads.

Waiting threads spin for a short while, outside the GIL, before they go to sleep: a sleeping thread
takes some 50 us to wake, a spinning one begins within one, and a training step has hundreds of
parallel stretches close together. Who finds the pool in use by another thread, or runs in a forked
child, loses nothing but speed.
"""

import os
import threading
import time

import numpy

SPINS = 200_000  # looks at a flag, about 1 ns each, before going to sleep


def _available():
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        if os.environ.get(name, "").isdigit() and int(os.environ[name]) > 0:
            return int(os.environ[name])
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(n: int) -> None:
    """How many threads kernels and products may use from now on."""
    global _threads, _pool
    _threads = n
    if _pool is not None and len(_pool.workers) != n - 1:
        _pool.stop()
        _pool = None


def get_threads() -> int:
    """How many threads kernels and products may use."""
    return _threads


_threads = _available()
_pool = None
_busy = threading.Lock()


def _forget():
    """In a forked child the workers don't exist, and the lock may be held by a thread that doesn't."""
    global _pool, _busy
    _pool = None
    _busy = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def share(loop, count, *arguments, grain=1):
    """loop(begin, end, *arguments) over ranges of at least `grain` that cover range(count)."""
    pieces = min(4 * _threads, count // grain)
    if _threads < 2 or pieces < 2 or not _busy.acquire(blocking=False):
        loop.launch(_NONE, _NONE, 1, count, 0, arguments)
        return
    try:
        _running_pool().run(loop, count, pieces, arguments)
    finally:
        _busy.release()


def _running_pool():
    global _pool
    if _pool is None:
        _pool = Pool(_threads - 1)
    return _pool


_NONE = numpy.zeros(1, numpy.int64)


class Pool:
    """Threads that wait for jobs."""

    def __init__(self, count):
        from . import launch

        self.wait = launch.wait
        self.job = numpy.zeros(launch.JOB, numpy.int64)
        self.place = numpy.zeros(launch.ROOM, numpy.int64)
        self.wait(self.job, 0, 1)  # compiled here, so that no two threads do that at once
        launch.serve(self.job, 0)
        self.workers = [Worker(self.job, launch) for _ in range(count)]

    def run(self, loop, count, pieces, arguments):
        """Do the job together; returns when all of it is done."""
        for worker in self.workers:
            if worker.asleep:
                worker.wake()
        if not loop.launch(self.job, self.place, pieces, count, SPINS, arguments):
            pieces = self.job[0] >> 16 & 0xFFFF  # of the ticket: see launch.py
            while not self.wait(self.job, pieces, SPINS):
                time.sleep(0)

    def stop(self):
        """Let the threads end."""
        for worker in self.workers:
            worker.ended = True
            worker.wake()


class Worker:
    """One thread: serving, and asleep when there was nothing to do for a while."""

    def __init__(self, job, launch):
        self.job, self.serve = job, launch.serve
        self.asleep = self.ended = False
        self.bed = threading.Semaphore(0)
        threading.Thread(target=self.loop, daemon=True, name="minigrad").start()

    def loop(self):
        while not self.ended:
            self.serve(self.job, SPINS)
            self.asleep = True
            if self.awaited():
                self.asleep = False
                continue
            self.bed.acquire()  # to miss a job does no harm: who posts it does it alone then

    def awaited(self):
        """True if a job was posted while this thread waited for the GIL to go to sleep: it would miss it.

        Who posts jobs holds the GIL until then, so that happens often where jobs are a while apart.
        """
        ticket = int(self.job[0])
        return (ticket & 0xFFFF) < (ticket >> 16 & 0xFFFF)

    def wake(self):
        self.asleep = False
        self.bed.release()
