"""Attaching, combining, detaching; methods and architectures from outside this package; no effect beyond the model."""

import json
import subprocess
import sys

import pytest
import torch
from helpers.architectures import build, tokens
from helpers.attached import assert_as_built, logits, randomise

import inducer_bench as ib
from inducer_bench.errors import UserError
from inducer_bench.methods import inducer, prefix
from inducer_bench.methods.architectures import sizes
from inducer_bench.methods.attach import attach
from inducer_bench.methods.options import InducerOptions, LoraOptions, PrefixOptions
from inducer_bench.methods.tuned import TunedModel

SCALE = '''
"""Scales the attention's output: y <- y * (1 + a), a (d) = 0 at the start."""

import torch
from torch import nn

import inducer_bench as ib
from inducer_bench.options import PositiveFloat, options


@options
class Options(ib.MethodOptions):
    strength: PositiveFloat = 1.0

    def parameters(self, s):
        return s.layers * s.width


class Scale(nn.Module):
    def __init__(self, width, strength):
        super().__init__()
        self.a, self.strength = nn.Parameter(torch.zeros(width)), strength

    def change(self, module, inputs, output):
        return output * (1 + self.strength * self.a)


def attach(tuned, options):
    for layer in tuned.layers():
        part = Scale(layer.width, options.strength)
        tuned.add_part(layer.output.module, "scale", part)
        tuned.add_hook(layer.output.module.register_forward_hook(part.change))
'''
NAME = "our_methods.scale"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of its own with one method in it."""
    folder = tmp_path / "our_methods"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "scale.py").write_text(SCALE)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "our_methods"]:
        del sys.modules[name]


# -- combining --------------------------------------------------------------------------------------------------------


def test_second_attention_part_is_rejected_instead_of_replacing_the_first():
    tuned = TunedModel(build("roberta"), InducerOptions(r_k=3, r_v=2))
    prefix.attach(tuned, PrefixOptions(length=2, reparameterize=False))
    count = tuned.parameter_counts()["method"]
    message = r"method: RobertaSelfAttention has a 'tuning' already \(Prefix\), which Inducer would replace"
    with pytest.raises(UserError, match=message) as caught:
        inducer.attach(tuned, InducerOptions(r_k=3, r_v=2))
    assert "\n" not in str(caught.value)
    assert tuned.parameter_counts()["method"] == count
    assert_as_built(tuned.detach())


def test_combination_of_ones_own_that_takes_attention_twice_leaves_the_model_alone(package):
    (package / "both.py").write_text(
        "import inducer_bench as ib\n"
        "from inducer_bench.methods import inducer, prefix\n"
        "from inducer_bench.methods.options import InducerOptions, PrefixOptions\n"
        "from inducer_bench.options import options\n"
        "@options\n"
        "class Options(ib.MethodOptions):\n"
        "    prefix: PrefixOptions\n"
        "    inducer: InducerOptions\n"
        "def attach(tuned, options):\n"
        "    prefix.attach(tuned, options.prefix)\n"
        "    inducer.attach(tuned, options.inducer)\n"
    )
    model = build("roberta")
    with pytest.raises(UserError, match="'tuning' already"):
        ib.attach(model, "our_methods.both", prefix={"length": 2}, inducer={"r_k": 3, "r_v": 2})
    assert_as_built(model)


def test_same_target_twice_is_rejected():
    with pytest.raises(UserError, match=r"has a 'lora_query' already \(Lora\)"):
        ib.attach(build("roberta"), "lora", r=2, alpha=4.0, targets=["q", "q"])


def test_adapter_parallel_to_the_attention_is_rejected_with_what_is_allowed():
    with pytest.raises(
        UserError, match=r"method\.placement: found 'parallel'; allowed: .*parallel only with sites=\[f"
    ):
        ib.attach(build("roberta"), "adapter", r=2, placement="parallel", sites=["attention", "ffn"])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("lora", {"r": 2, "alpha": 64.0, "dropout": 0.5}),
        ("peft", {"peft_type": "LORA", "config": {"r": 2, "lora_dropout": 0.5, "target_modules": ["query"]}}),
    ],
)
def test_new_parts_are_in_the_mode_of_the_model(method, options, training):
    model = build("roberta").train(training)
    tuned = ib.attach(model, method, **options)
    randomise(tuned)
    inputs = tokens(2, 5)
    assert tuned.training is training
    assert torch.equal(logits(tuned, inputs), logits(tuned, inputs)) is not training


# -- detaching --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fine_tune", "prefix", "lora"])
def test_detaching_twice_is_detaching_once(method):
    model = build("roberta")
    options = {"prefix": {"length": 2}, "lora": {"r": 2, "alpha": 4.0}}.get(method, {})
    tuned = ib.attach(model, method, **options)
    randomise(tuned)
    assert tuned.detach() is model
    other = ib.attach(model, "lora", r=2, alpha=4.0)  # which a second call must not touch
    assert tuned.detach() is model
    assert set(other.trained_parameters()) == set(other.method_parameters()) | set(other.head_parameters())
    assert_as_built(other.detach())


def test_step_that_fails_does_not_keep_detach_from_the_others_and_the_first_error_is_raised():
    model = build("roberta")
    tuned = ib.attach(model, "fine_tune")
    randomise(tuned)
    tuned._undo[-1:] = [*tuned._undo[-1:], lambda: 1 / 0, lambda: [].pop()]  # the last one runs first
    with pytest.raises(IndexError):
        tuned.detach()
    assert_as_built(model)
    assert tuned.detach() is model


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_method_that_fails_in_the_middle_leaves_the_model_as_it_was(package, monkeypatch, error):
    model = build("roberta")
    added, original = [], TunedModel.add_hook

    def add_hook(self, handle):
        original(self, handle)
        added.append(handle)
        if len(added) == 2:
            raise error("in the middle")

    monkeypatch.setattr(TunedModel, "add_hook", add_hook)
    with pytest.raises(error, match="in the middle"):
        ib.attach(model, NAME)
    assert_as_built(model)


def test_error_of_attach_is_raised_even_if_detaching_fails_too(package, monkeypatch):
    def detach(self):
        raise OSError("cannot restore")

    monkeypatch.setattr(TunedModel, "detach", detach)
    monkeypatch.setattr(TunedModel, "train_head", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError) as caught:
        ib.attach(build("roberta"), NAME)
    assert "cannot restore" in caught.value.__notes__[0]


def test_model_whose_attention_cannot_be_set_is_left_as_it_was(monkeypatch):
    model = build("roberta")
    monkeypatch.setattr(type(model), "set_attn_implementation", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ib.attach(model, "lora", r=2, alpha=4.0)
    monkeypatch.undo()
    assert_as_built(model)


# -- methods from outside ---------------------------------------------------------------------------------------------


def test_method_of_another_package_takes_less_than_thirty_lines():
    assert len([line for line in SCALE.strip().splitlines() if line.strip()]) < 30


@pytest.mark.parametrize("architecture", ["roberta", "gpt2", "llama"])
def test_method_of_another_package_is_attached_saved_loaded_and_detached(package, architecture, tmp_path):
    tuned = ib.attach(build(architecture), NAME, strength=2.0)
    assert tuned.options.name == NAME
    plm = sizes(tuned.model.config.to_dict() | {"hidden_size": tuned.model.config.hidden_size})
    assert tuned.parameter_counts()["method"] == tuned.options.parameters(plm) == 2 * 16
    assert torch.equal(logits(tuned, tokens(2, 5)), logits(build(architecture), tokens(2, 5)))
    randomise(tuned)
    tuned.save(tmp_path / "saved")
    again = ib.load(build(architecture), tmp_path / "saved")
    assert again.options == tuned.options
    assert torch.equal(logits(again, tokens(2, 5)), logits(tuned, tokens(2, 5)))
    assert_as_built(tuned.detach(), architecture)


def test_options_may_be_given_instead_of_a_name(package):
    from our_methods.scale import Options

    assert ib.attach(build("roberta"), Options(strength=3.0)).options.strength == 3.0
    shipped = ib.attach(build("roberta"), LoraOptions(r=2, alpha=4.0))
    assert (shipped.options.name, shipped.parameter_counts()["method"]) == ("lora", 2 * 2 * 2 * (16 + 16))
    with pytest.raises(UserError, match="found options and also strength; give them to Options"):
        ib.attach(build("roberta"), Options(), strength=3.0)


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("our_methods.none", None, r"method: 'our_methods.none' cannot be imported \(ModuleNotFoundError"),
        ("our_methods.broken", "1 / 0", r"method: 'our_methods.broken' cannot be imported \(ZeroDivisionError"),
        ("our_methods.empty", "Options = 1", r"module 'our_methods.empty' does not define 'attach'"),
        ("our_methods.plain", "Options, attach = dict, len", r"'our_methods.plain.Options' is not a class of options"),
        ("our_methods.other", "from .scale import *", r"belongs to 'our_methods.scale'; use that name"),
        ("scale", None, r"method: unknown 'scale'.*the dotted name of a module"),
    ],
)
def test_module_that_defines_no_method_is_rejected_in_one_line(package, name, code, message):
    if code is not None:
        (package / f"{name.rpartition('.')[2]}.py").write_text(code)
    with pytest.raises(UserError, match=message) as caught:
        ib.attach(build("roberta"), name)
    assert "\n" not in str(caught.value)


def test_option_of_a_method_from_outside_is_checked_like_any_other(package):
    with pytest.raises(UserError, match="unknown 'strenght'; did you mean 'strength'"):
        ib.attach(build("roberta"), NAME, strenght=2.0)
    with pytest.raises(UserError, match=r"method\.strength: found -1"):
        ib.attach(build("roberta"), NAME, strength=-1)


# -- the package from outside -----------------------------------------------------------------------------------------

ATTACH_AND_TELL = """
import json, logging, os, sys
import datasets, torch
from transformers import RobertaConfig, RobertaForSequenceClassification
from transformers.utils import logging as transformers_logging

def state():
    loggers = [(log.level, len(log.handlers)) for log in (logging.root, logging.getLogger("transformers"))]
    return [dict(os.environ), loggers,
            transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled(),
            datasets.are_progress_bars_disabled(), torch.get_num_threads(), torch.get_default_dtype(), sys.argv]

config = RobertaConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
model = RobertaForSequenceClassification(config)
before = state()
import inducer_bench as ib
tuned = ib.attach(model, "inducer", r_k=2, r_v=1)
tuned.save(sys.argv[1])
tuned.detach()
ib.load(model, sys.argv[1])
unchanged = state() == before
names = {name.split(".")[0] for name in sys.modules}
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("inducer_bench.")}
print(json.dumps({"unchanged": unchanged, "rooms": sorted(rooms), "hydra": bool(names & {"hydra", "omegaconf"})}))
"""


def test_attaching_loads_only_methods_and_basics_and_changes_nothing_global(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ATTACH_AND_TELL, tmp_path], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["rooms"]) == {
        "methods", "options", "errors", "files", "strict_json", "version", "callable_module",
    }  # fmt: skip
    assert found["unchanged"]
    assert not found["hydra"]


def test_face_of_the_package_is_what_it_lists():
    assert ib.attach is attach
    assert all(getattr(ib, name) is not None for name in ib.__all__)
    with pytest.raises(AttributeError, match="'inducer_bench' has no attribute 'nothing'"):
        _ = ib.nothing


def test_importing_the_package_does_not_import_torch():
    code = "import sys, inducer_bench; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
