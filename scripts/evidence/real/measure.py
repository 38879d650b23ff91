"""(d) Measure the gates of the finished runs that the page is about; see `scripts/evidence/gates.py`.

    python -m scripts.evidence.real.measure RUNS      # the output_dir of finished runs, with their adapters

Measured is the whole inducer of `real_ablation`, with each eps and self score. `results/real/gates` keeps a file for
each setting; its runs are not measured again.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.runs.finished import open_run
from scripts.evidence.gates import measure
from scripts.evidence.real.gate import FOLDER, chosen
from scripts.evidence.real.runs import REAL, load

EXAMPLES = 64  # of dev, for gates and gradients
SCORED = {"nlu": 10_000, "nlg": 200}  # of dev, for what changes after training; of GLUE's small tasks all of it


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what has not been measured yet, run by run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, metavar="RUNS")
    parser.add_argument("--real", type=Path, default=REAL, help="default: results/real")
    args = parser.parse_args(arguments)
    groups = chosen(load(args.runs))
    if not groups:
        raise UserError(f"RUNS: '{args.runs}' has no runs of the whole inducer; allowed: those of real_ablation")
    for name, group in groups.items():
        path = args.real / FOLDER / f"{name}.json"
        known = {run["run"]: run for run in json.loads(path.read_text(encoding="utf-8"))} if path.is_file() else {}
        kept = []
        for run in group.done:
            before = known.get(run.record.config_hash)
            kept.append(before or measure(open_run(run.folder), EXAMPLES, SCORED[group.config.task.family]))
            if not before:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, "[\n{}\n]\n".format(",\n".join(map(json.dumps, kept))).encode())
                print(f"{path}: seed {run.seed}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"measure: {error}")
