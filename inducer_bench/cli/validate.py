"""`inducer-bench validate [overrides]`: compose and check a configuration, without data, weights or torch."""

from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode


def main(arguments: list[str]) -> int:
    """Say what the configuration is, or raise a `UserError` that says what is wrong with it."""
    config = compose(arguments)
    print(
        f"valid: task={config.task.name} plm={config.plm.name} method={config.method.name} "
        f"protocol={config.protocol.name} suite={config.suite} seed={config.seed}"
    )
    return ExitCode.DONE
