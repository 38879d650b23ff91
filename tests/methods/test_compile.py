"""`trainer.compile`: the compiled model, the lengths it sees, and that it computes the same."""

import pytest
import torch
from helpers.architectures import build, tokens
from helpers.auto_classes import CLASSIFIER
from torch import nn

import inducer_bench as ib
from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.plm.load import load_model, load_tokenizer
from inducer_bench.plm.location import architecture
from inducer_bench.runs import record as records
from inducer_bench.runs.run import run
from inducer_bench.tasks.registry import make_task
from inducer_bench.training.device import make_accelerator


@pytest.fixture
def overrides(tiny_roberta_folder, sst2_folder, tmp_path):
    """A run of one epoch with a compiled PLM."""
    return [
        f"plm.path={tiny_roberta_folder}", f"task.data_dir={sst2_folder}", "task.max_length=30", "trainer.epochs=1",
        "trainer.compile=default", "method.r_k=4", f"output_dir={tmp_path / 'runs'}",
    ]  # fmt: skip


@pytest.fixture
def compiled_calls(monkeypatch):
    """Replaces the compiler; lists the lengths that compiled code would have been called with."""
    lengths: list[int] = []

    def compile(module, mode, dynamic):
        assert (mode, dynamic) == ("default", True)

        def call(*args, **kwargs):
            ids = args[0] if args else kwargs["input_ids"]
            if torch.is_grad_enabled():  # evaluation is not compiled
                lengths.append(ids.shape[1])
            return module._call_impl(*args, **kwargs)

        module._compiled_call_impl = call

    monkeypatch.setattr(nn.Module, "compile", compile)
    return lengths


def test_compiled_code_sees_few_lengths(overrides, compiled_calls):
    outcome = run(compose(overrides))
    assert outcome.code == ExitCode.DONE
    assert compiled_calls
    assert all(length % 8 == 0 or length == 30 for length in compiled_calls)
    record = records.read(outcome.folder)
    assert record.config["trainer"]["compile"] == "default"
    assert record.tokens.padded > record.tokens.real


def test_detached_model_is_not_compiled(overrides, compiled_calls):
    model = load_model(compose(overrides).plm, CLASSIFIER, 2)
    tuned = ib.attach(model, "inducer", r_k=4, r_v=2)
    tuned.compile_layers("default")
    assert model.base_model._compiled_call_impl is not None
    tuned.detach()
    assert model.base_model._compiled_call_impl is None


def test_language_model_that_passes_its_base_model_by_is_compiled(compiled_calls):
    tuned = ib.attach(build("opt"), "lora", r=2, alpha=4.0)
    tuned.compile_layers("default")
    tuned(input_ids=tokens(2, 8), logits_at=torch.tensor([3]))
    assert compiled_calls == [8]


def test_padding_further_changes_no_loss(overrides):
    config = compose(overrides)
    task, model = (
        make_task(config.task, load_tokenizer(config.plm), architecture(config.plm)),
        load_model(config.plm, CLASSIFIER, 2).eval(),
    )
    examples = task.examples("train").take(range(4))
    batch = task.collate(examples)
    length = batch["input_ids"].shape[1]
    assert task.padded_length(examples) == length
    for multiple, expected in ((8, -(-length // 8) * 8), (64, 30)):
        wide = task.collate(examples, task.padded_length(examples, multiple))
        assert wide["input_ids"].shape == wide["attention_mask"].shape == (4, expected)
        torch.testing.assert_close(task.loss(model, wide), task.loss(model, batch))


def test_missing_compiler_is_reported_before_any_data_are_read(overrides, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match=r"trainer.compile: found 'default', but no C\+\+ compiler 'no-such-compiler'"):
        make_accelerator(compose([*overrides, "trainer.device=cpu"]).trainer)


@pytest.mark.slow
def test_compiled_training_step_gives_the_same_loss_and_gradients(overrides):
    model = load_model(compose(overrides).plm, CLASSIFIER, 2)
    tuned = ib.attach(model, "inducer", r_k=4, r_v=2).eval()
    tuned.compile_layers("default")
    for rows, length in ((4, 8), (4, 16), (3, 24)):
        ids = torch.randint(5, tuned.config.vocab_size, (rows, length))
        results = []
        for stance in ("force_eager", "default"):
            with torch.compiler.set_stance(stance):
                loss = tuned(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.square().sum()
            results.append((loss, *torch.autograd.grad(loss, list(tuned.trained_parameters().values()))))
        for compiled, reference in zip(*results, strict=True):
            torch.testing.assert_close(compiled, reference, rtol=1e-3, atol=1e-5)
