"""Keep what the pages are made from: records and searches, and the predictions that tests over examples need.

Predictions are kept of the runs of searches and of final runs, and of the runs of `real_ablation`, `real_budget` and
`real_habits`, as far as their file is small. What lacks them is compared over seeds alone, and the page says so.

The data's licences do not let their texts be passed on, so the kept predictions have none, and records have the
checksums of these files. Paired tests give the same.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.metrics.metric import Metric
from inducer_bench.report.examples import read_predictions, without_texts
from inducer_bench.report.store import DoneRun
from inducer_bench.runs import record as records
from inducer_bench.runs.artefacts import PREDICTIONS, checksums, packed
from inducer_bench.search import record as searches
from scripts.evidence.real.runs import EXPERIMENTS, Evidence, load

LARGEST = 150_000  # bytes of a file of predictions


def collect(source: Path, runs: Path) -> None:
    """Add to `runs` what is kept of the runs and searches below `source`; equal runs are replaced by themselves.

    Raises:
        UserError: there is none, or a record or a search is damaged.
    """
    evidence = load(source)
    if not evidence.store.runs:
        raise UserError(f"--collect: '{source}' has no runs")
    for study in evidence.studies:
        for method in study.methods:
            folder = Path(searches.FOLDER, study.first.task, study.first.plm, method.search.method, method.search.id)
            for name in (searches.FILE, searches.RECIPE):
                if (source / folder / name).is_file():
                    _copy(source, runs, folder / name)
    wanted = set(_with_predictions(evidence))
    for name, (config, run) in evidence.store.runs.items():
        own = run.folder.relative_to(source)
        metric = config.task.metric_of(config.task.metric)
        if isinstance(run, DoneRun) and name in wanted and (content := _passed_on(run, metric)):
            (runs / own).mkdir(parents=True, exist_ok=True)
            write_atomic(runs / own / PREDICTIONS, content)
            files = run.record.files | checksums(runs / own, [PREDICTIONS])
            records.write(runs / own, replace(run.record, files=files))
        else:
            _copy(source, runs, own / records.FILE)


def _passed_on(run: DoneRun, metric: Metric | None) -> bytes | None:
    """The predictions without texts, packed; None where there are none, or too many."""
    if not (run.folder / PREDICTIONS).is_file():
        return None
    content = packed(without_texts(read_predictions(run.folder, run.record), metric))
    return content if len(content) <= LARGEST else None


def _with_predictions(evidence: Evidence) -> Iterator[str]:
    """The hashes of runs whose examples are compared."""
    for study in evidence.studies:
        for method in study.methods:
            yield from (trial.run for trial in (*method.search.trials, *method.search.confirmations))
            yield from (final.run for final in method.search.finals)
    for name in EXPERIMENTS[1:]:  # the first one is about seeds alone
        yield from (run.record.config_hash for group in evidence.of_experiment(name) for run in group.runs)


def _copy(source: Path, target: Path, path: Path) -> None:
    (target / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / path, target / path)
