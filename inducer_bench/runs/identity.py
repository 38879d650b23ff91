"""The identity of a run: the hash of its configuration, the algorithm's version, the data, the PLM and the user's code.

Data and PLMs from the hub are identified by the commit that their revision stands for.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.files import sha256
from inducer_bench.metrics.table import is_users
from inducer_bench.options import user_module
from inducer_bench.plm import files as plm_files
from inducer_bench.plm import gguf_files
from inducer_bench.plm.fetch import plm_commit
from inducer_bench.plm.location import plm_folder, plm_gguf, tokenizer_folder
from inducer_bench.plm.options import PlmOptions
from inducer_bench.runs.fetch import learn_commits
from inducer_bench.tasks import source
from inducer_bench.tasks.options import TaskOptions
from inducer_bench.version import ALGORITHM

# Keys that decide where things are and what is written, but not what is computed.
_NEUTRAL = {
    "task": {"keep_inputs"},
    # the PLM's fingerprint stands for them
    "plm": {"path", "hub", "revision", "tokenizer", "architecture", "recipes", "license", "wheel"},
    "trainer": {"log_every", "checkpoint_minutes", "checkpoint_every", "keep_checkpoint", "gpu_memory"},
}
_NEUTRAL_SECTIONS = {"seeds", "tracker", "output_dir", "dry_run", "optimized_metric", "suite", "recipe", "search"}
# Keys that came later, with the value that computes what was computed before: a run with that value keeps its hash.
_LATER: dict[str, dict[str, Any]] = {
    "trainer": {
        "batches": "windows", "deterministic": False, "frozen": "fp32", "gradient_checkpointing": False,
        "schedule_args": {},
    },
    "protocol": {"score": "reported", "hold_out": "examples"},
    "task": {"sample": "first"},
    "method": {"key_residual": "query", "self_temperature": 1.0},
}  # fmt: skip
# Of the trainer: they change numbers by rounding alone. Tables average over them, and footnote mixes of precisions.
_MACHINE = {
    "device", "precision", "frozen", "deterministic", "micro_batch_size", "eval_batch_size", "gradient_checkpointing",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Identity:
    """The identity of a run; equal identities give equal results."""

    hash: str
    data: str
    plm: str


class Planned(NamedTuple):
    """One of several runs: its configuration, its identity and its folder."""

    config: ExperimentConfig
    identity: Identity
    folder: Path


def identify(config: ExperimentConfig) -> Identity:
    """The identity of an experiment; the hub is asked for commits that the local cache does not know.

    Raises:
        UserError: local data or PLM files are missing.
    """
    learn_commits(config)
    return identity_here(config)


def identity_here(config: ExperimentConfig) -> Identity:
    """The identity of an experiment as far as this machine knows it; the hub is not asked.

    Raises:
        UserError: local data or PLM files are missing.
    """
    data, plm = source.fingerprint(config.task), plm_fingerprint(config.plm)
    return Identity(hash=_hash(canonical(config), ALGORITHM, data, plm, _user_code(config)), data=data, plm=plm)


def recorded_hash(config: dict[str, Any], algorithm: int, data: str, plm: str) -> str | None:
    """The hash of a recorded configuration; None where it names a user's modules, whose files are not recorded.

    Args:
        config: plain values, as a record has them; its sections have keys.
        algorithm, data, plm: of the same record.
    """
    task, method = config["task"], config["method"]
    metrics = task.get("metrics")
    names = [method.get("name"), task.get("kind"), *(metrics if isinstance(metrics, list) else ())]
    if any(is_users(str(name)) for name in names):
        return None
    canonical = without_neutral({**config, "task": _without(TaskOptions.PLACE, task)})
    return _hash(canonical, algorithm, data, plm, {})


def canonical(config: ExperimentConfig) -> dict[str, Any]:
    """The configuration as plain values, without the keys that change no number."""
    return without_neutral({**dataclasses.asdict(config), "task": config.task.without_place()})


def _hash(config: dict[str, Any], algorithm: int, data: str, plm: str, code: dict[str, str]) -> str:
    identity = {"config": config, "algorithm": algorithm, "data": data, "plm": plm, **({"code": code} if code else {})}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def without_neutral(values: dict[str, Any]) -> dict[str, Any]:
    """A configuration as plain values, without the keys that change no number, and later keys at their old value."""
    kept = _without(_NEUTRAL_SECTIONS, values)
    kept |= {section: _without(keys, values[section]) for section, keys in _NEUTRAL.items()}
    for section, before in _LATER.items():
        kept[section] = {key: value for key, value in kept[section].items() if before.get(key, ...) != value}
    if kept["task"].get("max_train") is None and kept["task"].get("max_eval") is None:
        kept["task"] = _without({"sample"}, kept["task"])  # of all examples there is one sample
    if kept["protocol"].get("select_on") == "dev" or kept["task"].get("family") == "nlu":
        kept["protocol"] = _without({"hold_out"}, kept["protocol"])  # nothing is, or each example is its own source
    return kept


def _without(keys: set[str], values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def setting(config: ExperimentConfig) -> dict[str, Any]:
    """The canonical configuration without the seed and the machine: equal for runs that a table averages."""
    values = _without({"seed"}, canonical(config))
    return {**values, "trainer": _without(_MACHINE, values["trainer"])}


def setting_key(config: ExperimentConfig) -> str:
    """The hash of a setting, in hexadecimal."""
    return hashlib.sha256(json.dumps(setting(config), sort_keys=True).encode()).hexdigest()


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Every value of a configuration as text, by its dotted key: `trainer.lr`."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return found


def run_folder(config: ExperimentConfig, identity: Identity) -> Path:
    """`<output_dir>/<task>/<plm>/<method>/<hash>`."""
    return Path(config.output_dir) / config.task.name / config.plm.name / config.method.name / identity.hash


def plm_fingerprint(plm: PlmOptions) -> str:
    """The fingerprint of a PLM and its tokenizer.

    It is the sha256 of a local PLM's files, the type and sha256 of its GGUF file, the name and commit of one on the
    hub, or the sha256 of the architecture for random weights. The revision stands for a commit that is not known yet;
    such a PLM is not loaded.

    Raises:
        UserError: a folder cannot be read, or is not one of a PLM; see `plm.files`.
    """
    folder = plm_folder(plm)
    if folder is None:
        model = f"hub:{plm.hub}@{plm_commit(plm) or plm.revision}"
        if plm.weights == "random":
            sizes = hashlib.sha256(json.dumps(plm.architecture, sort_keys=True).encode()).hexdigest()[:16]
            model = f"random:{sizes}" if plm.tokenizer else f"random:{sizes} tokenizer:{model}"
    elif (file := plm_gguf(plm)) is not None:
        model = gguf_files.fingerprint(file)
    else:
        model = _sha256(folder, "plm.path", weights=plm.weights == "pretrained")
    if plm.tokenizer is None:
        return model
    return f"{model} tokenizer:{_sha256(tokenizer_folder(plm.tokenizer), 'plm.tokenizer', weights=False)}"


def _user_code(config: ExperimentConfig) -> dict[str, str]:
    """Module -> sha256 of its file, for every module outside this package that the configuration names.

    What such a module imports is not covered.
    """
    metrics = {name.rpartition(".")[0] for name in config.task.metrics if is_users(name)}
    modules = {name for name in (config.method.name, config.task.kind) if "." in name} | metrics
    files = {name: user_module("configuration", name).__file__ for name in sorted(modules)}
    return {name: sha256(Path(file)).hex() for name, file in files.items() if file is not None}


def _sha256(folder: Path, key: str, weights: bool) -> str:
    return plm_files.fingerprint(plm_files.read_from(folder, key, weights), key)
