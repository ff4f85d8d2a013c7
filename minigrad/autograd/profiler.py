"""torch.autograd.profiler: the older names of minigrad.profiler, whose profile has the table itself."""

from ..profiler import EventList, FunctionEventAvg, record_function
from ..profiler import profile as _profile


class profile(_profile):
    """`with torch.autograd.profiler.profile() as prof: ...`, then `prof.table()`.

    enabled=False records nothing. The options are those of `minigrad.profiler.profile`.
    """

    def __init__(
        self,
        enabled: bool = True,
        *,
        record_shapes: bool = False,
        with_flops: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_modules: bool = False,
        acc_events: bool = False,
    ):
        super().__init__(
            record_shapes=record_shapes,
            with_flops=with_flops,
            profile_memory=profile_memory,
            with_stack=with_stack,
            with_modules=with_modules,
            acc_events=acc_events,
        )
        self.enabled = enabled

    def __enter__(self):
        if self.enabled:
            self.start()
        return self

    def __exit__(self, *exc):
        if self.enabled:
            self.stop()

    @property
    def function_events(self) -> EventList:
        """All events, in the order of their start."""
        return self.events()

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds in all ranges together."""
        return self.events().self_cpu_time_total

    def table(self, sort_by: str | None = None, row_limit: int = 100, **options) -> str:
        """Every event as a row; `key_averages().table()` has a row per name."""
        return self.events().table(sort_by, row_limit, **options)

    def total_average(self) -> FunctionEventAvg:
        """One row for all events."""
        return self.events().total_average()

    def __str__(self):
        return self.table() if self._events is not None else repr(self)


__all__ = ["profile", "record_function"]
