"""Learning rates of fine-tuning, by transformers' names: warm-up from 0, then a course.

Update s = 0, 1 ... of T, w of them warm-up: the rate is multiplied by s / w for s < w, and from there
by the function's formula of the progress p = (s - w) / (T - w).
"""

import math
import warnings
from collections.abc import Callable

from ...optim import Optimizer
from ...optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau
from ..schedule import rate_factor


def _warmed(warmup: int, course: Callable[[int], float]) -> Callable[[int], float]:
    """s / w for s < w, then course(s)."""
    return lambda s: s / max(1, warmup) if s < warmup else course(s)


def _progress(s: int, warmup: int, total: int) -> float:
    return (s - warmup) / max(1, total - warmup)


def _wave(cycles: float, progress: float) -> float:
    """(1 + cos(2 pi cycles p)) / 2."""
    return (1 + math.cos(2 * math.pi * cycles * progress)) / 2


def get_constant_schedule(optimizer: Optimizer, last_epoch: int = -1) -> LambdaLR:
    """1, without warm-up."""
    return LambdaLR(optimizer, lambda s: 1.0, last_epoch)


def get_constant_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, last_epoch: int = -1
) -> LambdaLR:
    """1."""
    return LambdaLR(optimizer, _warmed(num_warmup_steps, lambda s: 1.0), last_epoch)


def get_linear_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, last_epoch: int = -1
) -> LambdaLR:
    """1 - p."""
    w, total = num_warmup_steps, num_training_steps
    return LambdaLR(optimizer, _warmed(w, lambda s: rate_factor("linear", s, total, w)), last_epoch)


def get_cosine_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5,
    last_epoch: int = -1,
) -> LambdaLR:  # fmt: skip
    """(1 + cos(2 pi num_cycles p)) / 2."""
    w, total = num_warmup_steps, num_training_steps
    course = lambda s: max(0.0, _wave(num_cycles, _progress(s, w, total)))
    return LambdaLR(optimizer, _warmed(w, course), last_epoch)


def get_cosine_with_hard_restarts_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: int = 1,
    last_epoch: int = -1,
) -> LambdaLR:  # fmt: skip
    """(1 + cos(pi (num_cycles p mod 1))) / 2; 0 from p = 1 on.  Loshchilov and Hutter 2017."""
    w, total = num_warmup_steps, num_training_steps

    def course(s):
        p = _progress(s, w, total)
        return 0.0 if p >= 1 else max(0.0, _wave(0.5, num_cycles * p % 1.0))

    return LambdaLR(optimizer, _warmed(w, course), last_epoch)


def get_polynomial_decay_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, lr_end: float = 1e-7,
    power: float = 1.0, last_epoch: int = -1,
) -> LambdaLR:  # fmt: skip
    """The rate itself is (lr - lr_end) (1 - p)^power + lr_end; lr_end after T.

    Raises ValueError where lr_end is not below the optimizer's rate.
    """
    w, total, rate = num_warmup_steps, num_training_steps, optimizer.defaults["lr"]
    if not rate > lr_end:
        raise ValueError(f"lr_end ({lr_end}) must be smaller than initial lr ({rate})")

    def course(s):
        if s > total:
            return lr_end / rate
        return ((rate - lr_end) * (1 - _progress(s, w, total)) ** power + lr_end) / rate

    return LambdaLR(optimizer, _warmed(w, course), last_epoch)


def get_inverse_sqrt_schedule(
    optimizer: Optimizer, num_warmup_steps: int, timescale: int | None = None, last_epoch: int = -1
) -> LambdaLR:
    """1 / sqrt((s - w + t) / t) with t = timescale, by default w, or 10,000 without warm-up."""
    w = num_warmup_steps
    t = (w or 10_000) if timescale is None else timescale
    return LambdaLR(optimizer, _warmed(w, lambda s: 1 / math.sqrt((s - w + t) / t)), last_epoch)


def get_reduce_on_plateau_schedule(optimizer: Optimizer, **options) -> ReduceLROnPlateau:
    """The rate falls where a figure has stopped to get better; options are ReduceLROnPlateau's."""
    return ReduceLROnPlateau(optimizer, **options)


def _lowest(optimizer, min_lr, min_lr_rate) -> float:
    """The lowest rate as a share of the first, of the two ways to say it."""
    if (min_lr is None) == (min_lr_rate is None):
        raise ValueError("a cosine with a lowest rate takes one of min_lr and min_lr_rate")
    return min_lr / optimizer.defaults["lr"] if min_lr_rate is None else min_lr_rate


def get_cosine_with_min_lr_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5,
    last_epoch: int = -1, min_lr: float | None = None, min_lr_rate: float | None = None,
) -> LambdaLR:  # fmt: skip
    """low + (1 - low) (1 + cos(2 pi num_cycles p)) / 2, low being min_lr / lr or min_lr_rate."""
    w, total = num_warmup_steps, num_training_steps
    low = _lowest(optimizer, min_lr, min_lr_rate)
    course = lambda s: max(0.0, _wave(num_cycles, _progress(s, w, total)) * (1 - low) + low)
    return LambdaLR(optimizer, _warmed(w, course), last_epoch)


def get_cosine_with_min_lr_schedule_with_warmup_lr_rate(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5,
    last_epoch: int = -1, min_lr: float | None = None, min_lr_rate: float | None = None,
    warmup_lr_rate: float | None = None,
) -> LambdaLR:  # fmt: skip
    """As the one before, an update ahead: p = (s + 1 - w) / (T - w), and a warm-up that starts above 0.

    warm-up: (s + 1) / w, or r + (1 - r) s / (w - 1) from r = warmup_lr_rate.
    """
    w, total = num_warmup_steps, num_training_steps
    low = _lowest(optimizer, min_lr, min_lr_rate)

    def factor(s):
        if s >= w:
            return max(0.0, _wave(num_cycles, _progress(s + 1, w, total)) * (1 - low) + low)
        if warmup_lr_rate is None:
            return (s + 1) / max(1, w)
        return warmup_lr_rate + (1 - warmup_lr_rate) * s / max(1, w - 1)

    return LambdaLR(optimizer, factor, last_epoch)


# shapes of a rise from 0 to 1, and of a fall from 1 to 0, over progress p
RISES = {
    "linear": lambda p, cycles: p,
    "cosine": lambda p, cycles: (1 - math.cos(math.pi * p)) / 2,
    "1-sqrt": lambda p, cycles: 1 - math.sqrt(1 - p),
}
FALLS = {
    "linear": lambda p, cycles: 1 - p,
    "cosine": lambda p, cycles: _wave(cycles, p),
    "1-sqrt": lambda p, cycles: 1 - math.sqrt(p),
}


def get_wsd_schedule(
    optimizer: Optimizer, num_warmup_steps: int, num_decay_steps: int,
    num_training_steps: int | None = None, num_stable_steps: int | None = None,
    warmup_type: str = "linear", decay_type: str = "cosine", min_lr_ratio: float = 0,
    num_cycles: float = 0.5, last_epoch: int = -1,
) -> LambdaLR:  # fmt: skip
    """Warm-up, a stable rate, decay; both ends are min_lr_ratio of it.  Hu et al. 2024 (MiniCPM).

    The stable part is num_stable_steps long, or what num_training_steps leaves.
    """
    if num_training_steps is None and num_stable_steps is None:
        raise ValueError("Either num_training_steps or num_stable_steps must be specified.")
    for name, kind in (("warmup_type", warmup_type), ("decay_type", decay_type)):
        if kind not in RISES:
            raise ValueError(f"there is no {name} {kind!r}; there are: {', '.join(RISES)}")
    if num_stable_steps is None:
        num_stable_steps = num_training_steps - num_warmup_steps - num_decay_steps
    elif num_training_steps is not None:
        warnings.warn("num_stable_steps is given, so num_training_steps is not used", stacklevel=2)
    decay_from = num_warmup_steps + num_stable_steps

    def above_low(shape):
        return max(0.0, shape * (1 - min_lr_ratio) + min_lr_ratio)

    def factor(s):
        if s < num_warmup_steps:
            return above_low(RISES[warmup_type](s / num_warmup_steps, num_cycles))
        if s < decay_from:
            return 1.0
        if s < decay_from + num_decay_steps:
            return above_low(FALLS[decay_type]((s - decay_from) / num_decay_steps, num_cycles))
        return min_lr_ratio

    return LambdaLR(optimizer, factor, last_epoch)


SCHEDULES: dict[str, Callable[..., LRScheduler | ReduceLROnPlateau]] = {
    "linear": get_linear_schedule_with_warmup,
    "cosine": get_cosine_schedule_with_warmup,
    "cosine_with_restarts": get_cosine_with_hard_restarts_schedule_with_warmup,
    "polynomial": get_polynomial_decay_schedule_with_warmup,
    "constant": get_constant_schedule,
    "constant_with_warmup": get_constant_schedule_with_warmup,
    "inverse_sqrt": get_inverse_sqrt_schedule,
    "reduce_lr_on_plateau": get_reduce_on_plateau_schedule,
    "cosine_with_min_lr": get_cosine_with_min_lr_schedule_with_warmup,
    "cosine_warmup_with_min_lr": get_cosine_with_min_lr_schedule_with_warmup_lr_rate,
    "warmup_stable_decay": get_wsd_schedule,
}


def get_scheduler(
    name: str, optimizer: Optimizer, num_warmup_steps: int | None = None,
    num_training_steps: int | None = None, scheduler_specific_kwargs: dict | None = None,
):  # fmt: skip
    """The schedule of a name, given what it needs of warm-up, length and options of its own.

    Raises ValueError for an unknown name or a length that is missing, TypeError for unknown options.
    """
    if name not in SCHEDULES:
        raise ValueError(f"there is no schedule {name!r}; there are: {', '.join(SCHEDULES)}")
    options = dict(scheduler_specific_kwargs or {})
    if name == "constant" or name == "reduce_lr_on_plateau":
        return SCHEDULES[name](optimizer, **options)
    if num_warmup_steps is None:
        raise ValueError(f"{name} requires `num_warmup_steps`, please provide that argument.")
    options["num_warmup_steps"] = num_warmup_steps
    if name not in ("constant_with_warmup", "inverse_sqrt"):
        if num_training_steps is None and name != "warmup_stable_decay":
            raise ValueError(f"{name} requires `num_training_steps`, please provide that argument.")
        options["num_training_steps"] = num_training_steps
    return SCHEDULES[name](optimizer, **options)
