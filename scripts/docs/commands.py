"""The page of all commands: what `--help` prints for each of them."""

import contextlib
import io
import os
from unittest import mock

from inducer_bench.cli.commands import NAMES
from inducer_bench.cli.main import main

INTRODUCTION = """\
# Commands

A first word that is a command selects it; anything else is a run. This page is what `--help` prints.
"""
WIDTH = "100"  # of the terminal that the texts are set for


def page() -> str:
    """The page, as Markdown."""
    texts = {"inducer-bench": [], **{f"inducer-bench {command}": [command] for command in NAMES}}
    return INTRODUCTION + "".join(
        f"\n## `{title}`\n\n```text\n{printed([*words, '--help'])}```\n" for title, words in texts.items()
    )


def printed(arguments: list[str]) -> str:
    """What a command line prints on stdout.

    Raises:
        RuntimeError: it fails.
    """
    out, err = io.StringIO(), io.StringIO()
    plain = {"COLUMNS": WIDTH, "NO_COLOR": "1", "TERM": "dumb"}
    with mock.patch.dict(os.environ, plain), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    if code:
        raise RuntimeError(f"inducer-bench {' '.join(arguments)}: {err.getvalue().strip()}")
    return out.getvalue()
