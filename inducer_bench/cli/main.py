"""The command line: a first word that is a sub-command selects it, anything else is a Hydra run.

Imports wait until they are needed, so that the answer comes at once.
"""

import os
import sys

from inducer_bench.cli.parser import search_modules_in
from inducer_bench.errors import ExitCode, UserError, unknown

COMMANDS = ("params", "validate", "ls", "tables", "predict", "export", "compare", "doctor")


def entry_point() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit code. A user's mistake is answered in one line, without a traceback."""
    search_modules_in("")  # the working directory, which need not exist any more
    try:
        if arguments and arguments[0] == "--version":
            from inducer_bench.version import __version__

            print(f"inducer-bench {__version__}")
            return ExitCode.DONE
        if arguments and arguments[0] in COMMANDS:
            from importlib import import_module

            code: int = import_module(f"inducer_bench.cli.{arguments[0]}").main(arguments[1:])
            return code
        if arguments and arguments[0].isidentifier():
            raise unknown("command", arguments[0], COMMANDS)
        if {"-h", "--help"} & set(arguments):
            from inducer_bench.cli.help import main as print_help

            return print_help(arguments)
        from inducer_bench.cli.launch import launch

        return launch(arguments)
    except UserError as error:
        print(f"inducer-bench: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except KeyboardInterrupt:
        print("inducer-bench: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # `inducer-bench ls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
