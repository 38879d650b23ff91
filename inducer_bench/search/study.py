"""A study: the search of each method on one task and PLM, with equal effort, and the runs that it asks for.

    overrides + tune options -> a plan for each method: trials -> winner -> final runs

Everything follows from the configuration and from the records of runs, so that a study that was killed goes on where it
was: a plan is made anew, and `refreshed` takes in what has been recorded.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from inducer_bench.config.compose import composition, experiment_config, explain
from inducer_bench.config.methods import named, title
from inducer_bench.config.overrides import literal
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.methods.budget import decided
from inducer_bench.methods.options import options_class
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import Identity, canonical, identify
from inducer_bench.runs.record import FinishedRecord, Record
from inducer_bench.search import record as searches
from inducer_bench.search.options import TuneOptions
from inducer_bench.search.record import AGAIN, ENDED, FOLDER, FinalRun, Search, Trial, Value, best_of, came_to
from inducer_bench.search.space import points, setting, space

_METHODS_OWN = ("method.", "ablation")  # keys of overrides that are about the method
_OWN_KEYS = {  # key of a run -> what `tune` calls its value
    "method.budget": "budget", "protocol.held_out": "held_out", "task.max_train": "max_train",
    "trainer.epochs": "epochs",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """The runs of one method: a composed configuration, and the overrides that make a job of it."""

    overrides: list[str]
    composed: DictConfig

    def config(self, settings: dict[str, Value], seed: int) -> ExperimentConfig:
        """The configuration with further values.

        Raises:
            UserError: a value is impossible.
        """
        return experiment_config(_updated(self.composed, {**settings, "seed": seed}), self.overrides)

    def with_values(self, values: Mapping[str, Value]) -> "Asked":
        """The same with further values."""
        return Asked([*self.overrides, *_words(values)], _updated(self.composed, values))

    def job(self, settings: dict[str, Value], seed: int, search: str | None = None) -> list[str]:
        """The overrides of a job with further values, and the search that they come from."""
        values = {**settings, "seed": seed, **({"search": search} if search else {})}
        return [*self.overrides, *_words(values)]


@dataclass(frozen=True)
class Plan:
    """The search of one method, and how its runs are asked for."""

    search: Search
    output_dir: Path
    trial: Asked
    confirmation: Asked
    final: Asked
    seeds: tuple[int, ...]  # of the final runs

    @property
    def folder(self) -> Path:
        """The folder of the search."""
        return self.output_dir / FOLDER / self.search.task / self.search.plm / self.search.method / self.search.id

    def to_come(self) -> int:
        """The most jobs that follow the trials."""
        decided = self.search.winner is not None
        return len(self.final_jobs()) if decided else self.search.confirm + len(self.seeds)

    def winner(self) -> Trial | None:
        """The best trial; None until there is one."""
        return None if self.search.winner is None else self.search.trials[self.search.winner]

    def record(self, run: str) -> Record | None:
        """The record of one of its runs.

        Raises:
            UserError: it is damaged; see `runs.record.read`.
        """
        search = self.search
        return records.read_in_place(self.output_dir / search.task / search.plm / search.method / run)

    def is_done(self, run: FinalRun) -> bool:
        """Whether a final run is."""
        return isinstance(self.record(run.run), FinishedRecord)

    def trial_jobs(self) -> dict[int, list[str]]:
        """Number of a trial -> the overrides of its job, of those that are to run."""
        return {
            trial.number: self.trial.job(trial.settings, self.search.seed)
            for trial in self.search.trials
            if trial.status in AGAIN
        }

    def confirmation_jobs(self) -> list[list[str]]:
        """The jobs that run the best trials again on all of the data, of those that are to run."""
        runs = self.search.confirmations
        return [self.confirmation.job(run.settings, self.search.seed) for run in runs if run.status in AGAIN]

    def untuned_jobs(self) -> list[list[str]]:
        """The jobs of runs at the method's own settings that are not done."""
        return [self.final.job({}, run.seed) for run in self.search.untuned if not self.is_done(run)]

    def final_jobs(self) -> list[list[str]]:
        """The jobs of the winner's runs that are not done."""
        winner = self.winner()
        settings = {} if winner is None else winner.settings
        return [
            self.final.job(settings, run.seed, self.search.id) for run in self.search.finals if not self.is_done(run)
        ]

    def refreshed(self) -> "Plan":
        """The plan with what its trials have come to, and with a winner and its runs once there can be one.

        Raises:
            UserError: a record is damaged.
        """
        trials = [came_to(trial, self.record(trial.run)) for trial in self.search.trials]
        confirmations, deciding = self.search.confirmations, trials
        if self.search.confirm and _ended(trials):
            best = best_of(trials, self.search.better)[: self.search.confirm]
            deciding = confirmations = [self._confirmation(trial) for trial in best]
        ranked = best_of(deciding, self.search.better) if _ended(trials) and _ended(deciding) else []
        winner = ranked[0].number if ranked else None
        finals = [] if winner is None else _runs(self.final, trials[winner].settings, self.seeds)
        search = dataclasses.replace(
            self.search, trials=trials, confirmations=confirmations, winner=winner, finals=finals
        )
        return dataclasses.replace(self, search=search)

    def with_earlier(self) -> Search:
        """The search with the runs of earlier calls for more seeds, or also for untuned runs, that are done."""
        try:
            earlier = searches.read(self.folder)
        except UserError:  # it is damaged, and is made anew
            earlier = None
        search = self.search
        untuned = [run for run in (earlier.untuned if earlier else []) if self._record_of(run.run) is not None]
        return dataclasses.replace(
            search, finals=_with(self._finals_there(), search.finals), untuned=_with(untuned, search.untuned)
        )

    def _finals_there(self) -> list[FinalRun]:
        """The runs of the winner that are done, whoever asked for them."""
        winner, search = self.winner(), self.search
        place = self.output_dir / search.task / search.plm / search.method
        if winner is None or not place.is_dir():
            return []
        found = [self._record_of(folder.name) for folder in sorted(place.iterdir())]
        own = [record for record in found if record is not None and record.config.get("search") == search.id]
        hashes, seeds = ({getattr(record, key) for record in own} for key in ("config_hash", "seed"))
        return [run for run in _runs(self.final, winner.settings, sorted(seeds)) if run.run in hashes]

    def _record_of(self, run: str) -> FinishedRecord | None:
        """The record of a run that is done; None also if it is damaged."""
        try:
            record = self.record(run)
        except UserError:
            return None
        return record if isinstance(record, FinishedRecord) else None

    def _confirmation(self, trial: Trial) -> Trial:
        """The run of a trial's settings on all of the data, with what it has come to."""
        run = identify(self.confirmation.config(trial.settings, self.search.seed)).hash
        planned = dataclasses.replace(trial, run=run, status="planned", score=None, loss=None, seconds=0.0)
        return came_to(planned, self.record(run))


def _with(earlier: Sequence[FinalRun], asked: Sequence[FinalRun]) -> list[FinalRun]:
    """The runs that are asked for, and earlier ones of other seeds, by seed."""
    seeds = {run.seed for run in asked}
    return sorted([*asked, *(run for run in earlier if run.seed not in seeds)], key=lambda run: run.seed)


def _ended(runs: Sequence[Trial]) -> bool:
    return all(run.status in ENDED for run in runs)


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
    study = _study(_asked([*reference, "method=head_only"], config_dir), sorted({*common} - {*reference}), options)
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
    final = _asked([*common, f"method={choice}"], config_dir)
    if options.budget is not None and options_class(str(final.composed.method.name)).ranks:
        final = final.with_values({"method.budget": options.budget})
    with _own_keys(final, options):
        final = _with_ranks(final)
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
    untuned = _runs(final, {}, seeds if options.untuned else seeds[:1])
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
    asked = _asked([*without_methods_own(words), "method=head_only"], config_dir) if chosen else None
    if asked is not None and asked.composed.protocol.select_on != "held_out":
        found = asked.composed.protocol.name
        raise UserError(f"protocol: found '{found}', which selects on what is reported; allowed in tune: clean")
    return words


def _asked(overrides: list[str], config_dir: Path | None) -> Asked:
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


def _with_ranks(asked: Asked) -> Asked:
    """The same with what a budget decides, which does not depend on what is searched, so that it is found once."""
    if asked.composed.method.get("budget") is None:
        return asked
    found = decided(experiment_config(asked.composed, asked.overrides).method)
    ranks: dict[str, Value] = {f"method.{key}": value for key, value in found.items()}
    return Asked(asked.overrides, _updated(asked.composed, {"method.budget": None, **ranks}))


def _updated(composed: DictConfig, values: Mapping[str, Value]) -> DictConfig:
    own = composed.copy()
    for key, value in values.items():
        OmegaConf.update(own, key, value)
    return own


def _objective(config: ExperimentConfig) -> tuple[str, Any]:
    """The score that selects the epoch, and its direction; see `tasks.base.Task.selection`."""
    if config.task.family == "nlg":
        from inducer_bench.metrics.generation import PERPLEXITY

        return PERPLEXITY.name, PERPLEXITY.better
    metric = config.task.metric_of(config.task.metric)
    return config.task.metric, metric.better if metric else 1


def _runs(asked: Asked, settings: dict[str, Value], seeds: Sequence[int]) -> list[FinalRun]:
    return [FinalRun(seed=seed, run=identify(asked.config(settings, seed)).hash) for seed in seeds]


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


def _words(values: Mapping[str, Value]) -> list[str]:
    """Values as overrides."""
    return [f"{key}={literal(value) if isinstance(value, str) else json.dumps(value)}" for key, value in values.items()]


def in_turn(each: Sequence[dict[int, list[str]]]) -> Iterator[list[str]]:
    """The jobs of several plans by their number: the first of each plan, the second of each, and so on."""
    for number in sorted({number for jobs in each for number in jobs}):
        yield from (jobs[number] for jobs in each if number in jobs)
