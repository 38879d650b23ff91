"""`inducer-bench export RUN DIR`: a run's adapter or merged model as a folder to share, with a model card."""

import argparse
from pathlib import Path

from inducer_bench.cli.parser import Parser
from inducer_bench.errors import ExitCode, UserError, printable

HELP = "a run's adapter or merged model as a folder to share, with a model card; LoRA as `peft` loads it"


def arguments(parser: Parser) -> None:
    """The run, the folder to write, and whether it is uploaded."""
    parser.add_run()
    parser.add_argument("dir", type=Path, metavar="DIR", help="the folder to write; new, or empty")
    parser.add_argument(
        "--merge", action="store_true", help="the whole model in transformers' format, if the method can be folded in"
    )
    parser.add_argument(
        "--push", metavar="USER/NAME", help="also upload the folder to the hub, as a private repository"
    )
    parser.add_argument("--public", action="store_true", help="with --push: let a new repository be a public one")


def main(args: argparse.Namespace) -> int:
    """Write the folder and print its format; returns the exit code."""
    if args.public and args.push is None:
        raise UserError("--public: found without --push; allowed: with --push USER/NAME")
    from inducer_bench.runs.finished import open_run

    run = open_run(args.run)
    try:
        empty = not args.dir.exists() or (args.dir.is_dir() and not any(args.dir.iterdir()))
    except OSError as error:
        raise UserError(f"DIR: '{args.dir}' cannot be read ({error.strerror}); give another folder") from None
    if not empty:
        raise UserError(f"DIR: found '{args.dir}', which is not an empty folder; allowed: a new or an empty one")

    from inducer_bench.runs.export import check_repository, export, push

    if args.push is not None:
        check_repository(args.push)
    print(f"{printable(str(args.dir))}: {export(run, args.dir, args.merge, args.push)}", flush=True)
    if args.push is not None:
        print(printable(push(args.dir, args.push, args.public)))
    return ExitCode.DONE
