"""Published figures with their sources: `results/reference/*.yaml`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from inducer_bench.config import yaml_files
from inducer_bench.errors import UserError
from inducer_bench.options import options, typed

_PACKAGE = Path(__file__).resolve().parent
FOLDER = next(
    (path for path in (_PACKAGE / "reference", _PACKAGE.parent.parent / "results" / "reference") if path.is_dir()),
    _PACKAGE / "reference",
)


@options
class Figure:
    """A published number, with the deviation that its source states."""

    value: float
    pm: float | None = None


@options
class MethodFigures:
    """The figures of one method in a source."""

    parameters: str
    scores: dict[str, dict[str, float | Figure]]  # task -> score -> number


@options
class PlmFigures:
    """The figures of one PLM in a source, and the conditions they were measured under."""

    plm: str
    conditions: str
    methods: dict[str, MethodFigures]


@options
class Source:
    """A file of published figures."""

    name: str
    source: Annotated[str, Field(min_length=1)]
    read_on: str
    figures: list[PlmFigures]

    def conditions(self, plm: str) -> str:
        """The conditions under which the figures of a PLM were measured."""
        return " ".join(part.conditions for part in self.figures if part.plm == plm)

    def find(self, plm: str, task: str, score: str, method: str) -> Figure | None:
        """The figure of a score; None if this source does not have it."""
        for part in self.figures:
            if part.plm == plm and method in part.methods:
                found = part.methods[method].scores.get(task, {}).get(score)
                if found is not None:
                    return found if isinstance(found, Figure) else Figure(value=found)
        return None


def sources(folder: Path = FOLDER) -> list[Source]:
    """Every source in `folder`.

    Raises:
        UserError: a file is not YAML, or not of this layout; every figure must have a source.
    """
    return [_read(path) for path in sorted(folder.glob("*.yaml"))]


def _read(path: Path) -> Source:
    try:
        return typed(Source, yaml_files.read(path))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
