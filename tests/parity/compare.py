"""Runs our model on a fixture and measures how far it is from the released implementation."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from parity.fixture import Fixture
from torch import Tensor


@dataclass
class Errors:
    """Largest errors of one fixture: absolute, and relative to the largest entry of the tensor (at least 1e-3)."""

    compared: int = 0
    absolute: dict[str, float] = field(default_factory=lambda: {"outputs": 0.0, "gradients": 0.0})
    relative: dict[str, float] = field(default_factory=lambda: {"outputs": 0.0, "gradients": 0.0})

    def add(self, kind: str, got: Tensor, expected: Tensor) -> None:
        """Compare one tensor."""
        assert got.shape == expected.shape, (got.shape, expected.shape)
        error = (got - expected).abs().max().item()
        scale = max(expected.abs().max().item(), 1e-3)
        self.compared += 1
        self.absolute[kind] = max(self.absolute[kind], error)
        self.relative[kind] = max(self.relative[kind], error / scale)


def compare(path: Path, dtype: torch.dtype = torch.float64) -> Errors:
    """Every scenario of a fixture, with the released bugs that it names switched on."""
    errors = Errors()
    fixture = Fixture(path, as_released=True, dtype=dtype)
    for scenario in ("mask", "nomask", "train"):
        if f"{scenario}/input_ids" in fixture.tensors:
            _compare_scenario(fixture, scenario, errors)
    return errors


def compare_unpadded(path: Path) -> float:
    """Without the switch, rows of the padded batch must come out as they do alone; the largest relative error."""
    fixture, errors = Fixture(path, as_released=False), Errors()
    with torch.no_grad():
        errors.add("outputs", fixture.model(**fixture.scenario("mask")).logits, fixture.tensors["unpadded/logits"])
    return errors.relative["outputs"]


def _compare_scenario(fixture: Fixture, scenario: str, errors: Errors) -> None:
    inputs, tensors = fixture.scenario(scenario), fixture.tensors
    real = (
        inputs["attention_mask"].bool() if "attention_mask" in inputs else torch.ones_like(inputs["input_ids"]).bool()
    )
    gates = _record_gates(fixture)
    fixture.model.zero_grad()
    output = fixture.model(**inputs, output_hidden_states=True)
    logits = tensors[f"{scenario}/logits"]
    rows = slice(None) if fixture.spec["family"] == "nlu" else real
    errors.add("outputs", output.logits.detach()[rows], logits[rows])
    if f"{scenario}/loss" in tensors:
        loss = fixture.loss(scenario, output.logits)
        errors.add("outputs", loss.detach().view(1), tensors[f"{scenario}/loss"].view(1))
    for i, hidden in enumerate(output.hidden_states):
        if f"{scenario}/hidden/{i}" in tensors:
            errors.add("outputs", hidden.detach()[real], tensors[f"{scenario}/hidden/{i}"][real])
    for i, gate in enumerate(gates):
        if f"{scenario}/attn{i}/gate" in tensors:
            expected = tensors[f"{scenario}/attn{i}/gate"].transpose(1, 2)[real]
            errors.add("outputs", gate.detach().transpose(1, 2)[real], expected)
    expected_gradients = {
        name.removeprefix(f"{scenario}/{group}/"): tensor
        for group in ("grad", "grad_head")
        for name, tensor in tensors.items()
        if name.startswith(f"{scenario}/{group}/")
    }
    if expected_gradients:
        loss.backward()
        got = fixture.gradients()
        for name, expected in expected_gradients.items():
            errors.add("gradients", got[name].reshape(expected.shape), expected)


def _record_gates(fixture: Fixture) -> list[Tensor]:
    """A list that the next forward pass fills with each layer's g (B, H, T)."""
    gates: list[Tensor] = []
    for module in fixture.model.modules():
        if type(module).__name__ == "Inducer":
            original = type(module).gate.__get__(module)

            def recording(*args, original=original, **kwargs):
                gate = original(*args, **kwargs)  # (B, H, T, 1)
                gates.append(gate.squeeze(-1))
                return gate

            module.gate = recording
    return gates
