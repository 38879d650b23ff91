"""The table of a study: tuned scores, what is tied with the best, what was tried, and what it cost.

Rows are methods, the best mean first. What the numbers mean stands below the table in words.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from inducer_bench.errors import UserError
from inducer_bench.report import tied
from inducer_bench.report.cells import MISSING, Cell, Fact, Measured, Notes, cell_of, marks_of, mixes
from inducer_bench.report.examples import Rows
from inducer_bench.report.layout import Scope
from inducer_bench.report.marks import LEVEL, predictions_of
from inducer_bench.report.measures import Measure, measure
from inducer_bench.report.naming import task_title
from inducer_bench.report.robustness import at_edge, robustness
from inducer_bench.report.statistics import paired_p_value
from inducer_bench.report.store import DoneRun, Group
from inducer_bench.report.studies import Searched, Study
from inducer_bench.report.tables import Column, Row, Table, file_name
from inducer_bench.report.tied import Standing, Verdict
from inducer_bench.search.record import Value
from inducer_bench.tasks.options import SAMPLES

LEARNING_RATE = "trainer.lr"
_ROUNDING = 0.005  # of a score in a record
_SETTINGS_ALONE = "examples and seeds, of the settings found: another search would have found others"
_TESTED = 2  # runs that a method needs
_COMPARED = 4  # trials; of fewer, the best and the middle one may be neighbours


@dataclass(frozen=True)
class _Entry:
    """A method with the cells of its scores."""

    searched: Searched
    tuned: Cell
    untuned: Cell | None  # None where no such runs were asked for
    parameters: Cell


def table(study: Study) -> Table:
    """The table of a study, with a verdict if everything has ended."""
    notes = Notes()
    config = study.methods[0].config
    headline = measure("headline", config.task)
    entries = [_entry(method, headline, notes) for method in study.methods]
    made_with, marks = mixes([cell for one in entries for cell in (one.tuned, one.untuned) if cell], notes)
    entries.sort(key=lambda one: _order(one, headline))
    found = _verdict(study, entries, headline)
    standings = found.standings if found.reason is None else [None] * len(entries)
    columns: dict[str, Column] = {}
    rows = []
    for one, standing in zip(entries, standings, strict=True):
        cells = _cells(one, standing, found, headline, any(other.untuned for other in entries), notes)
        title = task_title(config.task)
        columns = {
            value: Column(config.task.name, "", label, value, headline.better, task_title=title)
            for value, label, _ in cells
        }
        each = tuple(cell.marked(marks_of(cell, marks)) for _, _, cell in cells)
        runs = tuple(group for group in (one.searched.finals, one.searched.untuned) if group)
        rows.append(Row(one.searched.label, one.searched.search.method, each, groups=runs))
    return Table(
        name=file_name("tuned", study.first.task, study.first.plm, study.id),
        title=f"Tuned: {task_title(config.task)}, {len(study.first.trials)} trials of each method",
        scope=Scope(config.suite, config.plm.name, config.protocol.name),
        columns=tuple(columns.values()),
        rows=tuple(rows),
        made_with=made_with,
        notes=notes.listed(),
        commands=(),
        figures=(),
        equal_effort=True,
        kind="study",
        layout="tuned",
        text=(_said(study, entries, found, headline), *_effort(study), _meaning(found, entries)),
    )


# -- cells -------------------------------------------------------------------------------------------------------------


def _entry(method: Searched, headline: Measure, notes: Notes) -> _Entry:
    missing = method.missing()
    if method.finals:
        tuned = cell_of(method.finals, headline, notes)
        tuned = tuned.marked([notes.add(f"{missing} have ended")] if missing else [])
    else:
        tuned = Cell(missing or "no trial has a score")
    untuned = None
    if method.search.untuned:
        untuned = cell_of(method.untuned, headline, notes) if method.untuned else Cell(MISSING)
    some = method.finals or method.untuned
    parameters = cell_of(some, measure("parameters", method.config.task), notes) if some else Cell(MISSING)
    return _Entry(method, tuned, untuned, parameters)


def _order(one: _Entry, headline: Measure) -> tuple[float, str]:
    """A sort key: the best mean first, rows without one last."""
    mean = -headline.better * one.tuned.mean if isinstance(one.tuned, Measured) else math.inf
    return mean, one.searched.label


def _cells(
    one: _Entry, standing: Standing | None, found: Verdict, headline: Measure, untuned: bool, notes: Notes
) -> list[tuple[str, str, Cell]]:
    """The value, the heading and the cell of each column of a row."""
    search = one.searched.search
    cells = [("tuned", f"{headline.label}, tuned", one.tuned)]
    if untuned:
        cells += [("untuned", f"{headline.label}, own settings", one.untuned or Cell(MISSING))]
        cells += [("gain", "gain", _gain(one, headline))]
    if standing:
        best = found.standings[found.best] if found.best is not None else None
        cells += [("difference", "difference from the best", _difference(standing, headline))]
        cells += [("verdict", "verdict", _word(standing, standing is best))]
    cells += [
        ("trials", "trials", _trials(one.searched)),
        ("settings", "settings found", _settings(one.searched, notes)),
        ("width", "width, decades", _width(one.searched, notes)),
        ("search_hours", "search, h", _hours([run.seconds for run in (*search.trials, *search.confirmations)])),
        ("final_hours", "final runs, h", _hours(_seconds(one.searched.finals))),
        ("parameters", "parameters", one.parameters),
    ]
    return cells


def _gain(one: _Entry, headline: Measure) -> Cell:
    if not isinstance(one.tuned, Measured) or not isinstance(one.untuned, Measured):
        return Cell()
    gain = headline.better * (one.tuned.mean - one.untuned.mean)
    return Fact(written=_signed(gain, headline), value=gain)


def _difference(standing: Standing, headline: Measure) -> Cell:
    if standing.difference is None or standing.interval is None or standing.p_value is None:
        return Cell(standing.reason or "")
    low, high = standing.interval
    written = _signed(standing.difference, headline)
    if low < high:
        written += f" [{_signed(low, headline)}, {_signed(high, headline)}]"
    values = (("low", low), ("high", high), ("p", standing.p_value))
    return Fact(written=written, value=standing.difference, values=values)


def _word(standing: Standing, best: bool) -> Cell:
    if standing.tied is None:
        return Cell("not tested")
    return Fact(written="best" if best else "tied" if standing.tied else "worse")


def _trials(method: Searched) -> Cell:
    """The number of trials that have ended, and of those without a score."""
    trials = method.search.trials
    counts = [(word, sum(trial.status == word for trial in trials)) for word in ("failed", "diverged", "oom")]
    other = [(word, number) for word, number in counts if number]
    ended = len(method.ended)
    written = str(ended) if ended == len(trials) else f"{ended} of {len(trials)}"
    if other:
        written += f" ({', '.join(f'{number} {word}' for word, number in other)})"
    return Fact(written=written, value=ended, values=tuple((word, float(number)) for word, number in other))


def _settings(method: Searched, notes: Notes) -> Cell:
    """The winner's settings; a footnote where the best learning rate is the first or last one that was tried."""
    winner = method.winner
    if winner is None:
        return Cell()
    written = ", ".join(f"{key.partition('.')[2]}={_value(value)}" for key, value in winner.settings.items())
    numbers = [(key, value) for key, value in winner.settings.items() if isinstance(value, int | float)]
    fact = Fact(written=written, values=tuple(numbers))
    return fact.marked(notes.add(remark) for remark in (_edge(method), _chance(method), _loss(method)) if remark)


def _edge(method: Searched) -> str | None:
    rates = [rate for rate, _ in rates_of(method)]
    assert method.winner is not None
    rate = method.winner.settings.get(LEARNING_RATE)
    end = at_edge(rate, rates) if isinstance(rate, float) else None
    if end is None:
        return None
    return f"the {'lowest' if end == 'low' else 'highest'} learning rate that was tried: a better one may lie beyond"


def _chance(method: Searched) -> str | None:
    """A remark where the winner is no better than the trial in the middle, as far as the held-out examples can tell."""
    scored = [trial for trial in method.ended if trial.score is not None]
    middle = sorted(scored, key=lambda trial: method.search.better * (trial.score or 0.0))[(len(scored) - 1) // 2]
    metric, runs = method.config.task.metric_of(method.search.metric), []
    for trial in (method.winner, middle):
        run = method.tried.get(trial.run) if trial else None
        if not isinstance(run, DoneRun):
            return None
        runs.append(run)
    if metric is None or len(scored) < _COMPARED:
        return None
    try:
        best, other = ([predictions_of(run)] for run in runs)
    except UserError:  # without them there is nothing to remark
        return None
    p_value = paired_p_value(method.search.metric, metric, best, other)
    if p_value is None or p_value < LEVEL:
        return None
    return "chance: on the held-out examples it cannot be told apart from the trial that is in the middle of all"


def _loss(method: Searched) -> str | None:
    """A remark where the loss chose among trials with the score of the winner."""
    assert method.winner is not None
    same = sum(trial.score == method.winner.score for trial in method.ended)
    chosen = same > 1 and method.winner.loss is not None
    return "other trials have its score; the held-out loss decided between them" if chosen else None


def _width(method: Searched, notes: Notes) -> Cell:
    found = robustness(rates_of(method), method.search.better, dimensions=len(method.search.space))
    if found is None:
        return Cell()
    written = f"{'≥ ' if found.open_ends else ''}{found.decades:.1f}"
    values = (("low", found.low), ("high", found.high))
    fact = Fact(written=written, value=found.decades, values=values)
    ends = " and the ".join("lowest" if end == "low" else "highest" for end in found.open_ends)
    return fact.marked([notes.add(f"reaches the {ends} learning rate that was tried")]) if ends else fact


def rates_of(method: Searched) -> list[tuple[float, float | None]]:
    """The learning rate and the score of each trial that has ended."""
    pairs = [(trial.settings.get(LEARNING_RATE), trial.score) for trial in method.ended]
    return [(float(rate), score) for rate, score in pairs if isinstance(rate, float) and rate > 0]


def _seconds(group: Group | None) -> list[float]:
    return [run.record.train_seconds + run.record.eval_seconds for run in (group.done if group else ())]


def _hours(seconds: Sequence[float]) -> Cell:
    hours = sum(seconds) / 3600
    decimals = 1 if hours >= 10 else 2 if hours >= 1 else 3
    return Fact(written=f"{hours:,.{decimals}f}", value=hours)


def _signed(number: float, headline: Measure) -> str:
    number = round(number, headline.decimals) or 0.0 if math.isfinite(number) else number  # no -0.0
    return f"{number:+.{headline.decimals}f}" if math.isfinite(number) else "∞" if number > 0 else "-∞"


def _value(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


# -- the verdict -------------------------------------------------------------------------------------------------------


def _verdict(study: Study, entries: Sequence[_Entry], headline: Measure) -> Verdict:
    """The standing of each method, in the order of `entries`; none while something has not ended."""
    if missing := study.missing():
        return Verdict((), reason=f"still to come: {', '.join(missing)}; the same command goes on")
    if len(entries) < 2:
        return Verdict((), reason="there is only one method")
    if headline.metric is None:
        return Verdict((), reason=f"the metric {headline.name} is not installed here")
    try:
        sides, searches = [_sides(one) for one in entries], [_searched(one, headline) for one in entries]
        found = tied.verdict(headline.name, headline.metric, sides, headline.better, searches=searches)
    except UserError as error:
        return Verdict((), reason=str(error))
    for one, standing in zip(entries, found.standings, strict=True):
        recorded = one.tuned.mean if isinstance(one.tuned, Measured) else math.nan
        if standing.reason is None and abs(standing.mean - recorded) > _ROUNDING:
            return Verdict((), reason=f"the predictions of {one.searched.label} give another score than its records")
    return found


def _sides(one: _Entry) -> list[Rows]:
    """The predictions of each final run with a score."""
    if not isinstance(one.tuned, Measured):
        return []
    seeds = dict(one.tuned.values)
    return [predictions_of(run) for run in one.tuned.group.done if run.seed in seeds]


def _searched(one: _Entry, headline: Measure) -> list[Rows]:
    """The predictions of each trial that decided; none if it was scored by another metric than the final runs."""
    if one.searched.search.metric != headline.name:
        return []
    runs = [one.searched.tried.get(trial.run) for trial in one.searched.search.deciding()]
    return [predictions_of(run) for run in runs if isinstance(run, DoneRun)]


# -- in words ----------------------------------------------------------------------------------------------------------


def _said(study: Study, entries: Sequence[_Entry], found: Verdict, headline: Measure) -> str:
    """The verdict."""
    if found.reason is not None or found.best is None:
        return f"No verdict: {found.reason}."
    best = entries[found.best]
    said = f"Best: {best.searched.label} ({best.tuned.shown()[0]})"
    pairs = [*zip(entries, found.standings, strict=True)]
    equal = [one.searched.label for one, standing in pairs if standing.tied and one is not best]
    worse = [one.searched.label for one, standing in pairs if standing.tied is False]
    if equal:
        said += f"; {_listed(equal)} cannot be told apart from it"
    if worse and not equal:
        said += f"; {'all others' if len(worse) > 1 else _listed(worse)} can be told apart from it"
    if found.detectable is not None:
        seen = f"{_number(_seeds(entries), 'seed')} and {_number(_examples(best), 'example')}"
        smallest = f"{headline.format(found.detectable)} points"
        said += f". The smallest difference that {seen} show in 8 of 10 such studies is {smallest}"
    others = [one.searched.label for one, standing in pairs if standing.tied is None]
    return f"{said}.{f' Not tested: {_listed(others)}.' if others else ''}"


def _effort(study: Study) -> list[str]:
    """What was spent, and on what; and which methods were searched in more dimensions."""
    first = study.first
    trials, finals = _number({len(first.trials)}, "trial"), [method.finals for method in study.methods if method.finals]
    data = "all training examples"
    if first.max_train is not None:
        data = f"{_number({first.max_train}, 'training example')}, {SAMPLES[first.sample]},"
    said = (
        f"Effort, equal for every method: {trials} with learning rates over {first.decades:g} decades about the "
        f"method's own. Searched on {data} for {_number({first.epochs}, 'epoch')}, scored by {first.metric} on the "
        f"{100 * first.held_out:g} % of them that were held out"
    )
    if first.confirm:
        said += f"; the {first.confirm} best of each again on all of the data, and the best of them won"
    runs = [run for group in finals for run in group.done]
    if runs:
        examples = {run.record.examples["train"] for run in runs}
        epochs = {group.config.trainer.epochs for group in finals}
        said += f"; final runs on {_number(examples, 'example')}, {_number(epochs, 'epoch')}"
    sizes: dict[int, list[str]] = {}
    for method in study.methods:
        sizes.setdefault(len(method.search.space), []).append(method.label)
    more = [
        f"{_listed(names)} in {_number({size}, 'setting')}" for size, names in sorted(sizes.items()) if len(sizes) > 1
    ]
    return [f"{said}.", *([f"Searched with the same number of trials: {'; '.join(more)}."] if more else [])]


def _meaning(found: Verdict, entries: Sequence[_Entry]) -> str:
    parts = []
    if any(one.untuned for one in entries):
        parts.append("Gain: tuned against the method's own settings; above 0 where tuning helped.")
    if found.reason is None:
        first = entries[0].searched
        over = "examples, seeds and searches" if first.search.metric == first.config.task.metric else _SETTINGS_ALONE
        parts.append(
            f"Verdict: by a test over {over} (p < {LEVEL}, Holm over all pairs of methods); the intervals of the "
            f"differences hold together with {100 * (1 - LEVEL):g} % confidence."
        )
    metric = entries[0].searched.search.metric
    parts.append(f"Width: of the learning rates whose trials are within 1 point of {metric} of the method's best one.")
    if any(trial.score is None for one in entries for trial in one.searched.ended):
        parts.append("Hours of trials that failed are not known.")
    return " ".join(parts)


def _seeds(entries: Sequence[_Entry]) -> set[int]:
    numbers = [len(one.tuned.values) for one in entries if isinstance(one.tuned, Measured)]
    return {number for number in numbers if number >= _TESTED}


def _examples(best: _Entry) -> set[int]:
    assert isinstance(best.tuned, Measured)
    group = best.tuned.group
    return {run.record.examples.get(group.config.task.report[0], 0) for run in group.done}


def _number(numbers: set[int], noun: str) -> str:
    """`5 seeds`, or `3 to 5 seeds`."""
    low, high = min(numbers), max(numbers)
    several = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{several} {noun}{'' if high == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
