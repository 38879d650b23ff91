"""Load a PLM and its tokenizer: from the hub, from a local folder, bundled, or with random weights."""

import dataclasses
from typing import Any, cast

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.activations import ACT2FN, NewGELUActivation

from inducer_bench.errors import UserError, first_line
from inducer_bench.methods.layers import pretrained_parameters
from inducer_bench.plm.fetch import plm_files
from inducer_bench.plm.location import architecture, tokenizer_folder
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
    """The model of `load_model`, and the names of its new weights, which the PLM's files lack: those of a head."""
    auto: Any = getattr(transformers, auto_class)
    extra = {} if num_labels is None else {"num_labels": num_labels}
    if plm.weights == "random":
        model = _with_fused_gelu(auto.from_config(_random_config(plm, extra), dtype=torch.float32))
        return model, frozenset(name for name, _ in model.named_parameters())
    folder = plm_files(plm)
    try:
        loaded = auto.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # a head for other labels starts afresh; the PLM itself is checked below
            output_loading_info=True,
            **extra,
        )
    except MemoryError:
        raise
    except Exception as error:  # for a broken folder the libraries raise all kinds of errors
        raise UserError(f"plm.path: '{folder}' does not load: {first_line(error)}") from None
    model, info = loaded
    unfit = {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}
    if unread := sorted(key for key in unfit if key.startswith(f"{model.base_model_prefix}.")):
        raise UserError(
            f"plm.path: '{folder}' does not load: its weights do not fit its config.json; "
            f"{len(unread)} tensors are missing or of another shape, first '{unread[0]}'"
        )
    return _with_fused_gelu(cast(PreTrainedModel, model)), frozenset(unfit)


def _with_fused_gelu(model: PreTrainedModel) -> PreTrainedModel:
    """Replace GPT-2's activation with torch's fused one: transformers' own keeps (B, T, 4 d) for each of its steps.

    The formula is the same, up to rounding; the model's config.json still calls it `gelu_new`.
    """
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
    """The PLM's tokenizer, or the one named by `plm.tokenizer`; always with a padding token.

    Raises:
        UserError: it is not on this machine and cannot be fetched, or its folder is broken.
    """
    folder = tokenizer_folder(plm.tokenizer) if plm.tokenizer else plm_files(plm)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # for a broken folder the libraries raise all kinds of errors
        raise UserError(f"plm.tokenizer: '{folder}' does not load: {first_line(error)}") from None
    if len(tokenizer) == len(tokenizer.all_special_ids):  # transformers accepts a folder without a vocabulary
        raise UserError(f"plm.tokenizer: '{folder}' holds no vocabulary; allowed: a folder with tokenizer.json")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def match_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Set the model's padding token: classification on a decoder reads the last token that is not padding.

    Raises:
        UserError: the tokenizer has more tokens than the PLM has embeddings.
    """
    rows = len(next(model.get_input_embeddings().parameters()))
    if len(tokenizer) > rows:
        raise UserError(f"plm.tokenizer: found {len(tokenizer)} tokens; allowed: at most {rows}, the PLM's embeddings")
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def _random_config(plm: PlmOptions, extra: dict[str, int]) -> PreTrainedConfig:
    sizes = {key: value for key, value in architecture(plm).items() if key not in ("dtype", "architectures")}
    if "model_type" not in sizes:
        raise UserError(f"plm.weights: '{plm.name}' names no architecture to build with random weights")
    return AutoConfig.for_model(**{**sizes, **extra})
