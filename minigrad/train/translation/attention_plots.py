"""Pictures of translation: what each word attends to, and BLEU by the length of the source."""

from collections.abc import Sequence

from ..plots import _figure
from .translator import bleu


def plot_attention(source: Sequence[str], target: Sequence[str], weights, path, title="") -> None:
    """The weights (T, S) of each target word (a row) over the source words, as a PNG."""
    if weights.shape != (len(target), len(source)):
        raise ValueError(
            f"plot_attention: {len(target)} target and {len(source)} source words need weights of "
            f"shape ({len(target)}, {len(source)}), not {weights.shape}"
        )
    figure = _figure((1.6 + 0.42 * len(source), 1.2 + 0.34 * len(target)))
    ax = figure.subplots()
    image = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(source)), source, rotation=60, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(target)), target)
    ax.set_xlabel("source")
    ax.set_ylabel("target")
    ax.set_title(title)
    figure.colorbar(image, ax=ax, label="attention weight", fraction=0.046)
    figure.savefig(path, dpi=110)


def bleu_by_length(
    sources: Sequence[Sequence[str]],
    translations: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    edges: Sequence[int] = (8, 10, 12, 14, 17),
) -> list[tuple[str, int, float]]:
    """(lengths, sentences, BLEU) for sources of up to edges[0] words, up to edges[1], ..., longer.

    Groups without sentences are left out.
    """
    if not len(sources) == len(translations) == len(references):
        raise ValueError(
            f"bleu_by_length: {len(sources)} sources, {len(translations)} translations, "
            f"{len(references)} references"
        )
    rows = []
    bounds = [0, *edges, max([edges[-1], *map(len, sources)])]
    for low, high in zip(bounds[:-1], bounds[1:], strict=True):
        places = [i for i, words in enumerate(sources) if low < len(words) <= high]
        if places:
            found = bleu([translations[i] for i in places], [references[i] for i in places])
            rows.append((f"{low + 1}-{high}", len(places), found))
    return rows


def plot_bleu_by_length(curves: dict[str, list[tuple[str, int, float]]], path, title="") -> None:
    """A line a model, of `bleu_by_length`'s rows, as a PNG."""
    figure = _figure((6.4, 3.8))
    ax = figure.subplots()
    for name, rows in curves.items():
        labels = [f"{lengths}\n({count})" for lengths, count, _ in rows]
        ax.plot(labels, [value for _, _, value in rows], "o-", label=name)
    ax.set_xlabel("words of the source (sentences)")
    ax.set_ylabel("BLEU")
    ax.set_ylim(bottom=0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    ax.set_title(title)
    figure.savefig(path, dpi=110)
