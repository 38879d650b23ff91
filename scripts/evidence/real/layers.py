"""Print what gates do layer by layer, (d); part of `make results`.

python -m scripts.evidence.real.layers [FOLDER]     # default: results/real
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.evidence.markdown import table
from scripts.evidence.real import gate
from scripts.evidence.real.gate import OPEN, Measured
from scripts.evidence.real.runs import REAL, load

COLUMNS = ("mean g, start", "mean g, end", f"g > {OPEN:g}, start, %", f"g > {OPEN:g}, end, %", "A_k moved, %",
           "A_k across, %", "A_v moved, %", "gradient of A_k, start, rms", "of A_v")  # fmt: skip
NOTES = (
    f"A gate above {OPEN:g} is open: there the inducer is nearly an adapter with heads, and its key decides nothing. "
    "Means over seeds with 95 % intervals. Moved: the norm of a part's change relative to that of the part at its "
    "start. Across: without what lies along the start, such as what weight decay does."
)


def main(folder: str = str(REAL)) -> None:
    """Print the page."""
    real = Path(folder)
    print("\n".join(page(gate.load(real / gate.FOLDER, load(real / "runs")))))


def page(found: Sequence[Measured]) -> Iterator[str]:
    """The lines of the page: a table for each setting whose self score is the paper's."""
    yield from (NOTES, "")
    for one in found:
        if one.published:
            rows = [[str(layer + 1), *cells(one, layer)] for layer in range(one.layers)]
            yield from (f"## {one.label}", "", table(["layer", *COLUMNS], rows), "")


def cells(one: Measured, layer: int | None = None) -> list[str]:
    """The cells of `COLUMNS`: of a layer, from 0 on, or of all."""
    percent = (("before", "open"), ("after", "open"), ("norms", "A_k", "moved"), ("norms", "A_k", "across"),
               ("norms", "A_v", "moved"))  # fmt: skip
    return [
        *(one.over(when, "mean", layer=layer).text() for when in ("before", "after")),
        *(one.over(*path, layer=layer).text(100) for path in percent),
        *(one.over("gradients", part, "rms", layer=layer).text() for part in ("A_k", "A_v")),
    ]


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
