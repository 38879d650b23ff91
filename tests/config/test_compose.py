"""Every shipped configuration composes, and what a user mistypes is told in one line."""

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from inducer_bench.config import compose as module
from inducer_bench.config.compose import CONF_DIR, choices, compose
from inducer_bench.errors import UserError
from inducer_bench.methods import options as method_options

# The tables are no part of an experiment: tests/results has them.
SHIPPED = sorted(
    path.relative_to(CONF_DIR).with_suffix("").as_posix()
    for path in CONF_DIR.rglob("[!_]*.yaml")
    if path.parent.name != "table"
)
# Choices that need more than themselves.
COMPANIONS = {f"plm/{name}": ["task.max_length=128"] for name in ("mini", "mini_roberta")}

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
    "trainer.lr=fast": ["trainer.lr: found 'fast'", "allowed: a valid number"],
    "trainer.lr=0.0": ["trainer.lr: found 0.0", "allowed: greater than 0"],
    "trainer.lr=inf": ["trainer.lr: found inf", "allowed: a finite number"],
    "trainer.lr=null": ["trainer.lr: found None", "allowed: a valid number"],
    "trainer.epochs=-1": ["trainer.epochs: found -1", "allowed: greater than or equal to 0"],
    "trainer.epochs=1.5": ["trainer.epochs: found 1.5", "allowed: a valid integer"],
    "trainer.batch_size=0": ["trainer.batch_size: found 0", "allowed: greater than 0"],
    "trainer.betas=[0.9]": ["trainer.betas: found [0.9]", "allowed: at least 2 entries"],
    "trainer.betas=[0.9,0.9,0.9]": ["trainer.betas", "allowed: at most 2 entries"],
    "trainer.betas=[0.9,1.0]": ["trainer.betas.1: found 1.0", "allowed: less than 1"],
    "trainer.schedule=linaer": ["trainer.schedule: found 'linaer'", "allowed: linear, constant"],
    "plm.weights=rand": ["plm.weights: found 'rand'", "did you mean 'random'?", "allowed: pretrained, random"],
    "seed=-1": ["seed: found -1", "allowed: greater than or equal to 0"],
    "seed=4294967296": ["seed: found 4294967296", "allowed: less than 4294967296"],
    "dry_run=perhaps": ["dry_run: found 'perhaps'", "allowed: a valid boolean"],
    "~trainer.lr": ["trainer.lr: missing"],
    "method.r_k=1,2": ["method.r_k: found several values, '1,2'", "add -m"],
    "method.r_k=[1": ["override 'method.r_k=[1': not understood", "write key=value"],
    "nonsense": ["override 'nonsense': not understood", "write key=value"],
    "plm.path=${nowhere}": ["plm.path", "nowhere"],
    "task.files.test=x": ["task.files.test: there is no such key", "allowed in task.files: train, dev"],
    "task.kind=coqua": ["task.kind: unknown 'coqua'", "did you mean 'coqa'?", "classification, coqa, text_to_text, w"],
    "task.text=[a,b,c]": ["task.text", "allowed: at most 2 entries"],
    "task.labels=[yes]": ["task.labels: found", "allowed: auto, number, or a list of two or more different names"],
    "task.labels=[no,no]": ["task.labels: found", "two or more different names"],
    "task.labels=some": ["task.labels: found 'some'", "allowed: auto, number, or a list"],
    "task.metrics=[acuracy]": ["task.metrics.0: found 'acuracy'", "did you mean 'accuracy'?"],
    "task=web_nlg": ["task: unknown 'web_nlg'", "did you mean 'webnlg'?"],
    "task=xsum task.decoding.beams=0": ["task.decoding.beams: found 0", "allowed: greater than 0"],
    "task=xsum task.decoding.beam=2": ["task.decoding.beam: there is no such key", "did you mean 'beams'?"],
    "task=xsum task.decoding.top_p=1.5": ["task.decoding.top_p: found 1.5", "less than or equal to 1"],
    "task=xsum task.decoding.temperature=0.0": ["task.decoding.temperature: found 0.0", "greater than 0"],
    "task=xsum task.metrics=[rougel]": ["task.metrics.0: found 'rougel'", "did you mean 'rougeL'?", "rouge1"],
    "task=coqa task.history=golden": ["task.history: found 'golden'", "did you mean 'gold'?", "gold, model"],
    "task=coqa task.history_turns=-1": ["task.history_turns: found -1", "greater than or equal to 0"],
    "task=webnlg task.source_tokens=0": ["task.source_tokens: found 0", "greater than 0"],
    "method.name=prefx": ["method.name: unknown 'prefx'", f"allowed: {', '.join(sorted(method_options.METHODS))}"],
}  # fmt: skip


@pytest.mark.parametrize("shipped", SHIPPED)
def test_shipped_file_composes_and_validates(shipped):
    group, _, choice = shipped.rpartition("/")
    config = compose([f"{group}={choice}", *COMPANIONS.get(shipped, [])] if group else [])
    if group in ("plm", "method", "task", "protocol", "tracker"):
        assert getattr(config, group).name == choice


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


@pytest.mark.parametrize("method", choices("method"))
@pytest.mark.parametrize("preset", [[], ["preset=mini"]], ids=["full", "mini"])
@pytest.mark.parametrize("task", ["sst2", "webnlg"])
def test_every_method_has_a_recipe_for_every_family(task, preset, method):
    config = compose([f"task={task}", f"method={method}", *preset])
    assert config.method.name == method
    assert config.trainer.lr > 0


def test_method_files_and_method_options_name_the_same_methods():
    assert choices("method") == sorted(method_options.METHODS)


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


def test_settings_that_values_were_picked_from_stay_out_of_the_typed_config():
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        composed = hydra_compose("config", ["method=inducer"])
    assert "settings" in composed.method
    assert not hasattr(module.experiment_config(composed).method, "settings")
