"""For tests: assert_close as in torch.testing, and check_grads for your own functions."""

import math
from collections.abc import Mapping, Sequence

import numpy

from . import dtypes
from .checks import FIRST_ORDER, Case, Rand, Row, check_case, check_errors, run_checks
from .op import Op, wrap
from .tensor import Tensor

__all__ = [
    "Rand",
    "Row",
    "assert_close",
    "check_errors",
    "check_grads",
    "run_checks",
]

# (rtol, atol) by dtype: about the square root of its precision; other dtypes must be equal
TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
}


def check_grads(op_or_function, *args, order: int = 2, modes=("arrays", "graph"), seed: int = 0):
    """Check a function's gradients, up to `order`, against finite differences at these arguments.

    Every float64 array or tensor among the arguments is differentiated; a final dict holds keyword
    arguments. modes: "arrays" is the ordinary backward pass, "graph" the one under
    create_graph=True (which orders above 1 need). Raises AssertionError naming the input.
    """
    unknown = set(modes) - {"arrays", "graph"}
    if unknown or not modes:
        raise ValueError(f"check_grads: modes are 'arrays' and 'graph', not {sorted(unknown)}")
    case = Case(op_or_function, args)
    if not case.arrays:
        raise ValueError("check_grads: no argument is a float64 array or tensor")
    name = getattr(op_or_function, "__name__", type(op_or_function).__name__)
    orders = range(1, order + 1) if "graph" in modes else (1,)
    names = ("_inputs_unchanged", "_freed_without_collector")
    if set(modes) == {"arrays", "graph"}:
        names += ("_both_modes",)
    if isinstance(op_or_function, Op):
        names = tuple(check.__name__ for check in FIRST_ORDER)
    properties = tuple(check for check in FIRST_ORDER if check.__name__ in names)
    for row in check_case(case, name, tuple(orders), properties, seed):
        if not row.ok:
            raise AssertionError(f"{row.op}({row.sample}), order {row.order}: {row.message}")


def assert_close(
    actual,
    expected,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg=None,
) -> None:
    """Raise AssertionError unless |actual - expected| <= atol + rtol |expected| everywhere.

    Takes tensors, arrays, numbers, None, and sequences and mappings of them. Without rtol and atol
    they follow from the dtype (float32: 1.3e-6 and 1e-5; float64: 1e-7 both; integers: equality);
    give both or neither. Shape, and unless switched off dtype and device, must be the same.
    msg: a text in place of the message, or a function from the message to a text.
    """
    if (rtol is None) != (atol is None):
        given, missing = ("rtol", "atol") if atol is None else ("atol", "rtol")
        raise ValueError(
            "Both 'rtol' and 'atol' must be either specified or omitted, but got no "
            f"{missing} (only {given})."
        )
    settings = {
        "allow_subclasses": allow_subclasses,
        "rtol": rtol,
        "atol": atol,
        "equal_nan": equal_nan,
        "check_device": check_device,
        "check_dtype": check_dtype,
        "check_layout": check_layout,
        "check_stride": check_stride,
    }
    problem = _difference(actual, expected, settings, ())
    if problem is None:
        return
    if msg is not None:
        problem = msg(problem) if callable(msg) else msg
    raise AssertionError(problem)


def _difference(actual, expected, settings, path):
    """A message about the first difference; None where there is none."""
    where = ""
    if path:
        where = "\n\nThe failure occurred for item " + "".join(f"[{key!r}]" for key in path)
    if _both(actual, expected, Mapping):
        missing = [key for key in expected if key not in actual]
        additional = [key for key in actual if key not in expected]
        if missing or additional:
            return (
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {missing}\n"
                f"Additional keys in the actual mapping: {additional}{where}"
            )
        pairs = [(key, actual[key], expected[key]) for key in actual]
    elif _both(actual, expected, Sequence) and not isinstance(actual, str):
        if len(actual) != len(expected):
            return f"The length of the sequences mismatch: {len(actual)} != {len(expected)}{where}"
        pairs = [(i, *pair) for i, pair in enumerate(zip(actual, expected, strict=True))]
    else:
        problem = _leaf_difference(actual, expected, settings)
        return None if problem is None else problem + where
    for key, a, b in pairs:
        problem = _difference(a, b, settings, (*path, key))
        if problem is not None:
            return problem
    return None


def _both(actual, expected, kind):
    return isinstance(actual, kind) and isinstance(expected, kind)


def _leaf_difference(actual, expected, settings):
    if actual is None or expected is None:
        if actual is expected:
            return None
        return f"None mismatch: {actual!r} is not {expected!r}"
    if _both(actual, expected, (bool, numpy.bool_)):
        if bool(actual) == bool(expected):
            return None
        return f"Booleans mismatch: {actual} is not {expected}"
    if _both(actual, expected, (int, float)):
        return _number_difference(actual, expected, settings)
    if _both(actual, expected, Tensor):
        if not settings["allow_subclasses"] and type(actual) is not type(expected):
            raise TypeError(f"{type(actual)} and {type(expected)} are not the same type")
        return _tensor_difference(actual, expected, settings)
    if _both(actual, expected, numpy.ndarray):
        return _tensor_difference(wrap(actual), wrap(expected), settings)
    raise TypeError(
        f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}."
    )


def _tolerances(settings, *of_dtypes):
    if settings["rtol"] is not None:
        return settings["rtol"], settings["atol"]
    pairs = [TOLERANCES.get(d.name, (0.0, 0.0)) for d in of_dtypes]
    return max(r for r, _ in pairs), max(a for _, a in pairs)


def _allowed(tolerance, rtol, atol):
    """Torch writes what is allowed only where anything is."""
    return f" (up to {tolerance} allowed)" if rtol or atol else ""


def _number_difference(actual, expected, settings):
    if settings["check_dtype"] and type(actual) is not type(expected):
        return f"The (d)types do not match: {type(actual)} != {type(expected)}."
    kinds = [dtypes.float64 if isinstance(x, float) else dtypes.int64 for x in (actual, expected)]
    return _close_numbers(actual, expected, *_tolerances(settings, *kinds), settings["equal_nan"])


def _close_numbers(actual, expected, rtol, atol, equal_nan):
    if actual == expected or (equal_nan and actual != actual and expected != expected):
        return None
    difference = abs(actual - expected)
    if math.isfinite(difference) and difference <= atol + rtol * abs(expected):
        return None
    relative = difference / abs(expected) if expected else math.inf
    close = "close" if rtol or atol else "equal"
    return (
        f"Scalars are not {close}!\n\nExpected {expected} but got {actual}.\n"
        f"Absolute difference: {difference}{_allowed(atol, rtol, atol)}\n"
        f"Relative difference: {relative}{_allowed(rtol, rtol, atol)}"
    )


def _tensor_difference(actual, expected, settings):
    checks = [("shape", True), ("device", settings["check_device"])]
    checks += [("dtype", settings["check_dtype"]), ("layout", settings["check_layout"])]
    for attribute, wanted in checks:
        a, b = getattr(actual, attribute), getattr(expected, attribute)
        if wanted and a != b:
            return f"The values for attribute '{attribute}' do not match: {a} != {b}."
    if settings["check_stride"] and actual.stride() != expected.stride():
        strides = f"{actual.stride()} != {expected.stride()}"
        return f"The values for attribute 'stride()' do not match: {strides}."
    rtol, atol = _tolerances(settings, actual.dtype, expected.dtype)
    dtype = dtypes.promote_types(actual.dtype, expected.dtype)
    a, b = (_numbers(t, dtype) for t in (actual, expected))
    if a.ndim == 0:
        return _close_numbers(a.item(), b.item(), rtol, atol, settings["equal_nan"])
    with numpy.errstate(all="ignore"):
        difference = abs(a - b)
        relative = difference / abs(b)
        close = (a == b) | (numpy.isfinite(difference) & (difference <= atol + rtol * abs(b)))
    if settings["equal_nan"]:
        close |= (a != a) & (b != b)
    if close.all():
        return None
    difference = numpy.where(close, 0, difference)
    relative = numpy.where(close, 0, relative)
    count = int((~close).sum())
    return (
        f"Tensor-likes are not {'close' if rtol or atol else 'equal'}!\n\n"
        f"Mismatched elements: {count} / {close.size} ({count / close.size:.1%})\n"
        f"Greatest absolute difference: {_worst(difference)}{_allowed(atol, rtol, atol)}\n"
        f"Greatest relative difference: {_worst(relative)}{_allowed(rtol, rtol, atol)}"
    )


def _numbers(tensor, dtype):
    """The numbers in main memory, in a dtype that can be subtracted (unsigned ones wrap around)."""
    array = tensor.detach().cpu().array
    return array.astype(numpy.int64 if dtype.kind < 2 else dtype.numpy)


def _worst(differences):
    position = numpy.unravel_index(differences.argmax(), differences.shape)
    return f"{differences[position].item()} at index {tuple(int(k) for k in position)}"
