"""What watches over the processes that find rows of the comparison on a GPU.

An error inside a kernel can leave the GPU of its process unusable, and a kernel may never end. So rows
are found in a process of their own; when it dies, or says nothing for too long, the row that it was at
has failed and another process goes on with the next.
"""

import contextlib
import json
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from minigrad.benchmarks.measure import say

PATIENCE = 90.0  # seconds for one row, compiling included


class Supervisor:
    """Starts processes by a command that does what worker.work does, and listens to them.

    `machine` is what they said it is. `until`: rows that begin later are left out.
    """

    def __init__(self, command, until: float, patience: float = PATIENCE):
        self.command, self.until, self.patience = command, until, patience
        self.machine, self.running, self.stopping = {}, set(), False

    @contextlib.contextmanager
    def ending_early(self):
        """Inside, control-C and the signal that ends programs end the measuring, not the report."""

        def stop(*_):
            self.stopping = True
            for process in list(self.running):
                process.kill()

        before = {kind: signal.signal(kind, stop) for kind in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    def find(self, names, processes: int = 1) -> list[dict]:
        """The rows of these names, shared out among several processes, in their order."""
        if processes == 1:
            return self._find(names)
        with ThreadPoolExecutor(processes) as pool:
            shares = pool.map(self._find, [names[k::processes] for k in range(processes)])
            found = {row["name"]: row for share in shares for row in share}
        return [found[name] for name in names]

    def _find(self, names) -> list[dict]:
        """By as many processes as it takes. RuntimeError if the first can't even begin."""
        found, left, why = [], list(names), None
        while left and why is None:
            if self.stopping or time.time() > self.until:
                reason = "interrupted" if self.stopping else "no time was left"
                return found + [{"name": name, "skipped": reason} for name in left]
            count = len(left)
            with contextlib.closing(self._lines(left)) as lines:
                for line in lines:
                    if "machine" in line:
                        self.machine = line["machine"]
                    elif "begins" not in line:
                        say(_summary(line))
                        found.append(line)
                        left.remove(line["name"])
            if len(left) == count and not self.stopping:
                why = "the process that measures ended before its first row"
                if not found:
                    raise RuntimeError(why)
        return found + [{"name": name, "failed": f"{name}: {why}"} for name in left]

    def _lines(self, names):
        """What a process tells; a row that it began and did not end is told as failed."""
        process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.running.add(process)
        current, late = None, threading.Event()

        def stop():
            late.set()
            process.kill()

        try:
            process.stdin.write(json.dumps({"rows": names, "until": self.until}))
            process.stdin.close()
            while True:
                timer = threading.Timer(self.patience, stop)
                timer.start()
                line = process.stdout.readline()
                timer.cancel()
                if not line:
                    break
                line = json.loads(line)
                current = line.get("begins")
                yield line
            status = process.wait()
        finally:
            timer.cancel()
            process.kill()  # where it is over already nothing happens
            process.wait()
            process.stdout.close()
            self.running.discard(process)
        if current is not None:
            why = (
                f"no end after {self.patience:.0f} s" if late.is_set() else f"exit status {status}"
            )
            yield {"name": current, "failed": f"{current}: its process ended: {why}"}


def _summary(line) -> str:
    if "failed" in line:
        return f"FAILED {line['failed']}"
    return f"{line['name']}: {line.get('skipped') or line.get('memory') or line['seconds']}"
