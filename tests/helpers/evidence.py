"""Records of the experiments of `results/real`, written by hand."""

from dataclasses import replace

from helpers import handmade
from helpers.handmade import FULL


def ran(root, experiment, of, *, scores, **changes):
    """Runs of an experiment, one for each score; None: it failed."""
    for seed, score in enumerate(scores):
        found = {"status": "failed"} if score is None else {"score": score, **changes}
        handmade.write_run_of(root, of, seed=seed, command=f"inducer-bench -m experiment={experiment}", **found)


def composed(*overrides):
    return handmade.configuration((*FULL, *overrides))


def varied(config, **values):
    """The configuration with other values: section__key=value. Composing each one would take most of the time."""
    for name, value in values.items():
        section, _, key = name.partition("__")
        config = replace(config, **{section: replace(getattr(config, section), **{key: value})})
    return config
