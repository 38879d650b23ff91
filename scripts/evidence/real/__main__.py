"""Make the tables, figures and the page of claims of `results/real` again, from its records.

python -m scripts.evidence.real                   # part of `make results`
python -m scripts.evidence.real --collect RUNS    # first add the records of an output folder to those that are kept
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.report.plots import Picture
from scripts.evidence import tuned_tables
from scripts.evidence.real import against, budget, changes, figures, gate, initialisation, layers
from scripts.evidence.real.changes import ABLATIONS, GATE, HABITS
from scripts.evidence.real.claims import page
from scripts.evidence.real.collect import collect
from scripts.evidence.real.runs import REAL, Evidence, load

_HEAD = ("# What the records say about the claims", "")
_LAYERS = ("# Gates layer by layer", "", "For (d) of [claims.md](claims.md).", "")
_COMMAND = ("All that follows is made by this command:", "", "`python -m scripts.evidence.real.{}`", "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Collect records if asked to, and make everything of those that are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collect", type=Path, metavar="RUNS", help="the output_dir of finished runs")
    parser.add_argument("--real", type=Path, default=REAL, help="default: results/real")
    args = parser.parse_args(arguments)
    real: Path = args.real
    if args.collect:
        collect(args.collect, real / "runs")
    if not (real / "runs").is_dir():
        print(f"{real}: not regenerated: there are no records in {real / 'runs'}")
        return
    evidence = load(real / "runs")
    for name, made in (("tables", tables(evidence)), ("figures", pictures(evidence, real))):
        shutil.rmtree(real / name, ignore_errors=True)
        for file, content in made.items():
            (real / name).mkdir(parents=True, exist_ok=True)
            write_atomic(real / name / file, content)
    write_atomic(real / "claims.md", text(evidence, real).encode())
    if measured := gate.load(real / gate.FOLDER, evidence):
        write_atomic(real / "layers.md", _page(_LAYERS, "layers", layers.page(measured)).encode())


def text(evidence: Evidence, real: Path) -> str:
    """The page of claims; what is judged by a person stands in README.md."""
    return _page(_HEAD, "claims", page(evidence, real))


def _page(head: Iterable[str], module: str, lines: Iterable[str]) -> str:
    command = (line.format(module) for line in _COMMAND)
    return "\n".join([*head, *command, *lines]).rstrip() + "\n"


def tables(evidence: Evidence) -> dict[str, bytes]:
    """The tables and figures of the studies of equal effort, by the names of their files."""
    return tuned_tables.tables_of(evidence.studies)


def pictures(evidence: Evidence, real: Path) -> dict[str, bytes]:
    """The figures of the page."""
    return {f"{found.name}.png": found.png() for found in _drawn(evidence, real)}


def _drawn(evidence: Evidence, real: Path) -> Iterator[Picture]:
    if found := against.per_task(against.compared(evidence.studies)):
        found.sort(key=lambda one: against.OTHERS.index(one.other))
        yield figures.differences("against", "(a) The inducer against other methods, 95 % intervals", found)
    for question, name in ((ABLATIONS, "ablations"), (GATE, "other gates"), (HABITS, "habits")):
        if found := changes.differences(evidence.of_experiment(question.experiment), question):
            yield figures.differences(
                name.replace(" ", "_"), f"{name.capitalize()}: with each change against without it", found
            )
    if measured := gate.load(real / gate.FOLDER, evidence):
        yield figures.gates(measured)
    yield from figures.rates(initialisation.sweeps(evidence.of_experiment("real_initialisation")))
    yield from figures.budgets(budget.points(evidence.of_experiment("real_budget")))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"real: {error}")
