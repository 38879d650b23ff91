"""What the commands share: a parser that answers in one line, and arguments that several of them have."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from inducer_bench.cli import limit
from inducer_bench.errors import UserError, listed

Completer = Callable[..., list[str]]  # of argcomplete: called with `prefix=` and `parsed_args=`

_HASH = frozenset("0123456789abcdef")
_SHORTEST = 4  # characters of a hash that may stand for it


class Parser(argparse.ArgumentParser):
    """An argument parser that says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Raise a `UserError` instead of printing the usage."""
        raise UserError(f"{message}; see {self.prog} --help")

    def add_config_dir(self) -> None:
        """Add the option `--config-dir`."""
        help_text = "a folder with configuration files of your own, in the layout of conf/"
        self.add_argument("--config-dir", "-cd", type=folder, metavar="DIR", help=help_text)

    def add_overrides(
        self, metavar: str = "group=choice | key=value", completer: Completer | None = None, with_limit: bool = True
    ) -> None:
        """Add what chooses a configuration, as for a run: overrides, `--limit` and `--config-dir`.

        Args:
            metavar: the overrides in the usage.
            completer: of the overrides; by default that of a run's.
            with_limit: whether the number of examples matters.
        """
        about = "as for a run; see inducer-bench --help"
        action = self.add_argument("overrides", nargs="*", metavar=metavar, help=about)
        completed(action, completer or _overrides)
        if with_limit:
            self.add_argument(limit.OPTION, type=limit.examples, metavar="N", help=limit.HELP)
        self.add_config_dir()

    def add_run(self, name: str = "run", about: str = "the folder of a finished run, or the start of its hash") -> None:
        """Add a finished run."""
        self.add_argument(name, type=run_folder, metavar="RUN", help=about)

    def add_runs(self) -> None:
        """Add the option `--runs`."""
        self.add_argument("--runs", default="runs", metavar="DIR", help="the folder of the runs (default: runs)")


def completed(action: argparse.Action, completer: Completer) -> None:
    """Have an argument completed by the shell."""
    vars(action)["completer"] = completer  # where argcomplete looks for it


def _overrides(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    from inducer_bench.cli.completion_words import overrides

    return overrides(prefix, parsed_args.config_dir)


def folder(name: str) -> Path:
    """The folder of `--config-dir`, as the user wrote it.

    Raises:
        UserError: it is not a folder.
    """
    path = Path(name)
    if not path.is_dir():
        raise UserError(f"--config-dir: found '{name}', which is not a folder; allowed: one in the layout of conf/")
    return path


def runs_folder(name: str) -> Path:
    """The folder of `--runs`.

    Raises:
        UserError: it is not a folder.
    """
    path = Path(name)
    if not path.is_dir():
        raise UserError(f"--runs: found '{name}', which is not a folder; allowed: the output_dir of runs")
    return path


def run_folder(name: str) -> Path:
    """The folder of a run, which may be named by the first characters of its hash if it is below ./runs.

    Raises:
        UserError: several runs have such a hash.
    """
    path = Path(name)
    if len(name) < _SHORTEST or not set(name) <= _HASH or path.exists():
        return path
    found = sorted(path for path in Path("runs").glob(f"*/*/*/{name}*") if path.is_dir())
    if len(found) > 1:
        raise UserError(f"RUN: found '{name}', the start of {len(found)} hashes: {listed(map(str, found), 5)}")
    return found[0] if found else path


def search_modules_in(path: str) -> None:
    """Make modules in a folder importable, such as those that `method.name=my_module.scale` names.

    Unlike `python -m`, a console script does not search the working directory. The folder comes last, so that a file in
    it with the name of an installed package does not hide that package.
    """
    if path not in sys.path:
        sys.path.append(path)
