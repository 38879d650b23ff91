"""Mean and standard deviation over seeds of every finished run below a folder, as a Markdown table.

python scripts/summary.py runs
"""

import statistics
import sys
from collections import defaultdict
from pathlib import Path

from inducer_bench.runs import record as records
from inducer_bench.runs.record import FinishedRecord


def main(root: Path) -> None:
    """One row for each suite, task, PLM, method and number of training examples."""
    groups: dict[tuple[str, ...], list[FinishedRecord]] = defaultdict(list)
    for folder in records.find(root):
        record = records.read(folder)
        if isinstance(record, FinishedRecord):
            key = (record.suite, record.task, record.plm, record.method, str(record.examples["train"]))
            groups[key].append(record)
    print("| suite | task | PLM | method | train | parameters | % | score | mean | std | n | s/run |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for names, group in sorted(groups.items(), key=lambda item: (item[0][:3], -_mean(item[1]))):
        values, counts = [_score(record) for record in group], group[0].parameters
        std = f"{statistics.stdev(values):.2f}" if len(values) > 1 else "-"
        seconds = statistics.median(record.train_seconds for record in group)
        print(
            f"| {' | '.join(names)} | {counts.method:,} | {counts.percent:.2f} "
            f"| {group[0].metric} | {_mean(group):.2f} | {std} | {len(values)} | {seconds:.0f} |"
        )


def _score(record: FinishedRecord) -> float:
    value = record.scores[record.metric].value
    return float("nan") if value is None else value


def _mean(group: list[FinishedRecord]) -> float:
    return statistics.mean(_score(record) for record in group)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
