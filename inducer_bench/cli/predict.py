"""`inducer-bench predict RUN [--input FILE]`: the tuned model of a finished run on new input."""

import argparse
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inducer_bench import strict_json
from inducer_bench.cli.parser import Parser
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.tasks.files import read_bytes, readable, text_lines
from inducer_bench.tasks.table_files import json_lines

HELP = "a run's model on new input: JSON lines in, JSON lines out"


def arguments(parser: Parser) -> None:
    """The run and its input."""
    parser.description = (
        "Apply the tuned model of a finished run to new input, one JSON object per line: the task's text columns; for "
        "WebNLG `triples`; for CoQA `story`, `questions` and the `answers` to all but the last."
    )
    parser.add_run()
    parser.add_argument("--input", type=Path, metavar="FILE", help="lines of JSON, also gzipped (default: stdin)")


def main(args: argparse.Namespace) -> int:
    """Print one line of JSON for each line of input; returns the exit code."""
    from inducer_bench.runs.finished import open_run

    run = open_run(args.run)
    inputs = list(_read(args.input))

    from inducer_bench.runs.predict import predict

    for row in predict(run, inputs):
        print(strict_json.dumps(row, ensure_ascii=False))
    return ExitCode.DONE


def _read(path: Path | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """The position and the values of each line, read as lines of training data are.

    Raises:
        UserError: the file or stdin cannot be read, or a line is not a JSON object.
    """
    name = "stdin" if path is None else str(path)
    content = io.BytesIO(_from_stdin() if path is None else _from_file(path))
    return json_lines(text_lines(content, name), name)


def _from_file(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except UserError as error:
        raise UserError(f"--input: {error}") from None


def _from_stdin() -> bytes:
    if sys.stdin is None:
        raise UserError("stdin: it is closed; give lines of JSON there, or --input FILE")
    with readable(Path("stdin")):
        return sys.stdin.buffer.read()
