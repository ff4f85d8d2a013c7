"""The recording: events begun and ended on every thread, and the sums taken at its end."""

import os
import sys
import threading
import time

from .events import FunctionEvent
from .table import EventList

clock = time.perf_counter_ns


class Lane(threading.local):
    """What one thread has open."""

    def __init__(self, threads):
        self.open = []
        self.names = None  # of the modules below the outermost one that is running: {id: path}
        self.thread = threading.get_native_id()
        threads[self.thread] = threading.current_thread().name


class Recorder:
    """One recording: opens and closes ranges, in any thread."""

    def __init__(self, origin_ns, shapes=False, memory=False, stack=False):
        self.origin_ns = origin_ns
        self.shapes = shapes
        self.memory = memory
        self.with_stack = stack
        self.events = []
        self.threads = {}
        self.lane = Lane(self.threads)
        self.running = True
        self.start_ns = clock()

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
            event.stack = python_stack()
        lane.open.append(event)
        self.events.append(event)
        event.start_ns = clock()
        return event

    def end(self, event):
        """Close a range, whatever has been left open inside it."""
        if event is None:
            return
        now = clock()
        if self.running:
            event.end_ns = now
        if event.lane[-1] is event:
            event.lane.pop()
        else:
            event.lane.remove(event)

    def range(self, name, category="forward", inputs=()):
        """`with recorder.range(name) as event:` opens a range and closes it."""
        return Range(self, name, category, inputs)

    def finish(self):
        """End the recording, and what is still open; the events, in the order of their start."""
        self.running = False
        now = clock()
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


class Range:
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


_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_USER_FOLDERS = tuple(os.path.join(_PACKAGE, folder, "") for folder in ("models", "train"))


def python_stack():
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
