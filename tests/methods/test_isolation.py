"""Nothing of a method stays behind, and nothing is shared: detaching, copies, threads, replicas, nested models."""

import copy
import threading

import pytest
import torch
from helpers.architectures import build, loss, tokens
from helpers.attached import assert_as_built, logits, randomise
from helpers.method_options import OPTIONS
from helpers.peft_types import TYPES, config_for

import inducer_bench as ib
from inducer_bench.errors import UserError
from inducer_bench.methods.options import InducerOptions
from inducer_bench.methods.tuned import TunedModel

LORA = {"r": 2, "target_modules": ["query", "value"]}
REWRITING = [{"init_lora_weights": "pissa"}, {"init_lora_weights": "pissa_niter_4"}, {"init_lora_weights": "olora"}]
OTHERS = [{"bias": "all"}, {"modules_to_save": ["classifier"]}, {"use_dora": True}, {"target_parameters": None}]


def state(model):
    """Everything that a method may leave behind in a model, apart from `_is_hf_initialized` and the like."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "bits": {name: (t.stride(), t.detach().numpy().tobytes()) for name, t in tensors.items()},
        "trainable": {name: p.requires_grad for name, p in model.named_parameters()},
        "modules": {
            name: (type(m), m.training, sorted(m.__dict__), len(m._forward_hooks), len(m._forward_pre_hooks))
            for name, m in model.named_modules()
        },
        "config": (model.config.to_dict(), model.config._attn_implementation),
        "globals": (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()),
    }


def trained(tuned):
    randomise(tuned)
    loss(tuned, tokens(2, 5)).backward()
    return tuned


# -- what stays behind ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("method", OPTIONS)
def test_detached_model_is_as_before_in_everything(method, training):
    model = build("roberta").train(training)
    before = state(model)
    trained(ib.attach(model, method, **OPTIONS[method])).detach()
    assert state(model) == before


@pytest.mark.parametrize("changes", [*REWRITING, *OTHERS], ids=str)
def test_what_peft_rewrites_wraps_or_makes_trainable_is_as_before(changes):
    model = build("roberta").float()
    before = state(model)
    tuned = ib.attach(model, "peft", peft_type="LORA", config=LORA | changes)
    assert set(tuned.trained_parameters()) == set(tuned.method_parameters()) | set(tuned.head_parameters())
    trained(tuned).detach()
    assert state(model) == before


@pytest.mark.parametrize("kind", TYPES)
def test_type_of_peft_is_detached_or_refused_in_one_line_and_leaves_nothing(kind):
    model = build("roberta").float()
    before = state(model)
    try:
        tuned = ib.attach(model, "peft", peft_type=kind, config=config_for(kind, model))
    except UserError as error:
        refused = str(error)
        assert refused.startswith("method.peft_type: ")
    else:
        trained(tuned).detach()
    assert state(model) == before


@pytest.mark.parametrize(("kind", "config"), [("POLY", {}), ("SHADOW", {"target_modules": ["query"]})])
def test_type_that_needs_other_inputs_is_refused_when_it_is_attached(kind, config):
    with pytest.raises(UserError, match=f"RobertaForSequenceClassification does not run with {kind}: "):
        ib.attach(build("roberta"), "peft", peft_type=kind, config=config)


# -- merging ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["LORA", "IA3", "VERA", "LN_TUNING", "HRA", "LOHA"])
def test_merged_peft_method_gives_the_outputs_of_the_tuned_model(kind):
    model, inputs = build("roberta"), tokens(3, 7)
    tuned = ib.attach(model, "peft", peft_type=kind, config=config_for(kind, model))
    randomise(tuned)
    expected = logits(tuned, inputs)
    assert not torch.allclose(expected, logits(build("roberta"), inputs), atol=1e-3)
    merged = tuned.merge()
    assert merged is model
    assert merged.state_dict().keys() == build("roberta").state_dict().keys()
    assert [type(m) for m in merged.modules()] == [type(m) for m in build("roberta").modules()]
    torch.testing.assert_close(logits(merged, inputs), expected, rtol=0, atol=1e-5)


def test_merged_pissa_keeps_the_rewritten_weights():
    tuned = ib.attach(build("roberta").float(), "peft", peft_type="LORA", config=LORA | REWRITING[0])
    randomise(tuned)
    expected = logits(tuned, tokens(3, 7))
    torch.testing.assert_close(logits(tuned.merge(), tokens(3, 7)), expected, rtol=0, atol=1e-4)


def test_type_of_peft_that_cannot_be_merged_is_told_and_stays_attached():
    tuned = ib.attach(build("roberta"), "peft", peft_type="LORA", config=LORA | {"lora_bias": True})
    randomise(tuned)
    tuned.model.roberta.encoder.layer[0].attention.self.query.merge = lambda **_: None  # wrongly
    before = logits(tuned, tokens(3, 7))
    with pytest.raises(UserError, match="'peft' cannot be merged into the PLM's weights: LORA: "):
        tuned.merge()
    assert torch.equal(logits(tuned, tokens(3, 7)), before)
    assert_as_built(tuned.detach())


# -- copies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["roberta", "gpt2"])
@pytest.mark.parametrize("method", OPTIONS)
def test_deep_copy_is_a_tuned_model_of_its_own(method, architecture, tmp_path):
    if (method, architecture) == ("head_only", "gpt2"):
        pytest.skip("has nothing to train")
    tokens_too = {"special_tokens": 2} if architecture == "gpt2" else {}
    tuned = ib.attach(build(architecture), method, **OPTIONS[method], **tokens_too)
    randomise(tuned)
    twin, inputs = copy.deepcopy(tuned), tokens(2, 5)
    expected = logits(tuned, inputs)
    for names in ("method_parameters", "head_parameters", "token_parameters", "plm_parameters", "trained_parameters"):
        ours, theirs = getattr(tuned, names)(), getattr(twin, names)()
        assert ours.keys() == theirs.keys()
        assert all(ours[name] is not theirs[name] for name in ours)
    assert twin.parameter_counts() == tuned.parameter_counts()
    twin.save(tmp_path)
    assert torch.equal(logits(ib.load(build(architecture), tmp_path), inputs), expected)
    assert_as_built(twin.detach(), architecture)
    assert torch.equal(logits(tuned, inputs), expected)
    assert_as_built(tuned.detach(), architecture)


def test_training_a_copy_leaves_the_original_alone():
    tuned = ib.attach(build("roberta"), "inducer_ffn", **OPTIONS["inducer_ffn"])
    twin, before = copy.deepcopy(tuned), logits(tuned, tokens(2, 5))
    randomise(twin)
    loss(twin, tokens(2, 5)).backward()
    assert torch.equal(logits(tuned, tokens(2, 5)), before)
    assert all(parameter.grad is None for parameter in tuned.parameters())
    assert not torch.equal(logits(twin, tokens(2, 5)), before)


# -- side by side -----------------------------------------------------------------------------------------------------


def in_threads(*calls):
    """The results of calls that wait for each other in the middle of every layer."""
    results = [None] * len(calls)

    def one(index):
        with torch.set_grad_enabled(True):
            results[index] = calls[index]()

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


def meet(model, parties):
    """Let all forward passes wait for each other after attention and in the FFN of every layer."""
    barrier = threading.Barrier(parties, timeout=10)

    def wait(*_):
        barrier.wait()

    for layer in model.base_model.encoder.layer:
        for module in (layer.attention.self, layer.intermediate):
            module.register_forward_hook(wait)


@pytest.mark.parametrize("method", ["inducer", "inducer_ffn", "prefix", "mam", "kernel_mix", "adapter", "lora", "peft"])
def test_forward_passes_in_threads_give_the_outputs_and_gradients_of_one_after_the_other(method):
    tuned = ib.attach(build("roberta"), method, **OPTIONS[method])
    randomise(tuned)
    batches = [tokens(2, 5, seed=1), tokens(3, 7, seed=2)]
    expected = [logits(tuned, batch) for batch in batches]
    tuned.zero_grad()
    sum(loss(tuned, batch) for batch in batches).backward()
    gradients = {name: p.grad for name, p in tuned.trained_parameters().items()}
    tuned.zero_grad()
    meet(tuned.model, 2)
    found = in_threads(*(lambda batch=batch: tuned(input_ids=batch).logits for batch in batches))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)
    weights = [torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output) for output in found]
    sum((output.log_softmax(-1) * w).sum() for output, w in zip(found, weights, strict=True)).backward()
    for name, parameter in tuned.trained_parameters().items():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=0, atol=1e-11)


def replica(module):
    """What `nn.DataParallel` makes of a module, on a CPU: shallow copies with the hooks of the original."""
    copied = copy.copy(module)
    copied.__dict__["_modules"] = {name: child and replica(child) for name, child in module._modules.items()}
    copied.__dict__["_parameters"] = {
        name: parameter if parameter is None else parameter.clone() for name, parameter in module._parameters.items()
    }
    return copied


@pytest.mark.parametrize("method", ["inducer", "inducer_ffn", "prefix", "mam", "kernel_mix", "adapter", "lora"])
def test_replicas_in_threads_give_the_outputs_of_the_original(method):
    tuned = ib.attach(build("roberta"), method, **OPTIONS[method])
    randomise(tuned)
    batches = [tokens(2, 5, seed=1), tokens(3, 7, seed=2)]
    expected = [logits(tuned, batch) for batch in batches]
    meet(tuned.model, 2)
    replicas = [replica(tuned.model) for _ in batches]
    found = in_threads(
        *(
            lambda m=model, batch=batch: m(input_ids=batch).logits
            for model, batch in zip(replicas, batches, strict=True)
        )
    )
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)
    sum(output.sum() for output in found).backward()
    assert all(parameter.grad is not None for parameter in tuned.trained_parameters().values())


# -- a second method --------------------------------------------------------------------------------------------------


def test_second_method_is_refused_by_whatever_way_it_comes():
    class Parent(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.child, self.config = model, model.config

    model = build("roberta")
    tuned = ib.attach(model, "inducer", r_k=3, r_v=2)
    count = tuned.parameter_counts()
    for other in (model, tuned, model.base_model, model.base_model.encoder, Parent(model), Parent(tuned)):
        with pytest.raises(UserError, match=r"a method is attached already; call detach\(\) first"):
            ib.attach(other, "lora", r=2, alpha=4.0)
    assert tuned.parameter_counts() == count
    assert_as_built(tuned.detach())
    inner = ib.attach(model.base_model, "lora", train_head=False, r=2, alpha=4.0)
    with pytest.raises(UserError, match="attached already"):
        ib.attach(model, "lora", r=2, alpha=4.0)
    inner.detach()
    assert_as_built(TunedModel(model, InducerOptions(r_k=3, r_v=2)).detach())
