"""Markdown, CSV and LaTeX of the same tables."""

import csv
import io
import re
import shutil
import subprocess

import pytest

from inducer_bench import escape
from inducer_bench.report import render, store, tables


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("50% of a_b & c#d", r"50\% of a\_b \& c\#d"),
        (r"{x}\y^2~$", r"\{x\}\textbackslash{}y\textasciicircum{}2\textasciitilde{}\$"),
        ("1 ± 2 < 3", r"1 $\pm$ 2 \textless{} 3"),
    ],
)
def test_latex_is_escaped(text, latex):
    assert escape.tex(text) == latex


def test_latex_tables_are_balanced_and_every_row_has_all_columns(built):
    for table in built.values():
        text = render.latex(table)
        code = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
        assert re.search(r"(?<!\\)[_&#$%]", re.sub(r" & |\$\\pm\$|\{%$|\\label\{.*?\}", "", code, flags=re.M)) is None
        assert len(re.findall(r"(?<!\\)\{", code)) == len(re.findall(r"(?<!\\)\}", code))
        body = code.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
        assert len(body) == len(table.rows)
        assert {line.count(" & ") for line in body} == {len(table.columns)}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(built, tmp_path):
    tables = "".join(render.latex(table) + "\\clearpage\n" for table in built.values())
    source = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}" + tables + r"\end{document}"
    (tmp_path / "all.tex").write_text(source)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-1000:]
    assert (tmp_path / "all.pdf").stat().st_size > 1000


def test_csv_has_full_precision_and_every_seed(built):
    rows = list(csv.DictReader(io.StringIO(render.csv_text([built["mini/sst2"]]))))
    lora = next(row for row in rows if row["row"] == "LoRA" and row["score"] == "accuracy")
    assert (float(lora["mean"]), float(lora["std"]), lora["n"], lora["values"]) == (
        91.0,
        1.0,
        "3",
        "0:90.0 1:91.0 2:92.0",
    )
    percent = next(row for row in rows if row["row"] == "LoRA" and row["score"] == "percent")
    assert float(percent["mean"]) == pytest.approx(100 * 16_384 / 1_210_496, rel=1e-15)
    failed = next(row for row in rows if row["row"] == "Prefix" and row["score"] == "accuracy")
    assert failed["notes"] == "failed: seed 1; not in the mean"


def test_csv_keeps_identifiers_and_what_differs_beside_the_labels(built):
    rows = list(csv.DictReader(io.StringIO(render.csv_text([built["mini/sst2"]]))))
    gate = next(row for row in rows if row["row"] == "Inducer, gate off" and row["score"] == "accuracy")
    assert (gate["method"], gate["settings"], gate["task"], gate["plm"], gate["protocol"]) == (
        "inducer", "method.gate=false", "sst2", "mini_roberta", "paper",
    )  # fmt: skip
    assert (gate["best"], gate["tied"]) == ("0", "0")


def test_markdown_rows_have_all_columns_and_the_commands_stand_below(sweep):
    built = tables.build(store.load(sweep), [], "runs", missing=True)
    table = next(table for table in built if table.commands)
    text = render.markdown(table)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(table.columns) + 2}
    assert text.rstrip().endswith("```")
    assert all(command in text for command in table.commands)


def test_best_score_is_bold_in_markdown(built):
    assert "| LoRA | **91.0** ± 1.0 (3) |" in render.markdown(built["mini/sst2"])


def test_markdown_names_are_not_taken_for_markup(built):
    assert r"mini\_roberta" in render.markdown(built["mini/sst2"])
