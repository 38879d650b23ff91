"""`inducer-bench predict`: the tuned model of a finished run on new input."""

import argparse
import sys
from pathlib import Path

from inducer_bench.cli.parser import Parser
from inducer_bench.cli.predicted import FORMATS as OUTPUTS
from inducer_bench.cli.predicted import check_target, kind_of, merged, to_json, written
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.notices import tell

HELP = "a run's model on new input: csv, tsv, jsonl, json or plain text"


def arguments(parser: Parser) -> None:
    """The run, its input and where the output goes."""
    from inducer_bench.tasks import new_input

    parser.description = (
        "Apply the tuned model of a finished run to new input: a table with the task's text columns, plain text with "
        "one text in each line, or JSON; for WebNLG `triples`; for CoQA `story`, `questions` and the `answers` to all "
        "but the last."
    )
    parser.epilog = "The output has the values of the input, the prediction, and of labels their probabilities."
    parser.add_run()
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--input", type=Path, metavar="FILE", help="also gzipped (default: stdin)")
    given.add_argument("--text", nargs="+", metavar="TEXT", help="one input: a text, or the two of a pair")
    kinds = ", ".join(new_input.FORMATS)
    parser.add_argument(
        "--format", choices=new_input.FORMATS, metavar="KIND",
        help=f"of the input: {kinds} (default: its suffix, or jsonl)",
    )  # fmt: skip
    suffixes = ", ".join(OUTPUTS)
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help=f"by its suffix {suffixes} (default: lines of JSON on stdout)"
    )


def main(args: argparse.Namespace) -> int:
    """Print one line of JSON for each input, with its values, or write them to a file; returns the exit code."""
    from inducer_bench.runs.finished import open_run
    from inducer_bench.tasks import new_input
    from inducer_bench.tasks.files import ending

    run = open_run(args.run)
    if args.output is not None:
        check_target(args.output)
    task = run.config.task
    if args.text:
        inputs = [("--text", new_input.of_texts(task, args.text, "--text"))]
    else:
        content = _from_stdin() if args.input is None else _from_file(args.input)
        suffix = "" if args.input is None else ending(args.input)
        kind = args.format or (suffix if suffix in new_input.FORMATS else "jsonl")
        inputs = list(new_input.read(task, content, str(args.input or "stdin"), kind))

    from inducer_bench.runs.predict import predict

    predictions = predict(run, inputs)
    rows = merged([values for _, values in inputs], predictions, kind_of(args.output))
    if args.output is None:
        for row in rows:
            print(to_json(row))
    else:
        written(args.output, rows)
    empty = sum(isinstance(row["prediction"], str) and not row["prediction"].strip() for row in rows)
    if empty:
        tell(f"{empty:,} of {len(rows):,} predictions are empty texts")
    return ExitCode.DONE


def _from_file(path: Path) -> bytes:
    from inducer_bench.tasks.files import read_bytes

    try:
        return read_bytes(path)
    except UserError as error:
        raise UserError(f"--input: {error}") from None


def _from_stdin() -> bytes:
    from inducer_bench.tasks.files import readable

    if sys.stdin is None:
        raise UserError("stdin: it is closed; give the input there, or --input FILE")
    with readable(Path("stdin")):
        return sys.stdin.buffer.read()
