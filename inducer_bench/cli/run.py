"""`inducer-bench [overrides]`: a run, or with -m a sweep; the command whose name is not typed."""

import argparse

from inducer_bench import distributed
from inducer_bench.cli import commands
from inducer_bench.cli.parser import Parser

HELP = "train, evaluate and record one experiment"
_SHOWN = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def arguments(parser: Parser) -> None:
    """Those of Hydra that make sense here, and `--plan`."""
    parser.add_overrides(completer=_completer)
    parser.add_argument("--multirun", "-m", action="store_true", help="a sweep: one run for each combination of values")
    parser.add_argument("--plan", action="store_true", help="what the command would do: jobs, hours, disk")
    parser.add_argument("--cfg", "-c", choices=("job", "hydra", "all"), help="print the configuration instead")
    parser.add_argument("--resolve", action="store_true", help="with --cfg: values in place of ${...}; job has them")
    parser.add_argument("--package", "-p", metavar="KEY", help="with --cfg: this part alone")
    parser.add_argument("--info", "-i", nargs="?", const="all", choices=_SHOWN, help="how Hydra finds its files")
    parser.add_argument("--hydra-help", action="store_true", help="Hydra's own options")
    parser.add_argument("--config-name", "-cn", metavar="NAME", help="another primary configuration than config")
    parser.add_argument("--config-path", "-cp", metavar="DIR", help="another folder in place of conf/")
    parser.add_argument("--run", "-r", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--shell-completion", "-sc", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--experimental-rerun", help=argparse.SUPPRESS)


def _completer(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    from inducer_bench.cli.completion_words import overrides, words_before

    first = [] if words_before() else [*commands.NAMES]
    return first + overrides(prefix, parsed_args.config_dir)


def main(args: argparse.Namespace) -> int:
    """Run what Hydra makes of the arguments; returns the worst exit code of the jobs."""
    distributed.check_environment()
    from inducer_bench.cli.launch import launch

    return launch(args)
