"""A model with a tuning method attached: what is trained, how to save it, and how to detach the method.

Parts keep no activations. Where a hook hands something to a later hook of the same forward pass (`inducer.py`,
`adapter.py`, `prefix.py`), it goes through a variable of the thread: any number of threads may run one model, and
replicas of `nn.DataParallel`, which share the hooks of the original, may run side by side. Gradient checkpointing
reruns a layer as a whole, in one thread, and so hands it over again.

What a tuned model knows of its model (parameters, and the steps that `detach` takes) refers to the objects themselves,
so that `copy.deepcopy` of a tuned model is a tuned model of its own.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from inducer_bench.errors import UserError
from inducer_bench.methods import layers, positions, saved
from inducer_bench.methods.architectures import Layout
from inducer_bench.methods.attention import IMPLEMENTATION, refuse_probabilities
from inducer_bench.methods.options import MethodOptions, method_title
from inducer_bench.methods.parts import Appendable, HasDeployedForm, Mergeable
from inducer_bench.methods.saved import Description
from inducer_bench.version import __version__

ATTACHED = "_inducer_bench_attached"  # marks every module of a model that has a method attached


class TunedModel(nn.Module):
    """Behaves as the transformers model it wraps; knows which parameters the method trains.

    The model's own parameters are frozen; those of the method live inside the model's modules, so that device moves,
    checkpoints and distributed training see them.

    To use it: `summary`; `trained_parameters` for the optimizer, of which `method_parameters`, `head_parameters` and
    `token_parameters` are parts; `parameter_counts`; `save`, which `ib.load` reads; `merge`; and `detach`, which
    restores the model bit for bit. `model` is the transformers model, and its attributes are also those of this object.

    For the function `attach` of a method: `layers`, `add_part`, `add_hook`, `replace_forward`, `train_existing`,
    `use_our_attention`; and for special tokens and libraries `add_tokens`, `adopt`, `on_detach`.
    """

    def __init__(self, model: PreTrainedModel, options: MethodOptions, layout: Layout | None = None) -> None:
        super().__init__()
        self.model = model
        self.options = options
        self.layout = layout  # of an architecture that this package does not know
        self._parts: list[object] = []  # modules that were added, or what a library has put into the model
        self._undo: list[Callable[[], object]] = []  # steps that restore the model, last added first
        self._plm = layers.pretrained_parameters(model)
        self._head = _without(model.parameters(), self._plm)
        self._method: list[nn.Parameter] = []
        self._tokens: list[nn.Parameter] = []
        self.wrapper = layers.Unregistered[Any](None)  # what a library has wrapped around the model
        self._originals: list[tuple[nn.Parameter, Tensor]] = []  # existing parameters that change; their values
        self._freeze()

    def _freeze(self) -> None:
        """Freeze the model and mark it; what is changed here, `detach` restores last."""
        model = self.model
        was_trainable = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        attention, modules = model.config._attn_implementation, list(model.modules())
        if attention == "sdpa":
            model.set_attn_implementation(IMPLEMENTATION)  # the same without a part, and faster on a CPU
        model.requires_grad_(False)
        for module in modules:
            module.__dict__[ATTACHED] = True
        self._undo += [
            partial(_remove_mark, modules),
            partial(_restore_trainable, was_trainable),
            self._restore_values,
            partial(_restore_attention, model, attention),
        ]

    # -- for a method's `attach` ---------------------------------------------------------------------------------------

    def layers(self) -> Iterator[layers.Layer]:
        """The model's transformer layers, lowest first."""
        return layers.layers(self.model, self.layout)

    def add_part(self, host: nn.Module, name: str, part: nn.Module) -> None:
        """Add a new trainable module to `host`, on its device and in its dtype.

        Raises:
            UserError: `host` has something of this name already, such as the part of another method.
        """
        self._add_module(host, name, part)
        self._method += part.parameters()

    def add_tokens(self, host: nn.Module, name: str, tokens: nn.Module) -> None:
        """Add a module whose parameters are rows of special tokens: trained, but counted separately.

        Raises:
            UserError: see `add_part`.
        """
        self._add_module(host, name, tokens)
        self._tokens += tokens.parameters()

    def replace_forward(self, module: nn.Module, forward: Callable[..., Tensor]) -> None:
        """Replace what a module of the PLM computes."""
        module.__dict__["forward"] = forward
        self._undo.append(partial(delattr, module, "forward"))

    def add_hook(self, handle: RemovableHandle) -> None:
        """Keep the handle of a hook, for `detach` to remove it."""
        self._undo.append(handle.remove)

    def adopt(self, wrapped: nn.Module, bridge: Mergeable, parameters: list[nn.Parameter]) -> None:
        """Take over what a library has put into the model: its wrapper, how to merge it, and the new parameters."""
        self.wrapper = layers.Unregistered[Any](wrapped)
        self._parts.append(bridge)
        self._method += parameters

    def on_detach(self, undo: Callable[[], object], values: Iterable[tuple[nn.Parameter, Tensor]] = ()) -> None:
        """Let `detach` take a step, and give existing parameters these values."""
        self._undo.append(undo)
        self._originals += values

    def complete(self) -> None:
        """Let the model take `logits_at`, and refuse what it can no longer do as transformers promises."""
        model: Any = self.model
        if (output := layers.output_embedding(model)) is not None:
            self.add_hook(output.register_forward_pre_hook(positions.select))
        if model.config._attn_implementation == IMPLEMENTATION:
            body = layers.body(model)
            self.add_hook(body.register_forward_pre_hook(refuse_probabilities, with_kwargs=True))
        if self._parts:
            for module in {model, model.base_model}:
                module.save_pretrained = partial(_refuse_to_save, self.options.name)
                self._undo.append(partial(delattr, module, "save_pretrained"))

    def train_existing(self, parameter: nn.Parameter) -> None:
        """Train a parameter that the PLM already has, as part of the method."""
        self._method.append(parameter)
        self._make_trainable(parameter)

    def train_head(self) -> None:
        """Train the task's head: every parameter that is not the PLM's."""
        for parameter in self.head_parameters().values():
            self._make_trainable(parameter)

    def use_our_attention(self) -> None:
        """Route the model's attention through `attention.tuned_attention`, whichever implementation was set before.

        Raises:
            UserError: the model does not use transformers' attention interface.
        """
        self.model.set_attn_implementation(IMPLEMENTATION)
        if self.model.config._attn_implementation != IMPLEMENTATION:
            raise UserError(f"plm: {type(self.model).__name__} does not go through transformers' attention interface")

    # -- for everyone else ---------------------------------------------------------------------------------------------

    def compile_layers(self, mode: str) -> None:
        """Compile the PLM with the method's parts, for any length of input; of the head, a pooler alone is compiled."""
        body = layers.body(self.model)
        body.compile(mode=mode, dynamic=True)
        self._undo.append(partial(setattr, body, "_compiled_call_impl", None))

    def method_parameters(self) -> dict[str, nn.Parameter]:
        """Name -> parameter of the method: what is trained apart from head and special tokens."""
        return self._named(self._method)

    def part_parameters(self) -> dict[str, nn.Parameter]:
        """Those of `method_parameters` in modules that were added: neither the PLM's own nor those of a library."""
        added = {id(p) for part in self._parts if isinstance(part, nn.Module) for p in part.parameters()}
        return {name: p for name, p in self.method_parameters().items() if id(p) in added}

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """Name -> parameter of the task's head, trained or not; a pooler is part of it."""
        return self._named(self._head)

    def token_parameters(self) -> dict[str, nn.Parameter]:
        """Name -> parameter that holds rows of special tokens, (n, d)."""
        return self._named(self._tokens)

    def plm_parameters(self) -> dict[str, nn.Parameter]:
        """Name -> parameter of the pre-trained model itself, without head and method."""
        return self._named(self._plm)

    def trained_parameters(self) -> dict[str, nn.Parameter]:
        """Name -> parameter, for every parameter that is trained."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def deployed(self) -> dict[str, Tensor]:
        """Name -> tensor of the method that a deployed model needs; a prefix comes without its reparameterisation."""
        tensors: dict[str, Tensor] = {name: p.detach() for name, p in self.method_parameters().items()}
        names = {id(module): name for name, module in self.model.named_modules()}
        for part in self._parts:
            if isinstance(part, nn.Module) and isinstance(part, HasDeployedForm):
                prefix = names[id(part)]
                for name, _ in part.named_parameters():
                    del tensors[f"{prefix}.{name}"]
                tensors |= {f"{prefix}.{name}": tensor for name, tensor in part.deployed().items()}
        return tensors

    def parameter_counts(self) -> dict[str, int | float]:
        """Numbers of parameters: `method` (deployed), `head`, `tokens`, `plm`; and `percent`, 100 method / plm."""
        count = {
            "method": sum(tensor.numel() for tensor in self.deployed().values()),
            "head": sum(p.numel() for p in self.head_parameters().values()),
            "tokens": sum(p.numel() for p in self.token_parameters().values()),
            "plm": sum(p.numel() for p in self.plm_parameters().values()),
        }
        return {**count, "percent": 100.0 * count["method"] / count["plm"]}

    def summary(self) -> str:
        """The method and its numbers of parameters, in a few lines; also what the object prints as."""
        counts = self.parameter_counts()
        trained = sum(p.numel() for p in self.trained_parameters().values())
        head = "trained" if any(p.requires_grad for p in self.head_parameters().values()) else "frozen"
        rows = [
            ("method", counts["method"], f"{counts['percent']:.4f} % of the model"),
            ("head", counts["head"], head if counts["head"] else ""),
            ("special tokens", counts["tokens"], ""),
            ("model", counts["plm"], ""),
            ("trained in all", trained, ""),
        ]
        lines = [f"  {name:<15}{count:>15,}  {remark}".rstrip() for name, count, remark in rows if count]
        return "\n".join([f"{method_title(self.options.name)} on {type(self.model).__name__}", *lines])

    def __repr__(self) -> str:
        return self.summary()

    def save(self, folder: str | Path, labels: list[str] | None = None) -> None:
        """Write the deployed method, special tokens and the head, even a frozen one: safetensors and a description.

        Args:
            folder: is made if it does not exist.
            labels: names of the head's outputs, which `load` gives to the model's configuration.

        Raises:
            UserError: the method is a module that `ib.load` could not find by its name.
        """
        if not self.options.shipped_as and "." not in self.options.name:
            raise UserError(
                f"save: found the method '{self.options.name}', a module by itself; allowed: one in a package, such as "
                "my_package.my_module, by whose dotted name ib.load finds it"
            )
        description = Description(
            format=1,
            inducer_bench=__version__,
            model_type=self.model.config.model_type,
            layout=self.layout,
            options=dataclasses.asdict(self.options.deployed()),
            special_tokens=sum(len(rows) for rows in self.token_parameters().values()),
            train_head=any(p.requires_grad for p in self.head_parameters().values()),
            parameters=self.parameter_counts(),
            labels=labels,
        )
        saved.write(Path(folder), description, self._saved())

    def load_weights(self, file: Path) -> None:
        """Load what `save` wrote, into a model with the deployed form of the same method.

        Raises:
            UserError: the file is damaged, or its tensors are not finite, or not those of this method on this model.
        """
        own = self._named([*self._method, *self._tokens, *self._head])
        # Version 0.1 kept the pooler frozen and did not save it: then it is as the model has it.
        pooler = self.head_parameters().keys() & layers.pooler_parameters(self.model).keys()
        tensors = saved.read_weights(file, own, may_lack=pooler)
        with torch.no_grad():
            for name, tensor in tensors.items():
                own[name].copy_(tensor)

    def merge(self) -> PreTrainedModel:
        """Fold the method into the PLM's own weights. Returns the model, which no longer needs this package.

        Special tokens become rows of its embeddings.

        Raises:
            UserError: the method changes more than linear maps, or one of them cannot take the change.
        """
        mergeable = [part for part in self._parts if isinstance(part, Mergeable)]
        appendable = [part for part in self._parts if isinstance(part, Appendable)]
        stuck = sorted({type(part).__name__ for part in self._parts if not isinstance(part, Mergeable | Appendable)})
        if stuck:
            raise UserError(
                f"method: '{self.options.name}' cannot be merged into the PLM's weights: {', '.join(stuck)} "
                "computes what no linear map does"
            )
        for part in mergeable:
            part.check_mergeable()  # all of them, before any weight changes
        for part in mergeable:
            part.merge()
        self._originals.clear()
        model = self.detach()
        for rows in appendable:
            rows.append_to(model)
        return model

    def detach(self) -> PreTrainedModel:
        """Remove the method and restore the model bit for bit. Returns the model; a second call only does that.

        Every step runs even if an earlier one fails, so that the model is restored as far as possible; the first error
        is raised at the end.
        """
        errors = []
        while self._undo:
            try:
                self._undo.pop()()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return self.model

    # -- behaving as the model -------------------------------------------------------------------------------------

    def forward(self, *args: Any, logits_at: Tensor | None = None, **kwargs: Any) -> Any:
        """The model's own forward pass; or only the logits (n, V) of a language model at the positions `logits_at` (n).

        Position t of row b is b T + t. Logits at every position take a third of a training step of GPT-2, and only
        labelled ones need them.

        Raises:
            UserError: `logits_at` of a model that is no language model.
        """
        if logits_at is None:
            return self.model(*args, **kwargs)
        return positions.logits(self.model, logits_at, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)

    def _add_module(self, host: nn.Module, name: str, module: nn.Module) -> None:
        if hasattr(host, name):
            raise UserError(
                f"method: {type(host).__name__} has a '{name}' already ({type(getattr(host, name)).__name__}), which "
                f"{type(module).__name__} would replace; a module takes one part of each name"
            )
        like = next(host.parameters())
        host.add_module(name, module.to(device=like.device, dtype=like.dtype))
        self._parts.append(module)
        self._undo.append(partial(delattr, host, name))

    def _named(self, wanted: Iterable[nn.Parameter]) -> dict[str, nn.Parameter]:
        ids = {id(parameter) for parameter in wanted}
        return {name: parameter for name, parameter in self.model.named_parameters() if id(parameter) in ids}

    def _saved(self) -> dict[str, Tensor]:
        return {**self.deployed(), **self.token_parameters(), **self.head_parameters()}

    def _make_trainable(self, parameter: nn.Parameter) -> None:
        if not parameter.is_meta:
            self._originals.append((parameter, parameter.detach().cpu().clone()))
        parameter.requires_grad_(True)

    def _restore_values(self) -> None:
        for parameter, value in reversed(self._originals):  # of two values, the one that was kept first
            if parameter.stride() == value.stride():
                parameter.data.copy_(value)
            else:  # equal values in another order in memory give other sums
                parameter.data = value.to(parameter)


def _without(parameters: Iterable[nn.Parameter], others: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    ids = {id(parameter) for parameter in others}
    return [parameter for parameter in parameters if id(parameter) not in ids]


def _refuse_to_save(method: str, *args: object, **kwargs: object) -> None:
    """In place of `save_pretrained`, which would mix the method's tensors with the PLM's, where nothing loads them."""
    raise UserError(
        f"save_pretrained: found a model with '{method}' attached; allowed: tuned.save(folder) for the method, "
        "tuned.merge() where it can be folded into the PLM, tuned.detach() for the PLM alone"
    )


# Steps of `detach`: functions and not closures, whose variables `deepcopy` would not copy.


def _remove_mark(modules: list[nn.Module]) -> None:
    for module in modules:
        del module.__dict__[ATTACHED]


def _restore_trainable(was_trainable: list[tuple[nn.Parameter, bool]]) -> None:
    for parameter, trainable in was_trainable:
        parameter.requires_grad_(trainable)
        parameter.grad = None


def _restore_attention(model: PreTrainedModel, implementation: str) -> None:
    if model.config._attn_implementation != implementation:
        model.set_attn_implementation(implementation)
