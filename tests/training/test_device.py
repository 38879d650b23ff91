"""The device and precision of a run, and its random number generators."""

import os
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from inducer_bench.errors import UserError
from inducer_bench.runs import experiment
from inducer_bench.training import device
from inducer_bench.training.device import flushed_denormals, make_accelerator, set_seed, settings


@pytest.fixture(autouse=True)
def _restore():
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    yield
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])
    torch.set_flush_denormal(False)


def test_each_run_of_a_process_gets_the_precision_that_it_asks_for():
    """Relies on a private function of accelerate: this fails if a release renames it."""
    assert callable(AcceleratorState._reset_state)
    for precision, expected in (("bf16", "bf16"), ("fp32", "no"), ("auto", "no")):
        accelerator = make_accelerator(
            SimpleNamespace(device="cpu", compile="none", precision=precision, frozen="fp32")
        )
        assert accelerator.mixed_precision == expected


def trainer(**changes):
    plain = {
        "device": "auto",
        "compile": "none",
        "precision": "fp32",
        "frozen": "fp32",
        "deterministic": False,
        "gpu_memory": None,
    }
    return SimpleNamespace(**{**plain, **changes})


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs that do not exist; the calls that reach them, in order."""
    calls = []

    def recording(name):
        return lambda *arguments: calls.append((name, *arguments))

    for name in ("set_device", "empty_cache", "reset_peak_memory_stats", "set_per_process_memory_fraction"):
        monkeypatch.setattr(torch.cuda, name, recording(name))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: any(call[0] == "set_device" for call in calls))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(device, "Accelerator", lambda **of: calls.append(("Accelerator", of)))
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    return calls


def test_each_process_opens_its_own_gpu_before_anything_touches_one(gpus, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(experiment, "load_tokenizer", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError), experiment.build(SimpleNamespace(trainer=trainer(), plm=None)):
        pass
    assert gpus == [
        ("set_device", 1), ("Accelerator", {"mixed_precision": "no", "cpu": False}), ("empty_cache",),
        ("reset_peak_memory_stats",),
    ]  # fmt: skip


def test_run_on_the_cpu_leaves_gpus_alone(gpus):
    with pytest.raises(AttributeError), experiment.build(SimpleNamespace(trainer=trainer(device="cpu"))):
        pass
    assert gpus == [("Accelerator", {"mixed_precision": "no", "cpu": True}), ("empty_cache",)]


def test_more_processes_than_gpus_are_told(gpus, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UserError, match="LOCAL_RANK: found 2, but torch sees 2 CUDA devices; allowed: a process for"):
        make_accelerator(trainer())
    assert gpus == []


def test_deterministic_products_are_asked_for_before_cuda_starts(gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: gpus.append(os.environ["CUBLAS_WORKSPACE_CONFIG"]))
    for own, found in ((None, ":4096:8"), (":16:8", ":16:8")):
        gpus.clear()
        if own:
            monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", own)
        make_accelerator(trainer(deterministic=True))
        assert gpus[0] == found
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    make_accelerator(trainer())
    allowed = "allowed with trainer.deterministic=true: :4096:8, :16:8"
    with pytest.raises(UserError, match=f"CUBLAS_WORKSPACE_CONFIG: found ':0:0'; {allowed}"):
        make_accelerator(trainer(deterministic=True))


def test_tf32_is_for_cuda_alone(gpus, monkeypatch):
    make_accelerator(trainer(precision="tf32"))
    assert gpus[-1] == ("Accelerator", {"mixed_precision": "no", "cpu": False})
    told = "trainer.precision: found 'tf32', which needs a CUDA device; allowed here: auto, fp32, bf16"
    with pytest.raises(UserError, match=told):
        make_accelerator(trainer(precision="tf32", device="cpu"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=told):
        make_accelerator(trainer(precision="tf32"))


def in_force():
    algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    return torch.get_float32_matmul_precision(), *algorithms


@pytest.mark.filterwarnings("error")
def test_settings_are_those_of_the_run_and_then_those_of_before():
    before = in_force()
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_float32_matmul_precision("medium")
    try:
        with settings(trainer(precision="tf32", deterministic=True)):
            assert in_force() == ("high", True, False)
            assert torch.backends.cuda.matmul.allow_tf32
        assert in_force() == ("medium", True, True)
        with pytest.raises(ZeroDivisionError), settings(trainer(deterministic=True)):
            1 / 0  # noqa: B018
        assert in_force() == ("medium", True, True)
        with settings(trainer()):
            assert in_force()[0] == "highest"
            assert not torch.backends.cuda.matmul.allow_tf32
        assert in_force() == ("medium", True, True)
    finally:
        torch.use_deterministic_algorithms(before[1], warn_only=before[2])
        torch.set_float32_matmul_precision(before[0])


def test_memory_of_a_gpu_is_capped_for_the_run(gpus):
    make_accelerator(trainer(gpu_memory=0.2))
    gpus[:] = gpus[:1]
    with settings(trainer(gpu_memory=0.2)):
        assert gpus[1:] == [("set_per_process_memory_fraction", 0.2)]
    assert gpus[2:] == [("set_per_process_memory_fraction", 1.0)]
    with settings(trainer()):
        assert len(gpus) == 3


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_equal_seeds_give_equal_numbers_in_every_generator_and_large_seeds_are_allowed():
    for seed in (3, 2**33 + 3):
        set_seed(seed)
        first = draws()
        set_seed(seed)
        assert draws() == first


def test_denormals_are_flushed_inside_the_block_alone():
    denormal = torch.tensor(1e-310, dtype=torch.float64)
    set_seed(0)
    assert (denormal * 0.5).item() != 0.0
    with flushed_denormals():
        assert (denormal * 0.5).item() == 0.0
    assert (denormal * 0.5).item() != 0.0
    assert float("1e-320") > 0.0


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_frozen_weights_in_bf16_need_that_precision(precision):
    trainer = SimpleNamespace(device="cpu", compile="none", precision=precision, frozen="bf16")
    with pytest.raises(UserError, match=r"trainer\.frozen: found 'bf16', which needs trainer\.precision=bf16; allowed"):
        make_accelerator(trainer)
