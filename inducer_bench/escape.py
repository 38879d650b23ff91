"""Text from records, data and configurations, escaped for the format that shows it.

Such a text may come from a stranger's folder; none of it may act as markup, as a formula or as a control sequence.
"""

import html
import re

from inducer_bench.errors import printable

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", "–": "--", "≥": r"$\geq$", "∞": r"$\infty$",
}  # fmt: skip
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")


def markdown(text: str) -> str:
    """Text for a line or a cell of GitHub-flavoured Markdown: no HTML, links, emphasis, formulas or entities."""
    escaped = re.sub(r"([|\\`*_\[\]~$]|(?<=\])\()", r"\\\1", html.escape(printable(text), quote=False))
    return re.sub(r"(:/|www)(?=[/.])", r"\1\\", escaped)  # addresses become links


def code_block(lines: list[str]) -> list[str]:
    """Lines as a fenced block of Markdown, which none of them can end."""
    shown = [printable(line) for line in lines]
    fence = "`" * max([3, *(len(run) + 1 for line in shown for run in re.findall("`+", line))])
    return [fence, *shown, fence]


def tex(text: str) -> str:
    """Text for LaTeX."""
    return "".join(_LATEX.get(character, character) for character in printable(text))


def csv_cell(text: str) -> str:
    """Text for a cell of CSV; one that a spreadsheet would compute begins with an apostrophe."""
    shown = printable(text)
    return f"'{shown}" if _FORMULA.match(shown) else shown
