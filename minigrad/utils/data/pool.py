"""The worker processes of a DataLoader as the main process sees them: tasks out, answers in."""

import pickle
import time
import warnings
from collections.abc import Iterable

from .worker import Job, work


class Pool:
    """Worker processes, each with a pipe for its tasks and one for its answers.

    Nothing is shared between workers, so one that is killed halfway through a write harms no other;
    and the pool has no threads of its own, so forking stays safe.
    """

    def __init__(self, job: Job, context=None):
        import multiprocessing  # slow to import, and most loaders have no workers

        context = context or multiprocessing.get_context()
        self.processes, self.tasks, self.answers = [], [], []
        self.epoch = 0
        # one byte in this pipe, which nobody takes out, tells all workers to end
        stopped, self.stop = context.Pipe(duplex=False)
        for number in range(job.count):
            to_do, tasks = context.Pipe(duplex=False)
            answers, done = context.Pipe(duplex=False)
            process = context.Process(
                target=work, args=(job, number, to_do, done, stopped), daemon=True
            )
            with warnings.catch_warnings():
                # children run the data set's own code only, never a parallel kernel
                warnings.filterwarnings("ignore", "This process .* is multi-threaded")
                process.start()
            to_do.close()  # the worker's ends: closed here, its death closes the pipes
            done.close()
            self.processes.append(process)
            self.tasks.append(tasks)
            self.answers.append(answers)
        stopped.close()

    def send(self, worker: int, indices) -> None:
        """Ask a worker for the batch of these indices."""
        try:
            self.tasks[worker].send((self.epoch, indices))
        except OSError:
            self._died(worker)

    def receive(self, workers: Iterable[int], timeout: float = 0) -> tuple[int, str, object]:
        """(worker, kind, value): the first answer of this epoch from one of these workers.

        Raises RuntimeError after `timeout` seconds (0: never), and when a worker has died.
        """
        from multiprocessing.connection import wait

        workers = list(workers)
        answers = {self.answers[i]: i for i in workers}
        ends = {self.processes[i].sentinel: i for i in workers}
        deadline = time.monotonic() + timeout if timeout else None
        while True:
            left = max(0, deadline - time.monotonic()) if timeout else None
            ready = wait([*answers, *ends], left)
            if not ready:
                raise RuntimeError(f"DataLoader timed out after {timeout} seconds")
            for pipe in ready:
                if pipe in answers:
                    worker = answers[pipe]
                    epoch, kind, value = self._read(worker)
                    if epoch == self.epoch:
                        return worker, kind, value
                    break  # left over from a pass that was given up
            else:
                self._died(ends[ready[0]])

    def _read(self, worker):
        try:
            message = self.answers[worker].recv_bytes()
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
        self.stop.send_bytes(b"!")
        deadline = time.monotonic() + 5
        for process in self.processes:
            process.join(max(0, deadline - time.monotonic()))
        for process in self.processes:
            if process.is_alive():
                process.terminate()
                process.join()
        for pipe in (self.stop, *self.tasks, *self.answers):
            pipe.close()
