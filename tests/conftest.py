"""`MINIGRAD_TEST_DEVICE=cuda pytest` runs the ordinary tests on a GPU, or on the stand-in for one.

There, "cuda" is the default device, as `minigrad.set_default_device("cuda")` makes it: tensors and
parameters that say nothing else are made on it. What a test itself reads, by `x.numpy()`, `x.array` or
`numpy.asarray(x)`, comes to it as a copy in main memory. The package gets no such help: the same calls
raise there. Tests marked `cpu_only(reason)` are about main memory itself and are left out, and so are
those that choose their devices themselves.
"""

import contextlib
import os
import pathlib
import sys

import numpy
from stand_in import gpu

DEVICE = os.environ.get("MINIGRAD_TEST_DEVICE", "cpu")
HERE = str(pathlib.Path(__file__).parent)
NUMPY = str(pathlib.Path(numpy.__file__).parent)
CHOOSE_THEIR_OWN = [
    "test_cuda*.py", "test_cupy_stand_in.py", "test_gpu_benchmark.py", "test_amp.py", "test_backends.py",
    "test_grad_scaler.py", "test_graphed_callables.py",
]  # fmt: skip
if DEVICE != "cpu":
    collect_ignore_glob = CHOOSE_THEIR_OWN


def pytest_configure(config):
    config.on_device = contextlib.ExitStack()
    if DEVICE != "cpu":
        config.on_device.enter_context(device_for_everything())


def pytest_unconfigure(config):
    config.on_device.close()


def pytest_collection_modifyitems(config, items):
    if DEVICE != "cpu":
        left_out = [item for item in items if item.get_closest_marker("cpu_only")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
    for item in items:
        for marker in item.iter_markers("cpu_only"):
            assert marker.kwargs["reason"], f"{item.nodeid}: cpu_only needs a reason"


@contextlib.contextmanager
def device_for_everything():
    """The chosen device is the default one inside, and tests can read what is on it."""
    import minigrad

    with gpu(), readable_by_tests():
        minigrad.set_default_device(DEVICE)
        yield
        minigrad.set_default_device(None)


def asked_by_a_test(frame) -> bool:
    """True if the code that asks, or that asked NumPy to, is in this folder."""
    while frame.f_code.co_filename.startswith(NUMPY):
        frame = frame.f_back
    return frame.f_code.co_filename.startswith(HERE)


@contextlib.contextmanager
def readable_by_tests():
    """Tensors on a GPU give tests, and them alone, copies in main memory, which can't be written to."""
    from minigrad import Tensor
    from minigrad.op import Variable

    slot = Variable.array
    strict_numpy, strict_array = Tensor.numpy, Tensor.__array__

    def copied(array):
        array = array.get()
        array.flags.writeable = False
        return array

    def read(self):
        array = slot.__get__(self)
        if type(array) is numpy.ndarray or not asked_by_a_test(sys._getframe(1)):
            return array
        return copied(array) if hasattr(array, "get") else array

    def to_numpy(self, *, force=False):
        if self.is_cuda and not self.requires_grad and asked_by_a_test(sys._getframe(1)):
            return copied(slot.__get__(self))
        return strict_numpy(self, force=force)

    def to_array(self, dtype=None, copy=None):
        if self.is_cuda and not self.requires_grad and asked_by_a_test(sys._getframe(1)):
            array = copied(slot.__get__(self))
            return array if dtype is None else array.astype(dtype)
        return strict_array(self, dtype, copy)

    Tensor.array = property(read, slot.__set__)
    Tensor.numpy, Tensor.__array__ = to_numpy, to_array
    try:
        yield
    finally:
        del Tensor.array
        Tensor.numpy, Tensor.__array__ = strict_numpy, strict_array
