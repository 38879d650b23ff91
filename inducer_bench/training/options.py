"""Options of training, of the evaluation protocol and of the tracker."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from inducer_bench.options import Fraction, PositiveFloat, PositiveInt, options

BatchSize = Annotated[int, Field(gt=0, le=2**20)]


@options
class TrainerOptions:
    """Optimisation, hardware, logging and checkpoints."""

    lr: PositiveFloat
    epochs: Annotated[int, Field(ge=0, le=1_000_000)]
    batch_size: BatchSize  # examples per optimiser step, over all devices
    batches: Literal["windows", "buckets"] = "windows"  # how examples are put together; see `batching.py`
    micro_batch_size: BatchSize | None  # examples per forward pass (gradient accumulation); null: the whole batch
    eval_batch_size: BatchSize
    label_smoothing: Fraction  # of the training loss
    schedule: Literal["linear", "constant"]  # after warm-up
    warmup: Annotated[float, Field(ge=0.0)]  # below 1: a fraction of all steps; otherwise a number of steps
    betas: Annotated[list[Fraction], Field(min_length=2, max_length=2)]
    eps: PositiveFloat
    weight_decay: Annotated[float, Field(ge=0.0)]
    clip_norm: PositiveFloat | None
    patience: PositiveInt | None  # stop after this many epochs without a better score
    device: Literal["auto", "cpu", "cuda"]
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


@options
class ProtocolOptions:
    """Selection of the reported epoch, and the released code's deviations that are reproduced."""

    name: Literal["paper", "clean", "as_released"]
    select_on: Literal["dev", "held_out"]  # held_out: a slice of train that is excluded from training
    held_out: Fraction  # the size of that slice, as a fraction of train
    select_first: PositiveInt | None  # select on this many first examples only
    train_head: bool
    gate_before_mask: bool  # compute the inducers' gates of encoders before the padding mask
    # reported: the splits of `task.report`; held_out: nothing but the slice, and no adapter is kept (a search's trial)
    score: Literal["reported", "held_out"] = "reported"


def _wandb_name(name: str) -> str:
    """A name as W&B takes it for projects and entities."""
    if not 0 < len(name) <= 128 or name != name.strip() or not name.isprintable() or set(name) & set("/\\#?%:"):
        raise PydanticCustomError("wandb_name", "1 to 128 printable characters, but none of / \\ # ? % :")
    return name


WandbName = Annotated[str, AfterValidator(_wandb_name)]


@options
class TrackerOptions:
    """The mirror of the local log files; it changes no result."""

    name: Literal["none", "wandb"]
    project: WandbName
    entity: WandbName | None
    mode: Literal["auto", "online", "offline"]  # auto: online with an API key and a network, otherwise offline
