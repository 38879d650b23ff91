"""`method.budget` as a user writes it: a number of parameters, or a percentage of the PLM's."""

import dataclasses
import re
import sys

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.methods import budget
from inducer_bench.methods.architectures import sizes
from inducer_bench.plm.location import architecture


def within_budget(config: ExperimentConfig, wanted: str) -> ExperimentConfig:
    """The configuration with the ranks that `method.budget` leads to; prints them on stderr.

    Raises:
        UserError: it is neither a number nor a percentage, the method has no ranks, or its smallest are too large.
    """
    match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?) ?%", wanted)
    if match is None or not float(match[1] or match[2]):
        raise UserError(
            f"method.budget: found '{wanted}'; allowed: a number of parameters, or a percentage such as 0.49%"
        )
    if match[1]:
        parameters = int(match[1])
    else:
        from inducer_bench.plm.load import count_parameters

        parameters = int(float(match[2]) / 100 * count_parameters(config.plm, config.task.auto_class))
    found = sizes(architecture(config.plm), config.plm.layout)
    method = budget.solve(config.method, parameters, found)
    print(
        f"method.budget: {wanted} allows {parameters:,}: {budget.chosen(method)}, {method.parameters(found):,} in all",
        file=sys.stderr,
    )
    return dataclasses.replace(config, method=method)
