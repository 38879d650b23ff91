"""Everything that is taken from Hydra's private modules; `pyproject.toml` bounds hydra-core, and a test names each.

`hydra.main` itself reads `sys.argv` and exits the process on errors; these are the functions below it.
"""

import argparse
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, cast

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.utils import _run_hydra, create_automatic_config_search_path, get_args_parser
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import env_override
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from inducer_bench.config.compose import composed_for_all_jobs, explain, with_recipe
from inducer_bench.errors import UserError, first_line

Explain = Callable[[Exception, list[str]], UserError]
Launch = Callable[[Sequence[Sequence[str]]], None]
REFUSED = "refused"  # the key that the configuration of a job has which does not compose


def checked(options: argparse.Namespace) -> argparse.Namespace:
    """The options of `cli/run.py`, with those that Hydra's own functions also read.

    Raises:
        UserError: options that exclude one another, or one that is not allowed: `--experimental-rerun` unpickles a
            file, and so runs whatever code it contains.
    """
    if options.experimental_rerun is not None:
        raise UserError("--experimental-rerun: not allowed, because it unpickles a file; give the overrides again")
    if options.shell_completion:
        raise UserError("-sc: not in use here; inducer-bench completion bash|zsh|fish prints what the shell needs")
    for option in ("resolve", "package"):
        if getattr(options, option) and not options.cfg:
            raise UserError(f"--{option}: only together with --cfg")
    asked = [
        f"--{name.replace('_', '-')}"
        for name in ("run", "multirun", "cfg", "info", "hydra_help")
        if getattr(options, name)
    ]
    if len(asked) > 1:
        remedy = "; inducer-bench plan ... lists the jobs of a sweep" if options.multirun else ""
        raise UserError(f"{asked[0]}: not together with {asked[1]}{remedy}")
    return argparse.Namespace(**{**vars(get_args_parser().parse_args([])), **vars(options)})


def only_shows(options: argparse.Namespace) -> bool:
    """Whether the options ask for something to look at instead of a run."""
    return bool(options.cfg or options.info or options.hydra_help)


def show(options: argparse.Namespace, conf_dir: Path) -> None:
    """Print the configuration, or what else the options ask for.

    Hydra's exceptions come through.

    Args:
        options: made by `checked`.
        conf_dir: the folder of `config.yaml`.

    Raises:
        UserError: Hydra would print a message and exit.
    """
    version.setbase("1.3")
    messages = StringIO()
    try:
        with env_override({"HYDRA_FULL_ERROR": "1"}), redirect_stderr(messages):
            _run_hydra(options, get_args_parser(), print, str(conf_dir), "config")
    except SystemExit as end:
        if end.code:
            raise UserError(messages.getvalue().strip() or first_line(end)) from None


def run_hydra(
    options: argparse.Namespace,
    sweep: bool,
    conf_dir: Path,
    task: TaskFunction,
    explained: Explain,
) -> None:
    """Compose the configuration of a run, or those of a sweep's jobs, and call `task` with each.

    Hydra's exceptions come through instead of ending the process.

    Args:
        options: made by `checked`.
        sweep: whether there may be several jobs.
        conf_dir: the folder of `config.yaml`.
        task: called with each composed configuration; that of a job that does not compose has the key `REFUSED`.
        explained: the message for an error of a job's composition, from its overrides. Launchers pickle it.
    """
    hydra = _hydra(options, conf_dir, explained)
    overrides = [*options.overrides, f"hydra.mode={'MULTIRUN' if sweep else 'RUN'}"]
    (hydra.multirun if sweep else hydra.run)(options.config_name or "config", task, overrides)


def run_batches(
    options: argparse.Namespace,
    conf_dir: Path,
    task: TaskFunction,
    explained: Explain,
    batches: Callable[[Launch], None],
) -> None:
    """Give `batches` a function that runs jobs, each a list of overrides, on the launcher that the options choose.

    What Hydra's own sweepers do, but the jobs need not be known before, nor be all combinations of some values. The
    other arguments are those of `run_hydra`.
    """
    hydra = _hydra(options, conf_dir, explained)
    name = options.config_name or "config"
    overrides = [*options.overrides, "hydra.mode=MULTIRUN"]
    config = hydra.compose_config(name, overrides, run_mode=RunMode.MULTIRUN, with_log_configuration=True)
    callbacks = Callbacks(config)
    callbacks.on_multirun_start(config=config, config_name=name)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=HydraContext(config_loader=hydra.config_loader, callbacks=callbacks),
        task_function=task,
        config=config,
    )
    begun = 0

    def launch(jobs: Sequence[Sequence[str]]) -> None:
        nonlocal begun
        if jobs:  # not every launcher takes none
            results = launcher.launch(jobs, initial_job_idx=begun)
            begun += len(jobs)
            for result in results:
                _ = result.return_value  # raises the error of a job

    batches(launch)
    callbacks.on_multirun_end(config=config, config_name=name)


def _hydra(options: argparse.Namespace, conf_dir: Path, explained: Explain) -> Hydra:
    own = None if options.config_dir is None else Path(options.config_dir).absolute()
    path = _search_path(options.config_path or str(conf_dir), own)
    # It is not made the global one: then nothing could be composed until the last job has ended.
    return Hydra("inducer-bench", _Loader(path, explained, own))


def _search_path(conf_dir: str, config_dir: Path | None) -> ConfigSearchPath:
    """Where Hydra looks for files: in `conf_dir`, then in the user's folder."""
    version.setbase("1.3")
    path = create_automatic_config_search_path(None, __name__, conf_dir)
    if config_dir is not None:
        found = f"file://{config_dir.absolute()}"
        path.prepend(provider="command-line", path=found, anchor=SearchPathQuery(provider="schema"))
    return path


class Composer:
    """The jobs of a sweep as Hydra makes and composes them, without running any.

    Hydra reads the files of the chosen groups, which takes nearly all of the time, then applies the other overrides.
    Jobs with the same choices share the first half. Hydra's exceptions come through.

    Args:
        overrides: of the command line.
        conf_dir: the folder of `config.yaml`.
        config_dir: the user's folder of configuration files.
    """

    def __init__(self, overrides: list[str], conf_dir: Path, config_dir: Path | None) -> None:
        self._loader = _Loader(
            _search_path(str(conf_dir), config_dir), partial(explain, config_dir=config_dir), config_dir
        )
        parsed = OverridesParser.create().parse_overrides(overrides)
        self._hydra = [str(o.input_line) for o in parsed if o.is_hydra_override()]
        self._own = [str(o.input_line) for o in parsed if not o.is_hydra_override()]
        _, self._repository = self._loader._parse_overrides_and_create_caching_repo("config", self._hydra)
        self._config_dir = config_dir
        self._chosen: dict[tuple[str, ...], DictConfig] = {}

    def jobs(self, params: dict[str, str]) -> list[list[str]]:
        """The overrides of each job, in the order in which the basic sweeper launches them.

        Args:
            params: those of the sweeper.
        """
        parser = OverridesParser.create(config_loader=self._loader)
        given = parser.parse_overrides([*(f"{key}={value}" for key, value in params.items()), *self._own])
        jobs = jobs_of(given)
        return jobs

    def composed(self, job: list[str], number: int) -> DictConfig:
        """The configuration of a job, without Hydra's own, which `${hydra:...}` in it can refer to."""
        parsed = OverridesParser.create().parse_overrides(with_recipe(job, self._config_dir))
        groups = [
            o for o in parsed if self._repository.group_exists(o.key_or_group) and not isinstance(o.value(), dict)
        ]
        chosen = tuple(str(o.input_line) for o in groups)
        if chosen not in self._chosen:
            self._chosen[chosen] = self._loader.load_configuration("config", [*self._hydra, *chosen], RunMode.RUN)
        whole = self._chosen[chosen]
        with open_dict(whole.hydra):
            whole.hydra.job.num = number
        HydraConfig.instance().cfg = cast(Any, whole)  # its own setter would copy all of it
        config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
        OmegaConf.set_struct(config, True)
        self._loader._apply_overrides_to_config([o for o in parsed if o not in groups], config)
        return config


def jobs_of(overrides: list[Override]) -> list[list[str]]:
    """The overrides of each job of a sweep over all combinations of values."""
    (jobs,) = BasicSweeper.split_arguments(overrides, None)
    return [list(job) for job in jobs]


class _Loader(ConfigLoaderImpl):
    """Hydra's loader, but a job that does not compose gets a configuration that says so instead of ending the sweep."""

    def __init__(self, path: ConfigSearchPath, explained: Explain, config_dir: Path | None) -> None:
        super().__init__(path)
        self.explained = explained
        self.config_dir = config_dir

    def load_configuration(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *others: Any, **more: Any
    ) -> DictConfig:
        def load(those: list[str]) -> DictConfig:
            return super(_Loader, self).load_configuration(config_name, those, run_mode, *others, **more)

        if run_mode != RunMode.MULTIRUN:
            return load(overrides)
        config = composed_for_all_jobs(overrides, self.config_dir, load)
        parsed = OverridesParser.create().parse_overrides(overrides)
        config.hydra.overrides.task = [str(o.input_line) for o in parsed if not o.is_hydra_override()]
        return config

    def get_group_options(self, *arguments: Any, **more: Any) -> list[str]:
        """The choices of a group, for `glob(*)`; files that others share are none."""
        return [name for name in super().get_group_options(*arguments, **more) if not name.startswith("_")]

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        try:
            overrides = with_recipe(sweep_overrides, self.config_dir, Path(master_config.hydra.runtime.cwd))
            job = super().load_sweep_config(master_config, overrides)
        except Exception as error:  # Hydra and OmegaConf have errors of many types
            message = str(error if isinstance(error, UserError) else self.explained(error, sweep_overrides))
            job = OmegaConf.create({REFUSED: message, "hydra": master_config.hydra})
            with open_dict(job):
                job.hydra.sweep.subdir = "."
        job.hydra.overrides.task = sweep_overrides  # the short form, for the table of jobs
        return job
