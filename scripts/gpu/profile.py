"""One training step of each method on the device: launches and waits, beside those that were simulated without one.

    python -m scripts.gpu.profile --device cuda [--methods lora inducer]

The second step of the package's own loop, on the batches of `scripts.bench.fake_cuda.scenes`: RoBERTa-base on SST-2
(nlu) and GPT-2 small on WebNLG (nlg), bf16. torch's profiler counts kernels, copies and fills as launches, and the
calls in which the host waits. `simulated` is read from results/launches (`scripts.bench.launches`).
"""

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import torch
from torch.profiler import ProfilerActivity, profile

from inducer_bench.config.compose import compose
from inducer_bench.plm.load import load_model, load_tokenizer
from inducer_bench.plm.location import architecture
from inducer_bench.runs.experiment import attach_method
from inducer_bench.tasks.cache import EncodedExamples
from inducer_bench.tasks.registry import make_task
from inducer_bench.training.checkpoint import Checkpoint, Progress
from inducer_bench.training.device import make_accelerator, set_seed
from inducer_bench.training.loop import Experiment, Splits, make_optimizer, train
from inducer_bench.training.mirrors import Mirrors
from inducer_bench.training.tracking import Tracker
from scripts.bench import harness
from scripts.bench.fake_cuda.process import METHODS, Request
from scripts.bench.fake_cuda.scenes import FAMILIES, encoded, plm

SIMULATED = harness.ROOT / "results" / "launches" / "after.json"
WAITS = ("cudaStreamSynchronize", "cudaEventSynchronize")  # the profiler itself waits for the device
STEPS = 3
MOST = 6  # operators that are listed


class _EnoughError(Exception):
    """The step has been profiled."""


class _Profiler(Tracker):
    """Profiles the second step of a training, then ends it."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        super().__init__(folder, Mirrors())
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
        self.device, self.record = device, profile(activities=activities)

    def step(self, progress: Progress) -> None:
        """Called after each step."""
        if progress.step == STEPS - 2:
            harness.synchronize(self.device)
            self.record.start()
            self.started = perf_counter()
        if progress.step == STEPS - 1:
            self.host_seconds = perf_counter() - self.started
            self.record.stop()
            raise _EnoughError


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each method and family."""
    parser = harness.parser(__doc__)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    args = parser.parse_args(arguments)
    simulated = read_simulated(SIMULATED)
    rows: list[harness.Row] = []
    for family in ("nlu", "nlg"):
        for method in args.methods:
            if (family, method) != ("nlg", "head_only"):  # trains nothing
                found = profiled(family, method, args)
                rows.append({"family": family, "method": method, **found, **simulated.get((family, method), {})})
        note = "The second step of the training loop, bf16; the profiler makes it slower."
        harness.publish("profile_step", rows, args.device, note, args.out)


def read_simulated(file: Path) -> dict[tuple[str, str], harness.Row]:
    """Launches and waits of a training step by family and method; nothing if there is no such file."""
    answers = json.loads(file.read_text())["answers"] if file.exists() else []
    found = {}
    for answer in answers:
        asked = answer["request"]
        if answer["scene"] == "training" and not answer["error"]:
            launches, waits = (sum(sum(of.values()) for of in answer[key].values()) for key in ("launches", "waits"))
            found[asked["family"], asked["method"]] = {"launches, simulated": launches, "waits, simulated": waits}
    return found


def profiled(family: str, method: str, args: argparse.Namespace) -> harness.Row:
    """Launches, waits, and the host's seconds of a step."""
    request, sizes = Request(family, method, layers=1 if args.mini else 12), FAMILIES[family]
    config = compose(
        [f"task={sizes.task}", f"method={method}", "plm.weights=random", f"plm.tokenizer={sizes.tokenizer}",
         f"trainer.batch_size={sizes.rows}", "trainer.log_every=1000", f"trainer.device={args.device.type}",
         "trainer.precision=bf16"]
    )  # fmt: skip
    config = dataclasses.replace(config, plm=plm(config.plm, request))
    accelerator = make_accelerator(config.trainer)
    set_seed(0)
    labels = ["negative", "positive"] if config.task.family == "nlu" else None
    task = make_task(config.task, load_tokenizer(config.plm), architecture(config.plm), labels)
    model = load_model(config.plm, config.task.auto_class, config.task.outputs(task.labels))
    tuned = attach_method(config, model).to(args.device)
    examples = EncodedExamples.from_list(encoded(request, STEPS * sizes.rows))
    trained, optimizer = tuned.trained_parameters(), make_optimizer(tuned, config.trainer)
    with tempfile.TemporaryDirectory() as folder:
        tracker = _Profiler(Path(folder), args.device)
        checkpoint = Checkpoint(Path(folder), "profiled", trained, optimizer)
        experiment = Experiment(accelerator, tuned, task, Splits(examples, examples), {})
        with suppress(_EnoughError):
            train(experiment, config.trainer, 0, checkpoint, tracker)
    events = tracker.record.key_averages()
    on_device = [event for event in events if event.device_type.name == "CUDA" and not event.is_user_annotation]
    counts = {event.key: event.count for event in events if event.device_type.name == "CPU"}
    waits = sum(count for name, count in counts.items() if name.startswith(WAITS))
    operators = [name for name in counts if name.startswith("aten::")]
    operators = sorted(operators, key=lambda name: -counts[name])[:MOST]
    called = ", ".join(f"{name.removeprefix('aten::')} {counts[name]}" for name in operators)
    return {
        "launches": sum(event.count for event in on_device), "waits": waits, "host, seconds": tracker.host_seconds,
        "device, seconds": sum(event.self_device_time_total for event in on_device) / 1e6, "most called": called,
    }  # fmt: skip


if __name__ == "__main__":
    main()
