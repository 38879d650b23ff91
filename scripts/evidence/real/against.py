"""(a) The inducer against prefixes in both forms, fine-tuning and LoRA: per task, over tasks, and with all data."""

from collections.abc import Sequence
from dataclasses import dataclass

from inducer_bench.report.measures import Measure, measure
from inducer_bench.report.naming import task_title
from inducer_bench.report.ranks import MeanRank, mean_ranks
from inducer_bench.report.store import DoneRun, Group
from inducer_bench.report.studies import Searched, Study
from inducer_bench.tasks.options import TaskOptions
from scripts.evidence.real.differences import Difference, Side, adjusted, averaged, between
from scripts.evidence.real.runs import alone, by_task, form

OURS, OTHERS = "Inducer", ("Prefix", "Prefix, not reparameterised", "Fine-tuning", "LoRA")
PARTS = ("seen", "unseen")  # WebNLG's categories: those that train has, and others


@dataclass(frozen=True)
class OverTasks:
    """The tasks of one PLM together: mean differences and mean ranks.

    Args:
        plm: its name.
        tasks: their titles.
        means: the mean difference from each other method that was tried on every task.
        ranks: of all methods that were tried on every task; empty of a single one.
    """

    plm: str
    tasks: list[str]
    means: list[Difference]
    ranks: dict[str, MeanRank]


Compared = Sequence[tuple[Study, list[Difference]]]  # each study that has ended


def compared(studies: Sequence[Study]) -> Compared:
    """The inducer against each of the others, in each study that has ended."""
    return [(study, _of(study, headline(study), place(study))) for study in studies if not study.missing()]


def per_task(each: Compared) -> list[Difference]:
    """All comparisons: one family."""
    return adjusted([difference for _, differences in each for difference in differences])


def per_part(studies: Sequence[Study]) -> list[Difference]:
    """The same comparisons on the parts of a test set, where it has some: one family."""
    ended = [(study, part) for study in studies if not study.missing() for part in parts_of(study)]
    found = [_of(study, part, f"{place(study)}, {part.label}") for study, part in ended]
    return adjusted([one for differences in found for one in differences])


def over_tasks(each: Compared) -> list[OverTasks]:
    """The tasks of each PLM together; of several studies of a task, the one with most methods counts."""
    chosen: dict[tuple[str, str], tuple[Study, list[Difference]]] = {}
    for study, differences in sorted(each, key=lambda one: (-len(one[0].methods), one[0].id)):
        chosen.setdefault((study.first.plm, study.first.task), (study, differences))
    found = []
    for plm in sorted({plm for plm, _ in chosen}):
        pairs = [pair for (its, _), pair in sorted(chosen.items(), key=lambda item: item[0]) if its == plm]
        own = [study for study, _ in pairs]
        means = []
        for other in OTHERS:
            there = [one for _, differences in pairs for one in differences if one.other == other]
            if len(own) > 1 and len(there) == len(own):
                means.append(averaged(f"Mean over {len(own)} tasks", there))
        scores = [{side.label: side.scores(headline(study)) for side in sides_of(study)} for study in own]
        ranks = mean_ranks(scores, [headline(study).better for study in own]) if len(own) > 1 else {}
        found.append(OverTasks(plm, [place(study) for study in own], adjusted(means), ranks))
    return found


def with_more_data(groups: Sequence[Group]) -> list[Difference]:
    """The inducer against each other method, where all of a task's training data were used: one family.

    Raises:
        UserError: a method has several settings on a task.
    """
    found = []
    for (_, plm), own in sorted(by_task([group for group in groups if group.done]).items()):
        place = _place(own[0].config.task, [run for group in own for run in group.done])
        found += of_ours(f"{place} on {plm}", own)
    return adjusted(found)


def of_ours(where: str, groups: Sequence[Group]) -> list[Difference]:
    """The inducer minus each other method among settings of one task; none without inducers. Not adjusted yet.

    Raises:
        UserError: a method has several settings.
    """
    methods: dict[str, list[Group]] = {}
    for group in groups:
        methods.setdefault(form(group.config), []).append(group)
    sides = [Side(label, alone(own, f"{where}, {label}").done) for label, own in sorted(methods.items())]
    ours = next((number for number, side in enumerate(sides) if side.label == OURS), None)
    if ours is None:
        return []
    pairs = [(ours, other) for other in range(len(sides)) if other != ours]
    return between(where, measure("headline", groups[0].config.task), sides, pairs)


def sides_of(study: Study) -> list[Side]:
    """Every method of a study; one that failed has no runs."""
    return [_side(method) for method in study.methods]


def headline(study: Study) -> Measure:
    """The score of a study."""
    return measure("headline", study.methods[0].config.task)


def parts_of(study: Study) -> list[Measure]:
    """The scores of `PARTS` that the final runs have."""
    whole = headline(study)
    known = {name for side in sides_of(study) for run in side.runs for name in run.record.scores}
    names = [f"{whole.name}_{part}" for part in PARTS]
    return [measure(name, study.methods[0].config.task) for name in names if name in known]


def place(study: Study) -> str:
    """The task and the amount of training data, by which two studies of a task differ."""
    finals = [run for method in study.methods if method.finals for run in method.finals.done]
    return _place(study.methods[0].config.task, finals)


def _place(task: TaskOptions, runs: Sequence[DoneRun]) -> str:
    sizes = {run.record.examples["train"] for run in runs}
    size = f" ({max(sizes):,} training examples)" if sizes else ""
    return f"{task_title(task)}{size}"


def _of(study: Study, score: Measure, where: str) -> list[Difference]:
    sides = {side.label: side for side in sides_of(study) if side.runs}
    chosen = [sides[label] for label in (OURS, *OTHERS) if label in sides]
    if OURS not in sides or len(chosen) < 2:
        return []
    return between(where, score, chosen, [(0, other) for other in range(1, len(chosen))])


def _side(method: Searched) -> Side:
    runs = method.finals.done if method.finals else ()
    tried = [method.tried.get(trial.run) for trial in method.search.deciding()]
    same_score = method.search.metric == method.config.task.metric
    deciding = [run for run in tried if isinstance(run, DoneRun)] if same_score else []
    return Side(form(method.config), runs, deciding)
