"""BitFit: b <- b + db for every bias b of the PLM.

Source: Ben Zaken et al. 2022, Section 3 (https://aclanthology.org/2022.acl-short.1).

    tuned = ib.attach(model, "bitfit")
"""

from inducer_bench.errors import UserError
from inducer_bench.methods.options import BitFitOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: BitFitOptions) -> None:
    """Make every bias of the PLM trainable.

    Raises:
        UserError: the PLM has none.
    """
    biases = {name: p for name, p in tuned.plm_parameters().items() if name.endswith(".bias")}
    if not biases:
        raise UserError(f"method: bitfit trains biases, and {type(tuned.model).__name__} has none")
    for parameter in biases.values():
        tuned.train_existing(parameter)
