"""One side of a comparison in a process of its own, which never loads the other side.

    python worker.py torch|minigrad STEP [SIZES AS JSON]

Reads numbers from stdin, a line each: so many steps to run; answers each with their times in
seconds, a JSON list in a line. `Worker` is the other end of the pipes.
"""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path


class Worker:
    """A program for `alternate` whose steps run, and are timed, in a process of their own."""

    def __init__(self, side: str, step: str, **sizes):
        threads = {f"{name}_NUM_THREADS": "2" for name in ("OMP", "OPENBLAS", "MKL")}
        self.name = f"{side}'s {step}"
        self.process = subprocess.Popen(
            [sys.executable, __file__, side, step, json.dumps(sizes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **threads},
        )  # fmt: skip

    def timed(self, count: int) -> list[float]:
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} ended with {self.process.wait()}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def main():
    side, name, sizes = sys.argv[1:]
    t = importlib.import_module(side)
    t.set_num_threads(2)
    # by its path: as minigrad.benchmarks.programs it would load minigrad beside torch
    spec = importlib.util.spec_from_file_location("programs", Path(__file__).parent / "programs.py")
    programs = importlib.util.module_from_spec(spec)
    sys.modules["programs"] = programs
    spec.loader.exec_module(programs)
    program = programs.STEPS[name].program(t, **json.loads(sizes))
    for line in sys.stdin:
        found = []
        for _ in range(int(line)):
            begin = time.perf_counter()
            program.run()
            found.append(time.perf_counter() - begin)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
