"""The inducer gate g of a finished run on a sentence: layers by tokens, one panel for the mean and for each head.

    python -m scripts.evidence.gate_figure RUN "a sentence" gates.png

g is the share of a query's attention that goes to its own virtual pair: 0 is the PLM's attention, 1 is an adapter.
"""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.methods.inducer import Inducer
from inducer_bench.plm.load import load_tokenizer
from inducer_bench.report import figures
from inducer_bench.runs.finished import FinishedRun, open_run


def main(folder: str, sentence: str, out: str) -> None:
    """Draw the figure and print its range of values."""
    run = open_run(Path(folder))
    tokens, gates = gates_of(run, sentence)
    title = f"Gate g of {run.record.method} on {run.record.plm}, {run.record.task}: {sentence}"
    picture = figures.picture("gates", title, draw(tokens, gates))
    write_atomic(Path(out), picture.png)
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


def draw(tokens: list[str], gates: np.ndarray) -> Figure:
    """Panels of (layers, T) on one scale: the mean over heads, then each head."""
    layers, heads, length = gates.shape
    columns = 2 if heads <= 4 else 3
    rows = 1 + math.ceil(heads / columns)
    panels = {(0, 0): ("mean over heads", gates.mean(axis=1))}
    panels |= {(1 + h // columns, h % columns): (f"head {h + 1}", gates[:, h]) for h in range(heads)}
    size = columns * (0.8 + 0.36 * length) + 0.9, rows * (0.5 + min(0.26 * layers, 2)) + 1.1
    with matplotlib.rc_context(figures.SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for place, axes in np.ndenumerate(grid):
            axes.grid(visible=False)
            if place not in panels:
                axes.set_axis_off()
                continue
            name, values = panels[place]
            # cividis also runs from dark to light in greyscale and for colour-blind readers
            image = axes.imshow(values, cmap="cividis", vmin=0, vmax=gates.max(), aspect="auto", origin="lower")
            axes.set_title(name, fontsize=9, loc="left")
            axes.set_yticks(range(layers), [str(layer + 1) for layer in range(layers)])
            shown = tokens if place[0] == rows - 1 else [""] * length
            axes.set_xticks(range(length), shown, rotation=60, ha="right", rotation_mode="anchor")
        figure.supylabel("layer", fontsize=9)
        figure.colorbar(image, ax=grid, label="gate g", shrink=0.8)
        return figure


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except UserError as error:
        sys.exit(f"gate_figure: {error}")
