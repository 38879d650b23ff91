"""`recipe.yaml`: the winner of a search, as a file that `recipe=FILE` takes in any later command."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from inducer_bench.config.recipe import Recipe
from inducer_bench.errors import printable
from inducer_bench.files import write_atomic
from inducer_bench.search.record import Search


def write(path: Path, recipe: Recipe, comments: Sequence[str] = ()) -> None:
    """Write a recipe, atomically; `config.recipe.read` gives an equal one.

    Args:
        path: of the file; its folder exists.
        recipe: what it says.
        comments: lines at its top, without the sign of a comment.

    Raises:
        OSError: it cannot be written.
    """
    lines = [f"# {printable(comment)}\n" for comment in comments]
    text = OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(recipe)))
    write_atomic(path, "".join([*lines, text]).encode())


def write_winner(path: Path, search: Search) -> None:
    """Write the recipe of a search that has a winner, with its effort and score in a comment.

    Raises:
        OSError: it cannot be written.
    """
    winner = search.best()
    assert winner is not None
    comment = (
        f"The best of {len(search.trials)} trials of {search.method} on {search.task}, {search.plm}: {search.metric} "
        f"{winner.score:.4g} on the held-out {search.held_out:.0%} of train."
    )
    write(path, Recipe(method=search.choice, settings=winner.settings, search=search.id), [comment])
