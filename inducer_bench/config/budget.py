"""`method.budget` as a user writes it: a number of parameters, or a percentage of the PLM's.

It decides the ranks, and scales what belongs to them: alpha, so that alpha / r stays as published. A value that does
not come from the method's recipes, `method.alpha=16` on the command line, stays as it is given.
"""

import dataclasses
import re
import sys

from omegaconf import DictConfig, OmegaConf

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.methods import budget
from inducer_bench.methods.architectures import sizes
from inducer_bench.plm.location import architecture


def within_budget(config: ExperimentConfig, wanted: str, composed: DictConfig) -> ExperimentConfig:
    """The configuration with the ranks that `method.budget` leads to; prints them on stderr.

    Args:
        config: with the ranks that give the proportions.
        wanted: the budget.
        composed: the configuration of the method before it is resolved.

    Raises:
        UserError: it is neither a number nor a percentage, the method has no ranks, or its smallest are too large.
    """
    match = re.fullmatch(r"(\d{1,12})|(\d{1,9}(?:\.\d+)?|\.\d+) ?%", wanted)
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
    scaled = [path for rank in config.method.ranks for path in rank.scaled_paths()]
    kept = [path for path in scaled if is_given(composed, path)]
    _check_given(config, composed, kept)
    by_default = not is_given(composed, ("budget",))
    try:
        method = budget.solve(config.method, parameters, found, kept)
    except UserError as error:
        raise UserError(f"{error}; or method.budget=null, the published ranks") if by_default else error from None
    why = " (a PLM with grouped queries; method.budget=null has the published ranks)" if by_default else ""
    told = f"{budget.chosen(method)}, {method.parameters(found):,} in all{why}"
    print(f"method.budget: {wanted} allows {parameters:,}: {told}", file=sys.stderr)
    return dataclasses.replace(config, method=method)


def _check_given(config: ExperimentConfig, composed: DictConfig, kept: list[tuple[str, ...]]) -> None:
    """Check that no value of a recipe is scaled by a rank that does not belong to it, as it is not the recipe's.

    Raises:
        UserError: one would be; says what to give, or to leave out.
    """
    for rank in config.method.ranks:
        loose = [path for path in rank.scaled_paths() if path not in kept]
        if loose and is_given(composed, rank.path):
            found, scaled = (".".join(("method", *path)) for path in (rank.path, loose[0]))
            raise UserError(
                f"{found}: found {budget.value_of(config.method, rank)} with method.budget, which sets it; allowed: "
                f"leave it out, or give {scaled} as well (otherwise it grows with the rank from the published value)"
            )


def is_given(composed: DictConfig, path: tuple[str, ...]) -> bool:
    """Whether a value of the method is a given one, and does not come from a recipe.

    Args:
        composed: the configuration of the method before it is resolved.
        path: attribute names from the method's options to the value.
    """
    *holders, name = path
    holder = OmegaConf.select(composed, ".".join(holders)) if holders else composed
    if not isinstance(holder, DictConfig):
        return True
    return name in holder and not OmegaConf.is_interpolation(holder, name)
