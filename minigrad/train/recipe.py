"""A training recipe: optimizer, decay, schedule, regularization and stopping, checked as a whole.

Each part is made by a method of its own, so that any training loop can take what it needs:
`recipe.make_optimizer(model)`, `make_schedule(optimizer, steps)`, `make_loss()`, `make_average(model)`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..optim import (
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
)
from .averaging import AVERAGES, Average
from .objective import Objective
from .schedule import SCHEDULES, Schedule
from .unfreeze import Unfreeze

OPTIMIZERS = {
    "sgd": SGD,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "adamax": Adamax,
    "nadam": NAdam,
    "radam": RAdam,
    "adafactor": Adafactor,
}
# those that decay weights apart from gradients: when told to, or always
TOLD_TO = ("adam", "nadam", "radam")
ALWAYS = ("adamw", "adafactor")
DECOUPLED = TOLD_TO + ALWAYS


@dataclass
class Recipe:
    """How a model is trained; ValueError on making one whose options are wrong or contradict.

    optimizer       one of OPTIMIZERS; momentum and nesterov are for sgd (momentum also for rmsprop)
    l2              weight decay as a term of the gradient: g + l2 w
    weight_decay    decoupled weight decay: w <- w - lr weight_decay w (Loshchilov and Hutter 2019).
                    Neither touches biases and norms' weights, that is parameters of one dimension
    dropout, batch_norm   passed to the model
    label_smoothing the share of a label that is spread over all classes (Szegedy et al. 2016)
    class_weights   "balanced" (N / (K n_k) for class k) or a weight for each class
    multilabel      several labels may be true at once: binary cross-entropy for each
    clip_norm       the largest norm of the whole gradient; clip_value the largest entry
    accumulate      so many batches make up one update
    schedule        one of SCHEDULES; the rate changes after every update
    warmup          updates (1 or more) or share of all updates (less than 1) for the rate to rise
    step_size, gamma      for "step": every step_size epochs the rate is multiplied by gamma
    plateau_patience, gamma   for "plateau": after more epochs than that without a lower validation
                    loss the rate is multiplied by gamma
    freeze_epochs   the embeddings stay as they are for so many epochs
    average         "ema" (average_decay after every update) or "swa" (the mean of the weights at the
                    ends of epochs from average_from on); the averaged weights are measured and kept
    patience        stop after so many epochs without a better validation accuracy; None: never
    keep_best       end with the weights of the best epoch, rather than of the last
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    nesterov: bool = False
    l2: float = 0.0
    weight_decay: float = 0.0
    dropout: float = 0.5
    batch_norm: bool = False
    label_smoothing: float = 0.0
    class_weights: str | Sequence[float] | None = None
    multilabel: bool = False
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    schedule: str = "constant"
    warmup: float = 0
    step_size: int = 1
    gamma: float = 0.5
    plateau_patience: int = 0
    freeze_epochs: int = 0
    average: str | None = None
    average_decay: float = 0.999
    average_from: int = 2
    epochs: int = 12
    patience: int | None = 3
    keep_best: bool = True

    def __post_init__(self):
        self.check()

    def check(self) -> None:
        """ValueError for an option out of its range, or for two that contradict each other."""
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("average", self.average, (None, *AVERAGES))
        for name in ("learning_rate", "clip_norm", "clip_value", "gamma"):
            value = getattr(self, name)
            _want(value is None or 0 < value < math.inf, name, value, "greater than 0")
        for name in ("momentum", "dropout", "label_smoothing", "average_decay"):
            value = getattr(self, name)
            _want(0 <= value <= 1, name, value, "from 0 to 1")
        for name in ("l2", "weight_decay", "warmup", "plateau_patience", "freeze_epochs"):
            value = getattr(self, name)
            _want(0 <= value < math.inf, name, value, "0 or greater")
        for name in ("accumulate", "step_size", "epochs", "average_from", "patience"):
            value = getattr(self, name)
            _want(value is None or (value >= 1 and value == int(value)), name, value, "1, 2, 3 ...")
        _want(self.gamma <= 1, "gamma", self.gamma, "1 or less")
        _want(
            self.warmup < 1 or self.warmup == int(self.warmup), "warmup", self.warmup,
            "a share below 1 or a whole number of updates",
        )  # fmt: skip
        self._check_pairs()

    def _check_pairs(self):
        if self.l2 and self.weight_decay:
            raise ValueError("recipe: choose either l2 or (decoupled) weight_decay, not both")
        if self.weight_decay and self.optimizer not in DECOUPLED:
            raise ValueError(
                f"recipe: {self.optimizer} has no decoupled weight_decay; choose l2, or one of "
                f"{', '.join(DECOUPLED)}"
            )
        if self.l2 and self.optimizer in ALWAYS:
            raise ValueError(
                f"recipe: {self.optimizer} decays weights apart from gradients; choose weight_decay"
            )
        if self.momentum and self.optimizer not in ("sgd", "rmsprop"):
            raise ValueError(f"recipe: momentum is for sgd and rmsprop, not for {self.optimizer}")
        if self.nesterov and not (self.momentum and self.optimizer == "sgd"):
            raise ValueError("recipe: nesterov needs sgd with momentum")
        if self.average == "swa" and self.batch_norm:
            raise ValueError(
                "recipe: swa has no running statistics for batch norm; choose average='ema'"
            )
        if self.average == "swa" and self.average_from > self.epochs:
            raise ValueError(
                f"recipe: swa starts in epoch {self.average_from}, but there are {self.epochs}"
            )
        if isinstance(self.class_weights, str):
            _one_of("class_weights", self.class_weights, ("balanced",))
        elif self.class_weights is not None:
            for weight in self.class_weights:
                _want(weight >= 0, "class_weights", weight, "0 or greater")
        if self.multilabel and self.class_weights is not None:
            raise ValueError("recipe: class_weights are for one label a text, not for multilabel")

    # -- parts -----------------------------------------------------------------------------------

    def make_optimizer(self, model) -> Optimizer:
        """The optimizer of a model's parameters; with decay, those of one dimension are spared."""
        kind = OPTIMIZERS[self.optimizer]
        options: dict = {"lr": self.learning_rate}
        if self.momentum:
            options["momentum"] = self.momentum
        if self.nesterov:
            options["nesterov"] = True
        if self.weight_decay and self.optimizer in TOLD_TO:
            options["decoupled_weight_decay"] = True
        decay = self.weight_decay or self.l2
        trained = [p for p in model.parameters() if p.requires_grad]
        if not decay:
            return kind(trained, **options, weight_decay=0)
        groups = [
            {"params": [p for p in trained if p.dim() > 1], "weight_decay": decay},
            {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0},
        ]
        return kind([group for group in groups if group["params"]], **options)

    def make_schedule(self, optimizer: Optimizer, batches: int) -> Schedule:
        """The learning rate's course, for epochs of so many batches."""
        return Schedule(
            optimizer, self.schedule, -(-batches // self.accumulate), self.epochs,
            warmup=self.warmup, step_size=self.step_size, gamma=self.gamma,
            patience=self.plateau_patience,
        )  # fmt: skip

    def make_loss(self, counts: Sequence[int] | None = None) -> Objective:
        """What is minimized; counts: of the examples of each class, for balanced weights."""
        return Objective(self.label_smoothing, self.class_weights, self.multilabel, counts)

    def make_average(self, model) -> Average | None:
        """The average of a model's weights, if there is to be one."""
        if self.average is None:
            return None
        return Average(model, self.average, self.average_decay, self.average_from)

    def make_unfreeze(self, model) -> Unfreeze | None:
        """What keeps the embeddings still at first, if they are to be."""
        return Unfreeze(model, self.freeze_epochs) if self.freeze_epochs else None


def _want(right: bool, name: str, value, range_: str):
    if not right:
        raise ValueError(f"recipe: {name} must be {range_}, not {value!r}")


def _one_of(name: str, value, choices):
    if value not in choices:
        names = ", ".join(str(choice) for choice in choices)
        raise ValueError(f"recipe: there is no {name} {value!r}; there are: {names}")
