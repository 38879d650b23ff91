"""Text to text: summaries, or any table with a source and a target column; equal sources share their references."""

from typing import Any

from inducer_bench.tasks import source
from inducer_bench.tasks.generation import GenerationTask
from inducer_bench.tasks.options import TextToTextOptions
from inducer_bench.tasks.sample import Sample
from inducer_bench.tasks.sequence import Frame
from inducer_bench.tasks.table_files import InputColumn, text_of
from inducer_bench.tasks.text_to_text_rows import read_pairs

FRAME = Frame("<bos_sm>", "<bos_sm>", "<target_sm>", "<eos_sm>")


class TextToTextTask(GenerationTask):
    """A target text for each source text."""

    config: TextToTextOptions
    frame = FRAME

    def read(self, split: str) -> list[Sample]:
        """The rows of a split; rows with the same source are one sample with several references.

        Raises:
            UserError: the file is missing or damaged, lacks a column, or has an empty target.
        """
        samples = [
            Sample(str(number), (("<source_sm>", text),), tuple(texts), tuple(texts))
            for number, (text, texts) in enumerate(read_pairs(self.config, split).items())
        ]
        return source.limited(self.config, split, samples)

    def new_row(self, values: dict[str, Any], where: str) -> Sample:
        """`{"source": "..."}`: the task's source column."""
        return Sample(where, (("<source_sm>", text_of(values, self._source, where)),), (), ())

    def source_of(self, sample: Sample) -> dict[str, Any]:
        """The text of the source column."""
        return {self.config.text: sample.source[0][1]}

    @property
    def _source(self) -> InputColumn:
        return InputColumn("task.text", (self.config.text,))
