"""Head only: the PLM is a fixed feature extractor; nothing but the task's head is trained."""

from inducer_bench.config.methods import HeadOnly
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: HeadOnly) -> None:
    """Add nothing: the model's head is trained beside every method."""
