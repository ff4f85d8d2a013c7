"""The profiler: where a program's time goes, operation by operation, under torch.profiler's names.

    model = nn.Sequential(nn.Linear(300, 200), nn.ReLU(), nn.Linear(200, 2))
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(64, 300), torch.randint(0, 2, (64,))
    with profile() as prof:
        with record_function("forward"):
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(prof.key_averages().table(sort_by="self_cpu_time_total", row_limit=6))

------------------------  ----------  ----------  -----------  ----------  ------------  ----------
Name                      Self CPU %    Self CPU  CPU total %   CPU total  CPU time avg  # of Calls
------------------------  ----------  ----------  -----------  ----------  ------------  ----------
Optimizer.step#Adam.step      41.07%    1.058 ms       41.07%    1.058 ms      1.058 ms           1
mm                            23.99%  618.027 us       23.99%  618.027 us    309.014 us           2
forward                       11.11%  286.146 us       44.54%    1.147 ms      1.147 ms           1
MmBackward0                    8.08%  208.139 us        8.08%  208.139 us    104.070 us           2
nll_loss                       5.95%  153.297 us        5.95%  153.297 us    153.297 us           1
NllLossBackward0               3.57%   91.966 us        3.57%   91.966 us     91.966 us           1
------------------------  ----------  ----------  -----------  ----------  ------------  ----------
6 of 12 rows, 93.77% of the time (row_limit=-1: all)
Self CPU time total: 2.576 ms (the profiler recorded for 2.833 ms)

A row per operation (`mul`) and per gradient rule (`MulBackward0`), plus the engine's own work:
AccumulateGrad, which adds to `.grad`; `sum_to_input`, the gradient of a broadcast input summed to
its shape; `add_gradients`, where a tensor was used twice. Self CPU is the time in the row itself,
CPU total also what ran inside it: a range of `record_function` has little of the one and much of
the other. Time is the clock's: a thread that waits is counted too.
"""

import enum
import functools
import json
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable

import numpy

from . import engine
from .autograd.function import Function, FunctionNode
from .backend import array_module
from .files import atomic
from .nn.module import Module
from .op import Op, OpNode, Variable
from .optim.optimizer import Optimizer
from .sparse import RowSparse
from .tensor import Tensor
from .utils.data import dataloader

_clock = time.perf_counter_ns

# -- what is recorded ----------------------------------------------------------------------------


class FunctionEvent:
    """One timed range: an operation's call, a backward rule's, or a range that a user named.

    Times are in microseconds from the start of the profiler; `cpu_time_total` is the whole range,
    `self_cpu_time_total` what is left of it without the ranges inside, `cpu_children`.
    Memory is in bytes: what the outputs take, where they do not share an input's memory.
    """

    __slots__ = (
        "category",
        "cpu_children",
        "cpu_memory_usage",
        "cpu_parent",
        "end_ns",
        "id",
        "input_shapes",
        "inside_ns",
        "lane",
        "name",
        "origin_ns",
        "self_cpu_memory_usage",
        "sequence_nr",
        "stack",
        "start_ns",
        "thread",
    )
    count = 1

    def __init__(self, name, category, lane, origin_ns):
        self.name = name
        self.category = category  # forward, backward, user_annotation or python_function
        self.lane = lane  # the ranges that are open in this thread, this one among them
        self.origin_ns = origin_ns
        self.cpu_parent = lane[-1] if lane else None
        self.cpu_children = []
        self.end_ns = None
        self.inside_ns = 0  # the time of the ranges inside
        self.input_shapes = []
        self.stack = []
        self.sequence_nr = -1  # the number of the graph's node: forward and backward share it
        self.self_cpu_memory_usage = 0
        self.cpu_memory_usage = 0

    @property
    def key(self) -> str:
        """The name under which averages are taken: all steps of the profiler are one."""
        return re.sub(r"^ProfilerStep#\d+$", "ProfilerStep*", self.name)

    @property
    def is_user_annotation(self) -> bool:
        """True for a range of `record_function`."""
        return self.category == "user_annotation"

    @property
    def time_range(self) -> "Interval":
        """Start and end."""
        start, end = (ns - self.origin_ns for ns in (self.start_ns, self.end_ns))
        return Interval(start / 1000, end / 1000)

    @property
    def cpu_time_total(self) -> float:
        """Microseconds from start to end."""
        return (self.end_ns - self.start_ns) / 1000

    cpu_time = cpu_time_total

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds outside the ranges inside."""
        return (self.end_ns - self.start_ns - self.inside_ns) / 1000

    def charge(self) -> None:
        """Add this range's time to the range around it, and its bytes.

        A range opened by hand may outlast the one around it; what sticks out belongs to the next.
        """
        self.cpu_memory_usage += self.self_cpu_memory_usage
        parent = self.cpu_parent
        if parent is None:
            return
        parent.cpu_children.append(self)
        parent.cpu_memory_usage += self.cpu_memory_usage
        start = self.start_ns
        while parent is not None and start < self.end_ns:
            end = min(parent.end_ns, self.end_ns)
            parent.inside_ns += max(0, end - start)
            start = max(start, end)
            parent = parent.cpu_parent

    def __repr__(self):
        return (
            f"<FunctionEvent id={self.id} name={self.name} cpu_time={_time(self.cpu_time)} "
            f"self_cpu_time={_time(self.self_cpu_time_total)} thread={self.thread} "
            f"cpu_children={[child.id for child in self.cpu_children]} "
            f"input_shapes={self.input_shapes}>"
        )


class Interval:
    """A stretch of time, in microseconds."""

    def __init__(self, start: float, end: float):
        self.start = start
        self.end = end

    def elapsed_us(self) -> float:
        """How long it is."""
        return self.end - self.start

    def __repr__(self):
        return f"Interval(start={self.start:.3f}, end={self.end:.3f})"


class _Lane(threading.local):
    """What one thread has open."""

    def __init__(self, threads):
        self.open = []
        self.names = None  # of the modules below the outermost one that is running: {id: path}
        self.thread = threading.get_native_id()
        threads[self.thread] = threading.current_thread().name


class _Recorder:
    """One recording: opens and closes ranges, in any thread."""

    def __init__(self, origin_ns, shapes=False, memory=False, stack=False):
        self.origin_ns = origin_ns
        self.shapes = shapes
        self.memory = memory
        self.with_stack = stack
        self.events = []
        self.threads = {}
        self.lane = _Lane(self.threads)
        self.running = True
        self.start_ns = _clock()

    def begin(self, name, category="forward", inputs=()):
        """Open a range; None if the recording has ended (a hook may outlive it in a thread)."""
        if not self.running:
            return None
        lane = self.lane
        event = FunctionEvent(name, category, lane.open, self.origin_ns)
        event.thread = lane.thread
        if self.shapes:
            event.input_shapes = [list(getattr(x, "shape", ())) for x in inputs]
        if self.with_stack:
            event.stack = _python_stack()
        lane.open.append(event)
        self.events.append(event)
        event.start_ns = _clock()
        return event

    def end(self, event):
        """Close a range, whatever has been left open inside it."""
        if event is None:
            return
        now = _clock()
        if self.running:
            event.end_ns = now
        if event.lane[-1] is event:
            event.lane.pop()
        else:
            event.lane.remove(event)

    def range(self, name, category="forward", inputs=()):
        """`with recorder.range(name) as event:` opens a range and closes it."""
        return _Range(self, name, category, inputs)

    def finish(self):
        """End the recording, and what is still open; the events, in the order of their start."""
        self.running = False
        now = _clock()
        events = EventList(self.events, elapsed_us=(now - self.start_ns) / 1000)
        events.with_memory = self.memory
        for i, event in enumerate(events):
            event.id = i
            if event.end_ns is None:
                event.end_ns = now
        for event in reversed(events):  # children before their parents
            event.charge()
        for event in events:
            event.cpu_children.reverse()
        return events


class _Range:
    """A range as a context manager."""

    __slots__ = ("arguments", "event", "recorder")

    def __init__(self, recorder, *arguments):
        self.recorder = recorder
        self.arguments = arguments

    def __enter__(self):
        self.event = self.recorder.begin(*self.arguments)
        return self.event

    def __exit__(self, *exc):
        self.recorder.end(self.event)


_PACKAGE = os.path.dirname(__file__) + os.sep
_USER_FOLDERS = tuple(os.path.join(_PACKAGE, folder, "") for folder in ("models", "train"))


def _python_stack():
    """The lines that led here, innermost first, without the library's own but the models'."""
    lines = []
    frame = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        if not file.startswith(_PACKAGE) or file.startswith(_USER_FOLDERS):
            lines.append(f"{file}({frame.f_lineno}): {code.co_name}")
        frame = frame.f_back
    return lines


# -- the hooks -----------------------------------------------------------------------------------
#
# Nothing in the library asks whether a profiler is active. A recording puts timed versions of a few
# functions in the place of the originals, on their classes, and puts the originals back at its end.


class _Swap:
    """Functions replaced on their classes, until `undo`."""

    def __init__(self):
        self.originals = []

    def replace(self, owner, name, make):
        """owner.name = make(the function that stands there)."""
        original = vars(owner)[name]
        self.originals.append((owner, name, original))
        setattr(owner, name, make(original))

    def undo(self):
        """The originals again."""
        while self.originals:
            setattr(*self.originals.pop())


def _install(swap, recorder, with_modules):
    """Put the timed versions in place."""
    swap.replace(Op, "__call__", lambda call: _timed_op(recorder, call))
    for node in (OpNode, FunctionNode):
        swap.replace(node, "backward", lambda backward: _timed_backward(recorder, backward))
    swap.replace(engine, "fit", lambda fit: _timed_fit(recorder, fit))
    swap.replace(engine.Gradients, "add", lambda add: _timed_add(recorder, add))
    swap.replace(Tensor, "_accumulate", lambda add: _timed_accumulate(recorder, add))
    for cls in _with_subclasses(Optimizer):
        for name in ("step", "zero_grad"):
            if name in vars(cls):
                swap.replace(cls, name, lambda call: _timed_optimizer(recorder, call))
    for cls, name in _LOADERS.items():
        swap.replace(cls, "__next__", lambda call, name=name: _timed_fetch(recorder, call, name))
    for cls in _with_subclasses(Function):  # not apply: scripts keep it, `exp = MyExp.apply`
        if cls is not Function and isinstance(vars(cls).get("forward"), staticmethod):
            name = cls.__name__
            swap.replace(
                cls, "forward", lambda call, name=name: _timed_function(recorder, call, name)
            )
    if with_modules:
        swap.replace(Module, "__call__", lambda call: _timed_module(recorder, call))


def _with_subclasses(cls):
    yield cls
    for subclass in cls.__subclasses__():
        yield from _with_subclasses(subclass)


@functools.cache
def _row_name(op):
    """The row of an op's calls: what grad_fn calls it, in the spelling of functions.

    `reduce_sum`, whose node is SumBackward0, is `sum`: what the user wrote.
    """
    if op.display == "".join(part.title() for part in op.name.split("_")):
        return op.name
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", op.display).lower()


def _timed_op(recorder, original):
    @functools.wraps(original)
    def __call__(self, *inputs, **options):
        # Bare arrays: a rule at work, or an op within an op. By name: the op calls itself again,
        # with its inputs in order.
        by_name = len(inputs) != self.arity and not self.variadic or "out" in options
        if by_name or not any(isinstance(x, Variable) for x in inputs):
            return original(self, *inputs, **options)
        with recorder.range(_row_name(self), "forward", inputs) as event:
            result = original(self, *inputs, **options)
        if event is not None:
            outs = result if type(result) is tuple else (result,)
            node = outs[0]._node
            if isinstance(node, OpNode) and node.op is self:
                event.sequence_nr = node.serial
            if recorder.memory:
                event.self_cpu_memory_usage = _new_bytes(outs, inputs)
        return result

    return __call__


def _timed_function(recorder, original, name):
    original = original.__func__

    @functools.wraps(original)
    def forward(*args, **kwargs):
        inputs = args[1:] if args and isinstance(args[0], FunctionNode) else args
        with recorder.range(name, "forward", inputs):
            return original(*args, **kwargs)

    return staticmethod(forward)


def _timed_backward(recorder, original):
    @functools.wraps(original)
    def backward(self, grads, create_graph, wanted):
        saved = getattr(self, "saved", ()) if recorder.memory else ()
        with recorder.range(self.name(), "backward", grads) as event:
            results = original(self, grads, create_graph, wanted)
        if event is not None:
            event.sequence_nr = self.serial
            # recorded ops, if there were any, have counted their own outputs
            if recorder.memory and not create_graph and isinstance(self, OpNode):
                event.self_cpu_memory_usage = _new_bytes(results, (grads, saved))
        return results

    return backward


def _timed_fit(recorder, original):
    @functools.wraps(original)
    def fit(g, shape, dtype):
        if isinstance(g, Variable) or g.shape == shape and g.dtype == dtype:
            return original(g, shape, dtype)
        with recorder.range("autograd::engine::sum_to_input", "backward", (g,)) as event:
            result = original(g, shape, dtype)
        if event is not None and recorder.memory:
            event.self_cpu_memory_usage = _new_bytes((result,), (g,))
        return result

    return fit


def _timed_add(recorder, original):
    @functools.wraps(original)
    def add(self, i, g):
        present = self.values[i]
        if present is None or isinstance(present, Variable):
            original(self, i, g)
            return
        with recorder.range("autograd::engine::add_gradients", "backward", (present, g)) as event:
            original(self, i, g)
        if event is not None and recorder.memory:
            event.self_cpu_memory_usage = _new_bytes((self.values[i],), (present, g))

    return add


def _timed_accumulate(recorder, original):
    @functools.wraps(original)
    def _accumulate(self, g, owned, create_graph):
        if self._node is not None:  # retain_grad() of a tensor inside the graph
            original(self, g, owned, create_graph)
            return
        before = self._grad
        with recorder.range("AccumulateGrad", "backward", (g,)) as event:
            original(self, g, owned, create_graph)
        if event is not None and recorder.memory and not create_graph:
            event.self_cpu_memory_usage = _new_bytes((self._grad,), (g, before))

    return _accumulate


def _timed_optimizer(recorder, original):
    @functools.wraps(original)
    def method(self, *args, **kwargs):
        name = f"Optimizer.{original.__name__}#{type(self).__name__}.{original.__name__}"
        around = recorder.lane.open
        if around and around[-1].name == name:  # super().step() within a subclass's step
            return original(self, *args, **kwargs)
        with recorder.range(name, "user_annotation"):
            return original(self, *args, **kwargs)

    return method


_LOADERS = {  # with the names that torch gives to the same two iterators
    dataloader._HereIterator: "_SingleProcessDataLoaderIter",
    dataloader._WorkersIterator: "_MultiProcessingDataLoaderIter",
}


def _timed_fetch(recorder, original, name):
    name = f"enumerate(DataLoader)#{name}.__next__"

    @functools.wraps(original)
    def __next__(self):
        with recorder.range(name, "user_annotation"):
            return original(self)

    return __next__


def _timed_module(recorder, original):
    @functools.wraps(original)
    def __call__(self, *args, **kwargs):
        lane = recorder.lane
        outermost = lane.names is None
        kind = type(self).__name__
        if outermost:
            lane.names = {
                id(m): f"{kind}.{path}" if path else kind for path, m in self.named_modules()
            }
        name = lane.names.get(id(self), kind)
        try:
            with recorder.range(f"nn.Module: {name}", "python_function", args):
                return original(self, *args, **kwargs)
        finally:
            if outermost:
                lane.names = None

    return __call__


def _arrays(values):
    """All arrays in Tensors, gradients and nested sequences of them."""
    for value in values:
        value = getattr(value, "array", value)
        if isinstance(value, RowSparse):
            value = value.rows
        if isinstance(value, (tuple, list)):
            yield from _arrays(value)
        elif hasattr(value, "nbytes") and not isinstance(value, numpy.generic):
            yield value


def _new_bytes(outs, inputs):
    """The bytes of the outputs that share no memory with an input."""
    given = list(_arrays(inputs))
    return sum(
        out.nbytes
        for out in _arrays(outs)
        if not any(array_module(out).may_share_memory(out, x) for x in given)
    )


# -- averages and the table ----------------------------------------------------------------------

_SORT_KEYS = (
    "self_cpu_time_total",
    "cpu_time_total",
    "cpu_time",
    "self_cpu_memory_usage",
    "cpu_memory_usage",
    "count",
)


class FunctionEventAvg:
    """One row of the table: all events of one name, and of one shape where that was asked for."""

    def __init__(self, key, input_shapes=None, stack=()):
        self.key = key
        self.input_shapes = input_shapes
        self.stack = list(stack)
        self.is_user_annotation = False
        self.count = 0
        self.cpu_time_total = 0.0
        self.self_cpu_time_total = 0.0
        self.cpu_memory_usage = 0
        self.self_cpu_memory_usage = 0

    @property
    def cpu_time(self) -> float:
        """Microseconds of one call, on average."""
        return self.cpu_time_total / self.count if self.count else 0.0

    def add(self, event, whole: bool = True) -> None:
        """Count an event; whole=False for one inside another of this row, counted there already."""
        self.count += event.count
        self.self_cpu_time_total += event.self_cpu_time_total
        self.self_cpu_memory_usage += event.self_cpu_memory_usage
        if whole:
            self.cpu_time_total += event.cpu_time_total
            self.cpu_memory_usage += event.cpu_memory_usage

    def __repr__(self):
        return (
            f"<FunctionEventAvg key={self.key} count={self.count} "
            f"self_cpu_time={_time(self.self_cpu_time_total)} cpu_time={_time(self.cpu_time)} "
            f"input_shapes={self.input_shapes}>"
        )


class EventList(list):
    """Events in the order of their start, or the rows that average them; prints as a table."""

    def __init__(self, events=(), elapsed_us=0.0, with_memory=False):
        super().__init__(events)
        self.elapsed_us = elapsed_us  # how long the profiler recorded
        self.with_memory = with_memory

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds in all ranges together, each moment of a thread counted once."""
        return sum(event.self_cpu_time_total for event in self)

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0
    ) -> "EventList":
        """The events of one name as one row; of one name and shape, or of one stack's top lines."""
        keys = {}
        rows = {}
        for event in self:
            shapes = str(event.input_shapes) if group_by_input_shape else None
            stack = tuple(event.stack[:group_by_stack_n])
            key = keys[event] = (event.key, event.is_user_annotation, shapes, stack)
            row = rows.get(key)
            if row is None:
                shapes = event.input_shapes if group_by_input_shape else None
                row = rows[key] = FunctionEventAvg(event.key, shapes, stack)
                row.is_user_annotation = event.is_user_annotation
            around = event.cpu_parent
            while around is not None and keys[around] != key:
                around = around.cpu_parent
            row.add(event, whole=around is None)
        return EventList(rows.values(), self.elapsed_us, self.with_memory)

    def total_average(self) -> FunctionEventAvg:
        """One row for all events."""
        total = FunctionEventAvg("Total")
        for event in self:
            total.add(event)
        return total

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
        time_unit: str | None = None,
    ) -> str:
        """The rows as text, largest first by `sort_by`; without it, in the order of their start.

        Self CPU is the time in the operation itself, CPU total also what ran inside it. Percentages
        are of the sum of the column Self CPU, the last line.
        sort_by: self_cpu_time_total, cpu_time_total, cpu_time (the average), count,
        self_cpu_memory_usage or cpu_memory_usage. row_limit: how many rows; negative = all.
        time_unit: "us", "ms" or "s" for all times; without it, each time has its own.
        """
        if sort_by is not None and sort_by not in _SORT_KEYS:
            raise ValueError(
                f"table: can't sort by {sort_by!r}; sort_by is one of {', '.join(_SORT_KEYS)}"
            )
        if time_unit not in (None, "us", "ms", "s"):
            raise ValueError(f"table: time_unit is 'us', 'ms' or 's', not {time_unit!r}")
        rows = list(self)
        if top_level_events_only:
            rows = [row for row in rows if getattr(row, "cpu_parent", None) is None]
        if sort_by is not None:
            rows.sort(key=lambda row: getattr(row, sort_by), reverse=True)
        shown = rows if row_limit < 0 else rows[:row_limit]
        whole = self.self_cpu_time_total

        columns = {
            "Name": [_shorten(row.key, max_name_column_width) for row in shown],
            "Self CPU %": [_percent(row.self_cpu_time_total, whole) for row in shown],
            "Self CPU": [_time(row.self_cpu_time_total, time_unit) for row in shown],
            "CPU total %": [_percent(row.cpu_time_total, whole) for row in shown],
            "CPU total": [_time(row.cpu_time_total, time_unit) for row in shown],
            "CPU time avg": [_time(row.cpu_time, time_unit) for row in shown],
        }
        if self.with_memory:
            columns["CPU Mem"] = [_memory(row.cpu_memory_usage) for row in shown]
            columns["Self CPU Mem"] = [_memory(row.self_cpu_memory_usage) for row in shown]
        columns["# of Calls"] = [str(row.count) for row in shown]
        if any(row.input_shapes for row in rows):
            columns["Input Shapes"] = [
                _shorten(str(row.input_shapes or []), max_shapes_column_width) for row in shown
            ]
        if any(row.stack for row in rows):
            columns["Source Location"] = [
                _shorten(row.stack[0] if row.stack else "", max_src_column_width, start=True)
                for row in shown
            ]

        left = ("Name", "Input Shapes", "Source Location")
        widths = {name: max(map(len, [name, *cells])) for name, cells in columns.items()}

        def line(cells):
            return "  ".join(
                cell.ljust(width) if name in left else cell.rjust(width)
                for cell, (name, width) in zip(cells, widths.items(), strict=True)
            ).rstrip()

        rule = "  ".join("-" * width for width in widths.values())
        lines = [header] if header is not None else []
        lines += [rule, line(columns), rule]
        lines += [line(cells) for cells in zip(*columns.values(), strict=True)]
        lines.append(rule)
        if len(shown) < len(rows):
            part = _percent(sum(row.self_cpu_time_total for row in shown), whole).strip()
            lines.append(
                f"{len(shown)} of {len(rows)} rows, {part} of the time (row_limit=-1: all)"
            )
        lines.append(
            f"Self CPU time total: {_time(whole, time_unit)} "
            f"(the profiler recorded for {_time(self.elapsed_us, time_unit)})"
        )
        return "\n".join(lines) + "\n"

    def __str__(self):
        return self.table()

    def export_chrome_trace(self, path) -> None:
        """Write events to a file for chrome://tracing or ui.perfetto.dev; whole or not at all."""
        _write_trace(path, self, {}, {})


def _time(us: float, unit: str | None = None) -> str:
    """A time with three decimals; where no unit is given, the largest that keeps it at least 1."""
    if unit is None:
        unit = "s" if us >= 1e6 else "ms" if us >= 1e3 else "us"
    return f"{us / {'us': 1, 'ms': 1e3, 's': 1e6}[unit]:.3f} {unit:>2}"


def _memory(size: int) -> str:
    for factor, unit in ((2**30, "GB"), (2**20, "MB"), (2**10, "KB")):
        if size >= factor:
            return f"{size / factor:.2f} {unit}"
    return f"{size}  B"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole if whole else 0:.2f}%"


def _shorten(text: str, width: int | None, start: bool = False) -> str:
    """The text in `width` characters; `...` stands for its end, or for its start."""
    if width is None or len(text) <= width or width <= 3:
        return text
    return "..." + text[3 - width :] if start else text[: width - 3] + "..."


# -- the trace -----------------------------------------------------------------------------------


def _write_trace(path, events, threads, metadata):
    """Events in Chrome's trace format: complete ("X") events, and an arrow from each forward call
    to its backward rule. Times in microseconds."""
    pid = os.getpid()
    entries = [{"ph": "M", "pid": pid, "name": "process_name", "args": {"name": "minigrad"}}]
    for tid, name in threads.items():
        entries.append(
            {"ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": {"name": name}}
        )
    forward = {}
    for event in events:
        place = {"pid": pid, "tid": event.thread, "ts": event.time_range.start}
        args = {"External id": event.id}
        if event.input_shapes:
            args["Input Dims"] = event.input_shapes
        if event.cpu_memory_usage:
            args["Bytes"] = event.cpu_memory_usage
        if event.stack:
            args["Call stack"] = event.stack
        if event.sequence_nr >= 0:
            args["Sequence number"] = event.sequence_nr
            arrow = {"cat": "fwdbwd", "name": "fwdbwd", "id": event.sequence_nr, **place}
            if event.category == "forward":
                forward[event.sequence_nr] = {"ph": "s", **arrow}
            elif event.sequence_nr in forward:
                entries += [forward.pop(event.sequence_nr), {"ph": "f", "bp": "e", **arrow}]
        entries.append(
            {
                "ph": "X",
                "cat": event.category,
                "name": event.name,
                **place,
                "dur": event.cpu_time_total,
                "args": args,
            }
        )
    trace = {"schemaVersion": 1, "displayTimeUnit": "ms", **metadata, "traceEvents": entries}
    data = json.dumps(trace).encode()
    if os.fspath(path).endswith(".gz"):
        import gzip  # slow to import, and few traces are compressed

        data = gzip.compress(data)
    with atomic(path) as file:
        file.write(data)


# -- what users call -----------------------------------------------------------------------------


class ProfilerActivity(enum.Enum):
    """What can be recorded: the CPU's work. CUDA is accepted; its kernels are not timed."""

    CPU = 0
    CUDA = 2


def supported_activities() -> set[ProfilerActivity]:
    """What can be recorded here."""
    return {ProfilerActivity.CPU}


class ProfilerAction(enum.Enum):
    """What the profiler does in one step: nothing, or recording; after the last, it hands over."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def schedule(
    *,
    wait: int,
    warmup: int,
    active: int,
    repeat: int = 0,
    skip_first: int = 0,
    skip_first_wait: int = 0,
) -> Callable[[int], ProfilerAction]:
    """Cycles of `wait` steps off, `warmup` steps before a recording, `active` recorded steps.

    repeat: how many cycles; 0 = until the end. skip_first: steps before the first cycle.
    skip_first_wait: 1 = the first cycle has no `wait`. Nothing is recorded in the steps of `wait`
    or `warmup`. Raises ValueError for a negative number, or no active step.
    """
    if min(wait, warmup, repeat, skip_first, skip_first_wait) < 0 or active <= 0:
        raise ValueError(
            f"schedule: wait={wait}, warmup={warmup}, repeat={repeat}, skip_first={skip_first}, "
            f"skip_first_wait={skip_first_wait} must be at least 0, active={active} at least 1"
        )
    cycle = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise ValueError(f"schedule: step {step} is negative")
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait:
            step += wait
        if repeat and step >= repeat * cycle:
            return ProfilerAction.NONE
        place = step % cycle
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < cycle - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def _always(step: int) -> ProfilerAction:
    return ProfilerAction.RECORD


_RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
_one_at_a_time = threading.Lock()
_current = None  # the profile between start() and stop()
_recorder = None  # its recording, in the steps that are recorded


class profile:
    """Record every operation inside `with profile() as prof:`, in all threads.

    activities: [ProfilerActivity.CPU]. schedule: step number -> ProfilerAction, see `schedule`;
    call `prof.step()` after every step. on_trace_ready: called with this profile when a recording
    ends. record_shapes, profile_memory, with_stack: also keep the inputs' shapes, the bytes of the
    outputs, the lines of the program. with_modules: a range, named by its path, for every module.
    acc_events: keep the events of all cycles, not only of the last.

    Only one profile can be active. Timing costs an operation about 3 us, with the options about 6.
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[["profile"], object] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        acc_events: bool = False,
    ):
        activities = set(supported_activities() if activities is None else activities)
        if ProfilerActivity.CPU not in activities or not activities <= set(ProfilerActivity):
            raise ValueError(
                "profile: No valid profiler activities found; use activities=[ProfilerActivity.CPU]"
            )
        if ProfilerActivity.CUDA in activities:
            warnings.warn("profile: CUDA kernels are not timed, only the calls that launch them")
        if with_flops:
            raise NotImplementedError("profile: with_flops=True is not supported; leave it out")
        self.activities = activities
        self.schedule = schedule or _always
        self.on_trace_ready = on_trace_ready
        self.record_shapes = record_shapes
        self.profile_memory = profile_memory
        self.with_stack = with_stack
        self.with_modules = with_modules
        self.acc_events = acc_events
        self.step_num = 0
        self.current_action = ProfilerAction.NONE
        self._steps_named = schedule is not None
        self._step_range = None
        self._events = None
        self._threads = {}
        self._metadata = {}
        self._swap = None

    def start(self) -> None:
        """Begin, as `with` does."""
        global _current
        with _one_at_a_time:
            if _current is not None:
                raise RuntimeError(
                    "profile.start: a profiler is active already; stop it before starting another"
                )
            _current = self
        self.step_num = 0
        self._origin_ns = _clock()
        self._events = None
        self._threads = {}
        try:
            self._enter(self.schedule(0))
        except BaseException:
            _current = None
            raise

    def stop(self) -> None:
        """End, as leaving `with` does; the library's functions are the original ones again."""
        global _current
        self._must_run("stop")
        recorded = self.current_action in _RECORDING
        try:
            self._leave()
        finally:
            self.current_action = ProfilerAction.NONE
            _current = None
        if recorded:
            self._hand_over()

    def step(self) -> None:
        """Say that a step of the program (a batch, say) is over, and the next one begins."""
        self._must_run("step")
        before = self.current_action
        self.step_num += 1
        action = self.schedule(self.step_num)
        if before in _RECORDING:
            if before is ProfilerAction.RECORD and action in _RECORDING:
                self._end_step()
            else:
                self._leave()
                self.current_action = ProfilerAction.NONE
                self._hand_over()
        self._enter(action)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()

    def _must_run(self, name):
        if _current is not self:
            raise RuntimeError(
                f"profile.{name}: the profiler is not running; call start() first, or use `with`"
            )

    def _enter(self, action):
        """Begin a step: a new recording if none is under way and the action asks for one."""
        global _recorder
        if action in _RECORDING:
            if self._swap is None:
                recorder = _Recorder(
                    self._origin_ns, self.record_shapes, self.profile_memory, self.with_stack
                )
                swap = _Swap()
                try:
                    _install(swap, recorder, self.with_modules)
                except BaseException:
                    swap.undo()
                    raise
                self._swap = swap
                _recorder = recorder
            if self._steps_named:
                self._step_range = _recorder.begin(
                    f"ProfilerStep#{self.step_num}", "user_annotation"
                )
        self.current_action = action

    def _end_step(self):
        _recorder.end(self._step_range)
        self._step_range = None

    def _leave(self):
        """End the recording under way, if there is one."""
        global _recorder
        if self._swap is None:
            return
        recorder = _recorder
        self._end_step()
        _recorder = None
        self._swap.undo()
        self._swap = None
        events = recorder.finish()
        if self.acc_events and self._events is not None:
            for event in events:
                event.id += len(self._events)
            self._events.extend(events)
            self._events.elapsed_us += events.elapsed_us
        else:
            self._events = events
        self._threads.update(recorder.threads)

    def _hand_over(self):
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def _finished(self, name):
        """The events, if there are any to look at."""
        if self._swap is not None:
            raise RuntimeError(
                f"profile.{name}: the profiler is still recording; call it after the `with` block, "
                "or in on_trace_ready"
            )
        if self._events is None:
            raise RuntimeError(
                f"profile.{name}: nothing has been recorded; run the program inside "
                "`with profile() as prof:`, and prof.step() up to the schedule's active steps"
            )
        return self._events

    def events(self) -> EventList:
        """All events, in the order of their start."""
        return self._finished("events")

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0
    ) -> EventList:
        """One row per name; see `EventList.key_averages`, and `.table()` to print them."""
        return self._finished("key_averages").key_averages(group_by_input_shape, group_by_stack_n)

    def export_chrome_trace(self, path) -> None:
        """Write the events to a .json (or .json.gz) for chrome://tracing or ui.perfetto.dev."""
        _write_trace(path, self._finished("export_chrome_trace"), self._threads, self._metadata)

    def export_stacks(self, path, metric: str = "self_cpu_time_total") -> None:
        """Write `outermost;...;innermost microseconds` lines, which flame graphs are drawn from."""
        if metric != "self_cpu_time_total":
            raise ValueError("export_stacks: metric should be one of: self_cpu_time_total")
        events = self._finished("export_stacks")
        if not self.with_stack:
            raise RuntimeError("export_stacks: no stacks were kept; use profile(with_stack=True)")
        with atomic(path, "w") as file:
            for event in events:
                time_us = int(event.self_cpu_time_total)
                if event.stack and time_us > 0:
                    frames = ";".join(reversed(event.stack)).replace(" ", "_")
                    file.write(f"{frames} {time_us}\n")

    def add_metadata(self, key: str, value: str) -> None:
        """Put a text into the trace file."""
        self._metadata[key] = value

    def add_metadata_json(self, key: str, value: str) -> None:
        """Put a JSON value, given as text, into the trace file."""
        self._metadata[key] = json.loads(value)


class record_function:
    """`with record_function("name"):` or `@record_function("name")` makes a row of one's own."""

    def __init__(self, name: str, args: str | None = None):
        self.name = name
        self.args = args
        self._open = []

    def __enter__(self):
        recorder = _recorder
        event = None if recorder is None else recorder.begin(self.name, "user_annotation")
        self._open.append((recorder, event))
        return self

    def __exit__(self, *exc):
        recorder, event = self._open.pop()
        if recorder is not None:
            recorder.end(event)

    def __call__(self, function):
        @functools.wraps(function)
        def inside(*args, **kwargs):
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return inside


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[profile], None]:
    """An `on_trace_ready` that writes every trace to a file of its own in a folder."""

    def handler(prof):
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name
        if not worker:
            import socket

            worker = f"{socket.gethostname()}_{os.getpid()}"
        ending = ".pt.trace.json.gz" if use_gzip else ".pt.trace.json"
        prof.export_chrome_trace(os.path.join(dir_name, f"{worker}.{time.time_ns()}{ending}"))

    return handler


__all__ = [
    "EventList",
    "FunctionEvent",
    "FunctionEventAvg",
    "ProfilerAction",
    "ProfilerActivity",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]
