"""Fine-tuning: W <- W + dW for every parameter W of the PLM.

Source: for BERT, Devlin et al. 2019 (https://aclanthology.org/N19-1423).

    tuned = ib.attach(model, "fine_tune")
"""

from inducer_bench.methods.options import FineTuneOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: FineTuneOptions) -> None:
    """Make every parameter of the PLM trainable."""
    for parameter in tuned.plm_parameters().values():
        tuned.train_existing(parameter)
