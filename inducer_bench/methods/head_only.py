"""Head only: the PLM is a fixed feature extractor, and only the task's head is trained.

A baseline, called feature extraction by Peters et al. 2019 (https://aclanthology.org/W19-4302).

    tuned = ib.attach(model, "head_only")       # model: with a head, such as AutoModelForSequenceClassification
"""

from inducer_bench.methods.options import HeadOnlyOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: HeadOnlyOptions) -> None:
    """Add nothing: the head is trained along with every method, so this one needs no more."""
