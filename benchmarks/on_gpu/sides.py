"""The sides of a comparison on a GPU: a library, its device, and the numbers that a program is given.

Every program is written once and built for minigrad on CuPy, for torch, and for the reference:
minigrad's plain NumPy definitions in float64, on the numbers as the sides' dtype rounds them.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy
from minigrad.kernels import kernel

import minigrad

BLOCK = 1_000_003  # numbers that are drawn; larger arrays repeat them, out of step with their rows


@dataclass
class Precision:
    """What is computed in: a dtype, whether products may round to TF32, and what errors may be.

    bound: of ||a - b|| / ||b|| for one kernel; step: for the gradients of a whole training step.
    """

    name: str
    dtype: str
    tf32: bool
    bound: float
    step: float


PRECISIONS = {
    p.name: p
    for p in (
        Precision("float32", "float32", False, 1e-5, 1e-5),
        Precision("tf32", "float32", True, 3e-3, 2e-2),
        Precision("float16", "float16", False, 5e-3, 2e-2),
        Precision("bfloat16", "bfloat16", False, 3e-2, 1e-1),
    )
}


@dataclass
class Side:
    """A library `t` and the device that it computes on; `scope` is entered around its programs."""

    name: str
    t: object
    device: str
    scope: Callable = contextlib.nullcontext

    def with_scope(self, name: str, scope: Callable) -> "Side":
        """The same side under another name and inside a context."""
        return Side(name, self.t, self.device, scope)

    def wait(self) -> None:
        """Until the device has done all it was given."""
        if self.device == "cuda":
            self.t.cuda.synchronize()

    def free(self) -> None:
        """Give unused memory back, for the other side."""
        if self.device == "cuda":
            self.t.cuda.empty_cache()

    def why_not(self, precision: Precision) -> str | None:
        """Why the side can't compute so, or None."""
        try:
            getattr(self.t, precision.dtype)
        except (AttributeError, ImportError) as error:
            return f"{self.name}: {error}"
        if precision.tf32 and not hasattr(self.t, "backends"):
            return f"{self.name} has no switch for TF32"
        return None

    @contextlib.contextmanager
    def computing(self, precision: Precision):
        """Products of float32 round to TF32 inside, or don't, as the precision says."""
        switches = _switches(self.t)
        before = [(place, place.allow_tf32) for place in switches]
        for place in switches:
            place.allow_tf32 = precision.tf32
        try:
            yield
        finally:
            for place, value in before:
                place.allow_tf32 = value


def _switches(t):
    """Where a library says whether products may round to TF32."""
    backends = getattr(t, "backends", None)
    found = [
        getattr(backends, "cudnn", None),
        getattr(getattr(backends, "cuda", None), "matmul", None),
    ]
    return [place for place in found if hasattr(place, "allow_tf32")]


@contextlib.contextmanager
def plain():
    """Inside, every kernel is its plain definition."""
    before = kernel.REFERENCE_ONLY
    kernel.REFERENCE_ONLY = True
    try:
        yield
    finally:
        kernel.REFERENCE_ONLY = before


REFERENCE = Side("reference", minigrad, "cpu", plain)


def rounded(array: numpy.ndarray, dtype: str) -> numpy.ndarray:
    """float32 numbers as another dtype has them, to nearest, ties to even; they stay float32."""
    if dtype == "bfloat16":
        bits = array.view("uint32")
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view("float32")
    return array.astype(dtype).astype("float32")


class Maker:
    """What a program makes its tensors with: the same numbers on every side, in the same order."""

    def __init__(self, side: Side, precision: Precision, seed: int = 0):
        self.side, self.t, self.dtype = side, side.t, precision.dtype
        self.held = "float64" if side is REFERENCE else self.dtype
        self.random = numpy.random.default_rng(seed)

    def numbers(self, *shape, scale: float = 1.0, shift: float = 0.0) -> numpy.ndarray:
        """float32 of a normal distribution."""
        size = int(numpy.prod(shape, dtype=int))
        drawn = self.random.standard_normal(min(size, BLOCK), dtype="float32")
        return numpy.resize(drawn * numpy.float32(scale) + numpy.float32(shift), shape)

    def place(self, array: numpy.ndarray):
        """The array as the side's tensor on its device; floats as its dtype has them."""
        if array.dtype.kind != "f":
            return self.t.from_numpy(array).to(self.side.device)
        if self.held == "float64":
            exact = numpy.asarray(rounded(array, self.dtype), "float64")
            return self.t.from_numpy(exact)
        tensor = self.t.from_numpy(array).to(self.side.device)
        return tensor.to(getattr(self.t, self.held))

    def normal(self, *shape, scale: float = 1.0, grad: bool = False):
        """A tensor of such numbers; grad: gradients are taken for it."""
        tensor = self.place(self.numbers(*shape, scale=scale))
        return tensor.requires_grad_() if grad else tensor

    def ids(self, high: int, *shape):
        """Ids below `high`, all as likely."""
        return self.place(self.random.integers(0, high, shape))

    def zipf_array(self, high: int, *shape) -> numpy.ndarray:
        """Ids below `high`; that of rank r is drawn with probability proportional to 1 / r."""
        chances = 1 / numpy.arange(1, high + 1)
        drawn = numpy.searchsorted(numpy.cumsum(chances / chances.sum()), self.random.random(shape))
        return self.random.permutation(high)[numpy.minimum(drawn, high - 1)]

    def model(self, module):
        """The module with weights drawn here, on the side's device and in its dtype.

        Matrices have entries of 1 / sqrt(inputs), vectors "weight" are near 1, the others near 0.
        """
        for name, parameter in module.named_parameters():
            shape = tuple(parameter.shape)
            if len(shape) > 1:
                array = self.numbers(*shape, scale=float(numpy.prod(shape[1:])) ** -0.5)
            else:
                array = self.numbers(*shape, scale=0.1, shift=float(name.endswith("weight")))
            parameter.data.copy_(self.t.from_numpy(rounded(array, self.dtype)))
        return module.to(self.side.device).to(getattr(self.t, self.held))
