"""What is run on a GPU: that it is prepared, limited in time and judged as it says, as far as a CPU can tell."""

import argparse
import json
import os
import subprocess
import sys
import time
import zipfile
from contextlib import nullcontext

import pytest
import torch
from packaging.requirements import Requirement
from safetensors.torch import load_file, save_file
from torch import nn

from scripts.bench import harness
from scripts.bench.fake_cuda.process import UnavailableError, build_guard
from scripts.gpu import attention, check, graphs, prepare, profile

CPU = torch.device("cpu")


# -- prepared ----------------------------------------------------------------------------------------------------------


def test_packages_of_the_machine_are_read_and_compared(tmp_path):
    (tmp_path / "have.txt").write_text("# there\nTorch==2.11.0\nhuggingface_hub==1.33.0 # hub\n\npandas\n")
    there = prepare.read_packages(tmp_path / "have.txt")
    assert there == {"torch": "2.11.0", "huggingface-hub": "1.33.0", "pandas": None}
    found = {need: prepare.meets(there, Requirement(need))
             for need in ("torch>=2.11", "torch>=2.12", "huggingface-hub", "pandas>=9", "datasets")}  # fmt: skip
    assert list(found.values()) == [True, False, True, True, False]


def test_needs_are_read_from_a_wheel(tmp_path):
    with zipfile.ZipFile(tmp_path / "x-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("x-1.dist-info/METADATA", "Name: x\nRequires-Dist: a>=1\nRequires-Dist: b; extra == 'c'\n\nText")
    assert [need.name for need in prepare.needs_of(tmp_path / "x-1-py3-none-any.whl")] == ["a", "b"]


def test_plm_is_unpacked_as_it_was_packed_but_for_rounding(tmp_path):
    torch.manual_seed(0)
    weights = {"a.weight": torch.randn(5, 7), "a.bias": torch.randn(5), "ids": torch.arange(6).view(2, 3)}
    weights["a.weight"][2] = 0
    (tmp_path / "packed").mkdir()
    for name in prepare.PLM_FILES:
        (tmp_path / "packed" / name).write_text(name)
    save_file(prepare.rounded(weights), tmp_path / "packed" / "packed.safetensors")
    prepare.unpack_plm(tmp_path / "packed", tmp_path / "plm")
    found = load_file(tmp_path / "plm" / "model.safetensors")
    assert found.keys() == weights.keys()
    largest = weights["a.weight"].abs().amax(1, keepdim=True)
    assert ((found["a.weight"] - weights["a.weight"]).abs() <= largest / 254 + 1e-7).all()
    assert torch.equal(found["a.bias"], weights["a.bias"])
    assert torch.equal(found["ids"], weights["ids"])
    assert (tmp_path / "plm" / "config.json").read_text() == "config.json"


# -- limited in time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "result"), [("print('x')", "passed"), ("raise SystemExit(4)", "exit 4")])
def test_item_is_judged_by_its_exit_code(tmp_path, code, result):
    assert check.run([sys.executable, "-c", code], 60, tmp_path / "log", dict(os.environ))[0] == result


def test_item_that_takes_too_long_is_stopped_with_what_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "LEAST", 0)
    child = f"import time; time.sleep(3); open({str(tmp_path / 'late')!r}, 'w')"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    result, seconds = check.run([sys.executable, "-c", code], 1, tmp_path / "log", dict(os.environ))
    assert (result, seconds < 3) == ("stopped after 1 s", True)
    time.sleep(3)
    assert not (tmp_path / "late").exists()


def test_item_for_which_no_time_is_left_is_not_started(tmp_path):
    assert check.run(["/does/not/exist"], check.LEAST - 1, tmp_path / "log", {}) == (check.SKIPPED, 0.0)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("call", ["a", "b", "c", "d", "e"])
def test_items_have_names_of_their_own_and_commands_that_exist(call, small, device):
    found = check.items(call, small, device)
    assert len({item.name for item in found}) == len(found)
    assert sum(item.seconds for item in found) <= check.SECONDS
    for item in found:
        assert item.module == "pytest" or (harness.ROOT / f"{item.module.replace('.', '/')}.py").exists()


# -- judged ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SDPA", "package", "explicit"])
def test_forms_of_attention_pass_their_check(name):
    assert all(row["passed"] for row in attention.checked(name, [5], CPU))


def wrong_gate(heads, mask, dropout):
    f, g = attention.package(heads, mask, dropout)
    return f, g * 0.9


class WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return 1.1 * grad


def wrong_gradient(heads, mask, dropout):
    f, g = attention.package(heads, mask, dropout)
    return WrongGradient.apply(f), g


def new_dropout(heads, mask, dropout):
    torch.seed()
    return attention.package(heads, mask, dropout)


@pytest.mark.parametrize("form", [wrong_gate, wrong_gradient])
def test_wrong_form_of_attention_does_not_pass(monkeypatch, form):
    monkeypatch.setitem(attention.FORMS, "wrong", form)
    assert not any(row["passed"] for row in attention.checked("wrong", [5], CPU) if "f" in row)


@pytest.mark.parametrize("form", [wrong_gradient, new_dropout])
def test_wrong_gradient_with_dropout_does_not_pass(monkeypatch, form):
    monkeypatch.setitem(attention.FORMS, "wrong", form)
    assert not any(row["passed"] for row in attention.checked("wrong", [5], CPU) if "f" not in row)


class Toy(nn.Module):
    """A classifier with dropout that looks like a tuned model."""

    device = CPU

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Embedding(30, 8), nn.Dropout(0.3), nn.Linear(8, 2))
        self.config = argparse.Namespace(vocab_size=30)

    def trained_parameters(self):
        return dict(self.named_parameters())

    def forward(self, input_ids, attention_mask):
        return argparse.Namespace(logits=self.layers(input_ids).mean(1))


def toy_step():
    trainer = argparse.Namespace(lr=0.05, betas=[0.9, 0.98], eps=1e-6, weight_decay=0.1)
    return graphs.Step(argparse.Namespace(trainer=trainer, task=argparse.Namespace(family="nlu")), Toy())


def toy_curve(kind):
    step = toy_step()
    batches = [batch for length in (4, 6) for batch in graphs.random_batches(step, 4, length, 5)]
    return graphs.curve(kind(step), step.lr, batches), step.lr


def test_warm_up_before_a_capture_leaves_no_trace():
    eager, lr = toy_curve(lambda step: step)
    captured, _ = toy_curve(graphs.Graphs)
    assert torch.equal(captured, eager)
    assert len(set(eager.tolist())) == 10
    assert lr == pytest.approx(0.05 * 0.1)  # the rate that was set for the last step


def test_curves_without_the_undoing_differ(monkeypatch):
    eager, _ = toy_curve(lambda step: step)
    monkeypatch.setattr(graphs.Step, "untouched", lambda self: nullcontext())
    assert not torch.equal(toy_curve(graphs.Graphs)[0], eager)


def test_step_that_is_captured_waits_for_nothing():
    """A wait in it would end the capture with an error; told by the simulation."""
    try:
        guard = build_guard()
    except UnavailableError as error:
        pytest.skip(str(error))
    command = [sys.executable, "tests/helpers/fake_steps.py", str(guard), "inducer"]
    environment = {**os.environ, "PYTHONPATH": str(harness.ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=harness.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(step["family"], step["method"], step["waits"]) for step in found] == [
        ("nlu", "inducer", {}),
        ("nlg", "inducer", {}),
    ]
    assert all(step["launches"]["step"]["_fused_adamw_"] for step in found)


def test_simulated_launches_are_summed_over_phases(tmp_path):
    answer = {"request": {"family": "nlu", "method": "lora"}, "scene": "training", "error": None,
              "launches": {"forward": {"mm": 3, "add": 1}, "update": {"adam": 2}}, "waits": {}}  # fmt: skip
    broken, other = {**answer, "error": "x"}, {**answer, "scene": "decoding"}
    (tmp_path / "l.json").write_text(json.dumps({"answers": [broken, answer, other]}))
    expected = {("nlu", "lora"): {"launches, simulated": 6, "waits, simulated": 0}}
    assert profile.read_simulated(tmp_path / "l.json") == expected
    assert profile.read_simulated(tmp_path / "none.json") == {}


@pytest.mark.slow
def test_tests_for_a_gpu_work_on_a_cpu():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/cuda"]
    environment = {**os.environ, "CUDA_TESTS_ON": "cpu"}
    done = subprocess.run(command, cwd=harness.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
