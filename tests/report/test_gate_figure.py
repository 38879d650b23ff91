"""The picture of inducers' gates."""

import json

import numpy as np
import pytest
import torch
from helpers import specs
from helpers.architectures import build, tokens

import inducer_bench as ib
from inducer_bench.methods.inducer import Inducer
from inducer_bench.report import plots
from scripts.evidence import gate_figure


def test_recorded_gates_are_the_share_of_attention_that_a_virtual_pair_takes():
    """Of the first layer, recomputed as a softmax over the keys and the pair's own."""
    tuned = ib.attach(build("roberta"), "inducer", r_k=2, r_v=2)
    inputs = tokens(1, 5)
    with gate_figure.recorded() as gates, torch.no_grad():
        tuned(input_ids=inputs)
    assert [gate.shape for gate in gates] == [(4, 5)] * 2

    roberta = tuned.model.roberta
    attention = roberta.encoder.layer[0].attention.self
    inducer = next(module for module in tuned.modules() if isinstance(module, Inducer))
    with torch.no_grad():
        x = roberta.embeddings(input_ids=inputs)[0]
        query, key = (project(x).view(5, 4, 4).transpose(0, 1) for project in (attention.query, attention.key))
        own = query + torch.tanh(query @ inducer.A_k + inducer.a_k) @ inducer.B_k + inducer.b_k
        scores = torch.cat([query @ key.transpose(1, 2), (query * own).sum(-1, keepdim=True)], dim=-1) / 2
    torch.testing.assert_close(gates[0], scores.softmax(-1)[..., -1])


def test_gate_is_left_as_it_was():
    before = Inducer.gate
    with gate_figure.recorded():
        assert Inducer.gate is not before
    assert Inducer.gate is before


@pytest.mark.parametrize(("heads", "columns"), [(4, 2), (12, 3), (7, 1)])
def test_every_head_and_their_mean_have_a_panel_and_no_cell_is_empty(heads, columns):
    gates = torch.rand(2, heads, 3, generator=torch.Generator().manual_seed(0)).numpy()
    spec = plots.picture("gates", "t", gate_figure.draw(["a", "b", "a"], gates)).spec
    mean, each = spec["vconcat"]
    assert mean["title"] == "mean over heads"
    assert [panel["title"] for panel in each["concat"]] == [f"head {head + 1}" for head in range(heads)]
    assert each["columns"] == columns
    assert len(each["concat"]) % columns == 0
    assert mean["width"] == columns * each["concat"][0]["width"] + (columns - 1) * each["spacing"]["column"]
    panels = [specs.rows({**panel, "datasets": spec["datasets"]}) for panel in each["concat"]]
    found = [[row["gate"] for row in rows if row["layer"] == 2] for rows in panels]
    np.testing.assert_allclose(found, gates[1])
    (scale,) = {json.dumps(layer["encoding"]["fill"]["scale"]) for layer in specs.layers(spec)}
    assert json.loads(scale)["domain"] == [0, pytest.approx(float(gates.max()))]
