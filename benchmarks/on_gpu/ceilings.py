"""What the device can do: bytes and products a second, and how long a launch takes.

Bandwidth: a = b + s c over arrays far larger than the caches, 16 bytes a thread, 3 arrays moved (the
triad of STREAM, McCalpin 1995). Products: square matrices by the library's own routine, on random
numbers; the faster side counts. A launch: an empty kernel, many times in a row.
"""

import time

from minigrad.benchmarks.on_gpu.sides import Maker, Precision

TRIAD = """
extern "C" __global__ void triad(float* to, const float* from, const float* other, long long n) {
    float4* a = (float4*)to;
    const float4 *b = (const float4*)from, *c = (const float4*)other;
    long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        float4 x = b[i], y = c[i];
        a[i] = make_float4(x.x + 3 * y.x, x.y + 3 * y.y, x.z + 3 * y.z, x.w + 3 * y.w);
    }
}
"""
EMPTY = 'extern "C" __global__ void empty() {}'


def bandwidth(clock, count: int) -> dict:
    """Bytes a second of the triad over arrays of `count` floats."""
    cupy = clock.cupy
    a, b, c = (cupy.full(count, value, "float32") for value in (0.0, 1.0, 2.0))
    kernel = cupy.RawKernel(TRIAD, "triad")
    blocks = max(1, min(1 << 16, count // 4 // 256))
    run = lambda: kernel((blocks,), (256,), (a, b, c, count // 4))
    (times,) = clock.measure([run], 0.5)
    if float(a[-1]) != 7.0 or float(a.sum(dtype="float64")) != 7.0 * count:
        raise RuntimeError("the triad computed something else")
    return {"value": 12 * count / (times["ms"][1] / 1e3), "unit": "B/s", "ms": times["ms"]}


def products(clock, sides, precision: Precision, size: int) -> dict:
    """Operations a second of a product of two matrices of size x size, by side and the best."""
    row = {"unit": "FLOP/s", "size": size, "sides": {}, "missing": []}
    for side in sides:
        reason = side.why_not(precision)
        if reason is None:
            row["sides"][side.name] = 2 * size**3 / _product(clock, side, precision, size)
            side.free()
        else:
            row["missing"].append(reason)
    row["value"] = max(row["sides"].values(), default=None)
    return row


def _product(clock, side, precision, size) -> float:
    """Seconds of one product."""
    with side.scope(), side.computing(precision), side.t.no_grad():
        maker = Maker(side, precision)
        x, y = maker.normal(size, size), maker.normal(size, size)
        (times,) = clock.measure([lambda: side.t.matmul(x, y)], 0.5, cold=False)
    return times["ms"][1] / 1e3


def launch(clock, count: int) -> dict:
    """Seconds of a launch, seen from the host and from the GPU, among `count` in a row."""
    kernel = clock.cupy.RawKernel(EMPTY, "empty")

    def run():
        for _ in range(count):
            kernel((1,), (1,), ())

    run()
    clock.wait()
    begin = time.perf_counter()
    run()
    clock.wait()
    host = (time.perf_counter() - begin) / count
    return {"value": clock.sample(run, host * count) / count, "unit": "s", "host": host}
