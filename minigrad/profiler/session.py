"""What users call: `profile`, `record_function`, and where traces go."""

import functools
import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable

from ..files import atomic
from .hooks import Swap, install
from .recorder import Recorder, clock
from .schedule import ProfilerAction, ProfilerActivity, always, supported_activities
from .table import EventList
from .trace import write_trace

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
        self.schedule = schedule or always
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
        self._origin_ns = clock()
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
                recorder = Recorder(
                    self._origin_ns, self.record_shapes, self.profile_memory, self.with_stack
                )
                swap = Swap()
                try:
                    install(swap, recorder, self.with_modules)
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
        write_trace(path, self._finished("export_chrome_trace"), self._threads, self._metadata)

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
