"""Head only: the PLM is a fixed feature extractor; nothing but the task's head is trained."""

from inducer_bench.methods.options import HeadOnlyOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: HeadOnlyOptions) -> None:
    """Add nothing: the model's head is trained beside every method."""
