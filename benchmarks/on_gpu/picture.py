"""The comparison on a GPU as a picture: ratios to torch, and parts of the device's ceilings."""

from minigrad.benchmarks.pictures import BOUND, OURS, THEIRS, _figure, _save

SHOWN = "device", "driver", "cupy", "torch"  # of the machine, under the picture


def draw(results: dict, path) -> bool:
    """Steps above, kernels below; False, and no picture, where nothing was timed."""
    steps = [row for row in results["rows"] if row.get("section") == "steps" and "times" in row]
    kernels = [row for row in results["rows"] if row.get("section") == "kernels" and "times" in row]
    if not steps and not kernels:
        return False
    heights = [max(3, len(steps)), max(3, len(kernels))]
    figure = _figure(11, 1.8 + 0.21 * sum(heights))
    panels = figure.subplots(2, 2, width_ratios=(1, 1), height_ratios=heights, squeeze=False)
    names = [f"{row['step']}, {row['mode']}" for row in steps]
    _times(panels[0, 0], steps, names)
    _ratios(panels[0, 1], steps, "ratio of calls", "time of a step, minigrad / torch")
    _fractions(panels[1, 0], kernels)
    _ratios(panels[1, 1], kernels, "ratio", "GPU time, minigrad / torch")
    for ax in panels[:, 0]:
        ax.legend(
            frameon=False, fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0
        )
    about = results["machine"]
    note = ", ".join(f"{key} {about[key]}" for key in SHOWN if key in about)
    if results["stand-in"]:
        note += "; on the stand-in: the times mean nothing"
    figure.tight_layout()
    figure.text(0.01, -0.005, note, fontsize=8, color=BOUND, va="top")
    _save(figure, path)
    return True


def _rows(ax, names):
    """A line for each name, from the top."""
    ax.set_yticks(range(len(names)), names, fontsize=7)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="x", labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", lw=0.4, color="#dddddd")
    ax.set_axisbelow(True)


def _points(ax, rows, value):
    """A dot for each side of each row that has the value."""
    for side, colour, mark in (("torch", THEIRS, "s"), ("minigrad", OURS, "o")):
        found = [(value(row, side), y) for y, row in enumerate(rows)]
        found = [(x, y) for x, y in found if x is not None]
        ax.plot([x for x, _ in found], [y for _, y in found], mark, color=colour, ms=4, label=side)


def _times(ax, rows, names):
    _points(ax, rows, lambda row, side: row["times"].get(side, {}).get("call"))
    calls = [times["call"] for row in rows for times in row["times"].values()] or [1.0]
    _logarithmic(ax, min(calls) / 1.6, max(calls) * 1.6)
    ax.set_xlabel("ms a step", fontsize=8)
    _rows(ax, names)


def _fractions(ax, rows):
    _points(ax, rows, lambda row, side: row["fractions"].get(side))
    ax.axvline(1, color=BOUND, lw=1, ls="--")
    ax.set_xlim(left=0)
    ax.set_xlabel("part of the bandwidth or of the products' rate", fontsize=8)
    _rows(ax, [row["name"] for row in rows])


def _ratios(ax, rows, key, label):
    """Bars from 1, to the left where minigrad is faster; the axis is logarithmic."""
    for y, row in enumerate(rows):
        if key in row:
            ratio = row[key]
            ax.barh(y, ratio - 1, left=1, height=0.62, color=OURS if ratio <= 1 else THEIRS)
            ax.annotate(
                f"{ratio:.2f}", (ratio, y), xytext=(-4 if ratio <= 1 else 4, 0), fontsize=7,
                textcoords="offset points", ha="right" if ratio <= 1 else "left", va="center",
            )  # fmt: skip
    found = [row[key] for row in rows if key in row] or [1.0]
    _logarithmic(ax, min(0.5, *found) / 1.6, max(2.0, *found) * 1.6)
    ax.axvline(1, color="black", lw=1)
    ax.set_xlabel(f"{label} (left: minigrad is faster)", fontsize=8)
    _rows(ax, ["" for _ in rows])
    ax.tick_params(axis="y", length=0)


def _logarithmic(ax, low, high):
    """The horizontal axis from low to high, marked at 1, 2, 5, 10 and so on."""
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    marks = [digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 5)]
    marks = [mark for mark in marks if low <= mark <= high]
    ax.set_xticks(marks, [f"{mark:g}" for mark in marks])
    ax.minorticks_off()
