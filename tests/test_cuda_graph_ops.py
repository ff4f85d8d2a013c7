"""Every operation at every sample, forward and backward, captured in a CUDA graph and replayed."""

import numpy
import pytest
from minigrad.kernels import kernel
from stand_in import cuda  # noqa: F401

import minigrad as mg
from minigrad import checks
from minigrad.op import REGISTRY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(kernel.REFERENCE_ONLY, reason="products are captured by a kernel"),
]
NAMES = sorted(name for name in REGISTRY if name != "move")  # which is about devices itself

# At some sample these wait for the GPU: for the size of a result, for a choice of formula, for a
# decomposition (whose library CuPy does not call inside a capture), or they are done on the CPU.
WAITING = {
    "cholesky_factor", "determinant", "digamma", "erfc", "erfcx", "erfinv", "get_advanced", "i0", "i0e",
    "i1", "i1e", "invert", "lgamma", "log_ndtr", "ndtr", "ndtri", "polygamma_of_order", "qr_factors",
    "scatter_product", "set_advanced", "sign_and_log_determinant", "singular_values_and_vectors",
    "solve_matrices", "symmetric_eigen", "xlog1py_arrays", "xlogy_arrays",
}  # fmt: skip


def work(op, sample):
    """A function that gives the op's outputs and its inputs' gradients."""
    case = checks.Case(op, sample).changed(checks._to_single)
    inputs = [checks._tensor(x) if isinstance(x, numpy.ndarray) else x for x in case.arguments]
    options = {name: checks._moved(value) for name, value in case.options.items()}
    leaves = [
        x.requires_grad_() for x in inputs if isinstance(x, mg.Tensor) and x.is_floating_point()
    ]

    def run():
        out = op(*inputs, **options)
        outs = list(out if isinstance(out, (tuple, list)) else (out,))[: op.outputs]
        live = [y for y in outs if y.requires_grad]
        grads = []
        if live:
            ones = [mg.ones_like(y) for y in live]
            grads = mg.autograd.grad(live, leaves, ones, allow_unused=True)
        return [y.detach() for y in outs], [g for g in grads if g is not None]

    return run


@pytest.mark.parametrize("name", NAMES)
def test_captured(name):
    op = REGISTRY[name]
    refused = 0
    for sample in checks.samples_of(op):
        sample = sample if isinstance(sample, tuple) else (sample,)
        with checks.on_device("cuda"):
            run = work(op, sample)
            expected = run()
            graph = mg.cuda.CUDAGraph()
            try:
                with mg.cuda.graph(graph):
                    found = run()
            except RuntimeError as error:
                assert name in WAITING and "CUDA graph" in str(error)
                assert not mg.cuda.is_current_stream_capturing()
                refused += 1
                continue
            graph.replay()
        for ours, theirs in zip(found, expected, strict=True):
            for x, y in zip(ours, theirs, strict=True):
                mg.testing.assert_close(x, y, rtol=1e-4, atol=1e-5, equal_nan=True)
    assert (refused > 0) == (name in WAITING)
