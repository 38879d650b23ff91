"""(b) What does a method change before the first step? Its logits and loss against those of the plain PLM.

    python -m scripts.evidence.real.start task=sst2 task.data_dir=FOLDER plm=minilm    # --sentences 256 --seeds 10

A method is attached to the PLM with its own start, seed by seed, and the first sentences of the reported split are
predicted, in fp32 and without dropout. The head of a seed is the same for all methods, at its random start, so that
every difference is the method's. Since a new head makes small logits, the relative change of the last hidden states,
which it reads, stands beside. `results/real/start.json` keeps the numbers of each seed; the page has their means.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from inducer_bench.config.compose import compose
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.methods.attach import attach
from inducer_bench.plm.load import load_model, load_tokenizer, match_padding, quiet_libraries
from inducer_bench.plm.location import architecture
from inducer_bench.tasks.base import Batch
from inducer_bench.tasks.registry import make_task
from scripts.evidence.real.runs import REAL, START, form

FORMS = (
    ("method=prefix",), ("method=prefix", "method.reparameterize=false"), ("method=mam",), ("method=inducer",),
    ("method=lora",),
)  # fmt: skip
_BATCH = 64


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every method, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="+", help="task, PLM and whatever else a run takes")
    parser.add_argument("--sentences", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=REAL / START, help="default: results/real/start.json")
    args = parser.parse_args(arguments)
    found = measured(args.overrides, args.sentences, args.seeds)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(args.out, (json.dumps(found, indent=1) + "\n").encode())


def measured(overrides: Sequence[str], sentences: int, seeds: int) -> dict[str, Any]:
    """What each method changes at its start, for each seed.

    Args:
        overrides: of a classification task and a PLM.
        sentences: of the reported split, the first ones.
        seeds: how many, from 0 on.

    Raises:
        UserError: bad overrides, data or PLM; or a task that does not classify.
    """
    configs = [compose([*overrides, *words]) for words in FORMS]
    first = configs[0]
    if first.task.kind != "classification":
        raise UserError(f"task: found '{first.task.name}', which is no classification; allowed: one that is")
    quiet_libraries()
    tokenizer = load_tokenizer(first.plm)
    task = make_task(first.task, tokenizer, architecture(first.plm), layout=first.plm.layout)
    examples = task.examples(first.task.report[0])
    chosen = [examples[number] for number in range(min(sentences, len(examples)))]
    batches = [task.collate(chosen[start : start + _BATCH]) for start in range(0, len(chosen), _BATCH)]
    changes: dict[str, list[dict[str, float]]] = {form(config): [] for config in configs}
    for seed in range(seeds):
        torch.manual_seed(seed)
        model = load_model(first.plm, first.task.auto_class, first.task.outputs(task.labels)).eval()
        match_padding(model, tokenizer)
        plain = _predicted(model, batches)
        for config in configs:
            changes[form(config)].append(_change(model, config, seed, plain, batches))
    return {
        "task": first.task.name, "plm": first.plm.name, "split": first.task.report[0], "sentences": len(chosen),
        "seeds": seeds, "changes": changes,
    }  # fmt: skip


def _change(
    model: PreTrainedModel, config: ExperimentConfig, seed: int, plain: Sequence[Tensor], batches: Sequence[Batch]
) -> dict[str, float]:
    """The change of the loss, of logits (root mean square), and of hidden states, relative to their norm."""
    torch.manual_seed(seed)
    tuned = attach(model, config.method, layout=config.plm.layout).eval()
    try:
        logits, hidden, losses = (now - before for now, before in zip(_predicted(model, batches), plain, strict=True))
    finally:
        tuned.detach()
    return {
        "loss": float(losses.mean()),
        "logits": float(logits.square().mean().sqrt()),
        "hidden": float(hidden.norm() / plain[1].norm()),
    }


@torch.inference_mode()
def _predicted(model: PreTrainedModel, batches: Sequence[Batch]) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (N, C), last hidden states of all real tokens (tokens, d), and losses (N)."""
    logits, hidden, losses = [], [], []
    for batch in batches:
        out = model(**{key: value for key, value in batch.items() if key != "labels"}, output_hidden_states=True)
        logits.append(out.logits)
        hidden.append(out.hidden_states[-1][batch["attention_mask"].bool()])
        losses.append(torch.nn.functional.cross_entropy(out.logits, batch["labels"], reduction="none"))
    return torch.cat(logits), torch.cat(hidden), torch.cat(losses)


if __name__ == "__main__":
    main()
