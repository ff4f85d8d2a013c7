"""The worker processes of a DataLoader as the main process sees them: tasks out, answers in."""

import pickle
import time
import warnings
from collections.abc import Iterable

from .worker import Job, work


class Pool:
    """Worker processes, each with a queue of tasks and a pipe for its answers.

    A pipe each, not one for all: a worker that is killed while it writes then harms no other.
    """

    def __init__(self, job: Job, context=None):
        import multiprocessing  # slow to import, and most loaders have no workers

        context = context or multiprocessing.get_context()
        self.processes, self.tasks, self.pipes = [], [], []
        self.epoch = 0
        self.stop = context.Event()
        for number in range(job.count):
            tasks = context.Queue()
            tasks.cancel_join_thread()  # at the end of the program nobody waits for tasks
            answers, pipe = context.Pipe(duplex=False)
            process = context.Process(
                target=work, args=(job, number, tasks, pipe, self.stop), daemon=True
            )
            with warnings.catch_warnings():
                # children run the data set's own code only, never a parallel kernel
                warnings.filterwarnings("ignore", "This process .* is multi-threaded")
                process.start()
            pipe.close()  # the worker's end: closed here, its death closes the pipe
            self.processes.append(process)
            self.tasks.append(tasks)
            self.pipes.append(answers)

    def send(self, worker: int, indices) -> None:
        """Ask a worker for the batch of these indices."""
        self.tasks[worker].put((self.epoch, indices))

    def receive(self, workers: Iterable[int], timeout: float = 0) -> tuple[int, str, object]:
        """(worker, kind, value): the first answer of this epoch from one of these workers.

        Raises RuntimeError after `timeout` seconds (0: never), and when a worker has died.
        """
        from multiprocessing.connection import wait

        workers = list(workers)
        things = {self.pipes[i]: i for i in workers}
        ends = {self.processes[i].sentinel: i for i in workers}
        deadline = time.monotonic() + timeout if timeout else None
        while True:
            left = max(0, deadline - time.monotonic()) if timeout else None
            ready = wait([*things, *ends], left)
            if not ready:
                raise RuntimeError(f"DataLoader timed out after {timeout} seconds")
            for pipe in ready:
                if pipe in things:
                    worker = things[pipe]
                    epoch, kind, value = self._read(worker)
                    if epoch == self.epoch:
                        return worker, kind, value
                    break  # left over from a pass that was given up
            else:
                self._died(ends[ready[0]])

    def _read(self, worker):
        try:
            message = self.pipes[worker].recv_bytes()
        except (EOFError, OSError):
            self._died(worker)
        return pickle.loads(message)

    def _died(self, worker):
        process = self.processes[worker]
        process.join(1)  # its exit code arrives after the end of its pipe
        code = process.exitcode
        how = "" if code is None else f" by signal {-code}" if code < 0 else f" with code {code}"
        raise RuntimeError(
            f"DataLoader worker (pid(s) {process.pid}) exited unexpectedly{how}. Run with "
            "num_workers=0 to see what it was doing"
        )

    def close(self) -> None:
        """End the workers: a batch being made is finished, within five seconds."""
        self.stop.set()
        for tasks in self.tasks:
            tasks.put(None)
            tasks.close()
        deadline = time.monotonic() + 5
        for process in self.processes:
            process.join(max(0, deadline - time.monotonic()))
        for process, pipe in zip(self.processes, self.pipes, strict=True):
            if process.is_alive():
                process.terminate()
                process.join()
            pipe.close()
        self.processes, self.tasks, self.pipes = [], [], []
