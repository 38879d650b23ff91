"""`ib.attach` and `ib.load` as a stranger uses them: published defaults, a summary, and mistakes told in one line."""

import pytest
import torch
from helpers.architectures import build, tokens
from helpers.attached import assert_as_built
from torch import nn
from transformers import RobertaConfig, RobertaForMaskedLM, RobertaForSequenceClassification

import inducer_bench as ib
from inducer_bench.methods.options import LoraOptions
from inducer_bench.methods.published import defaults, over_defaults


def wide(kind=RobertaForSequenceClassification):
    """A model that is wide enough for the published ranks."""
    torch.manual_seed(0)
    return kind(RobertaConfig(
        vocab_size=50, hidden_size=96, num_hidden_layers=1, num_attention_heads=4, intermediate_size=128,
    ))  # fmt: skip


@pytest.mark.parametrize(
    "method",
    ["fine_tune", "head_only", "bitfit", "lora", "adapter", "prefix", "mam", "inducer", "inducer_lora", "inducer_ffn",
     "kernel_mix"],
)  # fmt: skip
def test_every_method_goes_on_a_model_without_an_option(method):
    tuned = ib.attach(wide(), method)
    tuned(tokens(2, 5)).logits.sum().backward()
    assert tuned.trained_parameters()


@pytest.mark.parametrize("kind", [RobertaForSequenceClassification, RobertaForMaskedLM])
def test_published_options_are_those_of_classification(kind):
    assert ib.attach(wide(kind), "lora").options == LoraOptions(r=16, alpha=32.0)


def test_given_options_replace_published_ones_key_by_key():
    options = ib.attach(wide(), "inducer_lora", r_v=3, lora={"r": 2}).options
    published = ib.attach(wide(), "inducer_lora").options
    assert (options.r_v, options.lora.r) == (3, 2)
    assert (options.r_k, options.lora.alpha, options.lora.targets) == (published.r_k, published.lora.alpha, ["q"])


def test_published_options_stay_as_they_are_whatever_becomes_of_a_copy():
    first = defaults("inducer_ffn")
    first["lora"]["targets"].append("v")
    over_defaults({"lora": {"r": 1}}, first)
    assert defaults("inducer_ffn")["lora"] == {**first["lora"], "targets": ["q"]}


def test_summary_says_what_is_trained_and_how_much_of_the_model_it_is():
    tuned = ib.attach(wide(), "lora", r=2)
    counts = tuned.parameter_counts()
    lines = {line.split("  ")[1].strip(): line.split()[-1] for line in tuned.summary().splitlines()[1:]}
    assert tuned.summary().splitlines()[0] == "LoRA on RobertaForSequenceClassification"
    text = " ".join(tuned.summary().split())
    assert f"method {counts['method']:,} {counts['percent']:.4f} % of the model" in text
    assert f"head {counts['head']:,} trained" in text
    assert f"trained in all {counts['method'] + counts['head']:,}" in text
    assert "special tokens" not in lines
    assert repr(tuned) == tuned.summary()
    assert "frozen" in ib.attach(wide(), "lora", train_head=False).summary()
    assert "special tokens" in ib.attach(build("gpt2"), "lora", r=2, special_tokens=3).summary()


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = wide()


MODELS = {
    "a name": lambda: "roberta-base",
    "a layer": lambda: nn.Linear(2, 2),
    "a model around one of transformers": Tower,
    "a class": lambda: RobertaForSequenceClassification,
    "nothing": lambda: None,
    "a number": lambda: 3,
}


@pytest.mark.parametrize("case", MODELS)
def test_what_is_no_model_of_transformers_is_refused_in_one_line(case, tmp_path):
    for call in (lambda model: ib.attach(model, "lora"), lambda model: ib.load(model, tmp_path)):
        with pytest.raises(ib.UserError, match=r"^model: found .*; allowed: a transformers model, such as ") as caught:
            call(MODELS[case]())
        assert "\n" not in str(caught.value)


MISTAKES = [
    ("loar", {}, r"method: unknown 'loar'; did you mean 'lora'\? allowed: "),
    ("", {}, r"method: unknown ''"),
    (None, {}, r"method: found a NoneType; allowed: a name, such as 'lora', or the options"),
    (LoraOptions, {}, r"method: found the class LoraOptions; allowed: a name"),
    ({"name": "lora"}, {}, r"method: found a dict; allowed: a name"),
    ("lora", {"rank": 3}, r"method 'lora', option: unknown 'rank'; .*allowed: alpha, bias, dropout, r, targets"),
    ("lora", {"r": "8"}, r"method\.r: found '8'; allowed: a whole number"),
    ("lora", {"r": 8.5}, r"method\.r: found 8\.5; allowed: a whole number"),
    ("lora", {"r": 0}, r"method\.r: found 0; allowed: greater than 0"),
    ("lora", {"r": None}, r"method\.r: found null; allowed: a whole number"),
    ("lora", {"targets": "q"}, r"method\.targets: found 'q'; allowed: a list"),
    ("lora", {"targets": ["query"]}, r"method\.targets\.0: found 'query'; .*allowed: q, k, v, o, ffn"),
    ("inducer_lora", {"lora": 3}, r"method\.lora: found 3; allowed: keys and values"),
    ("inducer_lora", {"lora": {"rank": 3}}, r"method\.lora\.rank: there is no such key"),
    ("fine_tune", {"r": 3}, r"method 'fine_tune', option: unknown 'r'"),
]


@pytest.mark.parametrize(("method", "options", "message"), MISTAKES)
def test_wrong_method_or_option_is_refused_in_one_line_and_leaves_the_model_alone(method, options, message):
    model = build("roberta")
    with pytest.raises(ib.UserError, match=f"^{message}") as caught:
        ib.attach(model, method, **options)
    assert "\n" not in str(caught.value)
    assert_as_built(model)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LoraOptions(r="8", alpha=1.0), "LoraOptions.r: found '8'; allowed: a whole number"),
        (lambda: LoraOptions(r=8), "LoraOptions.alpha: missing; give it a value"),
        (lambda: LoraOptions(r=8, alpha=1.0, rank=2), "LoraOptions.rank: there is no such key; remove it"),
        (lambda: ib.Layout(layers="layers"), "Layout.attention: missing; give it a value"),
    ],
)
def test_options_and_layouts_say_in_one_line_what_is_wrong_with_them(make, message):
    with pytest.raises(ib.UserError) as caught:
        make()
    assert str(caught.value) == message


def test_folder_that_is_not_from_save_is_told_for_what_it_is(tmp_path):
    (tmp_path / "peft").mkdir()
    (tmp_path / "peft" / "adapter_config.json").write_text("{}")
    ib.attach(wide(), "lora").save(tmp_path / "run" / "adapter")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "adapter.json").write_text("3")
    for folder, message in (
        ("nowhere", r"nowhere: is not a folder with adapter\.json; allowed: a folder that tuned\.save has written"),
        (".", r": has no adapter\.json"),
        ("peft", r"an adapter of the peft library; load it with peft\.PeftModel\.from_pretrained"),
        ("run", r"the folder of a run; its adapter is in '.*run/adapter'"),
        ("odd", r"not written by this tool"),
    ):
        with pytest.raises(ib.UserError, match=message) as caught:
            ib.load(wide(), tmp_path / folder)
        assert "\n" not in str(caught.value)
    assert ib.load(wide(), str(tmp_path / "run" / "adapter")).options.r == 16


def test_method_of_a_module_by_itself_is_not_saved_where_it_could_not_be_found_again(tmp_path, monkeypatch):
    (tmp_path / "lonely.py").write_text(
        "import inducer_bench as ib\n"
        "from inducer_bench.options import options\n"
        "@options\n"
        "class Options(ib.MethodOptions):\n"
        "    pass\n"
        "def attach(tuned, options):\n"
        "    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from lonely import Options

    tuned = ib.attach(wide(), Options())
    with pytest.raises(ib.UserError, match="save: found the method 'lonely', a module by itself; allowed: "):
        tuned.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
