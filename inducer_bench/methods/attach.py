"""Put a method on a model, and put a saved one on it again."""

import dataclasses
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from inducer_bench.errors import UserError, unknown
from inducer_bench.methods import tokens
from inducer_bench.methods.architectures import Layout
from inducer_bench.methods.options import MethodOptions, options_class
from inducer_bench.methods.tuned import ATTACHED, DESCRIPTION_FILE, WEIGHTS_FILE, TunedModel
from inducer_bench.options import typed


def attach(
    model: PreTrainedModel,
    method: str | MethodOptions,
    *,
    train_head: bool = True,
    special_tokens: int = 0,
    layout: Layout | None = None,
    **options: Any,
) -> TunedModel:
    """Put a tuning method on a model.

    Args:
        model: a transformers model, for instance from `AutoModelForSequenceClassification.from_pretrained`.
        method: a name in `conf/method/`, the dotted name of a module that defines a method, or its options.
        train_head: also train what the model has beside its PLM.
        special_tokens: so many new tokens are trained as well; their ids follow those of the model's embedding.
        layout: module names of an architecture that this package does not know.
        options: as in `conf/method/<method>.yaml`, where `method` is a name.

    Raises:
        UserError: an unknown method or option, an impossible value, or an unsupported model.
    """
    if ATTACHED in model.__dict__:
        raise UserError("model: a method is attached already; call detach() first")
    tuned = TunedModel(model, _read(method, options), layout)
    try:
        if special_tokens:
            tokens.attach(tuned, special_tokens)
        import_module(tuned.options.module_name()).attach(tuned, tuned.options)
        if train_head:
            tuned.train_head()
        if not tuned.trained_parameters():
            name, kind = tuned.options.name, type(model).__name__
            raise UserError(f"method: '{name}' trains nothing here; {kind} has no head that is trained")
    except Exception:
        tuned.detach()
        raise
    return tuned


def _read(method: str | MethodOptions, options: dict[str, Any]) -> MethodOptions:
    if isinstance(method, MethodOptions):
        if options:
            raise UserError(
                f"method: found options and also {', '.join(options)}; give them to {type(method).__name__}"
            )
        return method
    kind = options_class(method, key="method")
    allowed = [field.name for field in dataclasses.fields(kind) if field.name != "name"]
    for key in options:
        if key not in allowed:
            raise unknown(f"method '{method}', option", key, allowed)
    return typed(kind, options, prefix="method")


def load(model: PreTrainedModel, folder: str | Path) -> TunedModel:
    """Put the method saved in `folder` by `TunedModel.save`, with its weights and head, on a model.

    Raises:
        UserError: the folder is not such a folder, or was saved from a model of another shape.
    """
    folder = Path(folder)
    try:
        description = json.loads((folder / DESCRIPTION_FILE).read_text())
        options = dict(description["options"])
        name = options.pop("name")
        train_head, special_tokens = bool(description["train_head"]), int(description["special_tokens"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder}: not a folder saved by this tool ({type(error).__name__}: {error})") from None
    tuned = attach(model, name, train_head=train_head, special_tokens=special_tokens, **options)
    tuned.load_weights(folder / WEIGHTS_FILE)
    return tuned
