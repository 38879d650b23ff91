"""What a sweep needs before it starts: a folder of its own, and what all of its jobs have in common."""

import itertools
import sys
import tempfile
import time
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from inducer_bench import distributed
from inducer_bench.cli.sweep import Sweep
from inducer_bench.errors import UserError, shown
from inducer_bench.files import write_atomic

_ROOM = 2**16  # bytes; more than Hydra writes into a sweep's folder


def begun(overrides: list[str], composed: DictConfig, jobs: int | None, config_dir: Path | None) -> Sweep:
    """A sweep before it starts, with a folder that no other sweep has.

    Args:
        overrides: of the command line.
        composed: those of them that are no sweeps, with Hydra's own configuration.
        jobs: their number; None if only the sweeper knows.
        config_dir: the user's folder of configuration files, as the user wrote it.

    Raises:
        UserError: there is no folder to write.
        OmegaConfBaseException: the name of the folder cannot be resolved.
    """
    hydra = composed.hydra
    chosen = any(override.startswith("hydra.sweep.dir=") for override in overrides)
    wanted, _ = Path(hydra.sweep.dir).absolute(), hydra.sweep.subdir  # Hydra would resolve it later
    folder = distributed.broadcast_from_main(lambda: _folder(wanted, chosen))
    given = OverridesParser.create().parse_overrides(overrides)
    common = {f"{o.get_key_element()}={o.get_value_element_as_str()}" for o in given if not o.is_sweep_override()}
    runs = [] if composed.output_dir == "runs" else ["--runs", str(composed.output_dir)]
    own = [] if config_dir is None else ["--config-dir", str(config_dir)]
    return Sweep(folder, jobs, time.monotonic(), common=frozenset(common), tables=(*runs, *own))


def claimed(wanted: Path) -> Path:
    """A folder for one sweep alone: the wanted one, or one with a number after its name if another sweep has that.

    Raises:
        OSError: it cannot be written.
    """
    for number in itertools.count(1):
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            (folder / "jobs").mkdir(parents=True)  # of several processes and machines, one succeeds
        except FileExistsError:
            continue
        write_atomic(folder / "jobs" / "room", bytes(_ROOM))
        (folder / "jobs" / "room").unlink()
        return folder
    raise AssertionError("never reached")


def _folder(wanted: Path, chosen: bool) -> Path:
    """The folder of a sweep; a temporary one if the output folder cannot be written, whose jobs may all be done."""
    try:
        folder = claimed(wanted)
    except OSError as error:
        problem = f"'{wanted}' cannot be written ({error.strerror})"
        if chosen:
            raise UserError(f"hydra.sweep.dir: {problem}; give another folder") from None
        try:
            folder = claimed(Path(tempfile.mkdtemp(prefix="inducer-bench-")) / "sweep")
        except OSError:
            raise UserError(f"output_dir: {problem}, nor can a temporary folder; make room") from None
        print(f"inducer-bench: output_dir: {shown(problem, 400)}; the sweep writes to '{folder}'", file=sys.stderr)
    if chosen and folder != wanted:
        print(f"inducer-bench: hydra.sweep.dir: another sweep has that; this one writes to '{folder}'", file=sys.stderr)
    return folder
