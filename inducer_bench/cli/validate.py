"""`inducer-bench validate [overrides]`: compose and check a configuration, without data, weights or torch."""

import argparse

from inducer_bench.cli.parser import Parser
from inducer_bench.errors import ExitCode

HELP = "compose and check a configuration; needs neither data nor weights"


def arguments(parser: Parser) -> None:
    """Those of a run."""
    parser.add_overrides()


def main(args: argparse.Namespace) -> int:
    """Print one line about the configuration.

    Raises:
        UserError: the first thing that is wrong with it.
    """
    from inducer_bench.config.compose import compose

    config = compose(args.overrides, args.config_dir)
    print(
        f"valid: task={config.task.name} plm={config.plm.name} method={config.method.name} "
        f"protocol={config.protocol.name} suite={config.suite} seed={config.seed}"
    )
    return ExitCode.DONE
