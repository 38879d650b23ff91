"""Markdown that the pages of `results` share."""

from collections.abc import Sequence
from typing import Any


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table."""
    head, *lines = [f"| {' | '.join(map(str, line))} |" for line in (columns, *rows)]
    return "\n".join([head, f"|{'---|' * len(columns)}", *lines])
