"""One experiment, from configuration to record. Reads top to bottom.

    config -> identity -> (done already?) -> fetch -> lock -> data + PLM -> method -> training -> evaluation -> record

Imports of torch wait until there is something to compute: a finished run is recognised without it. Of several processes
the main one decides, locks and writes; see `processes`.
"""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from inducer_bench import distributed, hub
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import ExitCode, Interrupted, TrainingDiverged, UserError
from inducer_bench.runs import record as records
from inducer_bench.runs.fetch import fetch
from inducer_bench.runs.identity import Identity, identify, run_folder
from inducer_bench.runs.record import Record

log = logging.getLogger("inducer_bench")


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    code: ExitCode
    folder: Path
    status: str  # as in the record; or skipped, or refused
    message: str
    record: Record | None = None


def run(config: ExperimentConfig) -> Outcome:
    """Run one experiment, or find it done.

    Whatever happens inside is recorded in the run's folder and told by the exit code.

    Raises:
        UserError: bad input, found before any training; nothing is recorded.
    """
    identity = distributed.raise_on_all(lambda: identify(config))
    if len(set(distributed.all_gather([identity]))) > 1:
        raise UserError("WORLD_SIZE: the processes of one run found different configurations, data or PLM files")
    folder = run_folder(config, identity)
    if config.dry_run:
        return _dry_run(config, folder)
    if done := distributed.broadcast_from_main(lambda: _already_done(folder)):
        return done

    offline = distributed.raise_on_all(lambda: fetch(config))
    with hub.offline(offline), _locked(folder), _logging_to(folder / "log.txt"):
        if done := distributed.broadcast_from_main(lambda: _already_done(folder)):  # while we waited for the lock
            return done
        return _guarded(config, identity, folder)


def _already_done(folder: Path) -> Outcome | None:
    if (record := records.read(folder)) and record["status"] == "done":
        return Outcome(ExitCode.DONE, folder, "skipped", f"already done: {records.headline(record)}", record)
    return None


def _guarded(config: ExperimentConfig, identity: Identity, folder: Path) -> Outcome:
    """Turn what can go wrong in a run into a record and an exit code."""
    from inducer_bench.plm.load import quiet_libraries
    from inducer_bench.runs import experiment

    quiet_libraries()

    try:
        record = experiment.execute(config, identity, folder)
        distributed.on_main_process(records.write)(folder, record)
        return Outcome(ExitCode.DONE, folder, "done", records.headline(record), record)
    except UserError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        status, code, message = _diagnosis(error)
        if code != ExitCode.INTERRUPTED:
            log.error(traceback.format_exc())
        record = experiment.describe(config, identity, status) | {"error": message}
        with suppress(OSError):  # a full disk may be what stopped the run; the exit code still tells
            distributed.on_main_process(records.write)(folder, record)
        if distributed.world_size() > 1 and not isinstance(error, TrainingDiverged | Interrupted):
            # Only these are known to have stopped all processes at once; others may wait for this one, in vain.
            traceback.print_exc()
            raise SystemExit(code) from None
        return Outcome(code, folder, status, message, record)


def _diagnosis(error: BaseException) -> tuple[str, ExitCode, str]:
    """Status, exit code and one line for what stopped a run."""
    import torch

    line = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return "interrupted", ExitCode.INTERRUPTED, f"{line or 'interrupted'}; the same command resumes"
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in line:
        return "oom", ExitCode.OUT_OF_MEMORY, f"out of memory: {line or 'lower trainer.micro_batch_size'}"
    return "failed", ExitCode.FAILED, f"{type(error).__name__}: {line}"


def _dry_run(config: ExperimentConfig, folder: Path) -> Outcome:
    from inducer_bench.plm.load import quiet_libraries
    from inducer_bench.runs import experiment

    quiet_libraries()
    offline = fetch(config)
    try:
        with hub.offline(offline):
            loss = experiment.dry_run(config)
    except (TrainingDiverged, MemoryError, RuntimeError) as error:
        status, code, message = _diagnosis(error)
        if distributed.world_size() > 1 or (status == "failed" and not isinstance(error, TrainingDiverged)):
            raise  # the other processes wait for this one, or it is no user's mistake
        return Outcome(code, folder, status, f"dry run: {message}")
    return Outcome(ExitCode.DONE, folder, "done", f"dry run: one step with loss {loss:.4f}; nothing was recorded")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the run's folder; a process that dies gives it back.

    Raises:
        UserError: another process holds it, or the folder cannot be written.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    distributed.broadcast_from_main(lambda: _acquire(lock, folder))
    try:
        distributed.raise_on_all(lambda: _check_visible(folder))
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(f"output_dir: another process is working on '{folder}'; wait for it") from None
    except OSError as error:
        raise UserError(f"output_dir: '{folder}' cannot be written ({error.strerror})") from None
    for leftover in folder.rglob(".*.tmp"):  # of a process that was killed while it wrote
        leftover.unlink()


def _check_visible(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"output_dir: found '{folder}' in the main process alone; allowed: a folder that all can read")


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send this package's log to the run's own file; of processes other than the main one, what stops them."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setLevel(logging.INFO if distributed.is_main_process() else logging.ERROR)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False  # a library may have given the root logger a handler, and each line would show twice
    try:
        yield
    finally:
        log.propagate = True
        log.removeHandler(handler)
        handler.close()
