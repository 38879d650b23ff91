"""What a method changes before the first step, as `scripts.evidence.real.start` measures it."""

import pytest

from inducer_bench.errors import UserError
from scripts.evidence.real import start


def test_lora_changes_nothing_before_the_first_step_and_prefixes_do():
    found = start.measured(["preset=mini", "task=sst2", "task.max_eval=8"], sentences=8, seeds=1)
    assert found["sentences"] == 8
    changes = {label: seeds[0] for label, seeds in found["changes"].items()}
    assert changes["LoRA"] == {"loss": 0.0, "logits": 0.0, "hidden": 0.0}
    assert 0 < changes["Inducer"]["hidden"] < changes["Prefix, not reparameterised"]["hidden"]
    assert changes["Prefix"]["logits"] > 0
    with pytest.raises(UserError, match=r"^task: found 'webnlg', which is no classification"):
        start.measured(["preset=mini", "task=webnlg"], sentences=8, seeds=1)
