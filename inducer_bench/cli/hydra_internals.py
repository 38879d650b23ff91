"""Everything that is taken from Hydra's private modules; `pyproject.toml` bounds hydra-core, and a test names each.

`hydra.main` itself reads `sys.argv` and exits the process on errors; these are the functions below it.
"""

import argparse
from pathlib import Path

from hydra import version
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.utils import env_override
from hydra.types import TaskFunction

from inducer_bench.errors import UserError


def parse(arguments: list[str]) -> argparse.Namespace:
    """Hydra's options and the overrides, as Hydra's own parser reads them.

    Raises:
        UserError: an option that Hydra does not have, or one between overrides; the parser would print its whole usage.
            Also `--experimental-rerun`, which unpickles a file, and so runs whatever code it contains.
    """
    parsed, unknown = get_args_parser().parse_known_args(arguments)
    if parsed.experimental_rerun is not None:
        raise UserError("--experimental-rerun: not allowed, because it unpickles a file; give the overrides again")
    if unknown:
        raise UserError(f"'{unknown[0]}': not understood; options such as -m stand before all overrides")
    return parsed


def run_hydra(options: argparse.Namespace, conf_dir: Path, task: TaskFunction) -> None:
    """Do what the options ask for; Hydra's exceptions come through instead of ending the process.

    Args:
        options: made by `parse`.
        conf_dir: the folder of `config.yaml`.
        task: called with the composed configuration of each job.
    """
    version.setbase("1.3")
    with env_override({"HYDRA_FULL_ERROR": "1"}):
        _run_hydra(
            args=options,
            args_parser=get_args_parser(),
            task_function=task,
            config_path=str(conf_dir),
            config_name="config",
        )
