"""The command line: a first word that is a sub-command selects it, anything else is a Hydra run.

Imports wait until they are needed, so that the answer comes at once.
"""

import os
import sys

from inducer_bench.cli import commands, streams
from inducer_bench.cli.parser import search_modules_in
from inducer_bench.errors import ExitCode, TrainingDiverged, UserError, first_line, lacks_memory, shown, unknown
from inducer_bench.training import interruption


def entry_point() -> None:
    """The console script."""
    if "_ARGCOMPLETE" in os.environ:
        from inducer_bench.cli.completion import complete

        complete()
    try:
        with interruption.watched():
            streams.protect()
            code = main(sys.argv[1:])
            if reason := streams.lost():
                _say(f"stdout: {reason}; what was printed there is lost, what was recorded is not")
                code = code or ExitCode.FAILED
    except KeyboardInterrupt:  # before `main` began, or after it
        _say("interrupted")
        code = ExitCode.INTERRUPTED
    interruption.end_with(code)
    sys.exit(code)


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit code. What a user can mend is reported in one line, with no traceback."""
    search_modules_in("")  # the working directory, which need not exist any more
    with interruption.watched():
        return _answered(arguments)


def _answered(arguments: list[str]) -> int:
    """The exit code of a command; its errors are reported."""
    try:
        return _command(arguments)
    except UserError as error:
        _say(error)
        return ExitCode.BAD_INPUT
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt) or interruption.requested():  # a library may turn it into its own error
            _say("interrupted")
            return ExitCode.INTERRUPTED
        if lacks_memory(error):
            _say(f"out of memory: {shown(first_line(error))}")
            return ExitCode.OUT_OF_MEMORY
        if isinstance(error, TrainingDiverged):  # by a model that `predict` reads
            _say(error)
            return ExitCode.FAILED
        if isinstance(error, OSError) and error.filename is not None:
            _say(f"{shown(error.filename)}: {error.strerror}")
            return ExitCode.FAILED
        raise


def _command(arguments: list[str]) -> int:
    if arguments[:1] == ["--version"]:
        from inducer_bench.version import __version__

        print(f"inducer-bench {__version__}")
        return ExitCode.DONE
    wants_help = not arguments or commands.asks_for_help(arguments)
    if not wants_help:
        _check_working_directory()
    if "--plan" in arguments and (arguments[0] not in commands.NAMES or arguments[0] == "tune"):
        arguments = ["plan", *(argument for argument in arguments if argument != "--plan")]
    first = arguments[0] if arguments else ""
    if first in commands.NAMES:
        return commands.run(first, arguments[1:])
    if first and "=" not in first and first[0] not in "-+~":
        raise unknown("command", first, commands.NAMES)
    if wants_help:
        from inducer_bench.cli.help import show

        return show(arguments)
    return commands.run(commands.RUN, arguments)


def _check_working_directory() -> None:
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("working directory: found one that was deleted; allowed: a folder that exists") from None


def _say(message: object) -> None:
    print(f"inducer-bench: {message}", file=sys.stderr)
