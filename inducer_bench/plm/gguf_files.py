"""PLMs in GGUF files, the format of llama.cpp: each is converted once, to transformers' format in float32.

The result lies in the cache, under the hash of the file's content, which also identifies the PLM. Its config.json says
what it was made of, and the type that most of its weights had: such a PLM is never taken for the one that was rounded.
The conversion is transformers', in a process of its own, which keeps torch out of this one:

    python -m inducer_bench.plm.gguf_files FILE FOLDER
"""

import importlib.util
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from inducer_bench.errors import UserError, listed, shown
from inducer_bench.files import regular, sha256
from inducer_bench.plm import copies
from inducer_bench.plm.files import json_object

_SUFFIX = ".gguf"
_ORIGIN = "dequantized_from"  # key of config.json
_NOT_ROUNDED = ("f64", "f32", "f16", "bf16")  # types of weights of which nothing was taken after training


def gguf_file(place: Path) -> Path | None:
    """The GGUF file that a path names, or that a folder holds in the place of safetensors; None if there is none.

    Raises:
        UserError: the folder holds several.
    """
    try:
        if is_named_so(place) and place.is_file():
            return place
        paths = sorted(place.iterdir())
    except (OSError, ValueError):  # it is no folder, or no path at all, which whoever reads it tells
        return None
    found = [path.name for path in paths if is_named_so(path)]
    if not found or any(path.name.endswith(".safetensors") for path in paths):
        return None
    if len(found) > 1:
        raise UserError(
            f"plm.path: '{place}' holds several GGUF files; allowed: one of {listed(found, 5)}, by its path"
        )
    return place / found[0]


def is_named_so(path: Path) -> bool:
    """Whether a path has the name of a GGUF file."""
    return path.suffix.lower() == _SUFFIX


def converted(file: Path) -> Path:
    """The folder in transformers' format that a GGUF file becomes; it is made if it is not there.

    Raises:
        UserError: the file cannot be read or converted, the package that reads it is missing, or the cache cannot be
            written.
    """
    try:
        folder = copies.place(f"gguf-{_digest(file)}")
        if _is_whole(folder):
            return folder
        with open(file, "rb", opener=regular) as opened:
            if opened.read(4) != b"GGUF":
                raise UserError(f"plm.path: '{file}' is no GGUF file, in spite of its name; allowed: one that is")
        check_package(f"plm.path: '{file}'")
        told = f"converting '{file}' to float32, once, into '{folder}'"
        copies.make(folder, _is_whole, f"the conversion of '{file.name}'", told, lambda draft: _convert(file, draft))
    except OSError as error:
        raise UserError(
            f"plm.path: '{file}' cannot be read or converted ({shown(error, 200)}); INDUCER_BENCH_CACHE=FOLDER puts "
            "what it becomes elsewhere"
        ) from None
    return folder


def _is_whole(folder: Path) -> bool:
    """Whether a converted file is in a folder, with what it was made of."""
    try:
        return copies.is_whole(folder, ["config.json"]) and _ORIGIN in json_object(folder / "config.json")
    except ValueError:
        return False


def check_package(what: str) -> None:
    """Check that the package that reads GGUF files is installed.

    Args:
        what: needs it, for the message.

    Raises:
        UserError: it is not.
    """
    if importlib.util.find_spec("gguf") is None:
        raise UserError(f"{what} needs the package gguf; pip install 'inducer-bench[gguf]'")


def fingerprint(file: Path) -> str:
    """The type of a GGUF file's weights and the hash of its content.

    Raises:
        UserError: see `converted`.
    """
    origin = json_object(converted(file) / "config.json")[_ORIGIN]
    return f"gguf:{origin['type']}:sha256:{_digest(file)}"


def rounded_to(architecture: dict[str, Any]) -> str | None:
    """The type, such as q4_1, that the weights of a PLM were rounded to before they became float32; None if none.

    Args:
        architecture: the values of its config.json.
    """
    origin = architecture.get(_ORIGIN)
    found = origin.get("type") if isinstance(origin, dict) else None
    return found if isinstance(found, str) and found not in _NOT_ROUNDED else None


def _digest(file: Path) -> str:
    return sha256(file).hex()[:16]


def _convert(file: Path, draft: Path) -> None:
    command = [sys.executable, "-m", __name__, str(file.absolute()), str(draft)]
    ended = subprocess.run(
        command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, errors="replace", check=False,
    )  # fmt: skip
    if ended.returncode:
        told = [line for line in ended.stderr.splitlines() if line.strip()] or [f"it ended with {ended.returncode}"]
        if ended.returncode == -9:
            told = ["not enough memory"]
        raise UserError(f"plm.path: '{file}' cannot be converted: {shown(told[-1], 300)}")


def write(file: Path, folder: Path) -> None:
    """Convert a GGUF file.

    Args:
        file: to read; of the other files of its folder none is.
        folder: an empty one, to fill.

    Raises:
        Exception: whatever the libraries raise about the file.
    """
    import gguf
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    vars(gguf)["GGUFReader"] = cache(gguf.GGUFReader)  # transformers parses the file several times, seconds each
    with TemporaryDirectory(prefix="inducer-bench-gguf-") as alone:
        (Path(alone) / file.name).symlink_to(file)
        source: dict[str, Any] = {"pretrained_model_name_or_path": alone, "gguf_file": file.name}
        weights = Counter[str]()
        reader = gguf.GGUFReader(os.path.join(alone, file.name))
        for tensor in reader.tensors:
            weights[tensor.tensor_type.name.lower()] += int(tensor.n_elements)
        loaded: Any = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32, output_loading_info=True)
        model, info = loaded
        if lacking := sorted(info["missing_keys"]):
            raise ValueError(f"{len(lacking)} tensors are missing, first '{lacking[0]}'; is it one part of several?")
        if "tokenizer.ggml.model" in reader.fields:  # else `plm.tokenizer` names another one
            AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
    # `save_pretrained` refuses a model that came from GGUF; a new one of the same configuration takes over its weights.
    config = model.config.to_dict()
    config.pop("quantization_config", None)
    config[_ORIGIN] = {"file": file.name, "sha256": sha256(file).hex(), "type": weights.most_common(1)[0][0]}
    with torch.device("meta"):
        new = AutoModelForCausalLM.from_config(type(model.config).from_dict(config), dtype=torch.float32)
    new.load_state_dict(model.state_dict(), assign=True)
    new.save_pretrained(folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
