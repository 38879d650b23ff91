"""Greedy decoding of the released implementation, token for token, on the fixtures in `../shared/parity`."""

import json

import pytest
from accelerate import Accelerator
from helpers.sequences import FIRST, FRAMES, PARITY, sequences, source
from parity.fixture import Fixture

from inducer_bench.tasks.options import Decoding
from inducer_bench.training.decoding import generate

FILE = PARITY / "nlg_inputs_and_decoding.json"
CASES = json.loads(FILE.read_text())["decoding"] if FILE.is_file() else []
# The release's prefixes move positions, which ours never do (see `tests/parity/fixture.py` for its full forward pass).
CASES = [case for case in CASES if not case["fixture"].startswith("nlg_prefix")]
pytestmark = pytest.mark.skipif(not CASES, reason="the parity fixtures are not on this machine")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['fixture'].split('.')[0]}-{case['task']}")
def test_batched_cached_decoding_writes_what_the_release_writes(case):
    model = Fixture(PARITY / case["fixture"]).model
    made = sequences(FRAMES[case["task"]], max_length=model.config.n_positions)
    prompts = made.encode_prompts([source(case["task"], case["arguments"])], new_tokens=case["max_new_tokens"])
    decoding = Decoding(
        max_new_tokens=case["max_new_tokens"], beams=1, length_penalty=1.0, no_repeat_ngram=0, sample=False,
        temperature=1.0, top_p=1.0,
    )  # fmt: skip
    (written,) = generate(Accelerator(cpu=True), model, prompts, decoding, FIRST, True, batch_size=1)
    assert written == case["tokens"]
