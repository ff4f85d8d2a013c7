"""Taking times on a GPU: events around the work alone, the queue filled beforehand, the caches cold.

Before each sample a buffer larger than the L2 cache is written, then the GPU is kept busy until the
host has handed over all of the work: so the time between the events is the GPU's own, unless the work
waits for a result in the middle. What the host needs is measured apart, by calls one after the other.
Both libraries compute on the default stream, so the same events see the work of either.
"""

import gc
import time

from minigrad.benchmarks.measure import quartiles

WAIT = """
extern "C" __global__ void busy(long long cycles) {
    long long begin = clock64();
    while (clock64() - begin < cycles) {}
}
"""
LONGEST = 0.05  # seconds that the GPU is kept busy at most


class Clock:
    """Times programs on CuPy's current device. tiny: as few runs as there can be, for the stand-in."""

    def __init__(self, cupy, cache_bytes: int, tiny: bool = False):
        self.cupy = cupy
        self.warm_up, self.least = (1, 1) if tiny else (3, 5)
        self.buffer = cupy.empty(max(2 * cache_bytes, 1 << 20) // 4, "int32")
        self.busy = cupy.RawKernel(WAIT, "busy")
        self.begin, self.end = cupy.cuda.Event(), cupy.cuda.Event()
        self.cycles = self._cycles_per_second() if not tiny else 0.0

    def _cycles_per_second(self) -> float:
        """How fast the counter of `busy` runs, with the clock that the work will find."""
        cycles = 20_000_000
        for _ in range(2):
            taken = self.between(lambda: self._keep_busy(cycles))
        return cycles / taken

    def _keep_busy(self, cycles: int) -> None:
        self.busy((1,), (1,), (cycles,))

    def wait(self) -> None:
        """Until the device has done everything."""
        self.cupy.cuda.runtime.deviceSynchronize()

    def between(self, run) -> float:
        """Seconds of the GPU between events before and after."""
        self.begin.record()
        run()
        self.end.record()
        self.end.synchronize()
        return self.cupy.cuda.get_elapsed_time(self.begin, self.end) / 1e3

    def sample(self, run, host: float, cold: bool = True) -> float:
        """Seconds of the GPU for one run, whose handing over takes the host `host` seconds."""
        if cold:
            self.buffer.fill(1)
        self._keep_busy(int(self.cycles * min(1.5 * host + 2e-5, LONGEST)))
        return self.between(run)

    def host(self, run, seconds: float = 0.05) -> float:
        """Seconds of a call, many one after the other: what a program sees that does nothing else."""
        self.wait()
        first = time.perf_counter()
        count = 0
        while count < self.warm_up or (count < 200 and time.perf_counter() - first < seconds):
            run()
            count += 1
        self.wait()
        return (time.perf_counter() - first) / count

    def measure(self, programs, seconds: float, cold: bool = True) -> list[dict]:
        """{"ms": quartiles, "call": ms, "samples": n} of each program; they take turns.

        seconds: about how long all of it may take, after the warm-up.
        """
        handed = []
        for run in programs:
            for _ in range(self.warm_up):
                run()
                self.wait()
            begin = time.perf_counter()
            run()
            handed.append(time.perf_counter() - begin)
            self.wait()
        gc.collect()
        found = [[] for _ in programs]
        begin, order = time.perf_counter(), list(range(len(programs)))
        while len(found[0]) < 100:
            if len(found[0]) >= self.least and time.perf_counter() - begin > seconds:
                break
            for k in order:
                found[k].append(self.sample(programs[k], handed[k], cold))
            order.reverse()
        return [
            {
                "ms": [1e3 * q for q in quartiles(times)],
                "call": 1e3 * self.host(run, seconds / 8),
                "samples": len(times),
            }
            for run, times in zip(programs, found, strict=True)
        ]
