"""Values on the command line are the texts that were typed, wherever a key holds a text."""

import random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString

from inducer_bench.config.compose import compose
from inducer_bench.config.overrides import as_meant, literal, quoted


def meaning(override):
    """What Hydra makes of an override; of a sweep the list of its values."""
    value = OverridesParser.create().parse_override(override).value()
    if not isinstance(value, ChoiceSweep):
        return value
    return [[_plain(e) for e in each] if isinstance(each, list) else _plain(each) for each in value.list]


def _plain(value):
    return value.text if isinstance(value, QuotedString) else value


@pytest.mark.parametrize(
    "text",
    ["v=1", "données", "a#b",
     "(a)", "a(1)", "[a]", "[a", "{a}", "a & b; c+d", "~x", "x~", "naïve☃", "it's", 'a"b',
     "a\\b#", "2024", "1e3", "1_000", "-0", "1.", "true", "False", "nan", "inf", "range(1",
     "0x10", "a b=c", "=", "'", "ab\n=c"],
)  # fmt: skip
def test_text_is_taken_as_it_is_typed(text):
    for key in ("task.data_dir", "output_dir", "task.name", "task.label", "+task.files.extra", "++tracker.project"):
        (override,) = as_meant([f"{key}={text}"])
        assert override.startswith(f"{key}=")
        assert meaning(override) == text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("task.text=0", "0"),
        ("task.text=[0,1]", ["0", "1"]),
        ("task.text=[naïve,b=c]", ["naïve", "b=c"]),
        ("task.labels=[true,false]", ["true", "false"]),
        ("task.labels=[null,1]", ["null", "1"]),
        ("task.header=[]", []),
        ("task.text=[a,b],[c,1]", [["a", "b"], ["c", "1"]]),
        ("task.name=2024,x", ["2024", "x"]),
        ("task.data_dir=choice(1e3,é)", ["1e3", "é"]),
        ("task.data_dir='q,1',é", ["q,1", "é"]),
    ],
)
def test_each_text_of_a_list_or_a_sweep_is_taken_as_it_is_typed(typed, meant):
    assert meaning(as_meant([typed])[0]) == meant


@pytest.mark.parametrize(
    "override",
    ["seed=1e3", "seed=range(1", "trainer.betas=[1,2]", "plm.architecture.x=1", "task=2024", "task.data_dir=null",
     "task.data_dir='a b'", "task.data_dir=${oc.env:HOME,1}/x", "task.name=a\\=b", "task.text=[a,b]",
     "task.name=str(5)", "~task.name", "nonsense", "=1", "method=glob(*)",
     "task.labels=auto", "task.nothing=1", "hydra.sweep.dir=1"],
)  # fmt: skip
def test_override_that_needs_no_quotes_stays_as_it_is(override):
    assert as_meant([override]) == [override]


def test_home_folder_is_that_of_the_shell(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert as_meant(["task.data_dir=~/data,b"]) == ["task.data_dir='/home/ada/data',b"]


def test_quoted_text_is_read_back():
    draw = random.Random(0)
    for _ in range(300):
        text = "".join(draw.choices("ab'\"\\,=[]() #é${}~\n", k=draw.randrange(9)))
        assert meaning(f"key={quoted(text)}") == text


def test_literal_text_reaches_the_configuration_as_it_is():
    for text in ("${x}", "a${trainer.lr}b", r"\${x}", r"\\${x}", "${", r"a\\b", "null", "$x", "'${x}'", "[${x}]"):
        config = compose(["task=classification", f"task.data_dir={literal(text)}", "task.text=a", "task.label=b"])
        assert config.task.data_dir == text


def test_numbers_that_are_names_reach_the_configuration():
    config = compose(
        ["task=classification", "task.text=[0,1]", "task.label=true", "task.name=2024", "task.data_dir=1e3"]
    )
    task = config.task
    assert (task.text, task.label, task.name, task.data_dir) == (["0", "1"], "true", "2024", "1e3")
