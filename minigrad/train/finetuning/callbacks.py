"""Callbacks: what is told of every event of a run, and may steer it through `control`.

The order of events in train(), those in brackets where they apply:

    on_train_begin
      on_epoch_begin
        on_step_begin, (on_substep_end) ..., on_pre_optimizer_step, on_optimizer_step, on_step_end
        (on_log), (on_prediction_step ..., on_log, on_evaluate), (on_save)
      on_epoch_end, and the same three again
    on_log, on_train_end

on_init_end comes at the end of Trainer's constructor, on_predict at that of predict().
"""

import warnings

EVENTS = (
    "on_init_end", "on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end",
    "on_step_begin", "on_pre_optimizer_step", "on_optimizer_step", "on_substep_end", "on_step_end",
    "on_evaluate", "on_predict", "on_save", "on_log", "on_prediction_step",
)  # fmt: skip


class TrainerCallback:
    """The base: every event does nothing.

    Keywords: model, processing_class, optimizer, lr_scheduler, train_dataloader, eval_dataloader;
    metrics in on_evaluate and on_predict; logs in on_log. An event may turn switches of `control`.
    """

    def on_init_end(self, args, state, control, **kwargs):
        """The Trainer has been made."""

    def on_train_begin(self, args, state, control, **kwargs):
        """Training begins, or goes on from a checkpoint."""

    def on_train_end(self, args, state, control, **kwargs):
        """Training is over; the best weights are loaded where they are asked for."""

    def on_epoch_begin(self, args, state, control, **kwargs):
        """An epoch begins; a run resumed in the midst of one begins it again."""

    def on_epoch_end(self, args, state, control, **kwargs):
        """An epoch is over."""

    def on_step_begin(self, args, state, control, **kwargs):
        """The first batch of an update comes next."""

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        """Gradients are whole and clipped."""

    def on_optimizer_step(self, args, state, control, **kwargs):
        """Weights have changed; gradients are still there, the rate is still the old one."""

    def on_substep_end(self, args, state, control, **kwargs):
        """A batch is done that is not the last of its update."""

    def on_step_end(self, args, state, control, **kwargs):
        """An update is done and counted."""

    def on_evaluate(self, args, state, control, **kwargs):
        """evaluate() has measured `metrics`."""

    def on_predict(self, args, state, control, metrics, **kwargs):
        """predict() is done."""

    def on_save(self, args, state, control, **kwargs):
        """A checkpoint has been written."""

    def on_log(self, args, state, control, **kwargs):
        """`logs` have been added to state.log_history."""

    def on_prediction_step(self, args, state, control, **kwargs):
        """A batch has been evaluated."""


# switches that an event turns off before it is told of
TURNS_OFF = {
    "on_train_begin": ("should_training_stop",),
    "on_epoch_begin": ("should_epoch_stop",),
    "on_step_begin": ("should_log", "should_evaluate", "should_save"),
    "on_evaluate": ("should_evaluate",),
    "on_save": ("should_save",),
    "on_log": ("should_log",),
}


class CallbackHandler:
    """Tells a list of callbacks of events, in the list's order."""

    def __init__(self, callbacks, **context):
        self.callbacks: list[TrainerCallback] = []
        self.context = dict.fromkeys(
            ("model", "processing_class", "optimizer", "lr_scheduler")
            + ("train_dataloader", "eval_dataloader")
        )
        self.context |= context
        for callback in callbacks:
            self.add_callback(callback)

    def add_callback(self, callback) -> None:
        """Add a callback, or one of a class; TypeError for anything else."""
        made = callback() if isinstance(callback, type) else callback
        if not isinstance(made, TrainerCallback):
            raise TypeError(f"callbacks are TrainerCallbacks, not {type(made).__name__}")
        if any(type(made) is type(other) for other in self.callbacks):
            warnings.warn(f"there is a {type(made).__name__} already; both will run", stacklevel=3)
        self.callbacks.append(made)

    def pop_callback(self, callback) -> TrainerCallback | None:
        """Take out a callback, or the first of a class, and give it back; None if there is none."""
        for other in self.callbacks:
            if (type(other) is callback) if isinstance(callback, type) else (other is callback):
                self.callbacks.remove(other)
                return other
        return None

    def call_event(self, event: str, args, state, control, **kwargs):
        """Tell all callbacks of an event; the control after it."""
        for switch in TURNS_OFF.get(event, ()):
            setattr(control, switch, False)
        for callback in self.callbacks:
            answer = getattr(callback, event)(args, state, control, **self.context, **kwargs)
            if answer is not None:
                control = answer
        return control


class ExportableState:
    """What a callback inherits whose own state belongs into checkpoints.

    `state()` is {"args": ..., "attributes": {...}}; on resuming the attributes are set again.
    """

    def state(self) -> dict:
        """The arguments of the constructor, and the attributes that change."""
        raise NotImplementedError(f"{type(self).__name__} needs a state()")

    def load_state(self, state: dict) -> None:
        """Set the attributes of a saved state."""
        for name, value in state["attributes"].items():
            setattr(self, name, value)


class DefaultFlowCallback(TrainerCallback):
    """Turns the switches as the arguments' strategies say."""

    def on_step_end(self, args, state, control, **kwargs):
        step = state.global_step
        if step == 1 and args.logging_first_step:
            control.should_log = True
        if args.logging_strategy == "steps" and step % state.logging_steps == 0:
            control.should_log = True
        may_evaluate = args.eval_strategy == "steps" and args.eval_delay <= step
        if may_evaluate and step % state.eval_steps == 0:
            control.should_evaluate = True
        if args.save_strategy == "steps" and step % state.save_steps == 0:
            control.should_save = True
        if step >= state.max_steps:
            control.should_training_stop = True
            if may_evaluate:
                control.should_evaluate = True
            if args.save_strategy == "steps":
                control.should_save = True
        return control

    def on_epoch_end(self, args, state, control, **kwargs):
        if args.logging_strategy == "epoch":
            control.should_log = True
        if args.eval_strategy == "epoch" and args.eval_delay <= state.epoch:
            control.should_evaluate = True
        if args.save_strategy == "epoch":
            control.should_save = True
        return control


class EarlyStoppingCallback(TrainerCallback, ExportableState):
    """Stops after early_stopping_patience evaluations in a row without a better figure.

    Better: than the best so far of metric_for_best_model, by more than early_stopping_threshold.
    """

    def __init__(
        self, early_stopping_patience: int = 1, early_stopping_threshold: float | None = 0.0
    ):
        if early_stopping_patience < 1:
            raise ValueError(
                f"early_stopping_patience must be at least 1, not {early_stopping_patience}"
            )
        self.early_stopping_patience = early_stopping_patience
        self.early_stopping_threshold = early_stopping_threshold or 0.0
        self.early_stopping_patience_counter = 0

    def on_train_begin(self, args, state, control, **kwargs):
        if args.metric_for_best_model is None:
            raise ValueError("EarlyStoppingCallback needs metric_for_best_model in the arguments")
        if args.eval_strategy == "no":
            raise ValueError("EarlyStoppingCallback needs an eval_strategy: 'steps' or 'epoch'")

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        value = metrics.get(args.best_figure_name)
        if (
            value is None
        ):  # evaluate() of another data set; in training the Trainer misses it itself
            return
        # state.best_metric is still that of earlier evaluations
        sign = 1 if args.greater_is_better else -1
        gain = None if state.best_metric is None else sign * (value - state.best_metric)
        if gain is None or (gain > 0 and gain > self.early_stopping_threshold):
            self.early_stopping_patience_counter = 0
        else:
            self.early_stopping_patience_counter += 1
        if self.early_stopping_patience_counter >= self.early_stopping_patience:
            control.should_training_stop = True

    def state(self) -> dict:
        return {
            "args": {
                "early_stopping_patience": self.early_stopping_patience,
                "early_stopping_threshold": self.early_stopping_threshold,
            },
            "attributes": {"early_stopping_patience_counter": self.early_stopping_patience_counter},
        }
