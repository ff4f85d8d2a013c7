"""Pictures of fine-tuning: losses, learning rate, and what evaluations measured; one run or several."""

from ..plots import _figure

PASSED_OVER = ("_loss", "_runtime", "_per_second")


def _series(log_history, name, over: str = "step") -> tuple[list, list]:
    """(steps or epochs, figures) of the logs that have a figure."""
    pairs = [(log[over], log[name]) for log in log_history if name in log]
    return [place for place, _ in pairs], [figure for _, figure in pairs]


def _names(log_history) -> tuple[list[str], list[str]]:
    """(losses, evaluations' figures that are numbers), by their names in the logs."""
    names = list(dict.fromkeys(name for log in log_history for name in log))
    losses = [
        name for name in names
        if name != "train_loss" and (name == "loss" or name.endswith("_loss"))  # the former: one number
    ]  # fmt: skip
    figures = [
        name for name in names
        if name.startswith("eval_") and not name.endswith(PASSED_OVER)
        and all(isinstance(x, (int, float)) for x in _series(log_history, name)[1])
    ]  # fmt: skip
    return losses, figures


def _draw(ax, log_history, names, xlabel: str, ylabel: str, over: str = "step") -> None:
    """Lines of figures over updates or epochs."""
    for name in names:
        ax.plot(*_series(log_history, name, over), ".-", label=name)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    if ylabel != "learning rate" and ax.lines:
        ax.legend(frameon=False)


def plot_log_history(log_history: list[dict], path, title: str = "") -> None:
    """Losses over updates, and beside them learning rate and the figures of evaluations, as a PNG."""
    losses, figures = _names(log_history)
    panels = {"loss": losses, "learning rate": ["learning_rate"], "evaluation": figures}
    if not figures:
        del panels["evaluation"]
    figure = _figure((4.5 * len(panels), 3.6))
    for ax, (panel, names) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        _draw(ax, log_history, names, "updates", panel)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def plot_log_histories(runs: dict[str, list[dict]], path, title: str = "") -> None:
    """Several runs side by side, as a PNG: losses over epochs above, figures of evaluations below."""
    if not runs:
        raise ValueError("plot_log_histories: there are no runs to draw")
    figure = _figure((3.6 * len(runs), 5.6))
    columns = figure.subplots(2, len(runs), squeeze=False).T
    for axes, (name, log_history) in zip(columns, runs.items(), strict=True):
        losses, figures = _names(log_history)
        _draw(axes[0], log_history, losses, "epochs", "loss", "epoch")
        axes[0].set_title(name, fontsize=10)
        if figures:
            _draw(axes[1], log_history, figures, "epochs", "evaluation", "epoch")
        else:
            axes[1].set_visible(False)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
