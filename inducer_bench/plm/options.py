"""The options of a PLM: which one, and where it comes from; `conf/plm/*.yaml` holds the values."""

from typing import Any, Literal

from inducer_bench.methods.architectures import Layout
from inducer_bench.options import options


@options
class PlmOptions:
    """A pre-trained language model and where it comes from."""

    name: str  # names runs and rows of tables
    weights: Literal["pretrained", "random"]  # random: built from `architecture`, for params, benchmarks and tests
    path: str | None  # a local folder in transformers' format, instead of the hub
    hub: str | None  # repository id on the hub; none for the bundled PLMs
    revision: str  # branch, tag or commit on the hub
    tokenizer: str | None  # a folder or the name of a bundled PLM; by default the PLM's own
    architecture: dict[str, Any]  # arguments of the transformers config class, with its `model_type`
    recipes: str | None = None  # whose settings of a method suit it, small: `small_nlu`; by default those of the suite
    layout: Layout | None = None  # module names of an architecture that this package does not know
