"""Learning rates over a run: warm-up, then a course; the rate changes after every update."""

import math

from ..optim import Optimizer
from ..optim.lr_scheduler import LambdaLR, LinearLR, ReduceLROnPlateau

SCHEDULES = ("constant", "linear", "cosine", "inverse_sqrt", "step", "plateau")


def rate_factor(
    kind: str,
    update: int,
    total: int,
    warmup: int = 0,
    epoch: int = 0,
    step_size: int = 1,
    gamma: float = 0.5,
) -> float:
    """What the learning rate is multiplied by at update s = 0, 1 ... of `total`, w of them warm-up.

    warm-up       (s + 1) / (w + 1)     for s < w
    constant      1
    linear        (total - s) / (total - w)
    cosine        (1 + cos(pi (s - w) / (total - w))) / 2   (Loshchilov and Hutter 2017)
    inverse_sqrt  sqrt((w + 1) / (s + 1))                   (Vaswani et al. 2017, formula 3)
    step          gamma^(epoch // step_size)
    """
    if update < warmup:
        return (update + 1) / (warmup + 1)
    done = min(1.0, (update - warmup) / max(1, total - warmup))
    if kind == "linear":
        return 1 - done
    if kind == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if kind == "inverse_sqrt":
        return math.sqrt((warmup + 1) / (update + 1))
    if kind == "step":
        return gamma ** (epoch // step_size)
    return 1.0


def noam_rate(update: int, d_model: int, warmup: int) -> float:
    """d_model^-0.5 min(t^-0.5, t warmup^-1.5) at update t = 1, 2 ...  Vaswani et al. 2017, formula 3.

    It is highest, (d_model warmup)^-0.5, at t = warmup.
    """
    return d_model**-0.5 * min(update**-0.5, update * warmup**-1.5)


def noam(optimizer: Optimizer, d_model: int, warmup: int) -> LambdaLR:
    """The optimizer's learning rate times `noam_rate`: call `step()` after every update."""
    if d_model < 1 or warmup < 1:
        raise ValueError(f"noam: d_model and warmup must be at least 1, not {d_model} and {warmup}")
    return LambdaLR(optimizer, lambda done: noam_rate(done + 1, d_model, warmup))


class Schedule:
    """The course of an optimizer's learning rates: call `step()` after every update and
    `epoch_done(validation loss)` after every epoch.

    updates: in an epoch. warmup: a number of updates, or a share of all of them (below 1).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        kind: str,
        updates: int,
        epochs: int,
        warmup: float = 0,
        step_size: int = 1,
        gamma: float = 0.5,
        patience: int = 0,
    ):
        if kind not in SCHEDULES:
            raise ValueError(f"there is no schedule {kind!r}; there are: {', '.join(SCHEDULES)}")
        total = updates * epochs
        rise = int(warmup) if warmup >= 1 else round(warmup * total)
        if rise >= total:
            raise ValueError(
                f"recipe: a warm-up of {rise} updates leaves none of the {total} of this run"
            )
        self.plateau = None
        if kind == "plateau":  # both multiply the present rate, so that they work together
            self.steps = LinearLR(optimizer, 1 / (rise + 1), total_iters=rise) if rise else None
            self.plateau = ReduceLROnPlateau(optimizer, factor=gamma, patience=patience)
        elif kind == "constant" and not rise:
            self.steps = None
        else:
            self.steps = LambdaLR(
                optimizer,
                lambda s: rate_factor(kind, s, total, rise, s // updates, step_size, gamma),
            )

    def step(self) -> None:
        """Go on to the next update."""
        if self.steps is not None:
            self.steps.step()

    def epoch_done(self, loss: float) -> None:
        """Note an epoch's validation loss."""
        if self.plateau is not None:
            self.plateau.step(loss)

    def state_dict(self) -> dict:
        """The state of both parts."""
        parts = {"steps": self.steps, "plateau": self.plateau}
        return {name: part and part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a saved state."""
        parts = {"steps": self.steps, "plateau": self.plateau}
        for name, part in parts.items():
            if (part is None) != ((state or {}).get(name) is None):
                raise ValueError("this state is of a run with another schedule of learning rates")
        for name, part in parts.items():
            if part is not None:
                part.load_state_dict(state[name])
