"""TrainingArguments: how a model is fine-tuned, by transformers' names and with its defaults."""

import difflib
import functools
import json
import math
from dataclasses import asdict, dataclass, field

from ...files import atomic
from ...optim import SGD, Adagrad, AdamW, RMSprop
from .schedules import SCHEDULES

FILE = "training_args.json"
OPTIMIZERS = {
    "adamw_torch": AdamW, "adamw_torch_fused": AdamW, "sgd": SGD, "adagrad": Adagrad,
    "rmsprop": RMSprop,
}  # fmt: skip
STRATEGIES = ("no", "steps", "epoch")
ORDERS = ("random", "sequential", "group_by_length")


def refuses_unknown(cls):
    """A constructor that says which argument it does not know, and which one may be meant."""
    make = cls.__init__

    @functools.wraps(make)
    def checked(self, *args, **options):
        unknown = [name for name in options if name not in cls.__dataclass_fields__]
        if unknown:
            near = difflib.get_close_matches(unknown[0], cls.__dataclass_fields__, 1)
            raise TypeError(
                f"TrainingArguments has no {', '.join(unknown)} here"
                + (f"; {near[0]} is there" if near else "; leave it out")
            )
        make(self, *args, **options)

    cls.__init__ = checked
    return cls


@refuses_unknown
@dataclass
class TrainingArguments:
    """Everything about a run but the model and the data; ValueError for what cannot be.

    output_dir          where checkpoints and the history's picture go
    num_train_epochs    may be a fraction; max_steps, if above 0, is the number of updates instead
    per_device_train_batch_size, gradient_accumulation_steps   an update sees so many batches
    optim               one of OPTIMIZERS; AdamW with adam_beta1, adam_beta2, adam_epsilon
    weight_decay        not on biases and the weights of norms
    max_grad_norm       the gradient's largest norm; 0: any
    lr_scheduler_type   one of SCHEDULES, with lr_scheduler_kwargs
    warmup_steps        updates, or below 1 a share of all; warmup_ratio is that share by its old name
    eval_strategy, logging_strategy, save_strategy   "no", "steps" or "epoch"; the last also "best".
                        evaluation_strategy is the old name of the first
    eval_steps, logging_steps, save_steps   updates between, or below 1 a share of all;
                        eval_steps is logging_steps where not given
    eval_delay          no evaluation before so many updates (or epochs)
    load_best_model_at_end   end with the best weights by metric_for_best_model ("loss");
                        greater_is_better is False for figures that end in "loss"
    save_total_limit    checkpoints to keep, the best one among them; save_only_model: just weights,
                        from which a run cannot be resumed
    seed, data_seed     of weights and dropout; of the order of examples (seed, where not given)
    train_sampling_strategy   "random", "sequential" or "group_by_length"; group_by_length=True is the
                        old name of the last. Lengths are a column length_column_name or are counted
    label_smoothing_factor   the share of a label that is spread over all classes
    label_names         the inputs that are labels; found in the model's forward where not given
    include_for_metrics what compute_metrics gets besides: "inputs", "loss"
    fp16, bf16          mixed precision, one of both: the model and its loss run under autocast; fp16
                        needs a GPU and scales the loss
    disable_tqdm        True: logs are printed, no bar; None: a bar where the output is a terminal
    report_to           "none": there are no other reports
    """

    output_dir: str | None = None
    per_device_train_batch_size: int = 8
    per_device_eval_batch_size: int = 8
    num_train_epochs: float = 3.0
    max_steps: int = -1
    gradient_accumulation_steps: int = 1
    learning_rate: float = 5e-5
    optim: str = "adamw_torch_fused"
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    lr_scheduler_type: str = "linear"
    lr_scheduler_kwargs: dict | None = None
    warmup_steps: float = 0
    warmup_ratio: float | None = None
    label_smoothing_factor: float = 0.0
    eval_strategy: str = "no"
    evaluation_strategy: str | None = None
    eval_steps: float | None = None
    eval_delay: float = 0
    eval_on_start: bool = False
    prediction_loss_only: bool = False
    include_for_metrics: list[str] = field(default_factory=list)
    logging_strategy: str = "steps"
    logging_steps: float = 500
    logging_first_step: bool = False
    logging_nan_inf_filter: bool = True
    save_strategy: str = "steps"
    save_steps: float = 500
    save_total_limit: int | None = None
    save_only_model: bool = False
    load_best_model_at_end: bool = False
    metric_for_best_model: str | None = None
    greater_is_better: bool | None = None
    resume_from_checkpoint: str | bool | None = None
    ignore_data_skip: bool = False
    seed: int = 42
    data_seed: int | None = None
    train_sampling_strategy: str = "random"
    group_by_length: bool = False
    length_column_name: str = "length"
    dataloader_drop_last: bool = False
    remove_unused_columns: bool = True
    label_names: list[str] | None = None
    fp16: bool = False
    bf16: bool = False
    report_to: str | list[str] | None = "none"
    disable_tqdm: bool | None = None

    def __post_init__(self):
        if self.output_dir is None:
            self.output_dir = "trainer_output"
        self._take_old_names()
        self._check_choices()
        self._check_numbers()
        self._check_steps()
        self._check_best()

    def _take_old_names(self):
        """Old names give their values to the new ones, and are empty from then on."""
        if self.evaluation_strategy is not None:
            if self.eval_strategy not in ("no", self.evaluation_strategy):
                _refuse("eval_strategy and evaluation_strategy are one thing, and differ")
            self.eval_strategy, self.evaluation_strategy = self.evaluation_strategy, None
        if self.warmup_ratio is not None:
            _want(0 <= self.warmup_ratio <= 1, "warmup_ratio", self.warmup_ratio, "from 0 to 1")
            if self.warmup_steps:
                _refuse("choose either warmup_steps or warmup_ratio, not both")
        if self.group_by_length:
            if self.train_sampling_strategy not in ("random", "group_by_length"):
                _refuse("group_by_length=True and train_sampling_strategy differ")
            self.train_sampling_strategy, self.group_by_length = "group_by_length", False

    def _check_choices(self):
        _one_of("optim", self.optim, OPTIMIZERS)
        _one_of("lr_scheduler_type", self.lr_scheduler_type, SCHEDULES)
        _one_of("eval_strategy", self.eval_strategy, STRATEGIES)
        _one_of("logging_strategy", self.logging_strategy, STRATEGIES)
        _one_of("save_strategy", self.save_strategy, (*STRATEGIES, "best"))
        _one_of("train_sampling_strategy", self.train_sampling_strategy, ORDERS)
        for name in self.include_for_metrics:
            _one_of("include_for_metrics", name, ("inputs", "loss"))
        if self.report_to not in ("none", None, [], ["none"]):
            _refuse(
                f"report_to={self.report_to!r}: there are no such reports; choose 'none', and read "
                "trainer.state.log_history, or take logs in a callback's on_log"
            )
        if self.fp16 and self.bf16:
            raise ValueError("At most one of fp16 and bf16 can be True, but not both")

    def _check_numbers(self):
        for name in (
            "learning_rate",
            "adam_epsilon",
            "max_grad_norm",
            "weight_decay",
            "eval_delay",
        ):
            value = getattr(self, name)
            _want(0 <= value < math.inf, name, value, "0 or greater")
        for name in ("adam_beta1", "adam_beta2", "label_smoothing_factor"):
            value = getattr(self, name)
            _want(0 <= value < 1, name, value, "from 0 to below 1")
        for name in (
            "per_device_train_batch_size", "per_device_eval_batch_size", "save_total_limit",
            "gradient_accumulation_steps",
        ):  # fmt: skip
            value = getattr(self, name)
            optional = name == "save_total_limit" and value is None
            _want(optional or (value >= 1 and value == int(value)), name, value, "1, 2, 3 ...")
        _want(self.max_steps == int(self.max_steps), "max_steps", self.max_steps, "a whole number")
        if self.max_steps <= 0:
            epochs = self.num_train_epochs
            _want(0 < epochs < math.inf, "num_train_epochs", epochs, "greater than 0")

    def _check_steps(self):
        steps = self.warmup_steps
        _want(
            0 <= steps < 1 or steps == int(steps) > 0, "warmup_steps", steps,
            "a whole number, or below 1 a share",
        )  # fmt: skip
        if self.eval_strategy == "steps" and self.eval_steps is None:
            if self.logging_steps <= 0:
                _refuse("eval_strategy='steps' needs eval_steps")
            self.eval_steps = self.logging_steps
        for kind in ("eval", "logging", "save"):
            steps = getattr(self, f"{kind}_steps")
            if getattr(self, f"{kind}_strategy") == "steps":
                right = 0 < steps < 1 or (steps >= 1 and steps == int(steps))
                _want(
                    right, f"{kind}_steps", steps, "1, 2, 3 ..., or below 1 a share of all updates"
                )

    def _check_best(self):
        on_plateau = self.lr_scheduler_type == "reduce_lr_on_plateau"
        if on_plateau and self.eval_strategy == "no":
            _refuse("lr_scheduler_type='reduce_lr_on_plateau' needs an eval_strategy")
        wants_best = self.load_best_model_at_end or self.save_strategy == "best" or on_plateau
        if wants_best and self.metric_for_best_model is None:
            self.metric_for_best_model = "loss"
        if self.metric_for_best_model is not None and self.greater_is_better is None:
            self.greater_is_better = not self.metric_for_best_model.endswith("loss")
        if self.save_strategy == "best" and self.eval_strategy == "no":
            _refuse("save_strategy='best' needs an eval_strategy")
        if not self.load_best_model_at_end or self.save_strategy == "best":
            return
        if self.eval_strategy != self.save_strategy or self.eval_strategy == "no":
            _refuse(
                "load_best_model_at_end needs evaluations and checkpoints together: eval_strategy is "
                f"{self.eval_strategy!r}, save_strategy {self.save_strategy!r}"
            )
        if self.eval_strategy == "steps":
            times = self.save_steps / self.eval_steps
            if (self.save_steps < 1) != (self.eval_steps < 1) or abs(times - round(times)) > 1e-9:
                _refuse(
                    "load_best_model_at_end needs save_steps to be a multiple of eval_steps: "
                    f"{self.save_steps} is none of {self.eval_steps}"
                )

    # -- what follows from them ------------------------------------------------------------------

    @property
    def train_batch_size(self) -> int:
        """Examples in a batch of training."""
        return self.per_device_train_batch_size

    @property
    def eval_batch_size(self) -> int:
        """Examples in a batch of evaluation."""
        return self.per_device_eval_batch_size

    @property
    def best_figure_name(self) -> str | None:
        """metric_for_best_model as it stands in metrics: with "eval_" before it."""
        name = self.metric_for_best_model
        return name if name is None or name.startswith("eval_") else f"eval_{name}"

    def get_warmup_steps(self, num_training_steps: int) -> int:
        """Updates of warm-up in a run of so many."""
        if self.warmup_ratio is not None:
            return math.ceil(num_training_steps * self.warmup_ratio)
        steps = self.warmup_steps
        return int(steps) if steps >= 1 else math.ceil(num_training_steps * steps)

    def to_dict(self) -> dict:
        """All values by name."""
        return asdict(self)

    def save(self, path) -> None:
        """Write all values as JSON."""
        with atomic(path, "w") as file:
            json.dump(self.to_dict(), file, indent=2)
            file.write("\n")


def _refuse(why: str):
    raise ValueError(f"TrainingArguments: {why}")


def _want(right: bool, name: str, value, range_: str):
    if not right:
        _refuse(f"{name} must be {range_}, not {value!r}")


def _one_of(name: str, value, choices):
    if value not in choices:
        _refuse(f"there is no {name} {value!r}; there are: {', '.join(choices)}")
