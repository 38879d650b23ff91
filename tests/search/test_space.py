"""The prior of a search, and its points."""

import math
import re

import numpy as np
import pytest
from omegaconf import OmegaConf

from inducer_bench.config.choices import choices
from inducer_bench.config.compose import composition
from inducer_bench.errors import UserError
from inducer_bench.search.record import Dimension
from inducer_bench.search.space import points, setting, space


def config(**search):
    return OmegaConf.create({
        "method": {"name": "lora", "r": 8, "dropout": 0.0, "alpha": 16.0, "targets": ["q"], "search": search},
        "trainer": {"lr": 2e-4, "weight_decay": 0.1},
    })  # fmt: skip


def test_learning_rates_span_the_decades_about_the_methods_own():
    (rate,) = space(config(), 3.0, 1)
    assert math.log10(rate.high / rate.low) == pytest.approx(3.0)
    assert math.sqrt(rate.high * rate.low) == pytest.approx(2e-4)
    assert rate.centre == 2e-4
    assert setting(rate, 0.5) == pytest.approx(2e-4)


def test_points_are_even_in_every_part_of_the_range():
    """Each sixteenth of the range has one of 16 points, whatever the shift."""
    for seed in range(5):
        (column,) = np.array(points(16, 1, seed)).T
        gaps = np.diff(np.sort(column))
        assert gaps == pytest.approx(np.full(15, 1 / 16))


def test_more_trials_go_on_where_fewer_ended_and_dimensions_do_not_change_the_first():
    many = np.array(points(37, 3, 4))
    assert np.array_equal(many[:16], points(16, 3, 4))
    assert many[:, :1] == pytest.approx(np.array(points(37, 1, 4)))
    assert ((many >= 0) & (many < 1)).all()
    assert not np.array_equal(many, points(37, 3, 5))


def test_a_single_point_is_uniform_over_shifts():
    first = np.array([points(1, 1, seed)[0][0] for seed in range(400)])
    assert np.histogram(first, 4, (0, 1))[0].min() > 70


def test_keys_of_a_method_follow_in_their_order_and_no_more_than_asked_for():
    search = {"method.dropout": [0.0, 0.1], "trainer.weight_decay": {"low": 0.01, "high": 1.0, "log": True}}
    assert [one.key for one in space(config(**search), 3.0, 1)] == ["trainer.lr"]
    assert [one.key for one in space(config(**search), 3.0, 2)] == ["trainer.lr", "method.dropout"]
    found = space(config(**search), 3.0, 8)
    assert [one.key for one in found] == ["trainer.lr", "method.dropout", "trainer.weight_decay"]
    assert [setting(found[1], at) for at in (0.0, 0.49, 0.5, 0.99)] == [0.0, 0.0, 0.1, 0.1]
    assert [setting(found[2], at) for at in (0.0, 0.5)] == [0.01, 0.1]


def test_an_interval_of_whole_numbers_gives_whole_numbers():
    (_, r) = space(config(**{"method.r": {"low": 2, "high": 32, "log": True}}), 3.0, 2)
    assert [setting(r, at) for at in (0.0, 0.5, 0.999)] == [2, 8, 32]
    assert all(isinstance(setting(r, at), int) for at in np.linspace(0, 0.99, 20))


def test_values_are_rounded_as_a_person_writes_them():
    assert setting(Dimension(key="x", centre=1.0, low=1e-5, high=1e-2, log=True), 1 / 3) == 0.0001


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"method.nothing": [1, 2]}, "method.search.method.nothing: no key of the configuration with a single"),
        (
            {"method.targets": [1, 2]},
            "method.search.method.targets: no key of the configuration with a single",
        ),
        ({"trainer.lr": [1, 2]}, "the learning rate is always searched"),
        ({"task.max_length": [1, 2]}, "allowed: keys of method and trainer"),
        ({"method.dropout": [0.1]}, "at least two values"),
        ({"method.dropout": [[0.1], 2]}, "at least two values"),
        ({"method.dropout": 0.1}, "allowed: a list of values, or low and high"),
        ({"method.dropout": {"low": 0.1}}, "method.search.method.dropout.high: missing"),
        ({"method.dropout": {"low": 0.2, "high": 0.1}}, "low below high"),
        ({"method.dropout": {"low": 0.0, "high": 0.1, "log": True}}, "above 0 with log"),
        ({"method.dropout": {"low": 0.0, "high": 0.1, "lag": True}}, "lag: there is no such key"),
    ],
)
def test_a_search_that_is_impossible_is_told(search, words):
    with pytest.raises(UserError, match=re.escape(words)):
        space(config(**search), 3.0, 2)


def test_a_search_that_has_no_keys_is_told():
    odd = config()
    odd.method.search = [1]
    with pytest.raises(UserError, match=r"method\.search: found"):
        space(odd, 3.0, 2)


@pytest.mark.parametrize("method", sorted({*choices("method")} - {"own"}))
def test_every_shipped_method_searches_one_further_key_and_its_values_are_possible(method):
    from inducer_bench.config.compose import compose

    overrides = ["preset=mini", "task=sst2", f"method={method}"]
    found = space(composition(overrides), 3.0, 8)
    assert len(found) == 2
    for at in (0.0, 0.5, 0.99):
        value = setting(found[1], at)
        compose([*overrides, f"{found[1].key}={value}"])
