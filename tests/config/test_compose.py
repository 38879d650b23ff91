"""Every shipped configuration composes, and a user's mistakes are answered in one line."""

import sys

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from inducer_bench.config import compose as module
from inducer_bench.config.choices import choices, files
from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.files import CONF_DIR
from inducer_bench.methods import options as method_options

# The tables are no part of an experiment: tests/report has them.
SHIPPED = sorted(
    path.relative_to(CONF_DIR).with_suffix("").as_posix()
    for path in CONF_DIR.rglob("[!_]*.yaml")
    if path.parent.name != "table"
)
# Choices that need more than themselves.
COMPANIONS = {
    "plm/deberta-v3-base": ["method=lora"],  # no method can work inside its attention
    "plm/mini_roberta": ["task.max_length=128"],
    "method/own": ["method.name=composed_by_tests.scale", "+method.rate=2.0", "trainer.lr=1e-3"],
}
OWN = """
from inducer_bench.methods.options import MethodOptions
from inducer_bench.options import options

@options
class Options(MethodOptions):
    rate: float

def attach(tuned, options):
    pass
"""

METHODS, TASKS = (", ".join(choices(group)) for group in ("method", "task"))

MISTAKES = {  # override -> parts of the one line that answers it
    "method.r_kk=3": ["method.r_kk: there is no such key", "did you mean 'r_k'?", "value_residual"],
    "task.max_trian=5": ["task.max_trian", "did you mean 'max_train'?", "max_eval"],
    "task.hub.pth=x": ["task.hub.pth", "did you mean 'path'?", "allowed in task.hub: path, name, revision, splits"],
    "sed=1": ["sed: there is no such key", "did you mean 'seed'?", "output_dir"],
    "+colour=red": ["colour: there is no such key"],
    "+method.colour=red": ["method.colour: there is no such key"],
    "method=inducr": ["method: unknown 'inducr'", "did you mean 'inducer'?", f"allowed: {METHODS}"],
    "plm=roberta": ["plm: unknown 'roberta'", "did you mean 'roberta-base'?", "gpt2-medium"],
    "mehtod=inducer": ["mehtod", "did you mean 'method'?"],
    "task=null": ["task: unknown 'null'", f"allowed: {TASKS}"],
    "preset=null": ["preset: unknown 'null'", "mini"],
    "method=[inducer]": ["method: unknown", f"allowed: {METHODS}"],
    "trainer.lr=fast": ["trainer.lr: found 'fast'", "allowed: a number"],
    "trainer.lr=0.0": ["trainer.lr: found 0.0", "allowed: greater than 0"],
    "trainer.lr=inf": ["trainer.lr: found inf", "allowed: a finite number"],
    "trainer.lr=null": ["trainer.lr: found null", "allowed: a number"],
    "trainer.epochs=-1": ["trainer.epochs: found -1", "allowed: greater than or equal to 0"],
    "trainer.epochs=1.5": ["trainer.epochs: found 1.5", "allowed: a whole number"],
    "task.max_train=all": ["task.max_train: found 'all'", "allowed: a whole number or null"],
    "plm.layout=[1]": ["plm.layout: found [1]", "allowed: keys and values or null"],
    "trainer.batch_size=0": ["trainer.batch_size: found 0", "allowed: greater than 0"],
    "trainer.betas=[0.9]": ["trainer.betas: found [0.9]", "allowed: at least 2 entries"],
    "trainer.betas=[0.9,0.9,0.9]": ["trainer.betas", "allowed: at most 2 entries"],
    "trainer.betas=[0.9,1.0]": ["trainer.betas.1: found 1.0", "allowed: less than 1"],
    "trainer.schedule=linaer": ["trainer.schedule: found 'linaer'", "allowed: linear, constant"],
    "plm.weights=rand": ["plm.weights: found 'rand'", "did you mean 'random'?", "allowed: pretrained, random"],
    "seed=-1": ["seed: found -1", "allowed: greater than or equal to 0"],
    "seed=4294967296": ["seed: found 4294967296", "allowed: less than 4294967296"],
    "dry_run=perhaps": ["dry_run: found 'perhaps'", "allowed: true or false"],
    "~trainer.lr": ["trainer.lr: missing"],
    "method.r_k=1,2": ["method.r_k: found several values, '1,2'", "allowed: one, or with -m a sweep"],
    "method.r_k=[1": ["override 'method.r_k=[1': not understood", "write key=value"],
    "nonsense": ["override 'nonsense': not understood", "write key=value"],
    "plm.path=${nowhere}": ["plm.path", "nowhere"],
    "task.files.test=x": ["task.files.test: there is no such key", "allowed in task.files: train, dev"],
    "task.kind=coqua": [
        "task.kind: unknown 'coqua'",
        "did you mean 'coqa'?",
        "text_to_text, webnlg, or the dotted name of a module",
    ],
    "task.text=[a,b,c]": ["task.text", "allowed: at most 2 entries"],
    "task.labels=[yes]": ["task.labels: found", "allowed: auto, number, or a list of two or more different names"],
    "task.labels=[no,no]": ["task.labels: found", "two or more different names"],
    "task.labels=[[no],[yes]]": ["task.labels: found", "two or more different names"],
    "task.files.dev=''": ["task.files.dev: found ''", "the name of a file"],
    "task.files.dev=..": ["task.files.dev: found '..'", "the name of a file"],
    "task.labels=3": ["task.labels: found '3'", "two or more different names"],
    "task.labels=some": ["task.labels: found 'some'", "allowed: auto, number, or a list"],
    "task.metrics=[acuracy]": ["task.metrics.0: found 'acuracy'", "did you mean 'accuracy'?"],
    "task=web_nlg": ["task: unknown 'web_nlg'", "did you mean 'webnlg'?"],
    "task=xsum task.decoding.beams=0": ["task.decoding.beams: found 0", "allowed: greater than 0"],
    "task=xsum task.decoding.beam=2": ["task.decoding.beam: there is no such key", "did you mean 'beams'?"],
    "task=xsum task.decoding.top_p=1.5": ["task.decoding.top_p: found 1.5", "less than or equal to 1"],
    "task=xsum task.decoding.temperature=1e-40": ["task.decoding.temperature: found 1e-40", "0.01"],
    "task=xsum task.decoding.length_penalty=1000.0": ["task.decoding.length_penalty: found 1000.0", "10"],
    "task=xsum task.metrics=[rougel]": ["task.metrics.0: found 'rougel'", "did you mean 'rougeL'?", "rouge1"],
    "task=coqa task.history=golden": ["task.history: found 'golden'", "did you mean 'gold'?", "gold, model"],
    "task=coqa task.history_turns=-1": ["task.history_turns: found -1", "greater than or equal to 0"],
    "task=webnlg task.source_tokens=0": ["task.source_tokens: found 0", "greater than 0"],
    "method.name=prefx": ["method.name: unknown 'prefx'", f"allowed: {', '.join(sorted(method_options.METHODS))}"],
}  # fmt: skip

NAMES = {"own": "composed_by_tests.scale", "prefix_direct": "prefix"}  # choices with another name than their file's


@pytest.fixture
def own_method(tmp_path, monkeypatch):
    """A method from outside, importable as `composed_by_tests.scale`, and a folder with a file for it."""
    package, folder = tmp_path / "composed_by_tests", tmp_path / "conf"
    package.mkdir()
    (package / "scale.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    (folder / "method").mkdir(parents=True)
    (folder / "method" / "scale.yaml").write_text(
        "# Scales.\nname: composed_by_tests.scale\nrate: 2.0\nrecipes: {default: {lr: 3.0e-3}}\n"
    )
    return folder


@pytest.mark.parametrize("shipped", SHIPPED)
def test_shipped_file_composes_and_validates(shipped, own_method):
    group, _, choice = shipped.rpartition("/")
    config = compose([f"{group}={choice}", *COMPANIONS.get(shipped, [])] if group else [])
    if group in ("plm", "method", "task", "protocol", "tracker"):
        assert getattr(config, group).name == NAMES.get(choice, choice)


def test_every_shipped_file_is_covered():
    found = [
        f"{group.name}/{choice}"
        for group in CONF_DIR.iterdir()
        if group.is_dir() and group.name != "table"
        for choice in choices(group.name)
    ]
    assert sorted([*found, "config"]) == SHIPPED, f"{len(SHIPPED)} files are shipped, {len(found) + 1} are reachable"
    assert len(SHIPPED) >= 17


def test_file_that_others_share_is_used_by_one_and_no_choice_itself():
    for path in CONF_DIR.rglob("_*.yaml"):
        assert any(f" {path.stem}\n" in other.read_text() for other in CONF_DIR.rglob("*.yaml"))
        with pytest.raises(UserError, match=f"^{path.parent.name}: unknown '{path.stem}'; "):
            compose([f"{path.parent.name}={path.stem}"])


@pytest.mark.parametrize("method", method_options.METHODS)
@pytest.mark.parametrize("preset", [[], ["preset=mini"]], ids=["full", "mini"])
@pytest.mark.parametrize("task", ["sst2", "webnlg"])
def test_every_method_has_a_recipe_for_every_family(task, preset, method):
    config = compose([f"task={task}", f"method={method}", *preset])
    assert config.method.name == method
    assert config.trainer.lr > 0


def test_method_files_and_method_options_name_the_same_methods():
    assert choices("method") == sorted([*method_options.METHODS, "own", "prefix_direct"])


def test_task_chooses_plm_and_trainer_and_the_command_line_wins():
    assert compose(["task=sst2"]).plm.name == "roberta-base"
    assert compose(["task=sst2", "plm=gpt2"]).plm.name == "gpt2"
    assert compose(["plm=gpt2", "task=sst2"]).plm.name == "gpt2"
    assert compose(["task=webnlg"]).plm.name == "gpt2"
    assert compose(["task=webnlg"]).trainer.batch_size == 8
    assert compose(["task=webnlg", "plm=gpt2-medium"]).plm.name == "gpt2-medium"
    assert compose(["preset=mini"]).plm.name == "mini_roberta"
    assert compose(["preset=mini", "task=coqa"]).plm.name == "mini_gpt2"
    assert compose(["preset=mini", "plm=roberta-base"]).plm.name == "roberta-base"
    assert compose(["preset=mini", "trainer.epochs=2"]).trainer.epochs == 2


def test_published_settings_follow_the_method_and_the_suite():
    assert compose(["method=inducer"]).trainer.lr == 2e-4
    assert compose(["method=fine_tune"]).trainer.lr == 2e-5
    assert compose(["preset=mini", "method=inducer"]).trainer.lr == 5e-3
    inducer = compose(["method=inducer"]).method
    assert (inducer.r_k, inducer.r_v) == (6, 4)
    generating = compose(["task=webnlg", "method=inducer"])
    assert (generating.method.r_k, generating.method.r_v, generating.trainer.lr) == (10, 15, 1.25e-3)


def test_labels_are_smoothed_in_generation_and_not_for_fine_tuning():
    smoothing = {
        (task, method): compose([f"task={task}", f"method={method}"]).trainer.label_smoothing
        for task in ("sst2", "webnlg", "xsum")
        for method in ("fine_tune", "inducer")
    }
    assert {pair for pair, value in smoothing.items() if value} == {("webnlg", "inducer"), ("xsum", "inducer")}
    assert set(smoothing.values()) == {0.0, 0.1}


def test_mini_sequences_are_short_and_differ_by_family():
    lengths = {task: compose([f"task={task}", "preset=mini"]).task.max_length for task in ("sst2", "webnlg")}
    assert lengths == {"sst2": 128, "webnlg": 256}
    assert compose(["task=webnlg", "preset=mini", "task.max_length=100"]).task.max_length == 100


@pytest.mark.parametrize(("override", "parts"), MISTAKES.items())
def test_mistake_is_told_in_one_line_with_key_found_and_allowed(override, parts):
    with pytest.raises(UserError) as caught:
        compose(override.split(" "))
    message = str(caught.value)
    assert "\n" not in message
    assert [part for part in parts if part not in message] == [], message


def test_unknown_key_lists_what_the_chosen_method_has():
    with pytest.raises(UserError, match=r"^method\.r_k: there is no such key; allowed in method: name$"):
        compose(["method=fine_tune", "method.r_k=3"])


def test_null_among_the_choices_of_a_sweep_is_refused():
    with pytest.raises(UserError, match="method: unknown 'null'"):
        module.check_choices(["seed=1,2", "method=inducer,null"])
    module.check_choices(["method=glob(*)", "seed=range(3)", "~preset", "method=inducer,fine_tune"])


def test_recipes_that_values_come_from_stay_out_of_the_typed_config():
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        composed = hydra_compose("config", ["method=inducer"])
    assert "recipes" in composed.method
    assert not hasattr(module.experiment_config(composed).method, "recipes")


def test_method_file_is_complete_and_gives_every_rank_in_every_recipe():
    recipes = {f"{size}_{family}" for size in ("full", "small", "mini") for family in ("nlu", "nlg")}
    for name, kind in [*method_options.METHODS.items(), ("prefix_direct", method_options.PrefixOptions)]:
        method = OmegaConf.load(CONF_DIR / "method" / f"{name}.yaml")
        assert "defaults" not in method, f"{name}.yaml takes values from another file"
        assert set(method.recipes) == recipes
        assert all("lr" in recipe for recipe in method.recipes.values())
        known = {key for key in method.recipes.full_nlu if key != "lr"}
        assert all(known <= set(recipe) for recipe in method.recipes.values())
        assert not kind.ranks or known


def test_the_suite_chooses_the_recipe():
    names = {compose([f"task={task}", *more]).recipe for task in ("sst2", "webnlg") for more in ([], ["preset=mini"])}
    assert names == {"full_nlu", "full_nlg", "mini_nlu", "mini_nlg"}


def test_a_plm_may_choose_the_recipe_and_the_command_line_wins(tmp_path):
    (tmp_path / "plm").mkdir()
    text = (CONF_DIR / "plm" / "roberta-base.yaml").read_text()
    (tmp_path / "plm" / "lesser.yaml").write_text(f"{text}\nrecipes: small\n".replace("roberta-base", "lesser"))
    for words in ([], ["preset=mini"]):
        found = compose(["task=sst2", "method=lora", "plm=lesser", *words], tmp_path)
        assert (found.recipe, found.trainer.lr) == ("small_nlu", 2e-3)
    assert compose(["task=sst2", "plm=lesser", "recipe=full_nlu"], tmp_path).recipe == "full_nlu"
    assert compose(["task=sst2", "method=lora", "recipe=small_nlu"]).trainer.lr == 2e-3
    assert compose(["task=sst2", "method=lora"]).plm.recipes is None


def test_a_value_may_depend_on_the_task(tmp_path):
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\ntrainer:\n  epochs: ${by_task:{sst2:1},2}\n"
    (tmp_path / "experiment" / "short.yaml").write_text(text)
    found = [compose(["experiment=short", f"task={task}"], tmp_path) for task in ("sst2", "rte")]
    assert [config.trainer.epochs for config in found] == [1, 2]


@pytest.mark.parametrize("suite", [[], ["preset=mini"]], ids=["full", "mini"])
@pytest.mark.parametrize("task", ["sst2", "coqa"])
def test_default_recipe_serves_every_family_and_suite(own_method, task, suite):
    config = compose(["method=scale", f"task={task}", *suite], own_method)
    assert (config.method.name, config.method.rate, config.trainer.lr) == ("composed_by_tests.scale", 2.0, 3e-3)


def test_method_without_a_learning_rate_is_refused_in_one_line_until_it_gets_one(own_method):
    (own_method / "method" / "bare.yaml").write_text("name: composed_by_tests.scale\nrate: 2.0\n")
    message = refusal(["method=bare"], own_method)
    assert message.startswith("trainer.lr: missing; give it a value, or add 'lr' to ")
    assert compose(["method=bare", "trainer.lr=1e-4"], own_method).trainer.lr == 1e-4


def test_method_of_ones_own_needs_no_file(own_method):
    config = compose(["method=own", "method.name=composed_by_tests.scale", "+method.rate=3.0", "trainer.lr=1e-3"])
    assert (config.method.name, config.method.rate) == ("composed_by_tests.scale", 3.0)
    assert refusal(["method=own", "trainer.lr=1e-3"]) == "method.name: missing; give it a value"


def test_file_of_the_users_folder_is_a_choice_and_a_near_match(own_method):
    assert "scale" in choices("method", own_method)
    assert "scale" not in choices("method")
    assert "did you mean 'scale'?" in refusal(["method=scael"], own_method)
    assert refusal(["method.rte=1.0", "method=scale"], own_method).startswith(
        "method.rte: there is no such key; did you mean 'rate'? allowed in method: name, rate"
    )


def test_shipped_file_counts_before_the_users_one_of_that_name(own_method):
    (own_method / "method" / "lora.yaml").write_text("name: composed_by_tests.scale\nrate: 1.0\n")
    assert compose(["method=lora"], own_method).method.name == "lora"
    assert [path.parent.parent for path in files("method", own_method) if path.stem == "lora"] == [
        CONF_DIR, own_method]  # fmt: skip


def test_task_of_the_users_folder_builds_on_shipped_ones(own_method):
    (own_method / "task").mkdir()
    (own_method / "task" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - classification\n  - _self_\ntask:\n  name: mine\n  text: [a, b]\n"
    )
    task = compose(["task=mine"], own_method).task
    assert (task.name, task.text, task.kind) == ("mine", ["a", "b"], "classification")


def test_folder_whose_name_has_special_characters_is_read(own_method):
    odd = own_method.rename(own_method.with_name("it's, my [conf] = 1"))
    assert compose(["method=scale"], odd).method.rate == 2.0


def test_unknown_choice_lists_no_file_that_others_share():
    message = refusal(["task=web_nlg"])
    assert message == f"task: unknown 'web_nlg'; did you mean 'webnlg'? allowed: {TASKS}"


@pytest.mark.parametrize("tracing", ["OC_CAUSE", "settrace"])
def test_error_keeps_its_key_while_a_tracer_is_on(tracing, monkeypatch):
    if tracing == "OC_CAUSE":
        monkeypatch.setenv("OC_CAUSE", "1")
        message = refusal(["plm.path=${nowhere}"])
    else:
        before = sys.gettrace()
        sys.settrace(lambda *_: None)
        try:
            message = refusal(["plm.path=${nowhere}"])
        finally:
            sys.settrace(before)
    assert message == "plm.path: Interpolation key 'nowhere' not found"


def refusal(overrides, config_dir=None):
    with pytest.raises(UserError) as caught:
        compose(overrides, config_dir)
    assert "\n" not in str(caught.value)
    return str(caught.value)
