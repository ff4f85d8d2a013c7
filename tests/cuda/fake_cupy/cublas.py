"""A stand-in for the library cuBLAS, called as the library is: with addresses, by columns."""

import ctypes

import numpy
from cupy import _capture, _memory

TYPES = {0: "float32", 1: "float64", 2: "float16", 14: "bfloat16"}
COMPUTE = {0: (68, 77), 1: (70,), 2: (68,), 14: (68,)}


class _Function:
    """A function of the library, which checks its arguments as ctypes does."""

    def __init__(self, function):
        self.function = function
        self.argtypes = self.restype = None

    def __call__(self, *arguments):
        if self.argtypes is None or len(arguments) != len(self.argtypes):
            raise TypeError(f"{self.function.__name__}: wrong number of arguments")
        for kind, argument in zip(self.argtypes, arguments, strict=True):
            kind(argument)
        return self.function(*arguments)


class Library:
    """What `ctypes.CDLL("libcublas.so.13")` would be."""

    def __init__(self):
        self.stream = self.workspace = None
        for name in ("SetStream_v2", "SetWorkspace_v2", "GemmStridedBatchedEx"):
            setattr(self, f"cublas{name}", _Function(getattr(self, f"_{name}")))

    def _SetStream_v2(self, handle, stream):
        assert handle >= 0xB1A5
        self.stream, self.workspace = stream, None
        return 0

    def _SetWorkspace_v2(self, handle, place, size):
        if place % 256:
            return 7  # CUBLAS_STATUS_INVALID_VALUE
        self.workspace = place, size
        return 0

    def _GemmStridedBatchedEx(
        self, handle, turn_a, turn_b, m, n, k, alpha, a, a_type, lda, a_step, b, b_type, ldb, b_step,
        beta, c, c_type, ldc, c_step, count, compute, algorithm,
    ):  # fmt: skip
        tall_a, tall_b = (k if turn_a else m), (n if turn_b else k)
        wrong = min(m, n, k, count) < 0 or lda < max(1, tall_a) or ldb < max(1, tall_b)
        if wrong or ldc < max(1, m) or a_type != b_type or compute not in COMPUTE[a_type]:
            return 7
        number = ctypes.c_double if a_type == 1 else ctypes.c_float
        one, zero = (number.from_address(place).value for place in (alpha, beta))
        assert (one, zero) == (1, 0)

        def matrix(place, kind, rows, columns, leading, step):
            size = numpy.dtype(TYPES[kind]).itemsize
            room = ((count - 1) * step + (columns - 1) * leading + rows) * size
            memory = (ctypes.c_uint8 * room).from_address(place)
            strides = step * size, size, leading * size
            return numpy.ndarray((count, rows, columns), TYPES[kind], memory, 0, strides)

        def run():
            x = matrix(a, a_type, tall_a, m if turn_a else k, lda, a_step)
            y = matrix(b, b_type, tall_b, k if turn_b else n, ldb, b_step)
            x = x.swapaxes(1, 2) if turn_a else x
            y = y.swapaxes(1, 2) if turn_b else y
            if a_type in (2, 14):
                x, y = x.astype("f4"), y.astype("f4")
            matrix(c, c_type, m, n, ldc, c_step)[...] = x @ y

        stream = _memory.current.stream
        if self.stream != (0 if stream is None else stream.ptr):
            return 7
        capture = _capture.capturing()
        if capture is None:
            run()
        elif self.workspace is None:
            return 14  # it would take memory
        else:
            capture.outside(run)
        return 0
