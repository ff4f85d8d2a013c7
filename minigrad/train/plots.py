"""Pictures of a run: loss and accuracy over epochs, and the confusion matrix."""

from ..extra import need


def _figure(*sizes):
    matplotlib = need("matplotlib")
    figure = need("matplotlib.figure")
    matplotlib.rcParams["savefig.bbox"] = "tight"
    return figure.Figure(*sizes)


def plot_history(history, path, title: str = "") -> None:
    """Training and validation loss and accuracy, the best epoch marked, as a PNG."""
    figure = _figure((9, 3.6))
    axes = figure.subplots(1, 2)
    numbers = [epoch.number for epoch in history.epochs]
    for ax, quantity in zip(axes, ("loss", "accuracy"), strict=True):
        scale = 100 if quantity == "accuracy" else 1
        for part, style in (("train", "o--"), ("valid", "o-")):
            values = [scale * getattr(epoch, f"{part}_{quantity}") for epoch in history.epochs]
            ax.plot(numbers, values, style, label="training" if part == "train" else "validation")
        if history.best is not None:
            ax.axvline(
                history.best.number,
                color="grey",
                lw=1,
                ls=":",
                label=f"best: epoch {history.best.number}",
            )
        ax.set_xlabel("epoch")
        ax.set_ylabel(f"{quantity}, %" if quantity == "accuracy" else f"{quantity}, nats")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def plot_language_history(
    history, path, title: str = "", perplexity: bool = True, unit: str = "epoch"
) -> None:
    """Training and validation perplexity (or loss in nats) of a language model's epochs, as a PNG.

    unit: what the numbers of the epochs count, "epoch" or "update".
    """
    figure = _figure((5.6, 3.8))
    ax = figure.subplots()
    numbers = [epoch.number for epoch in history.epochs]
    quantity = "perplexity" if perplexity else "loss"
    labels = {"train": "training", "valid": "validation"}
    if history.best is not None:
        best = getattr(history.best, f"valid_{quantity}")
        figures = f"{best:.1f}" if perplexity else f"{best:.3f}"
        where = "in epoch" if unit == "epoch" else f"after {unit}"
        labels["valid"] += f", best {figures} {where} {history.best.number}"
    for (part, label), style in zip(labels.items(), ("o--", "o-"), strict=True):
        values = [getattr(epoch, f"{part}_{quantity}") for epoch in history.epochs]
        ax.plot(numbers, values, style, label=label)
    if perplexity:  # a model that knows nothing starts at the size of the vocabulary
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
        ax.yaxis.set_minor_formatter(lambda value, place: f"{value:g}")
    ax.set_xlabel(unit)
    ax.set_ylabel(quantity if perplexity else "loss, nats")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    ax.set_title(title)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def plot_confusion(counts, labels, path, title: str = "") -> None:
    """The confusion matrix, with each row's shares as colours and counts as numbers, as a PNG."""
    size = max(3.2, 0.75 * len(labels) + 1.6)
    figure = _figure((size + 0.8, size))
    ax = figure.subplots()
    shares = counts / counts.sum(1, keepdims=True).clip(1)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i in range(len(labels)):
        for j in range(len(labels)):
            dark = shares[i, j] > 0.5
            ax.text(
                j,
                i,
                f"{counts[i, j]}",
                ha="center",
                va="center",
                color="white" if dark else "black",
            )
    ax.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    ax.set_yticks(range(len(labels)), labels)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.set_title(title)
    figure.colorbar(image, ax=ax, label="share of the true class", fraction=0.046)
    figure.savefig(path, dpi=120)


def plot_scores(history, path, measure: str = "F1", title: str = "") -> None:
    """A tagger's losses, and its score on the validation part, over epochs, as a PNG."""
    figure = _figure((9, 3.6))
    left, right = figure.subplots(1, 2)
    numbers = [epoch.number for epoch in history.epochs]
    left.plot(numbers, [epoch.train_loss for epoch in history.epochs], "o--", label="training")
    left.plot(numbers, [epoch.valid_loss for epoch in history.epochs], "o-", label="validation")
    left.set_ylabel("loss a word, nats")
    left.legend(frameon=False)
    scores = [100 * epoch.valid_score for epoch in history.epochs]
    right.plot(numbers, scores, "o-")
    right.set_ylabel(f"{measure} on the validation part, %")
    best = history.best
    if best is not None:
        text = f"{100 * best.valid_score:.2f}"
        right.annotate(
            text, (best.number, 100 * best.valid_score), (0, 6), textcoords="offset points",
            ha="center",
        )  # fmt: skip
    for ax in (left, right):
        ax.set_xlabel("epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
