"""The folder of a saved method: its weights as safetensors, and a description in JSON beside them."""

import dataclasses
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from inducer_bench import strict_json
from inducer_bench.errors import UserError, first_line
from inducer_bench.files import write_atomic
from inducer_bench.methods.architectures import Layout
from inducer_bench.methods.finite import first_not_finite
from inducer_bench.options import NonNegativeInt, options

WEIGHTS_FILE, DESCRIPTION_FILE = "adapter.safetensors", "adapter.json"


@options
class Description:
    """What `adapter.json` says of the weights next to it."""

    format: Literal[1]
    inducer_bench: str  # the version that wrote it
    model_type: str
    layout: Layout | None = None
    options: dict[str, Any]  # of the method's deployed form
    special_tokens: NonNegativeInt
    train_head: bool
    parameters: dict[str, int | float]  # `TunedModel.parameter_counts`
    labels: list[str] | None = None  # names of the head's outputs, where they are known


def write(folder: Path, description: Description, tensors: Mapping[str, Tensor]) -> None:
    """Write both files; the folder is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    values = dataclasses.asdict(description)
    if description.labels is None:
        del values["labels"]  # earlier versions do not know it
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(folder / WEIGHTS_FILE, save(whole))
    write_atomic(folder / DESCRIPTION_FILE, (strict_json.dumps(values, indent=2) + "\n").encode())


def read_weights(file: Path, own: Mapping[str, Tensor], may_lack: Container[str] = ()) -> dict[str, Tensor]:
    """The tensors of a file, which fit those of a model by name and shape.

    Args:
        file: that `write` wrote.
        own: the model's tensors.
        may_lack: the names of those that an earlier version did not write.

    Raises:
        UserError: the file is damaged, or its tensors are not finite, or others than `own`.
    """
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file}: not a whole file of weights ({first_line(error)})") from None
    own = {name: tensor for name, tensor in own.items() if name in tensors or name not in may_lack}
    different = sorted(
        name for name in own.keys() | tensors.keys()
        if name not in own or name not in tensors or own[name].shape != tensors[name].shape
    )  # fmt: skip
    if different:
        raise UserError(f"{file}: does not fit this model; {len(different)} tensors differ, first '{different[0]}'")
    broken = first_not_finite((name, tensors[name].to(tensor.dtype)) for name, tensor in own.items())
    if broken is not None:
        raise UserError(f"{file}: the tensor '{broken}' is not finite")
    return tensors


def check_folder(folder: Path) -> None:
    """Say what a folder is that `save` has not written.

    Raises:
        UserError: there is no description in it.
    """
    if (folder / DESCRIPTION_FILE).exists():
        return
    if (folder / "adapter" / DESCRIPTION_FILE).exists():
        raise UserError(f"{folder}: the folder of a run; its adapter is in '{folder / 'adapter'}'")
    if (folder / "adapter_config.json").exists():
        raise UserError(f"{folder}: an adapter of the peft library; load it with peft.PeftModel.from_pretrained")
    what = "has no" if folder.is_dir() else "is not a folder with"
    raise UserError(f"{folder}: {what} {DESCRIPTION_FILE}; allowed: a folder that tuned.save has written")
