"""Decoding speed: in batches with a cache, compared with one prompt at a time without one as in the released code.

    python -m scripts.bench.decoding [--methods inducer lora] [--data FOLDER] [--device cuda --precision bf16]

GPT-2 small with random weights decodes prompts of WebNLG greedily, up to 40 new tokens. Both forms run in one process
and must generate the same tokens in fp32. The slow form is timed on `--slow` of the `--prompts`, evenly spaced; ratios
are of seconds per prompt.
"""

import argparse
from collections.abc import Sequence

import torch

from inducer_bench.methods.tuned import TunedModel
from inducer_bench.tasks.cache import Encoded
from inducer_bench.tasks.generation import GenerationTask
from inducer_bench.training.decoding import generate
from inducer_bench.training.device import make_accelerator
from scripts.bench import harness
from scripts.bench.setup import autocast, build, real_task

FORMS = ("batched with a cache", "one by one without")


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish two rows for each method."""
    parser = harness.parser(__doc__)
    parser.add_argument("--methods", nargs="+", default=["inducer", "lora"])
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--slow", type=int, default=4)
    args = parser.parse_args(arguments)
    _, task = real_task("webnlg", args.data, args.mini)
    assert isinstance(task, GenerationTask)
    samples = task.read("dev")[: args.prompts]
    prompts = task.sequences.encode_prompts([sample.source for sample in samples], task.config.decoding.max_new_tokens)
    rows = [row for method in args.methods for row in measured(method, task, prompts, args)]
    note = f"{len(prompts)} prompts together, {args.slow} of them one by one. {args.precision}."
    name = f"decoding_{args.precision}"
    harness.publish(name, rows, args.device, note, args.out)


def measured(
    method: str, task: GenerationTask, prompts: Sequence[Encoded], args: argparse.Namespace
) -> list[harness.Row]:
    """Seconds per prompt in both forms, and their ratio."""
    where = [f"trainer.device={args.device.type}", f"trainer.precision={args.precision}"]
    config, tuned = build(["task=webnlg", f"method={method}", *where], args.device, args.mini)
    accelerator = make_accelerator(config.trainer)
    tuned.eval()
    few = list(range(0, len(prompts), max(1, len(prompts) // args.slow)))[: args.slow]
    written: dict[str, list[list[int]]] = {}

    def batched() -> None:
        decoding = task.config.decoding
        written[FORMS[0]] = generate(
            accelerator, tuned, prompts, decoding, task.first_special, task.segments, len(prompts)
        )

    def one_by_one() -> None:
        with autocast(args.device, args.precision):
            written[FORMS[1]] = [slowly(tuned, prompts[index], task) for index in few]

    times = harness.alternate(dict(zip(FORMS, (batched, one_by_one), strict=True)), args.rounds, device=args.device)
    if args.precision == "fp32" and written[FORMS[1]] != [written[FORMS[0]][index] for index in few]:
        raise AssertionError(f"{method}: the two forms generate different tokens")
    a_prompt = {form: [seconds / count for seconds in times[form]]
                for form, count in zip(FORMS, (len(prompts), len(few)), strict=True)}  # fmt: skip
    return [
        {"method": method, "form": row.pop("candidate"), "new tokens": sum(map(len, written[form])), **row}
        for form, row in zip(FORMS, harness.ratio_rows(a_prompt, FORMS[0]), strict=True)
    ]


def slowly(tuned: TunedModel, prompt: Encoded, task: GenerationTask) -> list[int]:
    """The tokens generated for one prompt, with a complete forward pass for each."""
    ids = torch.tensor([prompt["input_ids"]], device=tuned.device)
    segments = torch.tensor([prompt["token_type_ids"]], device=tuned.device)
    written: list[int] = []
    with torch.inference_mode():
        while len(written) < task.config.decoding.max_new_tokens:
            following = tuned(input_ids=ids, token_type_ids=segments, use_cache=False).logits[:, -1].argmax(-1)
            if following.item() >= task.first_special:
                break
            written.append(int(following.item()))
            ids = torch.cat([ids, following[:, None]], 1)
            segments = torch.cat([segments, segments[:, -1:]], 1)
    return written


if __name__ == "__main__":
    main()
