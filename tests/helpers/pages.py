"""The HTML page of a folder of runs, with a figure drawn by hand for each table."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from inducer_bench.report import images, page, reference, store, studies, tables, tuned
from inducer_bench.report.figures import Picture
from inducer_bench.report.tables import Table

EVIL = (
    "=1</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&lt;javascript:alert(3)`\x1b[31m\u202e\u2028\n."
)


def every_seed(table: Table) -> list[Picture]:
    """A point for each seed of the first column."""
    rows = [{"method": row.label, "value": value} for row, cell in table.measured() for _, value in cell.values]
    encoding = {
        "x": {"field": "value", "type": "quantitative", "scale": {"zero": False}},
        "y": {"field": "method", "type": "nominal"},
        "tooltip": [{"field": "method"}, {"field": "value", "type": "quantitative"}],
    }
    spec: dict[str, Any] = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": rows},
        "width": 300,
        "height": 200,
        "params": [{"name": "zoom", "select": {"type": "interval", "encodings": ["x"]}, "bind": "scales"}],
        "mark": {"type": "point", "filled": True, "size": 150, "color": "#222222"},
        "encoding": encoding,
        "config": {"background": "white", "axis": {"labelColor": "#1b1b1f", "gridColor": "#e3e5e9"}},
        "description": "Every seed",
    }
    return [Picture("spread", "Every seed", spec)] if rows else []


made_vega = images.vega  # as the command makes it, which takes more than a second


@cache
def vega() -> str:
    """The script that draws figures, made once."""
    return made_vega()


def tables_of(root: Path) -> list[Table]:
    """The tables of the runs below `root`, those of studies first."""
    found = store.load(root)
    known, _ = studies.load(root, found)
    return [*map(tuned.table, known), *tables.build(found, reference.sources(), "runs", None, known)]


def page_of(root: Path, out: Path, built: Sequence[Table] | None = None, figures: bool = True) -> str:
    """The page in `out` about the runs below `root`."""
    found = store.load(root)
    known, odd = studies.load(root, found)
    built = tables_of(root) if built is None else built
    pictures = {table.path: every_seed(table) for table in built} if figures else {}
    left_out = [*found.left_out, *odd]
    return page.html(built, pictures, found, vega=vega(), studies=known, left_out=left_out, root=str(root), out=out)
