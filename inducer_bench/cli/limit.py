"""`--limit N`: a smoke run of N examples, as an override for each key that it stands for.

What it gives are ordinary overrides, so that the run is recorded as what it is: one of other settings, with a hash of
its own. A key that the command line sets itself stays as it is set.
"""

import re
from collections.abc import Sequence

from inducer_bench.errors import UserError, shown

OPTION = "--limit"
HELP = "a smoke run: N examples of train, N of each evaluation, one epoch"
_KEYS = {"task.max_train": "{n}", "task.max_eval": "{n}", "trainer.epochs": "1"}


def examples(text: str) -> int:
    """The N of `--limit N`.

    Raises:
        UserError: it is not a whole number from 1 on.
    """
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < 1:
        raise UserError(f"{OPTION}: found '{shown(text)}'; allowed: a number of examples, from 1 on")
    return int(text)


def limited(overrides: Sequence[str], limit: int | None) -> list[str]:
    """Overrides with those that a limit stands for."""
    if limit is None:
        return [*overrides]
    named = {word.partition("=")[0].lstrip("+~") for word in overrides}
    return [*overrides, *(f"{key}={form.format(n=limit)}" for key, form in _KEYS.items() if key not in named)]
