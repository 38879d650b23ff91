"""Searches written by hand: what `inducer-bench tune` would leave, without training."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers.handmade import configuration, write_run_of
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.search import record as searches
from inducer_bench.search.record import Dimension, FinalRun, Search, Trial

CENTRE, DECADES = 1e-3, 3.0
Scores = Sequence[float | str | None]  # of trials or runs; a text is the status of one without a score


def space(centre: float = CENTRE) -> list[Dimension]:
    """The learning rate alone."""
    half = 10 ** (DECADES / 2)
    return [Dimension(key="trainer.lr", centre=centre, low=centre / half, high=centre * half, log=True)]


def trials(scores: Scores, centre: float = CENTRE) -> list[Trial]:
    """One trial for each score, at learning rates that share the range."""
    found = []
    for number, score in enumerate(scores):
        point = (number + 0.5) / len(scores)
        rate = float(f"{centre * 10 ** (DECADES * (point - 0.5)):.4g}")
        ended: dict[str, Any] = {"status": score} if isinstance(score, str) else {"status": "done", "score": score}
        seconds = 90.0 if ended["status"] == "done" else 0.0
        found.append(
            Trial(number=number, point=[point], settings={"trainer.lr": rate}, run=f"{number:016x}", seconds=seconds,
                  **ended)
        )  # fmt: skip
    return found


def search_of(config: ExperimentConfig, scores: Scores = (70.0, 80.0), **changes: Any) -> Search:
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


def tune(
    root: Path,
    *overrides: str,
    tried: Scores = (70.0, "failed", 80.0, 75.0),
    finals: Scores = (80.0, 80.0),
    untuned: Scores = (),
    predictions: bool = True,
    **changes: Any,
) -> Path:
    """The folder of a search with the records of its runs; `changes` replace fields of the search.

    Args:
        root: the output folder.
        overrides: of the final runs, the method among them.
        tried: of trials; `planned` ones have no record.
        finals: of the winner's runs, with seeds from 1 on; `missing` ones have no record.
        untuned: of runs at the method's own settings, with the same seeds.
        predictions: whether trials left theirs.
    """
    config = configuration((*overrides, "protocol=clean"))
    planned = changes.pop("trials", None) or trials(tried, config.trainer.lr)
    known = search_of(
        _with(_with(config, "trainer", epochs=2), "task", max_train=2000),
        trials=[
            _tried(root, config, trial, str(changes.get("metric", config.task.metric)), predictions)
            for trial in planned
        ],
        **{"space": space(config.trainer.lr), **changes},
    )
    winner = {} if known.winner is None else known.trials[known.winner].settings
    runs = {
        "finals": _runs(root, _set(config, winner), finals) if winner else [],
        "untuned": _runs(root, config, untuned),
    }
    return write_search(root, dataclasses.replace(known, **{**runs, **changes}))


def _tried(root: Path, config: ExperimentConfig, trial: Trial, metric: str, predictions: bool) -> Trial:
    """The trial with the hash of its run, which gets a record if it was begun."""
    if trial.status == "planned":
        return trial
    own = _with(_with(_set(config, trial.settings), "trainer", epochs=2), "protocol", score="held_out")
    done = trial.status == "done"
    scores = {"scores": {metric: trial.score}, "selection_score": trial.score} if done else {}
    status = "failed" if trial.status == "diverged" else trial.status
    folder = write_run_of(root, own, config.seed, trial.score or 0.0, status=status, predictions=predictions, **scores)
    return dataclasses.replace(trial, run=folder.name)


def _runs(root: Path, config: ExperimentConfig, scores: Scores) -> list[FinalRun]:
    hashes = []
    for seed, score in enumerate(scores, start=1):
        if score == "missing":
            hashes.append(64 * "0")
        elif isinstance(score, str):
            hashes.append(write_run_of(root, config, seed, status=score).name)
        else:
            hashes.append(write_run_of(root, config, seed, score=score or 0.0).name)
    return final_runs(hashes)


def _set(config: ExperimentConfig, settings: dict[str, Any]) -> ExperimentConfig:
    for key, value in settings.items():
        section, _, name = key.partition(".")
        config = _with(config, section, **{name: value})
    return config


def _with(config: ExperimentConfig, section: str, **values: Any) -> ExperimentConfig:
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **values)})
