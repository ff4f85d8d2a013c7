"""A run on the terminal: a bar for the running epoch, a table row for every finished one."""

import time

from ..extra import need


class Progress:
    """Shows a Trainer's work with rich; use it as a context manager.

    A subclass for epochs with other figures has its own `heading` and `row`.
    """

    heading = "epoch  train loss  train acc  valid loss  valid acc       lr  seconds"

    def __init__(self, console=None):
        self.console = console or need("rich.console").Console()
        bars = need("rich.progress")
        self.bar = bars.Progress(
            bars.TextColumn("epoch {task.fields[epoch]:>2}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn("loss {task.fields[loss]:.4f}"),
            bars.TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self.task = None
        self.lines = 0

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *exc):
        self.bar.stop()

    def step_done(self, epoch, step, steps, loss, **fields):
        """Move the bar."""
        fields |= {"completed": step, "total": steps, "epoch": epoch, "loss": loss}
        if self.task is None:
            self.task = self.bar.add_task("", **fields)
        self.bar.update(self.task, **fields)

    def epoch_done(self, epoch, best):
        """Print the row of an epoch, marked where it is the best so far."""
        if self.lines == 0:
            self.console.print(f"[bold]{self.heading}[/]")
        self.lines += 1
        self.console.print(self.row(epoch) + ("  [green]best[/]" if best else ""))

    def row(self, epoch) -> str:
        """An epoch's figures under the heading."""
        return (
            f"{epoch.number:5d}  {epoch.train_loss:10.4f}  {epoch.train_accuracy:9.2%}"
            f"  {epoch.valid_loss:10.4f}  {epoch.valid_accuracy:9.2%}"
            f"  {epoch.learning_rate:7.1e}  {epoch.seconds:7.1f}"
        )


class TagProgress(Progress):
    """Shows the training of a tagger: the validation score (F1 of entities, or accuracy) in the rows."""

    heading = "epoch  train loss  valid loss  valid acc  valid score       lr  seconds"

    def row(self, epoch) -> str:
        """An epoch's figures under the heading."""
        return (
            f"{epoch.number:5d}  {epoch.train_loss:10.4f}  {epoch.valid_loss:10.4f}"
            f"  {epoch.valid_accuracy:9.2%}  {epoch.valid_score:11.2%}"
            f"  {epoch.learning_rate:7.1e}  {epoch.seconds:7.1f}"
        )


class LanguageProgress(Progress):
    """Shows the training of a language model: tokens a second on the bar, perplexity in the rows."""

    heading = "epoch  train loss  valid loss  perplexity       lr  tokens/s  seconds"

    def __init__(self, console=None, tokens_per_step: int = 1):
        super().__init__(console)
        column = need("rich.progress").TextColumn("{task.fields[speed]:,.0f} tokens/s")
        self.bar.columns = (*self.bar.columns[:-1], column, self.bar.columns[-1])
        self.tokens = tokens_per_step
        self.begin = None

    def step_done(self, epoch, step, steps, loss):
        """Move the bar; the speed is the mean over the epoch so far."""
        now = time.perf_counter()
        if step == 1 or self.begin is None:
            self.begin, self.first = now, step
        speed = (step - self.first) * self.tokens / max(now - self.begin, 1e-9)
        super().step_done(epoch, step, steps, loss, speed=speed)

    def row(self, epoch) -> str:
        """An epoch's figures under the heading."""
        return (
            f"{epoch.number:5d}  {epoch.train_loss:10.4f}  {epoch.valid_loss:10.4f}"
            f"  {epoch.valid_perplexity:10.2f}  {epoch.learning_rate:7.1e}"
            f"  {epoch.tokens_per_second:8,.0f}  {epoch.seconds:7.1f}"
        )


class UpdateProgress(LanguageProgress):
    """Shows the training of a language model whose epochs are numbered by the updates made."""

    heading = "update  train loss  valid loss  perplexity       lr  tokens/s  seconds"

    def row(self, epoch) -> str:
        """An interval's figures under the heading."""
        return " " + super().row(epoch)
