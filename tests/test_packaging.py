"""What is built and what runs elsewhere: distributions, the container, the job script of a cluster.

`scripts/package_check.sh` builds and installs for real; here is what can be seen from the files alone.
"""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from scripts import package_contents

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BUILD = PROJECT["tool"]["hatch"]["build"]["targets"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_source_distribution_has_all_that_a_wheel_is_built_from():
    included = [pattern.lstrip("/") for pattern in BUILD["sdist"]["include"]]
    needed = [*BUILD["wheel"]["packages"], *BUILD["wheel"]["force-include"], PROJECT["project"]["readme"]]
    needed += PROJECT["project"]["license-files"]
    for path in needed:
        assert (ROOT / path).exists(), path
        assert any(Path(path).is_relative_to(pattern) for pattern in included), path


def test_container_copies_all_that_a_wheel_is_built_from_and_nothing_that_is_not_there():
    copied = [word for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.M) for word in line.split()]
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / path).exists() for path in copied)
    assert sorted(copied) == sorted(let_in)
    needed = [*BUILD["wheel"]["packages"], *BUILD["wheel"]["force-include"], PROJECT["project"]["readme"]]
    assert {*needed, "pyproject.toml", "constraints.txt"} <= set(copied)


def test_container_installs_extras_that_exist_on_a_python_that_is_allowed():
    (extras,) = re.findall(r"'\.\[(.*)\]'", DOCKERFILE)
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])
    (image,) = re.findall(r"^FROM python:(3\.\d+)-slim$", DOCKERFILE, re.M)
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    assert f'"{image}"' in workflow  # what the container runs on is tested


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (1, False), (3, False), (130, True)])
def test_job_of_a_cluster_queues_itself_again_only_if_the_run_was_interrupted(tmp_path, code, requeued):
    for name, body in (("srun", f'echo "$@" >srun.log; exit {code}'), ("scontrol", 'echo "$@" >scontrol.log')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    variables = {"SLURM_CPUS_PER_TASK": "4", "SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_JOB_ID": "77"}
    ended = subprocess.run(
        ["bash", ROOT / "examples/slurm.sbatch", "task=sst2", "method=inducer"], cwd=tmp_path, check=False,
        env={**os.environ, **variables, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert ended.returncode == code
    assert (tmp_path / "srun.log").read_text() == "inducer-bench task=sst2 method=inducer seed=2\n"
    assert (tmp_path / "scontrol.log").exists() == requeued
    if requeued:
        assert (tmp_path / "scontrol.log").read_text() == "requeue 77_2\n"


def test_what_a_distribution_lacks_or_has_too_much_of_is_told(tmp_path):
    with tarfile.open(tmp_path / "x-1.tar.gz", "w:gz") as source:
        for name in ("x-1/pyproject.toml", "x-1/README.md", "x-1/results/mini/large.json"):
            source.addfile(tarfile.TarInfo(name))
    told = package_contents.problems(tmp_path / "x-1.tar.gz")
    assert "x-1.tar.gz: no LICENSE" in told
    assert "x-1.tar.gz: no results/reference/" in told
    assert "x-1.tar.gz: results/mini/large.json is not for users" in told
    with zipfile.ZipFile(tmp_path / "x-1.whl", "w") as wheel:
        for name in package_contents.WHEEL:
            wheel.writestr(f"{name}x" if name.endswith("/") else name, "")
    assert package_contents.problems(tmp_path / "x-1.whl") == []


@pytest.mark.parametrize("script", sorted(ROOT.glob("scripts/*.sh")), ids=lambda path: path.name)
def test_shell_script_parses(script):
    subprocess.run(["sh", "-n", script], check=True)


def test_unknown_mode_of_the_check_is_bad_input():
    ended = subprocess.run(
        ["sh", ROOT / "scripts/package_check.sh", "some"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHON": sys.executable},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (2, "usage: sh scripts/package_check.sh [full]\n")
