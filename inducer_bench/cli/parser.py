"""Shared by the commands, which are one module each with `main(arguments) -> exit code`."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from inducer_bench.errors import UserError


class Parser(argparse.ArgumentParser):
    """An argument parser that says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Raise a `UserError` instead of printing the usage."""
        raise UserError(f"{message}; see {self.prog} --help")

    def add_config_dir(self) -> None:
        """Add the option `--config-dir`."""
        help_text = "a folder with configuration files of your own, in the layout of conf/"
        self.add_argument("--config-dir", type=folder, metavar="DIR", help=help_text)

    def add_overrides(self) -> None:
        """Add what chooses a configuration, as for a run: overrides and `--config-dir`."""
        self.add_argument("overrides", nargs="*", metavar="group=choice | key=value")
        self.add_config_dir()


def folder(name: str) -> Path:
    """The folder of `--config-dir`, absolute.

    Raises:
        UserError: it is not a folder.
    """
    path = Path(name).resolve()
    if not path.is_dir():
        raise UserError(f"--config-dir: found '{name}', which is not a folder")
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


def search_modules_in(path: str) -> None:
    """Make modules in a folder importable, such as those that `method.name=my_module.scale` names.

    Unlike `python -m`, a console script does not search the working directory. The folder comes last, so that a file in
    it with the name of an installed package does not hide that package.
    """
    if path not in sys.path:
        sys.path.append(path)
