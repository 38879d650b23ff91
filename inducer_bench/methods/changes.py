"""What a library changes in a model, so that it can be undone: modules, their attributes and the values of parameters.

before = Before(model)
...                                            # the library does what it does
tuned.on_detach(before.undo(), before.values())
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

Path = tuple[str] | tuple[str, Any]  # an attribute, or an entry of an attribute that is a dictionary


class _Absent:
    """In place of a value: there was none. The class itself is used, which `deepcopy` does not copy."""


class Before:
    """A model as it is now: every module's class and attributes, its configuration, and copies of its parameters."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.parameters = dict(model.named_parameters(remove_duplicate=False))
        self._copies = [(p, p.detach().cpu().clone()) for p in model.parameters() if not p.is_meta]
        self._owners: list[object] = [*model.modules(), model.config, getattr(model, "generation_config", None)]
        self._classes = [type(owner) for owner in self._owners]
        self._attributes = [dict(_attributes(owner)) for owner in self._owners]

    def undo(self) -> Callable[[], None]:
        """The step that gives back every attribute that is another now."""
        changes: list[tuple[object, Path, Any]] = []
        for owner, kind, old in zip(self._owners, self._classes, self._attributes, strict=True):
            if type(owner) is not kind:
                changes.append((owner, ("__class__",), kind))
            now = dict(_attributes(owner))
            changes += [(owner, path, value) for path, value in old.items() if now.get(path, _Absent) is not value]
            added = now.keys() - old.keys()
            changes += [(owner, path, _Absent) for path in added if len(path) == 1 or path[:1] not in added]
        return partial(_give_back, changes)

    def values(self) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """The parameters whose values are others now, bit for bit, with the values that they had."""
        for parameter, value in self._copies:
            if not _same_bits(parameter.detach().cpu(), value):
                yield parameter, value


def _attributes(owner: object) -> Iterator[tuple[Path, Any]]:
    for name, value in list(getattr(owner, "__dict__", {}).items()):
        yield (name,), value
        if isinstance(value, dict):
            yield from (((name, key), entry) for key, entry in value.items())


def _give_back(changes: list[tuple[object, Path, Any]]) -> None:
    for owner, (name, *key), value in changes:
        if name == "__class__":
            owner.__class__ = value
            continue
        place, entry = (vars(owner)[name], key[0]) if key else (vars(owner), name)
        if value is _Absent:
            place.pop(entry, None)
        else:
            place[entry] = value


def _same_bits(one: Tensor, other: Tensor) -> bool:
    if (one.dtype, one.shape, one.stride()) != (other.dtype, other.shape, other.stride()):
        return False
    return torch.equal(*(tensor.contiguous().flatten().view(torch.uint8) for tensor in (one, other)))
