"""RawModule and RawKernel of the stand-in: CUDA sources, compiled for the CPU by tests/cuda/shim."""

import hashlib
import importlib
import pathlib
import sys
import tempfile

import numpy

from ._array import check_device, ndarray
from ._capture import launched
from ._memory import CUDARuntimeError

SHARED_AT_MOST = 49152  # bytes a block may have without asking
SHARED_OPT_IN = 101376  # after setting max_dynamic_shared_size_bytes


class CompileException(Exception):
    """As cupy.cuda.compiler.CompileException."""


def builder():
    """The shim's builder; an error that says so where it isn't there."""
    folder = str(pathlib.Path(__file__).resolve().parents[2])
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        return importlib.import_module("shim.builder")
    except ImportError as error:
        raise RuntimeError(
            "the stand-in for CuPy can't launch kernels: tests/cuda/shim/builder.py is missing"
        ) from error


class RawModule:
    """As cupy.RawModule for `code`, or the file at `path`; compiled when a kernel is asked for."""

    def __init__(
        self, code=None, *, path=None, options=(), backend="nvrtc", translate_cucomplex=False,
        enable_cooperative_groups=False, name_expressions=None, jitify=False,
    ):  # fmt: skip
        if (code is None) == (path is None):
            raise TypeError("Exactly one of `code` and `path` keyword arguments must be given.")
        if not isinstance(options, tuple):
            raise TypeError("compiler options must be given as a tuple")
        if name_expressions is not None and not any(o.startswith("-std=") for o in options):
            raise ValueError("name_expressions need -std=c++11 or later among the options")
        if path is None:
            name = hashlib.sha256(code.encode()).hexdigest()[:20] + ".cu"
            path = pathlib.Path(tempfile.gettempdir()) / f"minigrad_cuda_{name}"
            if not path.exists():
                path.write_text(code)
        self.code, self.file_path, self.options = code, str(path), options
        self._built = None

    def compile(self, log_stream=None):
        """Compile now."""
        if self._built is None:
            self._built = builder().build(pathlib.Path(self.file_path), _defines(self.options))

    def get_function(self, name):
        """The kernel of that name."""
        self.compile()
        return RawKernel._of(self, name)


def _defines(options):
    """The macros among compiler options, as {name: value}."""
    found = {}
    for option in options:
        if option.startswith("-D"):
            name, _, value = option[2:].partition("=")
            found[name] = value or "1"
    return found


class RawKernel:
    """As cupy.RawKernel: `kernel(grid, block, arguments, shared_mem=0)`."""

    def __init__(
        self, code, name, options=(), backend="nvrtc", *, translate_cucomplex=False,
        enable_cooperative_groups=False, jitify=False,
    ):  # fmt: skip
        self._start(RawModule(code, options=options, backend=backend), name)

    @classmethod
    def _of(cls, module, name):
        self = cls.__new__(cls)
        self._start(module, name)
        self._find()
        return self

    def _start(self, module, name):
        self.module, self.name = module, name
        self.max_dynamic_shared_size_bytes = SHARED_AT_MOST
        self._kernel = None

    def _find(self):
        self.module.compile()
        try:
            self._kernel = self.module._built.kernel(self.name)
        except (KeyError, AttributeError) as error:
            raise CUDARuntimeError(
                500, f"CUDA_ERROR_NOT_FOUND: named symbol not found: {self.name}"
            ) from error

    @launched
    def __call__(self, grid, block, args, *, shared_mem=0, stream=None):
        if self._kernel is None:
            self._find()
        sizes = [(*size, 1, 1)[:3] for size in (grid, block)]
        for size in sizes:
            if len(size) > 3 or not all(isinstance(n, (int, numpy.integer)) for n in size):
                raise TypeError(f"grid and block are tuples of up to three integers, got {size}")
        threads = sizes[1][0] * sizes[1][1] * sizes[1][2]
        limit = min(self.max_dynamic_shared_size_bytes, SHARED_OPT_IN)
        if not 0 < threads <= 1024 or 0 in sizes[0] or shared_mem > limit:
            raise CUDARuntimeError(1, "CUDA_ERROR_INVALID_VALUE: invalid argument")
        if sizes[0][0] >= 2**31 or sizes[0][1] > 65535 or sizes[0][2] > 65535:
            raise CUDARuntimeError(1, "CUDA_ERROR_INVALID_VALUE: invalid argument")
        self._kernel.max_dynamic_shared_size_bytes = limit
        self._kernel(*sizes, [_argument(x) for x in args], shared_mem=shared_mem)


def _argument(x):
    """An argument as the shim takes it: arrays as they lie in memory, numbers with their C type."""
    if type(x) is ndarray:
        check_device(x)
        return x._host
    if isinstance(x, numpy.generic):
        return x
    if isinstance(x, bool):
        return numpy.bool_(x)
    if isinstance(x, int):
        return numpy.int64(x)
    if isinstance(x, float):
        return numpy.float64(x)
    raise TypeError(f"Unsupported type {type(x)}")
