"""Sub-commands: one module each, with `main(arguments) -> exit code`."""

import argparse
from typing import NoReturn

from inducer_bench.errors import UserError


class Parser(argparse.ArgumentParser):
    """An argument parser that tells what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Instead of printing the usage."""
        raise UserError(f"{message}; see {self.prog} --help")
