"""Pictures of attention: what each head of each layer looks at, all in one PNG."""

from collections.abc import Sequence

import numpy

from .plots import _figure


def plot_heads(
    attentions: Sequence,
    tokens: Sequence[str],
    path,
    looked_at: Sequence[str] | None = None,
    title: str = "",
) -> None:
    """A heat map for each of A heads (columns) of L layers (rows), as a PNG.

    attentions: L arrays or tensors (A, T, S), for one text: rows of the T tokens that look, whose
    weights over the S tokens that are looked at add up to 1. looked_at: those tokens, where they are
    not the same. In every picture dark is the greatest weight of all.
    """
    columns = tokens if looked_at is None else looked_at
    layers = [_numbers(layer) for layer in attentions]
    if not layers:
        raise ValueError("plot_heads: there are no layers")
    for number, layer in enumerate(layers):
        wanted = (layers[0].shape[0], len(tokens), len(columns))
        if layer.shape != wanted:
            raise ValueError(
                f"plot_heads: layer {number} has weights of shape {layer.shape}; "
                f"{len(tokens)} tokens that look at {len(columns)} need (heads, {len(tokens)}, "
                f"{len(columns)}), equally many heads in each layer"
            )
    heads = layers[0].shape[0]
    wide, high = 0.5 + 0.17 * len(columns), 0.35 + 0.15 * len(tokens)
    figure = _figure((1.2 + wide * heads, 1.2 + high * len(layers)))
    axes = figure.subplots(len(layers), heads, sharex=True, sharey=True, squeeze=False)
    top = max(layer.max() for layer in layers)
    for number, (row, layer) in enumerate(zip(axes, layers, strict=True), start=1):
        for head, (ax, weights) in enumerate(zip(row, layer, strict=True), start=1):
            image = ax.imshow(weights, cmap="Blues", vmin=0, vmax=top, aspect="auto")
            ax.set_title(f"layer {number}, head {head}", fontsize=7, pad=2)
            ax.tick_params(length=0, labelsize=6)
    axes[0, 0].set_xticks(range(len(columns)), columns)  # shared by all
    axes[0, 0].set_yticks(range(len(tokens)), tokens)
    for ax in axes[-1]:
        ax.tick_params(axis="x", labelrotation=90)
    figure.suptitle(title, fontsize=9)
    figure.tight_layout()
    bar = figure.colorbar(image, ax=list(axes.flat), fraction=0.02, pad=0.01)
    bar.set_label("attention weight", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    figure.savefig(path, dpi=130)


def _numbers(layer) -> numpy.ndarray:
    """An array of a layer's weights."""
    array = layer.numpy(force=True) if hasattr(layer, "numpy") else numpy.asarray(layer)
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"plot_heads: expected weights (heads, T, S), got shape {array.shape}")
    return array
