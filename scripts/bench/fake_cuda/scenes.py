"""The scenes: a training step, a batch of an evaluation, and a cached decoding step, all by the package's own code.

    training     `training.loop.train`; its second step, with phases: `forward`, `backward`, and `update` for all the
                 rest: copying the batch, clipping, AdamW
    stacked      a step of `LANES` seeds side by side, `training.side_by_side`; phases as above
    interval     `training.loop.train` with `log_every=2`; two steps and the logging of one line; phases as above
    evaluation   `training.evaluation.predict`; phases: `batch` for a further batch, `once` for what does not recur
    decoding     `training.decoding.generate` of a batch; phases: `step` for a further token, `once` as above

Batches are 16 x 40 for classification and 8 x 70 for generation; shorter rows are padded.
"""

import dataclasses
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from inducer_bench.config.compose import compose
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.plm.load import load_model, load_tokenizer
from inducer_bench.plm.location import architecture
from inducer_bench.plm.options import PlmOptions
from inducer_bench.runs.experiment import attach_method
from inducer_bench.tasks.cache import Encoded, EncodedExamples
from inducer_bench.tasks.registry import make_task
from inducer_bench.training.checkpoint import Checkpoint, Progress
from inducer_bench.training.decoding import generate
from inducer_bench.training.evaluation import predict
from inducer_bench.training.loop import Experiment, Splits, make_optimizer, optimizer_of, train
from inducer_bench.training.mirrors import Mirrors
from inducer_bench.training.options import TrainerOptions
from inducer_bench.training.side_by_side import add_gradients_of_each
from inducer_bench.training.stack import Lane, Stack
from inducer_bench.training.tracking import Tracker
from scripts.bench.fake_cuda.counts import Counts
from scripts.bench.fake_cuda.device import CUDA, FakeCuda
from scripts.bench.fake_cuda.process import Answer, Request
from scripts.bench.fake_cuda.stand_ins import Accelerator

SMOLLM2 = {  # SmolLM2-135M's sizes, https://huggingface.co/HuggingFaceTB/SmolLM2-135M
    "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
    "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 2048, "tie_word_embeddings": True,
    "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip
BATCHES = 4  # of examples
LANES = 5


@dataclasses.dataclass(frozen=True)
class Family:
    """A task and a PLM, and the shape of its batches: rows x tokens."""

    task: str
    tokenizer: str
    rows: int
    tokens: int
    layers: str  # the option of the architecture


FAMILIES = {
    "nlu": Family("sst2", "mini_roberta", 16, 40, "num_hidden_layers"),
    "nlg": Family("webnlg", "mini_gpt2", 8, 70, "n_layer"),
    "llama": Family("webnlg", "mini_gpt2", 8, 70, "num_hidden_layers"),
}


def answers(request: Request) -> Iterator[Answer]:
    """What was counted in each scene of a request; an exception is part of the answer."""
    described = dataclasses.asdict(request)
    counts = Counts()
    with FakeCuda(counts):
        try:
            config, experiment = build(request, counts)
        except Exception as error:
            yield Answer(described, "build", error=_told(error))
            return
        for scene in request.scenes:
            try:
                yield Answer(described, scene, **SCENES[scene](request, config, experiment, counts))
            except Exception as error:
                yield Answer(described, scene, error=_told(error))


def _told(error: Exception) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/fake_cuda/" not in f.filename]
    ours = [f for f in frames if "inducer_bench/" in f.filename or "transformers/" in f.filename] or frames
    at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "the simulation"
    return f"{at}: {type(error).__name__}: {' '.join(str(error).split())[:500]}"


def build(request: Request, counts: Counts) -> tuple[ExperimentConfig, Experiment]:
    """The experiment of a request: a PLM of real size on the device, and examples for `BATCHES` batches."""
    family = FAMILIES[request.family]
    config = compose(
        [f"task={family.task}", f"method={request.method}", "plm.weights=random", f"plm.tokenizer={family.tokenizer}",
         f"trainer.batch_size={family.rows}", f"trainer.eval_batch_size={family.rows}", "trainer.log_every=1000",
         *request.overrides]
    )  # fmt: skip
    config = dataclasses.replace(config, plm=plm(config.plm, request))
    labels = ["negative", "positive"] if config.task.family == "nlu" else None
    task = make_task(config.task, load_tokenizer(config.plm), architecture(config.plm), labels)
    with torch.device(CUDA):
        torch.manual_seed(0)
        model = load_model(config.plm, config.task.auto_class, config.task.outputs(task.labels))
        tuned = attach_method(config, model).to(CUDA)
    elsewhere = [name for name, parameter in tuned.named_parameters() if parameter.device != CUDA]
    assert not elsewhere, f"not on the device: {elsewhere[:3]}"
    examples = EncodedExamples.from_list(encoded(request, BATCHES * family.rows))
    accelerator: Any = Accelerator(counts)
    return config, Experiment(accelerator, tuned, task, Splits(examples, examples), {})


def plm(options: PlmOptions, request: Request) -> PlmOptions:
    """The PLM of a family with the number of layers that is asked for."""
    sizes = SMOLLM2 if request.family == "llama" else options.architecture
    return dataclasses.replace(
        options, architecture={**sizes, FAMILIES[request.family].layers: request.layers}, layout=None
    )


def encoded(request: Request, count: int) -> list[Encoded]:
    """Examples of the family's length; if padded, of 0.8 to 1 times that, so that no two of a batch are equal."""
    family = FAMILIES[request.family]
    made = []
    for index in range(count):
        length = family.tokens - (index * family.tokens // (5 * count) if request.padded else 0)
        example: Encoded = {"input_ids": [5] * length, "length": length}
        if family.task == "sst2":
            example["labels"] = index % 2
        else:
            example |= {"token_type_ids": [5] * length, "prompt_length": round(0.64 * length)}
        made.append(example)
    return made


# -- training ------------------------------------------------------------------------------------------------------


class _Enough(Exception):
    """The training loop has gone as far as it is looked at."""


class _StepCounter(Tracker):
    """A run's tracker that counts from the end of step `start` to that of step `end`, and then ends the training."""

    def __init__(self, folder: Path, counts: Counts, start: int, end: int) -> None:
        super().__init__(folder, Mirrors())
        self._console.quiet = True
        self.counts = counts
        self.start_step, self.end_step = start, end

    def step(self, progress: Progress) -> None:
        super().step(progress)
        if progress.step == self.end_step:
            raise _Enough
        if progress.step == self.start_step:
            self.counts.clear()


def training(request: Request, config: ExperimentConfig, experiment: Experiment, counts: Counts) -> dict[str, Any]:
    """The second step, and the trained parameters that have had no gradient."""
    return _steps(config.trainer, experiment, counts, 1, 2)


def interval(request: Request, config: ExperimentConfig, experiment: Experiment, counts: Counts) -> dict[str, Any]:
    """The third and the fourth step, and the line that is logged before them."""
    return _steps(dataclasses.replace(config.trainer, log_every=2), experiment, counts, 2, 4)


def _steps(trainer: TrainerOptions, experiment: Experiment, counts: Counts, start: int, end: int) -> dict[str, Any]:
    tuned = experiment.tuned
    trained, optimizer = tuned.trained_parameters(), make_optimizer(tuned, trainer)
    counts.phase = "update"
    with tempfile.TemporaryDirectory() as folder:
        tracker = _StepCounter(Path(folder), counts, start, end)
        checkpoint = Checkpoint(Path(folder), "simulated", trained, optimizer)
        with suppress(_Enough):
            train(experiment, trainer, 0, checkpoint, tracker)
    without = [name for name, parameter in trained.items() if parameter not in optimizer.state]
    return {**_found(counts), "without_gradient": without}


def stacked(request: Request, config: ExperimentConfig, experiment: Experiment, counts: Counts) -> dict[str, Any]:
    """The second step of several seeds on one PLM, all on the same examples."""
    counts.phase = "update"
    trainer, tuned = config.trainer, experiment.tuned.train()
    lanes = [Lane.of(tuned, partial(optimizer_of, config=trainer)) for _ in range(LANES)]
    stack = Stack(tuned, experiment.task, lanes)
    examples = [experiment.splits.train.take(range(trainer.batch_size))] * LANES
    for _ in range(2):
        counts.clear()
        add_gradients_of_each(experiment, trainer, stack, examples, None)
        stack.update(trainer.clip_norm)
    return _found(counts)


# -- evaluation ----------------------------------------------------------------------------------------------------


def evaluation(request: Request, config: ExperimentConfig, experiment: Experiment, counts: Counts) -> dict[str, Any]:
    """The prediction of one batch, and what a second one adds."""
    rows = config.trainer.eval_batch_size
    examples = experiment.splits.selection

    def run(batches: int) -> None:
        predict(experiment.accelerator, experiment.tuned, experiment.task, examples[: batches * rows], rows)

    return _further(run, 1, "batch", counts)


def decoding(request: Request, config: ExperimentConfig, experiment: Experiment, counts: Counts) -> dict[str, Any]:
    """The generation of one token for a batch of prompts, and what a second one adds."""
    task: Any = experiment.task
    family = FAMILIES[request.family]
    prompts = encoded(request, family.rows)

    def run(tokens: int) -> None:
        decoding = dataclasses.replace(task.config.decoding, max_new_tokens=tokens)
        generate(
            experiment.accelerator, experiment.tuned, prompts, decoding, task.first_special, task.segments, family.rows
        )

    return _further(run, 1, "step", counts)


def _further(run: Callable[[int], None], few: int, phase: str, counts: Counts) -> dict[str, Any]:
    """What `run(few + 1)` counts beyond `run(few)`, as `phase`; and the rest, which does not recur, as `once`."""
    counted = []
    for times in (few, few + 1):
        counts.clear()
        run(times)
        counted.append(_found(counts))
    merged = [{key: _merged(found[key]) for key in found} for found in counted]
    found: dict[str, Any] = {}
    for key in ("launches", "casts", "waits"):
        fewer, more = merged[0][key], merged[1][key]
        further = Counter(more)
        further.subtract(fewer)
        once = Counter(fewer)
        once.subtract({name: few * number for name, number in further.items()})
        found[key] = {
            phase: {n: c for n, c in further.items() if c > 0},
            "once": {n: c for n, c in once.items() if c > 0},
        }
    found["casts"] = {name: sum(of.values()) for name, of in found["casts"].items()}
    return found


def _found(counts: Counts) -> dict[str, Any]:
    return {
        "launches": {phase: dict(found) for phase, found in counts.launches.items()},
        "casts": dict(counts.casts),
        "waits": {phase: dict(found) for phase, found in counts.waits.items()},
    }


def _merged(by_phase: dict[str, Any]) -> Counter[str]:
    merged: Counter[str] = Counter()
    for phase, found in by_phase.items():
        merged.update(found if isinstance(found, dict) else {phase: found})
    return merged


SCENES: dict[str, Callable[[Request, ExperimentConfig, Experiment, Counts], dict[str, Any]]] = {
    "training": training,
    "stacked": stacked,
    "interval": interval,
    "evaluation": evaluation,
    "decoding": decoding,
}
