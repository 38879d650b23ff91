"""What must hold between groups, and how local folders change what a configuration means."""

import json

import pytest

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import Layout
from inducer_bench.plm import location


def refusal(*overrides):
    """The one line that refuses a configuration."""
    with pytest.raises(UserError) as caught:
        compose(list(overrides))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_encoder_is_refused_for_a_task_that_generates():
    message = refusal("task=webnlg", "plm=roberta-base")
    assert "'roberta-base' is an encoder" in message
    assert "task 'webnlg' generates text" in message
    assert compose(["task=webnlg", "plm=gpt2"]).plm.name == "gpt2"


@pytest.mark.parametrize(("task", "family", "own"), [("sst2", "nlg", "nlu"), ("webnlg", "nlu", "nlg")])
def test_family_is_that_of_the_kind_of_task(task, family, own):
    assert refusal(f"task={task}", f"task.family={family}", "plm=gpt2") == (
        f"task.family: found '{family}'; allowed for this kind: {own}"
    )


@pytest.mark.parametrize(("plm", "longest"), [("roberta-base", 512), ("gpt2", 1024)])
def test_length_is_bounded_by_the_positions_of_the_plm(plm, longest):
    assert compose([f"plm={plm}", f"task.max_length={longest}"]).task.max_length == longest
    message = refusal(f"plm={plm}", f"task.max_length={longest + 1}")
    allowed = f"at most {longest} for this PLM; type task.max_length={longest}"
    assert message == f"task.max_length: found {longest + 1}; allowed: {allowed}"


@pytest.mark.parametrize(
    ("overrides", "length"),
    [
        (["task=sst2"], 512),  # RoBERTa's 514 positions begin behind its padding index
        (["task=webnlg"], 512),
        (["task=xsum"], 1024),
        (["task=classification", "plm=mini_roberta", "task.data_dir=."], 256),
        (["task=xsum", "plm=mini_gpt2", "method=lora"], 512),
        (["task=sst2", "preset=mini"], 128),
        (["task=coqa", "preset=mini"], 256),
    ],
)
def test_default_length_is_what_the_plm_takes(overrides, length):
    assert compose(overrides).task.max_length == length


def test_default_length_is_that_of_a_local_plm(tiny_roberta_folder, tiny_gpt2_folder):
    for preset in (["method=bitfit"], ["method=bitfit", "preset=mini"]):
        assert compose([*preset, f"plm.path={tiny_roberta_folder}"]).task.max_length == 62
        assert compose([*preset, "task=webnlg", f"plm.path={tiny_gpt2_folder}"]).task.max_length == 64
    assert refusal("plm.path=nowhere").startswith("plm.path: found 'nowhere', which has no readable config.json")


def test_length_is_bounded_by_the_positions_of_a_local_plm(tiny_roberta_folder, tiny_gpt2_folder):
    assert "at most 62" in refusal(f"plm.path={tiny_roberta_folder}", "task.max_length=63")
    assert "at most 64" in refusal("plm=gpt2", f"plm.path={tiny_gpt2_folder}", "task.max_length=65")


def test_rank_is_bounded_by_the_head_width_of_the_plm(tiny_roberta_folder):
    assert compose(["method.r_k=64"]).method.r_k == 64
    assert refusal("method.r_k=65") == "method.r_k: found 65; allowed: 0 to 64, the head width of this PLM"
    local = [f"plm.path={tiny_roberta_folder}", "task.max_length=32"]
    assert "allowed: 0 to 8" in refusal(*local, "method.r_k=9")


LAYOUT = "layers:h,attention:attn,projections:[attn.q,attn.k,attn.v],output:attn.o,ffn_up:[up],ffn_down:down"


def test_layout_of_an_unknown_architecture_is_given_on_the_command_line():
    plm = compose([f"plm.layout={{{LAYOUT}}}", "plm.architecture.model_type=mine"]).plm
    assert plm.layout == Layout(layers="h", attention="attn", projections=["attn.q", "attn.k", "attn.v"],
                                output="attn.o", ffn_up=["up"], ffn_down="down")  # fmt: skip


def test_layout_says_what_the_plm_is_good_for():
    encoder = f"plm.layout={{{LAYOUT},encoder:true,first_position:14}}"
    assert "at most 500" in refusal(encoder, "plm.architecture.model_type=mine", "task.max_length=501")
    assert "is an encoder" in refusal(encoder, "plm=gpt2", "task=text_to_text")


def test_layout_is_refused_by_the_key_that_is_wrong():
    assert refusal("plm.layout={layers:h}") == "plm.layout.attention: missing; give it a value"
    assert refusal(f"plm.layout={{{LAYOUT},lyers:h}}") == "plm.layout.lyers: there is no such key; remove it"


def test_gated_ffn_of_a_layout_counts_in_a_budget():
    gated = LAYOUT.replace("[up]", "[up,gate]")
    budget = ["method=lora", "method.targets=[ffn]", "method.budget=2000000", "plm.architecture.model_type=mine"]
    plain, wide = (compose([f"plm.layout={{{each}}}", *budget]).method for each in (LAYOUT, gated))
    # 12 layers; r (in + out) for each map: 768 x 3072 up, as often as the layout says, and 3072 x 768 down
    assert plain.r == 2_000_000 // (12 * 2 * (768 + 3072))
    assert wide.r == 2_000_000 // (12 * 3 * (768 + 3072))


@pytest.mark.parametrize("method", ["inducer", "inducer_lora", "inducer_ffn"])
def test_every_rank_within_a_head_is_bounded_whatever_the_method(method):
    message = refusal(f"method={method}", "method.r_k=65")
    assert message == "method.r_k: found 65; allowed: 0 to 64, the head width of this PLM"


def test_protocol_with_a_frozen_head_leaves_head_only_nothing_to_train():
    assert "method=head_only would train nothing" in refusal("protocol=as_released", "method=head_only")
    assert not compose(["protocol=as_released", "method=inducer"]).protocol.train_head


def test_held_out_selection_needs_a_slice():
    assert "protocol.held_out: found 0.0" in refusal("protocol=clean", "protocol.held_out=0.0")
    assert "protocol.held_out: found 1.0" in refusal("protocol=clean", "protocol.held_out=1.0")


def test_released_protocol_computes_gates_before_the_mask():
    assert compose(["protocol=as_released"]).method.gate_before_mask
    assert not compose(["protocol=paper"]).method.gate_before_mask


def test_plm_of_other_sizes_goes_by_the_name_of_its_folder(tiny_roberta_folder):
    config = compose([f"plm.path={tiny_roberta_folder}", "task.max_length=32"])
    assert config.plm.name == "tiny_roberta"


def test_local_copy_of_a_shipped_plm_keeps_its_name(tmp_path):
    sizes = compose(["plm=roberta-base"]).plm.architecture
    (tmp_path / "config.json").write_text(json.dumps({**sizes, "torch_dtype": "float32"}))
    assert compose([f"plm.path={tmp_path}"]).plm.name == "roberta-base"


@pytest.mark.parametrize("content", [None, "", "{", "[1]"], ids=["missing", "empty", "truncated", "a list"])
def test_folder_without_a_readable_config_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    message = refusal(f"plm.path={tmp_path}")
    assert message.startswith(f"plm.path: found '{tmp_path}', which has no readable config.json")


def test_tokenizer_is_a_folder_or_the_name_of_a_bundled_plm(tiny_gpt2_folder):
    assert location.tokenizer_folder(str(tiny_gpt2_folder)) == tiny_gpt2_folder
    with pytest.raises(UserError, match=r"^plm\.tokenizer: no bundled PLM 'tiny'; there are: "):
        location.tokenizer_folder("tiny")


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["task.metrics=[pearson]"], "task.metrics: found 'pearson'; allowed where task.labels=[negative, positive]: "),
        (["task=stsb", "task.metrics=[f1]"], "task.metrics: found 'f1'; allowed where task.labels=number: pearson, "),
        (["task.metric=f1"], "task.metric: unknown 'f1'; allowed: accuracy"),
        (
            ["task=mnli", "task.metrics=[f1,accuracy]"],
            "task.metrics: found 'f1'; did you mean 'f1_macro'? allowed with 3",
        ),
        (["task.report=[dev,test]"], "task.report: unknown 'test'; allowed: dev, train"),
        (["~task.files.dev"], "task.report: unknown 'dev'; allowed: train"),
        (
            ["task=classification", "task.source=hub"],
            "task.hub.splits: found none; 'classification' needs 'train': add",
        ),
        (["~task.hub.splits.dev"], "task.hub.splits: found train; 'sst2' needs 'dev': add it"),
    ],
)
def test_task_that_cannot_be_scored_or_read_is_refused(overrides, complaint):
    assert refusal(*overrides).startswith(complaint)


def test_what_is_generated_must_leave_room_for_the_source():
    message = refusal("task=webnlg", "task.max_length=40")
    assert message.startswith("task.decoding.max_new_tokens: found 40; allowed: less than task.max_length, 40, ")
    assert compose(["task=webnlg", "task.max_length=41"]).task.max_length == 41


def test_text_column_may_be_given_as_one_name():
    assert compose(["task=classification", "task.text=review"]).task.text == ["review"]


def test_labels_that_look_like_numbers_are_names():
    assert compose(["task=classification", "task.labels=[1,2,3]"]).task.labels == ["1", "2", "3"]


@pytest.mark.parametrize(("task", "outputs"), [("sst2", 2), ("mnli", 3), ("stsb", 1), ("classification", 2)])
def test_head_has_an_output_for_each_label_and_one_for_a_number(task, outputs):
    assert compose([f"task={task}"]).task.outputs() == outputs
