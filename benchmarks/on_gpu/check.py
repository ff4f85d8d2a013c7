"""Errors against a float64 reference: ||a - b|| / ||b||, held to a bound; NaN never passes."""

import contextlib
import math

import numpy
from minigrad.benchmarks.on_gpu.cases import Runnable, expected
from minigrad.kernels import cuda_source


class Wrong(Exception):
    """Something was computed that is further from the reference than the bound."""


def error(found: numpy.ndarray, right: numpy.ndarray, least: float = 0.0) -> float:
    """||found - right|| / ||right||, or / least where that is larger; infinite for another shape or NaN."""
    if found.shape != right.shape:
        return math.inf
    size = max(float(numpy.linalg.norm(right)), least)
    apart = float(numpy.linalg.norm(found - right))
    if apart == 0:
        return 0.0
    return apart / size if size and math.isfinite(apart) else math.inf


def worst(found: dict, right: dict, least: float = 0.0) -> tuple[str, float]:
    """(name, error) of the result that is furthest from the reference."""
    errors = {name: error(found[name], array, least) for name, array in right.items()}
    name = max(errors, key=errors.get)
    return name, errors[name]


@contextlib.contextmanager
def launches(into: set):
    """Inside, the CUDA kernels that are launched are noted as "file: kernel"."""
    choose = cuda_source.function

    def watched(file, kernel, *others, **options):
        into.add(f"{file}: {kernel}")
        return choose(file, kernel, *others, **options)

    cuda_source.function = watched
    try:
        yield
    finally:
        cuda_source.function = choose


@contextlib.contextmanager
def poisoned(cupy):
    """Inside, new memory of CuPy's holds NaN, so that what a kernel leaves unwritten shows."""
    allocate = cupy.cuda.get_allocator()

    def poison(size):
        memory = allocate(size)
        if size:
            memory.memset_async(255, size)  # NaN in every floating dtype
        return memory

    cupy.cuda.set_allocator(poison)
    try:
        yield
    finally:
        cupy.cuda.set_allocator(allocate)


def check_case(one, precision, direction, sizes, ours, theirs, fresh) -> dict:
    """The row of a case: errors of both sides; Wrong if ours is above the bound.

    fresh: entered while our side computes, such as `poisoned`.
    """
    right = expected(one, precision, direction, sizes)

    def computed(side):
        with side.computing(precision):
            runnable = Runnable(one, side, precision, direction, sizes)
            runnable.run()
            return runnable.values()

    other = None if theirs is None or one.random or theirs.why_not(precision) else theirs
    name = f"{one.name}, {direction}, {precision.name}"
    return compare(name, computed, right, precision.bound, ours, other, fresh)


def compare(name, computed, right, bound, ours, theirs, fresh, least=0.0) -> dict:
    """The errors of what `computed(side)` gives, by side; Wrong, with the kernels' names, for ours."""
    kernels = set()
    with fresh(), launches(kernels):
        where, apart = worst(computed(ours), right, least)
    row = {"error": apart, "where": where, "bound": bound, "kernels": sorted(kernels)}
    if theirs is not None:
        try:
            row["torch"] = worst(computed(theirs), right, least)[1]
        except RuntimeError as error:  # torch lacks a routine, or its memory doesn't suffice
            row["torch failed"] = str(error)[:300]
    if not apart <= bound:
        raise Wrong(
            f"{name}: {where} has relative error {apart:.2g}, above {bound:.2g}; "
            f"kernels: {', '.join(row['kernels']) or 'none, plain array code'}"
            + (f"; torch's error: {row['torch']:.2g}" if "torch" in row else "")
        )
    return row
