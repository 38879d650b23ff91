"""One loaded PLM for all jobs of a process: each job computes what it would compute in a process of its own."""

import shutil
import weakref

import pytest
import torch
from helpers.architectures import ARCHITECTURES
from helpers.auto_classes import CLASSIFIER, GENERATOR
from helpers.runs import results
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    ElectraConfig,
    T5Config,
)

import inducer_bench as ib
from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode
from inducer_bench.methods.layers import pretrained_parameters
from inducer_bench.plm import reuse
from inducer_bench.plm.load import load_model
from inducer_bench.plm.reuse import borrowed
from inducer_bench.runs import experiment
from inducer_bench.runs.run import run
from inducer_bench.tasks.classification import ClassificationTask


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    monkeypatch.setattr(reuse, "_kept", None)


@pytest.fixture
def loads(monkeypatch):
    """The calls that read a PLM from disk."""
    calls, original = [], reuse.read_model
    monkeypatch.setattr(reuse, "read_model", lambda *arguments: calls.append(1) or original(*arguments))
    return calls


def config_of(folder, *own):
    return compose([f"plm.path={folder}", "task.max_length=32", *own])


def lend(*arguments):
    """Borrow a PLM and give it back at once."""
    with borrowed(*arguments) as model:
        return model


def on(method, overrides):
    return [override for override in overrides if not override.startswith("method.")] + [f"method={method}"]


def test_jobs_after_others_compute_what_they_compute_alone(overrides, loads, run_cli, tmp_path):
    """In one process: LoRA, jobs that change the PLM's own weights, modules and attention, and LoRA again."""
    lora = on("lora", overrides)
    first = run(compose(lora))
    for method in ("fine_tune", "mam", "bitfit", "inducer_ffn"):
        assert run(compose(on(method, overrides))).code == ExitCode.DONE
    again = run(compose([*lora, f"output_dir={tmp_path / 'again'}"]))
    assert len(loads) == 1
    assert results(again.folder) == results(first.folder)
    other_seed = run(compose([*lora, "seed=1"]))
    assert len(loads) == 1

    for outcome, seed in ((first, 0), (other_seed, 1)):
        fresh = run_cli(*lora, f"seed={seed}", f"output_dir={tmp_path / 'fresh'}", timeout=600)
        assert fresh.returncode == 0, fresh.stderr
        folder = tmp_path / "fresh" / outcome.folder.relative_to(tmp_path / "runs")
        ours, theirs = results(outcome.folder), results(folder)
        assert ours[1] == theirs[1]
        assert ours[0] == theirs[0]


def test_job_that_failed_in_the_middle_leaves_nothing_behind(overrides, loads, monkeypatch, tmp_path):
    lora = on("lora", overrides)
    first = run(compose(lora))
    monkeypatch.setattr(experiment, "evaluate_final", lambda *_: 1 / 0)  # after training
    assert run(compose(on("fine_tune", overrides))).code == ExitCode.FAILED
    monkeypatch.undo()
    again = run(compose([*lora, f"output_dir={tmp_path / 'again'}"]))
    assert results(again.folder) == results(first.folder)


@pytest.mark.parametrize(
    ("name", "family", "labels"),
    [("roberta", CLASSIFIER, 2), ("gpt2", CLASSIFIER, 2), ("gpt2", GENERATOR, None), ("bert", CLASSIFIER, 2)],
)
def test_kept_plm_is_as_loaded_and_so_are_the_generators(
    tiny_roberta_folder, tiny_gpt2_folder, tmp_path, name, family, labels
):
    if name == "bert":  # saved without its pooler
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
        BertForMaskedLM(BertConfig(vocab_size=40, **sizes)).save_pretrained(tmp_path)
    folder = {"roberta": tiny_roberta_folder, "gpt2": tiny_gpt2_folder, "bert": tmp_path}[name]
    plm = config_of(folder, *(["plm=gpt2"] if name == "gpt2" else [])).plm
    torch.manual_seed(1)
    with borrowed(plm, family, labels) as kept:
        pass
    for seed in (1, 2):
        torch.manual_seed(seed)
        fresh, state = load_model(plm, family, labels), torch.get_rng_state()
        torch.manual_seed(seed)
        with borrowed(plm, family, labels) as again:
            assert again is kept
            assert torch.equal(torch.get_rng_state(), state)
            assert again.training == fresh.training
            for (name, ours), (other, expected) in zip(again.named_parameters(), fresh.named_parameters(), strict=True):
                assert name == other
                assert torch.equal(ours, expected), name


@pytest.mark.parametrize("name", [*(name for name in ARCHITECTURES if name != "gpt2_cls"), "t5", "electra"])
def test_head_is_drawn_as_transformers_draws_it_by_the_first_job_and_by_later_ones(tmp_path, name):
    """Some are drawn by a module around them, such as ModernBERT's and T5's."""
    small = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "pad_token_id": 1}
    t5 = {"vocab_size": 40, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4, "pad_token_id": 1}
    others = {"t5": lambda: T5Config(**t5), "electra": lambda: ElectraConfig(**small)}
    config = others[name]() if name in others else ARCHITECTURES[name]().config
    AutoModelForSequenceClassification.from_config(config).base_model.save_pretrained(tmp_path)
    torch.manual_seed(3)
    expected = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=2).state_dict()
    state = torch.get_rng_state()
    plm = config_of(tmp_path, "method=head_only").plm
    for _ in range(2):
        torch.manual_seed(3)
        with borrowed(plm, CLASSIFIER, 2) as model:
            assert torch.equal(torch.get_rng_state(), state)
            for key, ours in model.state_dict().items():
                assert torch.equal(ours, expected[key]), key
            head = {id(parameter) for parameter in pretrained_parameters(model)}
            with torch.no_grad():  # as a job that trains the head
                for parameter in model.parameters():
                    if id(parameter) not in head:
                        parameter.fill_(7.0)


def test_part_of_a_head_that_was_saved_changes_nothing_for_later_jobs(tmp_path):
    """Saved for three labels, loaded for two: the last layer does not fit, the one before it would."""
    ARCHITECTURES["roberta"]().save_pretrained(tmp_path)
    plm, heads = config_of(tmp_path).plm, []
    for _ in range(2):
        torch.manual_seed(3)
        with borrowed(plm, CLASSIFIER, 2) as model:
            heads.append([parameter.clone() for parameter in model.classifier.parameters()])
            heads[-1].append(torch.get_rng_state())
    assert all(torch.equal(one, other) for one, other in zip(*heads, strict=True))


def test_plm_that_is_not_the_same_is_loaded(tiny_roberta_folder, tiny_gpt2_folder, tmp_path, loads):
    copy = shutil.copytree(tiny_roberta_folder, tmp_path / "copy")
    plm = config_of(tiny_roberta_folder).plm
    lend(plm, CLASSIFIER, 2)
    for other in (
        (plm, CLASSIFIER, 3),
        (config_of(tiny_gpt2_folder, "plm=gpt2").plm, CLASSIFIER, 3),
        (config_of(tiny_gpt2_folder, "plm=gpt2").plm, GENERATOR, None),
        (config_of(copy).plm, CLASSIFIER, 2),
    ):
        before = len(loads)
        lend(*other)
        assert len(loads) == before + 1
    (copy / "model.safetensors").touch()
    lend(config_of(copy).plm, CLASSIFIER, 2)
    assert len(loads) == 6


def test_random_weights_are_drawn_for_every_job(tiny_roberta_folder, loads):
    plm = config_of(tiny_roberta_folder, "plm.weights=random").plm
    weights = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        with borrowed(plm, CLASSIFIER, 2) as model:
            weights.append(model.roberta.embeddings.word_embeddings.weight.clone())
    assert torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[1])
    assert len(loads) == 3


def test_block_that_fails_gives_nothing_back(tiny_roberta_folder, loads):
    plm = config_of(tiny_roberta_folder).plm
    first = lend(plm, CLASSIFIER, 2)
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), borrowed(plm, CLASSIFIER, 2):
            raise error
    assert lend(plm, CLASSIFIER, 2) is not first
    assert len(loads) == 3


def test_plm_is_lent_to_one_block_at_a_time(tiny_roberta_folder):
    plm = config_of(tiny_roberta_folder).plm
    with borrowed(plm, CLASSIFIER, 2) as one, borrowed(plm, CLASSIFIER, 2) as other:
        assert one is not other


def test_plm_with_a_method_attached_is_not_taken_back(tiny_roberta_folder):
    plm = config_of(tiny_roberta_folder).plm
    with pytest.raises(AssertionError, match="with its method detached"), borrowed(plm, CLASSIFIER, 2) as model:
        ib.attach(model, "lora", r=2, alpha=4.0)
    assert lend(plm, CLASSIFIER, 2) is not model


def test_transformers_still_marks_what_it_has_initialised_by_the_private_name_that_we_clear(tiny_roberta_folder):
    """`reuse._renew` relies on it: `initialize_weights` skips marked modules and draws the others."""
    model = load_model(config_of(tiny_roberta_folder).plm, CLASSIFIER, 2)
    assert all(module._is_hf_initialized for module in model.modules())
    head, body = model.classifier.out_proj, model.roberta.encoder.layer[0].output.dense
    before = head.weight.clone(), body.weight.clone()
    model.initialize_weights()
    assert torch.equal(head.weight, before[0])
    head._is_hf_initialized = False
    model.initialize_weights()
    assert not torch.equal(head.weight, before[0])
    assert torch.equal(body.weight, before[1])
    assert head._is_hf_initialized


def _bit(model):
    model.roberta.encoder.layer[1].output.dense.weight.data.view(torch.int32)[3, 5] ^= 1


def _swapped(model):
    weight = model.roberta.encoder.layer[0].intermediate.dense.weight.data
    weight[[2, 7]] = weight[[7, 2]]


@pytest.mark.parametrize(
    "change",
    [
        _bit,
        _swapped,
        lambda model: model.roberta.embeddings.position_ids.add_(1),
        lambda model: setattr(model.config, "hidden_act", "relu"),
        lambda model: model.roberta.encoder.layer[0].register_forward_hook(lambda *_: None),
        lambda model: setattr(model.roberta.encoder.layer[0], "intermediate", torch.nn.Identity()),
        lambda model: model.roberta.embeddings.requires_grad_(False),
        lambda model: model.set_attn_implementation("eager"),
    ],
)
def test_plm_that_comes_back_changed_is_not_used_again(tiny_roberta_folder, loads, caplog, change):
    plm = config_of(tiny_roberta_folder).plm
    with borrowed(plm, CLASSIFIER, 2) as model:
        change(model)
    assert "came back from this job changed; the next job loads it again" in caplog.text
    assert lend(plm, CLASSIFIER, 2) is not model
    assert len(loads) == 2


def test_job_after_peft_methods_that_rewrite_frozen_weights_computes_what_it_computes_alone(overrides, loads, tmp_path):
    lora = on("lora", overrides)
    first = run(compose(lora))
    for start in ("pissa", "olora"):
        config = f"+method.config={{r: 2, init_lora_weights: {start}, target_modules: [query, value]}}"
        assert run(compose([*on("peft", overrides), "method.peft_type=LORA", config])).code == ExitCode.DONE
    again = run(compose([*lora, f"output_dir={tmp_path / 'again'}"]))
    assert len(loads) == 1
    assert results(again.folder) == results(first.folder)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2.00 GiB."),
        (torch.AcceleratorError, "CUDA error: out of memory\nCUDA kernel errors might be reported at some other call"),
        (RuntimeError, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_lack_of_memory_in_a_step_leaves_nothing_behind_and_the_next_job_is_good(
    overrides, monkeypatch, tmp_path, error, message
):
    """What the job held is gone before the next one loads its PLM, although the error's frames referred to it."""
    overrides = on("lora", overrides)
    alive, original = [], ClassificationTask.loss

    def exhausting(task, tuned, *arguments):
        loss = original(task, tuned, *arguments)
        alive.extend(map(weakref.ref, (loss, tuned.model, *tuned.trained_parameters().values())))
        raise error(message)

    with monkeypatch.context() as patched:
        patched.setattr(ClassificationTask, "loss", exhausting)
        failed = run(compose(overrides))
    assert (failed.code, failed.record.status) == (ExitCode.OUT_OF_MEMORY, "oom")
    assert failed.message.startswith("out of memory: CU")
    left = []
    read_model = reuse.read_model
    monkeypatch.setattr(
        reuse, "read_model", lambda *of: left.extend(ref for ref in alive if ref() is not None) or read_model(*of)
    )
    good = run(compose([*overrides, f"output_dir={tmp_path / 'good'}"]))
    assert len(alive) > 2
    assert left == []
    assert results(run(compose(overrides)).folder) == results(good.folder)


def test_job_with_frozen_weights_in_bf16_gives_them_back_as_they_were(overrides, loads, tmp_path):
    lora = on("lora", overrides)
    first = run(compose(lora))
    half = run(compose([*lora, "trainer.precision=bf16", "trainer.frozen=bf16"]))
    autocast = run(compose([*lora, "trainer.precision=bf16"]))
    again = run(compose([*lora, f"output_dir={tmp_path / 'again'}"]))
    assert len(loads) == 1
    assert results(again.folder) == results(first.folder)
    assert half.folder != autocast.folder
    assert results(half.folder)[1] == results(autocast.folder)[1]
