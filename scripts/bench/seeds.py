"""Several seeds of one LoRA configuration side by side on one frozen PLM, compared with one after another.

    python -m scripts.bench.seeds --seeds 1 2 5 [--device cuda --precision bf16]

An estimate of the possible gain; the package trains one run at a time. RoBERTa-base with random weights, a batch of
random tokens for each seed. Side by side, the S batches go through the frozen PLM as one of S B rows, and each adapted
linear map adds

    y[s] = W x[s] + (alpha / r) B[s] A[s] x[s],    A: (S, r, in), B: (S, out, r)

with a classification head for each seed. The gradient of the summed losses with respect to one seed's parameters is
that of its own loss, and AdamW acts elementwise: only clipping would need one norm per seed.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.methods.layers import Projection, layers
from inducer_bench.methods.lora import targets
from inducer_bench.methods.options import LoraOptions
from inducer_bench.methods.tuned import TunedModel
from scripts.bench import harness
from scripts.bench.setup import build, random_batch, training_step

Part = tuple[dict[str, Tensor], Tensor]  # inputs and labels
Step = Callable[[dict[str, Tensor], Tensor, int], None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish two rows for each number of seeds."""
    parser = harness.parser(__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 5])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument(
        "--length", type=int, default=16, help="mean of SST-2 in batches of similar length (default: 16)"
    )
    args = parser.parse_args(arguments)
    config, tuned = build(["task=sst2", "method=lora"], args.device, args.mini)
    rows = []
    for seeds in args.seeds:
        # -- the two forms ---------------------------------------------------------------------------------------------
        model = stacked(seeds, args.device, args.mini)
        single, several = stepper(tuned, config, args.precision), stepper(model, config, args.precision)
        inputs = random_batch(tuned, seeds * args.batch, args.length)
        labels = inputs["input_ids"][:, 0] % 2
        rows_of = [slice(seed * args.batch, (seed + 1) * args.batch) for seed in range(seeds)]
        parts = [({name: tensor[of] for name, tensor in inputs.items()}, labels[of]) for of in rows_of]

        # -- rows ------------------------------------------------------------------------------------------------------
        forms = {"one after another": partial(one_after_another, single, parts),
                 "side by side": partial(several, inputs, labels, seeds)}  # fmt: skip
        times = harness.alternate(forms, args.rounds, device=args.device)
        for form, call in forms.items():
            middle, low, high = harness.ratio(times, form, "one after another")
            rows.append({
                "seeds": seeds, "form": form, "seconds": harness.median(times[form]),
                "seconds a seed and step": harness.median(times[form]) / seeds, "ratio": middle, "p10": low,
                "p90": high, "peak MiB": harness.peak_memory(call, args.device) / 2**20,
            })  # fmt: skip
    note = f"LoRA, batch {args.batch}, {args.length} tokens; peak without PLM and optimizer state. {args.precision}."
    harness.publish(f"seeds_{args.precision}", rows, args.device, note, args.out)


def stepper(model: PreTrainedModel | TunedModel, config: ExperimentConfig, precision: str) -> Step:
    """A function that takes a training step on the inputs (S B, T) and labels (S B) of S seeds."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=config.trainer.lr)

    def step(inputs: dict[str, Tensor], labels: Tensor, seeds: int) -> None:
        def loss() -> Tensor:
            return summed_loss(model(**inputs).logits, labels, seeds)

        training_step(parameters, optimizer, loss, model.device, precision)

    return step


def one_after_another(step: Step, parts: list[Part]) -> None:
    """Take one step on the batch of each seed."""
    for inputs, labels in parts:
        step(inputs, labels, 1)


def summed_loss(logits: Tensor, labels: Tensor, seeds: int) -> Tensor:
    """The sum over seeds of the mean loss over the seed's rows."""
    return F.cross_entropy(logits.float(), labels, reduction="sum") * seeds / len(labels)


# -- side by side ------------------------------------------------------------------------------------------------------


class StackedLora(nn.Module):
    """LoRA of S seeds on one linear map; parameters A (S, r, in), B (S, out, r)."""

    def __init__(self, projection: Projection, options: LoraOptions, seeds: int) -> None:
        super().__init__()
        self.projection, self.scale = projection, options.alpha / options.r
        self.A = nn.Parameter(torch.empty(seeds, options.r, projection.inputs))
        for A in self.A:
            nn.init.kaiming_uniform_(A, a=math.sqrt(5))
        self.B = nn.Parameter(torch.zeros(seeds, projection.outputs, options.r))

    def add_change(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook of the linear map: add the change (S B, T, out) for its input (S B, T, in)."""
        x = inputs[0].unflatten(0, (len(self.A), -1)).flatten(1, 2)  # (S, B T, in)
        change = x @ self.A.mT @ self.B.mT * self.scale
        return self.projection.add(change.view(*output.shape[:2], -1), output)


class StackedLinear(nn.Module):
    """One linear map per seed, equal at the start; parameters weight (S, out, in), bias (S, 1, out)."""

    def __init__(self, linear: nn.Linear, seeds: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().repeat(seeds, 1, 1))
        self.bias = nn.Parameter(linear.bias.detach().repeat(seeds, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(S B, in) -> (S B, out)"""
        rows = x.unflatten(0, (len(self.weight), -1))
        return torch.baddbmm(self.bias, rows, self.weight.mT).flatten(0, 1)


def stacked(seeds: int, device: torch.device, mini: bool) -> PreTrainedModel:
    """The frozen PLM with LoRA and heads of S seeds; a batch (S B, T) holds the rows of one seed after another."""
    config, tuned = build(["task=sst2", "method=lora"], device, mini)
    options: Any = config.method
    model = tuned.detach().requires_grad_(False)
    for layer in layers(model):
        for projection in targets(layer, options):
            lora = StackedLora(projection, options, seeds).to(device)
            projection.module.add_module(f"stacked_{projection.name}", lora)
            projection.module.register_forward_hook(lora.add_change)
    head = model.get_submodule("classifier")
    for name, linear in list(head.named_children()):
        if isinstance(linear, nn.Linear):
            setattr(head, name, StackedLinear(linear, seeds))
    return model


if __name__ == "__main__":
    main()
