"""What every generation task is made of: a source, the texts that are right, and what its scores are broken down by."""

from dataclasses import dataclass

from inducer_bench.tasks.sequence import Segment


@dataclass(frozen=True)
class Sample:
    """One source.

    Args:
        name: names it in prediction files.
        source: its segments.
        targets: what is trained on, one sequence each.
        references: what a generated text is compared with.
        group: the part of the data that it belongs to, such as a domain.
    """

    name: str
    source: tuple[Segment, ...]
    targets: tuple[str, ...]
    references: tuple[str, ...]
    group: str = ""
