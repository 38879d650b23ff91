"""The options of training: optimisation, selection of the epoch, and the mirror of the log files."""

from typing import Annotated, Literal

from pydantic import Field

from inducer_bench.options import Fraction, NonNegativeInt, PositiveFloat, PositiveInt, options


@options
class TrainerOptions:
    """Optimisation, hardware and bookkeeping of a training run."""

    lr: PositiveFloat
    epochs: NonNegativeInt
    batch_size: PositiveInt  # examples in one optimiser step, over all devices
    micro_batch_size: PositiveInt | None  # examples in one forward pass (gradient accumulation); all by default
    eval_batch_size: PositiveInt
    label_smoothing: Fraction  # of the training loss
    schedule: Literal["linear", "constant"]  # after warm-up
    warmup: Annotated[float, Field(ge=0.0)]  # below 1: a fraction of all steps; else a number of steps
    betas: Annotated[list[Fraction], Field(min_length=2, max_length=2)]
    eps: PositiveFloat
    weight_decay: Annotated[float, Field(ge=0.0)]
    clip_norm: PositiveFloat | None
    patience: PositiveInt | None  # stop after so many epochs without a better score
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "fp32", "bf16"]  # auto: bf16 autocast on CUDA, fp32 on a CPU
    compile: Literal["none", "default", "reduce-overhead"]  # the mode of torch.compile; the last uses CUDA graphs
    log_every: PositiveInt  # steps between two lines of the log
    checkpoint_every: PositiveInt  # steps between two checkpoints; there is one after each epoch as well
    keep_checkpoint: bool = False  # keep the checkpoint of a finished run; it is not needed for anything else


@options
class ProtocolOptions:
    """How the reported epoch is selected, and which habits of the released code are kept."""

    name: Literal["paper", "clean", "as_released"]
    select_on: Literal["dev", "held_out"]  # held_out: a slice of train that is not trained on
    held_out: Fraction  # size of that slice as a fraction of train
    select_first: PositiveInt | None  # select on the first so many examples only
    train_head: bool
    gate_before_mask: bool  # inducer gates that also see padding, in encoders


@options
class TrackerOptions:
    """Mirror of the local log files; it never decides anything."""

    name: Literal["none", "wandb"]
    project: str
    entity: str | None
    mode: Literal["auto", "online", "offline"]  # auto: online with a key and a network, else offline
