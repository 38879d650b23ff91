"""Tables as Markdown, CSV and LaTeX.

Equal tables give equal bytes.
"""

import csv
import io
import re
from collections.abc import Sequence
from itertools import groupby

from inducer_bench.errors import printable
from inducer_bench.escape import code_block, csv_cell, tex
from inducer_bench.escape import markdown as md
from inducer_bench.report.cells import Cell, Fact, Measured, Published
from inducer_bench.report.marks import LEVEL
from inducer_bench.report.tables import Column, Row, Table

_CSV = ("suite", "plm", "protocol", "row", "method", "settings", "task", "score", "source", "mean", "std", "n",
        "values", "text", "best", "tied", "p_value", "notes")  # fmt: skip


def caption(table: Table) -> str:
    """The title of a table, with its model, protocol and suite, and what all of its rows share."""
    scope = table.scope
    parts = [f"{table.title}. {scope.plm}"]
    parts += [] if scope.protocol == "any" else [f"protocol {scope.protocol}"]
    parts += ["mini suite: not to be compared with real figures"] if scope.suite == "mini" else []
    shared = ", ".join(f"{key}={value}" for key, value in table.shared)
    return f"{', '.join(parts)}.{f' All rows: {shared}.' if shared else ''}"


def legend(table: Table) -> str:
    """The meaning of the numbers and their marks; empty for a table without any."""
    cells = [cell for row in table.rows for cell in row.cells]
    parts = []
    if any(cell.shown()[1] for cell in cells if isinstance(cell, Measured)):
        parts.append("Mean ± sample standard deviation over seeds, their number in brackets.")
    elif any(cell.shown()[2] for cell in cells):
        parts.append("In brackets: the number of seeds.")
    marks = {table.emphasis(row, number) for row in table.rows for number in range(len(table.columns))}
    if "bold" in marks:
        parts.append("Bold: the best of its column, told apart from every other row that has several seeds.")
    if "italic" in marks:
        parts.append("Italic: the best of its column, and the rows that cannot be told apart from it.")
    tested = [number for number, column in enumerate(table.columns) if column.p_value is not None]
    reasons = []
    if not all(map(table.told_apart, tested)):
        reasons.append("no row can be told apart from the best")
    if any(column.one_seed for column in table.columns):
        reasons.append("the best row or the next one has one seed")
    if reasons:
        parts.append(f"Nothing is marked where {', or '.join(reasons)}.")
    if tested:
        parts.append(f"Tests are over examples and seeds (p < {LEVEL}, Holm over all pairs of rows of a column).")
    if marks - {""} and not table.equal_effort:
        parts.append("Settings are the published ones or the user's; they were not tuned with equal effort.")
    return " ".join(parts)


def markdown(table: Table) -> str:
    """A GitHub-flavoured table with its footnotes and commands."""
    head = [f"{md(column.heading)}{_superscript(column.marks)}" for column in table.columns]
    lines = [f"### {md(caption(table))}", "", f"| | {' | '.join(head)} |", f"|---|{'--:|' * len(head)}"]
    for row in table.rows:
        cells = [_markdown_cell(cell, table.emphasis(row, number)) for number, cell in enumerate(row.cells)]
        lines.append(f"| {md(row.label)} | {' | '.join(cells)} |")
    below = [*map(md, table.text), md(legend(table)), md(f"{table.made_with}.") if table.made_with else ""]
    below += [f"{_superscript((letter,))} {md(text)}" for letter, text in table.notes]
    lines += [line for text in below if text for line in ("", text)]
    if table.commands:
        lines += ["", "To fill what is missing:", "", *code_block([*table.commands])]
    return "\n".join(lines) + "\n"


def csv_text(tables: Sequence[Table]) -> str:
    """CSV with one line per cell, at full precision and with the value of every seed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_CSV)
    for table in tables:
        scope, notes = table.scope, dict(table.notes)
        for row in table.rows:
            configs = [group.config for group in row.groups]
            plms, protocols = {config.plm.name for config in configs}, {config.protocol.name for config in configs}
            settings = "; ".join(f"{key}={value}" for key, value in (*table.shared, *row.differs))
            for column, cell in zip(table.columns, row.cells, strict=True):
                mean, std = (cell.mean, cell.std) if isinstance(cell, Measured | Published) else (None, None)
                text = cell.text
                if isinstance(cell, Fact):
                    mean, text = cell.value, cell.written if cell.value is None else ""
                seeds = cell.values if isinstance(cell, Measured) else ()
                numbers = cell.values if isinstance(cell, Measured | Fact) else ()
                values = " ".join(f"{name}:{value!r}" for name, value in numbers)
                writer.writerow([
                    *map(csv_cell, (scope.suite, *(plms if len(plms) == 1 else [scope.plm]),
                                    *(protocols if len(protocols) == 1 else [scope.protocol]), row.label, row.method,
                                    settings, column.task, column.value, column.source or "")),
                    _exact(mean), _exact(std), len(seeds) or "", values, csv_cell(text), int(cell.best),
                    "" if cell.tied is None else int(cell.tied),
                    _exact(column.p_value) if seeds else "",
                    csv_cell(" | ".join(notes[mark] for mark in (*column.marks, *cell.marks))),
                ])  # fmt: skip
    return out.getvalue()


def latex(table: Table) -> str:
    """A `table` for a paper, shrunk where it is wider than the text; the preamble needs booktabs and graphicx."""
    lines = [
        r"% \usepackage{booktabs,graphicx}",
        *(f"% to fill what is missing: {printable(command)}" for command in table.commands),
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{tex(caption(table))}}}",
        rf"\label{{tab:{table.scope.suite}-{re.sub(r'[^A-Za-z0-9-]+', '-', table.name)}}}",
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        *_latex_head(table.columns),
        r"\midrule",
        *(_latex_row(table, row) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    below = [*map(tex, [*table.text, legend(table)]), tex(f"{table.made_with}.") if table.made_with else ""]
    below += [rf"\textsuperscript{{{letter}}}\,{tex(text)}" for letter, text in table.notes]
    lines += [rf"\par\smallskip{{\footnotesize\raggedright {text}\par}}" for text in below if text]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def head(columns: Sequence[Column]) -> list[tuple[str, list[Column]]]:
    """Neighbouring columns by the heading that they share."""
    return [(group, list(members)) for group, members in groupby(columns, key=lambda column: column.group)]


# -- parts -------------------------------------------------------------------------------------------------------------


def _markdown_cell(cell: Cell, emphasis: str) -> str:
    number, spread, n = cell.shown()
    mark = {"bold": "**", "italic": "*", "": ""}[emphasis]
    text = f"{mark}{md(number)}{mark}"
    text += f" ± {spread}" if spread else ""
    text += f" ({n})" if n else ""
    return f"{text}{_superscript(cell.marks)}"


def _latex_row(table: Table, row: Row) -> str:
    cells = [_latex_cell(cell, table.emphasis(row, number)) for number, cell in enumerate(row.cells)]
    return " & ".join([tex(row.label), *cells]) + r" \\"


def _latex_cell(cell: Cell, emphasis: str) -> str:
    number, spread, n = cell.shown()
    command = {"bold": r"\textbf{%s}", "italic": r"\textit{%s}", "": "%s"}[emphasis]
    text = command % tex(number)
    text = rf"{{\scriptsize {text}}}" if cell.text else text
    text += rf"{{\scriptsize\,$\pm$\,{spread}}}" if spread else ""
    text += rf"{{\scriptsize\,({n})}}" if n else ""
    return text + (rf"\textsuperscript{{{','.join(cell.marks)}}}" if cell.marks else "")


def _latex_head(columns: Sequence[Column]) -> list[str]:
    last = " & ".join(
        ["", *(tex(column.label) + (rf"\textsuperscript{{{','.join(column.marks)}}}" if column.marks else "")
               for column in columns)]
    )  # fmt: skip
    if not any(column.group for column in columns):
        return [last + r" \\"]
    above, rules, start = [""], [], 2
    for group, members in head(columns):
        above.append(rf"\multicolumn{{{len(members)}}}{{{'c' if group else 'r'}}}{{{tex(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{start}-{start + len(members) - 1}}}")
        start += len(members)
    return [" & ".join(above) + r" \\", "".join(rules), last + r" \\"]


def _superscript(marks: Sequence[str]) -> str:
    return f"<sup>{','.join(marks)}</sup>" if marks else ""


def _exact(number: float | None) -> str:
    return "" if number is None else repr(number)
