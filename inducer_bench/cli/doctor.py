"""`inducer-bench doctor`: check this machine, and say what to do about problems."""

import argparse
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from inducer_bench import hub
from inducer_bench.cli.parser import Parser
from inducer_bench.errors import ExitCode, UserError, first_line, shown
from inducer_bench.files import CONF_DIR
from inducer_bench.version import __version__

HELP = "what works on this machine, what does not, and what to do"
_PACKAGES = "torch transformers accelerate datasets hydra-core scikit-learn rouge-score sacrebleu".split()
_OF_AN_EXTRA = re.compile(r"""(?P<package>[\w.-]+).*extra == ["'](?P<extra>[\w-]+)["']""")
_FOR_DEVELOPERS = ("dev", "docs")
_GIB = 2**30
Check = tuple[str, bool, str]  # name, whether it works, and a version or a remedy


def arguments(parser: Parser) -> None:
    """None."""


def main(args: argparse.Namespace) -> int:
    """Print one line for each check; the exit code is 1 if something is missing that every run needs."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    needed, optional = _needed(), _optional()
    table = Table("check", "", "found", title=f"inducer-bench {__version__}", title_justify="left")
    for what, works, found in needed + optional:
        table.add_row(what, "[green]ok[/]" if works else "[yellow]no[/]", escape(found))
    Console().print(table)
    broken = [what for what, works, _ in needed if not works]
    print(f"needs repair: {', '.join(broken)}" if broken else "Every run that needs no network can start here.")
    return ExitCode.FAILED if broken else ExitCode.DONE


def _needed() -> list[Check]:
    return [
        ("python", True, platform.python_version()),
        *(_checked(package, partial(_package, package)) for package in _PACKAGES),
        _checked("free disk here", _free_disk),
        _checked("write here", lambda: (os.access(Path.cwd(), os.W_OK), "output_dir=FOLDER puts runs elsewhere")),
        _checked("configuration", lambda: (CONF_DIR.is_dir(), f"{sum(1 for _ in CONF_DIR.rglob('*.yaml'))} files")),
        _checked("mini suite", _mini_suite),
    ]


def _optional() -> list[Check]:
    return [
        _checked("CUDA", _cuda),
        _checked("bf16 on the CPU", _bf16),
        _checked("model hub", _hub),
        _checked("Weights & Biases", _wandb),
        _checked("Java for METEOR", _java),
        *_extras(),
    ]


def _extras() -> list[Check]:
    """The extras of this package, and what is installed of each."""
    packages: dict[str, list[str]] = {}
    for match in filter(None, map(_OF_AN_EXTRA.match, requires("inducer-bench") or ())):
        if match["extra"] not in _FOR_DEVELOPERS:
            packages.setdefault(match["extra"], []).append(match["package"])
    return [_checked(f"extra {extra}", partial(_extra, extra, names)) for extra, names in sorted(packages.items())]


def _extra(extra: str, packages: list[str]) -> tuple[bool, str]:
    try:
        return True, ", ".join(f"{name} {version(name)}" for name in packages)
    except PackageNotFoundError:
        return False, f"pip install 'inducer-bench[{extra}]'"


def _checked(what: str, check: Callable[[], tuple[bool, str]]) -> Check:
    """The result of a check, which does not work if it raises anything."""
    try:
        return (what, *check())
    except Exception as error:  # what is broken on a machine is not known beforehand
        return what, False, shown(f"{type(error).__name__}: {first_line(error)}")


def _package(name: str) -> tuple[bool, str]:
    try:
        return True, version(name)
    except PackageNotFoundError:
        return False, f"pip install {name}"


def _free_disk() -> tuple[bool, str]:
    free = shutil.disk_usage(Path.cwd()).free
    return free > _GIB, f"{free / _GIB:.1f} GiB" + ("" if free > _GIB else "; free some space")


def _mini_suite() -> tuple[bool, str]:
    from inducer_bench.mini import suite

    try:
        suite.data_dir("sst2")
        suite.plm_dir("mini_roberta")
    except (KeyError, UserError) as error:
        return False, f"{error}; install the package again"
    return True, "preset=mini runs without a network"


def _cuda() -> tuple[bool, str]:
    from inducer_bench.runs.machine import expected_device

    expected = expected_device("auto")
    if expected.type == "cpu":
        return False, f"runs use the CPU, {expected.threads} thread(s)"
    import torch  # takes seconds, and only it knows whether the driver suits it

    if torch.cuda.is_available():
        return True, ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return False, "there is a GPU, but torch cannot use it; see torch.cuda.is_available()"


def _bf16() -> tuple[bool, str]:
    from inducer_bench.runs.machine import BF16_SAVES, computes_bf16

    if computes_bf16():
        return True, f"{BF16_SAVES}; auto is fp32 here"
    return False, "the system reports no bf16 instructions; trainer.precision=auto is fp32 here"


def _hub() -> tuple[bool, str]:
    if hub.reachable():
        return True, "reachable"
    return False, "not reachable: use preset=mini, or task.data_dir=FOLDER and plm.path=FOLDER or inducer-bench fetch"


def _wandb() -> tuple[bool, str]:
    from inducer_bench.training import wandb_mirror

    if not wandb_mirror.has_key():
        return False, "no key: tracker=wandb writes offline; `wandb login` to change that"
    if not hub.reachable(wandb_mirror.server()):
        return False, "not reachable: tracker=wandb writes offline"
    return True, "key found, reachable"


def _java() -> tuple[bool, str]:
    java, meteor = shutil.which("java"), importlib.util.find_spec("pycocoevalcap")
    if java and meteor:
        done = subprocess.run(
            [java, "-version"], capture_output=True, text=True, errors="replace", timeout=20, check=False
        )
        works = done.returncode == 0
        return works, (done.stderr.splitlines() or ["found"])[0] + ("" if works else "; METEOR will say `not computed`")
    missing = [
        name
        for name, found in (("Java", java), ("the extra: pip install 'inducer-bench[meteor]'", meteor))
        if not found
    ]
    return False, "METEOR will say `not computed`; missing: " + " and ".join(missing)
