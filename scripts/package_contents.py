"""What a source distribution and a wheel must hold, and how large they may be.

python -m scripts.package_contents dist/*
"""

import sys
import tarfile
import zipfile
from pathlib import Path

LARGEST = 12_000_000  # bytes; the bundled PLMs are 10 MB of it
SOURCE = ("pyproject.toml", "README.md", "LICENSE", "conf/", "inducer_bench/", "results/reference/")
WHEEL = (
    "inducer_bench/conf/config.yaml",
    "inducer_bench/mini/plms/",
    "inducer_bench/py.typed",
    "inducer_bench/report/reference/",
    "inducer_bench/report/templates/",
)


def names(path: Path) -> list[str]:
    """The files of a distribution, relative to its top."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return wheel.namelist()
    with tarfile.open(path) as source:
        return [member.name.partition("/")[2] for member in source.getmembers() if member.isfile()]


def problems(path: Path) -> list[str]:
    """What is wrong with a distribution, one line each."""
    files = names(path)
    expected = WHEEL if path.suffix == ".whl" else SOURCE
    found = [f"{path.name}: no {name}" for name in expected if not any(file.startswith(name) for file in files)]
    if path.stat().st_size > LARGEST:
        found.append(f"{path.name}: {path.stat().st_size:,} bytes, more than {LARGEST:,}")
    allowed = ("results/reference/",)
    surplus = [file for file in files if file.startswith(("results/", "tests/")) and not file.startswith(allowed)]
    return found + [f"{path.name}: {file} is not for users" for file in surplus[:5]]


def main(paths: list[str]) -> int:
    """Print what each distribution holds; 1 if something is wrong."""
    wrong = [line for path in paths for line in problems(Path(path))]
    for path in map(Path, paths):
        print(f"{path.name}: {len(names(path))} files, {path.stat().st_size / 1e6:.1f} MB")
    for line in wrong:
        print(line, file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
