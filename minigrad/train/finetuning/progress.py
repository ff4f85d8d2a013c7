"""A fine-tuning run on the terminal: a bar and a row for every evaluation, or its logs printed."""

import importlib.util
import math
import sys
from pathlib import Path

from ..progress import Progress
from .callbacks import TrainerCallback
from .plots import plot_log_history


class FinetuningProgress(Progress):
    """The bar counts all updates; rows are evaluations."""

    heading = "epoch     step  train loss  eval loss  figures"

    def row(self, epoch) -> str:
        """Figures of an evaluation: a dict as the callback below makes it."""

        losses = "  ".join(
            f"{'-':>{width}}" if epoch[name] is None else f"{epoch[name]:{width}.4f}"
            for name, width in (("train_loss", 10), ("eval_loss", 9))
        )
        figures = "  ".join(f"{name} {value:.4g}" for name, value in epoch["figures"].items())
        return f"{epoch['epoch']:5.2f}  {epoch['step']:7d}  {losses}  {figures}"


class ProgressCallback(TrainerCallback):
    """Shows training with rich; `console` is one of rich's."""

    def __init__(self, console=None):
        self.console = console
        self.progress = None
        self.loss = None

    def on_train_begin(self, args, state, control, **kwargs):
        self.stop()
        self.progress, self.loss = FinetuningProgress(self.console), None
        self.progress.__enter__()

    def on_step_end(self, args, state, control, **kwargs):
        self.progress.step_done(
            math.ceil(state.epoch), state.global_step, state.max_steps, self.loss or 0.0
        )

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs is not None and "loss" in logs:
            self.loss = logs["loss"]

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        if self.progress is None or not metrics:
            return
        ends = ("_runtime", "_per_second")
        figures = {
            name: value
            for name, value in metrics.items()
            if name not in ("eval_loss", "epoch") and not name.endswith(ends)
            and isinstance(value, (int, float))
        }  # fmt: skip
        self.progress.epoch_done(
            {
                "epoch": state.epoch, "step": state.global_step, "train_loss": self.loss,
                "eval_loss": metrics.get("eval_loss"), "figures": figures,
            },
            best=False,
        )  # fmt: skip

    def on_train_end(self, args, state, control, **kwargs):
        self.stop()

    def stop(self) -> None:
        """Give the terminal back."""
        if self.progress is not None:
            self.progress.__exit__(None, None, None)
            self.progress = None


class PrinterCallback(TrainerCallback):
    """Prints every log as it comes."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        print(logs, flush=True)

    def stop(self) -> None:
        """Nothing is held."""


def reporter(args) -> ProgressCallback | PrinterCallback:
    """The bar, or the printer where disable_tqdm says so or the output is no terminal."""
    disabled = args.disable_tqdm
    if disabled is None:
        disabled = not sys.stdout.isatty()
    return PrinterCallback() if disabled else ProgressCallback()


class HistoryPlot(TrainerCallback):
    """Draws output_dir/history.png at the end of training, where matplotlib is installed."""

    def on_train_end(self, args, state, control, **kwargs):
        if importlib.util.find_spec("matplotlib") is None:
            return
        if any("loss" in log or "eval_loss" in log for log in state.log_history):
            folder = Path(args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            plot_log_history(state.log_history, folder / "history.png")
