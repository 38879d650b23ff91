"""Searches written by hand: what `inducer-bench tune` would leave, without training."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers.handmade import configuration
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.search import record as searches
from inducer_bench.search.record import Dimension, FinalRun, Search, Trial

CENTRE, DECADES = 1e-3, 3.0


def space(decades: float = DECADES) -> list[Dimension]:
    """The learning rate alone."""
    low, high = CENTRE * 10 ** (-decades / 2), CENTRE * 10 ** (decades / 2)
    return [Dimension(key="trainer.lr", centre=CENTRE, low=low, high=high, log=True)]


def trials(scores: Sequence[float | str | None], decades: float = DECADES, seconds: float = 90.0) -> list[Trial]:
    """One trial for each score, at learning rates that share the range; a text is the status of one without a score."""
    found = []
    for number, score in enumerate(scores):
        point = (number + 0.5) / len(scores)
        rate = CENTRE * 10 ** (decades * (point - 0.5))
        ended: dict[str, Any] = {"status": score} if isinstance(score, str) else {"status": "done", "score": score}
        found.append(Trial(number=number, point=[point], settings={"trainer.lr": rate}, run=f"{number:016x}",
                           seconds=0.0 if score == "planned" else seconds, **ended))  # fmt: skip
    return found


def search_of(config: ExperimentConfig, scores: Sequence[float | str | None] = (70.0, 80.0), **changes: Any) -> Search:
    """The search that `tune` would leave for the method of `config`; `changes` replace fields."""
    known: dict[str, Any] = {
        "id": "0123456789abcdef",
        "study": "fedcba9876543210",
        "suite": config.suite,
        "task": config.task.name,
        "plm": config.plm.name,
        "method": config.method.name,
        "choice": config.method.name,
        "overrides": [],
        "metric": config.task.metric,
        "better": 1,
        "decades": DECADES,
        "max_train": 2000,
        "epochs": 2,
        "held_out": 0.1,
        "seed": config.seed,
        "space": space(),
        "trials": trials(scores),
        "finals": [],
        "untuned": [],
        "config": dataclasses.asdict(config),
    }
    known |= changes
    scored = [(trial.score, -trial.number) for trial in known["trials"] if trial.score is not None]
    ended = all(trial.status not in ("planned", "interrupted") for trial in known["trials"])
    if scored and ended:
        known.setdefault("winner", -max((known["better"] * score, order) for score, order in scored)[1])
    return Search(**known)


def write_search(root: Path, search: Search) -> Path:
    """The folder of the search, as `tune` would leave it."""
    folder = root / searches.FOLDER / search.task / search.plm / search.method / search.id
    folder.mkdir(parents=True)
    searches.write(folder, search)
    return folder


def search_in(root: Path, *overrides: str, **changes: Any) -> Path:
    """`write_search` of `search_of` the configuration of `overrides`."""
    return write_search(root, search_of(configuration(overrides), **changes))


def final_runs(hashes: Sequence[str]) -> list[FinalRun]:
    """Runs with seeds from 1 on."""
    return [FinalRun(seed=seed, run=run) for seed, run in enumerate(hashes, start=1)]
