"""The average of a model's weights over training, which is often better than the last of them."""

from ..optim.swa_utils import AveragedModel

AVERAGES = ("ema", "swa")


class Average:
    """Keeps the average of a model's weights: call `update_done()` and `epoch_done(number)`.

    "ema", after every update:  avg <- d avg + (1 - d) w  with  d = min(decay, (1 + n) / (10 + n)),
    n being the updates so far: a young average forgets its first weights soon.
    "swa", after every epoch from number `start` on: the mean (Izmailov et al. 2018).
    Running statistics (buffers) are the model's own.
    """

    def __init__(self, model, kind: str, decay: float = 0.999, start: int = 1):
        if kind not in AVERAGES:
            raise ValueError(f"there is no average {kind!r}; there are: {', '.join(AVERAGES)}")
        self.source = model
        self.kind = kind
        self.start = start

        def lean(averaged, current, count):
            d = min(decay, (1 + count) / (10 + count))
            for a, w in zip(averaged, current, strict=True):
                a.lerp_(w, 1 - d)

        self.averaged = AveragedModel(model, multi_avg_fn=lean if kind == "ema" else None)

    @property
    def model(self):
        """The model to measure: the averaged one, or the model itself before there is any average."""
        return self.averaged.module if int(self.averaged.n_averaged) else self.source

    def update_done(self) -> None:
        """Take the weights after an update into an exponential average."""
        if self.kind == "ema":
            self.averaged.update_parameters(self.source)

    def epoch_done(self, number: int) -> None:
        """Take the weights after an epoch into a plain average."""
        if self.kind == "swa" and number >= self.start:
            self.averaged.update_parameters(self.source)

    def state_dict(self) -> dict:
        """The averaged weights and their count."""
        return self.averaged.state_dict()

    def load_state_dict(self, state: dict) -> None:
        """Go on from a saved average."""
        self.averaged.load_state_dict(state)
