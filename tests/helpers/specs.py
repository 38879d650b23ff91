"""What a Vega-Lite specification draws: its layers, with the rows of each."""

from collections.abc import Iterator
from typing import Any

Spec = dict[str, Any]


def layers(spec: Spec) -> Iterator[Spec]:
    """Every single view, with its mark and encoding; shared parts of the views around it are filled in."""
    yield from _below(spec, {"datasets": spec.get("datasets", {})})


def rows(layer: Spec) -> list[dict[str, Any]]:
    """The rows that a view draws."""
    data = layer["data"]
    found: list[dict[str, Any]] = data["values"] if "values" in data else layer["datasets"][data["name"]]
    return found


def drawn(spec: Spec, mark: str, **fields: str) -> list[dict[str, Any]]:
    """The rows of the views with a mark whose channels show fields: x="mean"."""
    return [row for layer in marked(spec, mark, **fields) for row in rows(layer)]


def marked(spec: Spec, mark: str, **fields: str) -> list[Spec]:
    """The views with a mark whose channels show fields."""
    return [
        layer for layer in layers(spec)
        if layer["mark"]["type"] == mark
        and all(layer["encoding"].get(channel, {}).get("field") == field for channel, field in fields.items())
    ]  # fmt: skip


def texts(spec: Spec) -> list[str]:
    """The words that text marks write."""
    return [row[layer["encoding"]["text"]["field"]] for layer in marked(spec, "text") for row in rows(layer)]


def _below(spec: Spec, around: Spec) -> Iterator[Spec]:
    merged = {**around, **{key: spec[key] for key in ("data", "width", "height") if key in spec}}
    inside = [view for key in ("layer", "concat", "hconcat", "vconcat") for view in spec.get(key, ())]
    for view in inside:
        yield from _below(view, merged)
    if "mark" in spec:
        yield {**merged, **spec, "encoding": spec.get("encoding", {})}
