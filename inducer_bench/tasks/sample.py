"""The example of a generation task: a source, its targets and references, and the group that it is scored in."""

from dataclasses import dataclass

from inducer_bench.tasks.sequence import Segment


@dataclass(frozen=True)
class Sample:
    """One source.

    Args:
        name: its id in prediction files.
        source: the segments of the source.
        targets: texts to train on, one sequence each.
        references: texts that a generated text is compared with.
        group: the part of the data that it belongs to, such as a domain.
    """

    name: str
    source: tuple[Segment, ...]
    targets: tuple[str, ...]
    references: tuple[str, ...]
    group: str = ""
