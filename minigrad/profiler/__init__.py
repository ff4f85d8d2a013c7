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

from .events import FunctionEvent
from .schedule import ProfilerAction, ProfilerActivity, schedule, supported_activities
from .session import profile, record_function, tensorboard_trace_handler
from .table import EventList, FunctionEventAvg

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
