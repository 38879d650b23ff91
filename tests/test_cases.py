"""Small inputs on which such tools have failed, in `../shared/cases`, where they are: each ends as its README says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("INDUCER_BENCH_CASES", Path(__file__).parents[2] / "shared" / "cases"))
CASES = sorted(path.name for path in FOLDER.glob("*") if (path / "README.md").is_file())
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CASES, reason="needs the failing inputs in ../shared/cases"),
]


def _refused(*words: str) -> Callable[[str, int], bool]:
    """Exit code 2, and a line with these words."""
    return lambda text, code: code == 2 and any(all(word in line for word in words) for line in text.splitlines())


def _done(text: str, code: int) -> bool:
    return code == 0


def _labels_agree(text: str, code: int) -> bool:
    """The labels of the predictions of six processes."""
    codes = re.findall(r'(?:"label": \d+ )+', text)
    return code == 0 and len(codes) == 6 and len(set(codes)) == 1


def _short(text: str, code: int) -> bool:
    """The lengths of two messages."""
    lengths = [int(line) for line in text.split()]
    return len(lengths) == 2 and all(50 < length < 1000 for length in lengths)


def _printed_twice(text: str, code: int) -> bool:
    lines = [line for line in text.splitlines() if line.startswith("{")]
    return len(lines) == 4 and lines[:2] == lines[2:]


EXPECTED: dict[str, Callable[[str, int], bool]] = {
    "csv-long-field": _done,
    "decoder-empty-text": _done,
    "label-order": _labels_agree,
    "lone-surrogate": _refused("data/", "line "),
    "max-length-special-tokens": _refused("task.max_length", "found 1"),
    "message-length": _short,
    "missing-label": _refused("line 4", "empty"),
    "numeric-column-names": _done,
    "optuna-unknown-metric": _refused("hydra/sweeper", "unknown 'optuna'"),  # its released plugin needs Optuna 2
    "override-quotes": lambda text, code: len(re.findall("^dry run", text, re.M)) == 3 and "task.data_dir" in text,
    "predict-line-separators": _printed_twice,
    "roberta-padding-index": _refused("task.max_length: found 256; allowed: at most 254"),
    "sweeps-same-second": lambda text, code: "sweep of 1 jobs:" in text and "good job: 0" in text,
    "task-name-in-path": lambda text, code: "task.name: found 'a/b'" in text,
    "wandb-project-name": _refused("tracker.project", "team/project"),
    "webnlg-nested-text": lambda text, code: code == 0 and '"Ada Low was born in Rivertown."' in text,
    "webnlg-no-comment": lambda text, code: code == 0 and '"references": [""]' not in text and '"references"' in text,
}


@pytest.mark.parametrize("name", CASES)
def test_case_comes_out_as_its_readme_says(name, tmp_path):
    shutil.copytree(FOLDER / name, tmp_path / name)
    script = re.search(r"```\n(.*?)\n```", (FOLDER / name / "README.md").read_text(), re.S)
    assert script is not None
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["sh", "-c", script[1]], cwd=tmp_path / name, env={**os.environ, "PATH": path}, timeout=300, check=False,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert "Traceback" not in ended.stdout, ended.stdout[-3000:]
    assert ended.returncode in (0, 2), ended.stdout[-3000:]
    assert EXPECTED.get(name, lambda text, code: True)(ended.stdout, ended.returncode), ended.stdout[-3000:]
