"""Whole runs on a tiny PLM: records, no-ops, interruption and failure."""

import json
import os
import shutil
import signal

import pytest
import torch
from helpers.auto_classes import CLASSIFIER
from helpers.runs import built, killed, predictions_in, results
from safetensors.torch import load_file, save_file
from transformers import XLNetConfig, XLNetForSequenceClassification

import inducer_bench as ib
from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.plm.load import load_model
from inducer_bench.runs import experiment
from inducer_bench.runs import record as records
from inducer_bench.runs.run import run
from inducer_bench.training import loop
from inducer_bench.training.checkpoint import Checkpoint
from inducer_bench.training.evaluation import evaluate_final

RECORD_KEYS = """status task plm method seed scores parameters train_seconds eval_seconds peak_memory_bytes config_hash
code data versions device""".split()


def _adapter(folder):
    return load_file(folder / "adapter/adapter.safetensors")


def test_record_tells_everything_and_the_second_launch_is_a_no_op(overrides):
    outcome = run(compose(overrides))
    assert outcome.code == ExitCode.DONE
    keys = json.loads((outcome.folder / "record.json").read_text()).keys()
    assert [key for key in RECORD_KEYS if key not in keys] == []
    record = records.read(outcome.folder)
    assert record == outcome.record
    assert record.status == "done"
    assert (record.task, record.method, record.seed) == ("sst2", "inducer", 0)
    assert outcome.folder.parts[-4:] == ("sst2", record.plm, "inducer", record.config_hash)
    assert record.parameters.method == sum(
        tensor.numel() for name, tensor in _adapter(outcome.folder).items() if "tuning" in name
    )
    predictions = predictions_in(outcome.folder)
    right = [row["label"] == row["prediction"] for row in predictions]
    assert record.scores["accuracy"].value == pytest.approx(100 * sum(right) / 32)
    assert [row["index"] for row in predictions] == list(range(32))
    events = [json.loads(line)["event"] for line in (outcome.folder / "metrics.jsonl").read_text().splitlines()]
    assert events == (["train"] * 4 + ["evaluation"]) * 2

    stamp = (outcome.folder / "record.json").stat().st_mtime_ns
    again = run(compose(overrides))
    assert (again.code, again.folder) == (ExitCode.DONE, outcome.folder)
    assert again.message.startswith("already done: accuracy")
    assert (outcome.folder / "record.json").stat().st_mtime_ns == stamp


def test_saved_adapter_gives_the_recorded_predictions(overrides, tiny_roberta_folder):
    config = compose(overrides)
    outcome = run(config)
    torch.manual_seed(99)  # another random head, which loading must replace
    tuned = ib.load(load_model(config.plm, CLASSIFIER, 2), outcome.folder / "adapter").eval()
    setting = built(config)
    dev, size = setting.eval_data["dev"], config.trainer.eval_batch_size
    result = evaluate_final(setting.accelerator, tuned, setting.task, dev, size)
    inputs = [{"input": given} for given in setting.task.inputs("dev", dev)]
    rows = [{**p, **given} for p, given in zip(result.predictions, inputs, strict=True)]
    expected = [{"split": "dev", "index": i, **row} for i, row in enumerate(rows)]
    assert expected == predictions_in(outcome.folder)


@pytest.mark.parametrize(("where", "at"), [("step", 6), ("rename", 6), ("step", 14)])
def test_killed_run_started_again_ends_bit_for_bit_as_the_uninterrupted_one(overrides, where, at, tmp_path):
    killed(where, at, overrides, tmp_path)
    resumed = run(compose(overrides))
    assert "resuming at step" in (resumed.folder / "log.txt").read_text()
    whole = run(compose([*overrides, f"output_dir={tmp_path / 'whole'}"]))
    assert whole.folder != resumed.folder
    assert list(resumed.folder.rglob("*.tmp")) == []
    assert results(resumed.folder) == results(whole.folder)


def in_background(*arguments, **options):
    return Checkpoint(*arguments, **{**options, "background": True})


@pytest.mark.parametrize("background", [False, True])
def test_termination_signal_stops_at_a_step_and_the_same_command_resumes(overrides, monkeypatch, tmp_path, background):
    if background:
        monkeypatch.setattr(experiment, "Checkpoint", in_background)
    original = loop.micro_batches
    steps = []

    def signalling(*arguments):
        steps.append(1)
        if len(steps) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    monkeypatch.setattr(loop, "micro_batches", signalling)
    stopped = run(compose(overrides))
    assert (stopped.code, stopped.record.status) == (ExitCode.INTERRUPTED, "interrupted")
    assert "step 5 of 16" in stopped.message
    monkeypatch.undo()
    resumed = run(compose(overrides))
    whole = run(compose([*overrides, f"output_dir={tmp_path / 'whole'}"]))
    assert results(resumed.folder) == results(whole.folder)


def test_micro_batches_do_not_change_the_result(overrides, tmp_path):
    """Without dropout, the size of a forward pass changes nothing but rounding."""
    losses = []
    for size in ("3", "null"):
        config = compose([*overrides, f"trainer.micro_batch_size={size}", f"output_dir={tmp_path / size}"])
        setting = built(config)
        for module in setting.tuned.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        batch = setting.splits.train[:8]
        for part in loop.micro_batches(batch, config.trainer.micro_batch_size):
            loss = setting.task.loss(setting.tuned.train(), setting.task.collate(part))
            (loss / len(batch)).backward()
        losses.append([p.grad.clone() for p in setting.tuned.trained_parameters().values()])
    for one, other in zip(*losses, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("key", ["deterministic", "gradient_checkpointing"])
@pytest.mark.parametrize("method", ["inducer", "prefix", "fine_tune"])
def test_run_on_a_cpu_gives_the_same_numbers(overrides, method, key):
    own = [override for override in overrides if not override.startswith("method.")] + [f"method={method}"]
    plain, changed = (results(run(compose([*own, *more])).folder) for more in ([], [f"trainer.{key}=true"]))
    assert plain[0].pop("config_hash") != changed[0].pop("config_hash")
    assert changed[0]["config"]["trainer"].pop(key) != plain[0]["config"]["trainer"].pop(key)
    assert changed == plain


def test_finished_run_keeps_no_checkpoint_unless_it_is_asked_to(overrides, tmp_path):
    folder = run(compose(overrides)).folder
    assert not (folder / "checkpoint").exists()
    assert (folder / "adapter/adapter.safetensors").is_file()
    asked = [*overrides, "trainer.keep_checkpoint=true", f"output_dir={tmp_path / 'kept'}"]
    kept = run(compose(asked)).folder
    assert sorted(path.name for path in (kept / "checkpoint").iterdir()) == [
        "best-1.safetensors", "previous.safetensors", "state.safetensors",
    ]  # fmt: skip
    assert kept.name == folder.name


def test_checkpoint_stays_until_the_record_is_on_disk(overrides, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inducer_bench.runs.checksummed.write_atomic", full)
    stopped = run(compose(overrides))
    assert stopped.code == ExitCode.FAILED
    assert (stopped.folder / "checkpoint/state.safetensors").is_file()
    monkeypatch.undo()
    monkeypatch.setattr(loop, "add_gradients", lambda *_: pytest.fail("trained again"))
    assert run(compose(overrides)).code == ExitCode.DONE


def test_checkpoint_left_by_a_crash_after_the_record_harms_nothing(overrides):
    folder = run(compose([*overrides, "trainer.keep_checkpoint=true"])).folder  # as if killed before the deletion
    again = run(compose(overrides))
    assert (again.folder, again.status) == (folder, "skipped")


def test_failure_is_recorded_with_its_traceback_and_the_run_can_be_repeated(overrides, monkeypatch):
    monkeypatch.setattr(experiment, "train", lambda *_: 1 / 0)
    failed = run(compose(overrides))
    assert (failed.code, failed.record.status) == (ExitCode.FAILED, "failed")
    assert "ZeroDivisionError" in records.read(failed.folder).error
    assert "Traceback" in (failed.folder / "log.txt").read_text()
    monkeypatch.undo()
    assert run(compose(overrides)).code == ExitCode.DONE


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_running_out_of_memory_is_a_recorded_result(overrides, monkeypatch, error):
    def exhaust(*_):
        raise error

    monkeypatch.setattr(experiment, "train", exhaust)
    outcome = run(compose(overrides))
    assert (outcome.code, records.read(outcome.folder).status) == (ExitCode.OUT_OF_MEMORY, "oom")


def test_diverging_loss_stops_with_the_step(overrides):
    own = [override for override in overrides if not override.startswith("method.")]
    outcome = run(compose([*own, "method=fine_tune", "trainer.lr=1e30"]))
    assert outcome.code == ExitCode.FAILED
    assert "diverged: fine_tune, epoch 1, step" in outcome.message


@pytest.mark.parametrize("what", ["loss", "norm"])
@pytest.mark.parametrize("at", [3, 5, 8])
def test_step_that_is_not_finite_is_named_and_neither_it_nor_a_later_one_is_saved(overrides, monkeypatch, at, what):
    """It is read with the others of an interval of 4 steps; a state is due every 3 steps, and 8 make an epoch."""
    original, steps = loop.add_gradients, []

    def broken(*arguments):
        loss, trained = original(*arguments), arguments[1].trained_parameters().values()
        steps.append(1)
        if len(steps) == at and what == "norm":
            next(iter(trained)).grad[0] = float("nan")
        return loss * float("inf") if len(steps) == at and what == "loss" else loss

    monkeypatch.setattr(loop, "add_gradients", broken)
    short = [override for override in overrides if not override.startswith(("trainer.log_every", "trainer.check"))]
    outcome = run(compose([*short, "trainer.log_every=4", "trainer.checkpoint_every=3"]))
    assert outcome.code == ExitCode.FAILED
    told = "loss inf" if what == "loss" else "gradient norm nan"
    assert f"diverged: inducer, epoch 1, step {at}: " in outcome.message
    assert told in outcome.message
    monkeypatch.undo()
    saved = outcome.folder / "checkpoint/state.safetensors"
    assert saved.exists() == (at > 3)
    if saved.exists():
        assert all(tensor.isfinite().all() for name, tensor in load_file(saved).items() if name != "values")
    assert [json.loads(line)["step"] for line in (outcome.folder / "metrics.jsonl").read_text().splitlines()] == (
        [4] if at > 4 else []
    )
    resumed = run(compose([*short, "trainer.log_every=4", "trainer.checkpoint_every=3"]))
    assert resumed.code == ExitCode.DONE


@pytest.mark.parametrize("broken", [["trainer.lr=1e30", "trainer.warmup=0"], ["trainer.weight_decay=1e300"]])
def test_model_that_breaks_in_the_last_step_is_no_result(overrides, broken):
    own = [override for override in overrides if not override.startswith("method.")]
    outcome = run(compose([*own, "method=lora", "task.max_train=8", "trainer.epochs=1", *broken]))
    assert outcome.code == ExitCode.FAILED
    assert "diverged: lora, epoch 1, selection set: loss nan on 32 of 32 examples" in outcome.message
    record = records.read(outcome.folder)
    assert (record.status, hasattr(record, "scores")) == ("failed", False)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_plm_with_a_weight_that_is_not_finite_is_no_result(overrides, tiny_roberta_folder, tmp_path, value):
    folder = tmp_path / "broken"
    shutil.copytree(tiny_roberta_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    next(tensor for name, tensor in tensors.items() if "layer.1.output.dense.weight" in name)[0, 0] = value
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=rf"plm: tensor '.*layer.1.output.dense.weight' of '{folder}' is not finite"):
        run(compose([*overrides, f"plm.path={folder}", "trainer.epochs=0"]))


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ({"chunk_size_feed_forward": 7}, r"ValueError: The dimension to be chunked \d+ has to be a multiple of"),
        ({"layer_norm_eps": -1.0}, "its outputs are not finite"),
        ({"layer_norm_eps": float("nan")}, "its outputs are not finite"),
        ({"type_vocab_size": 0}, "plm.path: '.*' does not load"),
    ],
)
def test_plm_that_loads_and_cannot_run_is_refused_before_training(overrides, tiny_roberta_folder, tmp_path, size, told):
    folder = resized(tiny_roberta_folder, tmp_path, size)
    with pytest.raises(UserError, match=told):
        run(compose([*overrides, f"plm.path={folder}"]))
    assert not list(tmp_path.rglob("metrics.jsonl"))


def test_classifier_that_reads_padding_is_refused_before_training(overrides, tiny_roberta_folder, tmp_path):
    """XLNet's reads the last position, which is padding in all but the longest text of a batch."""
    sizes = {"vocab_size": 500, "d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16, "pad_token_id": 1}
    XLNetForSequenceClassification(XLNetConfig(**sizes)).save_pretrained(tmp_path / "xlnet")
    plm = [f"plm.path={tmp_path / 'xlnet'}", f"plm.tokenizer={tiny_roberta_folder}", "method=head_only"]
    told = "predicts otherwise for a text that is padded at its end; allowed: a PLM whose predictions do not depend on"
    with pytest.raises(UserError, match=told):
        run(compose([*(word for word in overrides if not word.startswith(("plm.", "method."))), *plm]))
    assert not list(tmp_path.rglob("metrics.jsonl"))


def test_plm_whose_heads_are_not_those_of_its_config_is_refused(overrides, tiny_roberta_folder, tmp_path):
    """`head_dim` is no size of a RoBERTa, which ignores it."""
    folder = resized(tiny_roberta_folder, tmp_path, {"head_dim": 3})
    told = "plm: found a query projection with 32 outputs; allowed: 12, as the configuration says 4 heads, .* width 3"
    with pytest.raises(UserError, match=told):
        run(compose([*overrides, f"plm.path={folder}"]))


def resized(plm, tmp_path, size):
    """A copy of a PLM's folder whose config.json says something else."""
    folder = tmp_path / "odd"
    shutil.copytree(plm, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **size}))
    return folder


@pytest.mark.parametrize("background", [False, True])
def test_full_disk_fails_without_hiding_the_reason(overrides, monkeypatch, background):
    if background:
        monkeypatch.setattr(experiment, "Checkpoint", in_background)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inducer_bench.training.checkpoint.write_atomic", full)
    monkeypatch.setattr("inducer_bench.runs.checksummed.write_atomic", full)
    outcome = run(compose(overrides))
    assert outcome.code == ExitCode.FAILED
    assert "No space left on device" in outcome.message


def test_read_only_output_folder_is_told_in_one_line(overrides, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(UserError, match=r"output_dir: .* cannot be written"):
        run(compose([*overrides, f"output_dir={blocked}"]))


@pytest.mark.parametrize("what", ["state", "best", "metrics"])
def test_damaged_checkpoint_is_set_aside_and_the_result_is_the_same(overrides, monkeypatch, tmp_path, capsys, what):
    with monkeypatch.context() as interrupted:
        interrupted.setattr(experiment, "evaluate_final", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        folder = run(compose(overrides)).folder
    if what == "metrics":
        (folder / "metrics.jsonl").write_text("")
    else:
        path = next((folder / "checkpoint").glob(f"{what}*"))
        path.write_bytes(path.read_bytes()[:-1000] + bytes(1000))
    capsys.readouterr()
    resumed = run(compose(overrides))
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("inducer-bench: ")]
    assert told.removeprefix("inducer-bench: ") in (resumed.folder / "log.txt").read_text()
    assert ("; moved to checkpoint-damaged-1" in told) == (what != "metrics")
    assert list(folder.glob("checkpoint*")) == []
    whole = run(compose([*overrides, f"output_dir={tmp_path / 'whole'}"]))
    assert results(resumed.folder) == results(whole.folder)


def test_clean_protocol_selects_on_held_out_train_and_never_on_dev(overrides):
    outcome = run(compose([*overrides, "protocol=clean", "protocol.held_out=0.25"]))
    record = outcome.record
    assert record.examples == {"train": 48, "selection": 16, "dev": 32}
    assert record.protocol == "clean"


def test_as_released_protocol_keeps_the_head_at_its_start(overrides):
    config = compose([*overrides, "protocol=as_released", "protocol.select_first=10"])
    outcome = run(config)
    setting = built(config)  # the same seed gives the same random head
    saved = _adapter(outcome.folder)
    for name, parameter in setting.tuned.head_parameters().items():
        assert torch.equal(saved[name], parameter)
    assert outcome.record.examples["selection"] == 10
