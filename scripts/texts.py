"""What the finished runs of a task below a folder have generated for the same examples, one list for each example.

python scripts/texts.py runs webnlg 4      # 4 examples of each group; the run with the smallest seed of each method
"""

import gzip
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from inducer_bench.runs import record as records


def main(root: Path, task: str, count: int) -> None:
    """Print Markdown: a reference, then each method's text."""
    found = [(folder, records.read(folder)) for folder in records.find(root)]
    done = [(r.seed, r.method, folder) for folder, r in found if r and (r.status, r.task) == ("done", task)]
    written = {method: predictions(folder) for _, method, folder in sorted(done, reverse=True)}
    taken: Counter[str] = Counter()
    for index, row in enumerate(next(iter(written.values()), [])):
        taken[row["group"]] += 1
        if taken[row["group"]] <= count:
            print(f"\n{row['group']} {row['id']}, one reference: {row['references'][0]}\n")
            for method, rows in sorted(written.items()):
                print(f"- `{method}`: {rows[index]['prediction']}")


def predictions(folder: Path) -> list[dict[str, Any]]:
    """The rows of the first reported split."""
    with gzip.open(folder / "predictions.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row for row in rows if row["split"] == rows[0]["split"]]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
