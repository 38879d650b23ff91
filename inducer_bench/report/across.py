"""Across tasks: the mean rank of each method in studies of equal effort on one PLM, tuned and at its own settings."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from inducer_bench.report.cells import Cell, Fact, Notes
from inducer_bench.report.layout import Scope
from inducer_bench.report.measures import measure
from inducer_bench.report.naming import task_title
from inducer_bench.report.ranks import MeanRank, mean_ranks
from inducer_bench.report.store import Group
from inducer_bench.report.studies import Searched, Study, short_hash
from inducer_bench.report.tables import Column, Row, Table, file_name

Scores = Mapping[str, Sequence[float]]  # method -> the headline score of each of its runs


def tables(studies: Sequence[Study]) -> list[Table]:
    """A table for each effort that has ended on at least two tasks with at least two methods."""
    by_effort: dict[tuple[object, ...], list[Study]] = defaultdict(list)
    for study in studies:
        if not study.missing():
            by_effort[study.effort].append(study)
    found = [_table(effort, members) for effort, members in sorted(by_effort.items(), key=lambda item: repr(item[0]))]
    return [table for table in found if table]


def _table(effort: tuple[object, ...], studies: Sequence[Study]) -> Table | None:
    notes = Notes()
    chosen: dict[str, Study] = {}
    for study in sorted(studies, key=lambda study: (study.first.task, -len(study.methods), study.id)):
        chosen.setdefault(study.first.task, study)
    if len(chosen) < 2:
        return None
    better = [measure("headline", study.methods[0].config.task).better for study in chosen.values()]
    tuned = mean_ranks([_scores(study, lambda method: method.finals) for study in chosen.values()], better)
    if not tuned:
        return None
    untuned = {}
    if all(method.untuned for study in chosen.values() for method in study.methods if method.label in tuned):
        own = [_scores(study, lambda method: method.untuned) for study in chosen.values()]
        untuned = mean_ranks([{label: task[label] for label in tuned} for task in own], better)
    columns = [Column(" ".join(chosen), "", "mean rank", "mean_rank", -1)]
    for study in chosen.values():
        further = sum(other.first.task == study.first.task for other in studies) > 1
        marks = (notes.add("of several studies of this task, the one with most methods"),) if further else ()
        title = task_title(study.methods[0].config.task)
        columns.append(Column(study.first.task, "", title, "rank", -1, marks=marks, task_title=title))
    if untuned:
        columns.append(Column(" ".join(chosen), "", "mean rank, own settings", "mean_rank_untuned", -1))
        columns.append(Column(" ".join(chosen), "", "change by tuning", "change", -1))
    first = next(iter(chosen.values()))
    names = {method.label: method.search.method for method in first.methods}
    config = first.methods[0].config
    return Table(
        name=file_name("tuned_ranks", first.first.plm, short_hash(effort)),
        title=f"Tuned: ranks over {len(chosen)} tasks, {len(first.first.trials)} trials of each method",
        scope=Scope(config.suite, config.plm.name, config.protocol.name),
        columns=tuple(columns),
        rows=tuple(Row(label, names[label], _cells(own, untuned.get(label))) for label, own in tuned.items()),
        made_with="",
        notes=notes.listed(),
        commands=(),
        figures=(),
        equal_effort=True,
        kind="study",
        layout="tuned_ranks",
        text=tuple(_said(chosen, tuned, untuned)),
    )


def _scores(study: Study, runs: Callable[[Searched], Group | None]) -> Scores:
    """The headline scores of each method's runs; none for a method that failed."""
    headline = measure("headline", study.methods[0].config.task)
    found = {}
    for method in study.methods:
        values = [headline.read(run) for run in group.done] if (group := runs(method)) else []
        found[method.label] = [value for value in values if value is not None]
    return found


def _cells(tuned: MeanRank, untuned: MeanRank | None) -> tuple[Cell, ...]:
    cells = [_mean(tuned), *(Fact(written=f"{rank:g}", value=rank) for rank in tuned.ranks)]
    if untuned:
        change = tuned.mean - untuned.mean
        cells += [_mean(untuned), Fact(written=f"{change:+.1f}" if change else "0.0", value=change)]
    return tuple(cells)


def _mean(found: MeanRank) -> Fact:
    if found.interval is None:
        return Fact(written=f"{found.mean:.1f}", value=found.mean)
    low, high = found.interval
    written = f"{found.mean:.1f} [{low:.1f}, {high:.1f}]"
    return Fact(written=written, value=found.mean, values=(("low", low), ("high", high)))


def _said(chosen: Mapping[str, Study], tuned: Mapping[str, MeanRank], untuned: Mapping[str, MeanRank]) -> list[str]:
    said = ["Rank 1 is the best mean score of a task, whether or not a test can tell it from the next one."]
    if all(found.interval for found in tuned.values()):
        said[0] += (
            " In brackets: 95 % intervals over other seeds on these tasks and examples, which say nothing of others."
        )
    else:
        said[0] += " There are no intervals, as a method has one final run on a task."
    missing = {method.label for study in chosen.values() for method in study.methods} - set(tuned)
    said += [f"Not tried on every task, and left out: {', '.join(sorted(missing))}."] if missing else []
    if untuned:
        tau = _kendall([found.mean for found in tuned.values()], [untuned[label].mean for label in tuned])
        said += [f"Kendall's tau of the mean ranks, tuned and at the methods' own settings: {tau}; 1: the same order."]
    return said


def _kendall(left: Sequence[float], right: Sequence[float]) -> str:
    from scipy.stats import kendalltau

    tau = float(kendalltau(left, right).statistic)
    return f"{tau:.2f}" if math.isfinite(tau) else "undefined, as all ranks are equal"
