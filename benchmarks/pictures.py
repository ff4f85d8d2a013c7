"""Pictures of the measurements: bars of the ratios, and step times over sizes."""

from minigrad.benchmarks.measure import describe

from minigrad.extra import need
from minigrad.files import atomic

OURS, THEIRS, BOUND = "#1f5fa8", "#d9772b", "#777777"


def _figure(width, height):
    return need("matplotlib.figure").Figure((width, height))


def _save(figure, path):
    with atomic(path) as file:
        figure.savefig(file, format="png", dpi=120, bbox_inches="tight")


def _note(results):
    """The machine, short enough to stand under a picture."""
    about = results["machine"]
    return describe({k: about[k] for k in ("cpu", "threads", "numpy", "torch") if k in about})


def bars(results: dict, path) -> None:
    """Time of minigrad over torch's for every step, with quartiles; or milliseconds without torch."""
    rows = results["steps"]
    compared = all("ratio" in row for row in rows.values())
    column = "ratio" if compared else "minigrad"
    figure = _figure(8, 1.6 + 0.34 * len(rows))
    ax = figure.subplots()
    places = range(len(rows))
    for y, row in zip(places, rows.values(), strict=True):
        low, middle, high = row[column]
        colour = OURS if middle <= 1 or not compared else THEIRS
        ax.barh(y, middle, height=0.62, color=colour)
        # the ratio of the medians may lie outside the quartiles of the rounds
        ax.plot([low, high], [y, y], color="black", lw=1)
        label = f"{middle:.2f}" if compared else f"{middle:,.1f} ms"
        ax.annotate(
            label, (max(middle, high), y), xytext=(5, 0), textcoords="offset points", va="center",
            bbox=dict(boxstyle="square,pad=0.1", facecolor="white", edgecolor="none"), zorder=3,
        )  # fmt: skip
    ax.set_yticks(places, [row["about"] for row in rows.values()])
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_xlim(left=0)
    if compared:
        ax.axvline(1, color="black", lw=1, ls="--")
        mean = results["geometric mean"]
        ax.set_xlabel(
            "time of a step, minigrad / torch (left of the dashed line minigrad is faster)"
        )
        sizes = ", at tiny sizes" if results["small"] else ""
        ax.set_title(f"geometric mean {mean:.2f}{sizes}", loc="left")
    else:
        ax.set_xlabel("milliseconds a step, minigrad alone")
    ax.spines[["top", "right"]].set_visible(False)
    figure.text(0.01, -0.02, _note(results), fontsize=8, color=BOUND, va="top")
    _save(figure, path)


def curves(results: dict, path) -> None:
    """One panel a series: milliseconds over the size, both axes logarithmic."""
    series = results["series"]
    columns = min(3, len(series))
    lines = -(-len(series) // columns)
    figure = _figure(4.4 * columns, 3.6 * lines)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for ax, row in zip(panels, series.values(), strict=False):
        sizes = [point["size"] for point in row["points"]]
        for side, colour, mark in (("minigrad", OURS, "o-"), ("torch", THEIRS, "s-")):
            if side in row["points"][0]:
                times = [point[side] for point in row["points"]]
                ax.plot(sizes, [q[1] for q in times], mark, color=colour, ms=4, label=side)
                ax.fill_between(
                    sizes, [q[0] for q in times], [q[2] for q in times], color=colour, alpha=0.2
                )
        bounds = [point["bound"] for point in row["points"]]
        ax.plot(sizes, bounds, "--", color=BOUND, lw=1, label="this machine's limit")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ax.minorticks_off()
        ax.set_xlabel(row["axis"])
        ax.set_ylabel("ms a step")
        ax.set_title(row["about"], fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in panels[len(series) :]:
        ax.set_visible(False)
    panels[0].legend(frameon=False)
    limits = results["limits"]
    note = (
        f"{_note(results)}; limits: {limits['gflops']:.0f} Gflop/s (GEMM 2048), "
        f"{limits['gigabytes']:.1f} GB/s (a = b + c)"
    )
    figure.tight_layout()
    figure.text(0.01, -0.01, note, fontsize=8, color=BOUND, va="top")
    _save(figure, path)
