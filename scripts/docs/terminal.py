"""A picture of a terminal, from the real output of a command: docs/images/terminal.svg.

    python -m scripts.docs.terminal                     # the command of the README, some minutes on a busy machine
    python -m scripts.docs.terminal ls methods          # the picture of another command

The command runs in a pseudo-terminal, in an empty folder; the picture is what stands on the screen at the end.
"""

import argparse
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import tempfile
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

OUT = Path(__file__).resolve().parents[2] / "docs" / "images" / "terminal.svg"
COMMAND = ["preset=mini", "task=sst2", "method=inducer"]
WIDTH, HEIGHT = 100, 50
CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)|\x1b.")
FONT = re.compile(r"\s*@font-face \{.*?\}", re.S)  # of the template of rich; it is fetched from elsewhere


def main(arguments: list[str] | None = None) -> None:
    """Run the command and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("words", nargs="*", default=COMMAND, help="of inducer-bench")
    args = parser.parse_args(arguments)
    lines = screen(output(args.words))
    args.out.write_text(picture(args.words, lines), encoding="utf-8")


def output(words: list[str]) -> str:
    """All that a command writes to a terminal."""
    reader, writer = pty.openpty()
    ioctl(writer, TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)}
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-m", "inducer_bench", *words]
        process = subprocess.Popen(program, stdin=writer, stdout=writer, stderr=writer, cwd=folder, env=environment)
        os.close(writer)
        written = b""
        while part := _read(reader):
            written += part
        if process.wait():
            raise SystemExit(written.decode(errors="replace"))
    return written.decode()


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 2**16)
    except OSError:  # the other end is closed
        return b""


def screen(written: str) -> list[str]:
    """The lines on a screen after this was written to it, colours included: a line is erased, or gone up to."""
    lines, row = [""], 0
    for match in CONTROL.finditer(written):
        numbers, letter, carriage, feed, text = match.groups()
        if feed:
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif carriage:
            overwritten = row
            lines[overwritten] = lines[overwritten] if written[match.end() : match.end() + 1] == "\n" else ""
        elif text:
            lines[row] += text
        elif letter == "A":
            row = max(0, row - int(numbers or 1))
        elif letter == "K":
            lines[row] = ""
        elif letter == "m":
            lines[row] += match[0]
    return [line.rstrip() for line in lines]


def picture(words: list[str], lines: list[str]) -> str:
    """The SVG of a terminal with a command and what it printed; nothing in it is fetched from elsewhere."""
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    console.print(Text(f"$ inducer-bench {shlex.join(words)}", style="bold"))
    for line in lines[: len(lines) - (not lines[-1])]:
        console.print(Text.from_ansi(line))
    svg = console.export_svg(title="inducer-bench", theme=DIMMED_MONOKAI, unique_id="terminal")
    return FONT.sub("", svg).replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")


if __name__ == "__main__":
    main()
