"""A short draw from everything that `make chaos` tries; the same one in every run of the tests."""

import random
from concurrent.futures import ThreadPoolExecutor

from chaos.everything import everything

DRAW = {"inputs": 30, "faults": 10, "kills": 3}


def test_a_draw_of_inputs_faults_and_kills_comes_out_well(tmp_path):
    trials = dict(everything(tmp_path, number_of_kills=DRAW["kills"], seed=3))
    kills = list(trials)[-DRAW["kills"] :]
    faults = [key for key in trials if key.startswith("faults: ")]
    inputs = [key for key in trials if key not in {*kills, *faults}]
    assert len(inputs) >= 400
    generator = random.Random(0)
    drawn = [*generator.sample(inputs, DRAW["inputs"]), *generator.sample(faults, DRAW["faults"]), *kills]
    with ThreadPoolExecutor(2) as pool:
        outcomes = pool.map(lambda key: trials[key](), drawn)
    assert {key: outcome.wrong for key, outcome in zip(drawn, outcomes, strict=True) if outcome.wrong} == {}
