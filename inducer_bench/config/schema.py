"""The schema of a composed configuration: one frozen dataclass for each config group.

The YAML files under `conf/` hold the values; what they mean and which values are possible is said here.
"""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from inducer_bench.config.generation import CoqaConfig, TextToTextConfig, WebNlgConfig
from inducer_bench.config.methods import STRICT, MethodConfig
from inducer_bench.config.tasks import ClassificationConfig, PositiveInt, TaskConfig

NonNegativeInt = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]

TASK_KINDS: dict[str, type[TaskConfig]] = {
    "classification": ClassificationConfig,
    "webnlg": WebNlgConfig,
    "coqa": CoqaConfig,
    "text_to_text": TextToTextConfig,
}
AnyTask = Annotated[ClassificationConfig | WebNlgConfig | CoqaConfig | TextToTextConfig, Field(discriminator="kind")]


@dataclass(config=STRICT, frozen=True, kw_only=True)
class PlmConfig:
    """A pre-trained language model and where it comes from."""

    name: str
    weights: Literal["pretrained", "random"]  # random: built from `architecture`, for params, benchmarks and tests
    path: str | None  # a local folder in transformers' format, instead of the hub
    hub: str | None  # repository id on the hub; none for the bundled PLMs
    revision: str
    tokenizer: str | None  # a folder or the name of a bundled PLM; by default the PLM's own
    architecture: dict[str, Any]  # arguments of the transformers config class, with its `model_type`


@dataclass(config=STRICT, frozen=True, kw_only=True)
class TrainerConfig:
    """Optimisation, hardware and bookkeeping of a training run."""

    lr: Annotated[float, Field(gt=0.0)]
    epochs: NonNegativeInt
    batch_size: PositiveInt  # examples in one optimiser step, over all devices
    micro_batch_size: PositiveInt | None  # examples in one forward pass (gradient accumulation); all by default
    eval_batch_size: PositiveInt
    label_smoothing: Fraction  # of the training loss
    schedule: Literal["linear", "constant"]  # after warm-up
    warmup: Annotated[float, Field(ge=0.0)]  # below 1: a fraction of all steps; else a number of steps
    betas: Annotated[list[Fraction], Field(min_length=2, max_length=2)]
    eps: Annotated[float, Field(gt=0.0)]
    weight_decay: Annotated[float, Field(ge=0.0)]
    clip_norm: Annotated[float, Field(gt=0.0)] | None
    patience: PositiveInt | None  # stop after so many epochs without a better score
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "fp32", "bf16"]  # auto: bf16 autocast on CUDA, fp32 on a CPU
    compile: Literal["none", "default", "reduce-overhead"]  # the mode of torch.compile; the last uses CUDA graphs
    log_every: PositiveInt  # steps between two lines of the log
    checkpoint_every: PositiveInt  # steps between two checkpoints; there is one after each epoch as well


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ProtocolConfig:
    """How the reported epoch is selected, and which habits of the released code are kept (design, section 10)."""

    name: Literal["paper", "clean", "as_released"]
    select_on: Literal["dev", "held_out"]  # held_out: a slice of train that is not trained on
    held_out: Fraction  # size of that slice as a fraction of train
    select_first: PositiveInt | None  # select on the first so many examples only
    train_head: bool
    gate_before_mask: bool  # inducer gates that also see padding, in encoders


@dataclass(config=STRICT, frozen=True, kw_only=True)
class TrackerConfig:
    """Mirror of the local log files; it never decides anything."""

    name: Literal["none", "wandb"]
    project: str
    entity: str | None
    mode: Literal["auto", "online", "offline"]  # auto: online with a key and a network, else offline


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ExperimentConfig:
    """One experiment, whole."""

    task: AnyTask
    plm: PlmConfig
    method: MethodConfig
    trainer: TrainerConfig
    protocol: ProtocolConfig
    tracker: TrackerConfig
    suite: Literal["full", "mini"]  # mini: small data and PLMs made by this project; never compared with real ones
    recipe: str  # which of a method's published settings apply
    seed: Annotated[int, Field(ge=0, lt=2**32)]  # what numpy's generator takes
    output_dir: str
    dry_run: bool
    optimized_metric: str | None  # the score that a searching sweeper is told
