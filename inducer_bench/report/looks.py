"""How methods look in figures: colour, marker and line dash, each different, the same in every figure of a report.

Colours were chosen so that any two of them are far apart in CIELAB, also as a colour-blind eye (protan, deutan) sees
them: a test computes it by the matrices of Machado et al. 2009, https://doi.org/10.1109/TVCG.2009.113. Seven are those
of Okabe and Ito, https://jfly.uni-koeln.de/color/. Markers and dashes carry the same information in greyscale.
"""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Look:
    """The look of a method, or of one of its settings.

    Args:
        colour: as #rrggbb.
        shape: a marker of Vega, or an SVG path within [-1, 1].
        dash: lengths of line and gap in pixels; (1, 0) is a solid line.
        filled: whether the marker is; hollow ones are of methods from outside and of further settings.
    """

    colour: str
    shape: str
    dash: tuple[int, ...] = (1, 0)
    filled: bool = True


Looks = Mapping[str, Look]  # by method


def _polygon(corners: int, inner: float | None = None) -> str:
    """The path of a regular polygon with a corner on top; with an inner radius, of a star."""
    radii = [1.0] if inner is None else [1.0, inner]
    points = corners * len(radii)
    at = [(2 * math.pi * i / points, radii[i % len(radii)]) for i in range(points)]
    return "M" + "L".join(f"{r * math.sin(angle):.3f},{-r * math.cos(angle):.3f}" for angle, r in at) + "Z"


_STAR, _PENTAGON, _HEXAGON = _polygon(5, 0.5), _polygon(5), _polygon(6)
CROSS = "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z"
_SOLID, _LONG, _SHORT, _DOTS, _MIXED = (1, 0), (8, 3), (4, 3), (2, 2), (8, 3, 2, 3)

_SHIPPED = {
    "fine_tune": Look("#222222", _STAR),
    "head_only": Look("#774422", CROSS, _DOTS),
    "bitfit": Look("#0000ee", "cross", _SHORT),
    "prefix": Look("#e69f00", "triangle-down"),
    "adapter": Look("#009e73", "square"),
    "lora": Look("#0072b2", "diamond"),
    "mam": Look("#56b4e9", "triangle-left", _LONG),
    "kernel_mix": Look("#aabb66", _PENTAGON, _MIXED),
    "inducer": Look("#d55e00", "circle"),
    "inducer_lora": Look("#770066", "triangle-up", _LONG),
    "inducer_ffn": Look("#cc79a7", _HEXAGON, _MIXED),
    "peft": Look("#002299", "triangle-right", _DOTS),
}
_SPARE_COLOURS = (
    "#9944ee", "#992255", "#ddaaaa", "#dd4455", "#7788ee", "#004499", "#44ccdd", "#2200bb", "#994400", "#007777",
)  # fmt: skip
_SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", _PENTAGON, _STAR, "cross")
_DASHES = (_SOLID, _LONG, _SHORT, _MIXED, _DOTS)
_SPARE = [  # for methods from outside; neighbours differ in everything
    Look(colour, _SHAPES[(n + turn) % len(_SHAPES)], _DASHES[n % len(_DASHES)], filled=False)
    for turn in range(len(_SHAPES))
    for n, colour in enumerate(_SPARE_COLOURS)
]


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """The look of each method of a report, no two alike.

    A shipped method has the same look in every report. One from outside has a look that follows from its name, unless
    another one in the report has taken its colour; beyond the spare colours, methods share colours but not markers.
    """
    names = sorted(set(methods))
    found = {name: _SHIPPED[name] for name in names if name in _SHIPPED}
    for name in names:
        if name not in found:
            start = zlib.crc32(name.encode()) % len(_SPARE_COLOURS)
            own = [*_SPARE[start:], *_SPARE[:start]]
            colours = {look.colour for look in found.values()}
            free = [look for look in own if look not in found.values()]
            found[name] = next((look for look in free if look.colour not in colours), (free or own)[0])
    return found


def of_settings(methods: Sequence[str], known: Looks) -> list[Look]:
    """The look of each setting, given its method; further ones of a method are other shades of its colour."""
    seen: dict[str, int] = {}
    found = []
    for method in methods:
        turn = seen[method] = seen.get(method, -1) + 1
        found.append(_turned(known[method], turn))
    return found


def _turned(look: Look, turn: int) -> Look:
    if turn == 0:
        return look
    towards, share = ("#ffffff", 0.45), ("#000000", 0.4)
    target, amount = (towards, share)[(turn - 1) % 2]
    shape = _SHAPES[(turn + _SHAPES.index(look.shape) if look.shape in _SHAPES else turn) % len(_SHAPES)]
    dash = _DASHES[(turn + _DASHES.index(look.dash)) % len(_DASHES)]
    return replace(look, colour=_mixed(look.colour, target, amount), shape=shape, dash=dash, filled=not look.filled)


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = [(int(colour[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(own + share * (theirs - own)):02x}" for own, theirs in pairs)
