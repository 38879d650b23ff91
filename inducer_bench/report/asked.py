"""The settings that the rows of a layout ask for by `methods`, and the commands that fill missing cells."""

import dataclasses
import shlex
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from pathlib import Path

from inducer_bench.config.compose import compose
from inducer_bench.config.methods import named, title
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.methods import budget
from inducer_bench.methods.architectures import sizes
from inducer_bench.plm.location import architecture
from inducer_bench.report.layout import LayoutFile, Scope
from inducer_bench.report.store import Group
from inducer_bench.runs.identity import setting_key


@dataclass(frozen=True)
class Asked:
    """A setting that a table asks for."""

    label: str
    method: str  # its name in records
    choice: str  # its file in `conf/method`; a method from outside may be called otherwise than its file
    overrides: tuple[str, ...] = ()
    budget: str | None = None

    def command(self) -> tuple[str, ...]:
        """The overrides that choose it, apart from the method."""
        return (*self.overrides, *([f"method.budget={self.budget}"] if self.budget else []))

    def key(self, scope: Scope, task: str, plm_parameters: int) -> str | None:
        """The setting's key on a task; None if the method has no such setting there (a budget below its smallest)."""
        words = (*scope.overrides(), f"task={task}", f"method={self.choice}", *self.overrides)
        if self.budget is not None:
            words += ("++method.budget=null",)  # it begins with the published ranks
        config = composed(words, scope.config_dir)
        if self.budget is not None:
            allowed = int(float(self.budget.rstrip("%")) / 100 * plm_parameters)
            try:
                method = budget.solve(config.method, allowed, sizes(architecture(config.plm), config.plm.layout))
            except UserError:
                return None
            config = dataclasses.replace(config, method=method)
        return setting_key(config)


def rows(file: LayoutFile, config_dir: Path | None = None) -> list[Asked]:
    """The settings that a layout asks for, one for each row.

    Raises:
        UserError: there is no such method.
    """
    layout = file.layout
    methods = named(layout.methods or [], config_dir, f"table/{file.name}.methods")

    found = []
    for choice, method in methods.items():
        name = layout.names.get(method) or title(choice, method, config_dir)

        def label(variant: str, name: str = name) -> str:
            return f"{name}, {variant}" if len(methods) > 1 else variant

        if layout.budgets:
            found += [Asked(label(size), method, choice, budget=size) for size in layout.budgets]
        elif layout.variants:
            found += [Asked(label(variant), method, choice, tuple(more)) for variant, more in layout.variants.items()]
        else:
            found.append(Asked(name, method, choice))
    return found


def commands(scope: Scope, missing: Sequence[tuple[str, Asked, tuple[int, ...]]], known: Sequence[Group],
             output_dir: str) -> list[str]:  # fmt: skip
    """The fewest commands that run what is missing: (task, row, seeds) each.

    A task gets the `task.data_dir` of its records, and the model its `plm.path`, if all of them agree.
    """
    methods: dict[tuple[str, tuple[str, ...], tuple[int, ...]], list[str]] = {}
    for task, row, seeds in missing:
        methods.setdefault((task, row.command(), seeds), []).append(row.choice)
    tasks: dict[tuple[str, ...], list[str]] = {}
    for (task, overrides, seeds), names in methods.items():
        seed = f"seed={','.join(map(str, seeds))}"
        rest = (f"method={','.join(names)}", *overrides, seed, *_paths(task, known))
        tasks.setdefault(rest, []).append(task)
    found = []
    for rest, names in tasks.items():
        words = [*scope.overrides(), f"task={','.join(names)}", *rest]
        words += [] if output_dir == "runs" else [f"output_dir={output_dir}"]
        sweep = ["-m"] if any("," in word for word in words) else []
        own = ["--config-dir", str(scope.config_dir)] if scope.config_dir else []
        found.append(shlex.join(["inducer-bench", *own, *sweep, *words]))
    return found


def _paths(task: str, known: Sequence[Group]) -> list[str]:
    """The folders that the records of a task took data and model from, if all of them agree."""
    configs = [group.config for group in known if group.config.task.name == task]
    found = []
    for key, values in (
        ("task.data_dir", {config.task.data_dir for config in configs}),
        ("plm.path", {group.config.plm.path for group in known}),
    ):
        value = values.pop() if len(values) == 1 else None
        found += [f"{key}={value}"] if value else []
    return found


@lru_cache(maxsize=1024)  # tables ask for the same settings again
def composed(overrides: tuple[str, ...], config_dir: Path | None) -> ExperimentConfig:
    """The configuration of these overrides."""
    with redirect_stderr(StringIO()):  # what `method.budget` has to say of each
        return compose(list(overrides), config_dir)
