"""Export of a finished run: an adapter, in PEFT's format where PEFT has the method, or the merged model."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save
from transformers import PreTrainedTokenizerBase

from inducer_bench import strict_json
from inducer_bench.errors import UserError, first_line, shown
from inducer_bench.files import write_atomic
from inducer_bench.methods import peft_format
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.plm.load import embedded_tokens, load_tokenizer, match_padding
from inducer_bench.runs.card import model_card, without_places
from inducer_bench.runs.finished import FinishedRun
from inducer_bench.runs.snippet import MERGED, base_model
from inducer_bench.tasks.options import SPECIAL_TOKENS


def export(run: FinishedRun, folder: Path, merge: bool = False, repository: str | None = None) -> str:
    """Write what the run trained, head and model card included, into `folder`; returns the name of the format.

    Args:
        run: a finished run.
        folder: new or empty.
        merge: write the whole model, with the method folded into the PLM's weights, and the tokenizer.
        repository: on the hub, for the model card.

    Raises:
        UserError: the files of the run or the PLM are missing, or are not those of the run; the method cannot be
            merged; or `folder` cannot be written, and then it is left empty.
    """
    tuned = run.load()
    library, write = _merged(run, tuned) if merge else _adapter(run, tuned)
    card = model_card(run, library, repository)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(folder)
        write_atomic(folder / "README.md", card.encode())
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            for path in folder.iterdir():  # a part of an export is of no use
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        reason = shown(error.strerror if isinstance(error, OSError) and error.strerror else first_line(error))
        raise UserError(f"DIR: '{folder}' cannot be written ({reason}); give another folder") from None
    return f"{library} format"


def push(folder: Path, repository: str, public: bool) -> str:
    """Upload an export to the hub, into a new repository or an existing one; returns its address.

    Raises:
        UserError: that failed; the folder stays as it is.
    """
    from huggingface_hub import HfApi

    try:
        api = HfApi(library_name="inducer-bench")
        address = api.create_repo(repository, private=not public, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=repository, commit_message="Export of a run of inducer-bench")
    except Exception as error:  # of the network, the hub, its client, or the folder
        raise UserError(
            f"--push: '{repository}' was not pushed ({shown(first_line(error), 300)}); the export is in '{folder}'"
        ) from None
    return str(address)


def check_repository(repository: str) -> None:
    """Check, before anything is written, that a repository can be pushed to.

    Raises:
        UserError: its name is impossible, or there is no token for the hub.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UserError(f"--push: found '{shown(repository)}'; allowed: USER/NAME ({first_line(error)})") from None
    if get_token() is None:
        raise UserError("--push: no token for the hub; set HF_TOKEN, or log in with `hf auth login`")


def _adapter(run: FinishedRun, tuned: TunedModel) -> tuple[str, Callable[[Path], None]]:
    """The library that loads the adapter, and how to write its files."""
    labels = run.record.labels
    if not peft_format.has_peft_form(tuned):
        return "inducer-bench", lambda folder: tuned.save(folder, labels)
    config, tensors = peft_format.to_peft(tuned, base_model(run.config.plm), labels)

    def write(folder: Path) -> None:
        write_atomic(folder / peft_format.WEIGHTS_FILE, save(tensors, metadata={"format": "pt"}))
        text = strict_json.dumps(without_places(config), indent=2) + "\n"
        write_atomic(folder / peft_format.CONFIG_FILE, text.encode())

    return "peft", write


def _merged(run: FinishedRun, tuned: TunedModel) -> tuple[str, Callable[[Path], None]]:
    """transformers, and how to write the whole model and its tokenizer."""
    tokenizer = load_tokenizer(run.config.plm)
    match_padding(tuned.model, tokenizer)
    size = embedded_tokens(tuned.model)
    model = tuned.merge()
    model.config.name_or_path = base_model(run.config.plm)

    def write(folder: Path) -> None:
        model.save_pretrained(folder)
        _with_special_tokens(tokenizer, size, run.config.task.special_tokens()).save_pretrained(folder)

    return MERGED, write


def _with_special_tokens(tokenizer: PreTrainedTokenizerBase, size: int, special: int) -> PreTrainedTokenizerBase:
    """The tokenizer with the names of a task's special tokens, if they get the ids that the model has for them."""
    if special == len(SPECIAL_TOKENS) and len(tokenizer) == size:
        tokenizer.add_tokens(list(SPECIAL_TOKENS), special_tokens=True)
    return tokenizer
