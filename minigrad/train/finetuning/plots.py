"""The picture of a fine-tuning run: losses, learning rate, and what evaluations measured."""

from ..plots import _figure

PASSED_OVER = ("_loss", "_runtime", "_per_second")


def _series(log_history, name) -> tuple[list, list]:
    """(steps, figures) of the logs that have a figure."""
    pairs = [(log["step"], log[name]) for log in log_history if name in log]
    return [step for step, _ in pairs], [figure for _, figure in pairs]


def plot_log_history(log_history: list[dict], path, title: str = "") -> None:
    """Losses over updates, and beside them learning rate and the figures of evaluations, as a PNG."""
    names = list(dict.fromkeys(name for log in log_history for name in log))
    losses = [name for name in names if name == "loss" or name.endswith("_loss")]
    figures = [
        name for name in names
        if name.startswith("eval_") and not name.endswith(PASSED_OVER)
        and all(isinstance(x, (int, float)) for x in _series(log_history, name)[1])
    ]  # fmt: skip
    panels = ["loss", "learning rate"] + (["evaluation"] if figures else [])
    figure = _figure((4.5 * len(panels), 3.6))
    for ax, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
        shown = {"loss": losses, "learning rate": ["learning_rate"], "evaluation": figures}[panel]
        for name in shown:
            if name != "train_loss":  # the mean over the run, one number
                ax.plot(*_series(log_history, name), ".-", label=name)
        ax.set_xlabel("updates")
        ax.set_ylabel(panel)
        ax.spines[["top", "right"]].set_visible(False)
        if panel != "learning rate" and ax.lines:
            ax.legend(frameon=False)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
