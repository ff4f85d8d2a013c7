"""What is recorded of a call: its name, its place in time and on the threads, its cost."""

import re

from .units import as_time


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
            f"<FunctionEvent id={self.id} name={self.name} cpu_time={as_time(self.cpu_time)} "
            f"self_cpu_time={as_time(self.self_cpu_time_total)} thread={self.thread} "
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
