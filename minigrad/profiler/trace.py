"""The trace file that chrome://tracing and ui.perfetto.dev draw."""

import json
import os

from ..files import atomic


def write_trace(path, events, threads, metadata):
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
