"""The data folders of the studies on real models, from a folder of published data sets.

    python -m scripts.evidence.real_data DOWNLOADED OUT

    OUT/sst2, cola, mrpc, rte, stsb  train and dev as GLUE has them    task=NAME task.data_dir=OUT/NAME
    OUT/webnlg                       the challenge of 2017             task=webnlg task.data_dir=OUT/webnlg
    OUT/coqa_dev_split               80 + 20 dialogues of each source  see COQA

These files are copied as they are, so that OUT is whole and DOWNLOADED may go. A task that lacks a file is left out.
CoQA's training dialogues are not there: its dev set is split by dialogue into a part to train on and one to score. What
comes of that is no score on CoQA, so the files do not have CoQA's names, and `task=coqa` alone does not read them.

DOWNLOADED has, with an object a line in each .jsonl.gz
    sst2/train.tsv, dev.tsv                    as in GLUE's download
    glue/TASK/train.jsonl.gz, dev.jsonl.gz     cola, mrpc, rte, stsb: the rows of nyu-mll/glue on the hub
    webnlg2017/{train,dev,test}.json.gz        the JSON files of the challenge
    coqa/dev.jsonl.gz                          the rows of stanfordnlp/coqa on the hub, with CoQA's `id`
"""

import argparse
import gzip
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from inducer_bench.errors import UserError
from inducer_bench.files import read_bytes, write_atomic

COPIED = {  # task -> file in OUT/<task> -> file in DOWNLOADED
    "sst2": {f"{split}.tsv": f"sst2/{split}.tsv" for split in ("train", "dev")},
    **{
        task: {f"{split}.jsonl.gz": f"glue/{task}/{split}.jsonl.gz" for split in ("train", "dev")}
        for task in ("cola", "mrpc", "rte", "stsb")
    },
    "webnlg": {f"{split}.json.gz": f"webnlg2017/{split}.json.gz" for split in ("train", "dev", "test")},
}
COQA_SOURCE, COQA_SPLIT = "coqa/dev.jsonl.gz", "coqa_dev_split"
COQA = (
    "task=coqa", f"task.name={COQA_SPLIT}", "task.title='CoQA dev split'", "task.files.train=train",
    "task.files.dev=dev",
)  # fmt: skip
_SCORED = 20  # dialogues of each source; the others are trained on
_SEED = 0
Dialogue = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the folder of each task whose files are there, and say how a run reads it.

    Raises:
        UserError: no task has its files.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DOWNLOADED")
    parser.add_argument("out", type=Path, metavar="OUT")
    args = parser.parse_args(arguments)
    made = [task for task in COPIED if _there(args.data, task, COPIED[task].values())]
    for task in made:
        for target, source in COPIED[task].items():
            (args.out / task).mkdir(parents=True, exist_ok=True)
            write_atomic(args.out / task / target, read_bytes(args.data / source))  # in the place of a link, too
        print(f"task={task} task.data_dir={args.out / task}")
    if _there(args.data, COQA_SPLIT, [COQA_SOURCE]):
        with gzip.open(args.data / COQA_SOURCE, "rt", encoding="utf-8") as lines:
            train, scored = parts([json.loads(line) for line in lines])
        folder = args.out / COQA_SPLIT
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "train.json", official(train))
        write_atomic(folder / "dev.json", official(scored))
        print(*COQA, f"task.data_dir={folder}")
    elif not made:
        raise UserError(f"DOWNLOADED: '{args.data}' has the files of no task; see --help")


def _there(data: Path, task: str, sources: Iterable[str]) -> bool:
    """Whether a task's files are all there; says which one is not."""
    missing = next((source for source in sources if not (data / source).is_file()), None)
    if missing:
        print(f"{task}: not made, there is no {data / missing}", file=sys.stderr)
    return missing is None


def parts(dialogues: Sequence[Dialogue]) -> tuple[list[Dialogue], list[Dialogue]]:
    """The dialogues to train on and those to score, in their order; those about one passage are on one side.

    Args:
        dialogues: with `id`, `source` and `story`; at least `_SCORED` of each source.
    """
    passages: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))  # source -> story -> ids
    for dialogue in dialogues:
        passages[dialogue["source"]][dialogue["story"]].append(dialogue["id"])
    draw, scored = random.Random(_SEED), set[str]()
    for source in sorted(passages):
        about = sorted(passages[source].values())
        draw.shuffle(about)
        chosen: list[str] = []
        for names in about:
            if len(chosen) + len(names) <= _SCORED:
                chosen += names
        scored.update(chosen)
    sides: tuple[list[Dialogue], list[Dialogue]] = ([], [])
    for dialogue in dialogues:
        sides[dialogue["id"] in scored].append(dialogue)
    return sides


def official(dialogues: Iterable[Dialogue]) -> bytes:
    """Dialogues in the layout of CoQA's own files.

    Args:
        dialogues: as on the hub: `questions` a list of texts; `answers` lists of `input_text`, and of `answer_start`
            and `answer_end`, the place of the rationale in the story, or -1.
    """
    data = []
    for dialogue in dialogues:
        story, answers = dialogue["story"], dialogue["answers"]
        spans = zip(answers["input_text"], answers["answer_start"], answers["answer_end"], strict=True)
        data.append(
            {
                "id": dialogue["id"],
                "source": dialogue["source"],
                "story": story,
                "questions": [
                    {"input_text": text, "turn_id": turn} for turn, text in enumerate(dialogue["questions"], start=1)
                ],
                "answers": [
                    {
                        "span_start": start,
                        "span_end": end,
                        "span_text": "unknown" if start < 0 else story[start:end],
                        "input_text": text,
                        "turn_id": turn,
                    }
                    for turn, (text, start, end) in enumerate(spans, start=1)
                ],
            }
        )
    content = {"version": "a split of the dev set by dialogue, not CoQA", "data": data}
    return json.dumps(content, ensure_ascii=False, indent=1).encode()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"real_data: {error}")
