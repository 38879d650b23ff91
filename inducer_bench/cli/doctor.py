"""`inducer-bench doctor`: check this machine, and say what to do about problems."""

import importlib.util
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from inducer_bench import hub
from inducer_bench.cli.parser import Parser
from inducer_bench.config.compose import CONF_DIR
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.mini import suite
from inducer_bench.version import __version__

_PACKAGES = "torch transformers accelerate datasets hydra-core wandb scikit-learn rouge-score sacrebleu".split()
_GIB = 2**30
Check = tuple[str, bool, str]  # name, whether it works, and a version or a remedy


def main(arguments: list[str]) -> int:
    """Print one line for each check; the exit code is 1 if something is missing that every run needs."""
    Parser(prog="inducer-bench doctor", description=__doc__).parse_args(arguments)
    needed, optional = _needed(), _optional()
    table = Table("check", "", "found", title=f"inducer-bench {__version__}", title_justify="left")
    for what, works, found in needed + optional:
        table.add_row(what, "[green]ok[/]" if works else "[yellow]no[/]", escape(found))
    Console().print(table)
    broken = [what for what, works, _ in needed if not works]
    print(f"needs repair: {', '.join(broken)}" if broken else "Every run that needs no network can start here.")
    return ExitCode.FAILED if broken else ExitCode.DONE


def _needed() -> list[Check]:
    checks: list[Check] = [("python", True, platform.python_version())]
    for package in _PACKAGES:
        try:
            checks.append((package, True, version(package)))
        except PackageNotFoundError:
            checks.append((package, False, f"pip install {package}"))
    free = shutil.disk_usage(Path.cwd()).free
    checks.append(
        ("free disk here", free > _GIB, f"{free / _GIB:.1f} GiB" + ("" if free > _GIB else "; free some space"))
    )
    checks.append(("write here", os.access(Path.cwd(), os.W_OK), "output_dir=FOLDER puts runs elsewhere"))
    checks.append(("configuration", CONF_DIR.is_dir(), f"{sum(1 for _ in CONF_DIR.rglob('*.yaml'))} files"))
    checks.append(_mini_suite())
    return checks


def _mini_suite() -> Check:
    try:
        suite.data_dir("sst2")
        suite.plm_dir("mini_roberta")
    except (KeyError, UserError) as error:
        return "mini suite", False, f"{error}; install the package again"
    return "mini suite", True, "preset=mini runs without a network"


def _optional() -> list[Check]:
    return [_cuda(), _hub(), _wandb(), _java()]


def _cuda() -> Check:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return "CUDA", True, ", ".join(names)
    return "CUDA", False, f"runs use the CPU, {torch.get_num_threads()} threads"


def _hub() -> Check:
    if hub.reachable():
        return "model hub", True, "reachable"
    return "model hub", False, "not reachable: use preset=mini, or plm.path=FOLDER and task.data_dir=FOLDER"


def _wandb() -> Check:
    from inducer_bench.training import wandb_mirror

    if not wandb_mirror.has_key():
        return "Weights & Biases", False, "no key: tracker=wandb writes offline; `wandb login` to change that"
    if not hub.reachable(wandb_mirror.server()):
        return "Weights & Biases", False, "not reachable: tracker=wandb writes offline"
    return "Weights & Biases", True, "key found, reachable"


def _java() -> Check:
    java, meteor = shutil.which("java"), importlib.util.find_spec("pycocoevalcap")
    if java and meteor:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
        return "Java for METEOR", True, (done.stderr.splitlines() or ["found"])[0]
    missing = [
        name
        for name, found in (("Java", java), ("the extra: pip install 'inducer-bench[meteor]'", meteor))
        if not found
    ]
    return "Java for METEOR", False, "METEOR will say `not computed`; missing: " + " and ".join(missing)
