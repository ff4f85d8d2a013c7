"""Pictures of the diagnostics: gradient flow, update ratios, histograms, gradients over time."""

import numpy

from ...extra import need
from ..plots import _figure
from .measures import Flow, Histogram, StateGradients, Units

BLUE, ORANGE, GREEN, RED = "#1f5fa8", "#d9772b", "#2a7f62", "#b5403a"


def _finish(figure, path):
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def plot_gradient_flow(rows: list[Flow], path, title: str = "") -> None:
    """Mean and largest |gradient| of every parameter, input at the top, on a logarithmic axis."""
    figure = _figure((7, 0.3 * len(rows) + 1.3))
    ax = figure.subplots()
    places = numpy.arange(len(rows))
    floor = 1e-12
    means = [max(row.mean, floor) for row in rows]
    tops = [max(row.largest, floor) for row in rows]
    ax.barh(places, tops, height=0.7, color="#c9d8ea", label="largest")
    ax.barh(places, means, height=0.35, color=BLUE, label="mean")
    ax.set_xscale("log")
    ax.set_xlim(left=min(means) / 3)
    ax.set_yticks(places, [row.name for row in rows])
    ax.invert_yaxis()
    ax.set_xlabel("|gradient|")
    ax.set_title(title, fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(
        frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.5 / len(rows) - 0.12), ncols=2
    )
    _finish(figure, path)


def plot_update_ratios(steps: list[int], ratios: list[dict[str, float]], path, title="") -> None:
    """||change|| / ||weight|| of every parameter over updates, with the usual 1e-3 as a line."""
    figure = _figure((7, 4))
    ax = figure.subplots()
    names = list(dict.fromkeys(name for row in ratios for name in row))
    colours = need("matplotlib").colormaps["tab10"]
    for i, name in enumerate(names):
        points = [(s, row[name]) for s, row in zip(steps, ratios, strict=True) if name in row]
        style = "-" if not name.endswith("bias") else "--"
        ax.plot(*zip(*points, strict=True), style, label=name, lw=1.3, color=colours(i % 10))
    ax.axhline(1e-3, color="black", lw=1, ls=":")
    ax.set_yscale("log")
    ax.set_xlabel("update")
    ax.set_ylabel("||change|| / ||weight||")
    ax.set_title(title, fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    _finish(figure, path)


def plot_histograms(histograms: dict[str, Histogram], path, title: str = "") -> None:
    """One small panel for each distribution; counts on a logarithmic axis show the tails."""
    columns = min(4, len(histograms))
    lines = -(-len(histograms) // columns)
    figure = _figure((2.4 * columns, 1.9 * lines + 0.4))
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for ax, (name, h) in zip(panels, histograms.items(), strict=False):
        ax.stairs(h.counts, h.edges, fill=True, color=BLUE)
        ax.set_yscale("log")
        ax.set_title(f"{name}\n{h.mean:.2g} ± {h.deviation:.2g}", fontsize=8)
        ax.tick_params(labelsize=7)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in panels[len(histograms) :]:
        ax.set_visible(False)
    figure.suptitle(title, fontsize=10)
    _finish(figure, path)


def plot_dead_units(stages: dict[str, list[Units]], path, title: str = "") -> None:
    """The share of dead units of every layer, side by side for several stages (before, after ...)."""
    figure = _figure((7, 3))
    ax = figure.subplots()
    width = 0.8 / len(stages)
    for i, (stage, rows) in enumerate(stages.items()):
        places = numpy.arange(len(rows)) + (i - (len(stages) - 1) / 2) * width
        shares = [100 * row.share for row in rows]
        colour = (BLUE, ORANGE, GREEN, RED)[i % 4]
        bars = ax.bar(places, shares, width * 0.9, label=stage, color=colour)
        ax.bar_label(bars, [f"{s:.0f}" for s in shares], fontsize=8)
    ax.set_xticks(range(len(rows)), [row.name for row in rows])
    ax.set_ylim(0, 105)
    ax.set_ylabel("units never positive, %")
    ax.set_title(title, fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    _finish(figure, path)


def plot_state_gradients(panels: dict[str, dict[str, StateGradients]], path) -> None:
    """||dL/dh_t|| over the steps back from the last one, relative to it; one panel a situation."""
    figure = _figure((4.6 * len(panels), 3.6))
    colours = (RED, GREEN, BLUE, ORANGE)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        for colour, (name, found) in zip(colours, curves.items(), strict=False):
            for norms, kind, style in ((found.states, "h", "-"), (found.memories, "c", "--")):
                if norms:
                    back = numpy.arange(len(norms))[::-1]
                    relative = numpy.maximum(numpy.array(norms) / norms[-1], 1e-12)
                    ax.plot(back, relative, style, color=colour, label=f"{name}, {kind}")
        ax.set_yscale("log")
        ax.set_xlabel("steps back from the last word")
        ax.set_title(title, fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("gradient's norm / that of the last step")
    axes[-1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    _finish(figure, path)
