"""bfloat16 on the CPU: every op computes what it computes in float32, rounded; sums don't stop at 256."""

import numpy
import pytest

import minigrad
from minigrad import checks
from minigrad.op import REGISTRY, wrap

pytest.importorskip("ml_dtypes")
pytestmark = pytest.mark.cpu_only(reason="CuPy computes bfloat16 itself, where NumPy needs help")
BFLOAT16 = minigrad.bfloat16.numpy
EPS = 2.0**-8  # of bfloat16, rounding to nearest
# Inputs that differ by a rounding give quite other results, or dtypes are what the op is about.
UNSTABLE = {
    "cast", "determinant", "invert", "sign_and_log_determinant", "solve_matrices", "cholesky_factor",
    "qr_factors", "singular_values_and_vectors", "symmetric_eigen", "is_close",
}  # fmt: skip


def rounded(x):
    """Samples' arrays, as bfloat16 knows their numbers."""
    if isinstance(x, numpy.ndarray) and x.dtype.kind == "f":
        return x.astype(BFLOAT16)
    return x


def as_float32(x):
    return x.astype("float32") if getattr(x, "dtype", None) == BFLOAT16 else x


def run(op, arrays, options):
    out = op(*[wrap(x) if isinstance(x, numpy.ndarray) else x for x in arrays], **options)
    return [one.array for one in (out if isinstance(out, tuple) else (out,))][: op.outputs]


@pytest.mark.parametrize("name", sorted(set(REGISTRY) - UNSTABLE))
def test_op(name):
    op = REGISTRY[name]
    for sample in checks.samples_of(op):
        sample = sample if isinstance(sample, tuple) else (sample,)
        options = sample[-1] if isinstance(sample[-1], dict) else {}
        arrays = [rounded(x) for x in (sample[:-1] if options else sample)]
        if not any(getattr(x, "dtype", None) == BFLOAT16 for x in arrays):
            continue
        options = {key: rounded(x) for key, x in options.items()}
        wide = {key: as_float32(x) for key, x in options.items()}
        expected = run(op, [as_float32(x) for x in arrays], wide)
        for found, right in zip(run(op, arrays, options), expected, strict=True):
            if right.dtype == "float32":
                assert found.dtype == BFLOAT16, found.dtype
                found = found.astype("float32")
            finite = numpy.isfinite(right)
            numpy.testing.assert_allclose(found[finite], right[finite], rtol=4 * EPS, atol=4 * EPS)


def test_long_sums():
    x = minigrad.ones(3000, dtype=minigrad.bfloat16, requires_grad=True)
    total = x.sum()
    assert total.dtype is minigrad.bfloat16 and total.item() == 3008  # 3000, to 8 bits
    assert x.mean().item() == 1 and (x @ x).item() == 3008
    bias = minigrad.zeros(1, dtype=minigrad.bfloat16, requires_grad=True)
    (x + bias).sum().backward()
    assert bias.grad.item() == 3008
