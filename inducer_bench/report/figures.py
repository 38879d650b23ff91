"""A figure: one Vega-Lite specification for the interactive page and for SVG and PNG files.

Equal specifications give equal bytes. Text is in Liberation Sans, which the converter brings along.
"""

from dataclasses import dataclass
from typing import Any

import altair as alt

INK, FAINT, GRID = "#1b1b1f", "#6b6f76", "#e3e5e9"
WIDTH, HEIGHT = 460, 300  # of a plot, in pixels
_CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "Liberation Sans, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": INK, "titleColor": INK,
        "gridColor": GRID, "domainColor": FAINT, "tickColor": FAINT, "labelLimit": 320, "titlePadding": 8,
    },
    "legend": {
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": INK, "titleColor": INK,
        "labelLimit": 320, "symbolSize": 80, "symbolStrokeWidth": 1.8, "rowPadding": 3,
    },
    "title": {"fontSize": 12, "fontWeight": "normal", "anchor": "start", "color": INK},
    "header": {"labelFontSize": 12, "labelColor": INK, "labelAnchor": "start", "title": None},
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A figure.

    Args:
        name: of its files.
        title: its caption.
        spec: Vega-Lite, complete, with its data and a size in pixels.
    """

    name: str
    title: str
    spec: dict[str, Any]

    def svg(self) -> bytes:
        """As SVG, without date or name of a program."""
        from vl_convert import vegalite_to_svg

        return str(vegalite_to_svg(self.spec, allowed_base_urls=[])).encode()

    def png(self) -> bytes:
        """As PNG, with two pixels for each of the specification."""
        from vl_convert import vegalite_to_png

        return bytes(vegalite_to_png(self.spec, scale=2, allowed_base_urls=[]))


def picture(name: str, title: str, chart: Any) -> Picture:
    """A chart of altair as a figure in this project's style."""
    return Picture(name, title, {**chart.to_dict(), "config": _CONFIG, "description": title})


def data(rows: list[dict[str, Any]]) -> alt.InlineData:
    """Rows of plain values as the data of a chart."""
    return alt.InlineData(values=rows)


def zoom(*encodings: str) -> alt.Parameter:
    """Zoom and move by mouse, along `x`, `y` or both."""
    return alt.selection_interval(name="zoom", bind="scales", encodings=list(encodings) or ["x", "y"])
