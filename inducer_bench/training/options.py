"""Options of training, of the evaluation protocol and of the tracker."""

import dataclasses
import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from inducer_bench.errors import nearest
from inducer_bench.options import Fraction, PositiveFloat, PositiveInt, options

BatchSize = Annotated[int, Field(gt=0, le=2**20)]
Schedule = Literal[
    "linear", "constant", "cosine", "cosine_with_restarts", "polynomial", "constant_with_warmup", "inverse_sqrt",
    "cosine_with_min_lr", "cosine_warmup_with_min_lr", "warmup_stable_decay",
]  # fmt: skip
# The arguments that transformers' schedules take beside the steps, and those of which a schedule needs one.
SCHEDULE_ARGS: dict[str, tuple[str, ...]] = {
    "linear": (),
    "constant": (),
    "constant_with_warmup": (),
    "cosine": ("num_cycles",),
    "cosine_with_restarts": ("num_cycles",),
    "polynomial": ("lr_end", "power"),
    "inverse_sqrt": ("timescale",),
    "cosine_with_min_lr": ("min_lr", "min_lr_rate", "num_cycles"),
    "cosine_warmup_with_min_lr": ("min_lr", "min_lr_rate", "num_cycles", "warmup_lr_rate"),
    "warmup_stable_decay": (
        "num_decay_steps", "num_stable_steps", "num_cycles", "min_lr_ratio", "warmup_type", "decay_type",
    ),
}  # fmt: skip
_ONE_NEEDED = {
    "cosine_with_min_lr": ("min_lr", "min_lr_rate"),
    "cosine_warmup_with_min_lr": ("min_lr", "min_lr_rate"),
    "warmup_stable_decay": ("num_decay_steps",),
}
_CURVES = ("linear", "cosine", "1-sqrt")  # of the parts of `warmup_stable_decay`


@options
class TrainerOptions:
    """Optimisation, hardware, logging and checkpoints."""

    lr: PositiveFloat  # the highest one, after warm-up; published with the method
    epochs: Annotated[int, Field(ge=0, le=1_000_000)]  # of which the best one is reported; 0: the model as it is
    batch_size: BatchSize  # examples per optimiser step, over all devices
    batches: Literal["windows", "buckets"] = "windows"  # how examples are put together; see `batching.py`
    micro_batch_size: BatchSize | None  # examples per forward pass (gradient accumulation); null: the whole batch
    eval_batch_size: BatchSize  # examples per forward pass of evaluation and decoding
    label_smoothing: Fraction  # of the training loss
    schedule: Schedule  # after warm-up; see `schedule.py`
    warmup: Annotated[float, Field(ge=0.0)]  # below 1: a fraction of all steps; otherwise a number of steps
    betas: Annotated[list[Fraction], Field(min_length=2, max_length=2)]  # of AdamW
    eps: PositiveFloat  # of AdamW
    weight_decay: Annotated[float, Field(ge=0.0)]  # of AdamW
    clip_norm: PositiveFloat | None  # of the gradients of all trained parameters; null: not clipped
    patience: PositiveInt | None  # stop after this many epochs without a better score
    device: Literal["auto", "cpu", "cuda"]  # auto: a GPU if there is one
    precision: Literal["auto", "fp32", "tf32", "bf16"]  # auto: bf16 autocast on CUDA, fp32 on the CPU
    deterministic: bool = False  # only algorithms that give equal bits each time; on a CPU all do
    gradient_checkpointing: bool = False  # keep each layer's input alone, and compute the rest again
    gpu_memory: Annotated[float, Field(gt=0.0, le=1.0)] | None = None  # a cap, as a fraction of the GPU's memory
    compile: Literal["none", "default", "reduce-overhead"]  # the mode of torch.compile; the last uses CUDA graphs
    log_every: PositiveInt  # steps per logged line
    checkpoint_minutes: PositiveFloat = 5.0  # between checkpoints; each epoch also ends with one
    checkpoint_every: PositiveInt | None = None  # steps after which there is a further one
    frozen: Literal["fp32", "bf16"] = "fp32"  # the type of the PLM's frozen linear maps; bf16: with that precision only
    keep_checkpoint: bool = False  # keep the checkpoint of a finished run, which nothing needs any more
    schedule_args: dict[str, Any] = dataclasses.field(default_factory=dict)  # of a schedule of transformers

    def without_effect(self, steps: int) -> list[str]:
        """What of the schedule cannot have its effect in a run of so many steps, and what to set; a line each."""
        if not steps:
            return []
        warmup = math.ceil(self.warmup if self.warmup >= 1 else self.warmup * steps)
        if self.warmup >= steps:
            return [
                f"trainer.warmup: {warmup:,} steps, but the run has {steps:,}, so that the learning rate never reaches "
                "trainer.lr; set a fraction of the steps, such as trainer.warmup=0.06"
            ]
        decay, stable = (self.schedule_args.get(f"num_{part}_steps", 0) for part in ("decay", "stable"))
        if (whole := warmup + stable + decay) > steps:
            return [
                f"trainer.schedule_args: warm-up, stable steps and decay take {whole:,} steps, but the run has "
                f"{steps:,}; set num_decay_steps and num_stable_steps that end within it"
            ]
        return []

    @field_validator("schedule_args")
    @classmethod
    def _of_the_schedule(cls, given: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "schedule" in info.data:  # not if it is wrong itself
            _check_schedule_args(info.data["schedule"], given, info.data.get("lr", math.inf))
        return given


def _check_schedule_args(schedule: str, given: dict[str, Any], lr: float) -> None:
    """Check that a schedule takes these arguments, and has those that it needs."""

    def refused(allowed: str) -> PydanticCustomError:
        return PydanticCustomError("schedule_args", "{allowed}", {"allowed": f"with schedule={schedule}: {allowed}"})

    known = SCHEDULE_ARGS[schedule]
    for name, value in given.items():
        if name not in known:
            raise refused(f"{nearest(name, known)}{', '.join(known) or 'none'}")
        if name.endswith("_type"):
            if value not in _CURVES:
                raise refused(f"{name} {', '.join(_CURVES)}")
        elif type(value) not in (int, float) or not 0 <= value < math.inf:
            raise refused(f"{name} a number from 0 on")
        elif name.endswith("_steps") and type(value) is not int:
            raise refused(f"{name} a whole number")
        elif name == "timescale" and value == 0:
            raise refused("timescale a number above 0")
    needed = _ONE_NEEDED.get(schedule, ())
    if needed and len([name for name in needed if name in given]) != 1:
        raise refused(f"one of {', '.join(needed)}" if len(needed) > 1 else f"{needed[0]}, which it needs")
    if schedule == "polynomial" and given.get("lr_end", 1e-7) >= lr:
        raise refused(f"lr_end below trainer.lr, {lr}")


@options
class ProtocolOptions:
    """Selection of the reported epoch, and the released code's deviations that are reproduced."""

    name: Literal["paper", "clean", "as_released"]  # recorded, and named by tables
    select_on: Literal["dev", "held_out"]  # held_out: a slice of train that is excluded from training
    held_out: Fraction  # the size of that slice, as a fraction of train
    select_first: PositiveInt | None  # select on this many first examples only
    train_head: bool  # false: the classification head stays at its random start
    gate_before_mask: bool  # compute the inducers' gates of encoders before the padding mask
    # reported: the splits of `task.report`; held_out: nothing but the slice, and no adapter is kept (a search's trial)
    score: Literal["reported", "held_out"] = "reported"
    # sources: all texts of an entry and all turns of a dialogue are on one side; examples: any text or turn, as before
    hold_out: Literal["sources", "examples"] = "examples"

    def held_out_of(self, examples: int) -> int:
        """The size of the held-out slice of so many training examples, in examples."""
        return math.ceil(self.held_out * examples)


def _wandb_name(name: str) -> str:
    """A name as W&B takes it for projects and entities."""
    if not 0 < len(name) <= 128 or name != name.strip() or not name.isprintable() or set(name) & set("/\\#?%:"):
        raise PydanticCustomError("wandb_name", "1 to 128 printable characters, but none of / \\ # ? % :")
    return name


WandbName = Annotated[str, AfterValidator(_wandb_name)]


@options
class TrackerOptions:
    """The mirrors of the local log files; they change no result."""

    name: Literal["none", "wandb", "tensorboard", "trackio"]  # where the log is mirrored to
    project: WandbName  # of wandb and trackio
    entity: WandbName | None  # of wandb: a user or a team
    mode: Literal["auto", "online", "offline"]  # auto: online with an API key and a network, otherwise offline
    also: list[Literal["wandb", "tensorboard", "trackio"]] = dataclasses.field(default_factory=list)  # at once
