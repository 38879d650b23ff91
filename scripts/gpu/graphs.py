"""A prototype: the whole training step as one CUDA graph for each shape of batch, compared with the eager step.

    python -m scripts.gpu.graphs --device cuda                       # time of a step, ten methods, four shapes
    python -m scripts.gpu.graphs --device cuda --check               # the loss curves of both are equal

RoBERTa-base size (SST-2) and GPT-2 small size (WebNLG) with random weights, bf16, dropout as in training, rows of
several lengths. A graph holds forward, loss, backward, clipping and AdamW. Its inputs and its learning rate are tensors
that a step only fills; its dropout draws go on from torch's generator, so that equal seeds give equal curves. Without a
GPU the same code runs with the eager step in the graph's place.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter

import torch
from torch import Tensor
from torch.nn import functional as F

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.training.loop import make_optimizer
from scripts.bench import harness
from scripts.bench.setup import LABELLED, autocast, build

Batch = dict[str, Tensor]
METHODS = "fine_tune bitfit prefix adapter lora mam kernel_mix inducer inducer_lora inducer_ffn".split()
SHAPES = {"sst2": [(16, 16), (16, 43)], "webnlg": [(8, 70), (8, 373)]}
SMALL = {"sst2": [(4, 8), (4, 12)], "webnlg": [(4, 12), (4, 16)]}
WARM_UP = 3  # steps before a capture, in which libraries choose their kernels and reserve memory
CURVE = 24  # steps that are compared
STEPS = 5  # in one timed run
ALLOWED = 0.01  # difference of losses, besides `TIMES` that of two eager curves: kernels that add in any order
TIMES = 5


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each method and shape; with --check, one for each method and task."""
    parser = harness.parser(__doc__)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--check", action="store_true", help="compare curves instead of times")
    args = parser.parse_args(arguments)
    rows: list[harness.Row] = []
    kind, note = "graphs", "Ratio: graph / eager. bf16."
    if args.check:
        kind, note = "graphs_check", f"Differences of loss over {CURVE} steps in turn on all shapes. bf16."
    for task, shapes in (SMALL if args.mini else SHAPES).items():
        for method in args.methods:
            found = compared(task, method, shapes, args) if args.check else timed(task, method, shapes, args)
            rows += [{"task": task, "method": method, **row} for row in found]
        harness.publish(kind, rows, args.device, note, args.out)  # what there is, should the time end
    if any(row.get("equal") is False for row in rows):
        raise SystemExit("graphs: a curve differs")


def model(task: str, method: str, args: argparse.Namespace) -> "Step":
    """The eager step of a method, from the same state in every call."""
    config, tuned = build([f"task={task}", f"method={method}"], args.device, args.mini)
    return Step(config, tuned)


def random_batches(step: "Step", rows: int, length: int, count: int) -> list[Batch]:
    """Batches (rows, length) of random tokens with padding: labels of rows, or of the last tokens of each."""
    generator = torch.Generator().manual_seed(length)
    ends = torch.arange(rows) % max(1, length // 4)  # padded tokens of each row
    mask = (torch.arange(length) < length - ends[:, None]).long()
    made = []
    for _ in range(count):
        ids = torch.randint(10, step.tuned.config.vocab_size, (rows, length), generator=generator)
        batch = {"input_ids": ids, "attention_mask": mask, "labels": ids[:, 0] % 2}
        if step.language_model:
            before_last = torch.arange(length)[-max(1, round(LABELLED * length)) - 1 : -1]
            at = (torch.arange(rows)[:, None] * length + before_last).flatten()
            batch |= {"logits_at": at, "labels": ids.flatten()[at + 1]}
        made.append({name: tensor.to(step.tuned.device) for name, tensor in batch.items()})
    return made


# -- the two steps -----------------------------------------------------------------------------------------------------


class Step:
    """The eager step, made so that it can be captured: no waits, and an update that is all on the device."""

    def __init__(self, config: ExperimentConfig, tuned: TunedModel) -> None:
        self.tuned = tuned
        self.language_model = config.task.family == "nlg"
        self.without_cache = {"use_cache": False} if self.language_model else {}
        self.parameters = list(tuned.trained_parameters().values())
        self.lr = torch.tensor(config.trainer.lr, device=tuned.device)
        beta1, beta2 = config.trainer.betas
        groups = [{name: group[name] for name in ("params", "weight_decay")}
                  for group in make_optimizer(tuned, config.trainer).param_groups]  # fmt: skip
        self.optimizer = torch.optim.AdamW(
            groups, lr=self.lr, betas=(beta1, beta2), eps=config.trainer.eps, fused=True, capturable=True
        )

    def __call__(self, batch: Batch) -> Tensor:
        """The loss of a batch, (), before its update."""
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        with autocast(self.tuned.device, "bf16"):
            outputs = self.tuned(**inputs, **self.without_cache)
            logits = outputs if self.language_model else outputs.logits
            loss = F.cross_entropy(logits.float(), batch["labels"])
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        torch.nn.utils.clip_grads_with_norm_(self.parameters, 1.0, norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)  # so that the gradients are the graph's own
        return loss.detach()

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Undo what the steps in the block change, in place: parameters, the optimizer's state, and the generators."""
        device = self.tuned.device
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            parameters = [p.clone() for p in self.parameters]
            states = [{k: v.clone() for k, v in self.optimizer.state[p].items()} for p in self.parameters]
            with torch.enable_grad():
                yield
            for parameter, value, state in zip(self.parameters, parameters, states, strict=True):
                parameter.copy_(value)
                for name, tensor in self.optimizer.state[parameter].items():
                    tensor.copy_(state.get(name, torch.zeros_like(tensor)))  # without one, the first step starts at 0


class Captured:
    """A step on batches of one shape, replayed from a CUDA graph with memory of its own."""

    def __init__(self, step: Step, example: Batch) -> None:
        self.buffers = {name: tensor.clone() for name, tensor in example.items()}
        self._replay: Callable[[], None]
        with step.untouched(), beside(step.tuned.device):
            for _ in range(WARM_UP):
                step(self.buffers)
        if step.tuned.device.type != "cuda":
            self._replay = partial(self._eager, step)
            return
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.loss = step(self.buffers)
        self._replay = graph.replay

    def _eager(self, step: Step) -> None:
        self.loss = step(self.buffers)

    def __call__(self, batch: Batch) -> Tensor:
        """The loss of a batch of this shape, (), before its update."""
        for name, buffer in self.buffers.items():
            buffer.copy_(batch[name], non_blocking=True)
        self._replay()
        return self.loss.clone()


@contextmanager
def beside(device: torch.device) -> Iterator[None]:
    """On a GPU, a stream other than the current one, as a warm-up needs."""
    if device.type != "cuda":
        yield
        return
    current, other = torch.cuda.current_stream(), torch.cuda.Stream()
    other.wait_stream(current)
    with torch.cuda.stream(other):
        yield
    current.wait_stream(other)


class Graphs:
    """A step that captures each shape when it first comes."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.captured: dict[tuple[int, ...], Captured] = {}

    def __call__(self, batch: Batch) -> Tensor:
        """The loss of a batch, (), before its update."""
        shape = (*batch["input_ids"].shape, *batch["labels"].shape)
        if shape not in self.captured:
            self.captured[shape] = Captured(self.step, batch)
        return self.captured[shape](batch)


# -- comparisons -------------------------------------------------------------------------------------------------------


def compared(
    task: str, method: str, shapes: Sequence[tuple[int, int]], args: argparse.Namespace
) -> Iterator[harness.Row]:
    """The greatest difference of the curves of eager steps and graphs, and of two curves of eager steps."""
    curves = []
    for graphs in (False, False, True):
        step = model(task, method, args)
        batches = [random_batches(step, *shape, CURVE) for shape in shapes]
        curves.append(
            curve(Graphs(step) if graphs else step, step.lr, [row[i] for i in range(CURVE) for row in batches])
        )
    eager, again, graphed = curves
    spread, apart = (float((other - eager).abs().max()) for other in (again, graphed))
    yield {"first loss": float(eager[0]), "last loss": float(eager[-1]), "two eager curves": spread,
           "graphs and eager": apart, "equal": apart <= ALLOWED + TIMES * spread}  # fmt: skip


def curve(step: Step | Graphs, lr: Tensor, batches: Sequence[Batch]) -> Tensor:
    """The losses (n) of n steps with a decaying learning rate, from a fixed seed."""
    torch.manual_seed(1)
    first, losses = lr.clone(), []
    for number, batch in enumerate(batches):
        lr.copy_(first * (1 - number / len(batches)))
        losses.append(step(batch))
    return torch.stack(losses).double().cpu()


def timed(task: str, method: str, shapes: Sequence[tuple[int, int]], args: argparse.Namespace) -> Iterator[harness.Row]:
    """Seconds of a step in both forms at each shape, and those of the capture."""
    step = model(task, method, args)
    for rows, length in shapes:
        batches = random_batches(step, rows, length, STEPS)
        step(batches[0])
        harness.synchronize(args.device)
        started = perf_counter()
        captured = Captured(step, batches[0])
        harness.synchronize(args.device)
        capture = perf_counter() - started
        forms: dict[str, Callable[[], object]] = {
            "eager": partial(several, step, batches), "graph": partial(several, captured, batches),
        }  # fmt: skip
        times = harness.alternate(forms, args.rounds, device=args.device)
        middle, low, high = harness.ratio(times, "graph", "eager")
        yield {"batch": rows, "T": length, "eager, seconds": harness.median(times["eager"]) / STEPS,
               "seconds": harness.median(times["graph"]) / STEPS, "ratio": middle, "p10": low, "p90": high,
               "capture, seconds": capture}  # fmt: skip


def several(step: Callable[[Batch], Tensor], batches: Sequence[Batch]) -> None:
    """A step on each batch."""
    for batch in batches:
        step(batch)


if __name__ == "__main__":
    main()
