"""`inducer-bench predict RUN [--input FILE]`: the tuned model of a finished run on new input."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from inducer_bench import strict_json
from inducer_bench.cli.parser import Parser
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.runs.finished import open_run


def main(arguments: list[str]) -> int:
    """Print one line of JSON for each line of input; returns the exit code."""
    parser = Parser(
        prog="inducer-bench predict",
        description="Apply the tuned model of a finished run to new input, one JSON object per line: the task's text "
        "columns; for WebNLG `triples`; for CoQA `story`, `questions` and the `answers` to all but the last.",
    )
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("--input", type=Path, metavar="FILE", help="lines of JSON (default: stdin)")
    args = parser.parse_args(arguments)
    run = open_run(args.run)
    inputs = list(_read(args.input))

    from inducer_bench.runs.predict import predict

    for row in predict(run, inputs):
        print(strict_json.dumps(row, ensure_ascii=False))
    return ExitCode.DONE


def _read(path: Path | None) -> Iterator[tuple[str, dict[str, Any]]]:
    if path is None:
        return _objects("stdin", sys.stdin)
    try:
        return _objects(str(path), path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--input: '{path}' cannot be read ({error})") from None


def _objects(name: str, lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{name}, line {number}: not JSON ({error.msg})") from None
        if not isinstance(values, dict):
            raise UserError(f"{name}, line {number}: found {type(values).__name__}; expected an object")
        yield f"{name}, line {number}", values
