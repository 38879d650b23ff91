"""What a sweep prints when it has ended."""

from collections.abc import Sequence
from itertools import takewhile


def job_lines(printed: Sequence[str]) -> list[str]:
    """The lines of the jobs, which are indented, below the title."""
    title = next(n for n, line in enumerate(printed) if line.startswith("sweep of "))
    return [*takewhile(lambda line: line.startswith("  "), printed[title + 1 :])]
