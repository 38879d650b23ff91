"""The page of all configuration keys, from the options classes and the files of `conf/`."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from inducer_bench.config.choices import choices
from inducer_bench.config.compose import composition
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.files import CONF_DIR
from inducer_bench.methods.options import METHODS, method_title
from inducer_bench.plm.options import PlmOptions
from inducer_bench.search.options import TuneOptions
from inducer_bench.tasks.options import KINDS
from inducer_bench.training.options import ProtocolOptions, TrackerOptions, TrainerOptions
from scripts.docs.fields import FieldDoc, fields

INTRODUCTION = """\
# Configuration

All keys, from the options classes of the package and the files of `conf/`. `inducer-bench --cfg job ...` prints the
resolved values for a command line. Write `key=value`; an unknown key or an impossible value ends with one line and exit
code 2, before anything is loaded. A default in *italics* comes from the choice of another group.
"""
RECIPE = "*of the method*"  # published with it: ${recipe:...}


def page() -> str:
    """The page, as Markdown."""
    return "\n".join([INTRODUCTION, *_groups(), *_sections()])


def undocumented() -> list[str]:
    """The keys that have no comment in their class or file."""
    return [key for _, keys in _all() for key, row in keys if not row[-1]]


def _groups() -> Iterator[str]:
    """A table of the groups and their choices."""
    yield "## Groups\n\nEach takes one choice, as in `task=sst2`.\n\n| group | choices |\n|---|---|"
    for group in sorted(path.name for path in CONF_DIR.iterdir() if path.is_dir() and path.name != "table"):
        yield f"| `{group}` | {', '.join(f'`{choice}`' for choice in choices(group))} |"
    yield ""


def _sections() -> Iterator[str]:
    for title, keys in _all():
        columns = len(keys[0][1]) - 3 if keys else 0
        defaults = ["default"] if columns == 0 else ["`trainer=nlu`", "`trainer=nlg`"]
        yield f"## {title}\n\n| key | allowed | {' | '.join(defaults)} | meaning |\n|{'---|' * (3 + len(defaults))}"
        yield from (f"| `{key}` | {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for key, row in keys)
        yield ""


def _all() -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    """Title, then (key, [allowed, default of each column, meaning]) of each section."""
    top = composition([])
    inside = {"task", "plm", "method", "trainer", "protocol", "tracker"}
    general = [field for field in fields(ExperimentConfig) if field.key.split(".")[0] not in inside]
    yield "General", [_row(field, "", [top], ["config.yaml"]) for field in general]
    nlg = composition(["task=webnlg"])
    yield "`trainer`", _rows(TrainerOptions, "trainer", [top, nlg], ["trainer/nlu.yaml", "trainer/nlg.yaml"])
    yield "`protocol`", _rows(ProtocolOptions, "protocol", [top], ["protocol/paper.yaml", "protocol/clean.yaml"])
    yield "`tracker`", _rows(TrackerOptions, "tracker", [top], ["tracker/wandb.yaml"])
    yield "`plm`", _rows(PlmOptions, "plm", [top], ["plm/roberta-base.yaml"])
    for kind, task, file in (
        ("classification", "classification", "task/classification.yaml"),
        ("text_to_text", "text_to_text", "task/text_to_text.yaml"),
        ("coqa", "coqa", "task/coqa.yaml"),
        ("webnlg", "webnlg", "task/webnlg.yaml"),
    ):
        files = [file, "task/_generation.yaml", "task/classification.yaml"]
        yield f"`task` of kind `{kind}`", _rows(KINDS[kind], "task", [composition([f"task={task}"])], files)
    for name, kind_of_method in METHODS.items():
        files = [f"method/{name}.yaml", "method/lora.yaml", "method/adapter.yaml", "method/prefix.yaml"]
        node = composition([f"method={name}"])
        rows = [row for row in _rows(kind_of_method, "method", [node], files) if row[0] != "method.name"]
        if rows:
            yield f"`method={name}`: {method_title(name)}", rows
    yield "`tune`", _rows(TuneOptions, "tune", [top], ["config.yaml"])


def _rows(kind: type[Any], group: str, composed: list[DictConfig], files: list[str]) -> list[tuple[str, list[str]]]:
    return [_row(field, f"{group}.", composed, files) for field in fields(kind)]


def _row(field: FieldDoc, prefix: str, composed: list[DictConfig], files: list[str]) -> tuple[str, list[str]]:
    key = prefix + field.key
    defaults = [_written(_value(node, key, field.default)) for node in composed]
    meaning = field.meaning or next(filter(None, (_comment(file, field.key) for file in files)), "")
    return key, [field.allowed, *defaults, meaning]


def _value(node: Any, key: str, default: Any) -> Any:
    """A value as it stands in the files, without being resolved."""
    plain: Any = OmegaConf.to_container(node, resolve=False)
    for part in key.split("."):
        if not isinstance(plain, dict) or part not in plain:
            return default
        plain = plain[part]
    return plain


def _written(value: Any) -> str:
    """A default as YAML writes it."""
    if value is dataclasses.MISSING:
        return ""
    if value is None or isinstance(value, bool):
        return f"`{'null' if value is None else str(value).lower()}`"
    if isinstance(value, str) and value.startswith("${recipe:"):
        return RECIPE
    if isinstance(value, str) and "${" in value:
        return f"*`{value}`*"
    if isinstance(value, str) and value in ("", "???"):
        return "none" if value else "*must be given*"
    if isinstance(value, dict) and len(str(value)) > 60:
        return "*see its file*"
    written = str(value).replace("'", "").replace("None", "null") if isinstance(value, dict | list) else str(value)
    return f"`{written}`"


def _comment(file: str, key: str) -> str:
    """The comment behind a key in a file of `conf/`."""
    path: Path = CONF_DIR / file
    if not path.is_file():
        return ""
    name = re.escape(key.rpartition(".")[2])
    match = re.search(rf"^\s*{name}:(?:\s[^#\n]*|)#\s*(.+)$", path.read_text(encoding="utf-8"), re.M)
    return match[1] if match else ""
