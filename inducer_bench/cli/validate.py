"""`inducer-bench validate [overrides]`: compose and check a configuration and its local files, without torch."""

import argparse

from inducer_bench.cli.parser import Parser
from inducer_bench.errors import ExitCode, printable

HELP = "compose and check a configuration and the local files that it names; trains nothing"


def arguments(parser: Parser) -> None:
    """Those of a run."""
    parser.add_overrides()


def main(args: argparse.Namespace) -> int:
    """Print a line about the configuration, and what a run of it would do.

    Raises:
        UserError: the first thing that is wrong with it, or with its local files.
    """
    from inducer_bench.cli.validated import told

    line, rows = told(args.overrides, args.config_dir)
    print(line)
    for name, text in rows:
        print(f"  {name:<12}{printable(text)}")
    return ExitCode.DONE
