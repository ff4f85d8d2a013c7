"""CUDA kernels: the .cu files beside this one, compiled when they are first launched, and launched.

    launch("norm.cu", "normalise_rows", x.dtype, blocks(rows), threads, x, y, rows, 1e-5)

A file is compiled once for each dtype of the arrays; CuPy keeps what it compiled on disk. In the file
NUMBER is that type. An argument that is an array comes as a pointer, an int or a bool as long long, a
float as double and None as a null pointer. Arrays must be contiguous and on the current device.
"""

import functools
import pathlib
import re
from typing import NamedTuple

import numpy

from ..backend import require_cupy

FOLDER = pathlib.Path(__file__).parent
MACROS = {
    "float32": ("-DNUMBER=float",),
    "float64": ("-DNUMBER=double",),
    "float16": ("-DNUMBER=__half", "-DHALF"),
    "bfloat16": ("-DNUMBER=__nv_bfloat16", "-DBFLOAT16"),
}
WIDER = {"float16": "float32", "bfloat16": "float32"}  # what is computed with, where it is another
THREADS = 256  # of a block, where nothing else speaks for another number
BLOCKS = 2048  # of a launch: enough to fill any GPU; they go on in strides if there is more to do
ROWS_AT_MOST = 65535
SHARED = 48 << 10  # bytes of shared memory that a block has without asking for more


class Gpu(NamedTuple):
    """What a kernel's plan depends on."""

    capability: int  # 90: an sm_90
    processors: int
    shared: int  # bytes of shared memory that a block may ask for
    shared_by_all: int  # that the blocks of a processor have together


def known(*arrays) -> bool:
    """True if kernels are compiled for these arrays: all of one dtype."""
    dtype = arrays[0].dtype
    return dtype.name in MACROS and all(x.dtype == dtype for x in arrays)


def wider(dtype) -> numpy.dtype:
    """The dtype that kernels compute with."""
    return numpy.dtype(WIDER.get(dtype.name, dtype))


def blocks(count: int, each: int = THREADS) -> int:
    """How many blocks do `count` things, if one does `each` at a time."""
    return max(1, min(-(-count // each), BLOCKS))


def row_threads(n: int) -> int:
    """How many threads take a row of n numbers: whole warps, about 4 numbers each."""
    threads = 32
    while threads < 1024 and threads * 4 < n:
        threads *= 2
    return threads


def gpu() -> Gpu:
    """The GPU in use."""
    return _gpu(require_cupy().cuda.runtime.getDevice())


@functools.cache
def _gpu(index):
    facts = require_cupy().cuda.runtime.getDeviceProperties(index)
    return Gpu(
        10 * facts["major"] + facts["minor"], facts["multiProcessorCount"],
        facts["sharedMemPerBlockOptin"], facts["sharedMemPerMultiprocessor"],
    )  # fmt: skip


@functools.cache
def source(name: str) -> str:
    """A file with the files that it includes in place, so that it compiles from any folder."""
    lines = []
    for number, line in enumerate((FOLDER / name).read_text().splitlines(), 1):
        included = re.fullmatch(r'#include "(\w+\.cuh)"', line)
        lines += [source(included[1]), f'#line {number + 1} "{name}"'] if included else [line]
    return "\n".join([f'#line 1 "{name}"', *lines, ""])


@functools.cache
def function(file: str, kernel: str, dtype_name: str, macros: tuple = (), room: int = 0):
    """The kernel of a file, compiled for a dtype and more macros ("-DWIDTH=64", ...).

    room: the bytes of dynamic shared memory that it is launched with, if they are more than SHARED.
    """
    options = "-std=c++17", *MACROS[dtype_name], *macros
    found = require_cupy().RawModule(code=source(file), options=options).get_function(kernel)
    if room:
        found.max_dynamic_shared_size_bytes = room
    return found


def launch(file: str, kernel: str, dtype, grid, block, *arguments, shared=0, macros=()) -> None:
    """Start a kernel; grid and block: a number, or a tuple of up to three; shared: dynamic bytes."""
    more = (macros, shared if shared > SHARED else 0) if macros or shared > SHARED else ()
    function(file, kernel, dtype.name, *more)(
        grid if isinstance(grid, tuple) else (grid,),
        block if isinstance(block, tuple) else (block,),
        tuple(map(_argument, arguments)),
        shared_mem=shared,
    )


def _argument(x):
    if x is None:
        return numpy.int64(0)
    if isinstance(x, float):
        return numpy.float64(x)
    return numpy.int64(x) if isinstance(x, int) else x
