"""Launches of kernels and waits of the host, by method: counted on fake CUDA tensors, without a GPU.

    python -m scripts.bench.launches [--families nlu nlg llama] [--methods lora inducer] [--scenes training decoding]
    python -m scripts.bench.launches --families nlu --methods inducer --layers 2 --details    # by operator and place
    python -m scripts.bench.launches --overrides trainer.micro_batch_size=4 --name accumulation
    python -m scripts.bench.launches --bounds     # those of tests/scripts/test_fake_cuda.py: today's figures

RoBERTa-base on SST-2 (nlu), GPT-2 small on WebNLG (nlg) and SmolLM2-135M's sizes on WebNLG (llama), bf16 autocast,
batches of 16 x 40 and 8 x 70. A training step is `forward`, `backward`, and `update` for all the rest; `casts` are
changes of type in the forward pass; `waits` are those of the host for the device in one step. For evaluation and
decoding, `all` and `waits` are those of one more batch or token, and `once` are the waits that do not recur. Writes
`<out>/<name>.json`, with the operators and the places of all waits, and a table, `<out>/<name>.md`.
`scripts/bench/fake_cuda` says what is real and what is not.
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

OUT = Path("results/launches")
BOUNDS = process.ROOT / "tests" / "scripts" / "launches.md"
BOUNDS_LAYERS, BOUNDS_SCENES = 2, ("training", "evaluation", "decoding")
COLUMNS = ("family", "method", "scene", "forward", "backward", "update", "all", "casts", "waits", "once")
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
    parser.add_argument(
        "--bounds", action="store_true", help="write the bounds of the tests, tests/scripts/launches.md"
    )
    parser.add_argument("--name", default="launches", help="of the files (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the files (default: %(default)s)")
    args = parser.parse_args(arguments)
    if args.bounds:
        args.families, args.methods, args.scenes = process.FAMILIES, process.METHODS, BOUNDS_SCENES
        args.layers, args.unpadded, args.overrides = BOUNDS_LAYERS, False, []
    asked = requests(args.families, args.methods, args.scenes, args.layers, not args.unpadded, args.overrides)
    try:
        answers = []
        print(markdown([]), end="", flush=True)
        for answer in process.run(asked):
            answers.append(answer)
            print(row(answer), flush=True)
            if args.details:
                print(details(answer), flush=True)
    except process.UnavailableError as error:
        parser.exit(2, f"launches: {error}\n")
    table = markdown([row(answer) for answer in answers])
    if any(answer.error for answer in answers):
        parser.exit(1)
    if args.bounds:
        write_atomic(BOUNDS, table.encode())
        return
    described = {"code": asdict(code()), "versions": versions(), "answers": [asdict(answer) for answer in answers]}
    args.out.mkdir(parents=True, exist_ok=True)
    write_atomic(args.out / f"{args.name}.json", (json.dumps(described, indent=1) + "\n").encode())
    write_atomic(args.out / f"{args.name}.md", table.encode())


def requests(
    families: Sequence[str],
    methods: Sequence[str],
    scenes: Sequence[str],
    layers: int,
    padded: bool = True,
    overrides: Sequence[str] = (),
) -> list[Request]:
    """A request for each method of each family, in the scenes that the family has: a classifier decodes nothing."""
    return [
        Request(
            family,
            method,
            tuple(scene for scene in scenes if (family, scene) != ("nlu", "decoding")),
            layers,
            padded,
            tuple(overrides),
        )
        for family in families
        for method in methods
        if (family, method) not in process.LACKING
    ]


def recurring(answer: Answer) -> tuple[int, int, int]:
    """Launches and waits of one step, one more batch or one more token; and waits that do not recur."""
    phases = [FURTHER[answer.scene]] if answer.scene in FURTHER else []
    return answer.launched(*phases), answer.waited(*phases), answer.waited("once")


def row(answer: Answer) -> str:
    """A row of the table."""
    start = [answer.request["family"], answer.request["method"], answer.scene]
    if answer.error:
        return f"| {' | '.join(start)} | {answer.error} |"
    launched, waited, once = recurring(answer)
    phases = ("forward", "backward", "update") if answer.scene not in FURTHER else ()
    parts = [f"{answer.launched(phase):,}" for phase in phases] or ["-"] * 3
    casts = answer.casts.get(FURTHER.get(answer.scene, "forward"), 0)
    return f"| {' | '.join([*start, *parts, f'{launched:,}', f'{casts:,}', f'{waited:,}', f'{once:,}'])} |"


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
