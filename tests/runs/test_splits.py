"""The part of train that selects the epoch: random, apart from what is trained on, and of whole sources."""

import random
from types import SimpleNamespace

import pytest

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.runs.splits import select_splits
from inducer_bench.tasks.cache import EncodedExamples

SOURCES = [f"entry {n}" for n in range(30) for _ in range(1 + n % 4)]


def split(sources, *overrides, seed=0):
    """The numbers of the examples that are trained on, and of those held out; a source may be None."""
    rows = [{"length": 1, "number": n, **({"source": name} if name else {})} for n, name in enumerate(sources)]
    task = SimpleNamespace(examples=lambda _: EncodedExamples.from_list(rows))
    protocol = compose(["task=webnlg", "protocol=clean", "protocol.held_out=0.2", *overrides]).protocol
    found = select_splits(task, protocol, seed)
    return [[row["number"] for row in part] for part in (found.train, found.selection)]


@pytest.mark.parametrize("seed", range(5))
def test_sources_are_held_out_whole_and_as_many_as_are_needed(seed):
    train, held_out = split(SOURCES, seed=seed)
    assert sorted(train + held_out) == [*range(len(SOURCES))]
    assert not {SOURCES[n] for n in train} & {SOURCES[n] for n in held_out}
    assert 15 <= len(held_out) < 15 + 4  # a fifth of 73, and the rest of the last entry


def test_held_out_part_is_random_and_follows_the_seed():
    parts = [split(SOURCES, seed=seed)[1] for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]
    assert max(parts[0]) - min(parts[0]) > 2 * len(parts[0])


def test_examples_without_sources_are_held_out_as_in_earlier_releases():
    order = [*range(73)]
    random.Random(0).shuffle(order)
    before = [sorted(order[15:]), order[:15]]
    assert split([None] * 73) == split(SOURCES, "protocol.hold_out=examples") == before
    assert split([str(n) for n in range(73)]) == before


def test_part_that_leaves_nothing_is_refused():
    with pytest.raises(UserError, match=r"^protocol\.held_out: found 0\.2; leaves no example of 4 to train on$"):
        split(["one"] * 4)
