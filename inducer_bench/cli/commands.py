"""The commands, each defined once, by a module of this folder.

    HELP = "..."                                one line, for `--help`
    def arguments(parser: Parser) -> None       adds its arguments; importing the module and this must be cheap
    def main(args: argparse.Namespace) -> int   runs it, and returns the exit code

`--help` of all and of each, and completion in the shell, come from these. A run is such a module, too, whose name is
not typed: `run.py`.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from inducer_bench.cli.limit import limited
from inducer_bench.cli.parser import Parser
from inducer_bench.errors import ExitCode

NAMES = (
    "tune", "plan", "fetch", "params", "validate", "ls", "tables", "compare", "predict", "export", "doctor",
    "completion",
)  # fmt: skip
RUN = "run"


def module(name: str) -> Any:
    """The module that defines a command."""
    return import_module(f"inducer_bench.cli.{name}")


def parser(name: str) -> Parser:
    """The parser of a command."""
    definition = module(name)
    program = "inducer-bench" if name == RUN else f"inducer-bench {name}"
    made = Parser(prog=program, description=definition.HELP)
    definition.arguments(made)
    return made


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a command, or print its help if that is among the arguments; returns the exit code.

    Raises:
        UserError: an argument is not one of the command's, or what the command says about it.
    """
    own = parser(name)
    if asks_for_help(arguments):
        own.print_help()
        return ExitCode.DONE
    args = own.parse_intermixed_args(arguments)
    if "limit" in args:
        args.overrides = limited(args.overrides, args.limit)
    code: int = module(name).main(args)
    return code


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether help is wanted, wherever the word stands."""
    return bool({"-h", "--help"} & set(arguments))
