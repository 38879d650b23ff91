"""Do the statistics of reports keep their promises? Studies with known truth, by the thousand.

    OMP_NUM_THREADS=1 nice python -m scripts.evidence.simulate run    # half an hour of a core; goes on where it stopped
    python -m scripts.evidence.simulate                               # the tables, from results/statistics

Each row is simulated with random numbers of its own, so that one can be added, or simulated again after it was removed
from the file, without a change of the others. `studies.py` has what a study is, `synthetic.py` where its scores are
from.
"""

import json
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from inducer_bench.files import write_atomic
from scripts.evidence import studies
from scripts.evidence.markdown import table
from scripts.evidence.studies import Outcome

FILE = Path(__file__).resolve().parents[2] / "results" / "statistics" / "simulations.json"
STUDIES = 2_000

Settings = dict[str, Any]
Row = dict[str, Any]  # name, settings, studies, found (name -> mean), seconds


@dataclass(frozen=True)
class Promise:
    """One table.

    Args:
        title: of the table.
        text: what is promised, under the title.
        simulate: one study.
        settings: its rows.
    """

    title: str
    text: str
    simulate: Callable[..., Outcome]
    settings: list[Settings]


def _all(**values: list[Any]) -> list[Settings]:
    return [dict(zip(values, found, strict=True)) for found in product(*values.values())]


PROMISES = [
    Promise(
        "Equal methods",
        "Told apart: any method is declared different from the best. Promise: at most 5 %.",
        studies.equal_methods,
        _all(methods=[2, 5, 10], seeds=[3, 5, 10]),
    ),
    Promise(
        "Which pairs to count",
        "Equal methods again: the share of studies in which a correction tells any two apart. Holm's method over all "
        "pairs is the one in use.",
        studies.families,
        _all(methods=[10], seeds=[3, 5]),
    ),
    Promise(
        "Different methods",
        "True accuracies with a standard deviation of 3 points. Promise: in at least 95 % of studies all intervals of "
        "the differences to the best hold the true difference, and the truly best method is among the tied.",
        studies.different_methods,
        [*_all(methods=[2], seeds=[3, 5, 10]), *_all(methods=[10], seeds=[3])],
    ),
    Promise(
        "Planned seeds",
        "`seeds_needed` from a pilot, for a difference that about `needed` seeds find, and the study with that many "
        "seeds. Promise: 80 % of the differences are found.",
        studies.planned_seeds,
        _all(pilot=[3, 5], needed=[4, 12]),
    ),
    Promise(
        "The smallest difference that could have been shown",
        "The figure of one study, put as the true difference between the best and the worst method of another one. "
        "Promise: 80 % are found.",
        studies.detectable_difference,
        [*_all(methods=[2], seeds=[3, 5, 10]), *_all(methods=[10], seeds=[5])],
    ),
    Promise(
        "Tuning curves",
        "Promise: in at least 95 % of searches the band holds the whole curve.",
        studies.tuning_curve,
        _all(trials=[8, 16, 32], draw=["independent", "quasi-random", "quasi-random, two dimensions"]),
    ),
    Promise(
        "Mean ranks",
        "Five methods, whose true scores on a task have a standard deviation of `spread` points; that of runs is 0.3 "
        "to 3 points. Promise: an interval holds the mean rank that such studies give on average in at least 95 %.",
        studies.mean_ranks,
        _all(tasks=[2, 8], seeds=[3, 10], spread=[0.0, 0.3, 1.0, 3.0]),
    ),
    Promise(
        "Ratios of variances",
        "Two methods, one of which varies up to five times as much, whose runs have normal scores, long tails, or some "
        "bad ones. Promise: in about 95 % of studies the interval holds the ratio of the true variances. The F "
        "interval takes scores to be normal, and is not in use.",
        studies.spreads,
        _all(scores=["normal", "long tails", "bad runs"], seeds=[5, 10]),
    ),
    Promise(
        "Workable learning rates",
        "Six learning rates, half a decade apart, whose runs have a standard deviation of 0.3 to 2 points. Promise: "
        "with five runs the interval holds the true width of the range within a point of the best in about 95 % of "
        "studies.",
        studies.learning_rates,
        _all(seeds=[3, 5, 10]),
    ),
    Promise(
        "From the search to the verdict",
        "Methods that respond alike to the learning rate; each is searched with the same points, its winner chosen on "
        "200 held-out examples and run with new seeds. Told apart: any method is declared different from the best. "
        "Promise: at most 5 %, since the test counts the luck of searches; without that, it would be right about the "
        "winners, but not about the methods.",
        studies.whole_chain,
        _all(methods=[2, 5, 10], trials=[16], seeds=[5]),
    ),
]


def main(*words: str) -> None:
    """Print the tables, or simulate the rows that the file lacks, each of which is written when it is done."""
    rows: list[Row] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else []
    if words != ("run",):
        tables(rows)
        return
    for promise in PROMISES:
        for settings in promise.settings:
            if find(rows, promise, settings) is None:
                rows.append(simulated(promise, settings, STUDIES))
                write_atomic(FILE, (json.dumps(rows, indent=1) + "\n").encode())
                print(rows[-1], file=sys.stderr)


def simulated(promise: Promise, settings: Settings, count: int) -> Row:
    """The means of what happened in so many studies."""
    name = promise.simulate.__name__
    random = np.random.default_rng(zlib.crc32(f"{name} {sorted(settings.items())}".encode()))
    start = process_time()
    outcomes = [promise.simulate(random, **settings) for _ in range(count)]
    found = {
        key: float(np.mean([value for outcome in outcomes if (value := outcome.get(key)) is not None] or [np.nan]))
        for key in dict.fromkeys(key for outcome in outcomes for key in outcome)
    }
    seconds = round(process_time() - start, 1)
    return {"name": name, "settings": settings, "studies": count, "found": found, "seconds": seconds}


def find(rows: list[Row], promise: Promise, settings: Settings) -> Row | None:
    """The row of these settings."""
    wanted = (promise.simulate.__name__, settings)
    return next((row for row in rows if (row["name"], row["settings"]) == wanted), None)


def tables(rows: list[Row]) -> None:
    """Print one table for each promise, in percent."""
    for promise in PROMISES:
        mine = [row for settings in promise.settings if (row := find(rows, promise, settings))]
        if mine:
            columns = list(mine[0]["found"])
            print(f"## {promise.title}\n\n{promise.text}\n")
            lines = []
            for row in mine:
                numbers = [f"{100 * row['found'][column]:.1f}" for column in columns]
                lines.append([*row["settings"].values(), row["studies"], *numbers])
            head = [*mine[0]["settings"], "studies", *(f"{column}, %" for column in columns)]
            print(f"{table(head, lines)}\n")
    print(f"{sum(row['seconds'] for row in rows) / 60:.0f} minutes of one core.")


if __name__ == "__main__":
    main(*sys.argv[1:])
