"""The winner of a search as a file that `recipe=FILE` takes."""

from pathlib import Path

import yaml

from inducer_bench.files import write_atomic
from inducer_bench.search.record import Search, Trial


def write_recipe(path: Path, search: Search, winner: Trial) -> None:
    """Write the settings of the winner as YAML.

    Raises:
        OSError: it cannot be written.
    """
    comment = (
        f"# The best of {len(search.trials)} trials of {search.method} on {search.task}, {search.plm}: "
        f"{search.metric} {winner.score:.4g} on the held-out {search.held_out:.0%} of train.\n"
    )
    values = {"method": search.choice, "settings": winner.settings, "search": search.id}
    write_atomic(path, (comment + yaml.safe_dump(values, sort_keys=False)).encode())
