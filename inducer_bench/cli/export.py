"""`inducer-bench export RUN DIR`: a run's adapter as a folder to share, with a model card."""

import argparse
from pathlib import Path

from inducer_bench.cli.parser import Parser
from inducer_bench.errors import ExitCode, UserError, printable

HELP = "a run's adapter as a folder to share, with a model card; LoRA as `peft` loads it"


def arguments(parser: Parser) -> None:
    """The run and the folder to write."""
    parser.add_run()
    parser.add_argument("dir", type=Path, metavar="DIR", help="the folder to write; new, or empty")


def main(args: argparse.Namespace) -> int:
    """Write the folder and print its format; returns the exit code."""
    from inducer_bench.runs.finished import open_run

    run = open_run(args.run)
    try:
        empty = not args.dir.exists() or (args.dir.is_dir() and not any(args.dir.iterdir()))
    except OSError as error:
        raise UserError(f"DIR: '{args.dir}' cannot be read ({error.strerror}); give another folder") from None
    if not empty:
        raise UserError(f"DIR: found '{args.dir}', which is not an empty folder; allowed: a new or an empty one")

    from inducer_bench.runs.export import export

    print(f"{printable(str(args.dir))}: {export(run, args.dir)}")
    return ExitCode.DONE
