"""What `inducer-bench validate` tells about a configuration that is valid, without torch."""

import math
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from inducer_bench.config.compose import compose
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import sizes
from inducer_bench.plm.location import architecture
from inducer_bench.runs import words
from inducer_bench.runs.words import Rows
from inducer_bench.tasks.local import ReadSplit, read_local
from inducer_bench.tasks.options import SAMPLES

_FAR = 100.0  # times the method's own learning rate


def told(overrides: Sequence[str], config_dir: Path | None) -> tuple[str, Rows]:
    """A line about a configuration, and what a run of it would do.

    Raises:
        UserError: the first thing that is wrong with it, or with its local files.
    """
    config = compose([*overrides], config_dir)
    read = read_local(config.task)
    line = (
        f"valid: task={config.task.name} plm={config.plm.name} method={config.method.name} "
        f"protocol={config.protocol.name} suite={config.suite} seed={config.seed}"
    )
    rows = [*words.known_before(config), *_parameters(config), *_data(config, read)]
    note = _far_from_own(config, overrides, config_dir)
    return line, rows + ([("note", note)] if note else [])


def _parameters(config: ExperimentConfig) -> Rows:
    """The parameters of the method, where its options say how many there are and the model's sizes are known."""
    try:
        count = config.method.parameters(sizes(architecture(config.plm), config.plm.layout))
    except UserError:
        return []
    return [("parameters", f"{count:,} of the method; inducer-bench params counts those of head and model")]


def _data(config: ExperimentConfig, read: Sequence[ReadSplit]) -> Rows:
    """What was read of the data, and the steps that follow from it."""
    if not read:
        return [("data", "not looked at: a run fetches them, or they are bundled")]
    rows: Rows = []
    for one in read:
        if one.rows is None:
            text = f"{one.file} is there; the run reads its entries"
        else:
            more = "" if one.whole else " and more"
            text = f"{one.file}: {one.rows:,} examples{more}, columns and values are as they should be"
            limit = config.task.limit(one.split)
            if limit and limit < one.rows:
                text += f"; {limit:,} of them are used, {SAMPLES[config.task.sample]}"
        rows.append((one.split, text))
    train = next(one for one in read if one.split == "train")
    if train.sequences is not None:
        held_out = config.protocol.held_out if config.protocol.select_on == "held_out" else 0
        trained_on = train.sequences - math.ceil(held_out * train.sequences)
        each = math.ceil(trained_on / config.trainer.batch_size)
        steps = config.trainer.epochs * each
        rows.append(("steps", f"{steps:,}, {each:,} an epoch"))
        rows += [("note", note) for note in config.trainer.without_effect(steps)]
    return rows


def _far_from_own(config: ExperimentConfig, overrides: Sequence[str], config_dir: Path | None) -> str | None:
    """A remark on a learning rate that is far from the one published with the method."""
    others = [override for override in overrides if override.partition("=")[0].lstrip("+") != "trainer.lr"]
    if len(others) == len(overrides):
        return None
    with redirect_stderr(StringIO()):  # what `method.budget` has to say, which was said
        own = compose(others, config_dir).trainer.lr
    ratio = config.trainer.lr / own
    if 1 / _FAR <= ratio <= _FAR:
        return None
    times = f"{ratio:,.0f} times" if ratio > 1 else f"1/{1 / ratio:,.0f} of"
    return f"trainer.lr: {config.trainer.lr:g} is {times} the method's own here, {own:g}"
