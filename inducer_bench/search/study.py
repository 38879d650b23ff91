"""A study: the search of each method on one task and PLM, with equal effort, and the runs that it asks for.

    overrides + tune options -> a plan for each method: trials -> winner -> final runs

Everything follows from the configuration and from the records of runs, so that a study that was killed goes on where it
was: a plan is made anew, and `Plan.refreshed` takes in what has been recorded.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from inducer_bench.config.methods import named, title
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.methods.options import options_class
from inducer_bench.runs.identity import Identity, canonical, identify
from inducer_bench.search.asked import Asked, ask
from inducer_bench.search.options import TuneOptions
from inducer_bench.search.plan import Plan
from inducer_bench.search.record import Search, Trial, Value
from inducer_bench.search.space import points, setting, space

_METHODS_OWN = ("method.", "ablation")  # keys of overrides that are about the method
_OWN_KEYS = {  # key of a run -> what `tune` calls its value
    "method.budget": "budget", "protocol.held_out": "held_out", "task.max_train": "max_train",
    "trainer.epochs": "epochs",
}  # fmt: skip


def plans(overrides: Sequence[str], options: TuneOptions, config_dir: Path | None = None) -> list[Plan]:
    """The search of each method, before it begins.

    Args:
        overrides: of one scenario: without sweeps, the method, and keys of `tune`.
        options: the effort.
        config_dir: the user's folder of configuration files.

    Raises:
        UserError: the configuration of a run is impossible, or cannot be searched.
    """
    common = _with_protocol(list(overrides), config_dir)
    methods = list(named(options.methods, config_dir))
    reference = without_methods_own(common)
    study = _study(ask([*reference, "method=head_only"], config_dir), sorted({*common} - {*reference}), options)
    found = [_plan(common, choice, study, options, config_dir) for choice in methods]
    by_id: dict[str, Plan] = {}
    for plan in found:
        if (same := by_id.setdefault(plan.search.id, plan)) is not plan:
            raise UserError(
                f"tune.methods: found '{same.search.choice}' and '{plan.search.choice}', which have the same settings; "
                "allowed: one of them"
            )
    return found


def without_methods_own(overrides: Sequence[str]) -> list[str]:
    """The overrides that have a meaning for every method."""
    return [word for word in overrides if not word.lstrip("+").startswith(_METHODS_OWN)]


def _plan(common: list[str], choice: str, study: str, options: TuneOptions, config_dir: Path | None) -> Plan:
    final = ask([*common, f"method={choice}"], config_dir)
    if options.budget is not None and options_class(str(final.composed.method.name)).ranks:
        final = final.with_values({"method.budget": options.budget})
    with _own_keys(final, options):
        final = final.with_ranks()
    confirmation = final.with_values({"protocol.score": "held_out", "protocol.held_out": options.held_out})
    part = _part(final.composed, options)
    trial = confirmation.with_values(part)
    dimensions = space(final.composed, options.decades, options.dimensions)
    tried, seed = [], int(final.composed.seed)
    for number, point in enumerate(points(options.trials, len(dimensions), options.points)):
        settings = {one.key: setting(one, at) for one, at in zip(dimensions, point, strict=True)}
        with _own_keys(trial, options):
            config = trial.config(settings, seed)
        tried.append((config, Trial(number=number, point=point, settings=settings, run=identify(config).hash)))
    first = tried[0][0]
    seeds = tuple(range(seed + 1, seed + 1 + options.seeds))
    untuned = final.runs({}, seeds if options.untuned else seeds[:1])
    metric, better = _objective(first)
    confirm = options.confirm if part else 0
    search = Search(
        id=_hash([*(trial.run for _, trial in tried), untuned[0].run, confirm]),
        study=study,
        suite=first.suite,
        task=first.task.name,
        plm=first.plm.name,
        method=first.method.name,
        choice=choice,
        overrides=common,
        metric=metric,
        better=better,
        decades=options.decades,
        max_train=None if options.max_train is None else first.task.max_train,
        epochs=first.trainer.epochs,
        held_out=options.held_out,
        seed=seed,
        space=dimensions,
        trials=[trial for _, trial in tried],
        confirm=confirm,
        finals=[],
        untuned=untuned if options.untuned else [],
        config=dataclasses.asdict(first),
        title=title(choice, first.method.name, config_dir),
        dimensions=options.dimensions,
        points=options.points,
        budget=options.budget,
    )
    return Plan(search, Path(first.output_dir), trial, confirmation, final, seeds)


@contextmanager
def _own_keys(asked: Asked, options: TuneOptions) -> Iterator[None]:
    """What is wrong with a value of a run that comes from `tune` is told of the key of `tune`."""
    try:
        yield
    except UserError as error:
        key, _, problem = str(error).partition(":")
        name = _OWN_KEYS.get(key)
        given = None if name is None else getattr(options, name)
        if given is None or OmegaConf.select(asked.composed, key) != given:
            raise
        raise UserError(f"tune.{name}:{problem}") from None


def _part(final: DictConfig, options: TuneOptions) -> dict[str, Value]:
    """The values that make a trial smaller than a final run; none where it is not.

    Raises:
        UserError: a warm-up in steps would not suit both.
    """
    part: dict[str, Value] = {}
    if options.max_train is not None:
        part["task.max_train"] = min(options.max_train, final.task.max_train or options.max_train)
    if options.epochs is not None:
        part["trainer.epochs"] = options.epochs
    if part and final.trainer.warmup >= 1:
        raise UserError(
            f"trainer.warmup: found {final.trainer.warmup} steps; allowed with tune.max_train or tune.epochs: a "
            "fraction of all steps, such as 0.06, which suits trials and final runs"
        )
    return part


def _with_protocol(overrides: list[str], config_dir: Path | None) -> list[str]:
    """The overrides with `protocol=clean`, unless they choose one.

    Raises:
        UserError: the protocol selects on what is reported.
    """
    chosen = any(word.startswith("protocol=") for word in overrides)
    words = overrides if chosen else ["protocol=clean", *overrides]
    asked = ask([*without_methods_own(words), "method=head_only"], config_dir) if chosen else None
    if asked is not None and asked.composed.protocol.select_on != "held_out":
        found = asked.composed.protocol.name
        raise UserError(f"protocol: found '{found}', which selects on what is reported; allowed in tune: clean")
    return words


def _objective(config: ExperimentConfig) -> tuple[str, Any]:
    """The score that selects the epoch, and its direction; see `tasks.base.Task.selection`."""
    if config.task.family == "nlg":
        from inducer_bench.metrics.generation import PERPLEXITY

        return PERPLEXITY.name, PERPLEXITY.better
    metric = config.task.metric_of(config.task.metric)
    return config.task.metric, metric.better if metric else 1


def _study(reference: Asked, own: list[str], options: TuneOptions) -> str:
    """The hash of what all methods of a study share: a run of theirs without the method, and the effort."""
    config = reference.config({}, int(reference.composed.seed))
    identity: Identity = identify(config)
    effort = {
        key: value for key, value in dataclasses.asdict(options).items() if key not in ("methods", "seeds", "untuned")
    }
    if options.max_train is not None and config.task.sample != "first":
        effort["sample"] = config.task.sample
    return _hash([canonical(config), identity.data, identity.plm, config.suite, own, effort])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
