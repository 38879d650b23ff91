"""A model with a tuning method on it: what is trained, and how to save it and take it off again."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from inducer_bench import __version__
from inducer_bench.attention import IMPLEMENTATION
from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.methods import anatomy

ATTACHED = "_inducer_bench_attached"  # marks a model that has a method on it
WEIGHTS_FILE, DESCRIPTION_FILE = "adapter.safetensors", "adapter.json"


class TunedModel(nn.Module):
    """Behaves as the transformers model it wraps; knows which parameters the method trains.

    The PLM is frozen; a method's own parameters live inside the model's modules, so that device moves, checkpoints
    and distributed training see them. `detach` restores the model bit for bit.
    """

    def __init__(self, model: PreTrainedModel, options: Any) -> None:
        super().__init__()
        self.model = model
        self.options = options
        self._parts: list[tuple[nn.Module, str]] = []
        self._hooks: list[RemovableHandle] = []
        self._method_names: set[str] = set()
        self._originals: dict[str, Tensor] = {}  # values of existing parameters that are trained
        self._was_trainable = {name: p.requires_grad for name, p in model.named_parameters()}
        self._was_attention = model.config._attn_implementation
        model.__dict__[ATTACHED] = True
        self._plm_names = {name for name, _ in self._base_parameters()}
        self._head_names = set(self._was_trainable) - self._plm_names
        model.requires_grad_(False)

    # -- what a method's `attach` calls ----------------------------------------------------------------------------

    def layers(self) -> Iterator[anatomy.Layer]:
        """The model's transformer layers, lowest first."""
        return anatomy.layers(self.model)

    def add_part(self, host: nn.Module, name: str, part: nn.Module) -> None:
        """Add a new trainable module to `host`, on its device and in its dtype."""
        like = next(host.parameters())
        host.add_module(name, part.to(device=like.device, dtype=like.dtype))
        self._parts.append((host, name))
        added = {id(parameter) for parameter in part.parameters()}
        self._method_names |= {full for full, parameter in self.model.named_parameters() if id(parameter) in added}

    def add_hook(self, handle: RemovableHandle) -> None:
        """Remember a hook, to be removed by `detach`."""
        self._hooks.append(handle)

    def train_existing(self, name: str, parameter: nn.Parameter) -> None:
        """Train a parameter that the PLM already has, as part of the method."""
        self._method_names.add(name)
        self._make_trainable(name, parameter)

    def train_head(self) -> None:
        """Train what the model has beside its PLM: the task's head."""
        for name, parameter in self.head_parameters().items():
            self._make_trainable(name, parameter)

    def use_our_attention(self) -> None:
        """Route the model's attention through `attention.tuned_attention`."""
        self.model.set_attn_implementation(IMPLEMENTATION)
        if self.model.config._attn_implementation != IMPLEMENTATION:
            raise UserError(f"plm: {type(self.model).__name__} does not go through transformers' attention interface")

    # -- what everyone else calls ----------------------------------------------------------------------------------

    def method_parameters(self) -> dict[str, nn.Parameter]:
        """Name -> parameter: what the method trains beside the head."""
        return self._named(self._method_names)

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """Name -> parameter of the task's head, trained or not."""
        return self._named(self._head_names)

    def plm_parameters(self) -> dict[str, nn.Parameter]:
        """Name -> parameter of the pre-trained model itself, without head and method."""
        return self._named(self._plm_names)

    def trained_parameters(self) -> dict[str, nn.Parameter]:
        """Name -> parameter of all that is trained."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def parameter_counts(self) -> dict[str, int | float]:
        """Numbers of parameters: `method`, `head`, `tokens`, `plm`; and `percent`, method of plm."""
        count = {
            "method": sum(p.numel() for p in self.method_parameters().values()),
            "head": sum(p.numel() for p in self.head_parameters().values()),
            "tokens": 0,
            "plm": sum(p.numel() for p in self.plm_parameters().values()),
        }
        return {**count, "percent": 100.0 * count["method"] / count["plm"]}

    def save(self, folder: str | Path) -> None:
        """Write what is trained, and the head even if frozen, as safetensors with a JSON description."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        description = {
            "format": 1,
            "inducer_bench": __version__,
            "model_type": self.model.config.model_type,
            "options": dataclasses.asdict(self.options),
            "train_head": any(p.requires_grad for p in self.head_parameters().values()),
            "parameters": self.parameter_counts(),
        }
        tensors = {name: p.detach().cpu().contiguous() for name, p in self._saved().items()}
        write_atomic(folder / WEIGHTS_FILE, save(tensors))
        write_atomic(folder / DESCRIPTION_FILE, (json.dumps(description, indent=2) + "\n").encode())

    def load_weights(self, file: Path) -> None:
        """Read what `save` wrote.

        Raises:
            UserError: the file's tensors are not those of this method on this model.
        """
        tensors, own = load_file(file), self._saved()
        different = sorted(
            name for name in own.keys() | tensors.keys()
            if name not in own or name not in tensors or own[name].shape != tensors[name].shape
        )  # fmt: skip
        if different:
            raise UserError(f"{file}: does not fit this model; {len(different)} tensors differ, first '{different[0]}'")
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(tensors[name])

    def detach(self) -> PreTrainedModel:
        """Take the method off; the model is as it was before, bit for bit. Returns the model."""
        for handle in self._hooks:
            handle.remove()
        for host, name in self._parts:
            delattr(host, name)
        if self.model.config._attn_implementation != self._was_attention:
            self.model.set_attn_implementation(self._was_attention)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(self._was_trainable[name])
                parameter.grad = None
                if name in self._originals:
                    parameter.copy_(self._originals[name])
        del self.model.__dict__[ATTACHED]
        return self.model

    # -- behaving as the model -------------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own forward pass."""
        return self.model(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)

    def _base_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        base = {id(parameter) for parameter in self.model.base_model.parameters()}
        return ((name, p) for name, p in self.model.named_parameters() if id(p) in base)

    def _named(self, names: set[str]) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self.model.named_parameters() if name in names}

    def _saved(self) -> dict[str, nn.Parameter]:
        return self._named(self._method_names | self._head_names)

    def _make_trainable(self, name: str, parameter: nn.Parameter) -> None:
        if not parameter.is_meta:
            self._originals[name] = parameter.detach().cpu().clone()
        parameter.requires_grad_(True)
