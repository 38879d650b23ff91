"""Launches of the simulation on fake CUDA tensors, as `scripts.bench.launches` writes them."""

import json
from pathlib import Path

from scripts.bench import harness
from scripts.bench.fake_cuda.process import Answer
from scripts.bench.launches import recurring

FOLDER = harness.ROOT / "results" / "launches"
Launches = dict[tuple[str, str, str], int]  # family, method, scene -> of a step, a batch or a token


def read(path: Path) -> Launches:
    """The launches in a result.

    Raises:
        OSError: there is none.
        ValueError: one of its scenes broke.
    """
    found: Launches = {}
    for entry in json.loads(path.read_text())["answers"]:
        answer = Answer(**entry)
        if answer.error:
            raise ValueError(f"{path}: {answer.request['method']}, {answer.scene}: {answer.error}")
        found[answer.request["family"], answer.request["method"], answer.scene] = recurring(answer)[0]
    return found
