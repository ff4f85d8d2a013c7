"""The systematic check of every operation, generated from the samples that stand beside it.

For y = f(x), a random direction v and a random cotangent u, one backward pass gives <J^T u, v> and
finite differences give <u, J v>: the two must agree. The gradient (x, u) -> J^T u is a function
too, so the same comparison, applied to it, checks the second order, and so on. The cotangent is
never all ones: for softmax or layer norm J^T 1 = 0, and a rule that returns zero would pass.
"""

import gc
import math
import re
import weakref
import zlib
from typing import NamedTuple

import numpy

from .autograd import grad
from .backend import CPU, array_module, get_default_device, to_device
from .backend import device as Device
from .op import REGISTRY, Op, wrap
from .tensor import Tensor

STEP = 5e-5  # of the differences; Rand's values are at least 1e-3 apart, so no kink is crossed
TOLERANCE = 1e-6  # relative error of a directional derivative in float64


class Row(NamedTuple):
    """One line of the table: an op's derivative of one order at one sample."""

    op: str
    sample: str
    order: int
    error: float
    ok: bool
    message: str


class Rand:
    """The source of numbers for samples, `samples(lambda rand: [(rand(3, 4), rand(4))])`.

    `rand(*shape, low=-2, high=2)` gives a float64 array whose values, also those of the arrays
    made just before, are 1e-3 or more apart (where the range has room for it), and 0.05 or more
    away from zero: the places where max, abs, relu or sort have kinks.
    """

    CELL = 2e-3  # one value per cell, in its middle half
    REACH = 64.0

    def __init__(self, seed: int = 0):
        self.rng = numpy.random.default_rng(seed)
        self.last_use = numpy.zeros(round(2 * self.REACH / self.CELL))
        self.calls = 0

    def __call__(self, *shape: int, low: float = -2.0, high: float = 2.0) -> numpy.ndarray:
        count = int(numpy.prod(shape, dtype=int))
        self.calls += 1
        first = int(numpy.ceil((low + self.REACH) / self.CELL))
        end = int(numpy.floor((high + self.REACH) / self.CELL))
        if first < 0 or end > self.last_use.size or end - first < 2 * count:
            return self.rng.permutation(self._spread(count, low, high)).reshape(shape)
        cells = numpy.arange(first, end)
        middles = (cells + 0.5) * self.CELL - self.REACH
        cells = cells[abs(middles) > 0.051]
        # the cells used longest ago, in random order
        order = numpy.lexsort((self.rng.random(cells.size), self.last_use[cells]))
        chosen = cells[order[:count]]
        self.last_use[chosen] = self.calls
        offsets = self.rng.uniform(0.25, 0.75, count)
        values = (chosen + offsets) * self.CELL - self.REACH
        return numpy.asarray(self.rng.permutation(values).reshape(shape))

    def _spread(self, count, low, high):
        """Many values, or values from far away: evenly spread, with a random part."""
        values = low + (high - low) * (numpy.arange(count) + self.rng.uniform(0.2, 0.8, count)) / (
            count or 1
        )
        near_zero = abs(values) < 0.05
        return numpy.where(near_zero & (low < -0.1), values - 0.1, values)

    def positive(self, *shape: int, high: float = 2.0) -> numpy.ndarray:
        """Numbers between 0.2 and `high`: for logarithms and square roots."""
        return self(*shape, low=0.2, high=high)

    def ints(self, high: int, *shape: int, low: int = 0) -> numpy.ndarray:
        """int64 numbers from low to high - 1, such as indices and class labels."""
        return numpy.asarray(self.rng.integers(low, high, shape))

    def bools(self, *shape: int) -> numpy.ndarray:
        """True and False; both occur where there are two elements or more."""
        values = self.rng.random(shape) < 0.5
        flat = numpy.asarray(values).reshape(-1)
        if flat.size > 1 and flat.all() == flat.any():
            flat[self.rng.integers(flat.size)] ^= True
        return flat.reshape(shape)


# -- where the checked function runs; its arguments and results are NumPy arrays all the same ------


class on_device:
    """`with on_device("cuda"):` the checks inside run there; on the default device otherwise."""

    def __init__(self, where):
        self.where = Device(where)

    def __enter__(self):
        self.before, _place.device = _place.device, self.where

    def __exit__(self, *exc):
        _place.device = self.before


class _Place:
    device = None
    copies = None  # where somebody wants to see them: (copy on the device, what it held)


_place = _Place()


def _moved(x):
    """An array on the device, with the same steps in memory; so are those in lists of arrays."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(_moved, x))
    place = _place.device or get_default_device()
    if not isinstance(x, (numpy.ndarray, numpy.generic)) or place.type == "cpu":
        return x
    x = numpy.asarray(x)
    moved = to_device(x, place)
    if 0 in x.strides and x.size:
        moved = array_module(moved).broadcast_to(moved[(slice(1),) * x.ndim], x.shape)
    elif not x.flags.c_contiguous:
        moved = strided(moved)
    if _place.copies is not None:
        _place.copies.append((moved, x.tobytes()))
    return moved


def _tensor(x):
    return wrap(_moved(x))


# -- a function of some arrays, and the gradient as another one --------------------------------


class Case:
    """A function with its arguments; called with tensors for the differentiable ones.

    where      positions of the arguments that are differentiated
    arrays     their values, float64
    """

    def __init__(self, function, arguments, where=None):
        arguments = list(arguments)
        self.options = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
        self.function = function
        self.arguments = [x.array if isinstance(x, Tensor) else x for x in arguments]
        floating = [i for i, x in enumerate(self.arguments) if _is_float(x)]
        self.where = [i for i in floating if where is None or i in where]
        self.others = [i for i in floating if i not in self.where]
        self.arrays = [self.arguments[i] for i in self.where]

    def __call__(self, *tensors, record=True):
        """The floating-point outputs."""
        arguments = [
            _tensor(x) if isinstance(x, numpy.ndarray) and i not in self.where else x
            for i, x in enumerate(self.arguments)
        ]
        for i, tensor in zip(self.where, tensors, strict=True):
            arguments[i] = tensor
        options = {name: _moved(value) for name, value in self.options.items()}
        out = self.function(*arguments, **options)
        out = out if isinstance(out, (tuple, list)) else (out,)
        out = out[: getattr(self.function, "outputs", None)]
        return [y for y in out if isinstance(y, Tensor) and y.is_floating_point()]

    def every_array(self):
        """All arrays that the function could change by mistake."""
        return [x for x in (*self.arguments, *self.options.values()) if hasattr(x, "tobytes")]

    def changed(self, change):
        """The same case with `change` applied to each of its arrays."""
        arguments = [change(x) if isinstance(x, numpy.ndarray) else x for x in self.arguments]
        options = {
            key: change(x) if isinstance(x, numpy.ndarray) else x for key, x in self.options.items()
        }
        return Case(self.function, [*arguments, options], self.where)

    def describe(self):
        """The arguments as a short text: shapes, numbers, options."""
        shown = [_short(x) for x in self.arguments]
        shown += [f"{key}={_short(value)}" for key, value in self.options.items()]
        return ", ".join(shown) or "no arguments"


class Gradient:
    """(x, u) -> J(x)^T u for a function f with `count` inputs, itself a function like f."""

    def __init__(self, function, count):
        self.function = function
        self.count = count

    def __call__(self, *tensors, record=True):
        xs = [x if x.requires_grad else x.detach().requires_grad_() for x in tensors[: self.count]]
        ys = self.function(*xs)
        return _backward(ys, xs, tensors[self.count :], record)


def _backward(ys, xs, us, record=False):
    """One gradient per x; zeros where there is none."""
    live = [(y, u) for y, u in zip(ys, us, strict=True) if y.requires_grad]
    if not live:
        return [_tensor(numpy.zeros(x.array.shape, x.array.dtype)) for x in xs]
    return grad(
        [y for y, _ in live],
        xs,
        [u for _, u in live],
        create_graph=record,
        allow_unused=True,
        materialize_grads=True,
    )


def _is_float(x):
    return isinstance(x, numpy.ndarray) and x.dtype == numpy.float64


def _short(x):
    if isinstance(x, numpy.ndarray):
        kind = "" if x.dtype.kind == "f" else f"{x.dtype.name} "
        return kind + str(tuple(x.shape)).replace(" ", "")
    if isinstance(x, (list, tuple)) and any(isinstance(element, numpy.ndarray) for element in x):
        return "[" + ", ".join(map(_short, x)) + "]"
    shown = str(x)
    return shown if len(shown) <= 30 else shown[:27] + "..."


def _leaves(arrays):
    return [_tensor(x).requires_grad_() for x in arrays]


def _values(tensors):
    return [_dense(t.array) for t in tensors]


def _dense(array):
    """A gradient's numbers; a row-sparse gradient fills a table first."""
    return to_device(array.to_dense() if hasattr(array, "add_into") else array, CPU)


def _random_signs(rng, shape, low, high):
    return numpy.asarray(rng.uniform(low, high, shape) * rng.choice([-1.0, 1.0], shape))


# -- one directional derivative ----------------------------------------------------------------


def compare_slopes(function, arrays, rng):
    """The worst relative error of a function's gradients, and a message about it ('' if right).

    function: takes tensors, returns a list of tensors. arrays: where to look, float64.
    The slope along v is (8 (f(x+h v) - f(x-h v)) - (f(x+2h v) - f(x-2h v))) / 12 h, right to h^4.
    """
    here = _values(function(*map(_tensor, arrays), record=False))
    us = [numpy.where(numpy.isfinite(y), _random_signs(rng, y.shape, 0.5, 1.5), 0) for y in here]
    xs = _leaves(arrays)
    gradients = _values(_backward(function(*xs), xs, [_tensor(u.copy()) for u in us]))
    size_of_outputs = sum(float(abs(u * _finite(y)).sum()) for u, y in zip(us, here, strict=True))
    worst, message = 0.0, ""
    for i, (x, g) in enumerate(zip(arrays, gradients, strict=True)):
        v = _random_signs(rng, x.shape, 0.5, 1.0)

        def outputs(steps):
            moved = [*arrays[:i], x + steps * STEP * v, *arrays[i + 1 :]]
            return _values(function(*map(_tensor, moved), record=False))

        numerical = 0.0
        points = zip(us, outputs(1), outputs(-1), outputs(2), outputs(-2), strict=True)
        for u, a, b, c, d in points:
            with numpy.errstate(invalid="ignore"):
                slope = (8 * (a - b) - (c - d)) / (12 * STEP)
            numerical += float((u * numpy.where(u == 0, 0, slope)).sum())
        analytical = float((g * v).sum())
        # what the two could differ by from rounding alone is about 1e-12 of the outputs' size
        scale = max(float(abs(g * v).sum()), abs(numerical)) + 1e-4 * size_of_outputs
        error = abs(analytical - numerical) / scale if analytical != numerical else 0.0
        if not message and not error <= worst:
            worst = error
            if not error <= TOLERANCE:
                message = (
                    f"the gradient of input {i}, shape {x.shape}: <u, J v> is {numerical:.10g} by "
                    f"finite differences, {analytical:.10g} by the rule"
                )
    return worst, message


def _finite(y):
    return numpy.where(numpy.isfinite(y), y, 0)


# -- what else must hold at a sample -------------------------------------------------------------


def _gradients(case, us, record=False):
    xs = _leaves(case.arrays)
    return _values(_backward(case(*xs), xs, [_tensor(u) for u in us], record))


def _cotangents(case, rng, dtype=numpy.float64):
    ys = case(*map(_tensor, case.arrays))
    return [_random_signs(rng, y.array.shape, 0.5, 1.5).astype(y.array.dtype) for y in ys]


def _same(first, second, tolerance):
    """Whether two lists of arrays agree, up to a part of their largest number."""
    return all(
        a.shape == b.shape
        and numpy.allclose(
            a, b, rtol=tolerance, atol=tolerance * _finite(abs(b)).max(initial=0), equal_nan=True
        )
        for a, b in zip(first, second, strict=True)
    )


def strided(array):
    """The same numbers, laid out in memory backwards, transposed and with gaps."""
    if array.ndim == 0:
        return array
    xp = array_module(array)
    holder = xp.empty([2 * n for n in reversed(array.shape)], array.dtype)
    view = holder.T[(slice(None, None, -2),) * array.ndim]
    view[...] = array
    return view


def _both_modes(case, rng):
    """The backward on arrays and the one that records give the same numbers."""
    us = _cotangents(case, rng)
    if not _same(_gradients(case, us, record=True), _gradients(case, us), 1e-10):
        return "the gradient under create_graph=True differs from the ordinary one"
    return None


def _inputs_unchanged(case, rng):
    """Neither the forward nor the backward writes into what it was given."""
    us = _cotangents(case, rng)
    arrays = case.every_array() + us
    before = [x.tobytes() for x in arrays]
    for record in (False, True):
        _place.copies = copies = []
        try:
            _gradients(case, us, record)
        finally:
            _place.copies = None
        found = [*zip(arrays, before, strict=True), *copies]
        for i, (x, old) in enumerate(found):
            if x.tobytes() != old:
                return f"array {i} of the inputs, options and gradients was written into"
    return None


def _any_memory_layout(case, rng):
    """Transposed, reversed and strided arrays give the same, and so do repeated gradients."""
    us = _cotangents(case, rng)
    expected = _values(case(*map(_tensor, case.arrays)))
    other = case.changed(strided)
    if not _same(_values(other(*map(_tensor, other.arrays))), expected, 1e-10):
        return "non-contiguous inputs give another result"
    if not case.arrays:
        return None
    if not _same(_gradients(other, [strided(u) for u in us]), _gradients(case, us), 1e-10):
        return "non-contiguous inputs give another gradient"
    repeated = [numpy.broadcast_to(numpy.asarray(0.7, u.dtype), u.shape) for u in us]
    copied = [u.copy() for u in repeated]
    if not _same(_gradients(case, repeated), _gradients(case, copied), 1e-10):
        return "a gradient that repeats one number in memory (as sum() sends back) is misread"
    return None


def _to_single(x):
    return x.astype(numpy.float32) if x.dtype == numpy.float64 else x


def _single_precision(case, rng):
    """float32 in gives float32 out, float32 from every rule, and nearly the float64 numbers."""
    if "dtype" in case.options:
        return None
    single = case.changed(_to_single)
    positions = [i for i, x in enumerate(case.arguments) if _is_float(x)]
    single.where = [i for i in positions if i in case.where]
    single.arrays = [single.arguments[i] for i in single.where]
    xs = _leaves(single.arrays)
    ys = single(*xs)
    for i, y in enumerate(ys):
        if y.array.dtype != numpy.float32 and positions:
            return f"float32 inputs give {y.dtype} in output {i}"
    us = _cotangents(case, rng)
    narrow = [u.astype(numpy.float32) for u in us]
    if not _same(_values(ys), _values(case(*map(_tensor, case.arrays))), 1e-4):
        return "the float32 result is far from the float64 one"
    for node in {y.grad_fn for y in ys if y.requires_grad}:
        indices = {y.output_nr: u for y, u in zip(ys, narrow, strict=True) if y.grad_fn is node}
        incoming = [_moved(indices.get(i)) for i in range(len(node.outputs))]
        for i, g in enumerate(node.backward(incoming, False, None)):
            if g is not None and g.dtype != numpy.float32:
                return f"float32 in, but rule {i} of {node.name()} gives {g.dtype}"
    if case.arrays and not _same(_gradients(single, narrow), _gradients(case, us), 1e-3):
        return "the float32 gradient is far from the float64 one"
    return None


def _freed_without_collector(case, rng):
    """The graph has no reference cycles: it is gone as soon as nobody holds its results."""
    us = [_tensor(u) for u in _cotangents(case, rng)]
    xs = _leaves(case.arrays)
    enabled = gc.isenabled()
    gc.disable()
    try:
        ys = case(*xs)
        gradients = _backward(ys, xs, us, record=True)
        results = [*ys, *gradients]
        watched = [weakref.ref(y) for y in results]
        watched += [weakref.ref(y.grad_fn) for y in results if y.grad_fn is not None]
        del ys, gradients, results
        if any(reference() is not None for reference in watched):
            return "the graph lives on in a reference cycle after its results are gone"
    finally:
        if enabled:
            gc.enable()
    return None


def _other_inputs_do_not_matter(case, rng):
    """A float input without a rule passes no gradient on: then no output may depend on it."""
    for i in case.others:
        x = case.arguments[i]
        v = STEP * _random_signs(rng, x.shape, 0.5, 1.0)
        moved = Case(case.function, [*case.arguments, case.options], [i])
        pairs = zip(_values(moved(_tensor(x + v))), _values(moved(_tensor(x - v))), strict=True)
        if not all(numpy.array_equal(a, b, equal_nan=True) for a, b in pairs):
            return f"input {i} has no rule, but the output depends on it"
    return None


FIRST_ORDER = (
    _inputs_unchanged,
    _both_modes,
    _any_memory_layout,
    _single_precision,
    _freed_without_collector,
    _other_inputs_do_not_matter,
)


# -- the table -----------------------------------------------------------------------------------


def _problem(error):
    return f"{type(error).__name__}: {error}"


def check_case(case, name, orders=(1, 2), properties=FIRST_ORDER, seed=0):
    """The rows for one function at one sample."""
    rows = []
    function, arrays = case, list(case.arrays)
    shown = case.describe()
    for order in range(1, max(orders, default=0) + 1):
        rng = numpy.random.default_rng(seed + order)
        if order in orders:
            error, message = math.nan, ""
            try:
                error, message = compare_slopes(function, arrays, rng)
                for check in properties if order == 1 else ():
                    message = message or check(case, rng) or ""
            except Exception as problem:  # whatever an op raises becomes a row of the table
                message = message or _problem(problem)
            rows.append(Row(name, shown, order, error, not message, message))
            if message:
                break
        if order < max(orders):
            outputs = function(*map(_tensor, arrays), record=False)
            us = [_random_signs(rng, y.array.shape, 0.5, 1.5) for y in outputs]
            function, arrays = Gradient(function, len(arrays)), [*arrays, *us]
    return rows


def _without_gradient(op, case):
    """An op without rules: its result must say that no gradient flows through it."""
    xs = _leaves(case.arrays)
    ys = case(*xs)
    if any(y.requires_grad for y in ys):
        return "there is no rule, but the output requires a gradient"
    rng = numpy.random.default_rng(0)
    before = [x.tobytes() for x in case.every_array()]
    plain = Case(case.function, [*case.arguments, case.options], ())
    message = _any_memory_layout(plain, rng)
    if [x.tobytes() for x in case.every_array()] != before:
        message = "an input was written into"
    return message


def rule_positions(op: Op, count: int) -> list[int]:
    """Which of an op's inputs have a gradient rule."""
    last = len(op.inputs) - 1
    return [i for i in range(count) if op.inputs[min(i, last)] in op.rules]


def samples_of(op: Op) -> list[tuple]:
    """An op's samples, the same at every call."""
    return op.make_samples(Rand(zlib.crc32(op.name.encode())))


def check_sample(op: Op, sample: tuple, orders=(1, 2)) -> list[Row]:
    """The rows for one op at one of its samples."""
    sample = sample if isinstance(sample, tuple) else (sample,)
    count = len(sample) - (isinstance(sample[-1], dict) if sample else 0)
    if op.rules:
        case = Case(op, sample, rule_positions(op, count))
        return check_case(case, op.name, orders)
    case = Case(op, sample)
    try:
        message = _without_gradient(op, case) or ""
    except Exception as problem:  # whatever an op raises becomes a row of the table
        message = _problem(problem)
    return [Row(op.name, case.describe(), min(orders, default=1), 0.0, not message, message)]


def check_op(op: Op, orders=(1, 2)) -> list[Row]:
    """The rows for one op at all its samples; an op without samples fails."""
    samples = []
    problem = "the op has no samples"
    if op.make_samples is not None:
        try:
            samples = samples_of(op)
            problem = "the op has an empty list of samples"
        except Exception as error:  # whatever a sample raises becomes a row of the table
            problem = f"samples: {_problem(error)}"
    if not samples:
        return [Row(op.name, "-", min(orders, default=1), math.nan, False, problem)]
    return [row for sample in samples for row in check_sample(op, sample, orders)]


def check_errors(op: Op) -> list[str]:
    """What is wrong with an op's error samples: each must raise as declared, changing nothing."""
    if op.make_errors is None:
        return []
    problems = []
    for i, (arguments, exception, pattern) in enumerate(
        op.make_errors(Rand(zlib.crc32(op.name.encode())))
    ):
        case = Case(op, arguments)
        before = [(x, x.tobytes()) for x in case.every_array()]
        _place.copies = before
        leaves = _leaves(case.arrays)
        try:
            case(*leaves)
        except exception as error:
            if not re.search(pattern, str(error)):
                problems.append(f"error sample {i}: {str(error)!r} does not match {pattern!r}")
        except Exception as error:  # the wrong type of error is the finding
            problems.append(f"error sample {i}: {exception.__name__} expected, {_problem(error)}")
        else:
            problems.append(f"error sample {i}: {exception.__name__} expected, nothing was raised")
        finally:
            _place.copies = None
        if any(x.tobytes() != old for x, old in before):
            problems.append(f"error sample {i}: an input was changed before the error")
        if any(x._version[0] for x in leaves):
            problems.append(f"error sample {i}: a version counter moved before the error")
    return problems


def run_checks(names=None, orders=(1, 2), progress=None, registry=None) -> list[Row]:
    """Check every registered op, or those named: one row per op, sample and order.

    progress: called as progress(op name, number done, number of ops) before each op.
    Raises ValueError for a name that no op has.
    """
    registry = REGISTRY if registry is None else registry
    names = list(registry) if names is None else [names] if isinstance(names, str) else list(names)
    unknown = [name for name in names if name not in registry]
    if unknown:
        raise ValueError(f"there is no op called {', '.join(unknown)}; ops: {', '.join(registry)}")
    rows = []
    for done, name in enumerate(names):
        if progress is not None:
            progress(name, done, len(names))
        rows += check_op(registry[name], orders)
    return rows
