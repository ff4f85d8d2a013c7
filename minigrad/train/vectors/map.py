"""Maps of word vectors: chosen words as points of a plane, by PCA or t-SNE."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy

from ...extra import need
from ...text.vectors.words import WordVectors

COLOURS = "#1f77b4 #d62728 #2ca02c #9467bd #ff7f0e #17becf #8c564b #e377c2 #7f7f7f #bcbd22".split()
FEW = 500  # words up to which t-SNE is computed as it is defined


def flat(
    vectors: WordVectors,
    words: Sequence[str],
    method: str = "pca",
    perplexity: float | None = None,
    seed: int = 0,
) -> numpy.ndarray:
    """Points (words, 2) for words, from their vectors at length 1.

    "pca": the two directions in which they differ most; distances are kept as well as a plane can.
    "tsne" (van der Maaten and Hinton 2008): neighbours stay neighbours, other distances say little;
    perplexity is about how many neighbours, by default a third of the words and at most 30.
    """
    words = list(words)
    if len(words) < 3:
        raise ValueError(f"flat: a map takes at least 3 words, not {len(words)}")
    if method not in ("pca", "tsne"):
        raise ValueError(f"flat: method must be 'pca' or 'tsne', not {method!r}")
    rows = numpy.stack([vectors.unit(word) for word in words])
    if method == "pca":
        decomposition = need("sklearn.decomposition", "scikit-learn")
        pca = decomposition.PCA(min(2, rows.shape[1]), svd_solver="full")
        points = pca.fit_transform(rows)
        found = numpy.zeros((len(words), 2), numpy.float32)
        found[:, : points.shape[1]] = points  # vectors of one number have one direction only
        return found
    manifold = need("sklearn.manifold", "scikit-learn")
    if perplexity is None:
        perplexity = min(30.0, (len(words) - 1) / 3)
    start = "pca" if rows.shape[1] > 1 else "random"
    way = (
        "exact" if len(words) <= FEW else "barnes_hut"
    )  # its threads wait for each other too often
    return manifold.TSNE(
        2, perplexity=perplexity, metric="cosine", init=start, method=way, random_state=seed
    ).fit_transform(rows)


def plot_map(
    vectors: WordVectors,
    words: Sequence[str] | Mapping[str, Sequence[str]],
    path,
    method: str = "pca",
    neighbours: int = 0,
    pairs: Sequence[tuple[str, str]] = (),
    title: str = "",
    seed: int = 0,
) -> Path:
    """Draw words on a plane, as a PNG; the path.

    words: a list, or groups by name, which get colours of their own. neighbours: so many of the
    nearest words of each word are drawn too, small. pairs: words that an arrow goes between.
    """
    groups = dict(words) if isinstance(words, Mapping) else {"": list(words)}
    group_of = {word: name for name, members in groups.items() for word in members}
    chosen = list(group_of)
    for one, other in pairs:
        for word in (one, other):
            if word not in group_of:
                raise ValueError(f"plot_map: {word!r} has an arrow but is not among the words")
    for word in chosen:
        if neighbours:
            for near, _ in vectors.nearest(word, neighbours):
                group_of.setdefault(near, group_of[word])
    points = dict(zip(group_of, flat(vectors, list(group_of), method, seed=seed), strict=True))
    figure = need("matplotlib.figure").Figure((9, 7), layout="constrained")
    need("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)  # it measures texts
    ax = figure.subplots()
    colours = {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(groups)}
    for one, other in pairs:
        style = dict(arrowstyle="->", color="#999999", shrinkA=6, shrinkB=6)
        ax.annotate("", points[other], points[one], arrowprops=style)
    for name, colour in colours.items():
        for size, main in ((26, True), (9, False)):
            of_group = [
                word for word in points if group_of[word] == name and (word in chosen) == main
            ]
            if of_group:
                x, y = numpy.array([points[word] for word in of_group]).T
                label = name if main and name else None
                ax.scatter(x, y, size, color=colour, label=label, alpha=1 if main else 0.5, lw=0)
    _write_names(ax, points, {word: colours[name] for word, name in group_of.items()}, set(chosen))
    if any(list(members) != [name] for name, members in groups.items() if name):
        ax.legend(frameon=False, loc="best")
    ax.set(xticks=[], yticks=[], title=title)
    ax.set_xlabel("first principal component" if method == "pca" else "t-SNE")
    ax.set_ylabel("second principal component" if method == "pca" else "")
    ax.spines[["top", "right", "left", "bottom"]].set_color("#cccccc")
    figure.savefig(path, dpi=120)
    return Path(path)


def _write_names(ax, points, colours, chosen) -> None:
    """Each word beside its point, at that of eight places where it covers least."""
    figure = ax.figure
    ax.margins(0.08)
    figure.canvas.draw()  # so that texts have sizes and points have places in pixels
    taken = []
    ahead = sorted(points, key=lambda word: word not in chosen)
    spots = [ax.transData.transform(points[word]) for word in ahead]
    for word, (x, y) in zip(ahead, spots, strict=True):
        main = word in chosen
        text = ax.annotate(
            word, points[word], (0, 0), textcoords="offset points", color=colours[word],
            fontsize=10 if main else 7.5, alpha=1 if main else 0.75, annotation_clip=False,
        )  # fmt: skip
        box = text.get_window_extent(figure.canvas.get_renderer())
        wide, high = box.width, box.height
        places = [
            (5, -high / 2), (-wide - 5, -high / 2), (-wide / 2, 5), (-wide / 2, -high - 5),
            (4, 4), (-wide - 4, 4), (4, -high - 4), (-wide - 4, -high - 4),
        ]  # fmt: skip
        boxes = [(x + dx, y + dy, x + dx + wide, y + dy + high) for dx, dy in places]
        best = min(range(len(boxes)), key=lambda k: _covered(boxes[k], taken, spots))
        dx, dy = places[best]
        text.xyann = dx * 72 / figure.dpi, dy * 72 / figure.dpi
        taken.append(boxes[best])


def _covered(box, taken, spots) -> int:
    """How many boxes and points a box lies over."""
    left, low, right, high = box
    boxes = sum(left < r and l < right and low < h and b < high for l, b, r, h in taken)
    return boxes + sum(left < x < right and low < y < high for x, y in spots)
