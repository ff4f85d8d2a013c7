"""Averages over the events of one name, and the table that prints them."""

from .trace import write_trace
from .units import as_memory, as_percent, as_time, shorten

SORT_KEYS = (
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
            f"self_cpu_time={as_time(self.self_cpu_time_total)} cpu_time={as_time(self.cpu_time)} "
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
        if sort_by is not None and sort_by not in SORT_KEYS:
            raise ValueError(
                f"table: can't sort by {sort_by!r}; sort_by is one of {', '.join(SORT_KEYS)}"
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
            "Name": [shorten(row.key, max_name_column_width) for row in shown],
            "Self CPU %": [as_percent(row.self_cpu_time_total, whole) for row in shown],
            "Self CPU": [as_time(row.self_cpu_time_total, time_unit) for row in shown],
            "CPU total %": [as_percent(row.cpu_time_total, whole) for row in shown],
            "CPU total": [as_time(row.cpu_time_total, time_unit) for row in shown],
            "CPU time avg": [as_time(row.cpu_time, time_unit) for row in shown],
        }
        if self.with_memory:
            columns["CPU Mem"] = [as_memory(row.cpu_memory_usage) for row in shown]
            columns["Self CPU Mem"] = [as_memory(row.self_cpu_memory_usage) for row in shown]
        columns["# of Calls"] = [str(row.count) for row in shown]
        if any(row.input_shapes for row in rows):
            columns["Input Shapes"] = [
                shorten(str(row.input_shapes or []), max_shapes_column_width) for row in shown
            ]
        if any(row.stack for row in rows):
            columns["Source Location"] = [
                shorten(row.stack[0] if row.stack else "", max_src_column_width, start=True)
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
            part = as_percent(sum(row.self_cpu_time_total for row in shown), whole).strip()
            lines.append(
                f"{len(shown)} of {len(rows)} rows, {part} of the time (row_limit=-1: all)"
            )
        lines.append(
            f"Self CPU time total: {as_time(whole, time_unit)} "
            f"(the profiler recorded for {as_time(self.elapsed_us, time_unit)})"
        )
        return "\n".join(lines) + "\n"

    def __str__(self):
        return self.table()

    def export_chrome_trace(self, path) -> None:
        """Write events to a file for chrome://tracing or ui.perfetto.dev; whole or not at all."""
        write_trace(path, self, {}, {})
