"""The data folders of the studies on real models, from a folder of published data sets.

    python -m scripts.evidence.real_data SHARED_DATA OUT

    OUT/sst2, cola, mrpc, rte, stsb  train and dev as GLUE has them    task=NAME task.data_dir=OUT/NAME
    OUT/webnlg                       the challenge of 2017             task=webnlg task.data_dir=OUT/webnlg
    OUT/coqa_dev_split               80 + 20 dialogues of each source  see COQA

These files are copied as they are, so that OUT is whole and SHARED_DATA may go. CoQA's training dialogues are not
there: its dev set is split by dialogue into a part to train on and one to score. What comes of that is no score on
CoQA, so the files do not have CoQA's names, and `task=coqa` alone does not read them.

SHARED_DATA has, with an object a line in each .jsonl.gz
    sst2/train.tsv, dev.tsv                    as in GLUE's download
    glue/TASK/train.jsonl.gz, dev.jsonl.gz     cola, mrpc, rte, stsb: the rows of nyu-mll/glue on the hub
    webnlg2017/{train,dev,test}.json.gz        the JSON files of the challenge
    coqa/dev.jsonl.gz                          the rows of stanfordnlp/coqa on the hub, with CoQA's `id`
"""

import argparse
import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from inducer_bench.files import read_bytes, write_atomic

COPIED = {  # file in SHARED_DATA -> file in OUT
    **{f"sst2/{split}.tsv": f"sst2/{split}.tsv" for split in ("train", "dev")},
    **{
        f"glue/{task}/{split}.jsonl.gz": f"{task}/{split}.jsonl.gz"
        for task in ("cola", "mrpc", "rte", "stsb")
        for split in ("train", "dev")
    },
    **{f"webnlg2017/{split}.json.gz": f"webnlg/{split}.json.gz" for split in ("train", "dev", "test")},
}
COQA = (
    "task=coqa", "task.name=coqa_dev_split", "task.title='CoQA dev split'", "task.files.train=train",
    "task.files.dev=dev",
)  # fmt: skip
_SCORED = 20  # dialogues of each source; the others are trained on
_SEED = 0
Dialogue = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write every folder, and say how a run reads each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="SHARED_DATA")
    parser.add_argument("out", type=Path, metavar="OUT")
    args = parser.parse_args(arguments)
    for source, target in COPIED.items():
        (args.out / target).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(args.out / target, read_bytes(args.data / source))  # in the place of a link, too
    with gzip.open(args.data / "coqa/dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        train, scored = parts([json.loads(line) for line in lines])
    folder = args.out / "coqa_dev_split"
    folder.mkdir(exist_ok=True)
    write_atomic(folder / "train.json", official(train))
    write_atomic(folder / "dev.json", official(scored))
    for task in sorted({target.partition("/")[0] for target in COPIED.values()}):
        print(f"task={task} task.data_dir={args.out / task}")
    print(*COQA, f"task.data_dir={folder}")


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
    main()
