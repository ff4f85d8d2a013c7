"""The profiler: what it counts, how it splits time, what it writes, and that it leaves no trace."""

import gzip
import json
import subprocess
import sys
import threading
import warnings

import numpy
import pytest

import minigrad
from minigrad import engine, nn, optim, profiler
from minigrad.autograd import Function
from minigrad.autograd.function import FunctionNode
from minigrad.nn import functional as F
from minigrad.op import Op, OpNode
from minigrad.profiler import (
    ProfilerAction,
    ProfilerActivity,
    profile,
    record_function,
    recorder,
    schedule,
    session,
    tensorboard_trace_handler,
)
from minigrad.profiler.table import SORT_KEYS
from minigrad.utils.data import DataLoader, TensorDataset, dataloader


class Clock:
    """A clock that stands still until it is told to go on; in microseconds."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now * 1000

    def wait(self, us):
        self.now += us


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(recorder, "clock", made)
    monkeypatch.setattr(session, "clock", made)
    return made


HOOKED = [
    (Op, "__call__"),
    (OpNode, "backward"),
    (FunctionNode, "backward"),
    (engine, "fit"),
    (engine.Gradients, "add"),
    (minigrad.Tensor, "_accumulate"),
    (optim.Optimizer, "step"),
    (optim.Optimizer, "zero_grad"),
    (optim.LBFGS, "step"),
    (dataloader._HereIterator, "__next__"),
    (dataloader._WorkersIterator, "__next__"),
    (nn.Module, "__call__"),
]


def originals():
    return [vars(owner)[name] for owner, name in HOOKED]


@pytest.fixture(autouse=True)
def no_trace_left():
    """Whatever a test does, the library's functions are the original ones after it."""
    before = originals()
    yield
    assert all(a is b for a, b in zip(before, originals(), strict=True))
    assert session._current is None and session._recorder is None


def counts(prof):
    return {row.key: row.count for row in prof.key_averages()}


def row(prof, key, **grouping):
    (found,) = [r for r in prof.key_averages(**grouping) if r.key == key]
    return found


# -- what is counted -------------------------------------------------------------------------------


def program(torch):
    """A small program, the same for both libraries."""
    x = torch.ones(4, 5, requires_grad=True)
    w = torch.ones(5, 3, requires_grad=True)
    hidden = torch.exp(x * x * 0.1).tanh().mm(w)
    loss = (torch.sigmoid(hidden) + 1).sum() + hidden.abs().mean()
    loss.backward()
    with torch.no_grad():
        torch.cat([x, x - w.sum()]).t().transpose(0, 1)
        torch.relu(w) / 2


def test_calls_are_counted_as_torch_counts_them():
    torch = pytest.importorskip("torch")
    from torch.profiler import profile as torch_profile

    with profile(activities=[ProfilerActivity.CPU]) as ours:
        program(minigrad)
    with torch_profile(activities=[torch.profiler.ProfilerActivity.CPU]) as theirs:
        program(torch)
    forward = {}
    backward = {}
    for event in theirs.events():
        name = event.name.removeprefix("aten::")
        if event.cpu_parent is None and event.name != name:
            forward[name] = forward.get(name, 0) + 1
        elif event.name.endswith("Backward0") and ":" not in event.name:
            backward[name] = backward.get(name, 0) + 1
    found = counts(ours)
    names = "mul exp tanh mm sigmoid add sum abs mean sub cat t transpose relu div".split()
    assert {name: found.get(name) for name in names} == {name: forward[name] for name in names}
    assert {k: n for k, n in found.items() if k.endswith("Backward0")} == backward
    assert found["AccumulateGrad"] == 2


def test_the_names_of_methods_and_parameters_are_torch_s():
    pytest.importorskip("torch")
    import inspect

    import torch.profiler

    for ours, theirs in [
        (profile, torch.profiler.profile),
        (schedule, torch.profiler.schedule),
        (record_function, torch.profiler.record_function),
        (profile.key_averages, torch.profiler.profile.key_averages),
        (profile.export_stacks, torch.profiler.profile.export_stacks),
        (profiler.EventList.table, torch.autograd.profiler_util.EventList.table),
        (profile.step, torch.profiler.profile.step),
    ]:
        theirs = inspect.signature(theirs).parameters
        for name, parameter in inspect.signature(ours).parameters.items():
            assert name in theirs
            assert parameter.default == theirs[name].default
            assert parameter.kind == theirs[name].kind
    for name in "start stop step events key_averages export_chrome_trace add_metadata_json".split():
        assert callable(getattr(profile, name)) and hasattr(torch.profiler.profile, name)


def test_rules_that_run_on_bare_arrays_are_no_forward_calls():
    x = minigrad.randn(3, requires_grad=True)
    y = (x * x * x).sum()
    with profile() as prof:
        y.backward()
    found = counts(prof)
    assert found["MulBackward0"] == 2
    assert "mul" not in found and "expand" not in found


def test_a_backward_that_is_recorded_shows_its_operations_inside_the_rule():
    x = minigrad.randn(3, requires_grad=True)
    y = x.tanh().sum()
    with profile() as prof:
        minigrad.autograd.grad(y, x, create_graph=True)
    (rule,) = [event for event in prof.events() if event.name == "TanhBackward0"]
    assert {child.name for child in rule.cpu_children} >= {"mul"}


def test_an_operation_called_by_name_or_with_out_counts_once():
    x, y, out = minigrad.ones(2), minigrad.ones(2), minigrad.empty(2)
    with profile(record_shapes=True) as prof:
        minigrad.mul(input=x, other=y)
        minigrad.mul(x, other=y)
        minigrad.mul(x, y, out=out)
    muls = [event for event in prof.events() if event.name == "mul"]
    assert [event.input_shapes for event in muls] == [[[2], [2]]] * 3


def test_the_engine_s_own_work_has_rows():
    x = minigrad.randn(4, 3)
    bias = minigrad.zeros(3, requires_grad=True)
    with profile() as prof:
        y = x + bias
        (y * 2 + y).sum().backward()
    found = counts(prof)
    assert found["autograd::engine::sum_to_input"] == 1
    assert found["autograd::engine::add_gradients"] == 1
    assert found["AccumulateGrad"] == 1


def test_a_user_written_function_has_both_rows():
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    double = Double.apply  # kept, as scripts do, from before the profiler starts
    forward = vars(Double)["forward"]
    x = minigrad.ones(2, 3, requires_grad=True)
    with profile(record_shapes=True) as prof:
        double(x).sum().backward()
    assert vars(Double)["forward"] is forward
    assert counts(prof)["Double"] == counts(prof)["DoubleBackward"] == 1
    assert row(prof, "Double", group_by_input_shape=True).input_shapes == [[2, 3]]
    assert [child.name for child in prof.events()[0].cpu_children] == ["mul"]


def test_rows_are_named_as_users_call_the_operations():
    x = minigrad.randn(2, 3)
    with profile() as prof:
        x.sum(), x.mean(), x - 1, x[:1], x.view(6), minigrad.cat([x, x]), x.log1p(), x.unsqueeze(0)
    assert set(counts(prof)) == {
        "sum", "mean", "sub", "slice", "view", "cat", "log1p", "unsqueeze",
    }  # fmt: skip


# -- steps, loaders, modules -----------------------------------------------------------------------


def test_optimizers_and_loaders_have_rows_named_as_in_torch():
    model = nn.Linear(3, 2)
    optimizer = optim.Adam(model.parameters())
    loader = DataLoader(TensorDataset(minigrad.randn(6, 3)), batch_size=2)
    with profile() as prof:
        for (x,) in loader:
            optimizer.zero_grad()
            model(x).sum().backward()
            optimizer.step()
    found = counts(prof)
    assert found["Optimizer.step#Adam.step"] == 3
    assert found["Optimizer.zero_grad#Adam.zero_grad"] == 3
    # the fourth finds the end
    assert found["enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"] == 4


def test_loaders_with_workers_too():
    loader = DataLoader(TensorDataset(minigrad.arange(4)), batch_size=2, num_workers=1)
    with profile() as prof:
        batches = [x.tolist() for (x,) in loader]
    assert batches == [[0, 1], [2, 3]]
    assert counts(prof)["enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__"] == 3


def test_a_step_that_calls_the_one_above_counts_once():
    class Mine(optim.SGD):
        def step(self, closure=None):
            return super().step(closure)

    w = minigrad.ones(2, requires_grad=True)
    optimizer = Mine([w], lr=0.1)
    w.sum().backward()
    own = vars(Mine)["step"]
    with profile() as prof:
        optimizer.step()
    assert counts(prof) == {"Optimizer.step#Mine.step": 1}
    assert vars(Mine)["step"] is own


def test_an_optimizer_with_a_scheduler_is_timed():
    w = minigrad.ones(2, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1)
    w.sum().backward()
    with profile() as prof:
        optimizer.step()
        scheduler.step()
    assert counts(prof)["Optimizer.step#SGD.step"] == 1


def test_modules_have_rows_with_their_paths():
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
    with profile(with_modules=True) as prof:
        model(minigrad.randn(5, 3))
        model(minigrad.randn(5, 3))
    found = {k: n for k, n in counts(prof).items() if k.startswith("nn.Module")}
    assert found == {f"nn.Module: Sequential{path}": 2 for path in ("", ".0", ".1", ".1.0", ".1.1")}
    with profile() as prof:
        model(minigrad.randn(5, 3))
    assert not any(key.startswith("nn.Module") for key in counts(prof))


def test_a_module_s_error_keeps_its_note():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2))
    with pytest.raises(RuntimeError) as caught, profile(with_modules=True):
        model(minigrad.randn(1, 3))
    assert any("Sequential.1" in note for note in caught.value.__notes__)


# -- time ------------------------------------------------------------------------------------------


def test_self_and_total_time_by_a_clock(clock):
    with profile() as prof:
        clock.wait(1000)  # outside every range
        with record_function("outer"):
            clock.wait(10)
            with record_function("inner"):
                clock.wait(3)
                with record_function("innermost"):
                    clock.wait(2)
            with record_function("inner"):
                clock.wait(5)
            clock.wait(20)
    times = {r.key: (r.self_cpu_time_total, r.cpu_time_total, r.count) for r in prof.key_averages()}
    assert times == {"outer": (30, 40, 1), "inner": (8, 10, 2), "innermost": (2, 2, 1)}
    assert row(prof, "inner").cpu_time == 5
    assert prof.events().self_cpu_time_total == 40
    outer = prof.events()[0]
    assert [child.name for child in outer.cpu_children] == ["inner", "inner"]
    assert outer.time_range.start == 1000 and outer.time_range.elapsed_us() == 40
    assert "Self CPU time total: 40.000 us (the profiler recorded for 1.040 ms)" in str(
        prof.key_averages()
    )


def test_operations_inside_a_range_are_not_its_own_time(clock, monkeypatch):
    slow_exp = minigrad.op.REGISTRY["exp"]
    forward = slow_exp.forward
    monkeypatch.setattr(slow_exp, "forward", lambda xp, x: (clock.wait(7), forward(xp, x))[1])
    x = minigrad.ones(2)
    with profile() as prof, record_function("range"):
        x.exp()
        clock.wait(1)
        x.exp()
    assert row(prof, "range").self_cpu_time_total == 1
    assert row(prof, "range").cpu_time_total == 15
    assert row(prof, "exp").self_cpu_time_total == row(prof, "exp").cpu_time_total == 14


def test_a_range_inside_one_of_the_same_name_is_not_counted_twice_in_the_total(clock):
    @record_function("countdown")
    def countdown(n):
        clock.wait(1)
        if n:
            countdown(n - 1)

    with profile() as prof:
        countdown(4)
    found = row(prof, "countdown")
    assert (found.count, found.self_cpu_time_total, found.cpu_time_total) == (5, 5, 5)


def test_a_range_that_outlasts_the_one_around_it(clock):
    a, b, c = (record_function(name) for name in "abc")
    with profile() as prof:
        a.__enter__()
        clock.wait(1)
        b.__enter__()
        clock.wait(2)
        c.__enter__()
        clock.wait(4)
        b.__exit__(None, None, None)
        clock.wait(8)
        c.__exit__(None, None, None)
        clock.wait(16)
        a.__exit__(None, None, None)
    own = {event.name: event.self_cpu_time_total for event in prof.events()}
    assert own == {"a": 17, "b": 2, "c": 12}  # each moment counted once
    assert prof.events().self_cpu_time_total == 31


def test_what_is_still_open_at_the_end_ends_there(clock):
    opened = record_function("open")
    with profile() as prof:
        opened.__enter__()
        clock.wait(3)
    clock.wait(100)
    opened.__exit__(None, None, None)
    assert row(prof, "open").cpu_time_total == 3


def test_a_range_opened_before_the_profiler_is_not_in_it():
    with record_function("early"), profile() as prof:
        minigrad.ones(2).exp()
    assert counts(prof) == {"exp": 1}


# -- ends, errors, threads -------------------------------------------------------------------------


class Expected(Exception):
    pass


def test_an_exception_passes_through_and_everything_is_restored():
    prof = profile(with_modules=True)
    before = originals()
    with pytest.raises(Expected), prof:
        assert all(a is not b for a, b in zip(before, originals(), strict=True))
        with record_function("failing"):
            minigrad.ones(2).exp()
            raise Expected
    assert counts(prof) == {"failing": 1, "exp": 1}


def test_an_operation_that_fails_is_closed(clock):
    with profile() as prof, record_function("around"):
        with pytest.raises(RuntimeError, match="mul"):
            minigrad.ones(2) * minigrad.ones(3)
        clock.wait(5)
    assert [event.name for event in prof.events()[0].cpu_children] == ["mul"]
    assert row(prof, "around").self_cpu_time_total == 5


def test_results_are_the_same_with_the_profiler():
    def run():
        minigrad.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3))
        optimizer = optim.AdamW(model.parameters())
        F.cross_entropy(model(minigrad.randn(6, 4)), minigrad.tensor([0, 1, 2, 0, 1, 2])).backward()
        optimizer.step()
        return [p.array.copy() for p in model.parameters()]

    plain = run()
    with profile(record_shapes=True, profile_memory=True, with_stack=True, with_modules=True):
        profiled = run()
    for a, b in zip(plain, profiled, strict=True):
        numpy.testing.assert_array_equal(a, b)


def test_threads_have_stacks_of_their_own():
    together = threading.Barrier(3)

    def work(name):
        with record_function(name):
            together.wait()
            x = minigrad.ones(3, requires_grad=True)
            for _ in range(50):
                with record_function("step"):
                    (x * 2).sum().backward()
            together.wait()

    with profile() as prof:
        threads = [threading.Thread(target=work, args=(f"thread {i}",)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = prof.events()
    assert counts(prof)["mul"] == counts(prof)["step"] == counts(prof)["MulBackward0"] == 150
    for event in events:
        if event.cpu_parent is not None:
            assert event.cpu_parent.thread == event.thread
        inside = sum(child.cpu_time_total for child in event.cpu_children)
        assert event.self_cpu_time_total == pytest.approx(event.cpu_time_total - inside)
        assert event.self_cpu_time_total >= 0
    tops = [event for event in events if event.cpu_parent is None]
    assert sorted(event.name for event in tops) == ["thread 0", "thread 1", "thread 2"]
    assert len({event.thread for event in tops}) == 3


def test_a_thread_that_outlives_the_profiler_does_no_harm():
    inside, over = threading.Event(), threading.Event()
    prof = profile()

    def work():
        with record_function("long"):
            inside.set()
            over.wait()

    thread = threading.Thread(target=work)
    with prof:
        thread.start()
        inside.wait()
    recorded = prof.events()[0].cpu_time_total
    over.set()
    thread.join()
    assert prof.events()[0].cpu_time_total == recorded
    assert len(prof.events()) == 1


def test_a_hook_kept_from_inside_records_nothing_afterwards():
    optimizer = optim.SGD([minigrad.ones(2, requires_grad=True)], lr=0.1)
    with profile() as prof:
        kept = optimizer.step
    kept()
    assert len(prof.events()) == 0


def test_clear_errors(tmp_path):
    with pytest.raises(RuntimeError, match=r"profile.stop: .* call start\(\) first"):
        profile().stop()
    with pytest.raises(RuntimeError, match="profile.step: the profiler is not running"):
        profile().step()
    prof = profile()
    for call in (prof.events, prof.key_averages):
        with pytest.raises(RuntimeError, match="nothing has been recorded"):
            call()
    path = tmp_path / "trace.json"
    with prof:
        with pytest.raises(RuntimeError, match="export_chrome_trace: .* still recording"):
            prof.export_chrome_trace(path)
        with pytest.raises(RuntimeError, match="a profiler is active already"):
            profile().start()
        with pytest.raises(RuntimeError, match="active already"):
            prof.start()
    assert not path.exists()
    with pytest.raises(ValueError, match="'cuda_time'; sort_by is one of self_cpu_time_total, cpu"):
        prof.key_averages().table(sort_by="cuda_time")
    with pytest.raises(ValueError, match="time_unit is 'us', 'ms' or 's', not 'ns'"):
        prof.key_averages().table(time_unit="ns")
    with pytest.raises(ValueError, match="No valid profiler activities"):
        profile(activities=[])
    with pytest.raises(ValueError, match="No valid profiler activities"):
        profile(activities=["cpu"])
    with pytest.raises(NotImplementedError, match="with_flops"):
        profile(with_flops=True)
    with pytest.raises(RuntimeError, match="with_stack=True"):
        prof.export_stacks(path)
    with pytest.raises(ValueError, match="one of: self_cpu_time_total"):
        prof.export_stacks(path, metric="count")


def test_cuda_is_accepted_with_a_warning():
    with pytest.warns(UserWarning, match="CUDA kernels are not timed"):
        profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])


# -- the schedule ----------------------------------------------------------------------------------

SCHEDULES = [
    dict(wait=1, warmup=1, active=2, repeat=2),
    dict(wait=0, warmup=0, active=1),
    dict(wait=2, warmup=0, active=3, repeat=1, skip_first=2),
    dict(wait=2, warmup=1, active=1, skip_first=1, skip_first_wait=1),
    dict(wait=1, warmup=1, active=1, repeat=1, skip_first_wait=1),
]


@pytest.mark.parametrize("options", SCHEDULES, ids=str)
def test_the_schedule_is_torch_s(options):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch advises a step of warmup
        ours, theirs = schedule(**options), torch.profiler.schedule(**options)
    assert [ours(i).name for i in range(20)] == [theirs(i).name for i in range(20)]


def test_a_schedule_with_wrong_numbers():
    for wrong in (dict(wait=-1, warmup=0, active=1), dict(wait=0, warmup=0, active=0)):
        with pytest.raises(ValueError, match="schedule: .* at least"):
            schedule(**wrong)


def steps_in(prof):
    return [event.name for event in prof.events() if event.name.startswith("ProfilerStep")]


def test_steps_are_recorded_as_the_schedule_says():
    x = minigrad.ones(2)
    ready = []
    hooked = []
    original = Op.__call__

    def on_ready(prof):
        ready.append((prof.step_num, steps_in(prof), counts(prof)))

    cycles = schedule(wait=1, warmup=1, active=2, repeat=2)
    with profile(schedule=cycles, on_trace_ready=on_ready) as prof:
        for _ in range(10):
            hooked.append(Op.__call__ is not original)
            x.exp()
            prof.step()
    assert hooked == [False, False, True, True, False, False, True, True, False, False]
    each = {"ProfilerStep*": 2, "exp": 2}
    assert ready == [
        (4, ["ProfilerStep#2", "ProfilerStep#3"], each),
        (8, ["ProfilerStep#6", "ProfilerStep#7"], each),
    ]
    assert steps_in(prof) == ["ProfilerStep#6", "ProfilerStep#7"]


def test_cycles_without_a_pause_and_their_sum():
    x = minigrad.ones(2)
    sizes = []
    with profile(
        schedule=schedule(wait=0, warmup=0, active=1),
        on_trace_ready=lambda p: sizes.append(len(p.events())),
        acc_events=True,
    ) as prof:
        for _ in range(3):
            x.exp()
            prof.step()
    assert sizes == [2, 4, 6, 7]  # the last recording holds a step that did nothing
    assert [event.id for event in prof.events()] == list(range(7))


def test_a_program_that_ends_within_the_active_steps():
    ready = []
    with profile(
        schedule=schedule(wait=1, warmup=0, active=5), on_trace_ready=ready.append
    ) as prof:
        for _ in range(3):
            minigrad.ones(2).exp()
            prof.step()
    assert ready == [prof]
    assert counts(prof) == {"ProfilerStep*": 3, "exp": 2}


def test_a_schedule_that_never_became_active():
    with profile(schedule=schedule(wait=5, warmup=0, active=1), on_trace_ready=pytest.fail) as prof:
        prof.step()
    with pytest.raises(RuntimeError, match="up to the schedule's active steps"):
        prof.key_averages()


def test_without_a_schedule_everything_is_recorded_and_steps_only_count():
    ready = []
    prof = profile(on_trace_ready=ready.append)
    prof.start()
    minigrad.ones(2).exp()
    prof.step()
    minigrad.ones(2).exp()
    prof.stop()
    assert (ready, prof.step_num, counts(prof)) == ([prof], 1, {"exp": 2})


def test_on_trace_ready_that_fails_leaves_everything_restored():
    def fail(prof):
        raise Expected

    with pytest.raises(Expected), profile(on_trace_ready=fail):
        minigrad.ones(2).exp()
    with (
        pytest.raises(Expected),
        profile(schedule=schedule(wait=0, warmup=0, active=1), on_trace_ready=fail) as prof,
    ):
        prof.step()


def test_a_profile_can_be_used_again():
    prof = profile()
    for _ in range(2):
        with prof:
            minigrad.ones(2).exp()
        assert counts(prof) == {"exp": 1}


# -- shapes, bytes, stacks -------------------------------------------------------------------------


def test_shapes():
    x, w = minigrad.randn(4, 5), minigrad.randn(5, 3, requires_grad=True)
    with profile(record_shapes=True) as prof:
        x.mm(w)
        (x.mm(w) * 2).sum().backward()
        minigrad.randn(2, 5).mm(w)
    found = {
        str(r.input_shapes): r.count
        for r in prof.key_averages(group_by_input_shape=True)
        if r.key == "mm"
    }
    assert found == {"[[4, 5], [5, 3]]": 2, "[[2, 5], [5, 3]]": 1}
    assert row(prof, "mm").count == 3
    assert row(prof, "mul", group_by_input_shape=True).input_shapes == [[4, 3], []]
    assert row(prof, "MmBackward0", group_by_input_shape=True).input_shapes == [[4, 3]]
    text = prof.key_averages(group_by_input_shape=True).table()
    assert "Input Shapes" in text and "[[2, 5], [5, 3]]" in text
    assert "Input Shapes" not in prof.key_averages().table()


def test_bytes_of_outputs():
    x = minigrad.randn(4, 5, requires_grad=True)
    with profile(profile_memory=True) as prof:
        with record_function("all"):
            y = (x * 2).exp()  # two arrays of 4 x 5 float32
            y.t()  # a view: nothing new
            loss = y.sum()
        loss.backward()
    own = {r.key: r.self_cpu_memory_usage for r in prof.key_averages()}
    assert own["mul"] == own["exp"] == own["ExpBackward0"] == own["MulBackward0"] == 80
    assert own["t"] == own["all"] == 0
    assert own["sum"] == 4
    assert row(prof, "all").cpu_memory_usage == 164
    text = prof.key_averages().table(sort_by="self_cpu_memory_usage")
    assert "CPU Mem" in text and "164  B" in text
    with profile() as prof:
        x.exp()
    assert "Mem" not in prof.key_averages().table()


def test_bytes_are_torch_s_where_operations_are_alike():
    torch = pytest.importorskip("torch")
    from torch.profiler import profile as torch_profile

    sizes = []
    for library, kind in ((minigrad, profile), (torch, torch_profile)):
        x, w = library.ones(64, 32), library.ones(32, 16)
        with kind(activities=None, profile_memory=True) as prof:
            kept = [x.exp(), x * x, x.mm(w), x.t(), x.sum(1)]
        rows = {r.key.removeprefix("aten::"): r.cpu_memory_usage for r in prof.key_averages()}
        sizes.append({name: rows[name] for name in ("exp", "mul", "mm", "t", "sum")})
        assert len(kept) == 5
    assert sizes[0] == sizes[1]


def test_bytes_of_a_row_sparse_gradient_and_of_a_recorded_backward():
    table = nn.Embedding(1000, 4, sparse=True)
    with profile(profile_memory=True) as prof:
        (table(minigrad.tensor([1, 2])) * minigrad.ones(2, 4)).sum().backward()
    assert row(prof, "EmbeddingBackward0").self_cpu_memory_usage <= 32
    x = minigrad.randn(3, requires_grad=True)
    with profile(profile_memory=True) as prof:
        (g,) = minigrad.autograd.grad(x.exp().sum(), x, create_graph=True)
    rule = row(prof, "ExpBackward0")
    assert (rule.self_cpu_memory_usage, rule.cpu_memory_usage) == (0, 12)  # its mul counted it


def test_stacks(tmp_path):
    def somewhere(x):
        return x.exp()

    with profile(with_stack=True) as prof, record_function("around"):
        somewhere(minigrad.ones(500, 500))
    event = prof.events()[1]
    assert event.name == "exp"
    assert event.stack[0].startswith(__file__) and event.stack[0].endswith(": somewhere")
    assert event.stack[1].endswith(": test_stacks")
    text = prof.key_averages(group_by_stack_n=1).table(max_src_column_width=20)
    assert "Source Location" in text and "): somewhere" in text
    prof.export_stacks(tmp_path / "stacks.txt")
    for line in (tmp_path / "stacks.txt").read_text().splitlines():
        frames, time_us = line.split(" ")
        assert ";" in frames and int(time_us) > 0


# -- the table -------------------------------------------------------------------------------------


def spent(clock, **ranges):
    """A profile in which each named range took so many microseconds."""
    with profile() as prof:
        for name, us in ranges.items():
            with record_function(name):
                clock.wait(us)
    return prof


def test_the_table(clock):
    prof = spent(clock, short=7.5, long=2_000_000, middle=1500)
    assert prof.key_averages().table(sort_by="self_cpu_time_total") == (
        "------  ----------  --------  -----------  ---------  ------------  ----------\n"
        "Name    Self CPU %  Self CPU  CPU total %  CPU total  CPU time avg  # of Calls\n"
        "------  ----------  --------  -----------  ---------  ------------  ----------\n"
        "long        99.92%  2.000  s       99.92%   2.000  s      2.000  s           1\n"
        "middle       0.07%  1.500 ms        0.07%   1.500 ms      1.500 ms           1\n"
        "short        0.00%  7.500 us        0.00%   7.500 us      7.500 us           1\n"
        "------  ----------  --------  -----------  ---------  ------------  ----------\n"
        "Self CPU time total: 2.002  s (the profiler recorded for 2.002  s)\n"
    )


def names_in(table):
    """The first column of the rows."""
    lines = table.splitlines()
    rules = [i for i, line in enumerate(lines) if line.startswith("---")]
    return [line.split("  ")[0].strip() for line in lines[rules[1] + 1 : rules[2]]]


def test_order_and_number_of_rows(clock):
    prof = spent(clock, a=3, b=1, c=2)
    averages = prof.key_averages()
    assert names_in(averages.table()) == ["a", "b", "c"]  # as they started
    assert names_in(averages.table("cpu_time_total")) == ["a", "c", "b"]
    assert names_in(averages.table("cpu_time", row_limit=2)) == ["a", "c"]
    assert "2 of 3 rows, 83.33% of the time" in averages.table("cpu_time", row_limit=2)
    assert names_in(averages.table("cpu_time", row_limit=-1)) == ["a", "c", "b"]
    assert names_in(averages.table(row_limit=0)) == []
    for key in SORT_KEYS:
        assert len(names_in(averages.table(sort_by=key))) == 3


def test_options_of_the_table(clock):
    with profile() as prof, record_function("outer with a very long name"):
        clock.wait(1)
        with record_function("inner"):
            clock.wait(1500)
    averages = prof.key_averages()
    assert names_in(averages.table(max_name_column_width=10)) == ["outer w...", "inner"]
    assert averages.table(header="One step").startswith("One step\n---")
    assert "1500.000 us" in averages.table(time_unit="us")
    assert "0.002  s" in averages.table(time_unit="s")
    assert len(names_in(prof.events().table(top_level_events_only=True))) == 1
    assert averages.total_average().count == 2
    assert averages.total_average().self_cpu_time_total == 1501


def test_an_empty_table():
    with profile() as prof:
        pass
    assert "Self CPU time total: 0.000 us" in prof.key_averages().table(sort_by="count")
    assert prof.events().total_average().cpu_time == 0


def test_what_is_printed_of_events(clock):
    prof = spent(clock, a=3)
    assert repr(prof.events()[0]).startswith("<FunctionEvent id=0 name=a cpu_time=3.000 us")
    assert repr(prof.key_averages()[0]).startswith("<FunctionEventAvg key=a count=1")
    assert repr(prof.events()[0].time_range) == "Interval(start=0.000, end=3.000)"


@pytest.mark.cpu_only(reason="on a GPU a TextCNN is other operations")
def test_percentages_add_up_over_a_training_step_of_text_cnn():
    from minigrad.models.textcnn import TextCNN

    model = TextCNN(50, 2, embed_dim=8, num_filters=4)
    optimizer = optim.Adam(model.parameters())
    with profile() as prof:
        loss = F.cross_entropy(
            model(minigrad.randint(1, 50, (4, 12))), minigrad.tensor([0, 1, 0, 1])
        )
        loss.backward()
        optimizer.step()
    averages = prof.key_averages()
    names = set(names_in(averages.table(sort_by="self_cpu_time_total", row_limit=-1)))
    assert {"convolution", "ConvolutionBackward0", "embedding", "EmbeddingBackward0"} <= names
    assert {"relu", "max", "cat", "Optimizer.step#Adam.step"} <= names
    assert counts(prof)["convolution"] == counts(prof)["ConvolutionBackward0"] == 3
    assert sum(r.self_cpu_time_total for r in averages) == pytest.approx(
        averages.self_cpu_time_total
    )
    assert averages.self_cpu_time_total <= averages.elapsed_us


# -- the trace -------------------------------------------------------------------------------------


def test_chrome_trace(tmp_path):
    x = minigrad.ones(2, 3, requires_grad=True)
    with profile(record_shapes=True, profile_memory=True, with_stack=True) as prof:
        with record_function('a "range"'):
            y = x.exp().sum()
        y.backward()
    prof.add_metadata("note", "text")
    prof.add_metadata_json("numbers", "[1, 2]")
    path = tmp_path / "trace.json"
    prof.export_chrome_trace(str(path))
    trace = json.loads(path.read_text())
    assert (trace["note"], trace["numbers"]) == ("text", [1, 2])
    ranges = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert [event["name"] for event in ranges] == [event.name for event in prof.events()]
    assert {"exp", "ExpBackward0", 'a "range"'} <= {event["name"] for event in ranges}
    for event in ranges:
        assert {"cat", "pid", "tid", "ts", "dur", "args"} <= set(event)
        assert event["ts"] >= 0 and event["dur"] >= 0
    around, exp = ranges[0], ranges[1]
    assert around["ts"] <= exp["ts"]
    assert exp["ts"] + exp["dur"] <= around["ts"] + around["dur"]
    assert exp["args"]["Input Dims"] == [[2, 3]] and exp["args"]["Bytes"] == 24
    assert exp["args"]["Call stack"][0].endswith(": test_chrome_trace")
    (lane,) = [event for event in trace["traceEvents"] if event["name"] == "thread_name"]
    assert lane["args"]["name"] == "MainThread" and lane["tid"] == exp["tid"]


def test_arrows_lead_from_forward_to_backward(tmp_path):
    x = minigrad.ones(2, requires_grad=True)
    with profile() as prof:
        x.exp().exp().sum().backward()
    prof.export_chrome_trace(tmp_path / "trace.json")
    entries = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    at = {entry["ts"]: entry["name"] for entry in entries if entry["ph"] == "X"}
    starts = {entry["id"]: entry["ts"] for entry in entries if entry["ph"] == "s"}
    ends = {entry["id"]: entry["ts"] for entry in entries if entry["ph"] == "f"}
    pairs = sorted((at[starts[number]], at[ends[number]]) for number in starts)
    assert pairs == [("exp", "ExpBackward0")] * 2 + [("sum", "SumBackward0")]


def test_a_trace_is_written_whole_or_not_at_all(tmp_path):
    with profile() as prof:
        minigrad.ones(2).exp()
    path = tmp_path / "trace.json"
    path.write_text("before")
    prof.add_metadata("not JSON", object())
    with pytest.raises(TypeError):
        prof.export_chrome_trace(path)
    assert path.read_text() == "before"
    with pytest.raises(FileNotFoundError, match="folder"):
        profile_of_nothing().export_chrome_trace(tmp_path / "missing" / "trace.json")


def profile_of_nothing():
    with profile() as prof:
        pass
    return prof


def test_compressed_traces_and_the_handler_for_folders(tmp_path):
    prof = profile_of_nothing()
    prof.export_chrome_trace(tmp_path / "trace.json.gz")
    assert "traceEvents" in json.loads(gzip.decompress((tmp_path / "trace.json.gz").read_bytes()))
    folder = tmp_path / "log" / "run"
    for options in (dict(), dict(worker_name="me"), dict(worker_name="me", use_gzip=True)):
        with profile(on_trace_ready=tensorboard_trace_handler(str(folder), **options)):
            minigrad.ones(2).exp()
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 3
    assert sum(name.startswith("me.") for name in names) == 2
    assert sum(name.endswith(".pt.trace.json.gz") for name in names) == 1


# -- names and cost --------------------------------------------------------------------------------


def test_a_decorated_function_keeps_its_name_and_result():
    @record_function("named")
    def double(x):
        """Twice."""
        return 2 * x

    assert (double.__name__, double.__doc__, double(4)) == ("double", "Twice.", 8)
    with profile() as prof:
        assert double(3) == 6
    assert counts(prof) == {"named": 1}


def test_torch_autograd_profiler():
    from minigrad.autograd import profiler as older

    assert minigrad.autograd.profiler is older
    x = minigrad.ones(2, requires_grad=True)
    with older.profile(record_shapes=True) as prof, older.record_function("range"):
        x.exp().sum().backward()
    assert "ExpBackward0" in prof.table(sort_by="cpu_time_total", row_limit=5)
    assert str(prof) == prof.table()
    assert [event.name for event in prof.function_events][:2] == ["range", "exp"]
    assert prof.total_average().count == len(prof.events())
    assert prof.self_cpu_time_total > 0
    with older.profile(enabled=False) as prof:
        x.exp()
    assert repr(prof) == str(prof)
    with pytest.raises(RuntimeError, match="nothing has been recorded"):
        prof.table()


@pytest.mark.cpu_only(reason="a process of its own, in which the CPU is the default")
def test_it_is_there_after_a_plain_import_but_not_loaded_by_it():
    code = (
        "import sys, minigrad\n"
        "assert 'minigrad.profiler' not in sys.modules\n"
        "assert minigrad.profiler.profile and minigrad.autograd.profiler.record_function\n"
        "import minigrad.profiler as p, minigrad.autograd.profiler as older\n"
        "assert p is minigrad.profiler and older.record_function is p.record_function\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="minigrad.autograd"):
        minigrad.autograd.profilers  # noqa: B018


def test_actions_and_activities_are_torch_s():
    torch = pytest.importorskip("torch")
    for action in ProfilerAction:
        assert torch.profiler.ProfilerAction[action.name].value == action.value
    for activity in ProfilerActivity:
        assert hasattr(torch.profiler.ProfilerActivity, activity.name)
    assert profiler.supported_activities() == {ProfilerActivity.CPU}


def test_no_warnings_in_ordinary_use():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with profile(activities=[ProfilerActivity.CPU]) as prof:
            minigrad.ones(2).exp()
        str(prof.key_averages())
