"""One run from Python, and a finished run opened again."""

import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, fields
from io import StringIO
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from inducer_bench import notices
from inducer_bench.config.compose import compose
from inducer_bench.config.overrides import as_meant
from inducer_bench.errors import ExitCode, UserError, shown
from inducer_bench.methods.options import method_title
from inducer_bench.report import compare as comparisons
from inducer_bench.runs import finished, provenance
from inducer_bench.runs.finished import FinishedRun
from inducer_bench.runs.outcome import Outcome
from inducer_bench.runs.record import FinishedRecord, Record
from inducer_bench.runs.several import run_all


class RunFailed(Exception):
    """A run that failed, or that lacked memory; the same call runs it again.

    Attributes:
        folder: of the run, with its log.
        record: what is known of it; `record.status` is failed or oom.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"{outcome.message} (log: {outcome.folder / 'log.txt'})")
        self.folder: Path = outcome.folder
        self.record: Record | None = outcome.record


@dataclass(frozen=True, repr=False)
class Run(FinishedRun):
    """A finished run: its `folder`, `record` and `config`. The record's fields are also its own, as `run.scores`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("folder", "record", "config"):
            raise AttributeError(name)
        return getattr(self.record, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(field.name for field in fields(FinishedRecord))})

    def __repr__(self) -> str:
        record, counts = self.record, self.record.parameters
        return "\n".join([
            f"{method_title(record.method)} on {record.plm} for {record.task}, seed {record.seed}",
            f"  {record.headline()}  (epoch {record.best_epoch} of {len(record.evaluations)})",
            f"  {counts.method:,} parameters of the method ({counts.percent:.3g} % of the model), {counts.head:,} of "
            f"the head; {record.train_seconds:,.1f} s of training",
            f"  {self.folder}",
        ])  # fmt: skip

    def predict(self, inputs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The run's model on new input.

            run.predict([{"sentence": "a charming film"}])

        Args:
            inputs: for each example, its text columns by name, as in the data.

        Returns:
            For each example `prediction`, and with labels also `probabilities` by name.

        Raises:
            UserError: a column is missing, or the files of the run or of its model are not there.
        """
        from inducer_bench.runs.predict import predict

        given = list(inputs)
        for number, values in enumerate(given):
            if not isinstance(values, Mapping):
                raise UserError(f"inputs, {number}: found '{shown(values)}'; allowed: columns by name, as in the data")
        return predict(self, [(f"inputs, {number}", dict(values)) for number, values in enumerate(given)])


def run(overrides: Sequence[str], *, config_dir: str | Path | None = None, quiet: bool = False) -> Run | list[Run]:
    """Train, evaluate and record one experiment, or find it done: what the command `inducer-bench` does.

        run = ib.run(["preset=mini", "task=sst2", "method=lora", "trainer.epochs=1"])
        run.scores["accuracy"].value

    A run that is done is not run again, and one that was interrupted goes on where it was. Ctrl-C, or the stop button
    of a notebook, ends it after the step that it is in; a second one ends the process.

    Args:
        overrides: the words of the command line, `group=choice` or `key=value`.
        config_dir: a folder with configuration files of your own, as `--config-dir`.
        quiet: whether to print only warnings.

    Returns:
        The finished run; with `seeds=N` a list of N runs.

    Raises:
        UserError: bad input, before any training.
        RunFailed: the run failed or lacked memory, which is recorded. Of several seeds, the others are recorded, too.
        KeyboardInterrupt: the run was interrupted; the same call resumes it.
    """
    words = _words(overrides)
    folder = None if config_dir is None else Path(config_dir).resolve()
    if folder is not None and not folder.is_dir():
        raise UserError(f"config_dir: found '{config_dir}', which is not a folder")
    _check_single(words)
    config = compose(words, folder)
    if config.dry_run:
        raise UserError(f"dry_run: found true; allowed from Python: false; or: {_command(words)}")
    with provenance.command(words if folder is None else ["--config-dir", str(config_dir), *words]), _silence(quiet):
        outcomes = run_all(config)
    for outcome in outcomes:
        if outcome.code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt(outcome.message)
    done: list[Run] = []
    for own, outcome in zip(config.each_run(), outcomes, strict=True):
        if not isinstance(outcome.record, FinishedRecord):
            raise RunFailed(outcome)
        done.append(Run(outcome.folder, outcome.record, own))
    return done[0] if config.seeds is None else done


def open_run(folder: str | Path) -> Run:
    """A finished run, for instance from the column `folder` of `ib.runs()`.

    Raises:
        UserError: there is no record, it is damaged, or the run was not finished.
    """
    found = finished.open_run(Path(folder))
    return Run(found.folder, found.record, found.config)


def compare(left: Run | str | Path, right: Run | str | Path) -> comparisons.Comparison:
    """Two finished runs of one task side by side: what differs, their scores with paired tests, and their costs.

    Args:
        left: a run, or its folder.
        right: another one.

    Returns:
        `warnings`, `tables` and `remarks`, which print as `inducer-bench compare` shows them.

    Raises:
        UserError: they are of different tasks, or damaged.
    """
    runs = [each if isinstance(each, FinishedRun) else open_run(each) for each in (left, right)]
    return comparisons.compare(*runs)


def _words(overrides: Any) -> list[str]:
    """Overrides as a list of texts.

    Raises:
        UserError: they are something else.
    """
    example = """ib.run(["preset=mini", "task=sst2"])"""
    if isinstance(overrides, str) or not isinstance(overrides, Iterable):
        raise UserError(f"overrides: found '{shown(overrides)}'; allowed: a list of texts, as in {example}")
    words = list(overrides)
    for word in words:
        if not isinstance(word, str):
            raise UserError(f"overrides: found '{shown(word)}' in the list; allowed: texts, as in {example}")
        if word.startswith("-"):
            raise UserError(f"overrides: found '{shown(word)}'; allowed: key=value; or: {_command(words)}")
    return words


def _check_single(words: list[str]) -> None:
    """Refuse a sweep, which is a matter of the command line.

    Raises:
        UserError: an override has several values.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(as_meant(words))
    except HydraException:  # which `compose` explains
        return
    for override in parsed:
        if override.is_sweep_override():
            raise UserError(
                f"{override.key_or_group}: found several values; allowed: one, in each of several calls; or the "
                f"command {_command(['-m', *words])}"
            )


def _command(words: Sequence[str]) -> str:
    return shlex.join(["inducer-bench", *words])


@contextmanager
def _silence(quiet: bool) -> Iterator[None]:
    """A block that prints warnings alone, if `quiet`."""
    if not quiet:
        yield
        return
    notices.TERMINAL.stream = sys.stderr
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            yield
    finally:
        notices.TERMINAL.stream = None
