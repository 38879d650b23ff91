"""Text to text: summaries, or any table with a source and a target column; equal sources share their references."""

from collections.abc import Sequence
from typing import Any

from inducer_bench.metrics.generation import generation_scores
from inducer_bench.metrics.score import Scores
from inducer_bench.tasks import source
from inducer_bench.tasks.generation import GenerationTask
from inducer_bench.tasks.options import TextToTextOptions
from inducer_bench.tasks.sample import Sample
from inducer_bench.tasks.sequence import Frame
from inducer_bench.tasks.table_files import Column, checked_text, text_of

FRAME = Frame("<bos_sm>", "<bos_sm>", "<target_sm>", "<eos_sm>")


class TextToTextTask(GenerationTask):
    """Texts for texts."""

    config: TextToTextOptions
    frame = FRAME

    def read(self, split: str) -> list[Sample]:
        """The rows of a split; those with the same source, such as several references of one input, as one sample.

        Raises:
            UserError: the file is missing or damaged, or lacks a column.
        """
        columns = [Column("task.text", (self.config.text,)), Column("task.target", (self.config.target,))]
        targets: dict[str, list[str]] = {}
        for place, [text, target] in source.rows(self.config, split, columns):
            targets.setdefault(checked_text(text, place), []).append(checked_text(target, place))
        samples = [
            Sample(str(number), (("<source_sm>", text),), tuple(texts), tuple(texts))
            for number, (text, texts) in enumerate(targets.items())
        ]
        return source.limited(self.config, split, samples)

    def new_row(self, values: dict[str, Any], place: str) -> Sample:
        """`{"source": "..."}`: the task's source column."""
        return Sample(place, (("<source_sm>", text_of(values, self.config.text, place)),), (), ())

    def score_texts(self, rows: Sequence[dict[str, Any]]) -> Scores:
        """The configured metrics."""
        return generation_scores(
            [row["prediction"] for row in rows], [row["references"] for row in rows], self.config.metrics
        )
