"""`recipe=FILE`: what a file may say, and what a command line becomes with it."""

import dataclasses

import pytest

from inducer_bench.config.compose import compose, with_recipe
from inducer_bench.config.overrides import as_meant
from inducer_bench.config.recipe import Recipe, read
from inducer_bench.errors import UserError
from inducer_bench.search.recipe import write

WINNER = """# The winner.
method: lora
settings: {trainer.lr: 1.5e-3, method.dropout: 0.1, method.targets: [q, v, o]}
search: 0123456789abcdef
"""


@pytest.fixture
def winner(tmp_path, monkeypatch):
    """The file `winner.yaml` in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "winner.yaml").write_text(WINNER)
    return tmp_path / "winner.yaml"


def composed(*overrides):
    return compose(["task=sst2", *overrides])


def test_run_of_a_recipe_is_that_of_its_settings_given_by_hand(winner):
    by_hand = ["method=lora", "trainer.lr=1.5e-3", "method.dropout=0.1", "method.targets=[q,v,o]"]
    expected = composed(*by_hand, "search=0123456789abcdef", "seed=7")
    assert composed("recipe=winner.yaml", "seed=7") == expected
    assert composed(f"recipe={winner}", "seed=7") == expected
    assert expected.search == "0123456789abcdef"


@pytest.mark.parametrize("place", ["first", "last"])
def test_what_the_command_line_gives_wins_wherever_the_recipe_stands(winner, place):
    own = ["trainer.lr=0.01", "method.r=3"]
    given = ["recipe=winner.yaml", *own] if place == "first" else [*own, "recipe=winner.yaml"]
    found = composed(*given)
    assert (found.trainer.lr, found.method.r, found.method.dropout) == (0.01, 3, 0.1)


def test_search_is_named_only_with_the_settings_that_it_found(winner):
    assert composed("recipe=winner.yaml", "trainer.epochs=1", "task=mnli").search == "0123456789abcdef"
    assert composed("recipe=winner.yaml", "trainer.lr=0.01").search is None
    assert composed("recipe=winner.yaml", "search=fedcba9876543210").search == "fedcba9876543210"


def test_last_recipe_of_several_counts(winner):
    (winner.parent / "other.yml").write_text("method: bitfit\n")
    assert composed("recipe=winner.yaml", "recipe=other.yml").method.name == "bitfit"
    assert composed("recipe=winner.yaml", "recipe=full_nlg").method.name == "inducer"
    assert composed("recipe=full_nlg", "recipe=winner.yaml").method.name == "lora"


def test_published_recipe_keeps_its_meaning(winner):
    assert composed("method=lora", "recipe=full_nlg").trainer.lr == composed("method=lora", "task=webnlg").trainer.lr
    assert composed("recipe=winner.yaml").recipe == "full_nlu"  # for what the file does not set


@pytest.mark.parametrize(
    "name", ["with=sign.yaml", "with space.yml", "a#b.yaml", "ä,b.yaml", "folder/plain", "2024.yaml"]
)
def test_file_may_have_any_name(winner, name):
    (winner.parent / "folder").mkdir()
    (winner.parent / name).write_text(WINNER)
    given = f"recipe={name}" if "," not in name else f"recipe='{name}'"
    assert composed(given).method.dropout == 0.1


def test_tilde_is_the_home_folder(winner, monkeypatch):
    monkeypatch.setenv("HOME", str(winner.parent))
    monkeypatch.chdir("/")
    assert composed("recipe=~/winner.yaml").method.name == "lora"


def test_own_method_of_a_file_or_of_a_module(winner, tmp_path):
    (tmp_path / "conf" / "method").mkdir(parents=True)
    text = "defaults: [lora, _self_]\nr: 5\n"
    (tmp_path / "conf" / "method" / "mine.yaml").write_text(text)
    (tmp_path / "mine.yaml").write_text("method: mine\nsettings: {trainer.lr: 0.25}\n")
    found = compose(["recipe=mine.yaml"], tmp_path / "conf")
    assert (found.method.r, found.trainer.lr) == (5, 0.25)
    with pytest.raises(UserError, match=r"^recipe: 'mine\.yaml': method: unknown 'mine'"):
        compose(["recipe=mine.yaml"])
    settings = {"method.name": "lora", "+method.r": 4, "+method.alpha": 4.0, "+method.targets": ["q"]}
    settings |= {"+method.dropout": 0.0, "+method.bias": False, "trainer.lr": 0.5}
    write(tmp_path / "own.yaml", Recipe(method="own", settings=settings))
    assert composed("recipe=own.yaml").method.r == 4


def test_ablation_may_be_part_of_a_recipe(winner):
    winner.write_text("method: inducer\nsettings: {ablation: no_gate}\n")
    assert not composed("recipe=winner.yaml").method.gate


def test_sweep_over_recipes_is_left_to_its_jobs_but_its_files_are_checked(winner):
    overrides = as_meant(["recipe=winner.yaml,full_nlg", "seed=1"])
    assert with_recipe(overrides) == overrides
    with pytest.raises(UserError, match=r"^recipe: 'nope\.yaml': cannot be read"):
        with_recipe(as_meant(["recipe=winner.yaml,nope.yaml"]))


@pytest.mark.parametrize("method", ["bitfit", "lora,bitfit", "glob(b*)", "glob(*)"])
def test_other_method_than_that_of_the_recipe_is_refused(winner, method):
    with pytest.raises(
        UserError, match=r"^recipe: 'winner\.yaml' is for method=lora; found method=\w+; allowed: the same, or none"
    ):
        with_recipe(as_meant(["recipe=winner.yaml", f"method={method}"]))
    assert composed("recipe=winner.yaml", "method=lora").search == "0123456789abcdef"


MESSAGES = {  # content of the file -> what is said about it
    "": "method: missing",
    "- a": "found a list; allowed: keys and values",
    "lora": "there is no key 'lora'; allowed: method, settings, search",
    "method: lora\nsetings: {}": "there is no key 'setings'; did you mean 'settings'? allowed: method, ",
    "method: lora\nsettings: {a: [": "line 2: ",
    "method: lora\nmethod: lora": "line 2: found duplicate key method",
    "method: !!python/name:os.system x": "line 1: could not determine a constructor",
    "&a [*a]": "maximum recursion depth exceeded",
    "\0": "unacceptable character #x0000",
    "method: 3": "method: found 3; allowed: a text",
    "method: lara": "method: unknown 'lara'; did you mean 'lora'? allowed: adapter, ",
    "method: ${plm}": "method: unknown '${plm}'",
    "method: lora\nsettings:": "settings: found null; allowed: keys and values",
    "method: lora\nsettings: {output_dir: x}": "settings: found 'output_dir'; allowed: method.KEY, ",
    "method: lora\nsettings: {hydra.mode: RUN}": "settings: found 'hydra.mode'; allowed: ",
    "method: lora\nsettings: {task.max_train: 1}": "settings: found 'task.max_train'; allowed: ",
    "method: lora\nsettings: {trainer: nlg}": "settings: found 'trainer'; allowed: ",
    "method: lora\nsettings: {method.r: {a: 1}}": "settings: method.r: found {'a': 1}; allowed: a value, or a list",
    "method: lora\nsearch: abc": "search: found 'abc'; allowed: a text of 16 hexadecimal digits, or null",
    "method: lora\nsearch: 1234567890123456": "search: found 1234567890123456; allowed: a text of 16",
    "method: lora\nsettings: {trainer.lr: -1}": "trainer.lr: found -1; allowed: greater than 0",
    "method: lora\nsettings: {trainer.lrr: 1}": "trainer.lrr: there is no such key; did you mean 'lr'?",
    "method: lora\nsettings: {trainer.lr: .nan}": "trainer.lr: found nan; allowed: a ",
    "method: lora\nsettings: {trainer.lr: '???'}": "trainer.lr: missing; give it a value",
    "method: lora\nsettings: {method.targets: [q, 1]}": "method.targets.1: found 1; allowed: q, k, v, o, ffn",
    "method: lora\nsettings: {ablation: nope}": "ablation: unknown 'nope'; did you mean 'none'?",
}


@pytest.mark.parametrize("content", MESSAGES)
def test_odd_file_is_told_in_a_line_that_names_it(winner, content):
    winner.write_text(content)
    with pytest.raises(UserError) as caught:
        composed("recipe=winner.yaml")
    assert str(caught.value).startswith(f"recipe: 'winner.yaml': {MESSAGES[content]}")
    assert "\n" not in str(caught.value)


def test_error_of_an_override_is_not_blamed_on_the_recipe(winner):
    with pytest.raises(UserError, match=r"^trainer\.lr: found -1"):
        composed("recipe=winner.yaml", "trainer.lr=-1")
    with pytest.raises(UserError, match=r"^trainer\.epochs: found -1"):
        composed("recipe=winner.yaml", "trainer.epochs=-1")


def test_bytes_folders_and_missing_files_are_told(winner):
    winner.write_bytes(b"\xff")
    for name, message in {
        "winner.yaml": ": 'utf-8' codec",
        "./": ": cannot be read",
        "nope.yaml": ": cannot be read",
    }.items():
        with pytest.raises(UserError, match=f"^recipe: '{name}'{message}"):
            composed(f"recipe={name}")


@pytest.mark.parametrize("method", ["lora", "own"])
def test_unknown_name_is_told_with_those_that_there_are(method):
    more = ["method.name=bitfit", "trainer.lr=1"] if method == "own" else []
    with pytest.raises(
        UserError, match=r"^recipe: unknown 'full_nlx'; did you mean 'full_nlu'\? allowed: full_nlg, .*file$"
    ):
        composed(f"method={method}", *more, "recipe=full_nlx")
    with pytest.raises(UserError, match=r"^recipe: (unknown 'null'|found null)"):
        composed(f"method={method}", *more, "recipe=null")


def test_recipe_in_a_configuration_file_is_refused(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nrecipe: winner.yaml\n")
    with pytest.raises(UserError, match=r"^recipe: found 'winner\.yaml'; a file is named on the command line"):
        compose(["experiment=mine"], tmp_path)


ODD = {"trainer.lr": 1e-05, "method.a": "1e-3", "+method.b": "yes", "method.c": None, "method.d": True}
ODD |= {"method.e": ["q", "2024", 3, 0.1], "trainer.f": "it's \\ ${x} # über\n", "method.g": "", "ablation": "null"}


def test_what_is_written_is_read_again(tmp_path):
    for search in (None, "0123456789abcdef", "1234567890123456", "12345678901234e5"):
        recipe = Recipe(method="lora", settings=ODD, search=search)
        write(tmp_path / "recipe.yaml", recipe, ["16 trials: 84.2\nmethod: bitfit", "über"])
        assert read("recipe.yaml", tmp_path) == recipe
        lines = (tmp_path / "recipe.yaml").read_text().splitlines()
        assert lines[:3] == ["# 16 trials: 84.2\\nmethod: bitfit", "# über", "method: lora"]
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]


def test_written_recipe_is_taken_by_a_run(winner):
    write(winner, Recipe(method="lora", settings={"trainer.lr": 1e-05}, search="12345678901234e5"))
    found = composed("recipe=winner.yaml")
    assert (found.trainer.lr, found.search) == (1e-05, "12345678901234e5")


def test_recipe_of_what_none_may_set_is_not_written(tmp_path):
    with pytest.raises(UserError, match=r"^settings: found 'seed'"):
        dataclasses.replace(Recipe(method="lora"), settings={"seed": 1})
