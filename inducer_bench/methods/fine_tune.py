"""Fine-tuning: W <- W + dW for every parameter W of the PLM."""

from inducer_bench.config.methods import FineTune
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: FineTune) -> None:
    """Make every parameter of the PLM trainable."""
    for parameter in tuned.plm_parameters().values():
        tuned.train_existing(parameter)
