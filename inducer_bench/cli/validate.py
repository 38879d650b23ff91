"""`inducer-bench validate [overrides]`: compose and check a configuration, without data, weights or torch."""

from inducer_bench.cli.parser import Parser
from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode


def main(arguments: list[str]) -> int:
    """Print one line about the configuration.

    Raises:
        UserError: the first thing that is wrong with it.
    """
    parser = Parser(prog="inducer-bench validate", description="Compose and check a configuration.")
    parser.add_overrides()
    args = parser.parse_intermixed_args(arguments)
    config = compose(args.overrides, args.config_dir)
    print(
        f"valid: task={config.task.name} plm={config.plm.name} method={config.method.name} "
        f"protocol={config.protocol.name} suite={config.suite} seed={config.seed}"
    )
    return ExitCode.DONE
