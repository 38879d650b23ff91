"""The places of a run's files and folders, looked at before anything is computed."""

import os
from pathlib import Path

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.runs import artefacts, files
from inducer_bench.runs.outcome import cannot_use
from inducer_bench.training import checkpoint, tracking

_FOLDERS = (artefacts.ADAPTER, files.CHECKPOINT)
_FILES = (files.CONFIG, artefacts.PREDICTIONS, tracking.FILE, f"{files.CHECKPOINT}/{checkpoint.PREVIOUS}")


def prepare(folder: Path, config: ExperimentConfig) -> None:
    """Check that everything can be written into a run's folder, and write the configuration there.

    Raises:
        UserError: something else is in the place of a file or folder, or the disk is full or read-only.
    """
    for name in _FOLDERS:
        if os.path.lexists(folder / name) and not (folder / name).is_dir():
            raise UserError(f"output_dir: found '{folder / name}', which is not a folder; move it away")
    for name in _FILES:
        if os.path.lexists(folder / name) and not (folder / name).is_file():
            raise UserError(f"output_dir: found '{folder / name}', which is not a file; move it away")
    for name in ("", *_FOLDERS, tracking.FILE):
        if (folder / name).exists() and not os.access(folder / name, os.W_OK):
            raise UserError(f"output_dir: '{folder / name}' is read-only; make it writable, or move it away")
    try:
        files.write_config(folder, config)
    except OSError as error:
        raise UserError(f"output_dir: {cannot_use(error)}, or give another folder") from None
