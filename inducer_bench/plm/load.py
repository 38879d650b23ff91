"""Load a PLM and its tokenizer: from the hub, from a local folder, bundled, or with random weights."""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.activations import ACT2FN, NewGELUActivation

from inducer_bench.errors import UserError, lacks_memory, shown
from inducer_bench.methods.layers import pooler_parameters, pretrained_parameters
from inducer_bench.notices import tell
from inducer_bench.plm.fetch import plm_files
from inducer_bench.plm.files import opened
from inducer_bench.plm.location import architecture, plm_folder, source_key, tokenizer_folder
from inducer_bench.plm.options import PlmOptions


def quiet_libraries() -> None:
    """Turn off the progress bars of transformers and datasets, and transformers' report of a head's new weights.

    For the processes of the command line, where a run starts; nothing does this on import.
    """
    import datasets
    from transformers.utils import logging

    settings: Any = logging  # its functions are not typed
    settings.set_verbosity_error()
    settings.disable_progress_bar()
    datasets.disable_progress_bars()


def load_model(plm: PlmOptions, auto_class: str, num_labels: int | None = None) -> PreTrainedModel:
    """The PLM in float32 with the head of a task; new weights come from torch's global generator.

    Args:
        plm: the PLM's options.
        auto_class: transformers' class for the PLM with that head, such as `AutoModelForCausalLM`.
        num_labels: outputs of the head; by default as many as the PLM's config says.

    Raises:
        UserError: the PLM is not on this machine, or its folder is broken or holds another model.
    """
    model, _ = read_model(plm, auto_class, num_labels)
    return model


def read_model(
    plm: PlmOptions, auto_class: str, num_labels: int | None = None
) -> tuple[PreTrainedModel, frozenset[str]]:
    """The model of `load_model`, and the names of its new weights: those of a head, but for a pooler in the files."""
    auto: Any = getattr(transformers, auto_class)
    extra = {} if num_labels is None else {"num_labels": num_labels}
    _check_class(plm, auto)
    if plm.weights == "random":
        model = _prepared(_random_model(plm, auto, extra))
        return model, frozenset(name for name, _ in model.named_parameters())
    folder, before = plm_files(plm), torch.get_rng_state()
    with opened(folder, source_key(plm), weights=True) as view:
        model, info = auto.from_pretrained(
            view,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # a head for other labels starts afresh; the PLM itself is checked below
            output_loading_info=True,
            **extra,
        )
    unfit = {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}
    _check_whole(plm, model, unfit, folder)
    _tell_dropped(plm, model, info["unexpected_keys"])
    model.config.name_or_path = str(folder)
    if trained := _head(model) - unfit:
        tell(f"plm: '{plm.name}' was saved with a head ('{min(trained)}'), which is not used; a new one is drawn")
        unfit |= trained
    if unfit:  # loading has drawn those that the files lack; all are drawn in one way, as for later jobs
        torch.set_rng_state(before)
        draw_anew(model, unfit)
    return _prepared(cast(PreTrainedModel, model)), frozenset(unfit)


def _check_class(plm: PlmOptions, auto: Any) -> None:
    """Check that transformers has a class for the PLM with such a head; it keeps the table to itself.

    Raises:
        UserError: it has none.
    """
    kind = str(architecture(plm).get("model_type"))
    if kind in CONFIG_MAPPING and CONFIG_MAPPING[kind] not in auto._model_mapping:
        raise UserError(f"plm: transformers has no {auto.__name__} for model type '{kind}'")


def draw_anew(model: Any, names: Collection[str]) -> None:
    """Draw parameters from torch's global generator, as loading draws those that the files lack: on the CPU.

    Afterwards they are on the device of the others again. `_is_hf_initialized` is private to transformers:
    `initialize_weights` skips the modules and tensors that it marks. No module is marked, as a head may be drawn by a
    module around it (ModernBERT, T5), but all other tensors are.

    Args:
        model: of transformers, whose methods are not typed.
        names: of parameters.
    """
    device = model.device
    for kept in (*model.parameters(), *model.buffers()):
        kept._is_hf_initialized = True
    for name in names:
        parameter = model.get_parameter(name)
        parameter.data = parameter.data.cpu()
        parameter._is_hf_initialized = False
    for module in model.modules():
        module._is_hf_initialized = False
    model.initialize_weights()
    model.to(device).eval()


def _head(model: PreTrainedModel) -> set[str]:
    """The names of the head's parameters, without a pooler."""
    own = {id(parameter) for parameter in [*pretrained_parameters(model), *pooler_parameters(model).values()]}
    return {name for name, parameter in model.named_parameters() if id(parameter) not in own}


def _check_whole(plm: PlmOptions, model: PreTrainedModel, unfit: set[str], folder: Path) -> None:
    """Check that the PLM's own weights are all there, in full precision, and in the sizes that were counted with.

    Raises:
        UserError: what is missing, or differs.
    """
    for name, value in plm.architecture.items() if plm_folder(plm) is None else ():
        found = getattr(model.config, name, value)
        if type(value) is int and found != value:
            raise UserError(f"plm.architecture.{name}: found {value}; allowed: {found}, as in the files of '{plm.hub}'")
    if getattr(model.config, "quantization_config", None) is not None:
        raise UserError(
            f"{source_key(plm)}: '{folder}' holds quantised weights (quantization_config); allowed: whole ones"
        )
    pretrained = {id(parameter) for parameter in pretrained_parameters(model)}
    known = {name: id(parameter) for name, parameter in model.named_parameters(remove_duplicate=False)}
    body = f"{model.base_model_prefix}."  # also of what is no parameter
    own = sorted(key for key in unfit if (known[key] in pretrained if key in known else key.startswith(body)))
    if own:
        raise UserError(
            f"{source_key(plm)}: '{folder}' does not load: its weights do not fit its config.json; "
            f"{len(own)} tensors are missing or of another shape, first '{own[0]}'"
        )


def _tell_dropped(plm: PlmOptions, model: PreTrainedModel, unexpected: Collection[str]) -> None:
    """Say that the model has no place for some of the PLM's own weights; those of other heads do not count."""
    body = f"{model.base_model_prefix}."
    dropped = sorted(key for key in unexpected if key.startswith(body) and not key.startswith(f"{body}pooler."))
    if dropped:
        tell(
            f"plm: '{plm.name}' has {len(dropped)} tensors without a place in the model of its config.json, first "
            f"'{dropped[0]}'; they are left out"
        )


def _prepared(model: PreTrainedModel) -> PreTrainedModel:
    """The model without those settings of its maker that decide how it is called, as a task says that.

    Settings of generation would fill whatever `task.decoding` leaves open.

    GPT-2's activation becomes torch's fused one: transformers' own keeps (B, T, 4 d) for each of its steps. The formula
    is the same, up to rounding; the model's config.json still calls it `gelu_new`.
    """
    model.generation_config = GenerationConfig()
    model.config.return_dict = True
    model.config.output_attentions = model.config.output_hidden_states = False
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, ACT2FN["gelu_pytorch_tanh"])
    return model


def empty_model(plm: PlmOptions, auto_class: str, num_labels: int | None = None) -> PreTrainedModel:
    """The PLM's modules on the meta device, without memory for weights: for counting parameters."""
    with torch.device("meta"):
        random = dataclasses.replace(plm, weights="random")
        return load_model(random, auto_class, num_labels)


def count_parameters(plm: PlmOptions, auto_class: str) -> int:
    """The number of parameters of the PLM itself, without head and pooler."""
    return sum(parameter.numel() for parameter in pretrained_parameters(empty_model(plm, auto_class, num_labels=2)))


def load_tokenizer(plm: PlmOptions) -> PreTrainedTokenizerBase:
    """The PLM's tokenizer, or the one named by `plm.tokenizer`; without a padding token, it pads with its end token.

    Raises:
        UserError: it is not on this machine and cannot be fetched, or its folder is broken.
    """
    folder = tokenizer_folder(plm.tokenizer) if plm.tokenizer else plm_files(plm)
    with opened(folder, "plm.tokenizer", weights=False) as view:
        tokenizer = AutoTokenizer.from_pretrained(view, local_files_only=True, trust_remote_code=False)
    # The paths among them become those of the folder, not of a temporary one: the key of the token cache has them.
    tokenizer.init_kwargs = {
        name: value.replace(str(view), str(folder)) if isinstance(value, str) else value
        for name, value in tokenizer.init_kwargs.items()
    }
    if len(tokenizer) == len(tokenizer.all_special_ids):  # transformers accepts a folder without a vocabulary
        raise UserError(f"plm.tokenizer: '{folder}' holds no vocabulary; allowed: a folder with tokenizer.json")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"  # generation pads by itself; elsewhere absolute positions count from the left
    return tokenizer


def match_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Set the model's padding token: classification on a decoder reads the last token that is not padding.

    Raises:
        UserError: the tokenizer has more tokens than the PLM has embeddings, or no token for the padding of a task.
    """
    rows = embedded_tokens(model)
    tokens = max([len(tokenizer), *(number + 1 for number in tokenizer.get_vocab().values())])  # ids may have gaps
    if tokens > rows:
        raise UserError(f"plm.tokenizer: found {tokens} tokens; allowed: at most {rows}, the PLM's embeddings")
    if tokenizer.pad_token_id is None and not model.can_generate():  # a task that generates has a token of its own
        raise UserError(
            "plm.tokenizer: found neither a padding token nor an end token; allowed: a tokenizer with one of them, as "
            "the texts of a batch are padded to one length"
        )
    model.config.pad_token_id = tokenizer.pad_token_id


def embedded_tokens(model: PreTrainedModel) -> int:
    """The tokens that a model has embeddings for; a tokenizer may have fewer."""
    return len(next(model.get_input_embeddings().parameters()))


def _random_model(plm: PlmOptions, auto: Any, extra: dict[str, int]) -> PreTrainedModel:
    sizes = {key: value for key, value in architecture(plm).items() if key not in ("dtype", "architectures")}
    if "model_type" not in sizes:
        raise UserError(f"plm.weights: '{plm.name}' names no architecture to build with random weights")
    try:
        return cast(PreTrainedModel, auto.from_config(AutoConfig.for_model(**{**sizes, **extra}), dtype=torch.float32))
    except Exception as error:  # for impossible sizes transformers and torch raise all kinds of errors
        if lacks_memory(error):
            raise
        told = shown(f"{type(error).__name__}: {error}", 300)
        key = "plm.architecture" if plm_folder(plm) is None else f"{source_key(plm)}: config.json"
        raise UserError(f"{key}: no model can be made of it ({told})") from None
