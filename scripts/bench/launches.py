"""Launches of kernels and waits of the host, by method: counted on fake CUDA tensors, without a GPU.

    python -m scripts.bench.launches [--families nlu nlg llama] [--methods lora inducer] [--scenes training decoding]
    python -m scripts.bench.launches --families nlu --methods inducer --layers 2 --details    # by operator and place
    python -m scripts.bench.launches --overrides trainer.micro_batch_size=4 --name accumulation

RoBERTa-base on SST-2 (nlu), GPT-2 small on WebNLG (nlg) and SmolLM2-135M's sizes on WebNLG (llama), bf16 autocast,
batches of 16 x 40 and 8 x 70. A training step is `forward`, `backward`, and `update` for all the rest; `casts` are
changes of type in the forward pass; `waits` are those of the host for the device in one step. For evaluation and
decoding, `all` and `waits` are those of one more batch or token. Writes `<out>/<name>.json`, with the operators and
the places of all waits, and a table, `<out>/<name>.md`. `scripts/bench/fake_cuda` says what is real and what is not.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from inducer_bench.files import write_atomic
from inducer_bench.runs.provenance import code, versions
from scripts.bench.fake_cuda import process
from scripts.bench.fake_cuda.process import Answer, Request

OUT = Path("results/bench/launches")
COLUMNS = ("family", "method", "scene", "forward", "backward", "update", "all", "casts", "waits")
FURTHER = {"evaluation": "batch", "decoding": "step"}  # the phase that recurs


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, print each row as soon as it is there, and write the table and its details."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=["nlu", "nlg", "llama"], choices=process.FAMILIES)
    parser.add_argument("--methods", nargs="+", default=process.METHODS, choices=process.METHODS, metavar="METHOD")
    parser.add_argument("--scenes", nargs="+", default=["training"], choices=process.SCENES)
    parser.add_argument("--layers", type=int, default=12, help="of each PLM (default: %(default)s)")
    parser.add_argument("--unpadded", action="store_true", help="all rows of a batch have one length")
    parser.add_argument("--overrides", nargs="*", default=[], help="of the configuration")
    parser.add_argument("--details", action="store_true", help="print launches by operator and waits by place, too")
    parser.add_argument("--name", default="launches", help="of the files (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the files (default: %(default)s)")
    args = parser.parse_args(arguments)
    requests = [
        Request(family, method, scenes_of(family, args.scenes), args.layers, not args.unpadded, tuple(args.overrides))
        for family in args.families
        for method in args.methods
        if (family, method) not in process.LACKING
    ]
    try:
        answers = []
        print(markdown([]), end="", flush=True)
        for answer in process.run(requests):
            answers.append(answer)
            print(row(answer), flush=True)
            if args.details:
                print(details(answer), flush=True)
    except process.UnavailableError as error:
        parser.exit(2, f"launches: {error}\n")
    described = {"code": asdict(code()), "versions": versions(), "answers": [asdict(answer) for answer in answers]}
    args.out.mkdir(parents=True, exist_ok=True)
    write_atomic(args.out / f"{args.name}.json", (json.dumps(described, indent=1) + "\n").encode())
    write_atomic(args.out / f"{args.name}.md", markdown([row(answer) for answer in answers]).encode())
    if any(answer.error for answer in answers):
        parser.exit(1)


def scenes_of(family: str, scenes: Sequence[str]) -> tuple[str, ...]:
    """The scenes that a family has: a classifier decodes nothing."""
    return tuple(scene for scene in scenes if not (family == "nlu" and scene == "decoding"))


def row(answer: Answer) -> str:
    """A row of the table."""
    asked = answer.request
    start = [asked["family"], asked["method"], answer.scene]
    if answer.error:
        return f"| {' | '.join(start)} | {answer.error} |"
    if further := FURTHER.get(answer.scene):
        numbers: list[int | None] = [
            None,
            None,
            None,
            answer.launched(further),
            answer.casts.get(further, 0),
            answer.waited(further),
        ]
    else:
        phases = [answer.launched(phase) for phase in ("forward", "backward", "update")]
        numbers = [*phases, sum(phases), answer.casts.get("forward", 0), answer.waited()]
    return "| " + " | ".join([*start, *("-" if n is None else f"{n:,}" for n in numbers)]) + " |"


def markdown(rows: Sequence[str]) -> str:
    """The table with its head."""
    head = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    return "".join(f"{line}\n" for line in (*head, *rows))


def details(answer: Answer) -> str:
    """Launches by operator and waits by place, those with the most first."""
    lines = []
    for title, phases in (("launches", answer.launches), ("waits", answer.waits)):
        for phase, found in phases.items():
            most = sorted(found.items(), key=lambda item: -item[1])
            lines += [f"  {title}, {phase}:", *(f"    {count:6,}  {name}" for name, count in most)]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
