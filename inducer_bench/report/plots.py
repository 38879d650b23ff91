"""A figure: one Vega-Lite specification for the interactive page and for SVG and PNG files.

Equal specifications give equal bytes. Text is in Liberation Sans, which the converter brings along.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from inducer_bench.report import images
from inducer_bench.report.looks import Look

INK, FAINT, GRID = "#1b1b1f", "#6b6f76", "#e3e5e9"
WIDTH, HEIGHT = 460, 300  # of a plot, in pixels
LINE, BAND = 15, 24  # height of a line of text and of a row of a dot plot, in pixels
_CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "Liberation Sans, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": INK, "titleColor": INK,
        "gridColor": GRID, "domainColor": FAINT, "tickColor": FAINT, "labelLimit": 420, "titlePadding": 8,
    },
    "legend": {
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": INK, "titleColor": INK,
        "labelLimit": 420, "symbolSize": 80, "symbolStrokeWidth": 1.8, "rowPadding": 3,
    },
    "title": {"fontSize": 12, "fontWeight": "bold", "anchor": "start", "color": INK},
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A figure.

    Args:
        name: of its files.
        title: its caption.
        spec: Vega-Lite, complete, with its data and its size in pixels.
    """

    name: str
    title: str
    spec: dict[str, Any]

    def svg(self) -> bytes:
        """As SVG, without date or name of a program."""
        return images.svg(self.spec)

    def png(self) -> bytes:
        """As PNG, with two pixels for each of the specification."""
        return images.png(self.svg())


def picture(name: str, title: str, chart: Any) -> Picture:
    """A chart of altair as a figure in this project's style."""
    return Picture(name, title, {**chart.to_dict(), "config": _CONFIG, "description": title})


# -- parts of charts ---------------------------------------------------------------------------------------------------


def of(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A chart of rows of plain values."""
    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))


def zoomable(chart: Any, *further: Any, along: Sequence[Literal["x", "y"]] = ("x", "y"), name: str = "plot") -> Any:
    """The chart, which the wheel zooms and dragging moves; altair would number a chart without a name."""
    zoom = alt.selection_interval(name=f"zoom_{name}", bind="scales", encodings=list(along))
    return chart.properties(name=name).add_params(zoom, *further)


def span_of(low: float, high: float) -> Any:
    """A linear scale of exactly this range."""
    return alt.Scale(domain=[low, high], zero=False, nice=False)


def hints(**titles: str) -> list[Any]:
    """The values that appear under the pointer: field = title."""
    return [alt.Tooltip(field=field, type="nominal", title=title) for field, title in titles.items()]


def points(base: Any, size: int = 80) -> Any:
    """Markers in the colours and shapes of the rows' `colour`, `face` and `shape`, without a legend."""
    return base.mark_point(size=size, strokeWidth=1.8, opacity=1).encode(
        stroke=alt.Stroke("colour:N", scale=None),
        fill=alt.Fill("face:N", scale=None),
        shape=alt.Shape("shape:N", scale=None),
    )


def reach(base: Any, colour: Any) -> Any:
    """Horizontal lines from `low` to `high` of the rows that have them."""
    lines = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2, opacity=0.7, clip=True)
    return lines.encode(x=alt.X("low:Q"), x2="high:Q", stroke=colour)


def rows_axis(order: Sequence[str], labelled: bool = True) -> Any:
    """A vertical axis with a band for each value of `row`."""
    axis = alt.Axis(domain=False, ticks=False, labels=labelled, grid=True)
    return alt.Y("row:N", title=None, scale=alt.Scale(domain=list(order)), axis=axis)


def painted(look: Look) -> dict[str, Any]:
    """The fields that `points` and lines read."""
    face = look.colour if look.filled else "white"
    return {"colour": look.colour, "face": face, "shape": look.shape, "dash": list(look.dash)}


def by_name(names: Sequence[str], looks: Sequence[Look]) -> dict[str, Any]:
    """Encodings of the field `row` by these looks, by channel, with one legend in this order."""
    legend = alt.Legend(title=None, orient="right", symbolOpacity=1)

    def scale(values: Sequence[Any]) -> Any:
        return alt.Scale(domain=list(names), range=list(values))

    return {
        "stroke": alt.Stroke("row:N", scale=scale([look.colour for look in looks]), legend=legend),
        "fill": alt.Fill("row:N", scale=scale([painted(look)["face"] for look in looks]), legend=legend),
        "shape": alt.Shape("row:N", scale=scale([look.shape for look in looks]), legend=legend),
        "strokeDash": alt.StrokeDash("dash:N", scale=None),  # of the rows: a legend would dash its markers
    }


# -- numbers -----------------------------------------------------------------------------------------------------------


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean by Student's t; None of fewer than three values, which say too little."""
    if len(values) < 3:
        return None
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, 0.975)) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values) - half, statistics.fmean(values) + half


def rounded(number: float) -> str:
    """Four digits."""
    return f"{number:,.4g}"


def interval_words(counts: Iterable[int], cut: bool = False) -> str:
    """What a caption says of the intervals, given the number of seeds of each mean, and whether one leaves the plot."""
    found = set(counts)
    if max(found) < 2:
        return "One seed each: no intervals."
    if max(found) < 3:
        return "Fewer than three seeds each: no intervals."
    some = "" if min(found) > 2 else ", where there are at least three"
    return f"Lines: 95 % intervals of the mean over seeds{some}{', cut at the edge of the plot' if cut else ''}."


def limits(values: Iterable[float], share: float = 0.06) -> tuple[float, float]:
    """The range of an axis: that of the values, and a margin."""
    found = list(values)
    margin = share * (max(found) - min(found)) or abs(found[0]) * share or 1.0
    return min(found) - margin, max(found) + margin


def floor(values: Sequence[float], better: int) -> float:
    """Worse than this is far from all others, by Tukey's outer fence; nothing is too good."""
    if len(values) < 4:
        return -better * math.inf
    first, _, third = statistics.quantiles([better * value for value in values], n=4, method="inclusive")
    return better * (first - 3 * (third - first))


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The places nearest to the wanted ones, in ascending order and within a range, that are at least `gap` apart."""
    blocks: list[tuple[float, int]] = []  # the mean of (wanted - offset within the block), number of places
    for place in wanted:
        blocks.append((place, 1))
        while len(blocks) > 1 and blocks[-1][0] - blocks[-2][0] < gap * blocks[-2][1]:
            (before, count), (last, more) = blocks[-2:]
            blocks[-2:] = [((before * count + (last - count * gap) * more) / (count + more), count + more)]
    found = [start + gap * index for start, count in blocks for index in range(count)]
    found = [min(place, high - gap * (len(found) - 1 - index)) for index, place in enumerate(found)]
    return [max(place, low + gap * index) for index, place in enumerate(found)]


def ticks(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic axis: powers of ten; where there are few, 2 and 5 times of them, or steps."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        found = [factor * 10.0**power for power in powers for factor in factors]
        found = [float(f"{tick:.1g}") for tick in found if low <= tick <= high]
        if len(found) > 2:
            return found
    rough = (high - low) / 6
    step = next(
        10.0 ** math.floor(math.log10(rough)) * part for part in (1, 2, 5, 10) if 10 ** (math.log10(rough) % 1) <= part
    )
    return [float(f"{step * n:.6g}") for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
