"""A run on the terminal: a bar for the running epoch, a table row for every finished one."""

import time

from ..extra import need


class Progress:
    """Shows a Trainer's work with rich; use it as a context manager."""

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

    def step_done(self, epoch, step, steps, loss):
        """Move the bar."""
        if self.task is None:
            self.task = self.bar.add_task("", total=steps, epoch=epoch, loss=loss)
        self.bar.update(self.task, completed=step, total=steps, epoch=epoch, loss=loss)

    def epoch_done(self, epoch, best):
        """Print the row of an epoch, marked where it is the best so far."""
        if self.lines == 0:
            self.bar.console.print(
                "[bold]epoch  train loss  train acc  valid loss  valid acc       lr  seconds[/]"
            )
        self.lines += 1
        mark = " [green]best[/]" if best else ""
        self.bar.console.print(
            f"{epoch.number:5d}  {epoch.train_loss:10.4f}  {epoch.train_accuracy:8.2%} "
            f" {epoch.valid_loss:10.4f}  {epoch.valid_accuracy:8.2%}  {epoch.learning_rate:7.1e}"
            f"  {epoch.seconds:7.1f}{mark}"
        )


class LanguageProgress(Progress):
    """Shows the training of a language model: tokens a second on the bar, perplexity in the rows."""

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
        if self.task is None:
            self.task = self.bar.add_task("", total=steps, epoch=epoch, loss=loss, speed=speed)
        self.bar.update(self.task, completed=step, total=steps, epoch=epoch, loss=loss, speed=speed)

    def epoch_done(self, epoch, best):
        """Print the row of an epoch, marked where it is the best so far."""
        if self.lines == 0:
            self.bar.console.print(
                "[bold]epoch  train loss  valid loss  perplexity      lr  tokens/s  seconds[/]"
            )
        self.lines += 1
        mark = " [green]best[/]" if best else ""
        self.bar.console.print(
            f"{epoch.number:5d}  {epoch.train_loss:10.4f}  {epoch.valid_loss:10.4f}  "
            f"{epoch.valid_perplexity:10.2f}  {epoch.learning_rate:6.0e}  "
            f"{epoch.tokens_per_second:8,.0f}  {epoch.seconds:7.1f}{mark}"
        )
