"""Reads a parity fixture: the released implementation's weights, inputs, outputs and gradients on a tiny PLM.

The names of the release's weights are mapped to ours in `weights`; everything else about a fixture is in its `spec`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, RobertaConfig, RobertaForSequenceClassification

import inducer_bench as ib
from inducer_bench.methods.attention import PART
from inducer_bench.methods.tuned import TunedModel

METHOD = {  # which parts -> the method that has them
    (): "head_only", ("bitfit",): "bitfit", ("inducer",): "inducer", ("inducer", "lora"): "inducer_lora",
    ("adapter", "inducer", "lora"): "inducer_ffn", ("adapter",): "adapter", ("lora",): "lora",
    ("prefix",): "prefix", ("adapter", "prefix"): "mam", ("kernel_mix",): "kernel_mix",
}  # fmt: skip


@dataclass(frozen=True)
class Weight:
    """One weight of the release and the parameters of ours that hold it."""

    name: str
    ours: list[nn.Parameter]
    transposed: bool = False

    def release(self, tensors: list[Tensor]) -> Tensor:
        """Our tensors in the release's layout."""
        whole = torch.cat(tensors) if len(tensors) > 1 else tensors[0]
        return whole.transpose(-1, -2) if self.transposed else whole

    @torch.no_grad()
    def fill(self, value: Tensor) -> None:
        """Put the release's value into our parameters."""
        value = value.transpose(-1, -2) if self.transposed else value
        for parameter, piece in zip(self.ours, value.chunk(len(self.ours)), strict=True):
            parameter.copy_(piece.reshape(parameter.shape))


class Fixture:
    """One file of the parity folder, with our model built from it."""

    def __init__(self, path: Path, as_released: bool = True, dtype: torch.dtype = torch.float64) -> None:
        with safe_open(path, "pt") as file:
            self.spec: dict[str, Any] = json.loads(file.metadata()["spec"])
        self.tensors = {name: t.to(dtype) if t.is_floating_point() else t for name, t in load_file(path).items()}
        self.model = self._plm().to(dtype).eval()
        self.weights: list[Weight] = []
        if self.spec["method"] or self.spec["family"] == "nlu":
            method = METHOD[tuple(sorted(self.spec["method"]))]
            tuned = ib.attach(self.model, method, train_head=False, **self._options(method, as_released)) \
                if method != "head_only" else ib.attach(self.model, method)  # fmt: skip
            self.weights = list(weights(tuned, self.tensors))
            for weight in self.weights:
                weight.fill(self.tensors[f"method/{weight.name}"])
        self.model.requires_grad_(True)  # gradients of whatever the fixture has

    def scenario(self, name: str) -> dict[str, Tensor]:
        """The inputs of a scenario, by argument name."""
        names = ("input_ids", "token_type_ids", "attention_mask", "position_ids")
        return {n: self.tensors[f"{name}/{n}"] for n in names if f"{name}/{n}" in self.tensors}

    def loss(self, scenario: str, logits: Tensor) -> Tensor:
        """The loss as the fixture's README defines it."""
        labels = self.tensors[f"{scenario}/labels"]
        if self.spec["family"] == "nlu":
            if self.spec["num_labels"] == 1:
                return nn.functional.mse_loss(logits.squeeze(-1), labels.to(logits.dtype))
            return nn.functional.cross_entropy(logits, labels)
        smoothing = self.spec["label_smoothing"][scenario]
        return nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, label_smoothing=smoothing
        )

    def gradients(self) -> dict[str, Tensor]:
        """Gradient of every weight, by the release's name, after a backward pass."""
        mapped = {weight.name: weight.release([p.grad for p in weight.ours]) for weight in self.weights}
        return {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None} | mapped

    def _plm(self) -> nn.Module:
        base = {name.removeprefix("base/"): t for name, t in self.tensors.items() if name.startswith("base/")}
        if self.spec["family"] == "nlu":
            config = RobertaConfig(**self.spec["config"], num_labels=self.spec["num_labels"])
            model: nn.Module = RobertaForSequenceClassification(config)
        else:
            sizes = dict(self.spec["config"])
            sizes["vocab_size"] += self.spec["n_new_tokens"]
            model = GPT2LMHeadModel(GPT2Config(**sizes))
        missing, unexpected = model.load_state_dict(base, strict=False)
        assert not unexpected, unexpected
        assert set(missing) <= {"lm_head.weight"}, missing
        model.tie_weights()
        return model

    def _options(self, method: str, as_released: bool) -> dict[str, Any]:
        parts = {name: getattr(self, f"_{name}_options")(values) for name, values in self.spec["method"].items()}
        if "inducer" in parts:
            quirk = "gate_before_padding_mask" in self.spec["release_quirks"]
            parts["inducer"]["gate_before_mask"] = as_released and quirk
        own = parts.pop(next(name for name in ("inducer", "kernel_mix", *parts) if name in parts)) \
            if method != "mam" else {}  # fmt: skip
        return {**own, **parts}

    @staticmethod
    def _bitfit_options(values: dict[str, Any]) -> dict[str, Any]:
        return {}

    @staticmethod
    def _inducer_options(values: dict[str, Any]) -> dict[str, Any]:
        same = ("extension", "gate", "r_k", "r_v", "sqrt_position", "value_residual")
        return {name: values[name] for name in same} | {"share_output": values["share_heads"]}

    @staticmethod
    def _lora_options(values: dict[str, Any]) -> dict[str, Any]:
        targets = sorted({"ffn" if name.startswith("FFN") else name.lower() for name in values["on"]})
        return {"r": values["rank"], "alpha": values["alpha"], "bias": values["bias"], "targets": targets}

    @staticmethod
    def _adapter_options(values: dict[str, Any]) -> dict[str, Any]:
        return {
            "r": values["bottleneck"], "placement": values["placement"], "scale": float(values["scale"]),
            "layer_norm": values["layer_norm"] or "none", "sites": [site.lower() for site in values["on"]],
        }  # fmt: skip

    def _prefix_options(self, values: dict[str, Any]) -> dict[str, Any]:
        free = values.get("hidden") is None
        return {"length": values["length"], "reparameterize": not free} | ({} if free else {"hidden": values["hidden"]})

    @staticmethod
    def _kernel_mix_options(values: dict[str, Any]) -> dict[str, Any]:
        return values


def weights(tuned: TunedModel, tensors: dict[str, Tensor]) -> Iterator[Weight]:
    """Every weight of the release that one of our parameters holds."""
    names = {name.removeprefix("method/") for name in tensors if name.startswith("method/")}
    layers = list(tuned.layers())
    for i, layer in enumerate(layers):
        part = getattr(layer.attention, PART, None)
        nlu = f"roberta.encoder.layer.{i}."
        nlg = f"transformer.h.{i}."
        if hasattr(part, "A_v") and not hasattr(part, "A_o"):
            yield from _inducer(part, names, (f"{nlu}attention.self.ef_attn_adapter.",
                                              f"{nlg}attn.adapter_controller_prefix.adapters.webnlg."))  # fmt: skip
        if hasattr(part, "A_o"):
            yield from _kernel_mix(part, names, (f"{nlu}attention.ef_kernel_lora.",
                                                 f"{nlg}attn.adapter_controller_l.adapters.webnlg."))  # fmt: skip
        yield from _lora(layer, names, nlu, nlg)
        yield from _adapter(
            layer.ffn_down.module,
            names,
            (f"{nlu}ef_ffn_adapter.", f"{nlu}output.ef_ffn_adapter.", f"{nlg}mlp.adapter_controller."),
        )
        yield from _adapter(layer.output.module, names, (f"{nlu}attention.ef_attn_adapter.",
                            f"{nlu}attention.self.ef_attn_adapter.", f"{nlg}attn.adapter_controller."))  # fmt: skip
    yield from _prefix(tuned, [getattr(layer.attention, PART, None) for layer in layers], names)


def _inducer(part: nn.Module, names: set[str], roots: tuple[str, ...]) -> Iterator[Weight]:
    table = {"prefix_A": "A", "A_bias": "a", "prefix_B": "B", "B_bias": "b"}
    for mlp, kind in (("prefix_v_pert_mlp", "k"), ("prefix_v_mlp", "v")):
        for theirs, ours in table.items():
            name = "b_B" if (ours, kind) == ("b", "v") and hasattr(part, "b_B") else f"{ours}_{kind}"
            for root in roots:
                if f"{root}{mlp}.{theirs}" in names and hasattr(part, name):
                    yield Weight(f"{root}{mlp}.{theirs}", [getattr(part, name)])


def _kernel_mix(part: nn.Module, names: set[str], roots: tuple[str, ...]) -> Iterator[Weight]:
    for letter in ("q", "v", "o"):
        for share, suffix in (("", ""), ("_share", "_shared")):
            for theirs, ours in (("lora_A", "A"), ("lora_B", "B"), ("b", "b")):
                for root in roots:
                    name = f"{root}W{letter.upper()}{share}_LoRA.{theirs}"
                    if name in names:
                        yield Weight(name, [getattr(part, f"{ours}_{letter}{suffix}")], transposed=ours != "b")


def _lora(layer: Any, names: set[str], nlu: str, nlg: str) -> Iterator[Weight]:
    projections = [
        (layer.query, "q", "attention.self.query", "Q"), (layer.value, "v", "attention.self.value", "V"),
        *((up, "up", "intermediate.dense", "-") for up in layer.ffn_up), (layer.ffn_down, "down", "output.dense", "-"),
    ]  # fmt: skip
    for projection, _, module, letter in projections:
        lora = getattr(projection.module, f"lora_{projection.name}", None)
        controller = f"{nlg}attn.adapter_controller_l.adapters.webnlg.W{letter}_LoRA."
        for theirs, ours in (("A", "A"), ("B", "B")):
            for name in (f"{nlu}{module}.ef_lora_{theirs}", f"{controller}lora_{theirs}"):
                if lora is not None and name in names:
                    yield Weight(name, [getattr(lora, ours)])
        if lora is not None and f"{controller}b" in names:
            yield Weight(f"{controller}b", [lora.b])


def _adapter(host: nn.Module, names: set[str], roots: tuple[str, ...]) -> Iterator[Weight]:
    adapter = getattr(host, "adapter", None)
    if adapter is None:
        return
    for name in names:
        root = next((root for root in roots if name.startswith(root)), None)
        rest = name.removeprefix(root or "").split(".")
        if root is None or rest[-1] not in ("weight", "bias"):
            continue
        kind = next((kind for kind in ("down", "up", "norm") if kind in rest[-2]), None)
        module = getattr(adapter, kind) if kind else None
        if module is not None:
            yield Weight(name, [getattr(module, rest[-1])])


def _prefix(tuned: TunedModel, parts: list[Any], names: set[str]) -> Iterator[Weight]:
    trunk = getattr(tuned.model.base_model, "prefix_trunk", None)
    for root in ("prompt_model.", "prefix_"):
        if trunk is not None and f"{root}wte.weight" in names:
            yield Weight(f"{root}wte.weight", [trunk.embedding])
            yield Weight(f"{root}control_trans.0.weight", [trunk.linear.weight])
            yield Weight(f"{root}control_trans.0.bias", [trunk.linear.bias])
            yield Weight(f"{root}control_trans.2.weight", [part.linear.weight for part in parts])
            yield Weight(f"{root}control_trans.2.bias", [part.linear.bias for part in parts])
