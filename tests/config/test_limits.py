"""Names that are names, sizes and ranks that a PLM can have, and values that something comes of."""

import dataclasses
import json
import shutil

import pytest

from inducer_bench.config.compose import compose
from inducer_bench.config.validate import validated
from inducer_bench.errors import UserError
from inducer_bench.mini import suite


def refusal(*overrides):
    """The one line that refuses a configuration."""
    with pytest.raises(UserError) as caught:
        compose(list(overrides))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["''", ".", "..", "a/b", "../../x", "/x", "'a b'", "'a\nb'", "'a\x1bb'", "-x", ".x", "x" * 101, f"'{'語' * 90}'"],
    ids=repr,
)
@pytest.mark.parametrize("key", ["task.name", "plm.name"])
def test_name_that_could_be_a_path_or_is_none_is_refused(key, name):
    message = refusal(f"{key}={name}")
    assert message.startswith(f"{key}: found '")
    assert message.endswith("; allowed: 1 to 100 letters, digits, . _ -, not beginning with . or -")


@pytest.mark.parametrize("name", ["imdb_v2.0-b", "données", "x" * 100, "語"])
def test_name_has_letters_of_any_script(name):
    assert compose([f"task.name='{name}'", "task.source=files"]).task.name == name


def test_names_in_records_of_earlier_versions_are_read():
    values = dataclasses.asdict(compose([]))
    values["task"]["name"], values["output_dir"] = "my task", ""
    assert validated(values).task.name == "my task"


@pytest.mark.parametrize("folder", ["''", "' '", "'~/x'", "'a\nb'", "x" * 256, "a/" * 600])
def test_folder_of_runs_that_cannot_be_is_refused(folder):
    message = refusal(f"output_dir={folder}")
    assert message.startswith("output_dir: found '")
    assert message.endswith("; allowed: the path of a folder, written in full (~ is not expanded)")


NAMES = {"a b": "a-b", "x\ny": "x-y", ".hidden": "hidden", "v1.0_é": "v1.0_é", "e\u0301": "é", "(v2)": "v2-"}


@pytest.mark.parametrize(("folder", "name"), NAMES.items(), ids=repr)
def test_name_after_a_folder_is_a_name(tiny_roberta_folder, tmp_path, folder, name):
    (tmp_path / folder).mkdir()
    shutil.copy(tiny_roberta_folder / "config.json", tmp_path / folder)
    values = dataclasses.asdict(compose(["task.max_length=32", f"plm.path={tiny_roberta_folder}"]))
    assert validated({**values, "plm": {**values["plm"], "path": str(tmp_path / folder)}}).plm.name == name


def test_folder_without_a_letter_names_no_plm(tiny_roberta_folder, tmp_path):
    (tmp_path / "--").mkdir()
    shutil.copy(tiny_roberta_folder / "config.json", tmp_path / "--")
    assert "allowed: a folder whose name has letters or digits" in refusal(f"plm.path={tmp_path / '--'}")


def test_bundled_name_is_kept_by_a_copy_alone(tiny_roberta_folder, tmp_path):
    shutil.copy(suite.plm_dir("mini_roberta") / "config.json", tmp_path)
    mini = ["preset=mini", "task=sst2", "task.max_length=32"]
    assert compose([*mini, f"plm.path={tmp_path}"]).plm.name == "mini_roberta"
    assert compose([*mini, f"plm.path={tiny_roberta_folder}"]).plm.name == "tiny_roberta"


@pytest.mark.parametrize(
    ("overrides", "suite"),
    [
        (["preset=mini", "task=sst2", "suite=full"], "mini"),
        (["task=classification", "plm=mini_roberta", "task.max_length=64"], "full"),
        (["task=sst2", "task.source=mini"], "mini"),
        (["task=sst2", "task.source=mini", "task.data_dir=real"], "full"),
        (["task=sst2"], "full"),
    ],
)
def test_data_of_the_mini_suite_make_a_run_one_of_it(overrides, suite):
    assert compose(overrides).suite == suite


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (
            ["trainer.epochs=1000000000000"],
            "trainer.epochs: found 1000000000000; allowed: less than or equal to ",
        ),
        (
            ["trainer.batch_size=1000000000"],
            "trainer.batch_size: found 1000000000; allowed: less than or equal to ",
        ),
        (["trainer.log_every=10000000000"], "trainer.log_every: found 10000000000; allowed: less than or equal to "),
        (
            ["task=webnlg", "task.decoding.beams=5000"],
            "task.decoding.beams: found 5000; allowed: less than or equal ",
        ),
        (
            ["method=prefix", "method.hidden=100000"],
            "method.hidden: found 100000; allowed: less than or equal to ",
        ),
        (["seed=-1"], "seed: found -1; allowed: greater than or equal to 0"),
    ],
)
def test_number_beyond_all_sense_is_refused(overrides, complaint):
    assert refusal(*overrides).startswith(complaint)


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (
            ["trainer.micro_batch_size=17"],
            "trainer.micro_batch_size: found 17; allowed: null, or at most trainer.",
        ),
        (["protocol.held_out=0.1"], "protocol.held_out: found 0.1; allowed: 0.0 with protocol.select_on=dev"),
        (["protocol=clean", "task.max_train=1"], "task.max_train: found 1; allowed: more, of which protocol.held_out"),
        (
            ["task=stsb", "trainer.label_smoothing=0.1"],
            "trainer.label_smoothing: found 0.1; allowed: 0.0 for numbers",
        ),
        (
            ["task=webnlg", "task.decoding.top_p=0.9"],
            "task.decoding.top_p: found 0.9; allowed: 1.0 unless task.",
        ),
        (["task=webnlg", "task.decoding.temperature=2.0"], "task.decoding.temperature: found 2.0; allowed: 1.0 unless"),
        (["task=webnlg", "task.decoding.length_penalty=2.0"], "task.decoding.length_penalty: found 2.0; allowed: 1.0 "),
    ],
)
def test_value_without_effect_is_refused_in_a_new_run_and_read_in_an_old_one(overrides, complaint):
    assert refusal(*overrides).startswith(complaint)
    key, _, value = overrides[-1].partition("=")
    values = dataclasses.asdict(compose(overrides[:-1]))
    section, *path = key.split(".")
    holder = values[section] if len(path) == 1 else values[section][path[0]]
    holder[path[-1]] = float(value) if "." in value else int(value)
    validated(values)


@pytest.mark.parametrize("model_type", ["roberta", "xlm-roberta", "camembert"])
def test_positions_of_roberta_begin_behind_its_padding_index(tiny_roberta_folder, tmp_path, model_type):
    sizes = json.loads((tiny_roberta_folder / "config.json").read_text())
    for padding, longest in ((1, 62), (0, 63), (3, 60)):
        written = {**sizes, "model_type": model_type, "pad_token_id": padding}
        (tmp_path / "config.json").write_text(json.dumps(written))
        assert compose([f"plm.path={tmp_path}", f"task.max_length={longest}"]).task.max_length == longest
        message = refusal(f"plm.path={tmp_path}", f"task.max_length={longest + 1}")
        allowed = f"at most {longest} for this PLM; type task.max_length={longest}"
        assert message == f"task.max_length: found {longest + 1}; allowed: {allowed}"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"num_attention_heads": 0}, "plm: found num_attention_heads 0; allowed: a whole number from 1 to 2,097,152"),
        ({"num_hidden_layers": 0}, "plm: found num_hidden_layers 0; allowed: a whole number from 1 to 1,000"),
        ({"num_hidden_layers": 10**9}, "plm: found num_hidden_layers 1000000000; allowed: "),
        ({"vocab_size": 10**12}, "plm: found vocab_size 1000000000000; allowed: "),
        ({"hidden_size": -32}, "plm: found hidden_size -32; allowed: "),
        ({"hidden_size": "32"}, "plm: found hidden_size '32'; allowed: "),
        ({"intermediate_size": True}, "plm: found intermediate_size True; allowed: "),
        ({"max_position_embeddings": "many"}, "plm: found max_position_embeddings 'many'; allowed: "),
        ({"pad_token_id": None}, "plm: found pad_token_id None; allowed: a whole number from 0 to 2,097,152"),
        ({"hidden_size": 34}, "plm: found width 34 and 4 heads; allowed: a width that the heads divide"),
        ({"num_key_value_heads": 3}, "plm: found 4 heads and 3 of keys and values; allowed: a divisor of the heads"),
    ],
)
def test_sizes_that_no_plm_has_are_refused(tiny_roberta_folder, tmp_path, changes, complaint):
    sizes = json.loads((tiny_roberta_folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**sizes, **changes}))
    assert refusal(f"plm.path={tmp_path}", "task.max_length=32").startswith(complaint)


@pytest.mark.parametrize(
    ("method", "key", "most", "width"),
    [
        ("lora", "r", 128, "width"),
        ("adapter", "r", 512, "width of the FFN"),
        ("prefix", "length", 512, "width of the FFN"),
        ("mam", "prefix.length", 512, "width of the FFN"),
        ("mam", "adapter.r", 512, "width of the FFN"),
        ("kernel_mix", "q", 32, "head width"),
        ("kernel_mix", "q_shared", 128, "width"),
        ("kernel_mix", "v_o", 32, "head width"),
        ("kernel_mix", "v_o_shared", 128, "width"),
        ("inducer", "r_v", 512, "width of the FFN"),
        ("inducer_lora", "lora.r", 128, "width"),
        ("inducer_ffn", "adapter.r", 512, "width of the FFN"),
    ],
)
def test_every_rank_is_bounded_by_the_plm(method, key, most, width):
    """The bundled RoBERTa: width 128, 4 heads of 32, an FFN of 512."""
    chosen = ["preset=mini", "task=sst2", f"method={method}"]
    compose([*chosen, f"method.{key}={most}"])
    message = refusal(*chosen, f"method.{key}={most + 1}")
    assert message == f"method.{key}: found {most + 1}; allowed: 1 to {most}, the {width} of this PLM"


def test_budget_beyond_all_ranks_stops_at_their_bounds():
    assert compose(["preset=mini", "task=sst2", "method=lora", "method.budget=100%"]).method.r == 128
