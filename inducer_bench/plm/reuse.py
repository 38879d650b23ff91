"""One loaded PLM for consecutive jobs of a process: read from disk once, and moved to its device once.

A job takes it, and gives it back with its method off, which leaves every weight as it was, bit for bit. A job that
fails gives nothing back: what it left behind is not trusted, and the next job reads the PLM anew.
"""

import gc
from collections.abc import Hashable
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from inducer_bench.plm.fetch import plm_files
from inducer_bench.plm.load import read_model
from inducer_bench.plm.options import PlmOptions


@dataclass(frozen=True)
class SharedPlm:
    """A PLM, what it was read from, and the names of the weights that are new in it: those of a task's head."""

    model: PreTrainedModel
    source: Hashable
    new: frozenset[str]


_kept: SharedPlm | None = None  # at most one; none while a job has it


def take(plm: PlmOptions, auto_class: str, num_labels: int | None) -> SharedPlm:
    """The PLM as `plm.load_model` gives it: the one that was given back, with a new head, or a newly loaded one.

    Raises:
        UserError: see `plm.load_model`.
    """
    global _kept
    kept, _kept = _kept, None
    source = _source(plm, auto_class, num_labels)
    if kept is not None:
        if kept.source == source:
            _renew(kept)
            return kept
        del kept  # before another one is loaded
        free_memory()
    model, new = read_model(plm, auto_class, num_labels)
    return SharedPlm(model, source, new)


def give_back(plm: SharedPlm) -> None:
    """Keep a PLM, with no method on it, for the next job."""
    global _kept
    _kept = plm if plm.source is not None else None


def free_memory() -> None:
    """Free what an earlier job of this process has left: on a GPU, and if it failed, in reference cycles."""
    if _kept is None:  # else that job went well, and left none; looking for them takes half a second
        gc.collect()
    torch.cuda.empty_cache()


def _source(plm: PlmOptions, auto_class: str, num_labels: int | None) -> Hashable:
    """What decides a loaded PLM: its files as they are now, and its head. None: it is drawn, not read."""
    if plm.weights == "random":
        return None
    files = sorted(path for path in plm_files(plm).iterdir() if path.suffix in (".json", ".safetensors"))
    stamps = tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return stamps, plm.tokenizer, auto_class, num_labels  # the tokenizer decides `pad_token_id`


def _renew(plm: SharedPlm) -> None:
    """Draw the new weights from torch's global generator, as loading does: on the CPU, in the same order."""
    for name in plm.new:
        parameter = plm.model.get_parameter(name)
        parameter.data = parameter.data.cpu()
        plm.model.get_submodule(name.rpartition(".")[0])._is_hf_initialized = False  # type: ignore[assignment]
    plm.model.initialize_weights()
    plm.model.eval()
