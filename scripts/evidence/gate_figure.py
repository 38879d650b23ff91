"""The inducer gate g of a finished run on a sentence: layers by tokens, one panel for the mean and for each head.

    python -m scripts.evidence.gate_figure RUN "a sentence" gates.png

g is the share of a query's attention that goes to its own virtual pair: 0 is the PLM's attention, 1 is an adapter.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import altair as alt
import numpy as np
import torch
from torch import Tensor

from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.methods.inducer import Inducer
from inducer_bench.plm.load import load_tokenizer
from inducer_bench.report import plots
from inducer_bench.runs.finished import FinishedRun, open_run

_GAP, _BELOW = 56, 80  # pixels between two panels, with the labels of axes


def main(folder: str, sentence: str, out: str) -> None:
    """Draw the figure and print its range of values."""
    run = open_run(Path(folder))
    tokens, gates = gates_of(run, sentence)
    title = f"Gate g of {run.record.method} on {run.record.plm}, {run.record.task}: {sentence}"
    write_atomic(Path(out), plots.picture("gates", title, draw(tokens, gates)).png())
    print(f"{out}: {gates.shape[0]} layers, {gates.shape[1]} heads; g {gates.min():.3f} to {gates.max():.3f}, "
          f"mean {gates.mean():.3f}")  # fmt: skip


def gates_of(run: FinishedRun, sentence: str) -> tuple[list[str], np.ndarray]:
    """The sentence's tokens, and g (layers, H, T).

    Raises:
        UserError: the run's method has no inducers, or its PLM no longer exists.
    """
    tuned = run.load().eval()
    tokenizer = load_tokenizer(run.config.plm)
    inputs = tokenizer(sentence, return_tensors="pt")
    with recorded() as gates, torch.inference_mode():
        tuned(**inputs)
    if not gates:
        raise UserError(f"RUN: '{run.folder}' is of method {run.record.method}; allowed: a method with inducers")
    tokens = [str(tokenizer.decode([token])).strip() or "␣" for token in inputs["input_ids"][0]]
    return tokens, torch.stack(gates).float().numpy()


@contextmanager
def recorded() -> Iterator[list[Tensor]]:
    """Collect the values of each gate for the first row of the batch, (H, T), in the order of the layers."""
    found: list[Tensor] = []
    original = Inducer.gate

    def gate(inducer: Inducer, *args: Any, **kwargs: Any) -> Tensor:
        g = original(inducer, *args, **kwargs)
        found.append(g[0].squeeze(-1))
        return g

    with patch.object(Inducer, "gate", gate):
        yield found


def draw(tokens: list[str], gates: np.ndarray) -> Any:
    """Panels of (layers, T) on one scale: the mean over heads across the whole width, then each head."""
    heads, length = gates.shape[1], len(tokens)
    columns = next((n for n in (3, 2, 4, 5) if heads % n == 0), 1)  # so that no cell is empty
    width = max(16 * length, 130)
    top = float(gates.max())
    mean = _panel("mean over heads", tokens, gates.mean(axis=1), columns * width + (columns - 1) * _GAP, top)
    each = [_panel(f"head {head + 1}", tokens, gates[:, head], width, top) for head in range(heads)]
    spacing = alt.RowColnumber(row=_BELOW, column=_GAP)
    heads_below = alt.concat(*each, columns=columns, spacing=spacing, bounds="flush")
    return alt.vconcat(mean, heads_below, spacing=_BELOW, bounds="flush").resolve_scale(fill="shared")


def _panel(name: str, tokens: list[str], gates: np.ndarray, width: int, top: float) -> Any:
    rows = [
        {"at": at, "token": tokens[at], "layer": layer + 1, "gate": float(gate), "shown": f"{gate:.3f}"}
        for (layer, at), gate in np.ndenumerate(gates)
    ]  # fmt: skip
    words = alt.Axis(labelExpr=f"{json.dumps(tokens)}[datum.value]", labelAngle=-60, ticks=False, domain=False)
    # cividis also runs from dark to light in greyscale and for colour-blind readers
    fill = alt.Fill("gate:Q", title="gate g", scale=alt.Scale(scheme="cividis", domain=[0, top]))
    return plots.of(rows).mark_rect().encode(
        x=alt.X("at:O", title=None, axis=words), y=alt.Y("layer:O", title="layer", sort="descending"), fill=fill,
        tooltip=plots.hints(token="token", layer="layer", shown="gate g"),
    ).properties(title=name, width=width, height=max(24 * len(gates), 60))  # fmt: skip


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except UserError as error:
        sys.exit(f"gate_figure: {error}")
