"""Keep a study of `inducer-bench tune` in `results/tuned`: its records and searches, its tables and its figures.

    python -m scripts.evidence.tuned_tables RUNS     # the output folder of `inducer-bench tune experiment=tuned_mini`

Predictions are not kept, as those of hundreds of runs take many times as much as everything else. So the tables are
made here, where they are, and cannot be made again from the records that are kept.
"""

import shutil
import sys
from pathlib import Path

from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.report import across, looks, render, store, studies, tuned, tuned_figures
from inducer_bench.report.studies import Study
from inducer_bench.runs import record as records
from inducer_bench.search import record as searches

TUNED = Path(__file__).resolve().parents[2] / "results" / "tuned"


def main(source: str, target: Path = TUNED) -> None:
    """Replace what is kept by what is in a folder of runs."""
    known = load(Path(source))
    for name in ("runs", "tables"):
        shutil.rmtree(target / name, ignore_errors=True)
    for study in known:
        for method in study.methods:
            _keep(Path(source), method.search, target / "runs")
    for name, content in tables_of(known).items():
        (target / "tables").mkdir(exist_ok=True)
        write_atomic(target / "tables" / name, content)


def load(runs: Path) -> list[Study]:
    """The studies below a folder.

    Raises:
        UserError: there is none, or a record or a search is odd.
    """
    found = store.load(runs)
    known, left_out = studies.load(runs, found)
    if found.left_out or left_out or not known:
        raise UserError("; ".join([*found.left_out, *left_out]) or f"'{runs}' has no study")
    return known


def tables_of(known: list[Study]) -> dict[str, bytes]:
    """Every table of the studies as Markdown and CSV, and the figures; by the names of their files."""
    found = {}
    for table in [*across.tables(known), *map(tuned.table, known)]:
        found[f"{table.name}.md"] = render.markdown(table).encode()
        found[f"{table.name}.csv"] = render.csv_text([table]).encode()
    look = looks.looks(method.search.method for study in known for method in study.methods)
    for study in known:
        name = tuned.table(study).name
        found |= {f"{name}.{picture.name}.png": picture.png() for picture in tuned_figures.draw(study, look)}
    return found


def _keep(source: Path, search: searches.Search, target: Path) -> None:
    place = Path(search.task, search.plm, search.method)
    folder = Path(searches.FOLDER) / place / search.id
    (target / folder).mkdir(parents=True)
    for name in (searches.FILE, searches.RECIPE):
        shutil.copyfile(source / folder / name, target / folder / name)
    tried = [trial.run for trial in (*search.trials, *search.confirmations)]
    for run in (*tried, *(final.run for final in (*search.finals, *search.untuned))):
        own = place / run
        (target / own).mkdir(parents=True, exist_ok=True)  # an own setting may have won
        shutil.copyfile(source / own / records.FILE, target / own / records.FILE)


if __name__ == "__main__":
    main(sys.argv[1])
