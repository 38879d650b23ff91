"""The runs of one method as a study asks for them: composed once, and changed by a few values for each run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from inducer_bench.config.compose import composition, experiment_config, explain
from inducer_bench.config.overrides import literal
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.methods.budget import decided
from inducer_bench.runs.identity import identify
from inducer_bench.search.record import FinalRun, Value


@dataclass(frozen=True)
class Asked:
    """A composed configuration, and the overrides that make a job of it."""

    overrides: list[str]
    composed: DictConfig

    def config(self, settings: Mapping[str, Value], seed: int) -> ExperimentConfig:
        """The configuration with further values.

        Raises:
            UserError: a value is impossible.
        """
        return experiment_config(self._updated({**settings, "seed": seed}), self.overrides)

    def runs(self, settings: Mapping[str, Value], seeds: Sequence[int]) -> list[FinalRun]:
        """The runs with further values, one for each seed.

        Raises:
            UserError: a value is impossible.
        """
        return [FinalRun(seed=seed, run=identify(self.config(settings, seed)).hash) for seed in seeds]

    def job(self, settings: Mapping[str, Value], seed: int, search: str | None = None) -> list[str]:
        """The overrides of a job with further values, and the search that they come from."""
        values = {**settings, "seed": seed, **({"search": search} if search else {})}
        return [*self.overrides, *_words(values)]

    def with_values(self, values: Mapping[str, Value]) -> "Asked":
        """The same with further values."""
        return Asked([*self.overrides, *_words(values)], self._updated(values))

    def with_ranks(self) -> "Asked":
        """The same with what a budget decides, which does not depend on what is searched, so that it is found once.

        Raises:
            UserError: no ranks fit the budget.
        """
        if self.composed.method.get("budget") is None:
            return self
        found = decided(experiment_config(self.composed, self.overrides).method)
        ranks: dict[str, Value] = {f"method.{key}": value for key, value in found.items()}
        return Asked(self.overrides, self._updated({"method.budget": None, **ranks}))

    def _updated(self, values: Mapping[str, Value]) -> DictConfig:
        own = self.composed.copy()
        for key, value in values.items():
            OmegaConf.update(own, key, value)
        return own


def ask(overrides: list[str], config_dir: Path | None) -> Asked:
    """Compose.

    Raises:
        UserError: that is not possible.
    """
    try:
        return Asked(overrides, composition(overrides, config_dir))
    except MemoryError:
        raise
    except Exception as error:
        raise explain(error, overrides, config_dir) from None


def _words(values: Mapping[str, Value]) -> list[str]:
    """Values as overrides."""
    return [f"{key}={literal(value) if isinstance(value, str) else json.dumps(value)}" for key, value in values.items()]
