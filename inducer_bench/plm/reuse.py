"""One loaded PLM for consecutive jobs of a process: read from disk once, and moved to its device once.

    with reuse.borrowed(plm, auto_class, num_labels) as model:
        ...  # attach a method, train, detach it

A job that ends normally gives the PLM back with its method detached, which leaves every weight as it was, bit for bit.
A job that fails gives nothing back: the state of its PLM is not trusted, and the next job loads the PLM again.
"""

import gc
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from inducer_bench.methods.tuned import ATTACHED
from inducer_bench.plm.fetch import plm_files
from inducer_bench.plm.files import read_from
from inducer_bench.plm.load import read_model
from inducer_bench.plm.options import PlmOptions


@dataclass(frozen=True)
class _Loaded:
    """A PLM, the files and options it was read from, and the names of its new weights: those of a task's head."""

    model: PreTrainedModel
    source: Hashable
    new: frozenset[str]


_kept: _Loaded | None = None  # at most one; none while a job has it


@contextmanager
def borrowed(plm: PlmOptions, auto_class: str, num_labels: int | None) -> Iterator[PreTrainedModel]:
    """The PLM as `plm.load.load_model` gives it, kept for the next job if the block ends normally.

    It is the one that an earlier job gave back, with a new head, or a newly loaded one.

    Raises:
        UserError: see `plm.load.load_model`.
    """
    global _kept
    loaded = _take(plm, auto_class, num_labels)
    yield loaded.model  # an exception in the block is raised here
    assert ATTACHED not in loaded.model.__dict__, "a PLM is given back with its method detached"
    _kept = loaded if loaded.source is not None else None


def free_memory() -> None:
    """Free what an earlier job of this process has left: memory on a GPU, and reference cycles if the job failed."""
    if _kept is None:  # otherwise that job succeeded and left no cycles; looking for them takes half a second
        gc.collect()
    torch.cuda.empty_cache()


def _take(plm: PlmOptions, auto_class: str, num_labels: int | None) -> _Loaded:
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
    return _Loaded(model, source, new)


def _source(plm: PlmOptions, auto_class: str, num_labels: int | None) -> Hashable:
    """The identity of a loaded PLM: its files as they are now, and its head. None for random weights."""
    if plm.weights == "random":
        return None
    files = read_from(plm_files(plm), "plm.path", weights=True)
    stamps = tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return stamps, plm.tokenizer, auto_class, num_labels  # the tokenizer decides `pad_token_id`


def _renew(plm: _Loaded) -> None:
    """Draw the new weights from torch's global generator, as loading does: on the CPU, in the same order.

    `_is_hf_initialized` is private to transformers: `initialize_weights` skips the modules that it marks.
    """
    model: Any = plm.model  # its methods are not typed
    for name in plm.new:
        parameter = model.get_parameter(name)
        parameter.data = parameter.data.cpu()
        model.get_submodule(name.rpartition(".")[0])._is_hf_initialized = False
    model.initialize_weights()
    model.eval()
