"""One loaded PLM for consecutive jobs of a process: read from disk once, and moved to its device once.

    with reuse.borrowed(plm, auto_class, num_labels) as model:
        ...  # attach a method, train, detach it

A job that ends normally gives the PLM back with its method detached, which leaves every weight as it was, bit for bit.
This is verified for every method, by a fingerprint (0.9 s for each GB of weights on a CPU): a PLM that is not as it was
loaded is not used again. A job that fails gives nothing back: the state of its PLM is not trusted, and the next job
loads the PLM again.
"""

import gc
import json
import logging
import zlib
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from inducer_bench import notices
from inducer_bench.methods.layers import pooler_parameters
from inducer_bench.methods.tuned import ATTACHED
from inducer_bench.plm.fetch import plm_files
from inducer_bench.plm.files import read_from
from inducer_bench.plm.load import draw_anew, read_model
from inducer_bench.plm.location import source_key
from inducer_bench.plm.options import PlmOptions

log = logging.getLogger("inducer_bench")


@dataclass(frozen=True)
class _Loaded:
    """A PLM, the files and options it was read from, and the names of its new weights: those of a task's head."""

    model: PreTrainedModel
    source: Hashable
    new: frozenset[str]
    fingerprint: int = 0  # as it was loaded; of a PLM with random weights, which is not kept, none


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
    _tell_new_pooler(plm, loaded)
    yield loaded.model  # an exception in the block is raised here
    assert ATTACHED not in loaded.model.__dict__, "a PLM is given back with its method detached"
    if loaded.source is None:
        return
    if _fingerprint(loaded.model, loaded.new) == loaded.fingerprint:
        _kept = loaded
    else:
        log.warning("plm: '%s' came back from this job changed; the next job loads it again", plm.name)


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
            draw_anew(kept.model, kept.new)
            return kept
        del kept  # before another one is loaded
        free_memory()
    model, new = read_model(plm, auto_class, num_labels)
    return _Loaded(model, source, new, 0 if source is None else _fingerprint(model, new))


def _tell_new_pooler(plm: PlmOptions, loaded: _Loaded) -> None:
    """Say that the head has a pooler that the files lack, as those of a masked language model do."""
    pooler = pooler_parameters(loaded.model)
    if plm.weights == "pretrained" and (new := pooler.keys() & loaded.new):
        count, kind = sum(pooler[name].numel() for name in new), type(loaded.model).__name__
        notices.tell(
            f"plm: '{plm.name}' was saved without a pooler, which {kind} has; its {count:,} parameters start from the "
            "seed, as the rest of the head"
        )


def _source(plm: PlmOptions, auto_class: str, num_labels: int | None) -> Hashable:
    """The identity of a loaded PLM: its files as they are now, and its head. None for random weights."""
    if plm.weights == "random":
        return None
    files = read_from(plm_files(plm), source_key(plm), weights=True)
    stamps = tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return stamps, plm.tokenizer, auto_class, num_labels  # the tokenizer decides `pad_token_id`


def _fingerprint(model: PreTrainedModel, new: frozenset[str]) -> int:
    """A checksum of all that a job must leave as it was, on any device: modules, hooks, settings, weights, buffers.

    The new weights are drawn again for each job, and `pad_token_id` follows from the tokenizer, as the source does.
    """
    generation = getattr(model, "generation_config", None)
    described = {
        "modules": {
            name: (type(module).__qualname__, len(module._forward_hooks), len(module._forward_pre_hooks))
            for name, module in model.named_modules()
        },
        "parameters": {name: (str(p.dtype), p.stride(), p.requires_grad) for name, p in model.named_parameters()},
        "attention": model.config._attn_implementation,
        "config": {**model.config.to_dict(), "pad_token_id": None},
        "generation": generation and generation.to_dict(),
    }
    checksum = zlib.crc32(json.dumps(described, sort_keys=True, default=str).encode())
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name not in new:
            checksum = zlib.crc32(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data, checksum)
    return checksum
