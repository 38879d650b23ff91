"""Folders of PLMs with faults in every file, and sizes that no model can have."""

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from helpers.commands import Trouble

from chaos.cases import ANY, EITHER, REFUSED, TINY, Case
from inducer_bench.mini.suite import plm_dir

_ARGUMENTS = [*TINY, "plm.path=plm"]
_DEEP = "[" * 100_000


def cases() -> Iterator[Case]:
    """Each file of a PLM's folder with each fault, odd values of config.json, and names of a PLM's folder."""
    files = sorted(path.name for path in plm_dir("mini_roberta").iterdir() if path.is_file())
    for name in files:
        for fault, change in _FAULTS.items():
            needed = name in ("config.json", "model.safetensors", "tokenizer.json")
            privileges = Trouble(no_privileges=True) if fault == "unreadable" else None
            yield Case(
                "plm files",
                f"{name} {fault}",
                _ARGUMENTS,
                REFUSED if needed and fault != "of other bytes at its end" else EITHER,
                ("plm.", name),
                _changed(name, change),
                trouble=privileges,
            )
    for key, values in _SIZES.items():
        for value in values:
            yield Case(
                "plm sizes",
                f"{key}={json.dumps(value)}"[:60],
                _ARGUMENTS,
                ANY,
                ("plm", "task.max_length", "method", key),
                _with(key, value),
            )
    for key, value in _MORE.items():
        yield Case("plm sizes", f"{key}={json.dumps(value)}"[:60], _ARGUMENTS, EITHER, ("plm", key), _with(key, value))
    for name in (
        "plm.path=nowhere",
        "plm.path=''",
        "plm.path=/etc/passwd",
        "plm.path=/dev/null",
        "plm.tokenizer=nowhere",
        "plm.path=~nobody/x",
    ):
        yield Case("plm files", name, [*TINY, name], REFUSED, ("plm.", "not understood"))
    yield Case(
        "plm files",
        "an index that leaves the folder",
        _ARGUMENTS,
        EITHER,
        ("plm.", "index"),
        _index("../other/model.safetensors"),
    )
    yield Case(
        "plm files",
        "an index of a missing shard",
        _ARGUMENTS,
        EITHER,
        ("plm.", "index"),
        _index("model-00001-of-00002.safetensors"),
    )
    yield Case("plm files", "a pickle alone", _ARGUMENTS, REFUSED, ("plm.",), _pickled)
    yield Case("plm files", "NaN weights", _ARGUMENTS, frozenset({1, 2}), ("plm", "finite"), _not_finite)
    yield Case(
        "plm files", "NaN weights, no epoch", [*_ARGUMENTS, "trainer.epochs=0"], frozenset({1, 2}), (), _not_finite
    )


def _copied(folder: Path) -> Path:
    return Path(shutil.copytree(plm_dir("mini_roberta"), folder / "plm"))


def _changed(name: str, change: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda folder: change(_copied(folder) / name)


def _with(key: str, value: object) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        path = _copied(folder) / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    return prepare


def _index(shard: str) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        plm = _copied(folder)
        (folder / "other").mkdir()
        weights = (plm / "model.safetensors").rename(folder / "other/model.safetensors").read_bytes()
        size = struct.unpack("<Q", weights[:8])[0]
        names = [name for name in json.loads(weights[8 : 8 + size]) if name != "__metadata__"]
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, shard)}
        (plm / "model.safetensors.index.json").write_text(json.dumps(index))

    return prepare


def _pickled(folder: Path) -> None:
    plm = _copied(folder)
    (plm / "model.safetensors").unlink()
    (plm / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch PWNED'\ntR.")


def _not_finite(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = _copied(folder) / "model.safetensors"
    weights = load_file(path)
    weights[sorted(weights)[-1]].view(-1)[0] = float("nan")  # of the last layer
    save_file(weights, path, metadata={"format": "pt"})


def _replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


_FAULTS: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b"") and None,
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 8) and None,
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "deep JSON": lambda path: path.write_text(_DEEP) and None,
    "a number": lambda path: path.write_text("3") and None,
    "an empty object": lambda path: path.write_text("{}") and None,
    "a folder": _replaced(Path.mkdir),
    "a pipe": _replaced(os.mkfifo),
    "a loop of links": _replaced(lambda path: path.symlink_to(path.name)),
    "unreadable": lambda path: path.chmod(0),
}
_SIZES: dict[str, list[object]] = {
    "num_attention_heads": [0, -1, 3, 10**9, "4", None, 1.5],
    "num_hidden_layers": [0, -1, 1000, "2", None],
    "hidden_size": [0, -4, 7, 10**9, "x", None],
    "vocab_size": [0, 1, 10**12, "x"],
    "max_position_embeddings": [0, 1, 3, "x", None],
    "intermediate_size": [0, -1, 10**12],
    "pad_token_id": [5, -1, 10**9, None, "x"],
}
_MORE: dict[str, object] = {
    "model_type": "nope",
    "architectures": 3,
    "auto_map": {"AutoModel": "evil.Model"},
    "hidden_act": "nope",
    "layer_norm_eps": "x",
    "quantization_config": {"quant_method": "gptq"},
    "torch_dtype": "nope",
    "attn_implementation": "nope",
    "id2label": 3,
    "transformers_version": [],
}
