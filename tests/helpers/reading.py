"""What the tests of the generation tasks' readers share."""

import pytest

from inducer_bench.errors import UserError


def refusal(task, split="train"):
    """The one line with which a task refuses to read a split."""
    with pytest.raises(UserError) as caught:
        task.read(split)
    assert "\n" not in str(caught.value)
    return str(caught.value)
