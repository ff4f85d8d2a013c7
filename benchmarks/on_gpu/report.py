"""The comparison on a GPU as tables in Markdown: ceilings, errors, steps, kernels, what is missing."""

from minigrad.benchmarks.measure import describe, geometric_mean, table

SIDES = "minigrad", "torch"


def complete(results: dict) -> dict:
    """The results with what follows from the rows: fractions of the ceilings, ratios, their means."""
    ceilings = {row["name"]: row.get("value") for row in results["rows"]}
    for row in results["rows"]:
        times = row.get("times", {})
        row["fractions"] = {name: _fraction(row, t["ms"][1], ceilings) for name, t in times.items()}
        if all(side in times for side in SIDES):
            ours, theirs = (times[side] for side in SIDES)
            row["ratio"] = ours["ms"][1] / theirs["ms"][1]
            row["ratio of calls"] = ours["call"] / theirs["call"]
    results["means"] = {
        section: geometric_mean(found)
        for section, key in (("steps", "ratio of calls"), ("kernels", "ratio"))
        if (found := [r[key] for r in results["rows"] if r.get("section") == section and key in r])
    }
    results["failures"] = [
        f"{row['name']}: {row['failed'].removeprefix(row['name'] + ': ')}"
        for row in results["rows"]
        if "failed" in row
    ]
    return results


def _fraction(row, ms, ceilings):
    """Which part of the ceiling that binds the row it reached, or None where none was measured."""
    if row.get("bytes"):
        done, ceiling = row["bytes"], ceilings.get("bandwidth")
    elif row.get("flops"):
        done, ceiling = row["flops"], ceilings.get(f"products, {row['precision']}")
    else:
        return None
    return done / (ms / 1e3) / ceiling if ceiling else None


def show(results: dict) -> str:
    """All tables."""
    parts = [
        describe(results["machine"]),
        results["about times"],
        results["about torch"],
        "## What the device can do\n\n" + _ceilings(results),
        "## Relative errors against float64: minigrad (torch)\n\n" + _errors(results, False),
        _errors(results, True),
        "## Training steps, ms\n\n" + _steps(results),
        "## Kernels, ms\n\n" + _kernels(results),
        "## Not here\n\n" + _missing(results),
    ]
    return "\n\n".join(part for part in parts if part)


def _section(results, name):
    return [row for row in results["rows"] if row.get("section") == name]


def _ceilings(results):
    scales = {"B/s": (1e-9, "GB/s"), "FLOP/s": (1e-12, "TFLOP/s"), "s": (1e6, "us")}
    lines = []
    for row in _section(results, "ceilings"):
        if row.get("value") is not None:
            scale, unit = scales[row["unit"]]
            sides = ", ".join(f"{k} {scale * v:,.1f}" for k, v in row.get("sides", {}).items())
            if "host" in row:
                sides = f"{scale * row['host']:,.1f} us seen from the host"
            lines.append([row["name"], f"{scale * row['value']:,.1f} {unit}", sides])
    return table(["ceiling", "value", "by"], lines)


def _errors(results, steps: bool):
    """A line for each function and direction, or each step, a column for each precision or mode."""
    lines, columns = {}, []
    for row in _section(results, "checks"):
        if row["name"].startswith("check: step of ") == steps:
            name, kind = _split(row["name"].removeprefix("check: "))
            if kind not in columns:
                columns.append(kind)
            lines.setdefault(name, {})[kind] = _error(row)
    return table(
        ["", *columns],
        [[name, *(cells.get(c, "") for c in columns)] for name, cells in lines.items()],
    )


def _split(name):
    """(what, in which precision or mode) of a row's name."""
    if name.startswith("step of "):
        what, _, mode = name.removeprefix("step of ").partition(", ")
        return f"step of {what}", mode
    what, _, precision = name.rpartition(", ")
    return what, precision


def _error(row):
    if "error" not in row:
        return "FAILED" if "failed" in row else "-"
    torch = f" ({row['torch']:.1e})" if "torch" in row else ""
    plain = "" if row["kernels"] else " plain"
    return f"{row['error']:.1e}{torch}{plain}"


def _cells(row, key):
    """minigrad's and torch's ms: the GPU's median ("ms"), or those of a call."""
    cells = []
    for side in SIDES:
        times = row["times"].get(side)
        value = None if times is None else times["ms"][1] if key == "ms" else times["call"]
        cells.append("" if value is None else f"{value:,.3f}")
    return cells


def _ratio(row, key):
    return f"{row[key]:.2f}" if key in row else ""


def _steps(results):
    lines = [
        [
            row["step"], row["mode"], *_cells(row, "call"), _ratio(row, "ratio of calls"),
            *_cells(row, "ms"), _ratio(row, "ratio"),
        ]
        for row in _section(results, "steps")
        if "times" in row
    ]  # fmt: skip
    header = ["step", "mode", "minigrad", "torch", "ratio"]
    header += ["minigrad, GPU", "torch, GPU", "ratio, GPU"]
    mean = results["means"].get("steps")
    return table(header, lines) + (f"\n\ngeometric mean of the ratios: {mean:.3f}" if mean else "")


def _kernels(results):
    lines = []
    for row in _section(results, "kernels"):
        if "times" not in row:
            continue
        others = "; ".join(
            f"{name.removeprefix('torch, ')} {times['ms'][1]:,.3f}"
            for name, times in row["times"].items()
            if name not in SIDES
        )
        fractions = [row["fractions"].get(side) for side in SIDES]
        lines.append(
            [
                row["name"], *_cells(row, "ms"), *("" if f is None else f"{f:.0%}" for f in fractions),
                _ratio(row, "ratio"), _ratio(row, "ratio of calls"), others,
                "bytes" if row["bytes"] else "operations",
            ]
        )  # fmt: skip
    header = [
        "function", "minigrad", "torch", "of ceiling", "torch's", "ratio", "ratio of calls",
        "torch's others", "ceiling",
    ]  # fmt: skip
    mean = results["means"].get("kernels")
    formulas = {
        row["case"]: row["formula"] for row in _section(results, "kernels") if "case" in row
    }
    return (
        table(header, lines)
        + (f"\n\ngeometric mean of the ratios: {mean:.3f}" if mean else "")
        + "\n\nBytes or operations: "
        + "; ".join(f"{name}: {formula}" for name, formula in formulas.items())
    )


def _missing(results):
    """What failed, did not fit in memory or was left out, with the reasons."""
    lines = [f"- FAILED: {text}" for text in results["failures"]]
    reasons = {}
    for row in results["rows"]:
        if "memory" in row:
            lines.append(f"- out of memory: {row['name']}: {row['memory']}")
        if "skipped" in row:
            reasons.setdefault(row["skipped"], []).append(row["name"])
        for side, reason in row.get("missing", {}).items() if "times" in row else ():
            reasons.setdefault(f"{side}: {reason}", []).append(row["name"])
        if "torch failed" in row:
            reasons.setdefault(f"torch: {row['torch failed']}", []).append(row["name"])
    lines += [f"- {reason}: {'; '.join(names)}" for reason, names in reasons.items()]
    return "\n".join(lines) or "nothing"
