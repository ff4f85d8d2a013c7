"""The tape: what a node of the graph is, and the walk from a loss back to its leaves.

Every differentiable operation leaves a `Node`: which rules to run, what they need, and where their
results go. Nodes are numbered as they are made, so an operation's number is larger than those of
the operations it used: taking the largest number first is a topological order, found with a heap
instead of recursion. A node never refers to its own output tensor, so a graph has no reference
cycles and disappears when its last tensor does.
"""

import functools
import heapq
import itertools
import sys
import threading
import traceback

import numpy

from . import autocasting, backend
from .sparse import UnreadRows

serial_numbers = itertools.count()


class _State(threading.local):
    """What this thread is doing: recording or not, looking for NaN or not."""

    grad = True
    inference = False
    anomaly = False
    anomaly_nan = True


state = _State()


class _GradMode:
    """A context manager that is a decorator too: sets `state.grad` inside, restores it after."""

    def __init__(self, enabled: bool):
        self.enabled = enabled
        self.before = []

    def __enter__(self):
        self.before.append(state.grad)
        state.grad = self.enabled

    def __exit__(self, *exc):
        state.grad = self.before.pop()

    def __call__(self, function):
        enter = type(self)
        again = self._arguments()

        @functools.wraps(function)
        def inside(*args, **kwargs):
            with enter(*again):
                return function(*args, **kwargs)

        return inside

    def _arguments(self):
        return ()


class no_grad(_GradMode):
    """Inside, nothing is recorded: `with no_grad():` or `@no_grad()`."""

    def __new__(cls, function=None):
        self = object.__new__(cls)
        if function is None:
            return self
        self.__init__()
        return self(function)  # @no_grad without parentheses

    def __init__(self):
        super().__init__(False)


class enable_grad(_GradMode):
    """Inside, operations are recorded again, also within `no_grad`."""

    __new__ = no_grad.__new__

    def __init__(self):
        super().__init__(True)


class set_grad_enabled(_GradMode):
    """Switch recording on or off: at once as a function, or inside a `with` block."""

    def __init__(self, mode: bool):
        super().__init__(bool(mode))
        self.at_call = state.grad
        state.grad = self.enabled

    def __enter__(self):
        self.before.append(self.at_call)
        state.grad = self.enabled

    def __call__(self, function):
        state.grad = self.at_call  # used as a decorator: the call itself changes nothing
        return super().__call__(function)

    def _arguments(self):
        return (self.enabled,)


class inference_mode(_GradMode):
    """As `no_grad`; tensors made inside can't be used in a recorded computation's backward."""

    def __new__(cls, mode=True):
        self = super().__new__(cls)
        if not callable(mode):
            return self
        self.__init__()
        return self(mode)

    def __init__(self, mode: bool = True):
        super().__init__(not mode)
        self.inference = mode

    def __enter__(self):
        self.before.append((state.grad, state.inference))
        state.grad = state.grad and self.enabled
        state.inference = self.inference

    def __exit__(self, *exc):
        state.grad, state.inference = self.before.pop()

    def _arguments(self):
        return (self.inference,)


def is_grad_enabled() -> bool:
    """True if operations are being recorded in this thread."""
    return state.grad


def is_inference_mode_enabled() -> bool:
    """True inside `inference_mode`."""
    return state.inference


class set_detect_anomaly:
    """Look for NaN in every gradient, and remember where each operation was called."""

    def __init__(self, mode: bool, check_nan: bool = True):
        self.before = state.anomaly, state.anomaly_nan
        state.anomaly, state.anomaly_nan = mode, check_nan

    def __enter__(self):
        return None

    def __exit__(self, *exc):
        state.anomaly, state.anomaly_nan = self.before


class detect_anomaly(set_detect_anomaly):
    """`with detect_anomaly():` names the operation, and the line, that made the first NaN.

    Both passes must run inside: the forward one records a traceback for each operation, the
    backward one looks at every gradient, so it is slow.
    """

    def __init__(self, check_nan: bool = True):
        self.check_nan = check_nan

    def __enter__(self):
        super().__init__(True, self.check_nan)


class Released:
    """Stands where a node's saved arrays were, once backward has used and dropped them."""


class Node:
    """One operation in the graph: `edges[i]` is where the gradient of input i goes.

    An edge is (target, output index, shape, dtype): target is the Node that made that input, or,
    for a leaf, the Tensor itself; the gradient is brought to that shape and dtype on its way.
    """

    __slots__ = ("__weakref__", "edges", "hooks", "outputs", "retained", "serial", "trace")

    def __init__(self, edges, outputs):
        self.edges = edges
        self.outputs = outputs  # per output: (shape, dtype)
        self.serial = next(serial_numbers)
        self.hooks = None  # {output index: [function, ...]}
        self.retained = None  # {output index: weak reference to the tensor that wants .grad}
        self.trace = traceback.extract_stack()[:-3] if state.anomaly else None

    def name(self) -> str:
        """The name that printing shows, such as MulBackward0."""
        raise NotImplementedError

    def backward(self, grads, create_graph, wanted):
        """The gradients of the inputs, one per edge, from those of the outputs."""
        raise NotImplementedError

    def release(self) -> None:
        """Drop what was saved for the backward pass."""

    @property
    def next_functions(self):
        """The nodes that this one passes its gradients to, as torch shows them."""
        return tuple(
            (edge[0] if isinstance(edge[0], Node) else AccumulateGrad(edge[0]), edge[1])
            if edge is not None
            else (None, 0)
            for edge in self.edges
        )

    def __repr__(self):
        return f"<{self.name()} object at {id(self):#x}>"


class AccumulateGrad:
    """The end of a path: adds what arrives to `variable.grad`. Made for looking at, on demand."""

    def __init__(self, variable):
        self.variable = variable
        self.next_functions = ()

    def name(self) -> str:
        return "AccumulateGrad"

    def __repr__(self):
        return f"<AccumulateGrad object at {id(self.variable):#x}>"


class _Knot:
    """What the engine needs from the layers above it; tied once, at the foot of tensor.py."""

    wrap = None  # array -> Tensor
    add = None  # the three ops that a gradient may pass on its way along an edge
    sum_to = None
    cast = None


knot = _Knot()


class Gradients:
    """The gradients that have arrived at one node and wait for their turn, one per output."""

    __slots__ = ("owned", "values")

    def __init__(self, count):
        self.values = [None] * count
        self.owned = [False] * count

    def add(self, i, g):
        """values[i] += g, in place only where the sum is known to be nobody else's."""
        present = self.values[i]
        if present is None:
            self.values[i] = g
        elif self.owned[i] and type(g) is type(present) is numpy.ndarray:
            numpy.add(present, g, out=present)
        else:
            self.values[i] = total = knot.add(present, g)
            self.owned[i] = type(total) is numpy.ndarray


def fit(g, shape, dtype):
    """A gradient brought to its input's shape (summed where it was broadcast) and dtype."""
    if g.shape != shape:
        g = knot.sum_to(g, shape=shape)
    if g.dtype != dtype:
        g = knot.cast(g, dtype=dtype)
    return g


def run_backward(roots, seeds, *, create_graph, retain_graph, inputs=None, accumulate=True):
    """Send gradients from the root tensors back through the graph.

    roots, seeds: tensors and their gradients, arrays (or Tensors under create_graph).
    inputs: None for every leaf, or the tensors whose gradients are wanted.
    accumulate: add to `.grad` of the leaves; otherwise return the gradients of `inputs`, in order,
    None where a tensor has no part in the roots.
    """
    captured = {}
    wanted = None
    if inputs is not None:
        captured = {_place(tensor): None for tensor in inputs}
        wanted = _leading_to(roots, captured)
    pending = {}
    leaves = {}
    heap = []

    def deliver(target, index, g):
        if wanted is not None and target not in wanted and (target, index) not in wanted:
            return
        if isinstance(target, Node):
            if type(g) is UnreadRows:
                g = g.to_dense()
            arrived = pending.get(target)
            if arrived is None:
                arrived = pending[target] = Gradients(len(target.outputs))
                heapq.heappush(heap, (-target.serial, target))
            arrived.add(index, g)
        else:
            arrived = leaves.get(target)
            if arrived is None:
                arrived = leaves[target] = Gradients(1)
            arrived.add(0, g)

    before = state.grad
    state.grad = create_graph
    quiet = numpy.errstate(all="ignore")  # a gradient may be inf or nan without a warning
    quiet.__enter__()
    settled = autocasting.outside()  # the forward pass has chosen the dtypes
    settled.__enter__()
    several = backend.gpus > 1  # then each step runs where its arrays are
    try:
        for root, seed in zip(roots, seeds, strict=True):
            deliver(*_place(root), seed)
        while heap:
            _, node = heapq.heappop(heap)
            arrived = pending.pop(node)
            grads = arrived.values
            if node.hooks is not None or node.retained is not None:
                _observe(node, arrived, create_graph)
            if captured:
                for i, g in enumerate(grads):
                    if g is not None and (node, i) in captured:
                        captured[node, i] = g
            if wanted is not None and node not in wanted:
                continue
            if several:
                with backend.native_device(*grads):
                    results = node.backward(grads, create_graph, wanted)
            else:
                results = node.backward(grads, create_graph, wanted)
            if state.anomaly and state.anomaly_nan:
                _look_for_nan(node, results)
            if not retain_graph:
                node.release()
            del grads, arrived
            for edge, g in zip(node.edges, results, strict=True):
                if g is not None and edge is not None:
                    deliver(edge[0], edge[1], fit(g, edge[2], edge[3]))
            results = g = None
        for leaf, arrived in leaves.items():
            total = arrived.values[0]
            if type(total) is UnreadRows and (leaf._grad_hooks or (leaf, 0) in captured):
                total = arrived.values[0] = total.to_dense()
            total = leaf._run_hooks(total, create_graph)
            if (leaf, 0) in captured:
                captured[leaf, 0] = total
            if accumulate:
                arrived.values[0] = None
                captured.pop((leaf, 0), None)
                owned = arrived.owned[0] or (
                    sys.getrefcount(total) == UNSHARED
                    and (getattr(total, "base", 0) is None or _whole(total))
                )
                if several:
                    with backend.native_device(total):
                        leaf._accumulate(total, owned, create_graph)
                else:
                    leaf._accumulate(total, owned, create_graph)
        if accumulate and inputs is not None:
            for tensor in inputs:
                place = _place(tensor)
                if captured.get(place) is not None:
                    tensor._accumulate(captured[place], False, create_graph)
    except MemoryError as error:
        raise backend.out_of_memory(f"backward of {node.name()}", error) from error
    finally:
        settled.__exit__()
        quiet.__exit__()
        state.grad = before
    if accumulate:
        return None
    return [captured[_place(tensor)] for tensor in inputs]


def _whole(view):
    """True for a view that nobody else sees: all of an array that only the view refers to."""
    base = getattr(view, "base", None)
    return (
        type(base) is numpy.ndarray
        and base.base is None
        and base.size == view.size
        and view.flags.c_contiguous
        and sys.getrefcount(base) == UNSHARED + 1
    )


def _place(tensor):
    """Where a tensor's gradient arrives: (node, output index), or (the leaf itself, 0)."""
    if tensor._base is not None:
        tensor._refresh()
    node = tensor._node
    return (tensor, 0) if node is None else (node, tensor._index)


def _leading_to(roots, captured):
    """The captured places, and the nodes on a path to one: only their rules need to run."""
    found = {}
    stack = [target for target, _ in map(_place, roots) if isinstance(target, Node)]
    while stack:
        node = stack.pop()
        if node.serial in found:
            continue
        found[node.serial] = node
        stack.extend(edge[0] for edge in node.edges if edge and isinstance(edge[0], Node))
    leading = set(captured)
    for serial in sorted(found):
        node = found[serial]
        for edge in node.edges:
            if edge and ((edge[0], edge[1]) in leading or edge[0] in leading):
                leading.add(node)
                break
    return leading


def _observe(node, arrived, create_graph):
    """Run the hooks of a node's outputs on their gradients, and keep those that are wanted."""
    for i, g in enumerate(arrived.values):
        if g is None:
            continue
        for hook in (node.hooks or {}).get(i, {}).copy().values():
            result = hook(g if create_graph else knot.wrap(g))
            if result is not None:
                g = result if create_graph else result.array
                arrived.values[i] = g
                arrived.owned[i] = False
        reference = (node.retained or {}).get(i)
        tensor = reference() if reference else None
        if tensor is not None:
            tensor._accumulate(g, False, create_graph)


def _look_for_nan(node, results):
    for i, g in enumerate(results):
        array = getattr(g, "array", g)
        if type(array) is UnreadRows:
            array = array.to_dense()
        if array is None or array.dtype.kind not in "fV" or not (array != array).any():
            continue
        where = "(its forward pass ran outside detect_anomaly, so the line is not known)"
        if node.trace:
            where = "recorded at:\n" + "".join(traceback.format_list(_user_lines(node.trace)))
        raise RuntimeError(
            f"Function '{node.name()}' returned nan values in its {i}th output (the gradient of "
            f"its input {i}, shape {tuple(array.shape)}); the operation was {where}"
        )


def _user_lines(trace):
    """The innermost lines of a traceback that are not minigrad's own."""
    own = __file__.rsplit("engine.py", 1)[0]
    lines = [frame for frame in trace if not frame.filename.startswith(own)]
    return lines[-3:] or list(trace)[-3:]


def _count_when_unshared():
    """What sys.getrefcount says of an array that a single local name holds."""
    g = numpy.zeros(1)
    return sys.getrefcount(g)


UNSHARED = _count_when_unshared()
