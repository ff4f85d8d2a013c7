"""The table of gradient checks, for the terminal and as a page of HTML."""

import html
import math
import platform
from collections.abc import Iterable

import numpy

from .checks import Row
from .files import atomic


def _grouped(rows: Iterable[Row]):
    """{(op, sample): {order: row}}, in the order of the rows."""
    table = {}
    for row in rows:
        table.setdefault((row.op, row.sample), {})[row.order] = row
    return table


def _shown(row: Row | None) -> str:
    if row is None:
        return ""
    if not row.ok:
        return "FAILED" if math.isnan(row.error) else f"FAILED {row.error:.1e}"
    return f"{row.error:.1e}" if row.error else "0"


def summary(rows: list[Row]) -> str:
    """One line: how many checks of how many ops, how many failed, the worst error that passed."""
    failed = [row for row in rows if not row.ok]
    worst = max((row.error for row in rows if row.ok), default=0.0)
    return (
        f"{len(rows)} checks of {len({row.op for row in rows})} ops: {len(failed)} failed; "
        f"worst relative error that passed: {worst:.1e}"
    )


def print_table(rows: list[Row], console=None) -> None:
    """Print op x sample, one column an order, with the relative error of the derivative.

    Needs rich (ImportError names the extra). console: a rich Console to print to.
    """
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError as error:
        raise ImportError(
            "the gradcheck table needs rich: pip install 'minigrad[train]'"
        ) from error
    console = Console() if console is None else console
    orders = sorted({row.order for row in rows})
    table = Table(title="Gradients against finite differences")
    table.add_column("op", style="bold", no_wrap=True)
    table.add_column("sample", overflow="fold")
    for order in orders:
        table.add_column(f"order {order}", justify="right", no_wrap=True)
    last = None
    for (op, sample), found in _grouped(rows).items():
        cells = []
        for order in orders:
            row = found.get(order)
            style = "" if row is None or row.ok else "[bold red]"
            cells.append(style + _shown(row))
        name = op if op != last else ""
        table.add_row(name, _escaped(sample), *cells)
        last = op
    console.print(table)
    for row in rows:
        if not row.ok:
            console.print(
                f"[bold red]{row.op}[/]({_escaped(row.sample)}), order {row.order}: "
                + _escaped(row.message)
            )
    console.print(_escaped(summary(rows)))


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; color: #222; }
h1 { font-size: 1.4rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid #ddd; }
th { position: sticky; top: 0; background: #fff; }
td.error { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.op { font-weight: 600; }
td.sample, p.message { font-family: ui-monospace, monospace; font-size: .85rem; }
.failed { background: #fde2e2; color: #a40000; font-weight: 600; }
.summary { padding: .6rem .8rem; background: #eef6ee; }
.summary.failed { background: #fde2e2; }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd; }
  th { background: #181818; }
  th, td { border-color: #444; }
  .summary { background: #1d2c1d; }
  .failed, .summary.failed { background: #4a1b1b; color: #ffb3b3; }
}
"""


def html_page(rows: list[Row]) -> str:
    """The whole report as one page that needs no other file."""
    orders = sorted({row.order for row in rows})
    failed = [row for row in rows if not row.ok]
    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>minigrad: gradient checks</title>",
        f"<style>{STYLE}</style></head><body>",
        "<h1>Gradients against finite differences</h1>",
        "<p>For each operation and sample: the relative difference between &lt;u, J v&gt; by "
        "central differences in float64 and &lt;J<sup>T</sup>u, v&gt; by the gradient rule, for a "
        "random direction v and a random cotangent u. Order 2 is the same for the gradient. "
        "With order 1 also: both backward modes agree, inputs are left unchanged, any memory "
        "layout gives the same, float32 stays float32, and the graph frees itself.</p>",
        f'<p class="summary{" failed" if failed else ""}">{html.escape(summary(rows))}</p>',
        f"<p>Python {platform.python_version()}, NumPy {numpy.__version__}, "
        f"{html.escape(platform.machine())}.</p>",
    ]
    for row in failed:
        text = f"{row.op}({row.sample}), order {row.order}: {row.message}"
        lines.append(f'<p class="message failed">{html.escape(text)}</p>')
    heads = "".join(f"<th>order {order}</th>" for order in orders)
    lines.append(f"<table><thead><tr><th>op</th><th>sample</th>{heads}</tr></thead><tbody>")
    last = None
    for (op, sample), found in _grouped(rows).items():
        cells = [
            f'<td class="op">{html.escape(op) if op != last else ""}</td>',
            f'<td class="sample">{html.escape(sample)}</td>',
        ]
        for order in orders:
            row = found.get(order)
            kind = "error" if row is None or row.ok else "error failed"
            cells.append(f'<td class="{kind}">{_shown(row)}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
        last = op
    lines.append("</tbody></table></body></html>")
    return "\n".join(lines) + "\n"


def write_html(rows: list[Row], path) -> None:
    """Write the report; the file appears whole or not at all."""
    page = html_page(rows)
    with atomic(path, "w") as file:
        file.write(page)
