"""Attach a method to a model, and load a saved one.

import inducer_bench as ib
tuned = ib.attach(model, "inducer", r_k=10, r_v=15)            # by name; other options have their published values
tuned = ib.attach(model, "my_package.my_module", scale=2.0)    # a module with `Options` and `attach`
tuned = ib.attach(model, MyOptions(scale=2.0))                 # the options themselves
"""

import dataclasses
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from inducer_bench import strict_json
from inducer_bench.errors import UserError, first_line, lacks_memory, shown, unknown
from inducer_bench.files import read_bytes
from inducer_bench.methods import tokens
from inducer_bench.methods.architectures import Layout, sizes
from inducer_bench.methods.attachable import check_attachable
from inducer_bench.methods.budget import check_ranks
from inducer_bench.methods.options import MethodOptions, options_class
from inducer_bench.methods.published import defaults, over_defaults
from inducer_bench.methods.saved import DESCRIPTION_FILE, WEIGHTS_FILE, Description, check_folder
from inducer_bench.methods.tuned import ATTACHED, TunedModel
from inducer_bench.options import typed, user_module

_EXAMPLE = 8  # tokens of the example by which a user's layout is tried


def attach(
    model: PreTrainedModel,
    method: str | MethodOptions,
    *,
    train_head: bool = True,
    special_tokens: int = 0,
    layout: Layout | None = None,
    **options: Any,
) -> TunedModel:
    """Attach a tuning method to a model.

    The model itself is changed; `TunedModel.detach` restores it bit for bit. All of its own parameters are frozen, and
    `tuned.trained_parameters()` are those that an optimizer is to train:

        tuned = ib.attach(model, "lora", r=8)
        optimizer = torch.optim.AdamW(tuned.trained_parameters().values(), lr=5e-4)
        loss = tuned(**batch).loss

    Options that are not given have the values that are published for classification tasks; `ib.methods()` shows them,
    with the sources. The methods are:

        fine_tune, head_only, bitfit    no options
        lora            r, alpha, targets, dropout, bias
        adapter         r, sites, placement, scale, layer_norm
        prefix          length, reparameterize, hidden
        mam             prefix={...}, adapter={...}
        inducer         r_k, r_v, extension, share_output, gate, value_residual, sqrt_position, key_residual,
                        self_temperature, gate_before_mask
        inducer_lora    those of inducer, lora={...}
        inducer_ffn     those of inducer, lora={...}, adapter={...}
        kernel_mix      q, q_shared, v_o, v_o_shared
        peft            peft_type, config={...}: a method of the peft library

    Args:
        model: a transformers model, for instance from `AutoModelForSequenceClassification.from_pretrained`.
        method: one of these names; the dotted name of a module of your own, which defines a class `Options` and a
            function `attach`; or the options of a method, such as an instance of that class.
        train_head: whether to train what is not the pre-trained model's: the task's head, pooler included.
        special_tokens: number of new tokens to train as well; their ids follow those of the model's embedding.
        layout: module names of an architecture that this package does not know.
        options: of the method; only where `method` is a name.

    Returns:
        The tuned model. If attaching fails, the model is as it was before.

    Raises:
        UserError: an unknown method or option, an impossible value, or an unsupported model.
    """
    _check_model(model)
    chosen = method if isinstance(method, MethodOptions) else _chosen(method, options)
    if chosen is method and options:
        raise UserError(f"method: found options and also {', '.join(options)}; give them to {type(method).__name__}")
    module = _module(chosen)
    check_attachable(chosen, model.config.to_dict(), layout)
    if chosen.ranks:
        check_ranks(chosen, sizes(model.config.to_dict(), layout))
    old = {id(part) for part in model.modules()}
    tuned = TunedModel(model, chosen, layout)
    try:
        if special_tokens:
            tokens.attach(tuned, special_tokens)
        module.attach(tuned, chosen)
        if train_head:
            tuned.train_head()
        if not tuned.trained_parameters():
            raise UserError(f"method: '{chosen.name}' trains nothing: {type(model).__name__} has no head to train")
        tuned.complete()
        for part in tuned.modules():
            if id(part) not in old:
                part.training = model.training  # new modules start in training mode: a loaded adapter would drop out
        if layout is not None:
            _check_reached(tuned)
    except BaseException as error:
        try:
            tuned.detach()
        except Exception as failure:  # what stopped `attach` is the error to raise
            error.add_note(f"detach: the model may not be as it was before: {failure!r}")
        raise
    return tuned


def load(model: PreTrainedModel, folder: str | Path) -> TunedModel:
    """Attach the method saved in `folder` by `TunedModel.save` to a model, with its weights and head.

    If that fails, the model is as it was before.

    Raises:
        UserError: the folder was not written by `save`, is damaged, or was saved from a model of another shape.
    """
    _check_model(model)
    folder = Path(folder)
    check_folder(folder)
    description, method = _described(folder / DESCRIPTION_FILE)
    if description.model_type != model.config.model_type:
        own, saved = model.config.model_type, description.model_type
        raise UserError(
            f"{folder / DESCRIPTION_FILE}: model_type: found '{saved}'; allowed: '{own}', that of the model"
        )
    _check_size(model, description, method, folder / WEIGHTS_FILE)
    try:
        tuned = attach(
            model,
            method,
            train_head=description.train_head,
            special_tokens=description.special_tokens,
            layout=description.layout,
        )
    except (UserError, MemoryError, RuntimeError) as error:  # of options that `_check_size` cannot know
        raise UserError(f"{folder / DESCRIPTION_FILE}: cannot be attached ({first_line(error)})") from None
    try:
        tuned.load_weights(folder / WEIGHTS_FILE)
        if description.labels is not None:
            name_outputs(model.config, description.labels)
    except BaseException:
        tuned.detach()
        raise
    return tuned


def name_outputs(config: PreTrainedConfig, labels: Sequence[str]) -> None:
    """Give a model's configuration the names of the outputs of its head."""
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: code for code, label in enumerate(labels)}


def _check_reached(tuned: TunedModel) -> None:
    """Check that what the model computes depends on every part that a method has put into it.

    A layout of the user's may name modules that are there, and yet are not those that the method takes them for.

    Raises:
        UserError: it does not, or it cannot be computed.
    """
    base: Any = tuned.model.base_model
    ids = torch.arange(_EXAMPLE, device=tuned.model.device) % len(base.get_input_embeddings().weight)
    parts = tuned.part_parameters()
    if not parts:
        return
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            hidden = base(ids.unsqueeze(0))[0]
            found: Sequence[Tensor | None] = [None] * len(parts)
            if hidden.requires_grad:
                found = torch.autograd.grad(hidden.sum(), [*parts.values()], allow_unused=True)
    except Exception as error:  # a module that takes other inputs than the method expects raises all kinds of errors
        if lacks_memory(error):
            raise
        told = shown(f"{type(error).__name__}: {first_line(error)}", 200)
        raise UserError(f"layout: '{tuned.options.name}' fails in the modules that it names ({told})") from None
    unused = [name for name, gradient in zip(parts, found, strict=True) if gradient is None]
    if unused:
        raise UserError(
            f"layout: what {type(tuned.model).__name__} computes does not depend on '{unused[0]}'; allowed: the names "
            f"of the modules that '{tuned.options.name}' works in, such as the one that calls the attention interface"
        )


def _check_model(model: Any) -> None:
    """Check that a method can be attached to what is given as a model.

    Raises:
        UserError: it is none of transformers, or has one already.
    """
    # Also a tuned model, its base model or a parent.
    if isinstance(model, nn.Module) and any(ATTACHED in part.__dict__ for part in model.modules()):
        raise UserError("model: a method is attached already; call detach() first")
    if not isinstance(model, PreTrainedModel):
        found = f"'{shown(model)}'" if isinstance(model, str | Path) else _kind(model)
        raise UserError(
            f"model: found {found}; allowed: a transformers model, such as "
            "AutoModelForSequenceClassification.from_pretrained(...)"
        )


def _kind(found: object) -> str:
    return f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"


def _described(file: Path) -> tuple[Description, MethodOptions]:
    """What `TunedModel.save` wrote: of the model, and of the method.

    Raises:
        UserError: the file is something else, or an option is impossible.
    """
    try:
        found = strict_json.loads(read_bytes(file).decode())
        values = dict(found)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{file}: not written by this tool ({type(error).__name__}: {first_line(error)})") from None
    try:
        description = typed(Description, values)
        chosen = dict(description.options)
        method = _options(str(chosen.pop("name", "")), chosen)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    if method != method.deployed():
        raise UserError(f"{file}: found the options of a model in training; expected those of its deployed form")
    return description, method


def _check_size(model: PreTrainedModel, description: Description, method: MethodOptions, weights: Path) -> None:
    """Check, before memory is taken for it, that so large a method can be in the file of its weights.

    Raises:
        UserError: it cannot, or there is no such file.
    """
    if not weights.is_file():
        raise UserError(f"{weights}: not there, or not a file")
    try:
        parameters = method.parameters(sizes(model.config.to_dict(), description.layout))
    except UserError:  # not every method declares them
        parameters = 0
    if max(parameters, description.special_tokens) > weights.stat().st_size:  # a parameter takes a byte or more
        raise UserError(f"{weights}: too small for the sizes in {DESCRIPTION_FILE}")


def _chosen(method: Any, values: dict[str, Any]) -> MethodOptions:
    """The options of a method that is given by name, over its published ones."""
    if not isinstance(method, str):
        raise UserError(
            f"method: found {_kind(method)}; allowed: a name, such as 'lora', or the options of a method, such as "
            "LoraOptions(r=8, alpha=16.0)"
        )
    return _options(method, over_defaults(values, defaults(method)))


def _options(method: str, values: dict[str, Any]) -> MethodOptions:
    kind = options_class(method, key="method")
    allowed = [field.name for field in dataclasses.fields(kind) if field.name != "name"]
    for key in values:
        if key not in allowed:
            raise unknown(f"method '{method}', option", key, allowed)
    return typed(kind, values, prefix="method")


def _module(options: MethodOptions) -> ModuleType:
    name = options.module_name()
    return import_module(name) if options.shipped_as else user_module("method", name, "attach")
