"""Regenerate the tables of the mini suite in `results/mini/tables` from the records in `results/mini/runs`.

    python -m scripts.evidence.mini_tables                  # part of `make results`
    python -m scripts.evidence.mini_tables --collect runs   # first replace the records by those of the folder `runs`

Of each finished run three files are kept: record.json, predictions.jsonl.gz and metrics.jsonl.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.report import figures, looks, reference, render, store, tables

MINI = Path(__file__).resolve().parents[2] / "results" / "mini"
KEPT = ("record.json", "predictions.jsonl.gz", "metrics.jsonl")
PICTURES = ("sst2.tradeoff_parameters",)  # shown in results/mini/README.md


def main(arguments: Sequence[str] | None = None) -> None:
    """Collect the records if asked to, and regenerate the tables if there are records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collect", type=Path, metavar="RUNS", help="the output_dir of finished runs")
    parser.add_argument("--mini", type=Path, default=MINI, help="default: results/mini")
    args = parser.parse_args(arguments)
    runs, out = args.mini / "runs", args.mini / "tables"
    if args.collect:
        collect(args.collect, runs)
    if not runs.is_dir():
        print(f"{out}: not regenerated: there are no records in {runs}")
        return
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    for name, content in tables_of(runs).items():
        write_atomic(out / name, content)


def collect(source: Path, runs: Path) -> None:
    """Replace `runs` by the kept files of every finished run of the mini suite below `source`.

    Raises:
        UserError: there is no such run, or a record cannot be read.
    """
    done = [run.folder for group in load(source).groups if group.config.suite == "mini" for run in group.done]
    if not done:
        raise UserError(f"--collect: '{source}' has no finished run of the mini suite")
    shutil.rmtree(runs, ignore_errors=True)
    for folder in done:
        target = runs / folder.relative_to(source)
        target.mkdir(parents=True)
        for name in KEPT:
            shutil.copyfile(folder / name, target / name)


def tables_of(runs: Path) -> dict[str, bytes]:
    """Every table as Markdown and CSV, and the pictures that a page shows; by the names of their files."""
    found = {}
    built = tables.build(load(runs), reference.sources(), "runs")
    known = looks.looks(row.method for table in built for row in table.rows)
    for table in built:
        found[f"{table.name}.md"] = render.markdown(table).encode()
        found[f"{table.name}.csv"] = render.csv_text([table]).encode()
        if any(name.startswith(f"{table.name}.") for name in PICTURES):
            drawn = {f"{table.name}.{picture.name}": picture for picture in figures.draw(table, known)}
            found |= {f"{name}.png": picture.png() for name, picture in drawn.items() if name in PICTURES}
    return found


def load(runs: Path) -> store.Store:
    """The records below a folder.

    Raises:
        UserError: a record cannot be read.
    """
    found = store.load(runs)
    if found.left_out:
        raise UserError("; ".join(found.left_out))
    return found


if __name__ == "__main__":
    main()
