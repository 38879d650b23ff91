"""One run, from configuration to exit code. Reads top to bottom; `experiment.py` has what happens inside.

    config -> identity -> (done already?) -> fetch -> lock -> experiment -> record

torch is imported only when there is something to compute: a finished run is recognised without it. With several
processes the main one decides, locks and writes; see `distributed`.
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inducer_bench import distributed, hub
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import ExitCode, Interrupted, TrainingDiverged, UserError
from inducer_bench.locks import NO_LOCKS, InUse, Lock
from inducer_bench.notices import RUN_FOLDER, tell
from inducer_bench.runs import artefacts, header, provenance
from inducer_bench.runs import record as records
from inducer_bench.runs.fetch import fetch
from inducer_bench.runs.header import tell_no_one
from inducer_bench.runs.identity import Identity, identify, run_folder
from inducer_bench.runs.outcome import Outcome, cannot_use, diagnosis
from inducer_bench.runs.record import FinishedRecord
from inducer_bench.runs.words import Rows
from inducer_bench.training import interruption

log = logging.getLogger("inducer_bench")


def run(config: ExperimentConfig, show: Callable[[Rows], None] = tell_no_one) -> Outcome:
    """Run one experiment, or find it done.

    Whatever happens inside is recorded in the run's folder and decides the exit code.

    Args:
        config: of the run.
        show: is given what is known of a run that begins; `header.show` writes it to stdout.

    Raises:
        UserError: bad input, found before any training; nothing is recorded.
        KeyboardInterrupt: a signal came before there was a folder to record it in.
    """
    with interruption.watched():
        hub.check_environment()
        interruption.check()  # a signal that came when an earlier job was being recorded
        return _run(config, show)


def _run(config: ExperimentConfig, show: Callable[[Rows], None]) -> Outcome:
    identity = distributed.raise_on_all(lambda: identify(config))
    _check_same_everywhere(identity)
    folder = run_folder(config, identity)
    if config.dry_run:
        from inducer_bench.runs.dry_run import dry_run

        return dry_run([config], [folder], show)[0]
    if done := distributed.broadcast_from_main(lambda: already_done(folder)):
        return done

    offline = distributed.raise_on_all(lambda: fetch(config))
    with hub.offline(offline), interruption.shielded(), locked(folder), logging_to(folder / "log.txt"):
        if done := distributed.broadcast_from_main(lambda: already_done(folder)):  # while we waited for the lock
            return done
        show(header.begun(config, folder))
        return _guarded(config, identity, folder, show)


def _check_same_everywhere(identity: Identity) -> None:
    if any(other != identity for other in distributed.all_gather([identity])):
        raise UserError(
            "configuration: the processes of this run found different configurations, data or PLM files; allowed: the "
            "same command and the same files for all of them"
        )


def already_done(folder: Path) -> Outcome | None:
    """The outcome if the run is done. Its scores stand as long as its record does; files that do not are told of."""
    record = records.read_in_place(folder)
    if not isinstance(record, FinishedRecord):
        return None
    wrong = artefacts.state(folder, record)
    note = f"; {wrong}; to make them again, move the folder away" if wrong else ""
    return Outcome(ExitCode.DONE, folder, "skipped", f"already done: {record.headline()}{note}", record)


def _guarded(config: ExperimentConfig, identity: Identity, folder: Path, show: Callable[[Rows], None]) -> Outcome:
    """Run the experiment; an error becomes a record and an exit code.

    Raises:
        UserError: bad input, which is not recorded.
        SystemExit: an error of this process alone, of several. The others may wait for it in a collective; the launcher
            ends them once this process has exited.
    """
    try:
        return _finished(config, identity, folder, show)
    except UserError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        outcome = failed(error, config, identity, folder)
        here_alone = distributed.world_size() > 1 and not isinstance(error, TrainingDiverged | Interrupted)
        if here_alone and outcome.code != ExitCode.INTERRUPTED:
            traceback.print_exception(error)  # the launcher shows it; the exit code alone would not say why
    if here_alone:
        sys.exit(outcome.code)
    return outcome


def _finished(config: ExperimentConfig, identity: Identity, folder: Path, show: Callable[[Rows], None]) -> Outcome:
    with interruption.exposed():
        from inducer_bench.runs import experiment

        record = experiment.execute(config, identity, folder, show)
    return finished(config, folder, record)


def finished(config: ExperimentConfig, folder: Path, record: FinishedRecord) -> Outcome:
    """Write the record of a run that is done; returns its outcome."""
    from inducer_bench.runs import files

    distributed.on_main_process(records.write)(folder, record)
    if not config.trainer.keep_checkpoint:
        files.remove_checkpoint(folder)
    return Outcome(ExitCode.DONE, folder, "done", "; ".join([record.headline(), *record.remarks]), record)


def failed(error: BaseException, config: ExperimentConfig, identity: Identity, folder: Path) -> Outcome:
    """Write the record of a run that an error has ended; returns its outcome."""
    status, code, message = diagnosis(error)
    record = provenance.unfinished(config, identity, status, message)
    with suppress(OSError):  # a full disk may be what stopped the run; the exit code still says so
        if code != ExitCode.INTERRUPTED:
            log.error(traceback.format_exc(), extra={RUN_FOLDER: folder.absolute()})
    with suppress(OSError):
        distributed.on_main_process(records.write)(folder, record)
    return Outcome(code, folder, status, message, record)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create the run's folder and hold its lock, which the system releases when the process dies.

    Raises:
        UserError: another process holds it, or the folder cannot be written.
    """
    lock = Lock(folder / ".lock", f"'{folder}'")
    distributed.broadcast_from_main(lambda: _acquire(lock, folder))
    try:
        distributed.raise_on_all(lambda: _check_visible(folder))
        yield
    finally:
        lock.release()


def _acquire(lock: Lock, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        for leftover in folder.rglob(".*.tmp"):  # of a process that was killed while it wrote
            if not leftover.is_dir():
                leftover.unlink()
    except InUse as held:
        raise UserError(f"output_dir: '{folder}' is {held}; wait for it, or stop it") from None
    except OSError as error:
        if error.errno in NO_LOCKS:  # as clusters mount Lustre or NFS
            tell(f"'{folder}' is on a file system without locks: nothing keeps the same run from being started twice")
            return
        lock.release()
        reason = f"{error.strerror}: '{error.filename}'" if error.filename else error.strerror
        raise UserError(f"output_dir: '{folder}' cannot be written ({reason})") from None


def _check_visible(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(
            f"output_dir: found '{folder}' in the main process only; allowed: a folder that all processes can read"
        )


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Send this package's log to the run's log file; processes other than the main one log only errors.

    Raises:
        UserError: the file cannot be written.
    """
    if os.path.lexists(path) and not path.is_file():  # a pipe would wait for a reader
        raise UserError(f"output_dir: found '{path}', which is not a file; move it away")
    try:
        to_file = _LogFile(path, encoding="utf-8")
    except OSError as error:
        raise UserError(f"output_dir: {cannot_use(error)}, or give another folder") from None
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    to_file.setLevel(logging.INFO if distributed.is_main_process() else logging.ERROR)
    log.addHandler(to_file)
    log.setLevel(logging.INFO)
    log.propagate = False  # a library may have given the root logger a handler, which would show each line twice
    try:
        yield
    finally:
        log.propagate = True
        log.removeHandler(to_file)
        with suppress(OSError):  # a full disk, which has been told
            to_file.close()


class _LogFile(logging.FileHandler):
    """The log file of a run; one that cannot be written stops the run, as any other of its files does."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is about this run, or about all that are trained side by side."""
        return getattr(record, RUN_FOLDER, Path(self.baseFilename).parent) == Path(self.baseFilename).parent

    def handleError(self, record: logging.LogRecord) -> None:
        """Raise the error, instead of printing its traceback and going on."""
        error = sys.exception()
        if isinstance(error, OSError):
            error.filename = self.baseFilename
        raise  # the one that is being handled where this is called
